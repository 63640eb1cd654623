-- Open transactions of this database, other than those of dbops's own sessions ($2), and what of them a concurrent build of an index on one of the tables in $1 (quoted, with schema) would wait for:
-- a lock that writing takes, or an older snapshot. VACUUM and autovacuum never hold a build up; another concurrent build does where its index has a predicate or an expression, before 14 always.
-- A prepared transaction has no pid. Source: DefineIndex and WaitForOlderSnapshots in indexcmds.c
with
tables as (
  select r.name, pg_catalog.to_regclass(r.name) as oid
  from pg_catalog.unnest($1::text[]) as r (name)
),
locks as (
  select l.pid, l.virtualtransaction, l.transactionid, l.mode, t.name
  from tables as t
  join pg_catalog.pg_locks as l
    on l.locktype = 'relation'
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
    and l.relation = t.oid
    and l.granted
    and l.mode in ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
),
sessions as (
  select
    a.pid,
    a.usename,
    a.application_name,
    a.state,
    a.backend_type,
    extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8 as transaction_seconds,
    extract(epoch from pg_catalog.clock_timestamp() - a.query_start)::float8 as query_seconds,
    a.backend_xmin is not null
      and a.backend_type is distinct from 'autovacuum worker'
      and not exists (select from pg_catalog.pg_stat_progress_vacuum as v where v.pid = a.pid)
      and not exists (
        select
        from pg_catalog.pg_stat_progress_create_index as b
        join pg_catalog.pg_index as i on i.indexrelid = b.index_relid
        where b.pid = a.pid
          and b.command like '%CONCURRENTLY'
          and i.indexprs is null
          and i.indpred is null
          and pg_catalog.current_setting('server_version_num')::int4 >= 140000
      ) as snapshot
  from pg_catalog.pg_stat_activity as a
  where a.datname = pg_catalog.current_database()
    and a.pid <> all ($2::int4[])
    and a.pid <> pg_catalog.pg_backend_pid()
    and (
      a.xact_start is not null
      or a.backend_xmin is not null
      or exists (select from locks as l where l.pid = a.pid)
    )
)
select
  s.pid::int4 as pid,
  s.usename::text as role,
  s.application_name::text as application_name,
  s.state::text as state,
  s.backend_type::text as backend_type,
  s.transaction_seconds,
  s.query_seconds,
  s.snapshot,
  k.name as relation,
  k.mode::text as mode,
  null::text as gid
from sessions as s
left join lateral (
  select l.name, l.mode from locks as l where l.pid = s.pid order by l.name, l.mode limit 1
) as k on true
union all
select
  0,
  p.owner::text,
  null,
  null,
  null,
  extract(epoch from pg_catalog.clock_timestamp() - p.prepared)::float8,
  null,
  false,
  k.name,
  k.mode::text,
  p.gid::text
from pg_catalog.pg_prepared_xacts as p
left join lateral (
  select l.name, l.mode
  from locks as l
  where l.pid is null
    and exists (
      select
      from pg_catalog.pg_locks as x
      where x.virtualtransaction = l.virtualtransaction
        and x.locktype = 'transactionid'
        and x.transactionid = p.transaction
    )
  order by l.name, l.mode
  limit 1
) as k on true
where p.database = pg_catalog.current_database()
order by 1, 11
