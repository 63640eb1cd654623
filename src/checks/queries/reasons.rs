//! Why a statement is slow, as far as the counters tell, and what to do about it.

use serde::Serialize;

use super::figures::{Figures, Frame};
use super::p95::BIMODAL;
use crate::syntax::shape::{Shape, StatementKind};

/// One reason, from evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// A word for programs.
    pub id: &'static str,
    /// What the counters say.
    pub evidence: String,
    /// What to do.
    pub advice: &'static str,
}

/// What could be measured and is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NotMeasured {
    /// What.
    pub what: &'static str,
    /// The setting that is off, or the version that is missing.
    pub why: &'static str,
}

/// Returns what the figures say, the most telling first. `shape`: what the statement asks for, where it was read.
pub fn reasons(figures: &Figures, shape: Option<&Shape>) -> Vec<Reason> {
    let mut found = Vec::new();
    let mut say = |id: &'static str, evidence: String, advice: &'static str| {
        found.push(Reason {
            id,
            evidence,
            advice,
        });
    };
    let mean = figures.mean_ms.unwrap_or_default();
    let rows = figures.rows_per_call.unwrap_or_default();
    let reads_rows = shape.is_none_or(|shape| shape.kind != StatementKind::Insert);
    if let (Some(per_row), Some(blocks)) = (
        figures
            .blocks_per_row
            .or(figures.blocks_per_call.filter(|_| rows == 0.0)),
        figures.blocks_per_call,
    ) && per_row > 100.0
        && blocks > 100.0
        && rows < 1_000.0
        && reads_rows
    {
        let aggregates = shape.is_some_and(|shape| !shape.aggregates.is_empty());
        say(
            "many-blocks",
            format!("{} blocks a call for {} rows", number(blocks), number(rows)),
            if aggregates {
                "it sums up many rows: an index on its conditions, or sums kept ready"
            } else {
                "an index on its conditions is missing: --explain looks for one"
            },
        );
    }
    if let Some(hit) = figures.cache_hit
        && let Some(reads) = figures.reads_per_call
        && hit < 0.99
        && reads > 100.0
    {
        let waits = figures
            .read_ms_per_call
            .map(|ms| format!(", {} ms of waiting for them", number(ms)))
            .unwrap_or_default();
        say(
            "reads",
            format!(
                "{} blocks a call are not in the buffer cache (hit {:.1} %){waits}",
                number(reads),
                hit * 100.0
            ),
            "read less (index, fewer columns, newer partitions alone) or give shared_buffers more",
        );
    }
    if let Some(temp) = figures.temp_bytes_per_call.filter(|bytes| *bytes >= 1.0) {
        say(
            "temporary-files",
            format!(
                "{} MiB of temporary files a call",
                number(temp / 1_048_576.0)
            ),
            "a sort or hash does not fit work_mem: an index in that order, or more work_mem for this statement",
        );
    }
    if let Some(share) = figures.jit_share.filter(|share| *share > 0.3) {
        say(
            "jit",
            format!("{:.0} % of its time is compiling (JIT)", share * 100.0),
            "set jit = off for it, or raise jit_above_cost",
        );
    }
    if let Some(share) = figures.plan_share.filter(|share| *share > 0.5) {
        say(
            "planning",
            format!("{:.0} % of its time is planning", share * 100.0),
            "prepare it once and execute it often; look at the number of partitions",
        );
    }
    if let Some(got) = figures.workers_got.filter(|got| *got < 0.8) {
        say(
            "workers",
            format!(
                "it got {:.0} % of the parallel workers it was planned with",
                got * 100.0
            ),
            "raise max_parallel_workers, or have fewer parallel statements at a time",
        );
    }
    if rows > 10_000.0 && reads_rows {
        let unlimited = shape.is_some_and(|shape| !shape.limit);
        say(
            "many-rows",
            format!(
                "{} rows a call{}",
                number(rows),
                if unlimited {
                    ", and it has no LIMIT"
                } else {
                    ""
                }
            ),
            "read in pages by a key, or let the server sum up",
        );
    }
    if let Some(wal) = figures
        .wal_bytes_per_call
        .filter(|bytes| *bytes > 1_048_576.0)
    {
        say(
            "wal",
            format!("{} MiB of WAL a call", number(wal / 1_048_576.0)),
            "write in smaller batches; rarely used indexes on the table cost WAL too",
        );
    }
    if let (Some(stddev), true) = (figures.stddev_ms, mean > 0.0)
        && stddev / mean > BIMODAL
    {
        say(
            "two-kinds",
            format!(
                "the deviation is {:.1} times the mean: most calls are fast and some take very long",
                stddev / mean
            ),
            "look for locks, a cold cache, or a plan that changes with the values",
        );
    }
    if let (Some(calls), true) = (figures.calls_per_s, rows == 0.0)
        && calls > 50.0
        && shape.is_some_and(|shape| shape.kind == StatementKind::Select)
    {
        say(
            "polling",
            format!("{} calls a second that return nothing", number(calls)),
            "ask less often, or LISTEN for what is waited for",
        );
    }
    // A block in memory takes well below a tenth of a millisecond.
    if found.is_empty()
        && mean >= 10.0
        && let Some(blocks) = figures.blocks_per_call
        && blocks * 0.1 < mean
    {
        found.push(Reason {
            id: "waiting",
            evidence: format!(
                "{} blocks a call do not explain {} ms: it waits or computes",
                number(blocks),
                number(mean)
            ),
            advice: "look at it while it runs: wait_event in pg_stat_activity, locks, functions, foreign tables",
        });
    }
    found
}

/// Returns what is not measured on this server and would tell more.
pub fn not_measured(figures: &Figures, frame: &Frame) -> Vec<NotMeasured> {
    let mut found = Vec::new();
    let mut say = |what: &'static str, why: &'static str| found.push(NotMeasured { what, why });
    match frame.io_timing {
        Some(true) => {}
        None if figures.read_ms_per_call.is_some() => {}
        Some(false) => say("time of reading blocks", "track_io_timing is off"),
        None => say(
            "time of reading blocks",
            "track_io_timing is not the same for all roles and databases, or not known",
        ),
    }
    match frame.planning {
        Some(true) => {}
        None if figures.plan_ms_per_call.is_some() => {}
        Some(false) => say("planning time", "pg_stat_statements.track_planning is off"),
        None => say(
            "planning time",
            "pg_stat_statements.track_planning is not the same for all roles and databases, or not known",
        ),
    }
    if figures.jit_ms_per_call.is_none() {
        say("time of JIT", "the extension is older than 1.10");
    }
    if figures.workers_wanted_per_call.is_none() {
        say("parallel workers", "the extension is older than 1.12");
    }
    found
}

/// A number with as many digits as matter.
fn number(value: f64) -> String {
    if value >= 100.0 || value == 0.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::group::testing::{entry, grouped, reading};
    use super::*;
    use crate::sample::statements::column::Column;

    fn frame() -> Frame {
        Frame {
            total_ms: 1.0,
            from: Some(0.0),
            until: 10.0,
            io_timing: Some(false),
            planning: None,
            block_bytes: 8_192.0,
        }
    }

    fn ids(times: &[f64], set: &[(Column, f64)]) -> Vec<&'static str> {
        let mut one = entry(1, "a", times);
        for &(column, value) in set {
            one.counters.set(column, Some(value));
        }
        let statement = grouped(&reading(vec![one])).statements.remove(0);
        let found = super::super::figures::figures(&statement, &frame());
        reasons(&found, None).iter().map(|one| one.id).collect()
    }

    const BLOCKS: [Column; 4] = [
        Column::SharedBlksHit,
        Column::SharedBlksRead,
        Column::LocalBlksHit,
        Column::LocalBlksRead,
    ];

    fn blocks(hit: f64, read: f64) -> Vec<(Column, f64)> {
        BLOCKS.into_iter().zip([hit, read, 0.0, 0.0]).collect()
    }

    #[test]
    fn each_reason_needs_its_evidence() {
        assert_eq!(ids(&[20.0], &blocks(5_000.0, 0.0)), ["many-blocks"]);
        assert_eq!(
            ids(&[20.0], &blocks(2_000.0, 900.0)),
            ["many-blocks", "reads"]
        );
        assert_eq!(ids(&[20.0], &blocks(3.0, 0.0)), ["waiting"]);
        assert_eq!(ids(&[0.1], &blocks(3.0, 0.0)), Vec::<&str>::new());
        let mut many = blocks(20_000.0, 0.0);
        many.push((Column::Rows, 20_000.0));
        assert_eq!(ids(&[20.0], &many), ["many-rows"]);
        assert_eq!(
            ids(&[1.0], &[(Column::TempBlksWritten, 9.0)]),
            ["temporary-files"]
        );
        assert_eq!(ids(&[1.0], &[(Column::WalBytes, 3_000_000.0)]), ["wal"]);
        let mut uneven = vec![1.0; 99];
        uneven.push(900.0);
        assert_eq!(ids(&uneven, &[]), ["two-kinds"]);
        let jit: Vec<(Column, f64)> = [
            Column::JitGenerationTime,
            Column::JitInliningTime,
            Column::JitOptimizationTime,
            Column::JitEmissionTime,
        ]
        .map(|column| (column, 1.0))
        .into();
        assert_eq!(ids(&[10.0], &jit), ["jit"]);
    }

    #[test]
    fn what_is_off_is_named() {
        let statement = grouped(&reading(vec![entry(1, "a", &[1.0])]))
            .statements
            .remove(0);
        let found = super::super::figures::figures(&statement, &frame());
        let whats: Vec<_> = not_measured(&found, &frame())
            .iter()
            .map(|one| one.why)
            .collect();
        assert_eq!(whats.len(), 4, "{whats:?}");
    }
}
