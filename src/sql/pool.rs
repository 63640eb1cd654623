//! Index of the queries of `dbops pool`: capacity, sessions, limits of roles and databases.

use tokio_postgres::types::Type;

use super::Query;

/// Settings that bound connections, and what the role may see.
pub static SERVER: Query = Query {
    name: "pool_server",
    variants: &[(13, catalog_query!("pool_server.sql"))],
    params: &[],
    columns: &[
        ("version_num", Type::INT4),
        ("version", Type::TEXT),
        ("database", Type::TEXT),
        ("role", Type::TEXT),
        ("superuser", Type::BOOL),
        ("in_recovery", Type::BOOL),
        ("reads_all_stats", Type::BOOL),
        ("uses_reserved", Type::BOOL),
        ("max_connections", Type::INT8),
        ("superuser_reserved", Type::INT8),
        ("reserved", Type::INT8),
        ("idle_in_transaction_timeout_ms", Type::INT8),
        ("idle_session_timeout_ms", Type::INT8),
        ("transaction_timeout_ms", Type::INT8),
    ],
};

/// Every process that the server shows.
pub static SESSIONS: Query = Query {
    name: "pool_sessions",
    variants: &[(13, catalog_query!("pool_sessions.sql"))],
    params: &[Type::BOOL],
    columns: &[
        ("pid", Type::INT4),
        ("kind", Type::TEXT),
        ("role", Type::TEXT),
        ("database", Type::TEXT),
        ("application", Type::TEXT),
        ("client", Type::TEXT),
        ("state", Type::TEXT),
        ("wait_type", Type::TEXT),
        ("wait", Type::TEXT),
        ("connected_s", Type::FLOAT8),
        ("transaction_s", Type::FLOAT8),
        ("state_s", Type::FLOAT8),
        ("own", Type::BOOL),
        ("blocked_by", Type::INT4_ARRAY),
        ("query", Type::TEXT),
    ],
};

/// Roles that are limited, connected or named.
pub static ROLES: Query = Query {
    name: "pool_roles",
    variants: &[(13, catalog_query!("pool_roles.sql"))],
    params: &[Type::TEXT_ARRAY],
    columns: &[
        ("name", Type::TEXT),
        ("superuser", Type::BOOL),
        ("connection_limit", Type::INT4),
    ],
};

/// Databases with limits and what is counted of their sessions.
pub static DATABASES: Query = Query {
    name: "pool_databases",
    variants: &[
        (13, catalog_query!("pool_databases.sql")),
        (14, catalog_query!("pool_databases.pg14.sql")),
    ],
    params: &[],
    columns: &[
        ("name", Type::TEXT),
        ("connection_limit", Type::INT4),
        ("allows", Type::BOOL),
        ("counted_since", Type::TIMESTAMPTZ),
        ("sessions", Type::INT8),
        ("abandoned", Type::INT8),
        ("fatal", Type::INT8),
        ("killed", Type::INT8),
    ],
};
