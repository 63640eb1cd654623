//! What changed between two sides: two times of one server, or two servers.
//!
//! A statement is called slower only where the ratio of the means, the difference in time and chance all say so:
//! a ratio alone alarms at microseconds, a difference alone at what is slow anyway, and either alone at noise. The
//! difference in time is that of an execution, or, where that is small, of all executions as part of the server's time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::figures::Figures;
use super::welch::{Sample, beyond, holm, probability};

/// What makes statements of two sides the same: by names, so that servers and majors compare.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Identity {
    /// The fingerprint of the text; without text the server's hash.
    pub fingerprint: String,
    /// The database's name.
    pub database: String,
    /// The role's name.
    pub role: String,
    /// Whether it ran inside a function.
    pub nested: bool,
}

/// A statement of one side.
#[derive(Debug, Clone, PartialEq)]
pub struct One {
    /// What makes it the same.
    pub identity: Identity,
    /// The server's hashes.
    pub queryids: Vec<i64>,
    /// Its text.
    pub text: Option<Arc<str>>,
    /// Its figures.
    pub figures: Figures,
}

/// One side.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Side {
    /// Its statements.
    pub statements: Vec<One>,
    /// How long it was counted, in seconds; `None`: not known.
    pub seconds: Option<f64>,
    /// Settings that decide what is counted, by name.
    pub settings: BTreeMap<String, String>,
    /// Whether entries were thrown away for want of room while it was counted; `None`: not known.
    pub evictions: Option<bool>,
    /// Hashes of entries that were there and may have been called before it: by them evicted is told from gone.
    pub present: BTreeSet<i64>,
}

/// From when on a change is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Ratio of the means.
    pub ratio: f64,
    /// Difference of the means, in milliseconds.
    pub floor_ms: f64,
    /// The same for statements that are called more than [`often_per_s`](Self::often_per_s).
    pub floor_often_ms: f64,
    /// Calls a second.
    pub often_per_s: f64,
    /// Difference of all calls of the second side, as a share of the time of all its statements: from here on the
    /// difference of the means may be smaller.
    pub heavy_share: f64,
    /// By what share of itself a mean differs from run to run: where the difference of the means is small, it must be
    /// certain beyond that.
    pub noise: f64,
    /// Executions on both sides.
    pub calls: f64,
    /// Chance of even one false one among all.
    pub alpha: f64,
    /// Ratio of blocks a call.
    pub blocks_ratio: f64,
    /// Fewer blocks a call than this are not compared.
    pub blocks_floor: f64,
    /// Ratio of rows a call.
    pub rows_ratio: f64,
    /// Fewer rows a call than this are not compared.
    pub rows_floor: f64,
    /// Ratio of calls a second.
    pub calls_ratio: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ratio: 1.5,
            floor_ms: 2.0,
            floor_often_ms: 0.2,
            often_per_s: 100.0,
            heavy_share: 0.01,
            noise: 0.05,
            calls: 30.0,
            alpha: 0.001,
            blocks_ratio: 2.0,
            blocks_floor: 16.0,
            rows_ratio: 3.0,
            rows_floor: 10.0,
            calls_ratio: 2.0,
        }
    }
}

/// What happened to a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Its executions take longer.
    Slower,
    /// It was not there before.
    New,
    /// It asks for more blocks, though it is not certain to be slower: another plan, or more data.
    MoreBlocks,
    /// It returns or affects more rows.
    MoreRows,
    /// It is called more often.
    MoreCalls,
    /// Its executions take less time.
    Faster,
    /// It is not called any more.
    Gone,
    /// Its entry was thrown away for want of room.
    Evicted,
}

/// A change.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// What happened, the weightiest first.
    pub changes: Vec<Change>,
    /// The statement.
    pub identity: Identity,
    /// Its text.
    pub text: Option<Arc<str>>,
    /// Hashes of both sides.
    pub queryids: Vec<i64>,
    /// Before.
    pub before: Option<Figures>,
    /// After.
    pub after: Option<Figures>,
    /// Ratio of the means.
    pub mean_ratio: Option<f64>,
    /// Probability that chance made the difference of the means; before correction.
    pub chance: Option<f64>,
    /// Time that it takes more in the time of the second side, in milliseconds; negative: less.
    pub added_ms: f64,
}

/// All that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Changes, those that add most time first.
    pub changed: Vec<Changed>,
    /// Statements on both sides that did not change.
    pub unchanged: usize,
    /// Statements on both sides with too few calls to tell whether they are slower.
    pub too_few: usize,
    /// Time of all statements of the second side less that of the first in the same time, in milliseconds.
    pub added_ms: f64,
    /// What the first side's time is multiplied by to compare it with the second's.
    pub scale: f64,
}

/// Returns the settings that make two sides count different things, with their values.
pub fn different_settings(before: &Side, after: &Side) -> Vec<(String, String, String)> {
    [
        "pg_stat_statements.track",
        "pg_stat_statements.track_planning",
        "pg_stat_statements.track_utility",
    ]
    .into_iter()
    .filter_map(|name| {
        let (a, b) = (before.settings.get(name)?, after.settings.get(name)?);
        (a != b).then(|| (name.to_owned(), a.clone(), b.clone()))
    })
    .collect()
}

/// Compares two sides.
pub fn compare(before: &Side, after: &Side, limits: &Limits) -> Comparison {
    let scale = match (before.seconds, after.seconds) {
        (Some(a), Some(b)) if a > 0.0 && b > 0.0 => b / a,
        _ => 1.0,
    };
    let timed = before.seconds.is_some() && after.seconds.is_some();
    let by = |side: &'_ Side| -> BTreeMap<Identity, usize> {
        let all = side.statements.iter().enumerate();
        all.map(|(at, one)| (one.identity.clone(), at)).collect()
    };
    let (old, new) = (by(before), by(after));
    let mut pairs: Vec<(&One, &One, Option<Chance>)> = Vec::new();
    let mut changed = Vec::new();
    for (identity, &at) in &new {
        let Some(now) = after.statements.get(at) else {
            continue;
        };
        let then = old.get(identity).and_then(|&at| before.statements.get(at));
        match then {
            Some(then) => pairs.push((then, now, chance(&then.figures, &now.figures, limits))),
            None => changed.push(alone(now, Change::New, scale)),
        }
    }
    for (identity, &at) in &old {
        if let (false, Some(then)) = (new.contains_key(identity), before.statements.get(at)) {
            let still_there = then.queryids.iter().any(|id| after.present.contains(id));
            let change = if after.evictions == Some(true) && !still_there {
                Change::Evicted
            } else {
                Change::Gone
            };
            changed.push(alone(then, change, scale));
        }
    }
    let total = |side: &Side| -> f64 {
        let sent = side.statements.iter().filter(|one| !one.identity.nested);
        sent.map(|one| one.figures.total_ms).sum()
    };
    let all_ms = total(after);
    let certain_of = |chance: fn(&Chance) -> f64| {
        let tested: Vec<f64> = pairs
            .iter()
            .filter_map(|pair| pair.2.as_ref())
            .map(chance)
            .collect();
        holm(&tested, limits.alpha).into_iter()
    };
    let mut plain = certain_of(|chance| chance.plain);
    let mut noisy = certain_of(|chance| chance.noisy);
    let mut unchanged = 0;
    let mut too_few = 0;
    for (then, now, chance) in pairs {
        let certain = match chance {
            Some(_) => Certain {
                plain: plain.next() == Some(true),
                noisy: noisy.next() == Some(true),
            },
            None => Certain::default(),
        };
        let scope = Scope { timed, all_ms };
        let changes = changes(&then.figures, &now.figures, certain, scope, limits);
        if changes.is_empty() {
            let few = then.figures.calls.min(now.figures.calls) < limits.calls;
            unchanged += usize::from(!few);
            too_few += usize::from(few);
            continue;
        }
        let mut queryids = [then.queryids.clone(), now.queryids.clone()].concat();
        queryids.sort_unstable();
        queryids.dedup();
        changed.push(Changed {
            changes,
            identity: now.identity.clone(),
            text: now.text.clone().or_else(|| then.text.clone()),
            queryids,
            mean_ratio: ratio(then.figures.mean_ms, now.figures.mean_ms),
            chance: chance.map(|chance| chance.plain),
            added_ms: now.figures.total_ms - then.figures.total_ms * scale,
            before: Some(then.figures.clone()),
            after: Some(now.figures.clone()),
        });
    }
    changed.sort_by(|a, b| {
        b.added_ms
            .total_cmp(&a.added_ms)
            .then_with(|| a.identity.cmp(&b.identity))
    });
    Comparison {
        changed,
        unchanged,
        too_few,
        added_ms: all_ms - total(before) * scale,
        scale,
    }
}

/// A statement that one side has alone.
fn alone(one: &One, change: Change, scale: f64) -> Changed {
    let figures = Some(one.figures.clone());
    let (before, after, added_ms) = match change {
        Change::New => (None, figures, one.figures.total_ms),
        _ => (figures, None, -one.figures.total_ms * scale),
    };
    Changed {
        changes: vec![change],
        identity: one.identity.clone(),
        text: one.text.clone(),
        queryids: one.queryids.clone(),
        before,
        after,
        mean_ratio: None,
        chance: None,
        added_ms,
    }
}

/// The probability that chance alone made the difference.
#[derive(Debug, Clone, Copy)]
struct Chance {
    /// Of executions that vary as they did.
    plain: f64,
    /// Where the mean varies from run to run too.
    noisy: f64,
}

/// Whether a difference is more than chance, by the same two.
#[derive(Debug, Clone, Copy, Default)]
struct Certain {
    plain: bool,
    noisy: bool,
}

/// What holds for all pairs.
#[derive(Debug, Clone, Copy)]
struct Scope {
    /// Whether it is known how long both sides were counted.
    timed: bool,
    /// Time of all statements of the second side.
    all_ms: f64,
}

/// `None` where it is not asked.
fn chance(then: &Figures, now: &Figures, limits: &Limits) -> Option<Chance> {
    if then.calls.min(now.calls) < limits.calls {
        return None;
    }
    let sample = |one: &Figures| {
        Some(Sample {
            n: one.calls,
            mean: one.mean_ms?,
            stddev: one.stddev_ms?,
        })
    };
    let (a, b) = (sample(then)?, sample(now)?);
    Some(Chance {
        plain: probability(&a, &b)?,
        noisy: beyond(&a, &b, limits.noise)?,
    })
}

fn changes(
    then: &Figures,
    now: &Figures,
    certain: Certain,
    scope: Scope,
    limits: &Limits,
) -> Vec<Change> {
    let mut found = Vec::new();
    let often = [then, now]
        .iter()
        .filter_map(|one| one.calls_per_s)
        .any(|calls| calls > limits.often_per_s);
    let floor = if often {
        limits.floor_often_ms
    } else {
        limits.floor_ms
    };
    if let (Some(a), Some(b)) = (then.mean_ms, now.mean_ms) {
        let difference = (b - a).abs();
        // Little time a call, but much of the server's; the smaller it is, the more noise looks like it.
        let heavy =
            scope.all_ms > 0.0 && difference * now.calls >= limits.heavy_share * scope.all_ms;
        let counts = (certain.plain && difference >= floor) || (certain.noisy && heavy);
        if counts && b >= a * limits.ratio {
            found.push(Change::Slower);
        } else if counts && a >= b * limits.ratio {
            found.push(Change::Faster);
        }
    }
    let enough = then.calls.min(now.calls) >= limits.calls;
    let grew = |a: Option<f64>, b: Option<f64>, by: f64, floor: f64| match (a, b) {
        (Some(a), Some(b)) => enough && b >= a * by && b >= floor,
        _ => false,
    };
    let blocks = (then.blocks_per_call, now.blocks_per_call);
    if grew(blocks.0, blocks.1, limits.blocks_ratio, limits.blocks_floor) {
        found.push(Change::MoreBlocks);
    }
    let rows = (then.rows_per_call, now.rows_per_call);
    if grew(rows.0, rows.1, limits.rows_ratio, limits.rows_floor) {
        found.push(Change::MoreRows);
    }
    let calls = (then.calls_per_s, now.calls_per_s);
    if scope.timed && grew(calls.0, calls.1, limits.calls_ratio, 0.0) {
        found.push(Change::MoreCalls);
    }
    found.sort();
    found
}

fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    let (a, b) = (a?, b?);
    (a > 0.0).then(|| b / a)
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
