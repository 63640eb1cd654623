-- Sessions other than dbops's own ($2) that wait for a heavyweight lock behind backend $1, and for how long (milliseconds; null before 14, which does not record it).
-- The list of locks is read only when some session waits for one: reading it stops all lock traffic for a moment. $3: read it always, because this role cannot see what other sessions wait for
select
  w.pid::int4 as pid,
  w.mode::text as mode,
  a.application_name::text as application_name,
  a.backend_type::text as backend_type,
  (extract(epoch from pg_catalog.clock_timestamp() - w.waitstart) * 1000)::float8 as waited_ms
from (
  select distinct on (l.pid)
    l.pid,
    l.mode,
    (pg_catalog.to_jsonb(l) ->> 'waitstart')::timestamptz as waitstart
  from pg_catalog.pg_locks as l
  where (
      $3::bool
      or exists (
        select
        from pg_catalog.pg_stat_get_activity(null) as s
        where s.wait_event_type = 'Lock'
      )
    )
    and not l.granted
    and l.pid <> all ($2::int4[])
  order by l.pid, l.mode
) as w
left join pg_catalog.pg_stat_activity as a on a.pid = w.pid
where $1 = any (pg_catalog.pg_blocking_pids(w.pid))
order by w.pid
