-- How far back the statistics of this database reach, what the role sees, and the schemas of extensions that help.
select
    -- A database whose statistics were never reset has no time of its own from 15 on; those of the background
    -- writer begin with the cluster and begin again after a crash, which discards all statistics.
    (
        extract(
            epoch from pg_catalog.clock_timestamp()
            - case
                when d.stats_reset is not null then d.stats_reset
                when b.stats_reset is not null then b.stats_reset
                else pg_catalog.pg_postmaster_start_time()
            end
        )
    )::pg_catalog.float8 as stats_seconds,
    pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage') as reads_all_stats,
    (
        select n.nspname::pg_catalog.text
        from pg_catalog.pg_extension as e
        inner join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
        where e.extname = 'hypopg'
    ) as hypopg_schema,
    (
        select n.nspname::pg_catalog.text
        from pg_catalog.pg_extension as e
        inner join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
        where e.extname = 'pgstattuple'
    ) as pgstattuple_schema
from pg_catalog.pg_stat_database as d
cross join pg_catalog.pg_stat_bgwriter as b
where d.datname = pg_catalog.current_database()
order by d.datid;
