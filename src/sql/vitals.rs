//! Queries on what a server is read for at each look: its cache, its files, what is prepared.

use tokio_postgres::types::Type;

use super::Query;

/// Blocks of the connected database.
pub static DATABASE: Query = Query {
    name: "vitals_database",
    variants: &[(13, catalog_query!("vitals_database.sql"))],
    params: &[],
    columns: &[
        ("database", Type::TEXT),
        ("blks_hit", Type::INT8),
        ("blks_all", Type::INT8),
        ("epoch", Type::TEXT),
    ],
};

/// The server's files, and prepared transactions.
pub static SERVER: Query = Query {
    name: "vitals_server",
    variants: &[(13, catalog_query!("vitals_server.sql"))],
    params: &[],
    columns: &[
        ("data_directory", Type::TEXT),
        ("system_identifier", Type::INT8),
        ("reads_all_stats", Type::BOOL),
        ("prepared_oldest_s", Type::FLOAT8),
        ("prepared", Type::INT8),
    ],
};
