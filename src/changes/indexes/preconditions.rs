//! What is asked of the server's answers before an index is built, and what REINDEX left on its table.

use super::Declared;
use super::context::{Context, Entry};
use super::folds;
use super::names;
use super::steps::{self, About};
use super::units::{Plans, Turn, Unit};
use crate::catalog::index_model::{DuplicateQuestion, IndexedTable};
use crate::changes::changeset::Refusal;
use crate::ident::{QualifiedName, quote_ident};
use crate::syntax::{IndexSpec, KeyTarget};

type Planned<T> = Result<T, Box<Refusal>>;

/// Refuses a text that the server refuses.
pub(super) fn readable(
    context: &Context<'_>,
    declared: &Declared,
    table: &IndexedTable,
) -> Planned<()> {
    match folds::refused(context, &table.name, &declared.spec) {
        None => Ok(()),
        Some((text, message)) => Err(Box::new(Entry::declared(declared).refusal(
            "expression-refused",
            format!("the server refuses `{text}` on {}: {message}", table.name),
            vec![
                "correct the expression; functions outside pg_catalog, public and the table's schema need their schema"
                    .to_owned(),
            ],
        ))),
    }
}

/// Asks for duplicates of a unique index that is about to be built, and refuses it where there are some.
pub(super) fn unique(
    context: &Context<'_>,
    declared: &Declared,
    table: &IndexedTable,
    name: &QualifiedName,
    plans: &mut Plans,
) -> Planned<()> {
    let spec = &declared.spec;
    if !spec.unique {
        return Ok(());
    }
    plans.duplicates.push(question(spec, table, name));
    let answer = context
        .answers
        .duplicates
        .iter()
        .find(|found| found.index == *name);
    let entry = Entry::declared(declared);
    match answer.map(|found| &found.samples) {
        None => Ok(()),
        Some(None) => {
            plans.notes.push(entry.note(
                "duplicates-unknown",
                format!("whether {} holds duplicates of {name} could not be found out in time; the build would fail on them", table.name),
            ));
            Ok(())
        }
        Some(Some(samples)) if samples.is_empty() => Ok(()),
        Some(Some(samples)) => {
            let shown: Vec<String> = samples
                .iter()
                .map(|(key, rows)| format!("{key} ({rows} rows)"))
                .collect();
            Err(Box::new(entry.refusal(
                "duplicate-keys",
                format!(
                    "{} has rows that the unique index {} forbids: {}",
                    table.name,
                    declared.name,
                    shown.join(", ")
                ),
                vec![
                    "remove or change the duplicated rows, then run it again".to_owned(),
                    "or take `unique` out".to_owned(),
                ],
            )))
        }
    }
}

fn question(spec: &IndexSpec, table: &IndexedTable, name: &QualifiedName) -> DuplicateQuestion {
    DuplicateQuestion {
        index: name.clone(),
        table: table.name.clone(),
        keys: spec
            .keys
            .iter()
            .map(|key| match &key.target {
                KeyTarget::Column(name) => quote_ident(name),
                KeyTarget::Expression(text) => format!("({text})"),
            })
            .collect(),
        predicate: spec.predicate.clone(),
        nulls_equal: spec.nulls_not_distinct,
    }
}

/// Drops what REINDEX CONCURRENTLY left on a table, once.
pub(super) fn debris(
    context: &Context<'_>,
    entry: &Entry<'_>,
    table: &IndexedTable,
    plans: &mut Plans,
) {
    if !plans.searched.insert(table.name.clone()) || !table.owns {
        return;
    }
    for live in context.on(table) {
        let index = live.index;
        let debris = names::is_reindex_debris(&index.name.name)
            && !index.valid
            && !index.partitioned
            && index.constraint.is_none()
            && index.parent.is_none()
            && !context.is_declared(&index.name)
            && !context.is_absent(&index.name);
        if debris {
            let mut unit = Unit::new(Turn::Drops);
            unit.then(steps::drop(
                entry,
                About::live(table, index),
                format!(
                    "drop {}, which an interrupted REINDEX CONCURRENTLY left behind",
                    index.name
                ),
            ));
            plans.push(unit);
        }
    }
}
