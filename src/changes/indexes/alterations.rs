//! Changes of an index that build nothing: its name, what is said about it, and the swap of two names.

use std::collections::BTreeMap;

use super::Declared;
use super::compare::Comparison;
use super::context::{Entry, Live};
use super::steps::{About, lock, must_be_as_planned, must_be_valid, short, step};
use crate::changes::changeset::{Action, LockMode, Step};
use crate::ident::{QualifiedName, quote_ident, quote_literal};

/// ALTER INDEX … RENAME.
pub(super) fn rename(entry: &Entry<'_>, about: About<'_>, to: &QualifiedName) -> Step {
    let mut change = about.change();
    change.name = to.clone();
    step(
        entry,
        Action::RenameIndex,
        format!("rename {} to {to}: it is what is declared", about.name),
        change,
        vec![lock(
            about.name,
            LockMode::ShareUpdateExclusive,
            "index; reads and writes go on",
            false,
        )],
        short(vec![rename_sql(about.name, to)]),
    )
}

fn rename_sql(from: &QualifiedName, to: &QualifiedName) -> String {
    format!(
        "alter index {} rename to {}",
        from.sql(),
        quote_ident(&to.name)
    )
}

/// ALTER INDEX and COMMENT: what changes without a build. `tablespace` is for a partitioned index only, which
/// has no storage.
pub(super) fn alter(
    entry: &Entry<'_>,
    about: About<'_>,
    comparison: &Comparison,
    tablespace: Option<&str>,
) -> Step {
    let name = about.name.sql();
    let parameters = &comparison.parameters;
    let mut statements = Vec::new();
    let mut what = Vec::new();
    if !parameters.set.is_empty() {
        let list: Vec<String> = parameters
            .set
            .iter()
            .map(|(name, value)| format!("{} = {}", quote_ident(name), quote_literal(value)))
            .collect();
        statements.push(format!("alter index {name} set ({})", list.join(", ")));
    }
    if !parameters.reset.is_empty() {
        let list: Vec<String> = parameters
            .reset
            .iter()
            .map(|name| quote_ident(name))
            .collect();
        statements.push(format!("alter index {name} reset ({})", list.join(", ")));
    }
    if !parameters.is_empty() {
        what.push("storage parameters");
    }
    if let Some(tablespace) = tablespace {
        statements.push(format!(
            "alter index {name} set tablespace {}",
            quote_ident(tablespace)
        ));
        what.push("tablespace of future partitions");
    }
    if let Some(comment) = &comparison.comment {
        statements.push(comment_sql(about.name, comment));
        what.push("comment");
    }
    if !comparison.statistics.is_empty() {
        statements.extend(
            comparison
                .statistics
                .iter()
                .map(|(key, target)| statistics_sql(about.name, *key, *target)),
        );
        what.push("statistics targets");
    }
    let mode = match tablespace {
        Some(_) => LockMode::AccessExclusive,
        None => parameters.lock(),
    };
    step(
        entry,
        Action::AlterIndex,
        format!("set {} of {}", what.join(", "), about.name),
        about.change(),
        vec![lock(about.name, mode, "index", false)],
        short(statements),
    )
}

fn comment_sql(name: &QualifiedName, comment: &str) -> String {
    format!(
        "comment on index {} is {}",
        name.sql(),
        quote_literal(comment)
    )
}

fn statistics_sql(name: &QualifiedName, key: i16, target: i16) -> String {
    format!(
        "alter index {} alter column {key} set statistics {target}",
        name.sql()
    )
}

/// What a replacement takes over from the index that it replaces.
#[derive(Debug, Clone, Default)]
pub(super) struct Heirloom {
    pub(super) comment: Option<String>,
    pub(super) statistics: BTreeMap<i16, i16>,
    pub(super) clustered: bool,
}

/// The comment of an index that a replacement took the place of: what proves that dbops may drop it, whatever
/// else carries such a name.
pub(super) const REPLACED: &str = "dbops: replaced, to be dropped";

/// Whether an index under a name that dbops uses for a while is of dbops's own making: one that was replaced
/// carries the mark, and a build that did not come to its end is invalid.
pub(super) fn of_own_making(live: &Live<'_>) -> bool {
    !live.index.valid || live.index.comment.as_deref() == Some(REPLACED)
}

/// The swap of names, in one transaction: the old index serves under its name until then.
pub(super) fn swap(
    declared: &Declared,
    replaced: &Live<'_>,
    built: &QualifiedName,
    old: &QualifiedName,
    heirloom: &Heirloom,
) -> Step {
    let name = &declared.name;
    let table = replaced.table;
    let mut statements = vec![
        must_be_valid(built),
        rename_sql(name, old),
        // Its lock is held by now: no session can make it a replica identity any more.
        must_be_as_planned(old, name, replaced.index),
        comment_sql(old, REPLACED),
        rename_sql(built, name),
    ];
    statements.extend(
        heirloom
            .comment
            .as_ref()
            .map(|comment| comment_sql(name, comment)),
    );
    statements.extend(
        heirloom
            .statistics
            .iter()
            .map(|(key, target)| statistics_sql(name, *key, *target)),
    );
    let mut locks = vec![
        lock(
            name,
            LockMode::ShareUpdateExclusive,
            "old index; reads and writes go on",
            false,
        ),
        lock(
            built,
            LockMode::ShareUpdateExclusive,
            "new index; reads and writes go on",
            false,
        ),
    ];
    if heirloom.clustered {
        statements.push(format!(
            "alter table {} cluster on {}",
            table.name.sql(),
            quote_ident(&name.name)
        ));
        locks.insert(
            0,
            lock(
                &table.name,
                LockMode::ShareUpdateExclusive,
                "table, for its CLUSTER mark; reads and writes go on",
                false,
            ),
        );
    }
    step(
        &Entry::declared(declared),
        Action::SwapIndexes,
        format!("give {built} the name {name}; the index it replaces becomes {old}"),
        About::live(table, replaced.index).change(),
        locks,
        short(statements),
    )
}
