//! What holds for all children of a group: which statement runs once per request, which cannot be children of loops,
//! and how far the traffic itself comes in bursts.

use super::gate::{Candidate, Kind, Quiet};
use super::observation::Group;
use super::regression::{Term, bounded, correlation, differences, dot, fano, residual};
use super::schema::ColumnClass;
use super::score::ANCHOR_EXPLAINED;
use crate::syntax::shape::StatementKind;

/// More statements than this explain nothing more, and cost.
const MOST_ROOTS: usize = 40;
/// A term that moves with another as closely as this belongs to the same endpoint.
const TOGETHER: f64 = 0.9;
/// Coefficient of a call: in flight while a reading is taken, it may come out a little above one.
pub(super) const ONE_EACH: f64 = 1.05;

/// What holds for all children of a group.
pub(super) struct Field {
    /// Place of the statement that runs once per request.
    pub(super) anchor: Option<usize>,
    /// Places of statements that cannot be children of loops, busiest first.
    pub(super) roots: Vec<usize>,
    /// Places of statements that behave like children of loops: rows that they use up are no other's.
    pub(super) loops: Vec<usize>,
    /// Fano factor that three quarters of them stay below, at least 1.
    pub(super) bursts: f64,
}

impl Field {
    pub(super) fn new(
        group: &Group,
        gates: &[Result<Candidate, Quiet>],
        anchor: Option<usize>,
    ) -> Self {
        let roots = roots(group, gates);
        let bursts = bursts(group, &roots);
        Self {
            anchor,
            roots,
            loops: Vec::new(),
            bursts,
        }
    }

    /// Returns how many more requests come with one more call, by the differences of the windows: about 1 for what
    /// runs once per request, next to nothing for what runs in a loop. `None`: nothing tells the number of requests.
    pub(super) fn requests_per_call(&self, group: &Group, of: usize) -> Option<f64> {
        let anchor = self.anchor.filter(|anchor| *anchor != of)?;
        explain(group, anchor, Some(of)).map(|(slope, _)| slope)
    }
}

/// Fano factor of a statement that runs once per request, held against that of others outside loops.
const MOST_BUNDLED: f64 = 3.0;

fn roots(group: &Group, gates: &[Result<Candidate, Quiet>]) -> Vec<usize> {
    group
        .statements
        .iter()
        .enumerate()
        .zip(gates)
        .filter(|((_, statement), gate)| {
            gate.is_err()
                && statement.total_calls() >= 5.0
                && !matches!(
                    statement.shape.kind,
                    StatementKind::Utility | StatementKind::Insert | StatementKind::Transaction
                )
        })
        .map(|((index, _), _)| index)
        .take(MOST_ROOTS)
        .collect()
}

/// Fano factor that three quarters of the statements stay below, at least 1.
fn bursts(group: &Group, of: &[usize]) -> f64 {
    let mut reached: Vec<f64> = of
        .iter()
        .filter_map(|index| group.statements.get(*index))
        .filter(|statement| statement.total_calls() >= 20.0)
        .map(|statement| fano(&statement.calls))
        .collect();
    reached.sort_by(f64::total_cmp);
    reached
        .get(reached.len() * 3 / 4)
        .copied()
        .unwrap_or(1.0)
        .max(1.0)
}

/// Chooses the statement that runs once per request: the one that is asked for; or the busiest look-up of a natural
/// key, start of a transaction or look-up of a single object that the calls of all others explain.
pub(super) fn find(
    group: &Group,
    gates: &[Result<Candidate, Quiet>],
    wanted: Option<&str>,
) -> Option<usize> {
    if let Some(wanted) = wanted {
        return group
            .statements
            .iter()
            .position(|statement| statement.text.contains(wanted));
    }
    let places = |fits: &dyn Fn(usize) -> bool| -> Vec<usize> {
        (0..group.statements.len())
            .filter(|index| fits(*index))
            .take(8)
            .collect()
    };
    let begins =
        |index: usize| {
            group.statements.get(index).is_some_and(|statement| {
                statement.shape.kind == StatementKind::Transaction
                    && statement.text.trim_start().get(..5).is_some_and(|word| {
                        ["begin", "start"].contains(&word.to_lowercase().as_str())
                    })
            })
        };
    let natural = |index: usize| matches!(gates.get(index), Some(Err(Quiet::NaturalKey)));
    let object = |index: usize| {
        matches!(gates.get(index), Some(Ok(candidate)) if candidate.kind == Kind::BelongsTo || (candidate.kind == Kind::HasMany && candidate.class == ColumnClass::Other))
            && group
                .statements
                .get(index)
                .is_some_and(|statement| statement.fan_out() <= 1.0)
    };
    // Requests come one by one: what is more bundled than most of what is no loop is part of a loop itself, such as a
    // transaction for each row.
    let usual = bursts(group, &roots(group, gates));
    let calm = |index: usize, most: f64| {
        group
            .statements
            .get(index)
            .is_some_and(|statement| fano(&statement.calls) <= most * usual)
    };
    let explained = |index: &usize, least: f64| {
        explain(group, *index, None).is_some_and(|(_, part)| part >= least)
    };
    places(&|index| natural(index) || begins(index))
        .into_iter()
        .find(|index| {
            (natural(*index) || calm(*index, MOST_BUNDLED)) && explained(index, ANCHOR_EXPLAINED)
        })
        .or_else(|| {
            places(&object)
                .into_iter()
                .find(|index| calm(*index, MOST_BUNDLED / 2.0) && explained(index, 0.9))
        })
}

/// Explains the differences of a statement's calls by those of all others, none of which can come with more than one
/// request. Returns the slope of the statement asked for, and how much is explained at all.
fn explain(group: &Group, anchor: usize, of: Option<usize>) -> Option<(f64, f64)> {
    let target = differences(&group.statements.get(anchor)?.calls);
    let size = dot(&target, &target);
    if size <= 0.0 {
        return None;
    }
    let own = of
        .and_then(|index| group.statements.get(index))
        .map(|statement| differences(&statement.calls));
    let each = |series: Vec<f64>| Term {
        series,
        low: 0.0,
        high: ONE_EACH,
    };
    let mut terms: Vec<Term> = own.iter().cloned().map(each).collect();
    for (index, statement) in group.statements.iter().enumerate() {
        if terms.len() > 2 * MOST_ROOTS {
            break;
        }
        if index == anchor
            || Some(index) == of
            || statement.total_calls() < 10.0
            || matches!(
                statement.shape.kind,
                StatementKind::Utility | StatementKind::Transaction
            )
        {
            continue;
        }
        let series = differences(&statement.calls);
        let apart: Vec<f64> = series.iter().zip(&target).map(|(a, b)| a - b).collect();
        // What runs with every request says nothing of the endpoints.
        if dot(&apart, &apart) < 0.05 * size
            || own
                .as_ref()
                .is_some_and(|own| correlation(own, &series) > TOGETHER)
        {
            continue;
        }
        terms.push(each(series));
    }
    let terms: Vec<&Term> = terms.iter().collect();
    let coefficients = bounded(&target, &terms);
    let rest = residual(&target, &terms, &coefficients);
    let slope = if of.is_some() {
        coefficients.first().copied().unwrap_or(0.0)
    } else {
        0.0
    };
    Some((slope, 1.0 - dot(&rest, &rest) / size))
}
