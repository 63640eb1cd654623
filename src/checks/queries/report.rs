//! All statements of a reading, or of the time between two: added together, with figures, what they stand in front of.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figures::{self, Figures, Frame};
use super::group::{self, Grouped, Names, Part, Statement};
use super::kind;
use super::p95::{Estimate, Extreme};
use super::propose::Proposal;
use super::reasons::{NotMeasured, Reason};
use crate::catalog::plans::{Plan, Refusal};
use crate::checks::judge::Severity;
use crate::sample::statements::column::Column;
use crate::sample::statements::delta::{Completeness, Difference};
use crate::sample::statements::doubt::WindowDoubt;
use crate::sample::statements::model::Snapshot;
use crate::sample::statements::notes::Note;
use crate::syntax::fingerprint::{Fingerprint, fingerprint};
use crate::syntax::mask::mask;
use crate::syntax::shape::{Shape, StatementKind};

/// What every reading leaves out.
pub const NOT_COUNTED: &str =
    "statements that failed, were cancelled or timed out are not counted, nor those that still run";

/// What the figures were read from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Header {
    /// Version of the server: `15.18`.
    pub server_version: String,
    /// Version of the extension.
    pub extension: String,
    /// Address of the server; `None`: over a Unix socket.
    pub address: Option<String>,
    /// Whether it is a standby.
    pub standby: bool,
    /// Settings that decide what is counted.
    pub settings: BTreeMap<String, String>,
    /// `life`: all since the statistics began; `window`: what happened between two readings.
    pub span: &'static str,
    /// From when on, seconds since the epoch; `None`: not known before extension 1.9.
    pub from: Option<f64>,
    /// Up to when.
    pub until: f64,
    /// Entries of the server.
    pub entries: usize,
    /// `pg_stat_statements.max`.
    pub max_entries: Option<u64>,
    /// How often entries were thrown away for want of room, in that time; `None`: not known before 1.9.
    pub evictions: Option<i64>,
    /// Entries whose texts the role may not see.
    pub hidden: usize,
    /// The part of all time that they have, from 0 to 1.
    pub hidden_share: f64,
    /// Time of all statements, in milliseconds.
    pub total_ms: f64,
    /// What the reading cannot show.
    pub notes: Vec<Note>,
    /// What casts doubt on the time between two readings.
    pub doubts: Vec<String>,
    /// How much of the time between two readings is complete.
    pub completeness: Option<Completeness>,
    /// What no reading shows.
    pub not_counted: &'static str,
}

/// Transaction control and settings of sessions, which are shown apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Noise {
    /// Statements.
    pub statements: usize,
    /// Their calls.
    pub calls: f64,
    /// Their time.
    pub total_ms: f64,
}

/// A reading or a window, added together.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// What it was read from.
    pub header: Header,
    /// What figures are held against.
    pub frame: Frame,
    /// Statements, noise left out.
    pub statements: Vec<Statement<Fingerprint>>,
    /// Their figures, in the same order; without percentiles.
    pub figures: Vec<Figures>,
    /// What was left out.
    pub noise: Noise,
}

/// Returns all since the statistics began.
pub fn life(snapshot: &Snapshot) -> Overview {
    let grouped = group::group(group::life(snapshot), Names { snapshot }, fingerprint);
    let origin = &snapshot.origin;
    let header = Header {
        span: "life",
        from: origin.stats_reset,
        evictions: origin.dealloc,
        ..header(snapshot)
    };
    overview(snapshot, header, grouped)
}

/// Returns what happened between two readings.
pub fn window(before: &Snapshot, after: &Snapshot, difference: &Difference) -> Overview {
    let parts = difference.changes.iter().filter_map(|change| {
        let entry = after.entries.get(change.after)?;
        let known = |column: Column, bound: Option<f64>| match change.counters.get(column) {
            Some(ms) => Extreme::Taken(ms),
            None => bound.map_or(Extreme::Unknown, Extreme::Bound),
        };
        Some(Part {
            key: change.key,
            text: entry.text.as_ref(),
            counters: &change.counters,
            min: known(Column::MinExecTime, Some(change.floor_ms)),
            max: known(Column::MaxExecTime, change.ceiling_ms),
        })
    });
    let grouped = group::group(parts, Names { snapshot: after }, fingerprint);
    let header = Header {
        span: "window",
        from: Some(counted_from(before, after, difference)),
        evictions: after
            .origin
            .dealloc
            .zip(before.origin.dealloc)
            .map(|(after, before)| {
                if after >= before {
                    after - before
                } else {
                    after
                }
            }),
        doubts: difference
            .doubts
            .iter()
            .map(|doubt| doubt.words())
            .collect(),
        completeness: Some(difference.completeness),
        ..header(after)
    };
    overview(after, header, grouped)
}

/// Since when the later reading's counters tell of the time between: what was lost at a reset is not in them.
fn counted_from(before: &Snapshot, after: &Snapshot, difference: &Difference) -> f64 {
    let (then, now) = (&before.origin, &after.origin);
    let resets = difference.doubts.iter().flat_map(|doubt| match doubt {
        WindowDoubt::Reset => now.stats_reset.into_iter().collect(),
        WindowDoubt::Crash => now
            .stats_reset
            .into_iter()
            .chain(now.other_resets.iter().copied())
            .collect(),
        WindowDoubt::NotSaved => vec![now.started_at],
        _ => Vec::new(),
    });
    resets
        .filter(|at| *at <= now.taken_at)
        .fold(then.taken_at, f64::max)
}

fn header(snapshot: &Snapshot) -> Header {
    let origin = &snapshot.origin;
    let version = origin.version_num;
    Header {
        server_version: format!("{}.{}", version / 10_000, version % 10_000),
        extension: origin.extension.clone(),
        address: origin.address.clone(),
        standby: origin.in_recovery,
        settings: origin.settings.clone(),
        span: "life",
        from: None,
        until: origin.taken_at,
        entries: origin.entries.max(snapshot.entries.len()),
        max_entries: snapshot.max_entries(),
        evictions: None,
        hidden: origin.hidden,
        hidden_share: 0.0,
        total_ms: 0.0,
        notes: snapshot.notes(),
        doubts: Vec::new(),
        completeness: None,
        not_counted: NOT_COUNTED,
    }
}

fn overview(snapshot: &Snapshot, mut header: Header, grouped: Grouped<Fingerprint>) -> Overview {
    let setting = |name: &str| snapshot.origin.settings.get(name).map(String::as_str);
    let is_on = |name: &str| {
        let value = snapshot.origin.setting_of_all(name);
        value.map(|value| value == "on")
    };
    header.total_ms = grouped.total_ms;
    if grouped.total_ms > 0.0 {
        header.hidden_share = grouped.hidden_ms / grouped.total_ms;
    }
    let frame = Frame {
        total_ms: grouped.total_ms,
        from: header.from,
        until: header.until,
        io_timing: is_on("track_io_timing"),
        planning: is_on("pg_stat_statements.track_planning"),
        block_bytes: setting("block_size")
            .and_then(|size| size.parse().ok())
            .unwrap_or(8_192.0),
    };
    let mut noise = Noise::default();
    let mut statements = grouped.statements;
    statements.retain(|statement| {
        let is_noise = statement.text.as_deref().is_some_and(kind::is_noise);
        if is_noise {
            noise.statements += 1;
            noise.calls += statement.counters.sum(Column::Calls);
            noise.total_ms += group::time(&statement.counters);
        }
        !is_noise
    });
    let figures = statements
        .iter()
        .map(|statement| figures::figures(statement, &frame))
        .collect();
    Overview {
        header,
        frame,
        statements,
        figures,
        noise,
    }
}

/// What statements are sorted by, the largest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Time of all executions.
    #[default]
    Total,
    /// Mean execution.
    Mean,
    /// Executions.
    Calls,
    /// Rows of all executions.
    Rows,
    /// Temporary files of all executions.
    Temp,
    /// WAL of all executions.
    Wal,
    /// Blocks that were not in the buffer cache.
    Misses,
    /// Longest execution.
    Max,
    /// Planning of all executions.
    Planning,
}

impl Overview {
    /// Returns the places of statements in an order, the largest first; those without the figure last.
    pub fn sorted(&self, order: Order) -> Vec<usize> {
        let key = |at: usize| -> f64 {
            let (Some(statement), Some(figures)) = (self.statements.get(at), self.figures.get(at))
            else {
                return -1.0;
            };
            let sum = |column: Column| statement.counters.get(column);
            match order {
                Order::Total => Some(figures.total_ms),
                Order::Mean => figures.mean_ms,
                Order::Calls => Some(figures.calls),
                Order::Rows => sum(Column::Rows),
                Order::Temp => sum(Column::TempBlksWritten),
                Order::Wal => sum(Column::WalBytes),
                Order::Misses => sum(Column::SharedBlksRead),
                Order::Max => figures.max_ms,
                Order::Planning => sum(Column::TotalPlanTime),
            }
            .unwrap_or(-1.0)
        };
        let mut places: Vec<(f64, usize)> =
            (0..self.statements.len()).map(|at| (key(at), at)).collect();
        let tie = |at: usize| {
            let one = self.statements.get(at);
            one.map(|one| (one.fingerprint, &one.database, &one.role, one.toplevel))
        };
        places.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| tie(a.1).cmp(&tie(b.1))));
        places.into_iter().map(|(_, at)| at).collect()
    }

    /// Returns a statement as it is shown; its text is parsed for that, and the exact bounds are computed.
    pub fn line(&self, at: usize, rank: usize) -> Option<Line> {
        let (statement, figures) = (self.statements.get(at)?, self.figures.get(at)?);
        let shape = statement.text.as_deref().map(crate::syntax::shape::read);
        let kind = kind::kind(statement.text.as_deref().unwrap_or_default());
        let p95 = figures::percentile(statement);
        let estimate = p95.map(|p95| p95.estimate);
        Some(Line {
            rank,
            fingerprint: statement.fingerprint.map(|print| print.to_string()),
            queryids: statement.queryids.iter().map(i64::to_string).collect(),
            database: statement.database.clone(),
            role: statement.role.clone(),
            nested: statement.toplevel == Some(false),
            kind: kind::word(kind),
            text: statement
                .text
                .as_deref()
                .map(|text| mask(text).into_owned()),
            tags: shape
                .as_ref()
                .map(|shape| shape.tags.clone())
                .unwrap_or_default(),
            figures: Figures {
                p95,
                ..figures.clone()
            },
            p95_low_ms: p95.map(|p95| p95.low),
            p95_high_ms: p95.map(|p95| p95.high),
            p95_estimate_ms: estimate.and_then(|one| match one {
                Estimate::About(ms) => Some(ms),
                _ => None,
            }),
            p95_note: estimate.and_then(|one| match one {
                Estimate::About(_) => None,
                Estimate::TooFewCalls => Some("too few calls for an estimate"),
                Estimate::Bimodal => Some("bimodal: no estimate"),
                Estimate::NoDeviation => Some("the deviation is not known: no estimate"),
                Estimate::Counted => Some("from a histogram"),
            }),
            broken: Vec::new(),
            unknown: Vec::new(),
            reasons: Vec::new(),
            raw_text: statement.text.as_deref().map(str::to_owned),
            userid: statement.userid,
            statement_kind: kind,
            explained: None,
            shape,
        })
    }
}

/// One statement as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Its place, from 1.
    pub rank: usize,
    /// Its own identity, the same on every server.
    pub fingerprint: Option<String>,
    /// The server's hashes, as texts: they do not fit the numbers of JSON.
    pub queryids: Vec<String>,
    /// Its database.
    pub database: String,
    /// Its role.
    pub role: String,
    /// Whether it ran inside a function.
    pub nested: bool,
    /// Its kind in a word.
    pub kind: &'static str,
    /// Its text without secrets; `None`: lost.
    pub text: Option<String>,
    /// Tags in comments, those of the first execution.
    pub tags: BTreeMap<String, String>,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// The 95th percentile is not below this.
    pub p95_low_ms: Option<f64>,
    /// The 95th percentile is not above this.
    pub p95_high_ms: Option<f64>,
    /// What it is if executions are distributed log-normally.
    pub p95_estimate_ms: Option<f64>,
    /// Why there is no estimate.
    pub p95_note: Option<&'static str>,
    /// Rules that it breaks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<Broken>,
    /// Rules that cannot be told to hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Broken>,
    /// Why it is slow, as far as the counters tell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Its generic plan, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<Explained>,
    /// What it asks for.
    #[serde(skip)]
    pub shape: Option<Shape>,
    /// Its text as it was read: for the planner, never for people.
    #[serde(skip)]
    pub raw_text: Option<String>,
    /// OID of its role.
    #[serde(skip)]
    pub userid: u32,
    /// Its kind.
    #[serde(skip)]
    pub statement_kind: StatementKind,
}

/// The generic plan of a statement, or why there is none. With values the server may choose another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// The plan.
    pub plan: Option<Plan>,
    /// Why there is none.
    pub refused: Option<Refusal>,
    /// By how much the planner's rows and those of a call differ, where that is more than ten times.
    pub misestimate: Option<f64>,
}

/// More than this is a misestimate.
const MISESTIMATE: f64 = 10.0;

impl Explained {
    /// A plan, held against the rows that a call gives.
    pub fn of(plan: Plan, rows_per_call: Option<f64>) -> Self {
        let misestimate = rows_per_call.and_then(|rows| {
            let (a, b) = (rows.max(1.0), plan.rows.max(1.0));
            let factor = (a / b).max(b / a);
            (factor > MISESTIMATE).then_some(factor)
        });
        Self {
            plan: Some(plan),
            refused: None,
            misestimate,
        }
    }

    /// No plan.
    pub fn refused(refusal: Refusal) -> Self {
        Self {
            plan: None,
            refused: Some(refusal),
            misestimate: None,
        }
    }
}

/// An index that statements of a database want.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InDatabase {
    /// The database.
    pub database: String,
    /// The index.
    #[serde(flatten)]
    pub proposal: Proposal,
}

/// A rule that a statement breaks, or cannot be told to keep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Broken {
    /// Id of the rule.
    pub rule: String,
    /// Its metric.
    pub metric: &'static str,
    /// The threshold: `> 50ms`.
    pub threshold: String,
    /// How bad; `None`: it cannot be told.
    pub severity: Option<Severity>,
    /// The figure in words.
    pub found: String,
    /// Why it is accepted, where a mute says so.
    pub muted: Option<String>,
}

/// One target's report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The target's name.
    pub target: String,
    /// What it was read from.
    #[serde(flatten)]
    pub header: Header,
    /// Statements shown.
    pub statements: Vec<Line>,
    /// Statements that there are, noise left out.
    pub statements_in_all: usize,
    /// Transaction control and settings of sessions.
    pub noise: Noise,
    /// What is not measured and would tell more.
    pub not_measured: Vec<NotMeasured>,
    /// Thresholds judged by: `mean: query.mean_time > 50ms`; empty where nothing is judged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Statements with too few calls to be judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub too_few_calls: Option<usize>,
    /// Indexes that the statements want, where plans were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proposals: Vec<InDatabase>,
    /// Indexes that statements seemed to want and the planner would not use, or not gain half of the cost by.
    pub refused_proposals: usize,
    /// Statements that break a rule, shown or not.
    pub findings: usize,
    /// Judgements that could not be made.
    pub unknown: usize,
    /// How bad the worst is that is not muted.
    pub worst: Option<Severity>,
}
