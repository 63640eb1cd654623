//! Reads indexes and the tables they stand on, and answers what the index planner asks on top.
//!
//! Reading takes ACCESS SHARE for a moment: `pg_get_indexdef` on the table, `pg_relation_size` on what it
//! measures. Behind ACCESS EXCLUSIVE it waits for as long as the session's `lock_timeout` allows. An index
//! that goes away meanwhile is left out.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result};
use futures_util::try_join;
use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

pub use super::index_answer::answer;
use super::index_model::{
    IndexCatalog, IndexedTable, NamedRelation, OperatorClass, RunningBuild, TableColumn,
};
use super::read::TableScope;
use super::rows::{ByTable, Reader, get, name};
use super::{index_builds, index_list, server, tables};
use crate::ident::QualifiedName;
use crate::sql::indexes as sql;

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexScope {
    /// Which tables; partitions below them always come along. All: those of the system and temporary
    /// ones left out; those of extensions included and their indexes marked.
    pub tables: TableScope,
    /// Names of indexes: the tables they stand on come along; what else holds such a name ends up in
    /// [`IndexCatalog::others`].
    pub names: Vec<QualifiedName>,
}

/// As for the rest of the catalog: compiling and parallel workers take longer than running. Behind a queue
/// for ACCESS EXCLUSIVE on a table it is better to say who queues than to stand in it.
const FOR_CATALOG_QUERIES: &str = "set /* dbops */ local jit = off; set /* dbops */ local max_parallel_workers_per_gather = 0; set /* dbops */ local lock_timeout = '2s'";

/// How often reading begins again when a table went away under it.
const ATTEMPTS: u32 = 3;

/// Reads the tables of a scope with their indexes.
///
/// The caller opens the transaction: repeatable read, read only, empty search_path, TimeZone UTC and
/// DateStyle ISO, because the server prints definitions under these settings.
///
/// # Errors
/// Names the query that failed; a server older than PostgreSQL 13 is refused. A table that somebody holds in
/// ACCESS EXCLUSIVE for longer than `lock_timeout` is an error: its indexes are not known.
pub async fn read(tx: &Transaction<'_>, scope: &IndexScope) -> Result<IndexCatalog> {
    tx.batch_execute(FOR_CATALOG_QUERIES)
        .await
        .context("preparing to read the catalog")?;
    let (server, reader) = server::read(tx).await?;
    let (mut tables, mut others, running, opclasses, (tablespaces, default_tablespace), mut paths) =
        try_join!(
            read_tables(&reader, scope),
            read_names(&reader, &scope.names),
            read_builds(&reader),
            read_opclasses(&reader),
            read_tablespaces(&reader),
            reader.list(&sql::DATA_DIRECTORY, &[], |row| get::<Option<String>>(
                row, "path"
            )),
        )
        .context("reading the catalog")?;
    fill(&reader, &mut tables).await?;
    let read: HashSet<&QualifiedName> = tables.iter().map(|(table, _)| &table.name).collect();
    others.retain(|other| {
        other
            .index_of
            .as_ref()
            .is_none_or(|table| !read.contains(table))
    });
    Ok(IndexCatalog {
        server,
        tables: tables.into_iter().map(|(table, _)| table).collect(),
        others,
        running,
        opclasses,
        tablespaces,
        default_tablespace,
        data_directory: paths.pop().flatten(),
        free_bytes: None,
    })
}

/// What the server estimates of a table: rows and pages.
struct Estimate {
    rows: f64,
    pages: i32,
}

impl Estimate {
    /// Before PostgreSQL 14, and for a partitioned table, 0 rows on no page says that nobody looked.
    fn of(&self, table: &IndexedTable) -> Option<i64> {
        if self.rows >= 0.0 && (self.rows > 0.0 || self.pages > 0) {
            // Counts of rows are far from where a float ends.
            #[expect(clippy::cast_possible_truncation, reason = "saturates, which is meant")]
            return Some(self.rows as i64);
        }
        let stores_rows = matches!(
            table.kind,
            super::index_model::TableKind::Table | super::index_model::TableKind::MaterializedView
        );
        (stores_rows && table.bytes == 0).then_some(0)
    }
}

async fn read_tables(
    reader: &Reader<'_>,
    scope: &IndexScope,
) -> Result<Vec<(IndexedTable, Estimate)>> {
    let (schemas, names) = tables::names(&scope.tables).unzip();
    let (index_schemas, index_names) = parts(&scope.names);
    let mut list = reader
        .list(
            &sql::TABLES,
            &[&schemas, &names, &index_schemas, &index_names],
            index_list::table,
        )
        .await?
        .into_iter()
        .map(|(table, rows, pages)| (table, Estimate { rows, pages }))
        .collect::<Vec<_>>();
    let mut partitions: HashMap<QualifiedName, Vec<QualifiedName>> = HashMap::new();
    for (table, _) in &list {
        if let Some(parent) = &table.parent {
            partitions
                .entry(parent.clone())
                .or_default()
                .push(table.name.clone());
        }
    }
    for (table, _) in &mut list {
        table.partitions = partitions.remove(&table.name).unwrap_or_default();
        table.partitions.sort();
    }
    Ok(list)
}

/// Reads what belongs to the tables, again when one of them goes away meanwhile.
async fn fill(reader: &Reader<'_>, tables: &mut [(IndexedTable, Estimate)]) -> Result<()> {
    let oids: Vec<u32> = tables.iter().map(|(table, _)| table.oid).collect();
    let mut attempt = 1;
    let parts = loop {
        match savepoint(reader, read_parts(reader, &oids)).await? {
            Ok(parts) => break parts,
            Err(error) if attempt < ATTEMPTS && went_away(&error) => attempt += 1,
            Err(error) => return Err(error.context("reading the catalog")),
        }
    };
    let Parts {
        mut columns,
        statistics,
        mut indexes,
        mut foreign_keys,
        usage,
    } = parts;
    for (table, estimate) in tables {
        let oid = table.oid;
        if let Some(of_table) = usage.get(&oid) {
            table.bytes = of_table.bytes;
            table.writes = of_table.writes;
        }
        table.rows_estimate = estimate.of(table);
        table.columns = columns.remove(&oid).unwrap_or_default();
        if let Some(known) = statistics.get(&oid) {
            add_statistics(&mut table.columns, known);
        }
        table.foreign_keys = foreign_keys.remove(&oid).unwrap_or_default();
        // An index that went away has no definition.
        table.indexes = indexes
            .remove(&oid)
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        for index in &mut table.indexes {
            if let Some(of_index) = usage.get(&index.oid) {
                index.bytes = of_index.bytes;
                index.scans = of_index.scans;
            }
        }
    }
    Ok(())
}

/// What is read of all tables at once.
struct Parts {
    columns: ByTable<TableColumn>,
    statistics: ByTable<(String, TableColumn)>,
    indexes: ByTable<Option<super::index_model::LiveIndex>>,
    foreign_keys: ByTable<super::index_model::ChildForeignKey>,
    usage: HashMap<u32, index_list::Usage>,
}

async fn read_parts(reader: &Reader<'_>, oids: &[u32]) -> Result<Parts> {
    let of_oids: [&(dyn ToSql + Sync); 1] = [&oids];
    let (columns, statistics, indexes, foreign_keys, usage) = try_join!(
        reader.by_table(&sql::COLUMNS, oids, &[], index_list::column),
        reader.by_table(&sql::STATISTICS, oids, &[], index_list::statistics),
        reader.by_table(&sql::LIST, oids, &[], index_list::index),
        reader.by_table(&sql::FOREIGN_KEYS, oids, &[], index_list::foreign_key),
        reader.list(&sql::USAGE, &of_oids, index_list::usage),
    )?;
    Ok(Parts {
        columns,
        statistics,
        indexes,
        foreign_keys,
        usage: usage.into_iter().collect(),
    })
}

/// Runs `read` in a savepoint: its own error leaves the transaction usable.
async fn savepoint<T>(
    reader: &Reader<'_>,
    read: impl Future<Output = Result<T>>,
) -> Result<Result<T>> {
    let what = "reading the catalog";
    let before = reader
        .tx
        .batch_execute("savepoint /* dbops */ dbops_indexes");
    // Sent at once: the savepoint comes first, the queries right behind it.
    let (made, read) = futures_util::join!(before, read);
    made.context(what)?;
    let after = match &read {
        Ok(_) => "release savepoint /* dbops */ dbops_indexes",
        Err(_) => {
            "rollback to savepoint /* dbops */ dbops_indexes; release savepoint /* dbops */ dbops_indexes"
        }
    };
    match reader.tx.batch_execute(after).await {
        Ok(()) => Ok(read),
        // What was wrong first says more than that the connection is gone.
        Err(error) => Ok(Err(read.err().unwrap_or_else(|| error.into()))),
    }
}

/// Whether the server could not open a relation that the snapshot still shows.
fn went_away(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<tokio_postgres::Error>())
        .any(|cause| {
            matches!(
                cause.code(),
                Some(&(SqlState::INTERNAL_ERROR | SqlState::UNDEFINED_TABLE))
            )
        })
}

fn add_statistics(columns: &mut [TableColumn], known: &[(String, TableColumn)]) {
    let by_name: BTreeMap<&str, &TableColumn> =
        known.iter().map(|(name, of)| (name.as_str(), of)).collect();
    for column in columns {
        if let Some(of) = by_name.get(column.name.as_str()) {
            column.width = of.width.or(column.width);
            column.n_distinct = of.n_distinct;
            column.null_fraction = of.null_fraction;
        }
    }
}

async fn read_names(reader: &Reader<'_>, names: &[QualifiedName]) -> Result<Vec<NamedRelation>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let (schemas, names) = parts(names);
    let mut list = reader
        .list(&sql::NAMES, &[&schemas, &names], |row| {
            let index_of = index_list::optional_name(row, "table")?;
            let kind: String = get(row, "kind")?;
            Ok(NamedRelation {
                name: name(row)?,
                kind: match &index_of {
                    Some(table) => format!("{kind} of {table}"),
                    None => kind,
                },
                index_of,
            })
        })
        .await?;
    // A name asked for twice is one relation.
    list.dedup();
    Ok(list)
}

async fn read_builds(reader: &Reader<'_>) -> Result<Vec<RunningBuild>> {
    let builds = reader.list(&sql::BUILDS, &[], index_builds::build).await?;
    Ok(builds.into_iter().flatten().collect())
}

async fn read_opclasses(reader: &Reader<'_>) -> Result<Vec<OperatorClass>> {
    let mut list = reader
        .list(&sql::OPCLASSES, &[], |row| {
            Ok(OperatorClass {
                method: get(row, "method")?,
                name: get(row, "name")?,
                schema: get(row, "schema_name")?,
                type_name: get(row, "type_name")?,
                default: get(row, "is_default")?,
            })
        })
        .await?;
    list.sort();
    Ok(list)
}

/// Returns all tablespaces and the database's own.
async fn read_tablespaces(reader: &Reader<'_>) -> Result<(Vec<String>, String)> {
    let list: Vec<(String, bool)> = reader
        .list(&sql::TABLESPACES, &[], |row| {
            Ok((get(row, "name")?, get(row, "of_database")?))
        })
        .await?;
    let own = list
        .iter()
        .find(|(_, own)| *own)
        .map(|(name, _)| name.clone())
        .context("the server did not say which tablespace is the database's own")?;
    Ok((list.into_iter().map(|(name, _)| name).collect(), own))
}

fn parts(names: &[QualifiedName]) -> (Vec<&str>, Vec<&str>) {
    names
        .iter()
        .map(|name| (name.schema.as_str(), name.name.as_str()))
        .unzip()
}
