-- How far this server is, and what its clock says: asked again and again, so nothing else is.
select
    extract(epoch from pg_catalog.clock_timestamp())::pg_catalog.float8 as clock,
    pg_catalog.pg_is_in_recovery() as in_recovery,
    case
        when not pg_catalog.pg_is_in_recovery() then pg_catalog.pg_current_wal_flush_lsn()::pg_catalog.text
    end as flushed,
    case
        when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_receive_lsn()::pg_catalog.text
    end as received,
    case
        when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text
    end as replayed
order by 1;
