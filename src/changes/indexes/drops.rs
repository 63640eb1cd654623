//! Indexes that should not be there: dropped by name only, and never one that something relies on.

use std::collections::BTreeSet;

use super::alterations::of_own_making;
use super::context::{Context, Entry, Live};
use super::folds::{self, Same};
use super::names;
use super::steps::{self, About};
use super::tree_steps;
use super::units::{Plans, Turn, Unit};
use super::{Absent, Declared};
use crate::catalog::index_model::{
    ArbiterQuestion, ChildForeignKey, IndexedTable, LiveConstraintKind, TableKind,
};
use crate::changes::changeset::Refusal;
use crate::ident::{QualifiedName, quote_ident, quote_if_needed};
use crate::syntax::{IndexSpec, KeyTarget};

type Guarded<T> = Result<T, Box<Refusal>>;

/// Plans the drops of all absent indexes; what they wait for is planned already.
pub(super) fn plan(context: &Context<'_>, plans: &mut Plans) {
    let mut seen = BTreeSet::new();
    for absent in context.inputs.absent {
        // Declared as well: refused with the declaration. Renamed to a declared name: gone.
        if context.is_declared(&absent.name)
            || plans.taken.contains(&absent.name)
            || !seen.insert(&absent.name)
        {
            continue;
        }
        match context.live(&absent.name) {
            Some(live) => {
                let entry = Entry::absent(absent, &live.table.name);
                if let Err(refusal) = one(context, absent, &entry, live, plans) {
                    plans.refusals.push(*refusal);
                }
            }
            None => elsewhere(context, absent, plans),
        }
        leftovers(context, absent, plans);
    }
}

/// The name is not an index of a table that was read.
fn elsewhere(context: &Context<'_>, absent: &Absent, plans: &mut Plans) {
    let Some(what) = context.taken_by(&absent.name, &absent.name) else {
        return;
    };
    plans
        .refusals
        .push(Entry::absent(absent, &absent.name).refusal(
            "not-an-index",
            format!("{} is {what}; `absent` drops indexes only", absent.name),
            vec!["correct the name".to_owned()],
        ));
}

/// What an interrupted replacement of an index that is now absent left.
fn leftovers(context: &Context<'_>, absent: &Absent, plans: &mut Plans) {
    for name in [names::new_name(&absent.name), names::old_name(&absent.name)] {
        let Some(live) = context.live(&name) else {
            continue;
        };
        let own = live.index.constraint.is_none()
            && live.index.parent.is_none()
            && !live.index.partitioned
            && !live.index.of_extension
            && !context.is_declared(&name)
            && !context.is_absent(&name)
            && !plans.taken.contains(&name)
            && of_own_making(live);
        if own && live.table.owns {
            let entry = Entry::absent(absent, &live.table.name);
            if let Err(refusal) = guard_leftover(&entry, live) {
                plans.refusals.push(*refusal);
                continue;
            }
            let mut unit = Unit::new(Turn::Drops);
            unit.then(steps::drop(
                &entry,
                About::live(live.table, live.index),
                format!("drop {name}, which an interrupted run left behind"),
            ));
            plans.push(unit);
        }
    }
}

fn one(
    context: &Context<'_>,
    absent: &Absent,
    entry: &Entry<'_>,
    live: &Live<'_>,
    plans: &mut Plans,
) -> Guarded<()> {
    if !live.table.owns {
        let role = &context.catalog().server.role;
        return Err(Box::new(entry.refusal(
            "missing-privilege",
            format!(
                "role {} does not own {} and is not a member of its owner {}",
                quote_if_needed(role),
                live.table.name,
                quote_if_needed(&live.table.owner)
            ),
            vec![format!(
                "grant {} to {};",
                quote_ident(&live.table.owner),
                quote_ident(role)
            )],
        )));
    }
    guard_itself(entry, live)?;
    let tree = context.tree(&live.table.name);
    let below = below(context, live);
    for child in &below {
        guard_identity(entry, child)?;
    }
    let mut unit = Unit::new(Turn::Drops);
    if live.index.valid {
        arbiters(context, entry, live, None, plans)?;
        guard_refresh(context, entry, live, None)?;
        for level in std::iter::once(live).chain(below.iter().copied()) {
            if let Some(successor) = guard_foreign_keys(context, entry, level)? {
                unit.once_built(successor);
            }
        }
    }
    let about = About::live(live.table, live.index);
    let state = if live.index.valid {
        ""
    } else {
        "; it is invalid already, as an interrupted drop leaves it"
    };
    let step = if live.index.partitioned {
        plans
            .notes
            .push(tree_steps::lock_note(context, entry, &absent.name, &tree));
        tree_steps::drop_parent(
            entry,
            about,
            &tree,
            format!(
                "drop {} and the indexes of its partitions{state}",
                absent.name
            ),
        )
    } else {
        steps::drop(entry, about, format!("drop {}{state}", absent.name))
    };
    unit.then(steps::hazardous(step, &absent.allow));
    plans.push(unit);
    Ok(())
}

/// The indexes attached below a partitioned one, at every level.
pub(super) fn below<'c, 'a>(context: &'c Context<'a>, live: &Live<'a>) -> Vec<&'c Live<'a>> {
    let mut parents = BTreeSet::from([live.index.name.clone()]);
    let mut found = Vec::new();
    for table in context.tree(&live.table.name) {
        for child in context.on(table) {
            if child
                .index
                .parent
                .as_ref()
                .is_some_and(|parent| parents.contains(parent))
            {
                parents.insert(child.index.name.clone());
                found.push(child);
            }
        }
    }
    found
}

/// What belongs to something else cannot be dropped for itself.
fn guard_itself(entry: &Entry<'_>, live: &Live<'_>) -> Guarded<()> {
    let index = live.index;
    let table = live.table.name.sql();
    let refuse = |code: &str, why: String, remedy: String| {
        Err(Box::new(entry.refusal(
            code,
            format!("{} is kept: {why}", index.name),
            vec![remedy],
        )))
    };
    if let Some(parent) = &index.parent {
        return refuse(
            "drop-guard-attached",
            format!("it is attached to the partitioned index {parent}"),
            format!("name {parent} under `absent` to drop the whole of it"),
        );
    }
    guard_referenced(entry, live)?;
    if let Some(constraint) = &index.constraint {
        let kind = match constraint.kind {
            LiveConstraintKind::Primary => "primary key",
            LiveConstraintKind::Unique => "unique constraint",
            LiveConstraintKind::Exclusion => "exclusion constraint",
        };
        return refuse(
            "drop-guard-constraint",
            format!(
                "it enforces the {kind} {} of {}",
                quote_if_needed(&constraint.name),
                live.table.name
            ),
            format!(
                "alter table {table} drop constraint {};",
                quote_ident(&constraint.name)
            ),
        );
    }
    if index.of_extension {
        return refuse(
            "drop-guard-extension",
            "an extension owns it".to_owned(),
            "take it out of `absent`".to_owned(),
        );
    }
    guard_identity(entry, live)
}

/// What an earlier run left is not dropped either once something relies on it.
pub(super) fn guard_leftover(entry: &Entry<'_>, live: &Live<'_>) -> Guarded<()> {
    guard_referenced(entry, live)?;
    guard_identity(entry, live)
}

fn guard_referenced(entry: &Entry<'_>, live: &Live<'_>) -> Guarded<()> {
    match live.index.referenced_by.first() {
        None => Ok(()),
        Some(first) => Err(Box::new(entry.refusal(
            "drop-guard-referenced",
            format!(
                "{} is kept: a foreign key of {first} relies on it",
                live.index.name
            ),
            vec!["drop the foreign key first".to_owned()],
        ))),
    }
}

fn guard_identity(entry: &Entry<'_>, live: &Live<'_>) -> Guarded<()> {
    let index = live.index;
    let table = live.table.name.sql();
    if index.replica_identity {
        return Err(Box::new(entry.refusal(
            "drop-guard-replica-identity",
            format!(
                "{} is kept: it is the replica identity of {}; without it updates and deletes of a published table fail",
                index.name, live.table.name
            ),
            vec![format!("alter table {table} replica identity default;")],
        )));
    }
    if index.clustered {
        return Err(Box::new(entry.refusal(
            "drop-guard-clustered",
            format!(
                "{} is kept: {} is clustered on it",
                index.name, live.table.name
            ),
            vec![format!("alter table {table} set without cluster;")],
        )));
    }
    Ok(())
}

/// REFRESH MATERIALIZED VIEW CONCURRENTLY needs one unique index over columns and all rows.
fn guard_refresh(
    context: &Context<'_>,
    entry: &Entry<'_>,
    live: &Live<'_>,
    successor: Option<&IndexSpec>,
) -> Guarded<()> {
    let plain = |spec: &IndexSpec| {
        spec.unique && spec.predicate.is_none() && spec.key_columns().count() == spec.keys.len()
    };
    let usable = |live: &Live<'_>| {
        live.index.valid && live.index.immediate && live.spec.as_ref().is_some_and(plain)
    };
    let needed = live.table.kind == TableKind::MaterializedView
        && usable(live)
        && !successor.is_some_and(plain)
        && !context.on(live.table).any(|other| {
            other.index.name != live.index.name
                && !context.is_absent(&other.index.name)
                && usable(other)
                && stays_as(context, other, plain)
        });
    if !needed {
        return Ok(());
    }
    Err(Box::new(entry.refusal(
        "drop-guard-refresh",
        format!(
            "{} is kept: it is the only unique index of the materialized view {} that REFRESH … CONCURRENTLY can use",
            live.index.name, live.table.name
        ),
        vec!["declare another unique index on it first".to_owned()],
    )))
}

/// Whether an index is still of use after this run: as it is declared, where it is declared.
fn stays_as(context: &Context<'_>, live: &Live<'_>, of_use: impl Fn(&IndexSpec) -> bool) -> bool {
    let declared = context
        .inputs
        .declared
        .iter()
        .find(|declared| declared.name == live.index.name);
    declared.is_none_or(|declared| of_use(&declared.spec)) && live.spec.as_ref().is_some_and(of_use)
}

/// What is to be there, or to come first, before a replacement that serves otherwise takes an index's place: what
/// REFRESH, foreign keys and ON CONFLICT need. Returns another declared index that must be built before.
pub(super) fn guard_replaced(
    context: &Context<'_>,
    declared: &Declared,
    live: &Live<'_>,
    below: &[&Live<'_>],
    plans: &mut Plans,
) -> Guarded<Option<QualifiedName>> {
    let entry = Entry::declared(declared);
    arbiters(context, &entry, live, Some(&declared.spec), plans)?;
    if !live.index.valid {
        return Ok(None);
    }
    guard_refresh(context, &entry, live, Some(&declared.spec))?;
    let mut first = None;
    for level in std::iter::once(live).chain(below.iter().copied()) {
        let successor = guard_foreign_keys(context, &entry, level)?;
        first = first.or(successor.filter(|name| *name != declared.name));
    }
    Ok(first)
}

/// Without an index on the referencing columns every delete in the referenced table reads all of this one.
///
/// Returns the declared index that takes its place and is not there yet.
fn guard_foreign_keys(
    context: &Context<'_>,
    entry: &Entry<'_>,
    live: &Live<'_>,
) -> Guarded<Option<QualifiedName>> {
    let Some(spec) = &live.spec else {
        return Ok(None);
    };
    let mut successor = None;
    for key in &live.table.foreign_keys {
        if !serves(spec, key) {
            continue;
        }
        let stays = context.on(live.table).any(|other| {
            other.index.name != live.index.name
                && other.index.valid
                && !context.is_absent(&other.index.name)
                && !goes_with(context, other, entry.name)
                && stays_as(context, other, |spec| serves(spec, key))
        });
        if stays {
            continue;
        }
        // Of a replacement first of all the replacement itself.
        let comes = context
            .inputs
            .declared
            .iter()
            .filter(|declared| declared.spec.table == *entry.table && serves(&declared.spec, key))
            .min_by_key(|declared| declared.name != *entry.name);
        match comes {
            Some(declared) if declared.name == *entry.name => {}
            Some(declared) => successor = Some(declared.name.clone()),
            None => {
                return Err(Box::new(entry.refusal(
                    "drop-guard-foreign-key",
                    format!(
                        "{} is kept: it is the only index of {} that serves the foreign key {} to {}; deletes and updates there would read all of {}",
                        live.index.name, live.table.name, quote_if_needed(&key.name), key.references, live.table.name
                    ),
                    vec![format!(
                        "declare another index that begins with {}",
                        key.columns.join(", ")
                    )],
                )));
            }
        }
    }
    Ok(successor)
}

/// Whether an index hangs below the one that is dropped.
fn goes_with(context: &Context<'_>, live: &Live<'_>, dropped: &QualifiedName) -> bool {
    let mut parent = live.index.parent.as_ref();
    while let Some(name) = parent {
        if name == dropped || context.is_absent(name) {
            return true;
        }
        parent = context
            .live(name)
            .and_then(|live| live.index.parent.as_ref());
    }
    false
}

/// Whether the index finds the rows of a foreign key: its columns come first, in whatever order.
fn serves(spec: &IndexSpec, key: &ChildForeignKey) -> bool {
    let leading: BTreeSet<&str> = spec
        .keys
        .iter()
        .take(key.columns.len())
        .filter_map(|key| match &key.target {
            KeyTarget::Column(name) => Some(name.as_str()),
            KeyTarget::Expression(_) => None,
        })
        .collect();
    let wanted: BTreeSet<&str> = key.columns.iter().map(String::as_str).collect();
    let searched = match spec.method.as_str() {
        "btree" => true,
        "hash" => key.columns.len() == 1,
        _ => false,
    };
    searched && spec.predicate.is_none() && !wanted.is_empty() && leading == wanted
}

/// A unique index may be what ON CONFLICT in some statement infers; without it the statement fails.
fn arbiters(
    context: &Context<'_>,
    entry: &Entry<'_>,
    live: &Live<'_>,
    successor: Option<&IndexSpec>,
    plans: &mut Plans,
) -> Guarded<()> {
    let Some(spec) = live.spec.as_ref().filter(|spec| spec.unique) else {
        return Ok(());
    };
    let infers = |other: &IndexSpec| infers_the_same(context, live.table, other, spec);
    let stays = context.on(live.table).any(|other| {
        other.index.name != live.index.name
            && other.index.valid
            && other.index.immediate
            && !context.is_absent(&other.index.name)
            && stays_as(context, other, infers)
    });
    if stays || successor.is_some_and(infers) {
        return Ok(());
    }
    let (columns, words): (Vec<Option<String>>, Vec<String>) = spec
        .keys
        .iter()
        .map(|key| match &key.target {
            KeyTarget::Column(name) => (Some(name.clone()), quote_if_needed(name).to_string()),
            KeyTarget::Expression(text) => (None, format!("({text})")),
        })
        .unzip();
    plans.arbiters.push(ArbiterQuestion {
        index: live.index.name.clone(),
        table: live.table.name.clone(),
        columns,
    });
    let found = context
        .answers
        .arbiters
        .iter()
        .find(|found| found.index == live.index.name);
    if let Some(found) = found {
        return Err(Box::new(entry.refusal(
            "drop-guard-arbiter",
            format!(
                "{} is kept: a recorded statement (queryid {}, {} calls) has ON CONFLICT ({}), which would fail without it",
                live.index.name,
                found.statement,
                found.calls,
                words.join(", ")
            ),
            vec!["change the statement first, or declare another unique index on these keys".to_owned()],
        )));
    }
    if !context.answers.statements_seen {
        plans.notes.push(entry.note(
            "arbiters-unknown",
            format!(
                "pg_stat_statements could not be read: whether a statement has ON CONFLICT ({}), which needs {}, is not known",
                words.join(", "),
                live.index.name
            ),
        ));
    }
    Ok(())
}

/// Whether ON CONFLICT infers one index as it infers the other: the same keys in any order, the same predicate.
fn infers_the_same(
    context: &Context<'_>,
    table: &IndexedTable,
    left: &IndexSpec,
    right: &IndexSpec,
) -> bool {
    let has = |spec: &IndexSpec, wanted: &KeyTarget| {
        spec.keys.iter().any(|key| match (&key.target, wanted) {
            (KeyTarget::Column(a), KeyTarget::Column(b)) => a == b,
            (KeyTarget::Expression(a), KeyTarget::Expression(b)) => {
                folds::same(context, table, a, b) == Same::Yes
            }
            _ => false,
        })
    };
    let predicate = match (&left.predicate, &right.predicate) {
        // An index of all rows serves a statement with a predicate too.
        (None, _) => true,
        (Some(left), Some(right)) => folds::same(context, table, left, right) == Same::Yes,
        (Some(_), None) => false,
    };
    left.unique
        && predicate
        && left.keys.len() == right.keys.len()
        && left.keys.iter().all(|key| has(right, &key.target))
        && right.keys.iter().all(|key| has(left, &key.target))
}
