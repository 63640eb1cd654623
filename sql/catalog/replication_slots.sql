-- Replication slots: what they keep and whether they still can.
select
    s.slot_name::pg_catalog.text as name,
    s.slot_type as kind,
    s.plugin::pg_catalog.text as plugin,
    s.database::pg_catalog.text as database_name,
    s.temporary,
    s.active,
    s.active_pid,
    pg_catalog.age(s.xmin) as xmin_age,
    pg_catalog.age(s.catalog_xmin) as catalog_xmin_age,
    s.restart_lsn::pg_catalog.text as restart,
    s.confirmed_flush_lsn::pg_catalog.text as confirmed,
    s.wal_status,
    s.safe_wal_size as safe_bytes,
    null::pg_catalog.bool as conflicting,
    null::pg_catalog.float8 as inactive_s,
    null::pg_catalog.text as invalidation,
    null::pg_catalog.bool as failover,
    null::pg_catalog.bool as synced
from pg_catalog.pg_replication_slots as s
order by 1;
