//! Reads the catalog: which queries, in which order. Decides nothing.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use futures_util::try_join;
use tokio_postgres::Transaction;

use super::model::Catalog;
use super::rows::Reader;
use super::{detached, foreign_keys, others, partitions, properties, server, tables};
use crate::ident::QualifiedName;

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Which partitioned tables; those partitioned below them always come along.
    pub tables: TableScope,
    /// Whether sizes are measured.
    pub sizes: Sizes,
    /// Schemas for which [`super::Rights::creates_in`] is answered.
    pub schemas: Vec<String>,
}

/// Which partitioned tables are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableScope {
    /// All of the database, temporary ones left out, those of extensions included.
    All,
    /// Those named; names of other relations end up in [`Catalog::others`], unknown ones nowhere.
    Named(Vec<QualifiedName>),
}

/// Whether sizes on disk are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// Not measured: `bytes` is unknown everywhere, no partition is locked.
    Skip,
    /// `pg_total_relation_size` of each partition: takes ACCESS SHARE on each for a moment.
    Measure,
}

/// Over thousands of partitions the planner's estimates call for compiling these queries and for
/// parallel workers, either of which takes longer than running them.
const FOR_CATALOG_QUERIES: &str =
    "set /* dbops */ local jit = off; set /* dbops */ local max_parallel_workers_per_gather = 0";

/// Reads the catalog.
///
/// The caller opens the transaction: repeatable read, read only, empty search_path, TimeZone UTC and
/// DateStyle ISO, because the server prints bounds and names under these settings.
///
/// # Errors
/// Names the query that failed; a server older than PostgreSQL 13 is refused.
pub async fn read(tx: &Transaction<'_>, scope: &Scope) -> Result<Catalog> {
    tx.batch_execute(FOR_CATALOG_QUERIES)
        .await
        .context("preparing to read the catalog")?;
    let (server, reader) = server::read(tx).await?;
    read_tables(&reader, scope, server)
        .await
        .context("reading the catalog")
}

async fn read_tables(reader: &Reader<'_>, scope: &Scope, server: super::Server) -> Result<Catalog> {
    let (mut tables, mut others, mut detached, default_grants, creates_in) = try_join!(
        tables::read(reader, &scope.tables),
        others::read(reader, &scope.tables),
        detached::read(reader, scope.sizes),
        properties::default_grants(reader),
        server::creates_in(reader, &scope.schemas),
    )?;

    let table_oids: Vec<u32> = tables.list.iter().map(|table| table.oid).collect();
    let detached_oids: Vec<u32> = detached.iter().map(|table| table.oid).collect();
    let with_columns = joined(&table_oids, others.iter().map(|other| other.oid));
    let with_foreign_keys = joined(&table_oids, detached_oids.iter().copied());
    let (
        mut partitions,
        mut columns,
        mut uniques,
        mut keys,
        mut policies,
        mut grants,
        mut dependents,
    ) = try_join!(
        partitions::read(reader, &table_oids, scope.sizes),
        tables::columns(reader, &with_columns),
        tables::uniques(reader, &with_columns),
        foreign_keys::read(reader, &with_foreign_keys),
        properties::policies(reader, &table_oids),
        properties::grants(reader, &table_oids),
        detached::dependents(reader, &detached_oids),
    )?;

    for table in &mut tables.list {
        let oid = table.oid;
        table.partitions = partitions.remove(&oid).unwrap_or_default();
        table.columns = columns.remove(&oid).unwrap_or_default();
        table.uniques = uniques.remove(&oid).unwrap_or_default();
        let sides = keys.remove(&oid).unwrap_or_default();
        table.foreign_keys_out = sides.out;
        table.foreign_keys_in = sides.incoming;
        table.properties.row_policies = policies.remove(&oid).unwrap_or_default();
        let granted = grants.remove(&oid).unwrap_or_default();
        table.properties.grants = tables.with_acl.contains(&oid).then_some(granted);
        table.rights.creates_in.clone_from(&creates_in);
    }
    partitions::sum_up(&mut tables.list, scope.sizes);
    for other in &mut others {
        other.columns = columns.remove(&other.oid).unwrap_or_default();
        other.uniques = uniques.remove(&other.oid).unwrap_or_default();
    }
    for table in &mut detached {
        let sides = keys.remove(&table.oid).unwrap_or_default();
        table.foreign_keys_out = sides.out;
        table.foreign_keys_in = sides.incoming;
        table.dependents = dependents.remove(&table.oid).unwrap_or_default();
    }
    Ok(Catalog {
        server,
        tables: tables.list,
        others,
        detached,
        default_grants,
    })
}

fn joined(oids: &[u32], more: impl Iterator<Item = u32>) -> Vec<u32> {
    let all: BTreeSet<u32> = oids.iter().copied().chain(more).collect();
    all.into_iter().collect()
}
