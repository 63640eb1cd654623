-- Subscriptions of all databases and the process that applies each; without one all of its figures are null. The
-- connection string is not read.
select
    s.subname::pg_catalog.text as name,
    d.datname::pg_catalog.text as database_name,
    s.subenabled as enabled,
    s.subslotname::pg_catalog.text as slot_name,
    w.pid,
    w.received_lsn::pg_catalog.text as received,
    w.latest_end_lsn::pg_catalog.text as reported,
    extract(epoch from pg_catalog.clock_timestamp() - w.last_msg_receipt_time)::pg_catalog.float8 as message_age_s,
    e.apply_error_count as apply_errors,
    e.sync_error_count as sync_errors,
    null::pg_catalog.int8 as conflicts
from pg_catalog.pg_subscription as s
inner join pg_catalog.pg_database as d on d.oid = s.subdbid
left join pg_catalog.pg_stat_subscription as w on w.subid = s.oid and w.relid is null
left join pg_catalog.pg_stat_subscription_stats as e on e.subid = s.oid
order by 1, 2;
