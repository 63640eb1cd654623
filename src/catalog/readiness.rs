//! What `dbops doctor` reads beyond the catalog: rights, settings, extensions, broken indexes.

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use tokio_postgres::Transaction;

use super::model::Catalog;
use super::rows::{Reader, get, name};
use crate::ident::{QualifiedName, quote_ident};
use crate::sql;

/// Rights, settings and figures of a server as the current role sees them; `None` is unknown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Readiness {
    /// Whether the role may create schemas in the database.
    pub creates_schemas: bool,
    /// Whether the schema `dbops` exists.
    pub history_schema: bool,
    /// Whether the role may use that schema.
    pub history_usable: bool,
    /// Whether the role sees what other roles' sessions do (`pg_read_all_stats`, in `pg_monitor`).
    pub reads_all_stats: bool,
    /// `max_connections`.
    pub max_connections: i64,
    /// Connections kept for superusers and `pg_use_reserved_connections`.
    pub reserved_connections: i64,
    /// Server processes connected to a database.
    pub backends: Option<i64>,
    /// `max_prepared_transactions`.
    pub max_prepared_transactions: i64,
    /// `enable_partition_pruning` as the role gets it.
    pub partition_pruning: Option<bool>,
    /// `lock_timeout` as the role gets it.
    pub lock_timeout_ms: Option<i64>,
    /// `statement_timeout` as the role gets it.
    pub statement_timeout_ms: Option<i64>,
    /// `shared_preload_libraries`; only some roles may read it.
    pub preloaded: Option<String>,
    /// Extensions that matter, installed or available.
    pub extensions: Vec<Extension>,
    /// Tables that pg_partman maintains; `None`: it is installed and its configuration is closed to the role.
    pub partman_tables: Option<Vec<String>>,
    /// Statistics of partitioned tables, by oid.
    pub parents: Vec<Parent>,
    /// Invalid indexes of partitioned tables and their partitions.
    pub invalid_indexes: Vec<InvalidIndex>,
}

/// An extension on the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// The version that `create extension` would install.
    pub available: Option<String>,
    /// The version installed in the database.
    pub installed: Option<String>,
    /// The schema that it is installed in.
    pub schema: Option<String>,
    /// Whether the role may read pg_partman's configuration.
    pub config_readable: Option<bool>,
}

/// Statistics of one partitioned table.
#[derive(Debug, Clone, PartialEq)]
pub struct Parent {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Whether it was ever analyzed; `None`: the server does not record it.
    pub analyzed: Option<bool>,
    /// When last, where the server counted it.
    pub analyzed_at: Option<DateTime<Utc>>,
}

/// An index that queries do not use and writes maintain.
#[derive(Debug, Clone, PartialEq)]
pub struct InvalidIndex {
    /// The index.
    pub index: QualifiedName,
    /// Its table.
    pub table: QualifiedName,
    /// Whether it is the index of a partitioned table.
    pub partitioned: bool,
}

/// Reads it in the transaction in which the catalog was read.
///
/// # Errors
/// Names the query that failed.
pub async fn read(tx: &Transaction<'_>, catalog: &Catalog) -> Result<Readiness> {
    let reader = Reader {
        tx,
        version_num: catalog.server.version_num,
    };
    let mut readiness = reader
        .list(&sql::READINESS, &[], |row| {
            Ok(Readiness {
                creates_schemas: get(row, "creates_schemas")?,
                history_schema: get(row, "history_schema")?,
                history_usable: get(row, "history_usable")?,
                reads_all_stats: get(row, "reads_all_stats")?,
                max_connections: get(row, "max_connections")?,
                reserved_connections: get(row, "reserved_connections")?,
                backends: get(row, "backends")?,
                max_prepared_transactions: get(row, "max_prepared_transactions")?,
                partition_pruning: get(row, "partition_pruning")?,
                lock_timeout_ms: get(row, "lock_timeout_ms")?,
                statement_timeout_ms: get(row, "statement_timeout_ms")?,
                preloaded: get(row, "preloaded")?,
                ..Readiness::default()
            })
        })
        .await?
        .pop()
        .context("the server did not describe its database")?;
    readiness.extensions = reader
        .list(&sql::EXTENSIONS, &[], |row| {
            Ok(Extension {
                name: get(row, "name")?,
                available: get(row, "available")?,
                installed: get(row, "installed")?,
                schema: get(row, "schema_name")?,
                config_readable: get(row, "config_readable")?,
            })
        })
        .await?;
    readiness.partman_tables = partman(tx, &readiness.extensions).await?;
    let parents: Vec<u32> = catalog.tables.iter().map(|table| table.oid).collect();
    readiness.parents = reader
        .list(&sql::PARENTS, &[&parents], |row| {
            Ok(Parent {
                oid: get(row, "table_oid")?,
                analyzed: get(row, "analyzed")?,
                analyzed_at: get(row, "analyzed_at")?,
            })
        })
        .await?;
    let relations: Vec<u32> = catalog
        .tables
        .iter()
        .flat_map(|table| {
            std::iter::once(table.oid).chain(table.partitions.iter().map(|part| part.oid))
        })
        .collect();
    readiness.invalid_indexes = reader
        .list(&sql::INVALID_INDEXES, &[&relations], |row| {
            Ok(InvalidIndex {
                index: name(row)?,
                table: QualifiedName::new(
                    get::<String>(row, "table_schema")?,
                    get::<String>(row, "table_name")?,
                ),
                partitioned: get(row, "partitioned")?,
            })
        })
        .await?;
    Ok(readiness)
}

/// Reads the tables that pg_partman maintains: its schema is whatever its administrator chose.
async fn partman(tx: &Transaction<'_>, extensions: &[Extension]) -> Result<Option<Vec<String>>> {
    let installed = extensions
        .iter()
        .find(|extension| extension.name == "pg_partman" && extension.installed.is_some());
    let Some((extension, schema)) = installed.and_then(|e| Some((e, e.schema.as_ref()?))) else {
        return Ok(Some(Vec::new()));
    };
    if extension.config_readable != Some(true) {
        return Ok(None);
    }
    let rows = tx
        .query_typed(
            &format!(
                "select parent_table::pg_catalog.text from {}.part_config order by 1",
                quote_ident(schema)
            ),
            &[],
        )
        .await
        .context("reading the configuration of pg_partman")?;
    let tables = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<Vec<String>, _>>();
    Ok(Some(
        tables.context("reading the configuration of pg_partman")?,
    ))
}
