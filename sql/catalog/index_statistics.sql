-- Statistics of the columns of the tables in $1, as far as the role may see them; those of a partitioned table are of all its partitions.
select
    c.oid as table_oid,
    s.attname::pg_catalog.text as name,
    s.avg_width as width,
    s.n_distinct,
    s.null_frac as null_fraction
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
inner join pg_catalog.pg_stats as s
    on s.schemaname = n.nspname and s.tablename = c.relname and s.inherited = (c.relkind = 'p')
where c.oid = any($1::pg_catalog.oid[])
order by c.oid, s.attname;
