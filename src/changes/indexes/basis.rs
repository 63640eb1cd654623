//! The structure of a table's indexes as sorted facts: what a saved changeset is held against before it runs.

use super::names;
use crate::catalog::fingerprint::{fingerprint, lines};
use crate::catalog::index_model::{IndexCatalog, IndexedTable, LiveIndex};
use crate::changes::changeset::{Basis, Subject};
use crate::ident::{QualifiedName, quote_if_needed};

/// Returns the structural facts of the indexes of a table and of everything below it, sorted, one a line.
///
/// Sizes, estimates, scans and what the current role may do are no part of them.
pub fn basis_of(catalog: &IndexCatalog, table: &QualifiedName) -> Basis {
    let mut facts = Vec::new();
    let mut names = vec![table.clone()];
    let mut at = 0;
    while let Some(name) = names.get(at).cloned() {
        if let Some(found) = catalog.tables.iter().find(|found| found.name == name) {
            table_facts(found, &mut facts);
            for partition in &found.partitions {
                if !names.contains(partition) {
                    names.push(partition.clone());
                }
            }
        }
        at += 1;
    }
    // Names are looked up, and new indexes owned, by whoever runs it.
    facts.push(format!("run as {}", quote_if_needed(&catalog.server.role)));
    let facts = lines(&facts);
    Basis {
        subject: Subject::Indexes,
        table: table.clone(),
        fingerprint: fingerprint(&facts),
        facts,
    }
}

fn table_facts(table: &IndexedTable, facts: &mut Vec<String>) {
    let name = &table.name;
    facts.push(format!(
        "table {name} oid {} kind {:?}",
        table.oid, table.kind
    ));
    facts.extend(table.columns.iter().map(|column| {
        format!(
            "column of {name}: {} {}{}",
            quote_if_needed(&column.name),
            column.type_name,
            if column.not_null { " not null" } else { "" }
        )
    }));
    facts.extend(
        table
            .parent
            .iter()
            .map(|parent| format!("{name} is a partition of {parent}")),
    );
    let key: Vec<String> = table
        .partition_key
        .iter()
        .map(|column| {
            column
                .as_deref()
                .map_or_else(|| "(expression)".to_owned(), quote_if_needed)
        })
        .collect();
    if !key.is_empty() {
        facts.push(format!("{name} is partitioned by {}", key.join(", ")));
    }
    facts.extend(table.foreign_keys.iter().map(|key| {
        format!(
            "foreign key {} of {name} ({}) to {}",
            quote_if_needed(&key.name),
            key.columns.join(", "),
            key.references
        )
    }));
    facts.extend(table.indexes.iter().map(|index| index_fact(name, index)));
}

fn index_fact(table: &QualifiedName, index: &LiveIndex) -> String {
    let mut fact = format!(
        "index {} of {table} oid {}: {}",
        index.name, index.oid, index.definition
    );
    let mut say = |words: String| {
        fact.push_str("; ");
        fact.push_str(&words);
    };
    for (on, words) in [
        (!index.valid, "invalid"),
        (!index.live, "being dropped"),
        (!index.immediate, "deferrable"),
        (index.clustered, "clustered"),
        (index.replica_identity, "replica identity"),
        (index.of_extension, "of an extension"),
        (names::is_reindex_debris(&index.name.name), "of a reindex"),
    ] {
        if on {
            say(words.to_owned());
        }
    }
    if let Some(parent) = &index.parent {
        say(format!("attached to {parent}"));
    }
    if let Some(constraint) = &index.constraint {
        say(format!(
            "constraint {} {:?}",
            quote_if_needed(&constraint.name),
            constraint.kind
        ));
    }
    for referencing in &index.referenced_by {
        say(format!("referenced by {referencing}"));
    }
    if let Some(tablespace) = &index.tablespace {
        say(format!("tablespace {}", quote_if_needed(tablespace)));
    }
    for (name, value) in &index.reloptions {
        say(format!("{name} = {value}"));
    }
    for (key, target) in &index.statistics {
        say(format!("statistics of key {key} = {target}"));
    }
    if let Some(comment) = &index.comment {
        say(format!("comment {comment}"));
    }
    fact
}
