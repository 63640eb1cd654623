-- Blocks that the connected database found in the buffer cache and in all; the epoch changes when counting begins anew.
select
    d.datname::pg_catalog.text as database,
    d.blks_hit,
    d.blks_hit + d.blks_read as blks_all,
    pg_catalog.concat_ws(' ', d.stats_reset, pg_catalog.pg_postmaster_start_time()) as epoch
from pg_catalog.pg_stat_database as d
where d.datname = pg_catalog.current_database()
order by d.datname;
