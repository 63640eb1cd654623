//! Partitions: bound, kind, estimates and comment.

use std::collections::HashMap;

use anyhow::Result;
use tokio_postgres::Row;

use super::model::{Partition, PartitionKind, PartitionedTable};
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

/// Rows and bytes below a partitioned table, each where known.
type Sums = (Option<i64>, Option<i64>);

/// Gives partitions that are themselves partitioned the sums of what lies below them.
///
/// A sum with an unknown part is unknown; so is every size that was not measured.
pub(super) fn sum_up(tables: &mut [PartitionedTable], sizes: Sizes) {
    let mut below: HashMap<u32, Vec<(u32, PartitionKind, Sums)>> = HashMap::new();
    for table in tables.iter() {
        let of = |p: &Partition| (p.oid, p.kind, (p.rows_estimate, p.bytes));
        below.insert(table.oid, table.partitions.iter().map(of).collect());
    }
    let nothing = (Some(0), (sizes == Sizes::Measure).then_some(0));
    for table in tables {
        for partition in &mut table.partitions {
            if partition.kind == PartitionKind::Partitioned {
                (partition.rows_estimate, partition.bytes) = sums(partition.oid, &below, nothing);
            }
        }
    }
}

fn sums(oid: u32, below: &HashMap<u32, Vec<(u32, PartitionKind, Sums)>>, nothing: Sums) -> Sums {
    let Some(parts) = below.get(&oid) else {
        return (None, None);
    };
    parts
        .iter()
        .fold(nothing, |(rows, bytes), &(part, kind, own)| {
            let own = match kind {
                PartitionKind::Partitioned => sums(part, below, nothing),
                _ => own,
            };
            let add = |a: Option<i64>, b: Option<i64>| a?.checked_add(b?);
            (add(rows, own.0), add(bytes, own.1))
        })
}
