-- Whom backend $1 waits for
select
  b.pid::int4 as pid,
  a.usename::text as role,
  a.application_name::text as application_name,
  a.state::text as state,
  a.backend_type::text as backend_type,
  extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8 as transaction_seconds,
  extract(epoch from pg_catalog.clock_timestamp() - a.query_start)::float8 as query_seconds
from pg_catalog.unnest(pg_catalog.pg_blocking_pids($1)) as b (pid)
left join pg_catalog.pg_stat_activity as a on a.pid = b.pid
order by a.xact_start nulls last, b.pid
