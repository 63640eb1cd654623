-- The process that receives WAL on a replica; no row: there is none. Of a role without pg_read_all_stats all but the
-- pid is null. Of the connection string only the application name is taken.
select
    w.pid,
    w.status,
    w.received_tli as timeline,
    w.flushed_lsn::pg_catalog.text as flushed,
    w.latest_end_lsn::pg_catalog.text as sender_end,
    extract(epoch from pg_catalog.clock_timestamp() - w.last_msg_receipt_time)::pg_catalog.float8 as message_age_s,
    w.slot_name,
    w.sender_host,
    w.sender_port,
    pg_catalog.substring(w.conninfo, 'application_name=''?([^ '']+)') as application_name
from pg_catalog.pg_stat_wal_receiver as w
order by w.pid;
