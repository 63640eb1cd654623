-- The server and the current role; settings as a new session of the role would get them (reset_val), not as dbops set them for itself.
select
    pg_catalog.current_setting('server_version_num')::pg_catalog.int4 as version_num,
    pg_catalog.current_setting('server_version') as version,
    pg_catalog.current_database()::pg_catalog.text as database,
    current_user::pg_catalog.text as role,
    r.rolsuper as superuser,
    pg_catalog.pg_is_in_recovery() as in_recovery,
    (
        select s.reset_val::pg_catalog.bool
        from pg_catalog.pg_settings as s
        where s.name = 'default_transaction_read_only'
    ) as default_read_only,
    (
        select s.reset_val
        from pg_catalog.pg_settings as s
        where s.name = 'TimeZone'
    ) as time_zone,
    (
        select s.reset_val::pg_catalog.int8
        from pg_catalog.pg_settings as s
        where s.name = 'deadlock_timeout'
    ) as deadlock_timeout_ms,
    pg_catalog.current_setting('max_locks_per_transaction')::pg_catalog.int8 as max_locks_per_transaction,
    pg_catalog.pg_encoding_to_char(d.encoding)::pg_catalog.text as encoding
from pg_catalog.pg_roles as r
cross join pg_catalog.pg_database as d
where
    r.rolname = current_user
    and d.datname = pg_catalog.current_database()
order by r.oid;
