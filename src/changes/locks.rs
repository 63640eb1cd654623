//! Which relations a step locks, how strongly, and in which order.
//!
//! The order is always parent, tables on the other side of foreign keys, DEFAULT, child: the same
//! for every step, so that two steps, or a step and an ordinary query that goes from the parent
//! down, cannot deadlock.

use super::changeset::{Lock, LockMode};
use crate::catalog::{ForeignKey, Partition, PartitionKind, PartitionedTable};
use crate::ident::QualifiedName;

/// Locks of ATTACH on an existing table's surroundings.
///
/// Source: `ATExecAttachPartition` and `CloneForeignKeyConstraints` in `tablecmds.c`; measured per
/// major version by `tests/it/locks.rs`.
pub(super) fn attach(table: &PartitionedTable, version_num: i32) -> Vec<Lock> {
    let mut locks = Locks::default();
    locks.add(
        &table.name,
        LockMode::ShareUpdateExclusive,
        "parent",
        Spread::Only,
        true,
    );
    locks.foreign_keys(
        &table.foreign_keys_out,
        LockMode::ShareRowExclusive,
        "referenced by the new partitions",
    );
    if version_num >= 150_000 {
        locks.referencing(
            &table.foreign_keys_in,
            LockMode::ShareRowExclusive,
            "references the parent",
        );
    }
    if let Some(default) = default_of(table) {
        // It is searched for rows of the new range, leaf by leaf.
        locks.default_partition(default, spread(default));
    }
    locks.0
}

/// Locks of a plain DETACH.
///
/// PostgreSQL 13 takes a weaker lock on the partition itself; dbops takes this one all the same, so that the
/// guard's look and the detach are one moment.
pub(super) fn detach(table: &PartitionedTable, child: &Partition, version_num: i32) -> Vec<Lock> {
    let mut locks = Locks::default();
    locks.add(
        &table.name,
        LockMode::AccessExclusive,
        "parent",
        Spread::Only,
        true,
    );
    let (to_itself, to_others): (Vec<&ForeignKey>, Vec<&ForeignKey>) = table
        .foreign_keys_out
        .iter()
        .filter(|key| version_num >= 150_000 || !key.partitioned)
        .partition(|key| key.table == table.name);
    locks.foreign_keys(
        to_others,
        LockMode::ShareRowExclusive,
        "referenced by the partition",
    );
    locks.referencing(
        table
            .foreign_keys_in
            .iter()
            .filter(|key| key.table != table.name),
        LockMode::AccessExclusive,
        "references the parent",
    );
    if let Some(default) = default_of(table) {
        locks.default_partition(default, Spread::Only);
    }
    locks.add(
        &child.name,
        LockMode::AccessExclusive,
        "partition",
        spread(child),
        true,
    );
    if !to_itself.is_empty() {
        for other in &table.partitions {
            locks.add(
                &other.name,
                LockMode::ShareRowExclusive,
                "referenced by the partition",
                spread(other),
                true,
            );
        }
    }
    locks.0
}

/// Locks of DROP TABLE on a table that is attached to nothing; referenced tables lose a trigger.
pub(super) fn drop(table: &QualifiedName, foreign_keys_out: &[ForeignKey]) -> Vec<Lock> {
    let mut locks = Locks::default();
    locks.foreign_keys(
        foreign_keys_out,
        LockMode::AccessExclusive,
        "referenced by the detached table",
    );
    locks.add(
        table,
        LockMode::AccessExclusive,
        "detached table",
        Spread::All,
        true,
    );
    locks.0
}

/// Locks of DETACH CONCURRENTLY and FINALIZE, taken by the statement itself.
pub(super) fn detach_concurrently(table: &PartitionedTable, child: &Partition) -> Vec<Lock> {
    let mut locks = Locks::default();
    locks.add(
        &table.name,
        LockMode::ShareUpdateExclusive,
        "parent",
        Spread::Only,
        true,
    );
    locks.foreign_keys(
        &table.foreign_keys_out,
        LockMode::ShareRowExclusive,
        "referenced by the partition",
    );
    locks.add(
        &child.name,
        LockMode::AccessExclusive,
        "partition, at the end",
        spread(child),
        true,
    );
    locks.0
}

/// Lock of COMMENT ON TABLE.
pub(super) fn comment(table: &QualifiedName) -> Vec<Lock> {
    let mut locks = Locks::default();
    locks.add(
        table,
        LockMode::ShareUpdateExclusive,
        "partition",
        Spread::Only,
        true,
    );
    locks.0
}

/// Returns the DEFAULT partition.
pub(super) fn default_of(table: &PartitionedTable) -> Option<&Partition> {
    table
        .partitions
        .iter()
        .find(|partition| partition.bound == "DEFAULT")
}

/// Whether locking also takes the relation's own partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spread {
    Only,
    All,
}

fn spread(partition: &Partition) -> Spread {
    if partition.kind == PartitionKind::Partitioned {
        Spread::All
    } else {
        Spread::Only
    }
}

#[derive(Default)]
struct Locks(Vec<Lock>);

impl Locks {
    fn add(
        &mut self,
        relation: &QualifiedName,
        mode: LockMode,
        why: &str,
        spread: Spread,
        explicit: bool,
    ) {
        if let Some(held) = self.0.iter_mut().find(|lock| lock.relation == *relation) {
            // A table that references itself is both parent and target: one lock, the stronger.
            held.mode = held.mode.max(mode);
            held.only &= spread == Spread::Only;
            return;
        }
        self.0.push(Lock {
            relation: relation.clone(),
            mode,
            why: why.to_owned(),
            only: spread == Spread::Only,
            explicit,
        });
    }

    /// Tables that are referenced: where they are partitioned, their partitions too.
    fn foreign_keys<'a>(
        &mut self,
        foreign_keys: impl IntoIterator<Item = &'a ForeignKey>,
        mode: LockMode,
        why: &str,
    ) {
        for key in foreign_keys {
            let spread = if key.partitioned {
                Spread::All
            } else {
                Spread::Only
            };
            self.add(&key.table, mode, why, spread, key.lockable);
        }
    }

    /// Tables that reference: of a partitioned one only the table itself.
    fn referencing<'a>(
        &mut self,
        foreign_keys: impl IntoIterator<Item = &'a ForeignKey>,
        mode: LockMode,
        why: &str,
    ) {
        for key in foreign_keys {
            self.add(&key.table, mode, why, Spread::Only, key.lockable);
        }
    }

    fn default_partition(&mut self, default: &Partition, spread: Spread) {
        self.add(
            &default.name,
            LockMode::AccessExclusive,
            "DEFAULT partition",
            spread,
            true,
        );
    }
}
