//! What one statement costs and how it runs, in the figures that people think in.

use serde::Serialize;

use super::group::{self, Statement};
use super::p95::{self, Moments, Percentile};
use crate::sample::statements::column::Column;

/// What the figures of a reading or a window are held against.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Time of all entries that clients sent, hidden ones too, in milliseconds.
    pub total_ms: f64,
    /// From when on; `None`: not known.
    pub from: Option<f64>,
    /// Up to when, seconds since the epoch.
    pub until: f64,
    /// Whether times of reading and writing blocks are measured; `None`: not known.
    pub io_timing: Option<bool>,
    /// Whether planning is measured; `None`: not known.
    pub planning: Option<bool>,
    /// Bytes of a block.
    pub block_bytes: f64,
}

/// A share of hits of fewer blocks than this says nothing.
pub const FEWEST_BLOCKS: f64 = 1_000.0;

/// The figures of a statement. `None`: not measured, or nothing to divide by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Executions.
    pub calls: f64,
    /// Time in executor and, where measured, planner.
    pub total_ms: f64,
    /// The part of the time of all statements, from 0 to 1.
    pub time_share: Option<f64>,
    /// Executions a second.
    pub calls_per_s: Option<f64>,
    /// Since when it is counted, seconds since the epoch.
    pub since: Option<f64>,
    /// Mean execution.
    pub mean_ms: Option<f64>,
    /// Population standard deviation of the executions.
    pub stddev_ms: Option<f64>,
    /// Shortest execution.
    pub min_ms: Option<f64>,
    /// Longest execution.
    pub max_ms: Option<f64>,
    /// What the 95th percentile can be; [`percentile`] finds it, which takes longer than all the others together.
    #[serde(skip)]
    pub p95: Option<Percentile>,
    /// Rows that an execution returns or affects.
    pub rows_per_call: Option<f64>,
    /// Blocks that an execution asks for, in the buffer cache or not, temporary tables too.
    pub blocks_per_call: Option<f64>,
    /// Blocks for a row.
    pub blocks_per_row: Option<f64>,
    /// Blocks that an execution does not find in the buffer cache.
    pub reads_per_call: Option<f64>,
    /// The part of shared blocks found in the buffer cache, from 0 to 1; only of [`FEWEST_BLOCKS`] and more.
    pub cache_hit: Option<f64>,
    /// Time that an execution waits for reads.
    pub read_ms_per_call: Option<f64>,
    /// Plannings an execution; cached plans make it less than 1.
    pub plans_per_call: Option<f64>,
    /// Planning for an execution.
    pub plan_ms_per_call: Option<f64>,
    /// The part of planning in its time, from 0 to 1.
    pub plan_share: Option<f64>,
    /// Bytes of temporary files that an execution writes.
    pub temp_bytes_per_call: Option<f64>,
    /// Bytes of WAL that an execution writes.
    pub wal_bytes_per_call: Option<f64>,
    /// Time compiling for an execution.
    pub jit_ms_per_call: Option<f64>,
    /// The part of compiling in its executions, from 0 to 1.
    pub jit_share: Option<f64>,
    /// Parallel workers that an execution wants.
    pub workers_wanted_per_call: Option<f64>,
    /// The part of wanted parallel workers that it got, from 0 to 1.
    pub workers_got: Option<f64>,
}

/// Returns the figures of a statement.
pub fn figures<F>(statement: &Statement<F>, frame: &Frame) -> Figures {
    let counters = &statement.counters;
    let get = |column: Column| counters.get(column);
    let calls = counters.sum(Column::Calls);
    let per_call = |value: Option<f64>| value.filter(|_| calls > 0.0).map(|value| value / calls);
    let sum =
        |columns: &[Column]| -> Option<f64> { columns.iter().map(|&column| get(column)).sum() };
    let ratio = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
    let total_ms = group::time(counters);
    let exec_ms = counters.sum(Column::TotalExecTime);
    let rows = get(Column::Rows);
    let blocks = sum(&[
        Column::SharedBlksHit,
        Column::SharedBlksRead,
        Column::LocalBlksHit,
        Column::LocalBlksRead,
    ]);
    let shared = sum(&[Column::SharedBlksHit, Column::SharedBlksRead]);
    // Where some roles measure and others do not, 0 may be either; more than 0 was measured.
    let measured = |all: Option<bool>, column: Column| match all {
        Some(all) => all,
        None => counters.sum(column) > 0.0,
    };
    let measured_io = measured(frame.io_timing, Column::SharedBlkReadTime);
    let measured_plans = measured(frame.planning, Column::Plans) && get(Column::Plans).is_some();
    let plan_ms = get(Column::TotalPlanTime).filter(|_| measured_plans);
    let jit_ms = sum(&[
        Column::JitGenerationTime,
        Column::JitInliningTime,
        Column::JitOptimizationTime,
        Column::JitEmissionTime,
    ]);
    let wanted = get(Column::ParallelWorkersToLaunch);
    let since = match (statement.since, frame.from) {
        (Some(entry), Some(all)) => Some(entry.max(all)),
        (entry, all) => entry.or(all),
    };
    Figures {
        calls,
        total_ms,
        time_share: ratio(total_ms, frame.total_ms),
        calls_per_s: since.and_then(|since| ratio(calls, frame.until - since)),
        since,
        mean_ms: get(Column::MeanExecTime).filter(|_| calls > 0.0),
        stddev_ms: get(Column::StddevExecTime).filter(|_| calls > 0.0),
        min_ms: taken(statement.min),
        max_ms: taken(statement.max),
        p95: None,
        rows_per_call: per_call(rows),
        blocks_per_call: per_call(blocks),
        blocks_per_row: blocks
            .zip(rows)
            .and_then(|(blocks, rows)| ratio(blocks, rows)),
        reads_per_call: per_call(get(Column::SharedBlksRead)),
        cache_hit: shared
            .filter(|shared| *shared >= FEWEST_BLOCKS)
            .and_then(|shared| ratio(counters.sum(Column::SharedBlksHit), shared)),
        read_ms_per_call: per_call(get(Column::SharedBlkReadTime).filter(|_| measured_io)),
        plans_per_call: per_call(get(Column::Plans).filter(|_| measured_plans)),
        plan_ms_per_call: per_call(plan_ms),
        plan_share: plan_ms.and_then(|plan| ratio(plan, total_ms)),
        temp_bytes_per_call: per_call(get(Column::TempBlksWritten))
            .map(|blocks| blocks * frame.block_bytes),
        wal_bytes_per_call: per_call(get(Column::WalBytes)),
        jit_ms_per_call: per_call(jit_ms),
        jit_share: jit_ms.and_then(|jit| ratio(jit, exec_ms)),
        workers_wanted_per_call: per_call(wanted),
        workers_got: wanted
            .and_then(|wanted| ratio(counters.sum(Column::ParallelWorkersLaunched), wanted)),
    }
}

/// Returns what the 95th percentile of a statement's executions can be.
pub fn percentile<F>(statement: &Statement<F>) -> Option<Percentile> {
    let proven = p95::percentile(&moments(statement));
    match &statement.histogram {
        Some(histogram) => Some(histogram.percentile(proven)),
        None => proven,
    }
}

/// What is known of the executions of a statement.
pub fn moments<F>(statement: &Statement<F>) -> Moments {
    let counters = &statement.counters;
    Moments {
        calls: counters.sum(Column::Calls) as u64,
        mean: counters.get(Column::MeanExecTime).unwrap_or(f64::NAN),
        stddev: counters.get(Column::StddevExecTime),
        min: statement.min,
        max: statement.max,
    }
}

fn taken(extreme: p95::Extreme) -> Option<f64> {
    match extreme {
        p95::Extreme::Taken(ms) => Some(ms),
        p95::Extreme::Bound(_) | p95::Extreme::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::group::testing::{entry, grouped, reading};
    use super::*;

    fn frame() -> Frame {
        Frame {
            total_ms: 40.0,
            from: Some(100.0),
            until: 110.0,
            io_timing: Some(false),
            planning: Some(false),
            block_bytes: 8_192.0,
        }
    }

    fn case(set: &[(Column, f64)]) -> Statement<String> {
        let mut one = entry(1, "a", &[1.0, 3.0]);
        for &(column, value) in set {
            one.counters.set(column, Some(value));
        }
        grouped(&reading(vec![one])).statements.remove(0)
    }

    #[test]
    fn figures_are_those_of_one_call_and_of_the_whole() {
        let found = figures(
            &case(&[
                (Column::Rows, 8.0),
                (Column::SharedBlksHit, 990.0),
                (Column::SharedBlksRead, 10.0),
                (Column::LocalBlksHit, 0.0),
                (Column::LocalBlksRead, 0.0),
                (Column::TempBlksWritten, 4.0),
                (Column::ParallelWorkersToLaunch, 4.0),
                (Column::ParallelWorkersLaunched, 1.0),
            ]),
            &frame(),
        );
        assert_eq!(found.time_share, Some(0.1));
        assert_eq!(found.calls_per_s, Some(0.2));
        assert_eq!(found.rows_per_call, Some(4.0));
        assert_eq!(found.blocks_per_call, Some(500.0));
        assert_eq!(found.blocks_per_row, Some(125.0));
        assert_eq!(found.cache_hit, Some(0.99));
        assert_eq!(found.temp_bytes_per_call, Some(16_384.0));
        assert_eq!(found.workers_got, Some(0.25));
        assert_eq!((found.min_ms, found.max_ms), (Some(1.0), Some(3.0)));
    }

    #[test]
    fn what_is_not_measured_is_not_zero() {
        let zeros = [
            (Column::Plans, 0.0),
            (Column::TotalPlanTime, 0.0),
            (Column::SharedBlkReadTime, 0.0),
            (Column::SharedBlksHit, 900.0),
            (Column::SharedBlksRead, 99.0),
        ];
        let blind = figures(&case(&zeros), &frame());
        assert_eq!((blind.plan_share, blind.read_ms_per_call), (None, None));
        assert_eq!(blind.plans_per_call, None);
        // Too few blocks, and columns that this extension does not have.
        assert_eq!((blind.cache_hit, blind.jit_share), (None, None));
        let seen = Frame {
            io_timing: Some(true),
            planning: Some(true),
            ..frame()
        };
        let seen = figures(&case(&zeros), &seen);
        assert_eq!(
            (seen.plan_share, seen.read_ms_per_call),
            (Some(0.0), Some(0.0))
        );
    }
}
