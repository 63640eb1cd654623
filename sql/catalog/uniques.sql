-- Primary keys, unique and exclusion constraints and unique indexes of the tables in $1; an expression among the columns is null, included columns are left out.
select
    x.indrelid as table_oid,
    i.relname::pg_catalog.text as name,
    x.indisprimary as is_primary,
    array(
        select a.attname::pg_catalog.text
        from pg_catalog.unnest(x.indkey::pg_catalog.int2[]) with ordinality as k (attnum, position)
        left join pg_catalog.pg_attribute as a on a.attrelid = x.indrelid and a.attnum = k.attnum
        where k.position <= x.indnkeyatts
        order by k.position
    ) as columns
from pg_catalog.pg_index as x
inner join pg_catalog.pg_class as i on i.oid = x.indexrelid
where
    x.indrelid = any($1::pg_catalog.oid[])
    and (x.indisunique or x.indisexclusion)
order by x.indrelid, i.relname;
