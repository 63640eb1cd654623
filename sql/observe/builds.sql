-- Builds of indexes in flight in this database, and whether each is on table $1 (quoted, with schema). Columns are null where this role is not told
select
  p.pid::int4 as pid,
  p.relid = pg_catalog.to_regclass($1) as on_table,
  nullif(p.relid, 0)::int8 as table_oid,
  nullif(p.index_relid, 0)::int8 as index_oid,
  p.phase::text as phase,
  p.blocks_done::int8 as blocks_done,
  p.blocks_total::int8 as blocks_total,
  p.tuples_done::int8 as tuples_done,
  p.tuples_total::int8 as tuples_total,
  a.usename::text as role,
  a.application_name::text as application_name,
  a.state::text as state,
  a.backend_type::text as backend_type,
  extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8 as transaction_seconds,
  extract(epoch from pg_catalog.clock_timestamp() - a.query_start)::float8 as query_seconds,
  extract(epoch from a.backend_start)::float8 as backend_start
from pg_catalog.pg_stat_progress_create_index as p
left join pg_catalog.pg_stat_activity as a on a.pid = p.pid
where p.datname = pg_catalog.current_database()
order by p.pid
