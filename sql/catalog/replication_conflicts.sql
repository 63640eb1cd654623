-- Queries that replay cancelled on this replica since its statistics began, by what they were in the way of.
select
    pg_catalog.sum(c.confl_tablespace)::pg_catalog.int8 as tablespace,
    pg_catalog.sum(c.confl_lock)::pg_catalog.int8 as lock,
    pg_catalog.sum(c.confl_snapshot)::pg_catalog.int8 as snapshot,
    pg_catalog.sum(c.confl_bufferpin)::pg_catalog.int8 as bufferpin,
    pg_catalog.sum(c.confl_deadlock)::pg_catalog.int8 as deadlock,
    null::pg_catalog.int8 as logical_slot
from pg_catalog.pg_stat_database_conflicts as c
order by 1;
