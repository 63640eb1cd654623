//! Rows of tables and indexes taken apart.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use tokio_postgres::Row;

use super::index_model::{
    ChildForeignKey, IndexedTable, LiveConstraint, LiveConstraintKind, LiveIndex, LiveKey,
    TableColumn, TableKind, TableWrites,
};
use super::rows::{get, letter, name};
use crate::ident::QualifiedName;

/// Returns a table without what other queries tell of it, its estimated rows and its pages.
pub(super) fn table(row: &Row) -> Result<(IndexedTable, f64, i32)> {
    let table = IndexedTable {
        oid: get(row, "oid")?,
        name: name(row)?,
        kind: match letter(get(row, "kind")?) {
            'r' => TableKind::Table,
            'p' => TableKind::Partitioned,
            'm' => TableKind::MaterializedView,
            'f' => TableKind::Foreign,
            _ => TableKind::Other,
        },
        owner: get(row, "owner")?,
        owns: get(row, "owns")?,
        creates: get(row, "creates")?,
        readable: get(row, "readable")?,
        temporary: get(row, "temporary")?,
        parent: optional_name(row, "parent")?,
        partitions: Vec::new(),
        partition_key: get(row, "partition_key")?,
        rows_estimate: None,
        bytes: 0,
        columns: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        writes: TableWrites::default(),
    };
    Ok((table, get(row, "row_count")?, get(row, "pages")?))
}

/// Returns the name in `<prefix>_schema` and `<prefix>_name`, where there is one.
pub(super) fn optional_name(row: &Row, prefix: &str) -> Result<Option<QualifiedName>> {
    let schema: Option<String> = get(row, &format!("{prefix}_schema"))?;
    let name: Option<String> = get(row, &format!("{prefix}_name"))?;
    Ok(schema
        .zip(name)
        .map(|(schema, name)| QualifiedName { schema, name }))
}

pub(super) fn column(row: &Row) -> Result<TableColumn> {
    let schema: Option<String> = get(row, "collation_schema")?;
    let name: Option<String> = get(row, "collation_name")?;
    Ok(TableColumn {
        name: get(row, "name")?,
        type_name: get(row, "type_name")?,
        not_null: get(row, "not_null")?,
        collation: schema.zip(name),
        width: get(row, "width")?,
        n_distinct: None,
        null_fraction: None,
    })
}

/// Returns the name of a column and what is known of its values.
pub(super) fn statistics(row: &Row) -> Result<(String, TableColumn)> {
    let of = TableColumn {
        width: get(row, "width")?,
        n_distinct: get(row, "n_distinct")?,
        null_fraction: get(row, "null_fraction")?,
        ..TableColumn::default()
    };
    Ok((get(row, "name")?, of))
}

pub(super) fn foreign_key(row: &Row) -> Result<ChildForeignKey> {
    Ok(ChildForeignKey {
        name: get(row, "name")?,
        references: QualifiedName {
            schema: get(row, "references_schema")?,
            name: get(row, "references_name")?,
        },
        columns: get(row, "columns")?,
    })
}

/// Size and counters of a table or an index.
pub(super) struct Usage {
    pub(super) bytes: i64,
    pub(super) scans: Option<i64>,
    pub(super) writes: TableWrites,
}

pub(super) fn usage(row: &Row) -> Result<(u32, Usage)> {
    let usage = Usage {
        // Null: the relation is gone by now.
        bytes: get::<Option<i64>>(row, "bytes")?.unwrap_or(0),
        scans: get(row, "scans")?,
        writes: TableWrites {
            inserts: get(row, "inserts")?,
            updates: get(row, "updates")?,
            hot_updates: get(row, "hot_updates")?,
            deletes: get(row, "deletes")?,
        },
    };
    Ok((get(row, "oid")?, usage))
}

/// Returns an index without its size and counters; `None`: it is gone by now.
pub(super) fn index(row: &Row) -> Result<Option<LiveIndex>> {
    let Some(definition) = get(row, "definition")? else {
        return Ok(None);
    };
    Ok(Some(LiveIndex {
        oid: get(row, "oid")?,
        name: name(row)?,
        definition,
        keys: keys(row)?,
        partitioned: get(row, "partitioned")?,
        parent: optional_name(row, "parent")?,
        valid: get(row, "valid")?,
        ready: get(row, "ready")?,
        live: get(row, "live")?,
        immediate: get(row, "immediate")?,
        clustered: get(row, "clustered")?,
        replica_identity: get(row, "replica_identity")?,
        constraint: constraint(row)?,
        referenced_by: referenced_by(row)?,
        tablespace: get(row, "tablespace")?,
        reloptions: reloptions(row)?,
        comment: get(row, "comment")?,
        statistics: get::<Vec<i16>>(row, "statistics_positions")?
            .into_iter()
            .zip(get::<Vec<i16>>(row, "statistics_targets")?)
            .collect(),
        bytes: 0,
        scans: None,
        of_extension: get(row, "of_extension")?,
    }))
}

fn keys(row: &Row) -> Result<Vec<LiveKey>> {
    let opclasses: Vec<Option<(String, String)>> = pairs(row, "opclass_schemas", "opclass_names")?;
    let collations = pairs(row, "collation_schemas", "collation_names")?;
    get::<Vec<Option<String>>>(row, "columns")?
        .into_iter()
        .zip(opclasses)
        .zip(collations)
        .map(|((column, opclass), collation)| {
            Ok(LiveKey {
                column,
                opclass: opclass.context("an index key without an operator class")?,
                collation,
            })
        })
        .collect()
}

fn pairs(row: &Row, schemas: &str, names: &str) -> Result<Vec<Option<(String, String)>>> {
    let schemas: Vec<Option<String>> = get(row, schemas)?;
    let names: Vec<Option<String>> = get(row, names)?;
    Ok(schemas
        .into_iter()
        .zip(names)
        .map(|(schema, name)| schema.zip(name))
        .collect())
}

fn constraint(row: &Row) -> Result<Option<LiveConstraint>> {
    let Some(name) = get(row, "constraint_name")? else {
        return Ok(None);
    };
    let kind = match letter(get(row, "constraint_kind")?) {
        'p' => LiveConstraintKind::Primary,
        'u' => LiveConstraintKind::Unique,
        _ => LiveConstraintKind::Exclusion,
    };
    Ok(Some(LiveConstraint {
        name,
        kind,
        deferrable: get(row, "constraint_deferrable")?,
    }))
}

fn referenced_by(row: &Row) -> Result<Vec<QualifiedName>> {
    let schemas: Option<Vec<String>> = get(row, "referencing_schemas")?;
    let names: Option<Vec<String>> = get(row, "referencing_names")?;
    let mut tables: Vec<QualifiedName> = schemas
        .into_iter()
        .flatten()
        .zip(names.into_iter().flatten())
        .map(|(schema, name)| QualifiedName { schema, name })
        .collect();
    tables.sort();
    Ok(tables)
}

/// The server keeps `name=value`; it has folded the names already.
fn reloptions(row: &Row) -> Result<BTreeMap<String, String>> {
    let options: Option<Vec<String>> = get(row, "reloptions")?;
    Ok(options
        .unwrap_or_default()
        .into_iter()
        .map(|option| match option.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (option, String::new()),
        })
        .collect())
}
