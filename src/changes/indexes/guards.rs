//! What keeps a live index from being replaced by another one of its name.

use super::Declared;
use super::compare::Comparison;
use super::context::{Entry, Live};
use crate::changes::changeset::Refusal;
use crate::ident::quote_ident;

/// What an index serves that a new one cannot take over by its name.
pub(super) fn guarded(declared: &Declared, live: &Live<'_>) -> Option<Box<Refusal>> {
    let index = live.index;
    let table = live.table.name.sql();
    let refuse = |code: &str, why: String, remedy: String| {
        Some(Box::new(Entry::declared(declared).refusal(
            code,
            format!(
                "{} differs from what is declared and cannot be replaced: {why}",
                index.name
            ),
            vec![remedy],
        )))
    };
    if index.of_extension {
        return refuse(
            "replace-of-extension",
            "an extension owns it".to_owned(),
            "declare the index under another name".to_owned(),
        );
    }
    if let Some(first) = index.referenced_by.first() {
        return refuse(
            "replace-referenced",
            format!("a foreign key of {first} relies on it"),
            "declare the new index under another name; the foreign key keeps the old one"
                .to_owned(),
        );
    }
    if index.replica_identity {
        return refuse(
            "replace-replica-identity",
            format!("it is the replica identity of {}", live.table.name),
            format!(
                "alter table {table} replica identity full; -- or another index; afterwards the new one"
            ),
        );
    }
    let clusterable = matches!(declared.spec.method.as_str(), "btree" | "gist")
        && declared.spec.predicate.is_none();
    if index.clustered && !clusterable {
        return refuse(
            "replace-clustered",
            format!(
                "{} is clustered on it, which the declared index does not allow",
                live.table.name
            ),
            format!("alter table {table} set without cluster;"),
        );
    }
    None
}

/// An index of a constraint, or of a partitioned index, cannot be another one.
pub(super) fn bound(declared: &Declared, live: &Live<'_>, comparison: &Comparison) -> Box<Refusal> {
    let index = live.index;
    let differences = comparison.words(live).join("; ");
    let (code, owner, remedy) = match (&index.constraint, &index.parent) {
        (Some(constraint), _) => (
            "constraint-differs",
            format!("the constraint {}", constraint.name),
            format!(
                "declare the index under another name, then: alter table {} drop constraint {};",
                live.table.name.sql(),
                quote_ident(&constraint.name)
            ),
        ),
        (None, parent) => (
            "attached-differs",
            format!(
                "the partitioned index {}",
                parent
                    .as_ref()
                    .map_or_else(String::new, ToString::to_string)
            ),
            "declare the index on the partitioned table, or under another name on the partition"
                .to_owned(),
        ),
    };
    Box::new(Entry::declared(declared).refusal(
        code,
        format!(
            "{} belongs to {owner} and differs from what is declared: {differences}",
            index.name
        ),
        vec![remedy],
    ))
}
