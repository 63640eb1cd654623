//! Index of `sql/catalog/`: each query by name, its variants by server version, its parameters and columns.
//!
//! Version choice is a lookup here and an `if` nowhere. Names sort as the type `name` does, which is
//! collation "C" on every server, and what a union sorts as text is sorted again in Rust, so that
//! output order never depends on a database's locale.

use std::ops::RangeInclusive;

use tokio_postgres::types::Type;

/// Major versions that dbops is tested with; below: refused, above: a warning.
pub const SUPPORTED: RangeInclusive<i32> = 13..=18;

/// One query of `sql/catalog/`.
#[derive(Debug)]
pub struct Query {
    /// Name of the file without `.sql`.
    pub name: &'static str,
    /// Texts with the lowest major that understands them, ascending.
    pub variants: &'static [(i32, &'static str)],
    /// Types of `$1`, `$2` …
    pub params: &'static [Type],
    /// Columns of every variant, in order.
    pub columns: &'static [(&'static str, Type)],
}

/// Returns a query with the comment by which dbops's own statements are told apart in `pg_stat_statements`. It stands
/// behind the first word, because what stands before it is not part of the text on every version.
pub fn marked(text: &str) -> String {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if !line.starts_with("--") && !line.trim().is_empty() {
            break;
        }
        at += line.len();
    }
    let rest = text.get(at..).unwrap_or_default();
    let word = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
    let (head, tail) = text.split_at(at + word);
    format!("{head} /* dbops */{tail}")
}

/// Returns the text for a server: the greatest variant not above `server_version_num`.
///
/// Below the lowest variant it is the lowest, and the server says what it does not understand.
pub fn pick(query: &Query, server_version_num: i32) -> &'static str {
    let major = server_version_num / 10_000;
    query
        .variants
        .iter()
        .rev()
        .find(|(lowest, _)| *lowest <= major)
        .or(query.variants.first())
        .map_or("", |(_, text)| text)
}

macro_rules! catalog_query {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/catalog/", $file))
    };
}

pub mod advise;
pub mod health;
pub mod indexes;
pub mod pool;
pub mod replication;
pub mod vitals;

/// The server and the role.
pub static SERVER: Query = Query {
    name: "server",
    variants: &[(13, catalog_query!("server.sql"))],
    params: &[],
    columns: &[
        ("version_num", Type::INT4),
        ("version", Type::TEXT),
        ("database", Type::TEXT),
        ("role", Type::TEXT),
        ("superuser", Type::BOOL),
        ("in_recovery", Type::BOOL),
        ("default_read_only", Type::BOOL),
        ("time_zone", Type::TEXT),
        ("deadlock_timeout_ms", Type::INT8),
        ("max_locks_per_transaction", Type::INT8),
        ("encoding", Type::TEXT),
    ],
};

/// Columns, keys and foreign keys of all tables.
pub static KEYS: Query = Query {
    name: "keys",
    variants: &[(13, catalog_query!("keys.sql"))],
    params: &[],
    columns: &[
        ("table_oid", Type::OID),
        ("schema_name", Type::TEXT),
        ("name", Type::TEXT),
        ("columns", Type::TEXT_ARRAY),
        ("types", Type::TEXT_ARRAY),
        ("keys", Type::JSONB),
        ("foreign_keys", Type::JSONB),
    ],
};

/// Partitioned tables.
pub static TABLES: Query = Query {
    name: "tables",
    variants: &[(13, catalog_query!("tables.sql"))],
    params: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
    columns: &[
        ("oid", Type::OID),
        ("schema_name", Type::TEXT),
        ("name", Type::TEXT),
        ("owner", Type::TEXT),
        ("parent_schema", Type::TEXT),
        ("parent_name", Type::TEXT),
        ("strategy", Type::TEXT),
        ("key_columns", Type::TEXT_ARRAY),
        ("key_types", Type::TEXT_ARRAY),
        ("key_definition", Type::TEXT),
        ("tablespace", Type::TEXT),
        ("access_method", Type::TEXT),
        ("replica_identity", Type::TEXT),
        ("replica_index", Type::TEXT),
        ("row_security", Type::BOOL),
        ("force_row_security", Type::BOOL),
        ("comment", Type::TEXT),
        ("has_acl", Type::BOOL),
        ("persistence", Type::TEXT),
        ("owns", Type::BOOL),
    ],
};

/// Partitions of tables.
pub static PARTITIONS: Query = Query {
    name: "partitions",
    variants: &[
        (13, catalog_query!("partitions.sql")),
        (14, catalog_query!("partitions.pg14.sql")),
    ],
    params: &[Type::OID_ARRAY, Type::BOOL],
    columns: &[
        ("table_oid", Type::OID),
        ("oid", Type::OID),
        ("schema_name", Type::TEXT),
        ("name", Type::TEXT),
        ("kind", Type::TEXT),
        ("bound", Type::TEXT),
        ("detach_pending", Type::BOOL),
        ("rows_estimate", Type::INT8),
        ("bytes", Type::INT8),
        ("comment", Type::TEXT),
    ],
};

/// Columns of relations.
pub static COLUMNS: Query = Query {
    name: "columns",
    variants: &[(13, catalog_query!("columns.sql"))],
    params: &[Type::OID_ARRAY],
    columns: &[
        ("table_oid", Type::OID),
        ("name", Type::TEXT),
        ("type_name", Type::TEXT),
        ("not_null", Type::BOOL),
        ("identity", Type::TEXT),
        ("statistics_target", Type::INT4),
        ("options", Type::TEXT_ARRAY),
    ],
};

/// Uniqueness rules of tables.
pub static UNIQUES: Query = Query {
    name: "uniques",
    variants: &[(13, catalog_query!("uniques.sql"))],
    params: &[Type::OID_ARRAY],
    columns: &[
        ("table_oid", Type::OID),
        ("name", Type::TEXT),
        ("is_primary", Type::BOOL),
        ("columns", Type::TEXT_ARRAY),
    ],
};

/// Foreign keys from and to tables.
pub static FOREIGN_KEYS: Query = Query {
    name: "foreign_keys",
    variants: &[
        (13, catalog_query!("foreign_keys.sql")),
        (17, catalog_query!("foreign_keys.pg17.sql")),
    ],
    params: &[Type::OID_ARRAY],
    columns: &[
        ("table_oid", Type::OID),
        ("incoming", Type::BOOL),
        ("name", Type::TEXT),
        ("other_schema", Type::TEXT),
        ("other_name", Type::TEXT),
        ("other_partitioned", Type::BOOL),
        ("other_lockable", Type::BOOL),
        ("columns", Type::TEXT_ARRAY),
        ("referenced_columns", Type::TEXT_ARRAY),
    ],
};

/// Row security policies of tables.
pub static POLICIES: Query = Query {
    name: "policies",
    variants: &[(13, catalog_query!("policies.sql"))],
    params: &[Type::OID_ARRAY],
    columns: &[
        ("table_oid", Type::OID),
        ("name", Type::TEXT),
        ("permissive", Type::BOOL),
        ("command", Type::TEXT),
        ("roles", Type::TEXT_ARRAY),
        ("using_expression", Type::TEXT),
        ("check_expression", Type::TEXT),
    ],
};

/// Grants on tables and columns.
pub static GRANTS: Query = Query {
    name: "grants",
    variants: &[(13, catalog_query!("grants.sql"))],
    params: &[Type::OID_ARRAY],
    columns: &[
        ("table_oid", Type::OID),
        ("column_name", Type::TEXT),
        ("grantee", Type::TEXT),
        ("privilege", Type::TEXT),
        ("grantable", Type::BOOL),
    ],
};

/// Default privileges of the role's new tables.
pub static DEFAULT_GRANTS: Query = Query {
    name: "default_grants",
    variants: &[(13, catalog_query!("default_grants.sql"))],
    params: &[],
    columns: &[
        ("schema_name", Type::TEXT),
        ("grantee", Type::TEXT),
        ("privilege", Type::TEXT),
        ("grantable", Type::BOOL),
    ],
};

/// Schemas in which the role may create.
pub static SCHEMAS: Query = Query {
    name: "schemas",
    variants: &[(13, catalog_query!("schemas.sql"))],
    params: &[Type::TEXT_ARRAY],
    columns: &[("schema_name", Type::TEXT)],
};

/// Declared names that are not partitioned tables.
pub static OTHERS: Query = Query {
    name: "others",
    variants: &[(13, catalog_query!("others.sql"))],
    params: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
    columns: &[
        ("oid", Type::OID),
        ("schema_name", Type::TEXT),
        ("name", Type::TEXT),
        ("kind", Type::TEXT),
    ],
};

/// Tables that dbops detached.
pub static DETACHED: Query = Query {
    name: "detached",
    variants: &[
        (13, catalog_query!("detached.sql")),
        (14, catalog_query!("detached.pg14.sql")),
    ],
    params: &[Type::TEXT, Type::BOOL],
    columns: &[
        ("oid", Type::OID),
        ("schema_name", Type::TEXT),
        ("name", Type::TEXT),
        ("mark", Type::TEXT),
        ("owned", Type::BOOL),
        ("rows_estimate", Type::INT8),
        ("bytes", Type::INT8),
    ],
};

/// Objects that stop the drop of a table.
pub static DEPENDENTS: Query = Query {
    name: "dependents",
    variants: &[(13, catalog_query!("dependents.sql"))],
    params: &[Type::OID_ARRAY],
    columns: &[("table_oid", Type::OID), ("dependent", Type::TEXT)],
};

/// What holds names that new partitions would take.
pub static NAMES: Query = Query {
    name: "names",
    variants: &[(13, catalog_query!("names.sql"))],
    params: &[
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::OID_ARRAY,
        Type::TEXT,
    ],
    columns: &[
        ("position", Type::INT8),
        ("oid", Type::OID),
        ("kind", Type::TEXT),
        ("same_columns", Type::BOOL),
        ("owned", Type::BOOL),
        ("mark", Type::TEXT),
    ],
};

/// What the role and the settings are ready for.
pub static READINESS: Query = Query {
    name: "readiness",
    variants: &[(13, catalog_query!("readiness.sql"))],
    params: &[],
    columns: &[
        ("creates_schemas", Type::BOOL),
        ("history_schema", Type::BOOL),
        ("history_usable", Type::BOOL),
        ("reads_all_stats", Type::BOOL),
        ("max_connections", Type::INT8),
        ("reserved_connections", Type::INT8),
        ("backends", Type::INT8),
        ("max_prepared_transactions", Type::INT8),
        ("partition_pruning", Type::BOOL),
        ("lock_timeout_ms", Type::INT8),
        ("statement_timeout_ms", Type::INT8),
        ("preloaded", Type::TEXT),
    ],
};

/// Extensions that matter to dbops.
pub static EXTENSIONS: Query = Query {
    name: "extensions",
    variants: &[(13, catalog_query!("extensions.sql"))],
    params: &[],
    columns: &[
        ("name", Type::TEXT),
        ("available", Type::TEXT),
        ("installed", Type::TEXT),
        ("schema_name", Type::TEXT),
        ("config_readable", Type::BOOL),
    ],
};

/// Planner statistics of partitioned tables.
pub static PARENTS: Query = Query {
    name: "parents",
    variants: &[(13, catalog_query!("parents.sql"))],
    params: &[Type::OID_ARRAY],
    columns: &[
        ("table_oid", Type::OID),
        ("analyzed", Type::BOOL),
        ("analyzed_at", Type::TIMESTAMPTZ),
    ],
};

/// Invalid indexes of relations.
pub static INVALID_INDEXES: Query = Query {
    name: "invalid_indexes",
    variants: &[(13, catalog_query!("invalid_indexes.sql"))],
    params: &[Type::OID_ARRAY],
    columns: &[
        ("table_oid", Type::OID),
        ("table_schema", Type::TEXT),
        ("table_name", Type::TEXT),
        ("schema_name", Type::TEXT),
        ("name", Type::TEXT),
        ("partitioned", Type::BOOL),
    ],
};

/// Every query, for the tests that prepare them on each supported major.
pub static ALL: [&Query; 59] = [
    &advise::FOREIGN_KEYS,
    &advise::HOLDERS,
    &advise::SERVER,
    &advise::TABLES,
    &advise::USAGE,
    &advise::WIDTHS,
    &COLUMNS,
    &DEFAULT_GRANTS,
    &DEPENDENTS,
    &DETACHED,
    &EXTENSIONS,
    &FOREIGN_KEYS,
    &GRANTS,
    &health::ARCHIVE,
    &health::DATABASES,
    &health::SERVER,
    &health::WAL,
    &indexes::BUILDS,
    &indexes::COLLATIONS,
    &indexes::COLUMNS,
    &indexes::DATA_DIRECTORY,
    &indexes::FOREIGN_KEYS,
    &indexes::LIST,
    &indexes::NAMES,
    &indexes::OPCLASSES,
    &indexes::ROOTS,
    &indexes::STATEMENT_SCHEMA,
    &indexes::STATISTICS,
    &indexes::TABLES,
    &indexes::TABLESPACES,
    &indexes::USAGE,
    &INVALID_INDEXES,
    &KEYS,
    &NAMES,
    &OTHERS,
    &PARENTS,
    &PARTITIONS,
    &POLICIES,
    &pool::DATABASES,
    &pool::ROLES,
    &pool::SERVER,
    &pool::SESSIONS,
    &READINESS,
    &replication::CHECKPOINT,
    &replication::CONFLICTS,
    &replication::HOLDERS,
    &replication::LOOK,
    &replication::NODE,
    &replication::POSITION,
    &replication::RECEIVER,
    &replication::SENDERS,
    &replication::SLOTS,
    &replication::SUBSCRIPTIONS,
    &SCHEMAS,
    &SERVER,
    &TABLES,
    &UNIQUES,
    &vitals::DATABASE,
    &vitals::SERVER,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_variant_not_above_the_server_is_picked() {
        let query = Query {
            name: "three",
            variants: &[(13, "thirteen"), (14, "fourteen"), (17, "seventeen")],
            params: &[],
            columns: &[],
        };
        for (version, text) in [
            (120_022, "thirteen"),
            (130_000, "thirteen"),
            (139_999, "thirteen"),
            (140_000, "fourteen"),
            (160_014, "fourteen"),
            (170_000, "seventeen"),
            (190_000, "seventeen"),
        ] {
            assert_eq!(pick(&query, version), text, "server {version}");
        }
    }

    #[test]
    fn variants_ascend_and_begin_at_the_oldest_supported_major() {
        for query in ALL {
            assert_eq!(
                query.variants.first().map(|(lowest, _)| lowest),
                Some(SUPPORTED.start()),
                "{}",
                query.name
            );
            assert!(
                query.variants.is_sorted_by(|a, b| a.0 < b.0),
                "{}",
                query.name
            );
        }
    }
}
