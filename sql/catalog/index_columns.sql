-- Columns of the tables in $1 in order, dropped ones left out; the width is that of a type whose values are all of one width.
select
    a.attrelid as table_oid,
    a.attname::pg_catalog.text as name,
    pg_catalog.format_type(a.atttypid, a.atttypmod) as type_name,
    a.attnotnull as not_null,
    cn.nspname::pg_catalog.text as collation_schema,
    co.collname::pg_catalog.text as collation_name,
    case when a.attlen > 0 then a.attlen::pg_catalog.int4 end as width
from pg_catalog.pg_attribute as a
left join pg_catalog.pg_collation as co on co.oid = a.attcollation
left join pg_catalog.pg_namespace as cn on cn.oid = co.collnamespace
where
    a.attrelid = any($1::pg_catalog.oid[])
    and a.attnum > 0
    and not a.attisdropped
order by a.attrelid, a.attnum;
