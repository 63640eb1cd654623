//! Which statements may stand upstream of a loop's child: lists whose rows may each cause a call, and single
//! objects whose fetch may cause one.

use super::gate::Candidate;
use super::observation::{Group, Statement};
use super::schema::{ColumnClass, Links};
use crate::syntax::shape::{StatementKind, Values};

/// How a statement is tied to its possible child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tie {
    /// Its rows hold the key that the child looks for.
    Linked,
    /// It lists rows of the child's own table.
    SameTable,
    /// Nothing says so but the counts.
    Counts,
}

/// A statement that may stand upstream.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) index: usize,
    pub(super) tie: Tie,
    pub(super) foreign_key: Option<String>,
}

/// Rows per call up to which a statement fetches one object.
pub(super) const FAN_ONE: f64 = 1.2;
/// Rows per call from which it is a list.
pub(super) const FAN_LIST: f64 = 1.8;

pub(super) fn sources(group: &Group, candidate: &Candidate, links: &Links) -> Vec<Source> {
    let Some(child) = group.statements.get(candidate.index) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, statement) in group.statements.iter().enumerate() {
        if index == candidate.index
            || !(statement.shape.kind == StatementKind::Select || statement.shape.returning)
            || !statement.shape.aggregates.is_empty() && !statement.shape.grouped
            || statement.fan_out() <= 0.0
        {
            continue;
        }
        let tie = tie(statement, candidate, links);
        if tie.is_none() && (follows(statement, child, links) || is_sibling(statement, candidate)) {
            continue;
        }
        let (tie, foreign_key) = tie.unwrap_or((Tie::Counts, None));
        found.push(Source {
            index,
            tie,
            foreign_key,
        });
    }
    found
}

/// Whether a statement may be caused by the rows of another: it looks for a key that they hold.
pub(super) fn follows(later: &Statement, earlier: &Statement, links: &Links) -> bool {
    let reach: Vec<&str> = earlier
        .shape
        .tables
        .iter()
        .map(|table| table.name.as_str())
        .collect();
    later.shape.equalities.iter().any(|equality| {
        if links.ambient.contains(&equality.column.name) {
            return false;
        }
        let Some(table) = super::schema::table_of(&later.shape, &equality.column) else {
            return false;
        };
        let column = equality.column.name.as_str();
        let outwards = links
            .from(table, column)
            .any(|link| reach.contains(&link.target.as_str()));
        let inwards = links
            .to(table)
            .any(|link| link.target_column == column && reach.contains(&link.table.as_str()));
        outwards || inwards
    })
}

/// Whether a statement finds its rows by the very key that the child looks for.
fn is_sibling(statement: &Statement, candidate: &Candidate) -> bool {
    statement.shape.equalities.iter().any(|equality| {
        candidate.keys.iter().any(|(table, column)| {
            *column == equality.column.name
                && super::schema::table_of(&statement.shape, &equality.column)
                    == Some(table.as_str())
        })
    })
}

/// Whether a statement asks for many keys at once.
pub(super) fn is_batch(statement: &Statement) -> bool {
    statement
        .shape
        .equalities
        .iter()
        .any(|equality| !matches!(equality.values, Values::One | Values::List(Some(1))))
}

fn tie(parent: &Statement, candidate: &Candidate, links: &Links) -> Option<(Tie, Option<String>)> {
    let names = |name: &str| parent.shape.tables.iter().any(|table| table.name == name);
    for (table, column) in &candidate.keys {
        for link in links.from(table, column) {
            if names(&link.target) {
                return Some((Tie::Linked, link.foreign_key.clone()));
            }
        }
        let holders: Vec<_> = links
            .to(table)
            .filter(|link| link.target_column == *column && names(&link.table))
            .collect();
        if let Some(link) = holders.first() {
            // Rows fetched by the very key that the child looks for come after it, not before.
            let by_that_key = parent.shape.equalities.iter().any(|equality| {
                holders.iter().any(|link| {
                    link.column == equality.column.name
                        && super::schema::table_of(&parent.shape, &equality.column)
                            == Some(link.table.as_str())
                })
            });
            if by_that_key {
                return None;
            }
            return Some((Tie::Linked, link.foreign_key.clone()));
        }
    }
    let (own, _) = candidate.keys.first()?;
    let same = candidate.class == ColumnClass::PrimaryKey
        && names(own)
        && !is_sibling(parent, candidate)
        && parent.fan_out() >= FAN_LIST;
    same.then_some((Tie::SameTable, None))
}
