-- Sessions other than dbops's own ($1) that wait for a lock on a relation of this database: whom each waits for, and for how long (milliseconds; null before 14, which does not record it)
select
  w.pid::int4 as pid,
  w.mode::text as mode,
  a.application_name::text as application_name,
  a.backend_type::text as backend_type,
  (extract(epoch from pg_catalog.clock_timestamp() - w.waitstart) * 1000)::float8 as waited_ms,
  pg_catalog.pg_blocking_pids(w.pid)::int4[] as behind
from (
  select distinct on (l.pid)
    l.pid,
    l.mode,
    (pg_catalog.to_jsonb(l) ->> 'waitstart')::timestamptz as waitstart
  from pg_catalog.pg_locks as l
  where l.locktype = 'relation'
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
    and not l.granted
    and l.pid <> all ($1::int4[])
  order by l.pid, l.mode
  limit 500
) as w
left join pg_catalog.pg_stat_activity as a on a.pid = w.pid
order by w.pid
