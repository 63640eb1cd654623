//! Observations from readings of a server: live windows, stored ones, or a single reading.

use super::observation::{Change, Observation};
use super::report::Report;
use crate::sample::statements::column::Column;
use crate::sample::statements::even::Even;
use crate::sample::statements::model::Snapshot;
use crate::sample::statements::recording::Recording;

/// Takes the windows of a recording that can be used, and what ran at the top level in them.
pub fn of_recording(recording: &Recording) -> Observation {
    let usable: Vec<_> = recording
        .windows
        .iter()
        .enumerate()
        .filter(|(_, window)| window.is_usable())
        .map(|(place, window)| (vec![place], window.seconds))
        .collect();
    of_windows(recording, &usable, |_| 1.0)
}

/// The same of windows that were made windows of one length: what is counted in each is what a window of that length
/// would hold. [`whole`] brings a report of it back to what was counted.
pub fn of_even(recording: &Recording, even: &Even) -> Observation {
    of_windows(recording, &even.windows, |number| even.scale(number))
}

fn of_windows(
    recording: &Recording,
    windows: &[(Vec<usize>, f64)],
    scale: impl Fn(usize) -> f64,
) -> Observation {
    let parts = windows
        .iter()
        .enumerate()
        .flat_map(|(number, (places, _))| {
            let scale = scale(number);
            let parts = places
                .iter()
                .filter_map(|place| recording.windows.get(*place));
            parts.map(move |window| (number, scale, window))
        });
    let changes = parts.flat_map(|(number, scale, window)| {
        window.activities.iter().filter_map(move |activity| {
            let statement = recording.statements.get(activity.statement)?;
            if statement.key.toplevel == Some(false) {
                return None;
            }
            Some(Change {
                window: number,
                dbid: statement.key.dbid,
                userid: statement.key.userid,
                queryid: statement.key.queryid?,
                text: statement.text.as_deref()?,
                calls: scale * activity.calls,
                rows: scale * activity.rows,
                exec_ms: scale * activity.exec_ms,
                plan_ms: scale * activity.plan_ms,
            })
        })
    });
    Observation::new(windows.len(), changes)
}

/// Takes a single reading as one window since the statistics began.
pub fn of_snapshot(snapshot: &Snapshot) -> Observation {
    let changes = snapshot.entries.iter().filter_map(|entry| {
        if entry.key.toplevel == Some(false) {
            return None;
        }
        Some(Change {
            window: 0,
            dbid: entry.key.dbid,
            userid: entry.key.userid,
            queryid: entry.key.queryid?,
            text: entry.text.as_deref()?,
            calls: entry.counters.sum(Column::Calls),
            rows: entry.counters.sum(Column::Rows),
            exec_ms: entry.counters.sum(Column::TotalExecTime),
            plan_ms: entry.counters.sum(Column::TotalPlanTime),
        })
    });
    Observation::new(1, changes)
}

/// Multiplies what a report counts, where it was made of windows whose calls were counted in proportion.
pub fn whole(report: &mut Report, factor: f64) {
    for suspect in &mut report.suspects {
        suspect.evidence.calls *= factor;
        suspect.avoidable_calls *= factor;
        suspect.avoidable_ms *= factor;
    }
    for quiet in &mut report.quiet {
        quiet.calls *= factor;
    }
    for group in &mut report.groups {
        group.calls *= factor;
    }
}
