-- A first look at a server: how far it is, what its clock says, whether it replays, and what the role may read.
select
    extract(epoch from pg_catalog.clock_timestamp())::pg_catalog.float8 as clock,
    pg_catalog.pg_is_in_recovery() as in_recovery,
    case
        when not pg_catalog.pg_is_in_recovery() then pg_catalog.pg_current_wal_flush_lsn()::pg_catalog.text
    end as flushed,
    case
        when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_receive_lsn()::pg_catalog.text
    end as received,
    case
        when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text
    end as replayed,
    case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_is_wal_replay_paused() end as paused,
    exists (
        select
        from pg_catalog.pg_stat_wal_receiver as w
    ) as receives,
    pg_catalog.current_setting('restore_command') <> '' as restores,
    (
        extract(epoch from pg_catalog.current_setting('recovery_min_apply_delay')::pg_catalog.interval) * 1000
    )::pg_catalog.int8 as apply_delay_ms,
    c.system_identifier::pg_catalog.text as system_identifier,
    pg_catalog.has_function_privilege('pg_catalog.pg_ls_waldir()', 'execute') as may_list_wal,
    pg_catalog.has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'execute') as may_list_archive,
    pg_catalog.has_function_privilege('pg_catalog.pg_control_checkpoint()', 'execute') as may_read_checkpoint
from pg_catalog.pg_control_system() as c
order by 1;
