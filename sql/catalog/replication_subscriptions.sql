-- Subscriptions of all databases and the process that applies each; without one all of its figures are null. The
-- connection string is not read. Of the catalog a role may only read some columns before 14, the oid not among them:
-- a process is known by the name of its subscription, and by the database that it is connected to.
select
    s.subname::pg_catalog.text as name,
    d.datname::pg_catalog.text as database_name,
    s.subenabled as enabled,
    null::pg_catalog.text as slot_name,
    w.pid,
    w.received_lsn::pg_catalog.text as received,
    w.latest_end_lsn::pg_catalog.text as reported,
    extract(epoch from pg_catalog.clock_timestamp() - w.last_msg_receipt_time)::pg_catalog.float8 as message_age_s,
    null::pg_catalog.int8 as apply_errors,
    null::pg_catalog.int8 as sync_errors,
    null::pg_catalog.int8 as conflicts
from pg_catalog.pg_subscription as s
inner join pg_catalog.pg_database as d on d.oid = s.subdbid
left join (
    pg_catalog.pg_stat_subscription as w
    inner join pg_catalog.pg_stat_activity as a on a.pid = w.pid
) on w.subname = s.subname and a.datid = s.subdbid and w.relid is null
order by 1, 2;
