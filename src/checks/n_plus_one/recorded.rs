//! Observations from readings of a server: live windows, stored ones, or a single reading.

use super::observation::{Change, Observation};
use crate::sample::statements::column::Column;
use crate::sample::statements::model::Snapshot;
use crate::sample::statements::recording::Recording;

/// Takes the windows of a recording that can be used, and what ran at the top level in them.
pub fn of_recording(recording: &Recording) -> Observation {
    let usable: Vec<_> = recording
        .windows
        .iter()
        .filter(|window| window.is_usable())
        .collect();
    let changes = usable.iter().enumerate().flat_map(|(number, window)| {
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
                calls: activity.calls,
                rows: activity.rows,
                exec_ms: activity.exec_ms,
                plan_ms: activity.plan_ms,
            })
        })
    });
    Observation::new(usable.len(), changes)
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
