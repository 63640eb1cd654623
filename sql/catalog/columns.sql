-- Columns of the relations in $1 in order, dropped ones left out; a statistics target of -1 (null from PostgreSQL 17 on) is one that is not set.
select
    a.attrelid as table_oid,
    a.attname::pg_catalog.text as name,
    pg_catalog.format_type(a.atttypid, a.atttypmod) as type_name,
    a.attnotnull as not_null,
    a.attidentity::pg_catalog.text as identity,
    case when a.attstattarget >= 0 then a.attstattarget::pg_catalog.int4 end as statistics_target,
    a.attoptions as options
from pg_catalog.pg_attribute as a
where
    a.attrelid = any($1::pg_catalog.oid[])
    and a.attnum > 0
    and not a.attisdropped
order by a.attrelid, a.attnum;
