//! Foreign keys from and to tables.

use std::collections::HashMap;

use anyhow::Result;

use super::model::ForeignKey;
use super::rows::{Reader, get};
use crate::ident::QualifiedName;
use crate::sql;

/// The foreign keys of one table, each list sorted.
#[derive(Debug, Default)]
pub(super) struct Sides {
    /// From the table.
    pub(super) out: Vec<ForeignKey>,
    /// To the table.
    pub(super) incoming: Vec<ForeignKey>,
}

/// Reads the foreign keys of tables, by oid.
pub(super) async fn read(reader: &Reader<'_>, oids: &[u32]) -> Result<HashMap<u32, Sides>> {
    let rows = reader.by_table(&sql::FOREIGN_KEYS, oids, &[], |row| {
        let key = ForeignKey {
            name: get(row, "name")?,
            table: QualifiedName {
                schema: get(row, "other_schema")?,
                name: get(row, "other_name")?,
            },
            partitioned: get(row, "other_partitioned")?,
            lockable: get(row, "other_lockable")?,
            columns: get(row, "columns")?,
            referenced_columns: get(row, "referenced_columns")?,
        };
        Ok((get(row, "incoming")?, key))
    });
    Ok(rows
        .await?
        .into_iter()
        .map(|(oid, keys)| (oid, sides(keys)))
        .collect())
}

fn sides(keys: Vec<(bool, ForeignKey)>) -> Sides {
    let mut sides = Sides::default();
    for (incoming, key) in keys {
        if incoming {
            sides.incoming.push(key);
        } else {
            sides.out.push(key);
        }
    }
    sides.out.sort();
    sides.incoming.sort();
    sides
}
