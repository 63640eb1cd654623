-- Foreign keys (MAINTAIN is a privilege since PostgreSQL 17) from and to the tables in $1; the copies that the server keeps for partitions of the other side are left out, those that a partition got from its parent are not.
select
    f.conrelid as table_oid,
    false as incoming,
    f.conname::pg_catalog.text as name,
    n.nspname::pg_catalog.text as other_schema,
    o.relname::pg_catalog.text as other_name,
    o.relkind = 'p' as other_partitioned,
    pg_catalog.has_table_privilege(o.oid, 'UPDATE, DELETE, TRUNCATE, MAINTAIN') is true as other_lockable,
    array(
        select a.attname::pg_catalog.text
        from pg_catalog.unnest(f.conkey) with ordinality as k (attnum, position)
        left join pg_catalog.pg_attribute as a on a.attrelid = f.conrelid and a.attnum = k.attnum
        order by k.position
    ) as columns,
    array(
        select a.attname::pg_catalog.text
        from pg_catalog.unnest(f.confkey) with ordinality as k (attnum, position)
        left join pg_catalog.pg_attribute as a on a.attrelid = f.confrelid and a.attnum = k.attnum
        order by k.position
    ) as referenced_columns
from pg_catalog.pg_constraint as f
inner join pg_catalog.pg_class as o on o.oid = f.confrelid
inner join pg_catalog.pg_namespace as n on n.oid = o.relnamespace
left join pg_catalog.pg_constraint as origin on origin.oid = f.conparentid
where
    f.contype = 'f'
    and f.conrelid = any($1::pg_catalog.oid[])
    and origin.conrelid is distinct from f.conrelid
union all
select
    f.confrelid as table_oid,
    true as incoming,
    f.conname::pg_catalog.text as name,
    n.nspname::pg_catalog.text as other_schema,
    o.relname::pg_catalog.text as other_name,
    o.relkind = 'p' as other_partitioned,
    pg_catalog.has_table_privilege(o.oid, 'UPDATE, DELETE, TRUNCATE, MAINTAIN') is true as other_lockable,
    array(
        select a.attname::pg_catalog.text
        from pg_catalog.unnest(f.conkey) with ordinality as k (attnum, position)
        left join pg_catalog.pg_attribute as a on a.attrelid = f.conrelid and a.attnum = k.attnum
        order by k.position
    ) as columns,
    array(
        select a.attname::pg_catalog.text
        from pg_catalog.unnest(f.confkey) with ordinality as k (attnum, position)
        left join pg_catalog.pg_attribute as a on a.attrelid = f.confrelid and a.attnum = k.attnum
        order by k.position
    ) as referenced_columns
from pg_catalog.pg_constraint as f
inner join pg_catalog.pg_class as o on o.oid = f.conrelid
inner join pg_catalog.pg_namespace as n on n.oid = o.relnamespace
left join pg_catalog.pg_constraint as origin on origin.oid = f.conparentid
where
    f.contype = 'f'
    and f.confrelid = any($1::pg_catalog.oid[])
    and origin.confrelid is distinct from f.confrelid
order by 1, 2, 3, 4, 5;
