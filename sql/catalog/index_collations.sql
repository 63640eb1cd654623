-- Collations of the names in $1 that this database can use.
select
    n.nspname::pg_catalog.text as schema_name,
    c.collname::pg_catalog.text as name
from pg_catalog.pg_collation as c
inner join pg_catalog.pg_namespace as n on n.oid = c.collnamespace
inner join pg_catalog.pg_database as d on c.collencoding in (-1, d.encoding)
where
    c.collname = any($1::pg_catalog.text[])
    and d.datname = pg_catalog.current_database()
order by n.nspname, c.collname;
