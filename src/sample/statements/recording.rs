//! What ran in each of several short windows. Pure; [`windows`](super::windows) fills it from a server.

use std::collections::HashMap;
use std::sync::Arc;

use super::column::Column;
use super::delta::{Completeness, Difference, difference};
use super::doubt::{Doubt, WindowDoubt};
use super::even::{Even, even};
use super::model::{Counters, Key, Snapshot};
use super::own::leave_out_own;
use super::read::is_own;

/// Readings in a row, as what changed from each to the next.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// The first reading, with texts.
    pub first: Snapshot,
    /// The last one.
    pub last: Snapshot,
    /// Entries that ran in a window.
    pub statements: Vec<Statement>,
    /// The windows in order.
    pub windows: Vec<Window>,
    /// How long a window was meant to be, in seconds.
    pub window_seconds: f64,
    /// Requests a second, where they were estimated to choose the length.
    pub requests_per_second: Option<f64>,
    /// Median of the round trip to the server in milliseconds, where it was measured.
    pub round_trip_ms: Option<f64>,
    /// Whether it was ended before all windows were there.
    pub interrupted: bool,
    /// Why the server gave no more readings before all windows were there, in words.
    pub failed: Option<String>,
    places: HashMap<Key, usize>,
    /// Texts of the first reading, which may be the only one with texts.
    texts: HashMap<Key, Arc<str>>,
}

/// An entry that ran in a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The entry.
    pub key: Key,
    /// Its text; `None`: hidden or lost.
    pub text: Option<Arc<str>>,
}

/// What ran between two readings in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Seconds, by the server's clock.
    pub seconds: f64,
    /// Entries that ran.
    pub activities: Vec<Activity>,
    /// What casts doubt on all of it.
    pub doubts: Vec<WindowDoubt>,
    /// How much is complete.
    pub completeness: Completeness,
}

/// What one entry did in one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activity {
    /// Its place in [`Recording::statements`].
    pub statement: usize,
    /// Executions that ended.
    pub calls: f64,
    /// Rows returned or affected.
    pub rows: f64,
    /// Milliseconds in the executor.
    pub exec_ms: f64,
    /// Milliseconds in the planner; 0 where planning is not tracked.
    pub plan_ms: f64,
    /// Why there may have been more.
    pub doubt: Option<Doubt>,
}

impl Window {
    /// Whether what was counted can be used: nothing was lost as a whole. Evictions are for the reader to weigh.
    pub fn is_usable(&self) -> bool {
        !self.doubts.iter().any(|doubt| {
            doubt.forbids()
                || matches!(
                    doubt,
                    WindowDoubt::Reset
                        | WindowDoubt::Crash
                        | WindowDoubt::NotSaved
                        | WindowDoubt::Restart
                        | WindowDoubt::Setting { .. }
                )
        })
    }

    /// Whether entries were thrown away meanwhile.
    pub fn has_evictions(&self) -> bool {
        self.doubts.iter().any(|doubt| {
            matches!(
                doubt,
                WindowDoubt::Evicted { .. } | WindowDoubt::EvictionsUnknown
            )
        })
    }
}

impl Recording {
    /// Begins with a first reading.
    pub fn begin(first: Snapshot) -> Self {
        let texts = first
            .entries
            .iter()
            .filter_map(|entry| Some((entry.key, entry.text.clone()?)));
        Self {
            texts: texts.collect(),
            last: first.clone(),
            first,
            ..Self::default()
        }
    }

    /// Makes a recording of readings in a row, as a file holds them; `None`: there is none.
    pub fn of_readings(readings: &[Snapshot]) -> Option<Self> {
        let (first, rest) = readings.split_first()?;
        let mut recording = Self::begin(first.clone());
        for reading in rest {
            recording.add(reading.clone());
        }
        recording.set_mean_length();
        Some(recording)
    }

    /// Takes the mean of the windows as their length: for readings that were not taken in a plan.
    pub fn set_mean_length(&mut self) {
        if !self.windows.is_empty() {
            let seconds = self.last.origin.taken_at - self.first.origin.taken_at;
            self.window_seconds = seconds / self.windows.len() as f64;
        }
    }

    /// Puts the windows that can be used together to windows of nearly equal length.
    pub fn even(&self) -> Even {
        let lengths = self.windows.iter();
        let lengths: Vec<Option<f64>> = lengths
            .map(|one| one.is_usable().then_some(one.seconds))
            .collect();
        even(&lengths)
    }

    /// Adds the next reading, as the window since the one before.
    pub fn add(&mut self, mut after: Snapshot) {
        let found = difference(&self.last, &after);
        share(&self.last, &mut after);
        let mut activities = Vec::with_capacity(found.changes.len());
        for change in &found.changes {
            let text = after
                .entries
                .get(change.after)
                .and_then(|entry| entry.text.clone())
                .or_else(|| self.texts.get(&change.key).cloned());
            if text.as_deref().is_some_and(is_own) {
                continue;
            }
            let statements = &mut self.statements;
            let statement = *self.places.entry(change.key).or_insert_with(|| {
                statements.push(Statement {
                    key: change.key,
                    text: None,
                });
                statements.len() - 1
            });
            if let Some(known) = statements.get_mut(statement)
                && known.text.is_none()
            {
                known.text = text;
            }
            activities.push(Activity {
                statement,
                calls: change.counters.sum(Column::Calls),
                rows: change.counters.sum(Column::Rows),
                exec_ms: change.counters.sum(Column::TotalExecTime),
                plan_ms: change.counters.sum(Column::TotalPlanTime),
                doubt: change.doubt,
            });
        }
        self.windows.push(Window {
            seconds: found.seconds,
            activities,
            doubts: found.doubts,
            completeness: found.completeness,
        });
        self.last = after;
    }

    /// Returns what happened from the first reading to the last, with every figure.
    pub fn total(&self) -> Difference {
        difference(&self.first, &self.last)
    }

    /// Returns the number of windows that can be used.
    pub fn usable(&self) -> usize {
        self.windows.iter().filter(|one| one.is_usable()).count()
    }

    /// Takes the last reading, which has the texts that the first one lacks: names what came in between, and leaves
    /// dbops's own statements out everywhere.
    ///
    /// Where the server gave no such reading, [`last`](Self::last) is taken as it is, without the texts of newcomers.
    pub(super) fn close(&mut self, mut last: Snapshot) {
        for entry in &mut last.entries {
            if entry.text.is_none() {
                entry.text = self.texts.get(&entry.key).cloned();
            }
            if let Some(place) = self.places.get(&entry.key)
                && let Some(statement) = self.statements.get_mut(*place)
                && statement.text.is_none()
            {
                statement.text.clone_from(&entry.text);
            }
        }
        let own = |text: &Option<Arc<str>>| text.as_deref().is_some_and(is_own);
        self.first.entries.retain(|entry| !own(&entry.text));
        leave_out_own(&mut last.entries, &mut last.origin);
        let statements = &self.statements;
        for window in &mut self.windows {
            window.activities.retain(|one| {
                let statement = statements.get(one.statement);
                !statement.is_some_and(|statement| own(&statement.text))
            });
        }
        self.last = last;
    }
}

/// Lets entries that did not change share their figures with the reading before: most do not, from window to window.
fn share(before: &Snapshot, after: &mut Snapshot) {
    let earlier: HashMap<Key, &Counters> = before
        .entries
        .iter()
        .map(|entry| (entry.key, &entry.counters))
        .collect();
    for entry in &mut after.entries {
        if let Some(same) = earlier.get(&entry.key)
            && **same == entry.counters
        {
            entry.counters = (*same).clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Entry;
    use super::*;

    fn reading(at: f64, entries: &[(i64, Option<&str>, f64)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.origin.taken_at = at;
        snapshot.entries = entries
            .iter()
            .map(|&(id, text, calls)| {
                let mut counters = Counters::default();
                counters.set(Column::Calls, Some(calls));
                counters.set(Column::Rows, Some(calls * 3.0));
                Entry {
                    key: Key {
                        dbid: 1,
                        userid: 1,
                        queryid: Some(id),
                        toplevel: Some(true),
                    },
                    text: text.map(Into::into),
                    counters,
                }
            })
            .collect();
        snapshot
    }

    #[test]
    fn windows_hold_what_ran_in_them_and_texts_come_from_whichever_reading_has_them() {
        let recording = Recording::of_readings(&[
            reading(0.0, &[(1, Some("a"), 5.0), (2, Some("b"), 7.0)]),
            reading(2.0, &[(1, None, 9.0), (2, None, 7.0)]),
            reading(4.0, &[(1, None, 9.0), (2, None, 8.0), (3, Some("c"), 2.0)]),
        ])
        .unwrap();
        let ran: Vec<Vec<(&str, f64, f64)>> = recording
            .windows
            .iter()
            .map(|window| {
                let told = window.activities.iter().map(|one| {
                    let text = recording.statements[one.statement].text.as_deref();
                    (text.unwrap_or("?"), one.calls, one.rows)
                });
                told.collect()
            })
            .collect();
        assert_eq!(
            ran,
            [
                vec![("a", 4.0, 12.0)],
                vec![("b", 1.0, 3.0), ("c", 2.0, 6.0)]
            ]
        );
        assert_eq!(recording.window_seconds, 2.0);
        assert_eq!(recording.usable(), 2);
        assert_eq!(recording.total().changes.len(), 3);
    }

    #[test]
    fn a_single_reading_has_no_window() {
        let recording = Recording::of_readings(&[reading(0.0, &[])]).unwrap();
        assert_eq!(recording.windows, []);
        assert!(Recording::of_readings(&[]).is_none());
    }
}
