-- How much WAL a primary has written since its last completed checkpoint began, and how long ago that is. The time of a
-- checkpoint has whole seconds, and goes on while the server is down: since when it runs is told too. After a promotion
-- pg_control holds a checkpoint of the timeline before, from which nothing follows.
select
    case
        when not pg_catalog.pg_is_in_recovery()
            then
                case
                    when
                        pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 1, 8)
                        = pg_catalog.substr(c.redo_wal_file, 1, 8)
                        then pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_flush_lsn(), c.redo_lsn)::pg_catalog.int8
                end
    end as bytes,
    extract(epoch from pg_catalog.clock_timestamp() - c.checkpoint_time)::pg_catalog.float8 as checkpoint_age,
    extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.pg_postmaster_start_time())::pg_catalog.float8 as start_age
from pg_catalog.pg_control_checkpoint() as c
order by 1;
