-- Who holds locks on the relations named in $1 (quoted, with schema), other than backend $2
select
  l.pid::int4 as pid,
  r.name as relation,
  l.mode::text as mode,
  a.usename::text as role,
  a.application_name::text as application_name,
  a.state::text as state,
  a.backend_type::text as backend_type,
  extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8 as transaction_seconds,
  extract(epoch from pg_catalog.clock_timestamp() - a.query_start)::float8 as query_seconds
from pg_catalog.unnest($1::text[]) as r (name)
join pg_catalog.pg_locks as l
  on l.locktype = 'relation'
  and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  and l.relation = pg_catalog.to_regclass(r.name)
  and l.granted
  and l.pid <> $2
left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
order by a.xact_start nulls last, l.pid, r.name, l.mode
