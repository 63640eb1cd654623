//! What happened between two readings of one server, and how far that can be trusted. Pure.
//!
//! A figure is never taken from one that is smaller: an entry that was removed and made again counts from zero, and is
//! taken as it is. From extension 1.11 each entry says since when it counts. Before, it is told by figures that an
//! entry which only grows cannot show: a sum that fell, a minimum that rose, a maximum that fell, a mean or a deviation
//! of the time between that lies outside of what the extremes allow.

use std::collections::HashMap;

use super::column::{Column, Nature};
use super::doubt::{self, Doubt, WindowDoubt};
use super::model::{Counters, Entry, Key, Snapshot};

/// What one entry did between two readings.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The entry.
    pub key: Key,
    /// Its place in the entries of the earlier reading; `None`: it was not there.
    pub before: Option<usize>,
    /// Its place in the entries of the later reading.
    pub after: usize,
    /// Sums: what was added. Mean and deviation: of the executions between. Extremes: those of the executions between
    /// where they are known, which is when they moved. No instants.
    pub counters: Counters,
    /// No execution between took less, in milliseconds.
    pub floor_ms: f64,
    /// No execution between took more, in milliseconds; `None`: extremes were reset between.
    pub ceiling_ms: Option<f64>,
    /// Why more may have happened than `counters` say.
    pub doubt: Option<Doubt>,
}

/// How much of what happened is known to be complete, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Completeness {
    /// Calls of entries that both readings have and that counted without a break, among all calls between.
    pub calls: f64,
    /// Execution time of the same.
    pub time: f64,
}

/// What happened between two readings.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Seconds between, by the server's clock.
    pub seconds: f64,
    /// Entries that did something, in the order of the later reading.
    pub changes: Vec<Change>,
    /// Places in the later reading of entries that the earlier one does not have.
    pub new: Vec<usize>,
    /// Places in the earlier reading of entries that the later one does not have.
    pub gone: Vec<usize>,
    /// What both readings as a whole cast doubt on.
    pub doubts: Vec<WindowDoubt>,
    /// How much is complete.
    pub completeness: Completeness,
}

impl Difference {
    /// Whether the readings can be compared at all; otherwise there are no changes.
    pub fn is_usable(&self) -> bool {
        !self.doubts.iter().any(WindowDoubt::forbids)
    }
}

/// Returns what happened between two readings of one server.
pub fn difference(before: &Snapshot, after: &Snapshot) -> Difference {
    let mut doubts = doubt::between(before, after);
    let mut difference = Difference {
        seconds: after.origin.taken_at - before.origin.taken_at,
        changes: Vec::new(),
        new: Vec::new(),
        gone: Vec::new(),
        doubts: Vec::new(),
        completeness: Completeness {
            calls: 1.0,
            time: 1.0,
        },
    };
    if doubts.iter().any(WindowDoubt::forbids) {
        difference.doubts = doubts;
        return difference;
    }
    let mut earlier: HashMap<Key, usize> = before
        .entries
        .iter()
        .enumerate()
        .map(|(place, entry)| (entry.key, place))
        .collect();
    let pairs: Vec<(Option<usize>, usize)> = after
        .entries
        .iter()
        .enumerate()
        .map(|(place, entry)| (earlier.remove(&entry.key), place))
        .collect();
    difference.gone = earlier.into_values().collect();
    difference.gone.sort_unstable();

    let mut verdicts: Vec<Option<Doubt>> = pairs
        .iter()
        .map(|&(old, new)| {
            let entry = after.entries.get(new)?;
            match old.and_then(|old| before.entries.get(old)) {
                None => newcomer(entry, &doubts),
                Some(_) if entry.key.queryid.is_none() => Some(Doubt::Hidden),
                Some(old) => broken(&old.counters, &entry.counters),
            }
        })
        .collect();
    // Where everything was thrown away, entries that look as if they had only grown began from zero too.
    let traces = !difference.gone.is_empty() || verdicts.contains(&Some(Doubt::Recreated));
    let emptied = doubt::emptied(before, after, traces);
    if let Some(emptied) = emptied {
        doubts.insert(0, emptied);
        for (verdict, (old, _)) in verdicts.iter_mut().zip(&pairs) {
            if old.is_some() && *verdict != Some(Doubt::Hidden) {
                *verdict = Some(Doubt::Recreated);
            }
        }
    }
    let mut complete = [0.0; 2];
    let mut all = [0.0; 2];
    for (&(old, new), doubt) in pairs.iter().zip(verdicts) {
        let Some(entry) = after.entries.get(new) else {
            continue;
        };
        if old.is_none() {
            difference.new.push(new);
        }
        let base = match doubt {
            Some(Doubt::Recreated) => None,
            _ => old.and_then(|old| before.entries.get(old)),
        };
        let change = change(entry, base, old, new, doubt);
        let did_something = Column::ALL
            .iter()
            .any(|&column| column.nature() == Nature::Sum && change.counters.sum(column) > 0.0);
        if !did_something {
            continue;
        }
        let figures = [Column::Calls, Column::TotalExecTime].map(|one| change.counters.sum(one));
        for (place, figure) in figures.into_iter().enumerate() {
            all[place] += figure;
            if old.is_some() && change.doubt.is_none() {
                complete[place] += figure;
            }
        }
        difference.changes.push(change);
    }
    let share = |place: usize| {
        if all[place] > 0.0 {
            complete[place] / all[place]
        } else {
            1.0
        }
    };
    difference.completeness = Completeness {
        calls: share(0),
        time: share(1),
    };
    difference.doubts = doubts;
    difference
}

/// An entry that was not there counted nothing before; it may have been there in between, and been thrown away.
fn newcomer(entry: &Entry, doubts: &[WindowDoubt]) -> Option<Doubt> {
    if entry.key.queryid.is_none() {
        return Some(Doubt::Hidden);
    }
    doubts
        .iter()
        .any(|doubt| {
            matches!(
                doubt,
                WindowDoubt::Evicted { .. } | WindowDoubt::EvictionsUnknown
            )
        })
        .then_some(Doubt::NewAmidEvictions)
}

/// Returns whether an entry was removed and made again, as far as its figures tell.
fn broken(before: &Counters, after: &Counters) -> Option<Doubt> {
    if let (Some(then), Some(now)) = (
        before.get(Column::StatsSince),
        after.get(Column::StatsSince),
    ) {
        return (!doubt::same(then, now)).then_some(Doubt::Recreated);
    }
    let both = |column: Column| Some((before.get(column)?, after.get(column)?));
    let fell = |&column: &Column| {
        column.nature() == Nature::Sum && both(column).is_some_and(|(then, now)| now < then)
    };
    let impossible = Column::ALL.iter().any(fell)
        || Series::EXEC.contradicts(before, after)
        || Series::PLAN.contradicts(before, after);
    if impossible {
        return Some(Doubt::Recreated);
    }
    implausible(before, after).then_some(Doubt::Implausible)
}

/// Both extremes are among the new executions with a chance of about the square of their share, were all alike.
const UNLIKELY: f64 = 0.02;

fn implausible(before: &Counters, after: &Counters) -> bool {
    let Series {
        count, min, max, ..
    } = Series::EXEC;
    let both = |column: Column| {
        let pair = (before.get(column)?, after.get(column)?);
        (pair.0 > 0.0 && pair.1 > 0.0).then_some(pair)
    };
    let (Some(count), Some(min), Some(max)) = (both(count), both(min), both(max)) else {
        return false;
    };
    let share = (count.1 - count.0) / count.1;
    min.1 < min.0 && max.1 > max.0 && share * share < UNLIKELY
}

/// The columns that describe one series of times.
struct Series {
    count: Column,
    total: Column,
    min: Column,
    max: Column,
    mean: Column,
    deviation: Column,
}

/// Times are kept as floating-point numbers: what differs by less than this part of them is equal.
const NOISE: f64 = 1e-9;

impl Series {
    const EXEC: Self = Self {
        count: Column::Calls,
        total: Column::TotalExecTime,
        min: Column::MinExecTime,
        max: Column::MaxExecTime,
        mean: Column::MeanExecTime,
        deviation: Column::StddevExecTime,
    };
    const PLAN: Self = Self {
        count: Column::Plans,
        total: Column::TotalPlanTime,
        min: Column::MinPlanTime,
        max: Column::MaxPlanTime,
        mean: Column::MeanPlanTime,
        deviation: Column::StddevPlanTime,
    };

    /// Sum of the squares of all times: n (deviation² + mean²) is additive, as neither of the two is.
    fn squares(&self, counters: &Counters) -> Option<f64> {
        let count = counters.get(self.count)?;
        let mean = counters.get(self.mean)?;
        let deviation = counters.get(self.deviation)?;
        Some(count * (deviation * deviation + mean * mean))
    }

    /// Returns whether `after` cannot be `before` with more executions added, although no sum fell.
    fn contradicts(&self, before: &Counters, after: &Counters) -> bool {
        let both = |column: Column| Some((before.get(column)?, after.get(column)?));
        let (Some(count), Some(total), Some(min), Some(max)) = (
            both(self.count),
            both(self.total),
            both(self.min),
            both(self.max),
        ) else {
            return false;
        };
        if count.0 == 0.0 {
            return false;
        }
        // Extremes that are 0 with calls counted were reset, and say nothing.
        if max.0 == 0.0 || max.1 == 0.0 {
            return false;
        }
        if min.1 > min.0 || max.1 < max.0 {
            return true;
        }
        let added = count.1 - count.0;
        let time = total.1 - total.0;
        let noise = NOISE * total.1;
        if added == 0.0 {
            return time > noise || min.0 != min.1 || max.0 != max.1;
        }
        // Every execution between is within the extremes; a new extreme is one of them.
        let mut least = added * min.1;
        let mut most = added * max.1;
        if max.1 > max.0 {
            least += max.1 - min.1;
        }
        if min.1 < min.0 {
            most -= max.1 - min.1;
        }
        if time < least - noise || time > most + noise {
            return true;
        }
        let (Some(then), Some(now)) = (self.squares(before), self.squares(after)) else {
            return false;
        };
        // The variance of values within [m, M] is at most (M - mean)(mean - m).
        let mean = time / added;
        let variance = (now - then) / added - mean * mean;
        let allowed = NOISE * now / added;
        let most = ((max.1 - mean) * (mean - min.1)).max(0.0);
        variance < -allowed - NOISE * mean * mean || variance > most * (1.0 + NOISE) + allowed
    }

    /// Sets mean, deviation and extremes of what happened after `before`.
    fn describe(&self, before: Option<&Counters>, after: &Counters, change: &mut Counters) {
        let Some(before) = before else {
            let extremes = after.sum(self.max) > 0.0 && !restarted_since_made(after);
            for column in [self.mean, self.deviation] {
                change.set(column, after.get(column));
            }
            for column in [self.min, self.max] {
                change.set(column, after.get(column).filter(|_| extremes));
            }
            return;
        };
        let added = change.sum(self.count);
        if added <= 0.0 {
            return;
        }
        let mean = change.sum(self.total) / added;
        change.set(self.mean, Some(mean));
        if let (Some(then), Some(now)) = (self.squares(before), self.squares(after)) {
            let variance = ((now - then) / added - mean * mean).max(0.0);
            change.set(self.deviation, Some(variance.sqrt()));
        }
        let moved = |column: Column| Some((before.get(column)?, after.get(column)?));
        let restarted = restarted(before, after);
        let known = |pair: Option<(f64, f64)>, fell: bool| {
            pair.filter(|(then, now)| {
                !restarted
                    && *then > 0.0
                    && *now > 0.0
                    && if fell { now < then } else { now > then }
            })
            .map(|(_, now)| now)
        };
        change.set(self.min, known(moved(self.min), true));
        change.set(self.max, known(moved(self.max), false));
        if added == 1.0 {
            // One execution is all of them.
            change.set(self.deviation, Some(0.0));
            change.set(self.min, Some(mean));
            change.set(self.max, Some(mean));
        }
    }
}

/// Whether the extremes were reset in between.
fn restarted(before: &Counters, after: &Counters) -> bool {
    before.get(Column::MinmaxStatsSince) != after.get(Column::MinmaxStatsSince)
}

/// Whether the extremes of an entry were reset after it was made.
fn restarted_since_made(counters: &Counters) -> bool {
    match (
        counters.get(Column::StatsSince),
        counters.get(Column::MinmaxStatsSince),
    ) {
        (Some(made), Some(extremes)) => !doubt::same(made, extremes),
        _ => false,
    }
}

fn change(
    entry: &Entry,
    base: Option<&Entry>,
    before: Option<usize>,
    after: usize,
    doubt: Option<Doubt>,
) -> Change {
    let now = &entry.counters;
    let then = base.map(|base| &base.counters);
    let mut counters = Counters::default();
    for &column in Column::ALL {
        if column.nature() != Nature::Sum {
            continue;
        }
        // A column that the earlier reading does not have was not counted until the extension was updated.
        let value = match (now.get(column), then) {
            (Some(now), None) => Some(now),
            (Some(now), Some(then)) => then.get(column).map(|then| (now - then).max(0.0)),
            (None, _) => None,
        };
        counters.set(column, value);
    }
    Series::EXEC.describe(then, now, &mut counters);
    Series::PLAN.describe(then, now, &mut counters);
    let life_max = now.get(Column::MaxExecTime).filter(|max| *max > 0.0);
    let life_min = now.get(Column::MinExecTime).unwrap_or(0.0);
    let (mut floor_ms, mut ceiling_ms) = match then {
        Some(then) if restarted(then, now) => (0.0, None),
        None if restarted_since_made(now) => (0.0, None),
        _ => (life_min, life_max),
    };
    if entry.key.queryid.is_none() {
        (floor_ms, ceiling_ms) = (0.0, None);
    }
    if counters.sum(Column::Calls) == 1.0 && doubt.is_none() {
        let only = counters.sum(Column::TotalExecTime);
        (floor_ms, ceiling_ms) = (only, Some(only));
    }
    Change {
        key: entry.key,
        before,
        after,
        counters,
        floor_ms,
        ceiling_ms,
        doubt,
    }
}

#[cfg(test)]
#[path = "delta_tests.rs"]
mod tests;
