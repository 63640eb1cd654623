//! Queries of `dbops replication`; see the parent module.

use tokio_postgres::types::Type;

use super::Query;

/// How far a server is, and how to go on with it.
pub static LOOK: Query = Query {
    name: "replication_look",
    variants: &[(13, catalog_query!("replication_look.sql"))],
    params: &[],
    columns: &[
        ("clock", Type::FLOAT8),
        ("in_recovery", Type::BOOL),
        ("flushed", Type::TEXT),
        ("received", Type::TEXT),
        ("replayed", Type::TEXT),
        ("paused", Type::BOOL),
        ("receives", Type::BOOL),
        ("restores", Type::BOOL),
        ("apply_delay_ms", Type::INT8),
        ("system_identifier", Type::TEXT),
        ("may_list_wal", Type::BOOL),
        ("may_list_archive", Type::BOOL),
        ("may_read_checkpoint", Type::BOOL),
    ],
};

/// Positions and the clock.
pub static POSITION: Query = Query {
    name: "replication_position",
    variants: &[(13, catalog_query!("replication_position.sql"))],
    params: &[],
    columns: &[
        ("clock", Type::FLOAT8),
        ("in_recovery", Type::BOOL),
        ("flushed", Type::TEXT),
        ("received", Type::TEXT),
        ("replayed", Type::TEXT),
    ],
};

/// The server as a node.
pub static NODE: Query = Query {
    name: "replication_node",
    variants: &[
        (13, catalog_query!("replication_node.sql")),
        (14, catalog_query!("replication_node.pg14.sql")),
    ],
    params: &[],
    columns: &[
        ("system_identifier", Type::TEXT),
        ("version", Type::TEXT),
        ("role", Type::TEXT),
        ("reads_all_stats", Type::BOOL),
        ("in_recovery", Type::BOOL),
        ("timeline_hex", Type::TEXT),
        ("commit_age", Type::FLOAT8),
        ("pause_requested", Type::BOOL),
        ("pause_state", Type::TEXT),
        ("segment_bytes", Type::INT8),
        ("status_interval_s", Type::INT8),
        ("apply_delay_ms", Type::INT8),
        ("restores", Type::BOOL),
        ("feedback", Type::BOOL),
        ("synchronous_names", Type::TEXT),
        ("slot_keep_mb", Type::INT8),
        ("sync_waiting", Type::INT8),
        ("sync_waiting_s", Type::FLOAT8),
    ],
};

/// What a primary has written since its last checkpoint.
pub static CHECKPOINT: Query = Query {
    name: "replication_checkpoint",
    variants: &[(13, catalog_query!("replication_checkpoint.sql"))],
    params: &[],
    columns: &[
        ("bytes", Type::INT8),
        ("checkpoint_age", Type::FLOAT8),
        ("start_age", Type::FLOAT8),
    ],
};

/// Who receives WAL.
pub static SENDERS: Query = Query {
    name: "replication_senders",
    variants: &[(13, catalog_query!("replication_senders.sql"))],
    params: &[],
    columns: &[
        ("pid", Type::INT4),
        ("application_name", Type::TEXT),
        ("client_address", Type::TEXT),
        ("state", Type::TEXT),
        ("sent", Type::TEXT),
        ("written", Type::TEXT),
        ("flushed", Type::TEXT),
        ("replayed", Type::TEXT),
        ("write_lag_s", Type::FLOAT8),
        ("flush_lag_s", Type::FLOAT8),
        ("replay_lag_s", Type::FLOAT8),
        ("sync_priority", Type::INT4),
        ("sync_state", Type::TEXT),
        ("reply_age_s", Type::FLOAT8),
        ("slot_name", Type::TEXT),
        ("slot_type", Type::TEXT),
    ],
};

/// The process that receives WAL.
pub static RECEIVER: Query = Query {
    name: "replication_receiver",
    variants: &[(13, catalog_query!("replication_receiver.sql"))],
    params: &[],
    columns: &[
        ("pid", Type::INT4),
        ("status", Type::TEXT),
        ("timeline", Type::INT4),
        ("flushed", Type::TEXT),
        ("sender_end", Type::TEXT),
        ("message_age_s", Type::FLOAT8),
        ("slot_name", Type::TEXT),
        ("sender_host", Type::TEXT),
        ("sender_port", Type::INT4),
        ("application_name", Type::TEXT),
    ],
};

/// Replication slots.
pub static SLOTS: Query = Query {
    name: "replication_slots",
    variants: &[
        (13, catalog_query!("replication_slots.sql")),
        (16, catalog_query!("replication_slots.pg16.sql")),
        (17, catalog_query!("replication_slots.pg17.sql")),
    ],
    params: &[],
    columns: &[
        ("name", Type::TEXT),
        ("kind", Type::TEXT),
        ("plugin", Type::TEXT),
        ("database_name", Type::TEXT),
        ("temporary", Type::BOOL),
        ("active", Type::BOOL),
        ("active_pid", Type::INT4),
        ("xmin_age", Type::INT4),
        ("catalog_xmin_age", Type::INT4),
        ("restart", Type::TEXT),
        ("confirmed", Type::TEXT),
        ("wal_status", Type::TEXT),
        ("safe_bytes", Type::INT8),
        ("conflicting", Type::BOOL),
        ("inactive_s", Type::FLOAT8),
        ("invalidation", Type::TEXT),
        ("failover", Type::BOOL),
        ("synced", Type::BOOL),
    ],
};

/// Subscriptions.
pub static SUBSCRIPTIONS: Query = Query {
    name: "replication_subscriptions",
    variants: &[
        (13, catalog_query!("replication_subscriptions.sql")),
        (14, catalog_query!("replication_subscriptions.pg14.sql")),
        (15, catalog_query!("replication_subscriptions.pg15.sql")),
        (16, catalog_query!("replication_subscriptions.pg16.sql")),
        (18, catalog_query!("replication_subscriptions.pg18.sql")),
    ],
    params: &[],
    columns: &[
        ("name", Type::TEXT),
        ("database_name", Type::TEXT),
        ("enabled", Type::BOOL),
        ("slot_name", Type::TEXT),
        ("pid", Type::INT4),
        ("received", Type::TEXT),
        ("reported", Type::TEXT),
        ("message_age_s", Type::FLOAT8),
        ("apply_errors", Type::INT8),
        ("sync_errors", Type::INT8),
        ("conflicts", Type::INT8),
    ],
};

/// Queries that replay cancelled.
pub static CONFLICTS: Query = Query {
    name: "replication_conflicts",
    variants: &[
        (13, catalog_query!("replication_conflicts.sql")),
        (16, catalog_query!("replication_conflicts.pg16.sql")),
    ],
    params: &[],
    columns: &[
        ("tablespace", Type::INT8),
        ("lock", Type::INT8),
        ("snapshot", Type::INT8),
        ("bufferpin", Type::INT8),
        ("deadlock", Type::INT8),
        ("logical_slot", Type::INT8),
    ],
};

/// What holds back xmin.
pub static HOLDERS: Query = Query {
    name: "replication_holders",
    variants: &[(13, catalog_query!("replication_holders.sql"))],
    params: &[],
    columns: &[
        ("kind", Type::TEXT),
        ("name", Type::TEXT),
        ("pid", Type::INT4),
        ("xids", Type::INT4),
        ("seconds", Type::FLOAT8),
    ],
};
