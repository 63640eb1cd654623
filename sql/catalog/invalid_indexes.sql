-- Invalid indexes of relations ($1 oids: partitioned tables and their partitions).
select
    i.indrelid as table_oid,
    tn.nspname::pg_catalog.text as table_schema,
    t.relname::pg_catalog.text as table_name,
    n.nspname::pg_catalog.text as schema_name,
    c.relname::pg_catalog.text as name,
    c.relkind = 'I' as partitioned
from pg_catalog.pg_index as i
inner join pg_catalog.pg_class as c on c.oid = i.indexrelid
inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
inner join pg_catalog.pg_class as t on t.oid = i.indrelid
inner join pg_catalog.pg_namespace as tn on tn.oid = t.relnamespace
where
    i.indrelid = any($1::pg_catalog.oid[])
    and not i.indisvalid
order by n.nspname, c.relname;
