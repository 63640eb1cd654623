//! Queries on the health of a server: ages, sizes, archiving.

use tokio_postgres::types::Type;

use super::Query;

/// Whether the role may see WAL files, and how archiving stands.
pub static SERVER: Query = Query {
    name: "health_server",
    variants: &[(13, catalog_query!("health_server.sql"))],
    params: &[],
    columns: &[
        ("may_list_wal", Type::BOOL),
        ("may_list_archive", Type::BOOL),
        ("archive_mode", Type::TEXT),
        ("in_recovery", Type::BOOL),
        ("archived_count", Type::INT8),
        ("failed_count", Type::INT8),
        ("last_archived_time", Type::TIMESTAMPTZ),
        ("last_failed_time", Type::TIMESTAMPTZ),
        ("last_failed_wal", Type::TEXT),
    ],
};

/// Every database with its ages and its size.
pub static DATABASES: Query = Query {
    name: "health_databases",
    variants: &[(13, catalog_query!("health_databases.sql"))],
    params: &[Type::BOOL],
    columns: &[
        ("name", Type::TEXT),
        ("xid_age", Type::INT8),
        ("mxid_age", Type::INT8),
        ("bytes", Type::INT8),
    ],
};

/// The WAL folder.
pub static WAL: Query = Query {
    name: "health_wal",
    variants: &[(13, catalog_query!("health_wal.sql"))],
    params: &[],
    columns: &[("bytes", Type::INT8)],
};

/// WAL files that wait to be archived.
pub static ARCHIVE: Query = Query {
    name: "health_archive",
    variants: &[(13, catalog_query!("health_archive.sql"))],
    params: &[],
    columns: &[("waiting", Type::INT8), ("oldest_seconds", Type::FLOAT8)],
};
