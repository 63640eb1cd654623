-- The server, the role and the settings that decide what pg_stat_statements counts; a setting that the role may not see is missing.
select /* dbops */
    extract(epoch from pg_catalog.clock_timestamp())::pg_catalog.float8 as taken_at,
    pg_catalog.current_setting('server_version_num')::pg_catalog.int4 as version_num,
    pg_catalog.host(pg_catalog.inet_server_addr()) || ':' || pg_catalog.inet_server_port()::pg_catalog.text as address,
    pg_catalog.pg_is_in_recovery() as in_recovery,
    pg_catalog.current_database()::pg_catalog.text as database,
    current_user::pg_catalog.text as role,
    extract(epoch from pg_catalog.pg_postmaster_start_time())::pg_catalog.float8 as started_at,
    pg_catalog.array_remove(
        array[
            (
                select extract(epoch from b.stats_reset)::pg_catalog.float8
                from pg_catalog.pg_stat_bgwriter as b
            ),
            (
                select extract(epoch from a.stats_reset)::pg_catalog.float8
                from pg_catalog.pg_stat_archiver as a
            )
        ],
        null
    ) as other_resets,
    pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute')
    and pg_catalog.has_function_privilege('pg_catalog.pg_control_checkpoint()', 'execute') as reads_control,
    array(
        select s.name || '=' || s.setting
        from pg_catalog.pg_settings as s
        where
            s.name like 'pg\_stat\_statements.%'
            or s.name in ('compute_query_id', 'track_io_timing', 'track_functions', 'block_size', 'shared_preload_libraries')
        order by s.name
    ) as settings;
