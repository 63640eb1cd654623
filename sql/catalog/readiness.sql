-- What the current role may do beyond tables, and settings and figures that `dbops doctor` holds against the plan; null where the role may not see it.
select
    pg_catalog.has_database_privilege(d.oid, 'CREATE') as creates_schemas,
    n.oid is not null as history_schema,
    coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false) as history_usable,
    pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') as reads_all_stats,
    pg_catalog.current_setting('max_connections')::pg_catalog.int8 as max_connections,
    pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int8
    + coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::pg_catalog.int8 as reserved_connections,
    (
        select pg_catalog.sum(pg_catalog.pg_stat_get_db_numbackends(b.oid))::pg_catalog.int8
        from pg_catalog.pg_database as b
    ) as backends,
    pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int8 as max_prepared_transactions,
    (
        select s.reset_val::pg_catalog.bool
        from pg_catalog.pg_settings as s
        where s.name = 'enable_partition_pruning'
    ) as partition_pruning,
    (
        select s.reset_val::pg_catalog.int8
        from pg_catalog.pg_settings as s
        where s.name = 'lock_timeout'
    ) as lock_timeout_ms,
    (
        select s.reset_val::pg_catalog.int8
        from pg_catalog.pg_settings as s
        where s.name = 'statement_timeout'
    ) as statement_timeout_ms,
    (
        select s.reset_val
        from pg_catalog.pg_settings as s
        where s.name = 'shared_preload_libraries'
    ) as preloaded
from pg_catalog.pg_database as d
left join pg_catalog.pg_namespace as n on n.nspname = 'dbops'
where d.datname = pg_catalog.current_database()
order by d.oid;
