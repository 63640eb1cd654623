-- Who holds dbops's advisory lock (class $1, object $2) in this database
select
  l.pid::int4 as pid,
  a.usename::text as role,
  a.application_name::text as application_name,
  a.state::text as state,
  a.backend_type::text as backend_type,
  extract(epoch from pg_catalog.clock_timestamp() - a.backend_start)::float8 as session_seconds
from pg_catalog.pg_locks as l
left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
where l.locktype = 'advisory'
  and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  and l.classid::int8 = $1
  and l.objid::int8 = $2
  and l.objsubid = 2
  and l.granted
order by l.pid
