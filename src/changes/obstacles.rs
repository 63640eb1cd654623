//! What stands in the way of a wanted partition, and what to do about it.

use super::changeset::{Note, Refusal};
use super::coverage::edge;
use super::ensure::leaf_names;
use super::inputs::{Draft, Managed, refusal};
use super::window::Wanted;
use super::{locks, mark};
use crate::catalog::{Answers, TakenName};
use crate::ident::quote_literal;

pub(super) enum Obstacle<'a> {
    /// An empty table of the right shape, left by an interrupted run.
    Orphan(&'a TakenName),
    Refused(Box<Refusal>),
}

/// Finds what stands in the way of one wanted partition.
pub(super) fn obstacle<'a>(
    managed: &Managed<'_>,
    wanted: &Wanted,
    answers: &'a Answers,
) -> Option<Obstacle<'a>> {
    let axis = managed.calendar.axis;
    let (from, to) = (axis.literal(wanted.from), axis.literal(wanted.to));
    let rows = answers.default_rows.iter().find(|rows| {
        rows.table == managed.table.name
            && rows.from.as_deref() == Some(from.as_str())
            && rows.to.as_deref() == Some(to.as_str())
    });
    if let Some(rows) = rows {
        return Some(Obstacle::Refused(Box::new(default_holds_rows(
            managed, wanted, rows,
        ))));
    }
    let taken_leaf = leaf_names(managed.policy.sub.as_ref(), &wanted.name)
        .into_iter()
        .find_map(|leaf| answers.taken.iter().find(|taken| taken.name == leaf));
    let taken = answers
        .taken
        .iter()
        .find(|taken| taken.name == wanted.name)
        .or(taken_leaf)?;
    if taken_leaf.is_none() && is_orphan(managed, taken) {
        return Some(Obstacle::Orphan(taken));
    }
    Some(Obstacle::Refused(Box::new(name_taken(
        managed, wanted, taken,
    ))))
}

fn is_orphan(managed: &Managed<'_>, taken: &TakenName) -> bool {
    managed.policy.sub.is_none()
        && taken.same_columns
        && taken.empty == Some(true)
        && taken.owned
        && taken.mark.as_deref().and_then(mark::read).is_none()
}

fn default_holds_rows(
    managed: &Managed<'_>,
    wanted: &Wanted,
    rows: &crate::catalog::DefaultRows,
) -> Refusal {
    let axis = managed.calendar.axis;
    let default = locks::default_of(managed.table).map(|default| default.name.clone());
    let default_name = default
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let count = match rows.count {
        Some(1) => "1 row".to_owned(),
        Some(count) => format!("{count} rows"),
        None => "rows (the count did not finish in time)".to_owned(),
    };
    let span = match (&rows.min, &rows.max) {
        (Some(min), Some(max)) => format!(", {} from {min} to {max}", managed.column),
        _ => String::new(),
    };
    Refusal {
        relation: default,
        ..refusal(
            managed.policy,
            "default-holds-rows",
            format!(
                "DEFAULT partition {default_name} holds {count} of the new range {} to {}{span}; {} is not created",
                axis.literal(wanted.from),
                axis.literal(wanted.to),
                wanted.name
            ),
            vec![
                format!(
                    "move these rows out of {default_name} first; new rows of this range go to DEFAULT until then"
                ),
                format!(
                    "see them: select * from only {default_name} where {} >= {} and {} < {};",
                    crate::ident::quote_ident(managed.column),
                    quote_literal(&axis.literal(wanted.from)),
                    crate::ident::quote_ident(managed.column),
                    quote_literal(&axis.literal(wanted.to))
                ),
            ],
        )
    }
}

fn name_taken(managed: &Managed<'_>, wanted: &Wanted, taken: &TakenName) -> Refusal {
    let axis = managed.calendar.axis;
    let range = format!(
        "{} to {}",
        axis.literal(wanted.from),
        axis.literal(wanted.to)
    );
    let detached = taken.mark.as_deref().and_then(mark::read);
    let (why, remedy) = match (&detached, taken.kind.as_str()) {
        (Some(mark), _) => (
            format!(
                "is a table that dbops detached from {} on {}",
                mark.parent,
                mark.detached_at.format("%Y-%m-%d")
            ),
            format!(
                "attach it again: comment on table {name} is {own}; alter table {parent} attach partition {name} for values from ({from}) to ({to});",
                name = taken.name.sql(),
                // Without its mark, so that nobody takes it for a table to be dropped later.
                own = mark::own_literal(taken.mark.as_deref()),
                parent = mark.parent.sql(),
                from = bound_literal(&mark.from, managed),
                to = bound_literal(&mark.to, managed),
            ),
        ),
        (None, "table") if taken.same_columns && taken.empty == Some(false) => (
            "is a table of the same shape that holds rows and is attached to nothing".to_owned(),
            "attach it with the range its rows have, or rename it".to_owned(),
        ),
        (None, "table") if taken.same_columns => (
            "is a table of the same shape whose emptiness could not be checked".to_owned(),
            "give the role the right to read it, or rename it".to_owned(),
        ),
        (None, "table") => (
            "is a table with other columns".to_owned(),
            "rename it, or choose another `name:` template".to_owned(),
        ),
        (None, kind) => (
            format!("is already a {kind}"),
            "rename it, or choose another `name:` template".to_owned(),
        ),
    };
    Refusal {
        relation: Some(taken.name.clone()),
        ..refusal(
            managed.policy,
            "name-taken",
            format!("{} {why}; the range {range} stays uncovered", taken.name),
            vec![remedy],
        )
    }
}

/// Refuses a name that this run gives to another partition already.
pub(super) fn name_wanted_twice(managed: &Managed<'_>, wanted: &Wanted) -> Refusal {
    let axis = managed.calendar.axis;
    Refusal {
        relation: Some(wanted.name.clone()),
        ..refusal(
            managed.policy,
            "name-taken",
            format!(
                "{} is the name that another new partition gets in this run; the range {} to {} stays uncovered",
                wanted.name,
                axis.literal(wanted.from),
                axis.literal(wanted.to)
            ),
            vec![
                "choose another `name:` template for one of the two, with {table} in it".to_owned(),
            ],
        )
    }
}

/// A pending detach in the window is an outage and refuses; an older one is worth a note.
pub(super) fn pending_detaches(managed: &Managed<'_>, current: i128, draft: &mut Draft) {
    let table = &managed.table.name;
    for range in managed
        .ranges
        .iter()
        .filter(|range| range.partition.detach_pending)
    {
        let name = &range.partition.name;
        let message = format!(
            "{name} is pending detach: its rows are invisible through {table} and its range takes no inserts"
        );
        if edge(range.to) <= current {
            draft.notes.push(Note {
                code: "detach-pending".to_owned(),
                table: table.clone(),
                message: format!("{message}; `dbops partitions prune` completes the detach"),
            });
            continue;
        }
        draft.refusals.push(Refusal {
            relation: Some(name.clone()),
            ..refusal(
                managed.policy,
                "detach-pending",
                message,
                vec![
                    "complete the detach with `dbops partitions prune`, then run ensure again: it covers the range anew".to_owned(),
                    format!(
                        "then move the rows of {name} back, or attach it instead: alter table {} attach partition {} {};",
                        table.sql(),
                        name.sql(),
                        range.partition.bound
                    ),
                ],
            )
        });
    }
}

/// Writes a bound of a mark as ATTACH takes it; further key columns are MINVALUE.
fn bound_literal(bound: &str, managed: &Managed<'_>) -> String {
    let first = match bound {
        "MINVALUE" | "MAXVALUE" => bound.to_owned(),
        value => quote_literal(value),
    };
    let rest = managed.table.key.len().saturating_sub(1);
    format!("{first}{}", ", MINVALUE".repeat(rest))
}
