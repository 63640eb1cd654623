//! Queries of the index commands; see the parent module.

use tokio_postgres::types::Type;

use super::Query;

/// Tables with their partitions.
pub static TABLES: Query = Query {
    name: "index_tables",
    variants: &[(13, catalog_query!("index_tables.sql"))],
    params: &[
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
    ],
    columns: &[
        ("oid", Type::OID),
        ("schema_name", Type::TEXT),
        ("name", Type::TEXT),
        ("kind", Type::TEXT),
        ("owner", Type::TEXT),
        ("owns", Type::BOOL),
        ("creates", Type::BOOL),
        ("readable", Type::BOOL),
        ("temporary", Type::BOOL),
        ("parent_schema", Type::TEXT),
        ("parent_name", Type::TEXT),
        ("partition_key", Type::TEXT_ARRAY),
        ("row_count", Type::FLOAT8),
        ("pages", Type::INT4),
    ],
};

/// Columns of tables.
pub static COLUMNS: Query = Query {
    name: "index_columns",
    variants: &[(13, catalog_query!("index_columns.sql"))],
    params: &[Type::OID_ARRAY],
    columns: &[
        ("table_oid", Type::OID),
        ("name", Type::TEXT),
        ("type_name", Type::TEXT),
        ("not_null", Type::BOOL),
        ("collation_schema", Type::TEXT),
        ("collation_name", Type::TEXT),
        ("width", Type::INT4),
    ],
};

/// Statistics of columns.
pub static STATISTICS: Query = Query {
    name: "index_statistics",
    variants: &[(13, catalog_query!("index_statistics.sql"))],
    params: &[Type::OID_ARRAY],
    columns: &[
        ("table_oid", Type::OID),
        ("name", Type::TEXT),
        ("width", Type::INT4),
        ("n_distinct", Type::FLOAT4),
        ("null_fraction", Type::FLOAT4),
    ],
};

/// Sizes and counters of tables and their indexes.
pub static USAGE: Query = Query {
    name: "index_usage",
    variants: &[(13, catalog_query!("index_usage.sql"))],
    params: &[Type::OID_ARRAY],
    columns: &[
        ("oid", Type::OID),
        ("bytes", Type::INT8),
        ("scans", Type::INT8),
        ("inserts", Type::INT8),
        ("updates", Type::INT8),
        ("hot_updates", Type::INT8),
        ("deletes", Type::INT8),
    ],
};

/// Foreign keys of tables.
pub static FOREIGN_KEYS: Query = Query {
    name: "index_foreign_keys",
    variants: &[(13, catalog_query!("index_foreign_keys.sql"))],
    params: &[Type::OID_ARRAY],
    columns: &[
        ("table_oid", Type::OID),
        ("name", Type::TEXT),
        ("references_schema", Type::TEXT),
        ("references_name", Type::TEXT),
        ("columns", Type::TEXT_ARRAY),
    ],
};

/// Indexes of tables.
pub static LIST: Query = Query {
    name: "index_list",
    variants: &[(13, catalog_query!("index_list.sql"))],
    params: &[Type::OID_ARRAY],
    columns: &[
        ("table_oid", Type::OID),
        ("oid", Type::OID),
        ("schema_name", Type::TEXT),
        ("name", Type::TEXT),
        ("definition", Type::TEXT),
        ("columns", Type::TEXT_ARRAY),
        ("opclass_schemas", Type::TEXT_ARRAY),
        ("opclass_names", Type::TEXT_ARRAY),
        ("collation_schemas", Type::TEXT_ARRAY),
        ("collation_names", Type::TEXT_ARRAY),
        ("partitioned", Type::BOOL),
        ("parent_schema", Type::TEXT),
        ("parent_name", Type::TEXT),
        ("valid", Type::BOOL),
        ("ready", Type::BOOL),
        ("live", Type::BOOL),
        ("immediate", Type::BOOL),
        ("clustered", Type::BOOL),
        ("replica_identity", Type::BOOL),
        ("constraint_name", Type::TEXT),
        ("constraint_kind", Type::TEXT),
        ("constraint_deferrable", Type::BOOL),
        ("referencing_schemas", Type::TEXT_ARRAY),
        ("referencing_names", Type::TEXT_ARRAY),
        ("tablespace", Type::TEXT),
        ("reloptions", Type::TEXT_ARRAY),
        ("comment", Type::TEXT),
        ("statistics_positions", Type::INT2_ARRAY),
        ("statistics_targets", Type::INT2_ARRAY),
        ("of_extension", Type::BOOL),
    ],
};

/// Operator classes.
pub static OPCLASSES: Query = Query {
    name: "index_opclasses",
    variants: &[(13, catalog_query!("index_opclasses.sql"))],
    params: &[],
    columns: &[
        ("method", Type::TEXT),
        ("name", Type::TEXT),
        ("schema_name", Type::TEXT),
        ("type_name", Type::TEXT),
        ("is_default", Type::BOOL),
    ],
};

/// Tablespaces.
pub static TABLESPACES: Query = Query {
    name: "index_tablespaces",
    variants: &[(13, catalog_query!("index_tablespaces.sql"))],
    params: &[],
    columns: &[("name", Type::TEXT), ("of_database", Type::BOOL)],
};

/// Where the server's files are, for a session on the same machine.
pub static DATA_DIRECTORY: Query = Query {
    name: "data_directory",
    variants: &[(13, catalog_query!("data_directory.sql"))],
    params: &[],
    columns: &[("path", Type::TEXT)],
};

/// Relations that hold names.
pub static NAMES: Query = Query {
    name: "index_names",
    variants: &[(13, catalog_query!("index_names.sql"))],
    params: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
    columns: &[
        ("schema_name", Type::TEXT),
        ("name", Type::TEXT),
        ("kind", Type::TEXT),
        ("table_schema", Type::TEXT),
        ("table_name", Type::TEXT),
    ],
};

/// Builds in flight.
pub static BUILDS: Query = Query {
    name: "index_builds",
    variants: &[(13, catalog_query!("index_builds.sql"))],
    params: &[],
    columns: &[
        ("pid", Type::INT4),
        ("application", Type::TEXT),
        ("role", Type::TEXT),
        ("table_schema", Type::TEXT),
        ("table_name", Type::TEXT),
        ("index_schema", Type::TEXT),
        ("index_name", Type::TEXT),
        ("in_progress", Type::BOOL),
        ("command", Type::TEXT),
        ("phase", Type::TEXT),
        ("granted", Type::BOOL),
        ("done", Type::FLOAT8),
        ("seconds", Type::FLOAT8),
        ("state", Type::TEXT),
        ("query", Type::TEXT),
        ("has_invalid", Type::BOOL),
    ],
};

/// Kinds of tables and the schemas of their roots.
pub static ROOTS: Query = Query {
    name: "index_roots",
    variants: &[(13, catalog_query!("index_roots.sql"))],
    params: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
    columns: &[
        ("position", Type::INT8),
        ("kind", Type::TEXT),
        ("readable", Type::BOOL),
        ("root_schema", Type::TEXT),
    ],
};

/// Collations by name.
pub static COLLATIONS: Query = Query {
    name: "index_collations",
    variants: &[(13, catalog_query!("index_collations.sql"))],
    params: &[Type::TEXT_ARRAY],
    columns: &[("schema_name", Type::TEXT), ("name", Type::TEXT)],
};

/// Where `pg_stat_statements` is.
pub static STATEMENT_SCHEMA: Query = Query {
    name: "index_statement_schema",
    variants: &[(13, catalog_query!("index_statement_schema.sql"))],
    params: &[],
    columns: &[("schema_name", Type::TEXT)],
};
