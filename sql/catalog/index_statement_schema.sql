-- The schema that pg_stat_statements is installed in.
select n.nspname::pg_catalog.text as schema_name
from pg_catalog.pg_extension as e
inner join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
where e.extname = 'pg_stat_statements'
order by n.nspname;
