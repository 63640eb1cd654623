//! Partitions: bound, kind, estimates and comment.

use anyhow::Result;
use tokio_postgres::Row;

use super::model::{Partition, PartitionKind};
use super::read::Sizes;
use super::rows::{ByTable, Reader, get, letter, name};
use crate::sql;

/// Reads the partitions of tables, sorted by name.
pub(super) async fn read(
    reader: &Reader<'_>,
    oids: &[u32],
    sizes: Sizes,
) -> Result<ByTable<Partition>> {
    let measure = sizes == Sizes::Measure;
    reader
        .by_table(&sql::PARTITIONS, oids, &[&measure], partition)
        .await
}

fn partition(row: &Row) -> Result<Partition> {
    Ok(Partition {
        oid: get(row, "oid")?,
        name: name(row)?,
        kind: match letter(get(row, "kind")?) {
            'r' => PartitionKind::Table,
            'p' => PartitionKind::Partitioned,
            'f' => PartitionKind::Foreign,
            other => PartitionKind::Other(other),
        },
        bound: get(row, "bound")?,
        detach_pending: get(row, "detach_pending")?,
        rows_estimate: get(row, "rows_estimate")?,
        bytes: get(row, "bytes")?,
        comment: get(row, "comment")?,
    })
}
