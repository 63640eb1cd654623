//! Queries of `dbops indexes advise`; see the parent module.

use tokio_postgres::types::Type;

use super::Query;

/// Age of the statistics, rights and helping extensions.
pub static SERVER: Query = Query {
    name: "advise_server",
    variants: &[(13, catalog_query!("advise_server.sql"))],
    params: &[],
    columns: &[
        ("stats_seconds", Type::FLOAT8),
        ("reads_all_stats", Type::BOOL),
        ("hypopg_schema", Type::TEXT),
        ("pgstattuple_schema", Type::TEXT),
    ],
};

/// Scans of indexes on one node.
pub static USAGE: Query = Query {
    name: "advise_usage",
    variants: &[
        (13, catalog_query!("advise_usage.sql")),
        (16, catalog_query!("advise_usage.pg16.sql")),
    ],
    params: &[],
    columns: &[
        ("schema_name", Type::TEXT),
        ("name", Type::TEXT),
        ("scans", Type::INT8),
        ("last_scan_seconds", Type::FLOAT8),
    ],
};

/// Fill factor of tables and updates that went to another page.
pub static TABLES: Query = Query {
    name: "advise_tables",
    variants: &[
        (13, catalog_query!("advise_tables.sql")),
        (16, catalog_query!("advise_tables.pg16.sql")),
    ],
    params: &[Type::OID_ARRAY],
    columns: &[
        ("table_oid", Type::OID),
        ("fillfactor", Type::INT4),
        ("newpage_updates", Type::INT8),
    ],
};

/// Foreign keys with the writes to the referenced tables.
pub static FOREIGN_KEYS: Query = Query {
    name: "advise_foreign_keys",
    variants: &[(13, catalog_query!("advise_foreign_keys.sql"))],
    params: &[],
    columns: &[
        ("table_oid", Type::OID),
        ("name", Type::TEXT),
        ("parent_schema", Type::TEXT),
        ("parent_name", Type::TEXT),
        ("columns", Type::TEXT_ARRAY),
        ("on_delete", Type::TEXT),
        ("deletes", Type::INT8),
        ("updates", Type::INT8),
    ],
};

/// Statistics of the columns of large indexes.
pub static WIDTHS: Query = Query {
    name: "advise_widths",
    variants: &[(13, catalog_query!("advise_widths.sql"))],
    params: &[Type::OID_ARRAY],
    columns: &[
        ("index_oid", Type::OID),
        ("pages", Type::INT4),
        ("tuples", Type::FLOAT8),
        ("is_key", Type::BOOL),
        ("column_name", Type::TEXT),
        ("type_name", Type::TEXT),
        ("width", Type::INT4),
        ("null_fraction", Type::FLOAT8),
        ("n_distinct", Type::FLOAT8),
        ("alignment", Type::TEXT),
        ("deterministic", Type::BOOL),
    ],
};

/// Sessions that hold locks such as index builds hold.
pub static HOLDERS: Query = Query {
    name: "advise_holders",
    variants: &[(13, catalog_query!("advise_holders.sql"))],
    params: &[Type::OID_ARRAY],
    columns: &[("relation_oid", Type::OID), ("pid", Type::INT4)],
};
