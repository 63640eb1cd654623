//! The same traffic in readings that were taken at any time: some windows are two or five times as long as others.

use dbops::checks::n_plus_one::observation::Observation;
use dbops::checks::n_plus_one::recorded::{of_even, of_recording};
use dbops::sample::statements::column::Column;
use dbops::sample::statements::model::{Counters, Entry, Key, Snapshot};
use dbops::sample::statements::recording::Recording;
use fastrand::Rng;

/// Returns what is seen in windows made equal, and in those windows as they are.
pub(crate) fn observed(run: &Observation, seed: u64) -> (Observation, Observation) {
    let mut rng = Rng::with_seed(seed);
    let mut readings = vec![reading(run, 0)];
    let mut at = 0;
    while at < run.windows {
        let together = [1, 1, 1, 1, 2, 5][rng.usize(..6)];
        at = (at + together).min(run.windows);
        readings.push(reading(run, at));
    }
    let recording = Recording::of_readings(&readings).expect("there are readings");
    (
        of_even(&recording, &recording.even()),
        of_recording(&recording),
    )
}

/// Returns what is seen in windows between readings that were taken after so many windows each.
pub(crate) fn between(run: &Observation, after: &[usize]) -> Observation {
    let readings: Vec<Snapshot> = after.iter().map(|until| reading(run, *until)).collect();
    let recording = Recording::of_readings(&readings).expect("there are readings");
    of_even(&recording, &recording.even())
}

/// What was counted until a window.
fn reading(run: &Observation, until: usize) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.origin.taken_at = 60.0 * until as f64;
    for group in &run.groups {
        for (place, statement) in group.statements.iter().enumerate() {
            let sum = |series: &[f64]| -> f64 { series.iter().take(until).sum() };
            let mut counters = Counters::default();
            counters.set(Column::Calls, Some(sum(&statement.calls)));
            counters.set(Column::Rows, Some(sum(&statement.rows)));
            snapshot.entries.push(Entry {
                key: Key {
                    dbid: group.dbid,
                    userid: group.userid,
                    queryid: Some(place as i64),
                    toplevel: Some(true),
                },
                text: Some(statement.text.as_str().into()),
                counters,
            });
        }
    }
    snapshot
}
