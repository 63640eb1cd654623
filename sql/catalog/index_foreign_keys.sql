-- Foreign keys of the tables in $1; the copies that the server keeps for each partition of a referenced table are left out.
select
    f.conrelid as table_oid,
    f.conname::pg_catalog.text as name,
    n.nspname::pg_catalog.text as references_schema,
    c.relname::pg_catalog.text as references_name,
    array(
        select a.attname::pg_catalog.text
        from pg_catalog.unnest(f.conkey) with ordinality as k (attnum, position)
        left join pg_catalog.pg_attribute as a on a.attrelid = f.conrelid and a.attnum = k.attnum
        order by k.position
    ) as columns
from pg_catalog.pg_constraint as f
inner join pg_catalog.pg_class as c on c.oid = f.confrelid
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_constraint as whole on whole.oid = f.conparentid and whole.conrelid = f.conrelid
where
    f.conrelid = any($1::pg_catalog.oid[])
    and f.contype = 'f'
    and whole.oid is null
order by f.conrelid, f.conname;
