-- Transactions, other than those of dbops's own sessions ($2), that hold any lock on the relations named in $1 (quoted, with schema); prepared ones have no pid
select
  l.virtualtransaction::text as transaction,
  pg_catalog.max(l.pid)::int4 as pid,
  pg_catalog.min(r.name) as relation,
  pg_catalog.string_agg(distinct l.mode, ', ')::text as mode,
  pg_catalog.max(a.usename)::text as role,
  pg_catalog.max(a.application_name)::text as application_name,
  pg_catalog.max(a.state)::text as state,
  pg_catalog.max(a.backend_type)::text as backend_type,
  pg_catalog.max(extract(epoch from pg_catalog.clock_timestamp() - a.xact_start))::float8 as transaction_seconds,
  pg_catalog.max(extract(epoch from pg_catalog.clock_timestamp() - a.query_start))::float8 as query_seconds,
  pg_catalog.max(p.gid)::text as gid,
  pg_catalog.max(extract(epoch from pg_catalog.clock_timestamp() - p.prepared))::float8 as prepared_seconds
from pg_catalog.unnest($1::text[]) as r (name)
join pg_catalog.pg_locks as l
  on l.locktype = 'relation'
  and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  and l.relation = pg_catalog.to_regclass(r.name)
  and l.granted
  and (l.pid is null or l.pid <> all ($2::int4[]))
left join pg_catalog.pg_stat_activity as a on a.pid = l.pid
left join pg_catalog.pg_locks as x
  on l.pid is null
  and x.locktype = 'transactionid'
  and x.virtualtransaction = l.virtualtransaction
left join pg_catalog.pg_prepared_xacts as p on p.transaction = x.transactionid
group by l.virtualtransaction
order by transaction_seconds desc nulls last, l.virtualtransaction
