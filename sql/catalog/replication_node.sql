-- The server as a node of a replication tree: its part, its timeline by the name of its WAL file, its settings, and
-- who waits for synchronous replicas. The timeline of pg_control would be that of the last checkpoint.
-- Settings are read once: each look at that view makes a row of every one.
select
    s.system_identifier::pg_catalog.text as system_identifier,
    pg_catalog.current_setting('server_version') as version,
    current_user::pg_catalog.text as role,
    pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage') as reads_all_stats,
    pg_catalog.pg_is_in_recovery() as in_recovery,
    case
        when not pg_catalog.pg_is_in_recovery()
            then pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()), 1, 8)
    end as timeline_hex,
    case
        when pg_catalog.pg_is_in_recovery()
            then
                extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::pg_catalog.float8
    end as commit_age,
    case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_is_wal_replay_paused() end as pause_requested,
    null::pg_catalog.text as pause_state,
    g.segment_bytes,
    g.status_interval_s,
    g.apply_delay_ms,
    pg_catalog.current_setting('restore_command') <> '' as restores,
    pg_catalog.current_setting('hot_standby_feedback') = 'on' as feedback,
    pg_catalog.current_setting('synchronous_standby_names') as synchronous_names,
    g.slot_keep_mb,
    w.sync_waiting,
    w.sync_waiting_s
from pg_catalog.pg_control_system() as s
cross join (
    select
        pg_catalog.max(v.setting) filter (where v.name = 'wal_segment_size')::pg_catalog.int8 as segment_bytes,
        pg_catalog.max(v.setting) filter (where v.name = 'wal_receiver_status_interval')::pg_catalog.int8 as status_interval_s,
        pg_catalog.max(v.setting) filter (where v.name = 'recovery_min_apply_delay')::pg_catalog.int8 as apply_delay_ms,
        pg_catalog.max(v.setting) filter (where v.name = 'max_slot_wal_keep_size')::pg_catalog.int8 as slot_keep_mb
    from pg_catalog.pg_settings as v
) as g
cross join (
    select
        pg_catalog.count(*) as sync_waiting,
        extract(epoch from pg_catalog.max(pg_catalog.clock_timestamp() - p.query_start))::pg_catalog.float8 as sync_waiting_s
    from pg_catalog.pg_stat_get_activity(null) as p
    where p.wait_event = 'SyncRep'
) as w
order by 1;
