//! What `dbops indexes advise` reads beyond the index catalog: usage, statistics, who holds locks.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::index_model::IndexCatalog;
use super::rows::{Reader, get, name};
use crate::ident::{QualifiedName, quote_ident};
use crate::sql::advise as sql;

/// Facts of the primary that advice rests on; usage of every node is in [`NodeUsage`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AdviceFacts {
    /// Whether the role sees what other roles' sessions do.
    pub reads_all_stats: bool,
    /// Schema of the extension hypopg, where it is installed.
    pub hypopg_schema: Option<String>,
    /// Schema of the extension pgstattuple, where it is installed.
    pub pgstattuple_schema: Option<String>,
    /// Foreign keys, those that partitions have from their parent left out.
    pub foreign_keys: Vec<ForeignKeyFacts>,
    /// Facts of tables, by oid.
    pub tables: BTreeMap<u32, TableFacts>,
    /// Columns of large btree indexes, by the index's oid.
    pub columns: BTreeMap<u32, IndexColumns>,
    /// Sessions that hold a lock such as index builds and drops hold, by the relation's oid.
    pub holders: BTreeMap<u32, Vec<i32>>,
    /// What `pgstatindex` measured, by the index's oid.
    pub densities: BTreeMap<u32, Density>,
}

/// How indexes were used on one node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeUsage {
    /// The node's name in reports.
    pub node: String,
    /// How many seconds the statistics reach back.
    pub stats_seconds: f64,
    /// `server_version_num`.
    pub version_num: i32,
    /// Usage by the index's name.
    pub indexes: BTreeMap<QualifiedName, Usage>,
}

/// How one index was used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// `idx_scan`.
    pub scans: i64,
    /// Seconds since `last_idx_scan`; `None`: never, or the server (before 16) does not record it.
    pub last_scan_seconds: Option<f64>,
}

/// A foreign key with the writes to the table it references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKeyFacts {
    /// The referencing (child) table.
    pub table_oid: u32,
    /// Name of the constraint.
    pub name: String,
    /// The referenced table.
    pub parent: QualifiedName,
    /// Referencing columns, in order.
    pub columns: Vec<String>,
    /// `confdeltype`: `a` no action, `r` restrict, `c` cascade, `n` set null, `d` set default.
    pub on_delete: String,
    /// Rows deleted from the referenced table since the statistics began; `None`: not known.
    pub deletes: Option<i64>,
    /// Rows updated in the referenced table since the statistics began.
    pub updates: Option<i64>,
}

/// Facts of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableFacts {
    /// `fillfactor`, where it is set.
    pub fillfactor: Option<i32>,
    /// `n_tup_newpage_upd`: updates whose new row went to another page; `None` before 16.
    pub newpage_updates: Option<i64>,
}

/// A btree index as its size is estimated by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IndexColumns {
    /// `relpages`, as of the last VACUUM, ANALYZE or build.
    pub pages: i64,
    /// `reltuples` of the same moment.
    pub tuples: f64,
    /// Its columns in order, included ones last.
    pub columns: Vec<ColumnWidth>,
}

/// Width and distribution of one index column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ColumnWidth {
    /// Whether it is a key column.
    pub is_key: bool,
    /// `format_type` without its modifier.
    pub type_name: String,
    /// Bytes on average; `None`: no statistics, or not readable.
    pub width: Option<i32>,
    /// Share of NULLs.
    pub null_fraction: Option<f64>,
    /// `n_distinct`: negative is a share of the rows.
    pub n_distinct: Option<f64>,
    /// Bytes that a value is aligned to.
    pub alignment: u32,
    /// Whether equal values are always the same bytes, as far as the collation says.
    pub deterministic: bool,
}

/// What `pgstatindex` says of a btree index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Density {
    /// Per cent of leaf pages that is filled.
    pub avg_leaf_density: f64,
    /// Leaf pages.
    pub leaf_pages: i64,
    /// Pages that hold nothing any more.
    pub empty_pages: i64,
}

/// Btree indexes below this size are not looked into for bloat.
pub const BLOAT_FROM_BYTES: i64 = 10 << 20;

/// Reads the facts in the transaction in which the catalog was read.
///
/// # Errors
/// Names the query that failed.
pub async fn read(tx: &Transaction<'_>, catalog: &IndexCatalog) -> Result<AdviceFacts> {
    let reader = Reader {
        tx,
        version_num: catalog.server.version_num,
    };
    let mut facts = reader
        .list(&sql::SERVER, &[], |row| {
            Ok(AdviceFacts {
                reads_all_stats: get(row, "reads_all_stats")?,
                hypopg_schema: get(row, "hypopg_schema")?,
                pgstattuple_schema: get(row, "pgstattuple_schema")?,
                ..AdviceFacts::default()
            })
        })
        .await?
        .pop()
        .context("the server did not describe its statistics")?;
    facts.foreign_keys = reader
        .list(&sql::FOREIGN_KEYS, &[], |row| {
            Ok(ForeignKeyFacts {
                table_oid: get(row, "table_oid")?,
                name: get(row, "name")?,
                parent: QualifiedName {
                    schema: get(row, "parent_schema")?,
                    name: get(row, "parent_name")?,
                },
                columns: get(row, "columns")?,
                on_delete: get(row, "on_delete")?,
                deletes: get(row, "deletes")?,
                updates: get(row, "updates")?,
            })
        })
        .await?;
    let table_oids: Vec<u32> = catalog.tables.iter().map(|table| table.oid).collect();
    reader
        .each(&sql::TABLES, &[&table_oids], |row| {
            facts.tables.insert(
                get(row, "table_oid")?,
                TableFacts {
                    fillfactor: get(row, "fillfactor")?,
                    newpage_updates: get(row, "newpage_updates")?,
                },
            );
            Ok(())
        })
        .await?;
    facts.columns = columns(&reader, catalog).await?;
    let suspects: Vec<u32> = catalog
        .tables
        .iter()
        .flat_map(|table| {
            let broken = table.indexes.iter().filter(|index| !index.valid);
            let oids: Vec<u32> = broken.map(|index| index.oid).collect();
            let own = (!oids.is_empty()).then_some(table.oid);
            oids.into_iter().chain(own)
        })
        .collect();
    reader
        .each(&sql::HOLDERS, &[&suspects], |row| {
            let pids = facts.holders.entry(get(row, "relation_oid")?).or_default();
            pids.push(get(row, "pid")?);
            Ok(())
        })
        .await?;
    Ok(facts)
}

/// Reads the usage of every index of this node's database.
///
/// # Errors
/// Names the query that failed.
pub async fn usage(tx: &Transaction<'_>, node: &str) -> Result<NodeUsage> {
    let (server, reader) = super::server::read(tx).await?;
    let seconds = reader
        .list(&sql::SERVER, &[], |row| get::<f64>(row, "stats_seconds"))
        .await?
        .pop()
        .context("the server did not describe its statistics")?;
    let mut usage = NodeUsage {
        node: node.to_owned(),
        stats_seconds: seconds.max(0.0),
        version_num: server.version_num,
        indexes: BTreeMap::new(),
    };
    reader
        .each(&sql::USAGE, &[], |row| {
            usage.indexes.insert(
                name(row)?,
                Usage {
                    scans: get(row, "scans")?,
                    last_scan_seconds: get(row, "last_scan_seconds")?,
                },
            );
            Ok(())
        })
        .await?;
    Ok(usage)
}

async fn columns(
    reader: &Reader<'_>,
    catalog: &IndexCatalog,
) -> Result<BTreeMap<u32, IndexColumns>> {
    let mut found: BTreeMap<u32, IndexColumns> = BTreeMap::new();
    let large = large(catalog);
    if large.is_empty() {
        return Ok(found);
    }
    reader
        .each(&sql::WIDTHS, &[&large], |row| {
            let index = found.entry(get(row, "index_oid")?).or_default();
            index.pages = get::<i32>(row, "pages")?.into();
            index.tuples = get(row, "tuples")?;
            index.columns.push(ColumnWidth {
                is_key: get(row, "is_key")?,
                type_name: get(row, "type_name")?,
                width: get(row, "width")?,
                null_fraction: get(row, "null_fraction")?,
                n_distinct: get(row, "n_distinct")?,
                alignment: match get::<&str>(row, "alignment")? {
                    "c" => 1,
                    "s" => 2,
                    "i" => 4,
                    _ => 8,
                },
                deterministic: get(row, "deterministic")?,
            });
            Ok(())
        })
        .await?;
    Ok(found)
}

/// Oids of indexes that are large enough to be looked into; what is not a btree drops out when judged.
fn large(catalog: &IndexCatalog) -> Vec<u32> {
    catalog
        .tables
        .iter()
        .flat_map(|table| &table.indexes)
        .filter(|index| index.valid && !index.partitioned && index.bytes >= BLOAT_FROM_BYTES)
        .map(|index| index.oid)
        .collect()
}

/// Measures large btree indexes (`oids`) by `pgstatindex`, which reads each of them as a whole.
///
/// # Errors
/// The server refuses: no right to run the function, a time-out.
pub async fn densities(
    tx: &Transaction<'_>,
    schema: &str,
    oids: &[u32],
) -> Result<BTreeMap<u32, Density>> {
    // The function's schema is only known at run time, so this text cannot be a file of its own.
    let sql = format!(
        "select o.oid, s.avg_leaf_density, s.leaf_pages, s.empty_pages + s.deleted_pages as empty_pages \
         from pg_catalog.unnest($1::pg_catalog.oid[]) as o (oid) \
         cross join lateral {}.pgstatindex(o.oid::pg_catalog.regclass) as s order by o.oid",
        quote_ident(schema)
    );
    tx.batch_execute(
        "savepoint /* dbops */ dbops_advise; set /* dbops */ local statement_timeout = 0",
    )
    .await
    .context("preparing to measure indexes")?;
    let rows = tx.query_typed(&sql, &[(&oids, Type::OID_ARRAY)]).await;
    tx.batch_execute("rollback to savepoint /* dbops */ dbops_advise; release savepoint /* dbops */ dbops_advise")
        .await
        .context("putting the settings back")?;
    rows.context("measuring indexes by pgstatindex")?
        .iter()
        .map(|row| {
            Ok((
                get(row, "oid")?,
                Density {
                    avg_leaf_density: get(row, "avg_leaf_density")?,
                    leaf_pages: get(row, "leaf_pages")?,
                    empty_pages: get(row, "empty_pages")?,
                },
            ))
        })
        .collect()
}
