-- Extensions that matter to dbops: available and installed versions, and where pg_partman keeps its configuration.
select
    a.name::pg_catalog.text as name,
    a.default_version as available,
    e.extversion as installed,
    n.nspname::pg_catalog.text as schema_name,
    pg_catalog.has_table_privilege(c.oid, 'SELECT') and pg_catalog.has_schema_privilege(n.oid, 'USAGE') as config_readable
from pg_catalog.pg_available_extensions as a
left join pg_catalog.pg_extension as e on e.extname = a.name
left join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
left join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = 'part_config' and c.relkind = 'r' and a.name = 'pg_partman'
where a.name in ('pg_stat_statements', 'hypopg', 'pg_partman')
order by a.name;
