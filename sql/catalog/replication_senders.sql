-- Who receives WAL from this server. Of a role without pg_read_all_stats all but the pid is null. The time of the last
-- reply is by the replica's clock.
select
    r.pid,
    r.application_name,
    pg_catalog.host(r.client_addr) as client_address,
    r.state,
    r.sent_lsn::pg_catalog.text as sent,
    r.write_lsn::pg_catalog.text as written,
    r.flush_lsn::pg_catalog.text as flushed,
    r.replay_lsn::pg_catalog.text as replayed,
    extract(epoch from r.write_lag)::pg_catalog.float8 as write_lag_s,
    extract(epoch from r.flush_lag)::pg_catalog.float8 as flush_lag_s,
    extract(epoch from r.replay_lag)::pg_catalog.float8 as replay_lag_s,
    r.sync_priority,
    r.sync_state,
    extract(epoch from pg_catalog.clock_timestamp() - r.reply_time)::pg_catalog.float8 as reply_age_s,
    s.slot_name::pg_catalog.text as slot_name,
    s.slot_type
from pg_catalog.pg_stat_replication as r
left join pg_catalog.pg_replication_slots as s on s.active_pid = r.pid
order by r.application_name, r.pid;
