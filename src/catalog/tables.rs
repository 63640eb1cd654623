//! Partitioned tables: key, columns, uniqueness rules, and what one row of the catalog says of them.

use std::collections::BTreeSet;

use anyhow::Result;
use tokio_postgres::Row;

use super::model::{
    Column, KeyColumn, PartitionedTable, Properties, ReplicaIdentity, Rights, Strategy, Unique,
};
use super::read::TableScope;
use super::rows::{ByTable, Reader, get, letter, name};
use crate::ident::QualifiedName;
use crate::sql;

/// Partitioned tables, and which of them have grants of their own.
pub(super) struct Tables {
    pub(super) list: Vec<PartitionedTable>,
    pub(super) with_acl: BTreeSet<u32>,
}

/// Reads the partitioned tables in scope, sorted by name, without what other queries tell of them.
pub(super) async fn read(reader: &Reader<'_>, scope: &TableScope) -> Result<Tables> {
    let names = names(scope);
    let (schemas, tables) = names.map_or((None, None), |(s, n)| (Some(s), Some(n)));
    let mut list = Vec::new();
    let mut with_acl = BTreeSet::new();
    reader
        .each(&sql::TABLES, &[&schemas, &tables], |row| {
            let table = table(row)?;
            if get(row, "has_acl")? {
                with_acl.insert(table.oid);
            }
            list.push(table);
            Ok(())
        })
        .await?;
    Ok(Tables { list, with_acl })
}

/// Returns the names in scope as two arrays of the same length; `None`: all.
pub(super) fn names(scope: &TableScope) -> Option<(Vec<&str>, Vec<&str>)> {
    match scope {
        TableScope::All => None,
        TableScope::Named(names) => Some(
            names
                .iter()
                .map(|name| (name.schema.as_str(), name.name.as_str()))
                .unzip(),
        ),
    }
}

/// Reads the columns of relations, in order.
pub(super) async fn columns(reader: &Reader<'_>, oids: &[u32]) -> Result<ByTable<Column>> {
    reader
        .by_table(&sql::COLUMNS, oids, &[], |row| {
            Ok(Column {
                name: get(row, "name")?,
                type_name: get(row, "type_name")?,
                not_null: get(row, "not_null")?,
                identity: get(row, "identity")?,
                statistics_target: get(row, "statistics_target")?,
                options: get::<Option<Vec<String>>>(row, "options")?.unwrap_or_default(),
            })
        })
        .await
}

/// Reads the uniqueness rules of tables, sorted by name.
pub(super) async fn uniques(reader: &Reader<'_>, oids: &[u32]) -> Result<ByTable<Unique>> {
    reader
        .by_table(&sql::UNIQUES, oids, &[], |row| {
            Ok(Unique {
                name: get(row, "name")?,
                primary: get(row, "is_primary")?,
                columns: get(row, "columns")?,
            })
        })
        .await
}

fn table(row: &Row) -> Result<PartitionedTable> {
    let name = name(row)?;
    let parent = match (get(row, "parent_schema")?, get(row, "parent_name")?) {
        (Some(schema), Some(name)) => Some(QualifiedName { schema, name }),
        _ => None,
    };
    let properties = Properties {
        tablespace: get(row, "tablespace")?,
        access_method: get(row, "access_method")?,
        replica_identity: replica_identity(row, &name)?,
        row_security: get(row, "row_security")?,
        force_row_security: get(row, "force_row_security")?,
        row_policies: Vec::new(),
        comment: get(row, "comment")?,
        grants: None,
        unlogged: get::<&str>(row, "persistence")? == "u",
    };
    Ok(PartitionedTable {
        oid: get(row, "oid")?,
        owner: get(row, "owner")?,
        parent,
        strategy: match letter(get(row, "strategy")?) {
            'r' => Strategy::Range,
            'l' => Strategy::List,
            'h' => Strategy::Hash,
            other => Strategy::Other(other),
        },
        key: key(row)?,
        partitions: Vec::new(),
        columns: Vec::new(),
        uniques: Vec::new(),
        foreign_keys_out: Vec::new(),
        foreign_keys_in: Vec::new(),
        properties,
        rights: Rights {
            owns: get(row, "owns")?,
            creates_in: Vec::new(),
        },
        name,
    })
}

/// The index of a replica identity lives in the schema of its table. One whose index was dropped
/// replicates nothing, as the server says on `REPLICA IDENTITY USING INDEX`.
fn replica_identity(row: &Row, table: &QualifiedName) -> Result<ReplicaIdentity> {
    let index: Option<String> = get(row, "replica_index")?;
    Ok(match (letter(get(row, "replica_identity")?), index) {
        ('d', _) => ReplicaIdentity::Default,
        ('f', _) => ReplicaIdentity::Full,
        ('i', Some(index)) => {
            ReplicaIdentity::Index(QualifiedName::new(table.schema.clone(), index))
        }
        ('n' | 'i', _) => ReplicaIdentity::Nothing,
        (other, _) => ReplicaIdentity::Other(other),
    })
}

/// The catalog keeps no type of an expression, so its type name says `expression`.
fn key(row: &Row) -> Result<Vec<KeyColumn>> {
    let columns: Vec<Option<String>> = get(row, "key_columns")?;
    let types: Vec<Option<String>> = get(row, "key_types")?;
    let definition: Option<String> = get(row, "key_definition")?;
    let mut parts = definition
        .as_deref()
        .map(key_parts)
        .unwrap_or_default()
        .into_iter();
    Ok(columns
        .into_iter()
        .zip(types)
        .map(|(column, type_name)| {
            let part = parts.next();
            KeyColumn {
                expression: part.filter(|_| column.is_none()),
                type_name: type_name.unwrap_or_else(|| "expression".to_owned()),
                column,
            }
        })
        .collect())
}

/// Splits `RANGE (a, date_trunc('day'::text, b))` at the commas between key parts.
fn key_parts(definition: &str) -> Vec<String> {
    let inner = definition
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .unwrap_or(definition);
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    let mut quote = None;
    for c in inner.chars() {
        match quote {
            Some(open) => {
                if c == open {
                    quote = None;
                }
            }
            None => match c {
                '\'' | '"' => quote = Some(c),
                '(' | '[' => depth += 1,
                ')' | ']' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    parts.push(String::new());
                    continue;
                }
                _ => {}
            },
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_parts_are_split_at_their_own_commas_only() {
        assert_eq!(
            key_parts(r#"RANGE (a, date_trunc('d,''(y'::text, "b,("), (x + y), "C" COLLATE "C")"#),
            [
                "a",
                r#"date_trunc('d,''(y'::text, "b,(")"#,
                "(x + y)",
                r#""C" COLLATE "C""#
            ]
        );
    }
}
