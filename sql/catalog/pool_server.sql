-- What bounds connections to the server, and what the role may see of them; null where the version does not have the setting.
-- Settings are read once: each look at that view makes a row of every one.
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
    g.idle_in_transaction_timeout_ms,
    g.idle_session_timeout_ms,
    g.transaction_timeout_ms
from pg_catalog.pg_roles as r
cross join (
    select
        pg_catalog.max(s.reset_val) filter (where s.name = 'idle_in_transaction_session_timeout')::pg_catalog.int8
            as idle_in_transaction_timeout_ms,
        pg_catalog.max(s.reset_val) filter (where s.name = 'idle_session_timeout')::pg_catalog.int8 as idle_session_timeout_ms,
        pg_catalog.max(s.reset_val) filter (where s.name = 'transaction_timeout')::pg_catalog.int8 as transaction_timeout_ms
    from pg_catalog.pg_settings as s
) as g
where r.rolname = current_user
order by r.oid;
