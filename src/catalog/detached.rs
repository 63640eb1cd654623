//! Tables that dbops detached, and what stops their drop.

use anyhow::Result;

use super::model::DetachedTable;
use super::read::Sizes;
use super::rows::{ByTable, Reader, get, name};
use crate::changes::mark;
use crate::sql;

/// Reads the unattached tables whose comment carries the mark, sorted by name.
pub(super) async fn read(reader: &Reader<'_>, sizes: Sizes) -> Result<Vec<DetachedTable>> {
    let measure = sizes == Sizes::Measure;
    reader
        .list(&sql::DETACHED, &[&mark::PREFIX, &measure], |row| {
            Ok(DetachedTable {
                oid: get(row, "oid")?,
                name: name(row)?,
                mark: get(row, "mark")?,
                owned: get(row, "owned")?,
                rows_estimate: get(row, "rows_estimate")?,
                bytes: get(row, "bytes")?,
                foreign_keys_out: Vec::new(),
                foreign_keys_in: Vec::new(),
                dependents: Vec::new(),
            })
        })
        .await
}

/// Reads what depends on tables and stops their drop, in words, sorted.
pub(super) async fn dependents(reader: &Reader<'_>, oids: &[u32]) -> Result<ByTable<String>> {
    let mut words = reader
        .by_table(&sql::DEPENDENTS, oids, &[], |row| get(row, "dependent"))
        .await?;
    for list in words.values_mut() {
        list.sort();
    }
    Ok(words)
}
