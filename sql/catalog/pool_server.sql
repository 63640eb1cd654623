-- What bounds connections to the server, and what the role may see of them; null where the version does not have the setting.
select
    pg_catalog.current_setting('server_version_num')::pg_catalog.int4 as version_num,
    pg_catalog.current_setting('server_version') as version,
    pg_catalog.current_database()::pg_catalog.text as database,
    current_user::pg_catalog.text as role,
    r.rolsuper as superuser,
    pg_catalog.pg_is_in_recovery() as in_recovery,
    pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') as reads_all_stats,
    (
        select pg_catalog.pg_has_role(current_user, u.oid, 'USAGE')
        from pg_catalog.pg_roles as u
        where u.rolname = 'pg_use_reserved_connections'
    ) as uses_reserved,
    pg_catalog.current_setting('max_connections')::pg_catalog.int8 as max_connections,
    pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int8 as superuser_reserved,
    pg_catalog.current_setting('reserved_connections', true)::pg_catalog.int8 as reserved,
    (
        select s.reset_val::pg_catalog.int8
        from pg_catalog.pg_settings as s
        where s.name = 'idle_in_transaction_session_timeout'
    ) as idle_in_transaction_timeout_ms,
    (
        select s.reset_val::pg_catalog.int8
        from pg_catalog.pg_settings as s
        where s.name = 'idle_session_timeout'
    ) as idle_session_timeout_ms,
    (
        select s.reset_val::pg_catalog.int8
        from pg_catalog.pg_settings as s
        where s.name = 'transaction_timeout'
    ) as transaction_timeout_ms
from pg_catalog.pg_roles as r
where r.rolname = current_user
order by r.oid;
