//! Which list a child's calls follow, by how far its rows explain them once everything else is taken away.

use super::anchor::ONE_EACH;
use super::observation::Statement;
use super::regression::{Term, differences, dot, forward};
use super::sources::{Source, Tie, is_batch};
use crate::syntax::shape::StatementKind;

/// What the counts say about a list as parent.
#[derive(Debug, Clone, Default)]
pub struct ParentEvidence {
    /// Its place in the group.
    pub index: usize,
    /// Name of the foreign key that ties them.
    pub foreign_key: Option<String>,
    /// Whether keys, joins or names tie them.
    pub tied: bool,
    /// Calls of the child per row of the list.
    pub slope: f64,
    /// Calls of the child per call of the list.
    pub amplification: f64,
    /// Part of the child's calls that the list's rows account for.
    pub share: f64,
    /// Clumping before divided by clumping after, as a logarithm.
    pub gain: f64,
    /// Correlation of the differences of calls and rows, after what other statements explain is taken from both.
    pub correlation: f64,
    /// How many standard errors the slope is away from none.
    pub certainty: f64,
    /// Difference of calls and rows summed over the windows, 0 to 1: 0 where there is one call for each row.
    pub row_for_row: f64,
}

/// Calls per execution of a list below which nothing loops over its rows.
const LEAST_AMPLIFICATION: f64 = 1.2;
/// Standard errors above which more says nothing.
const MOST_CERTAIN: f64 = 20.0;

/// Loops that are asked how many rows of a list they used.
const MOST_OTHERS: usize = 2;
/// Correlation from which a loop takes rows of a list.
const SHARES: f64 = 0.4;
/// Correlation up to which two loops are of different pages.
const APART: f64 = 0.5;

/// A list with how its rows move, and what it explains by itself.
struct Fitted<'a> {
    source: &'a Source,
    list: &'a Statement,
    slope: f64,
    certainty: f64,
    correlation: f64,
    /// Logarithm of how much likelier it makes the calls, and of how much likelier it is by its tie.
    merit: f64,
}

/// Finds the parent. `controls` is what may explain calls outside loops, `before` the variance that it leaves.
pub(super) fn parent(
    child: &Statement,
    steps: &[f64],
    controls: &[Term],
    before: f64,
    lists: &[(&Source, &Statement)],
    loops: &[Vec<f64>],
) -> Option<ParentEvidence> {
    let basis = basis(controls);
    let rest = apart(steps, &basis);
    let others: Vec<Vec<f64>> = loops
        .iter()
        .map(|other| apart(other, &basis))
        .filter(|other| alike(other, &rest).abs() < APART)
        .collect();
    let writes = matches!(
        child.shape.kind,
        StatementKind::Update | StatementKind::Delete
    );
    let fitted: Vec<Fitted> = lists
        .iter()
        .map(|(source, list)| fit(source, list, &rest, &basis, &others, writes))
        .collect();
    let best = fitted
        .iter()
        .filter(|one| one.slope * one.list.fan_out() >= LEAST_AMPLIFICATION)
        .max_by(|a, b| a.merit.total_cmp(&b.merit));
    let evidence = |one: &Fitted, slope: f64, gain: f64| ParentEvidence {
        index: one.source.index,
        foreign_key: one.source.foreign_key.clone(),
        tied: one.source.tie != Tie::Counts,
        slope,
        amplification: slope * one.list.fan_out(),
        share: slope * one.list.total_rows() / child.total_calls().max(1.0),
        gain,
        correlation: one.correlation,
        certainty: one.certainty,
        row_for_row: row_for_row(child, one.list),
    };
    if let Some(best) = best {
        let pool: Vec<Term> = fitted
            .iter()
            .filter(|one| one.source.index != best.source.index)
            .map(|one| rows(one.list))
            .collect();
        let mut start = controls.to_vec();
        start.push(rows(best.list));
        let fit = forward(steps, &start, &pool, 2, 0.05);
        let gain = (before.max(1e-9) / fit.variance.max(1e-9)).ln().max(0.0);
        return Some(evidence(best, best.slope, gain));
    }
    // Where the rows explain too little to count as evidence, the list that keys tie to it and that moves with it most
    // is still the best guess.
    fitted
        .iter()
        .filter(|one| !is_batch(one.list) && one.list.total_calls() < child.total_calls())
        .filter(|one| one.source.tie != Tie::Counts || one.correlation >= 0.5)
        .max_by(|a, b| a.correlation.total_cmp(&b.correlation))
        .map(|one| ParentEvidence {
            correlation: 0.0,
            certainty: 0.0,
            ..evidence(one, 0.0, 0.0)
        })
}

fn rows(list: &Statement) -> Term {
    Term {
        series: differences(&list.rows),
        low: 0.0,
        high: ONE_EACH,
    }
}

fn fit<'a>(
    source: &'a Source,
    list: &'a Statement,
    rest: &[f64],
    basis: &[Vec<f64>],
    others: &[Vec<f64>],
    writes: bool,
) -> Fitted<'a> {
    let mut moves = apart(&differences(&list.rows), basis);
    let mut used = 0.0;
    if rest.len() >= basis.len() + 2 * MOST_OTHERS + 4 {
        for _ in 0..MOST_OTHERS {
            let most = others
                .iter()
                .map(|other| (alike(other, &moves), other))
                .max_by(|a, b| a.0.total_cmp(&b.0));
            match most {
                Some((alike, other)) if alike >= SHARES => {
                    // One row of the list for each of their calls at most.
                    let slope = (dot(other, &moves) / dot(other, other)).min(1.0);
                    for (left, x) in moves.iter_mut().zip(other) {
                        *left -= slope * x;
                    }
                    used += 1.0;
                }
                _ => break,
            }
        }
    }
    let (square, both, whole) = (dot(&moves, &moves), dot(&moves, rest), dot(rest, rest));
    let slope = if square > 0.0 {
        (both / square).clamp(0.0, ONE_EACH)
    } else {
        0.0
    };
    let left = (whole - 2.0 * slope * both + slope * slope * square).max(1e-3 * whole);
    let free = (rest.len() as f64 - basis.len() as f64 - 1.0 - used).max(1.0);
    let error = (left / free / square.max(1e-9)).sqrt();
    let tie = match source.tie {
        Tie::Linked if source.foreign_key.is_some() => 3.0,
        Tie::Linked => 2.0,
        // An update goes over the rows that were listed; a fetch by key seldom asks for them a second time.
        Tie::SameTable if writes => 3.0,
        Tie::SameTable | Tie::Counts => 0.0,
    };
    let inserted = if list.shape.kind == StatementKind::Insert {
        -3.0
    } else {
        0.0
    };
    Fitted {
        source,
        list,
        slope,
        certainty: if slope > 0.0 {
            (slope / error.max(1e-9)).min(MOST_CERTAIN)
        } else {
            0.0
        },
        correlation: if square > 0.0 && whole > 0.0 {
            both / (square * whole).sqrt()
        } else {
            0.0
        },
        merit: free / 2.0 * (whole.max(1e-9) / left.max(1e-9)).ln() + tie + inserted,
    }
}

fn alike(a: &[f64], b: &[f64]) -> f64 {
    let size = (dot(a, a) * dot(b, b)).sqrt();
    if size > 0.0 { dot(a, b) / size } else { 0.0 }
}

/// Directions of the terms, at right angles to each other, each of length 1.
fn basis(terms: &[Term]) -> Vec<Vec<f64>> {
    let mut found: Vec<Vec<f64>> = Vec::new();
    for term in terms {
        let rest = apart(&term.series, &found);
        let length = dot(&rest, &rest).sqrt();
        if length > 1e-6 * dot(&term.series, &term.series).sqrt() && length > 0.0 {
            found.push(rest.iter().map(|x| x / length).collect());
        }
    }
    found
}

/// What of a series lies in none of the directions.
fn apart(series: &[f64], basis: &[Vec<f64>]) -> Vec<f64> {
    let mut rest = series.to_vec();
    for direction in basis {
        let along = dot(&rest, direction);
        for (left, x) in rest.iter_mut().zip(direction) {
            *left -= along * x;
        }
    }
    rest
}

fn row_for_row(child: &Statement, list: &Statement) -> f64 {
    let (mut apart, mut both) = (0.0, 0.0);
    for (calls, rows) in child.calls.iter().zip(&list.rows) {
        apart += (calls - rows).abs();
        both += calls + rows;
    }
    apart / f64::max(both, 1.0)
}
