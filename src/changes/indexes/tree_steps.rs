//! The steps of a partitioned table's index: ON ONLY, ATTACH, and the drop of the whole.

use super::Declared;
use super::context::{Context, Entry};
use super::steps::{About, lock, must_be_valid, polled, settings, short, step};
use crate::catalog::index_model::{IndexedTable, TableKind};
use crate::changes::changeset::{Action, LockMode, Note, Step, Way};
use crate::ident::QualifiedName;
use crate::plan_file::BuildSettings;
use crate::syntax::Build;

/// CREATE INDEX … ON ONLY: a partitioned table's index, invalid until every partition's is attached.
pub(super) fn create_parent(
    declared: &Declared,
    table: &IndexedTable,
    name: &QualifiedName,
) -> Step {
    let statements = vec![declared.spec.sql(Build::Only, &table.name, &name.name)];
    step(
        &Entry::declared(declared),
        Action::CreateParentIndex,
        format!(
            "create {name} on {} alone; it is invalid until every partition's index is attached",
            table.name
        ),
        About::new(name, &table.name).change(),
        vec![lock(
            &table.name,
            LockMode::Share,
            "partitioned table alone, for a moment",
            true,
        )],
        polled_with(&declared.spec.table.schema, statements),
    )
}

/// CREATE INDEX on a partitioned table whose partitions all have theirs: it takes them over, and builds nothing.
///
/// A foreign partition has no index, so that ON ONLY and ATTACH would never make the parent's valid.
pub(super) fn create_over(
    declared: &Declared,
    tree: &[&IndexedTable],
    name: &QualifiedName,
    taken_over: &[QualifiedName],
) -> Step {
    let top = &declared.spec.table;
    let mut statements: Vec<String> = taken_over.iter().map(must_be_valid).collect();
    statements.push(declared.spec.sql(Build::Plain, top, &name.name));
    let locks = tree
        .iter()
        .map(|table| {
            let explicit = table.kind != TableKind::Foreign;
            lock(
                &table.name,
                LockMode::Share,
                "takes over its index, builds nothing",
                explicit,
            )
        })
        .collect();
    step(
        &Entry::declared(declared),
        Action::CreateParentIndex,
        format!("create {name} on {top} over the indexes of its partitions"),
        About::new(name, top).change(),
        locks,
        polled_with(&declared.spec.table.schema, statements),
    )
}

/// ALTER INDEX … ATTACH PARTITION.
pub(super) fn attach(
    declared: &Declared,
    parent: About<'_>,
    child: About<'_>,
    child_kind: TableKind,
) -> Step {
    let mut statements = Vec::new();
    if child_kind != TableKind::Partitioned {
        // An invalid one would be attached all the same, and on 13 nothing makes the parent valid afterwards.
        statements.push(must_be_valid(child.name));
    }
    statements.push(format!(
        "alter index {} attach partition {}",
        parent.name.sql(),
        child.name.sql()
    ));
    step(
        &Entry::declared(declared),
        Action::AttachIndex,
        format!("attach {} to {}", child.name, parent.name),
        child.change(),
        vec![
            lock(
                parent.table,
                LockMode::AccessShare,
                "partitioned table",
                false,
            ),
            lock(child.table, LockMode::AccessShare, "partition", false),
            lock(
                parent.name,
                LockMode::ShareUpdateExclusive,
                "partitioned index",
                false,
            ),
            lock(
                child.name,
                LockMode::AccessExclusive,
                "the partition's index",
                false,
            ),
        ],
        short(statements),
    )
}

/// DROP INDEX of a partitioned index: with those of its partitions, under locks on all of them.
pub(super) fn drop_parent(
    entry: &Entry<'_>,
    about: About<'_>,
    tree: &[&IndexedTable],
    summary: String,
) -> Step {
    let locks = tree
        .iter()
        .map(|table| {
            lock(
                &table.name,
                LockMode::AccessExclusive,
                if table.name == *about.table {
                    "partitioned table"
                } else {
                    "partition"
                },
                table.kind != TableKind::Foreign,
            )
        })
        .collect();
    step(
        entry,
        Action::DropParentIndex,
        summary,
        about.change(),
        locks,
        polled(vec![format!("drop index {}", about.name.sql())]),
    )
}

/// Says how many locks a drop of a whole tree takes.
pub(super) fn lock_note(
    context: &Context<'_>,
    entry: &Entry<'_>,
    name: &QualifiedName,
    tree: &[&IndexedTable],
) -> Note {
    entry.note(
        "drop-locks-all-partitions",
        format!(
            "dropping {name} takes about {} locks in one transaction, ACCESS EXCLUSIVE on {} and all of its partitions among them; max_locks_per_transaction is {}",
            tree.len() * 2,
            entry.table,
            context.catalog().server.max_locks_per_transaction
        ),
    )
}

fn polled_with(schema: &str, statements: Vec<String>) -> Vec<Way> {
    polled(statements)
        .into_iter()
        .map(|way| Way {
            settings: settings(schema, &BuildSettings::default()),
            ..way
        })
        .collect()
}
