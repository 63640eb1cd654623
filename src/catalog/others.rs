//! Declared names that exist and are not partitioned tables.

use anyhow::Result;

use super::model::OtherRelation;
use super::read::TableScope;
use super::rows::{Reader, get, name};
use super::tables;
use crate::sql;

/// Reads the named relations that are not partitioned tables, sorted by name.
pub(super) async fn read(reader: &Reader<'_>, scope: &TableScope) -> Result<Vec<OtherRelation>> {
    let Some((schemas, names)) = tables::names(scope) else {
        return Ok(Vec::new());
    };
    let mut list = reader
        .list(&sql::OTHERS, &[&schemas, &names], |row| {
            Ok(OtherRelation {
                oid: get(row, "oid")?,
                name: name(row)?,
                kind: get(row, "kind")?,
                columns: Vec::new(),
                uniques: Vec::new(),
            })
        })
        .await?;
    // A name asked for twice is one relation.
    list.dedup_by_key(|other| other.oid);
    Ok(list)
}
