//! The verdict as JSON: `dbops.check/1`. Fields are only ever added.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Report, fix};
use crate::checks::judge::Reading;
use crate::checks::verdict::{Advice, Finding, SignalSeen, Status};
use crate::render::json::pretty;

/// The document.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(title = "dbops check")]
pub struct CheckReport<'a> {
    /// Always `dbops.check/1`.
    format: &'static str,
    /// When it was measured, RFC 3339 in UTC.
    measured_at: String,
    /// The exit code of the process.
    exit_code: u8,
    /// The worst status that no mute accepts; skipped nodes are unknown.
    status: &'static str,
    /// Targets looked at.
    targets: &'a [String],
    /// How many findings there are of each status; statements that hold are counted here alone.
    counts: BTreeMap<&'static str, usize>,
    /// The findings, the worst first.
    findings: Vec<JsonFinding<'a>>,
    /// Rules that nothing was measured for: no such object is there.
    idle: &'a [String],
    /// How many figures no rule looks at, by metric.
    uncovered: &'a BTreeMap<&'static str, usize>,
    /// How far each target has grown: advice, which no status comes from.
    stages: Vec<JsonAdvice<'a>>,
}

/// How far a target has grown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct JsonAdvice<'a> {
    /// The target.
    target: &'a str,
    /// Id of the stage that it is in; `null` where no figure is known.
    stage: Option<&'a str>,
    /// Name of that stage.
    name: Option<&'a str>,
    /// The figures by which stages are told apart.
    figures: Vec<JsonStageFigure<'a>>,
    /// The next stage; `null` in the last one.
    next: Option<JsonNext<'a>>,
}

/// A figure by which stages are told apart.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct JsonStageFigure<'a> {
    /// The metric.
    metric: &'static str,
    /// Its unit.
    unit: &'static str,
    /// The figure; `null` where it is not known.
    value: Option<f64>,
    /// What it rests on.
    basis: &'a str,
    /// Id of the stage that it lies in.
    stage: Option<&'a str>,
    /// Why it is not known, for programs.
    reason: Option<&'static str>,
}

/// The next stage.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct JsonNext<'a> {
    /// Its id.
    stage: &'a str,
    /// Its name.
    name: Option<&'a str>,
    /// What it asks for.
    asks: &'a [String],
    /// Whether its signals say that it is due.
    due: bool,
    /// `any` or `all` of the signals are needed.
    needs: &'static str,
    /// Its signals.
    signals: Vec<JsonSignal<'a>>,
}

/// A signal.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct JsonSignal<'a> {
    /// As it is written.
    signal: &'a str,
    /// The metric.
    metric: &'static str,
    /// `met`, `not-yet`, `not-met`, `unknown`.
    state: &'static str,
    /// Unit of the figure.
    unit: &'static str,
    /// The figure now; `null` where it is not known.
    value: Option<f64>,
    /// What it rests on.
    basis: &'a str,
    /// Since when it is passed without a break, RFC 3339 in UTC.
    since: Option<String>,
    /// Why it cannot be told, for programs.
    reason: Option<&'static str>,
    /// The same for people.
    why: Option<&'a str>,
    /// What to do about that.
    fix: Option<&'static str>,
}

/// What a rule says of one thing.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct JsonFinding<'a> {
    /// Id of the rule.
    id: &'a str,
    /// What was measured, by label.
    labels: BTreeMap<&'a str, &'a str>,
    /// `ok`, `skipped`, `pending`, `warning`, `unknown`, `critical`.
    status: &'static str,
    /// The metric.
    metric: &'static str,
    /// Unit of every number here: `s`, `B`, `%`, or none.
    unit: &'static str,
    /// The figure; `null` where it is an interval, a state, without end, or unknown.
    value: Option<f64>,
    /// Whether the figure is without end: a runway that nothing ends.
    endless: bool,
    /// Least value of an interval.
    low: Option<f64>,
    /// Greatest value of an interval.
    high: Option<f64>,
    /// The state, of metrics that are one.
    state: Option<&'a str>,
    /// What the figure rests on.
    basis: &'a str,
    /// How fine the figure is.
    resolution: Option<f64>,
    /// Threshold of a warning, as it is written.
    warn: Option<String>,
    /// Threshold of a critical finding, as it is written.
    critical: Option<String>,
    /// States that are as they should be.
    expect: &'a [String],
    /// Samples that passed the threshold, and how many were looked at.
    samples: Option<[u32; 2]>,
    /// Since when the threshold is passed without a break, RFC 3339 in UTC.
    since: Option<String>,
    /// Why it is not known, for programs.
    reason: Option<&'static str>,
    /// Why it is not known, for people.
    why: Option<&'a str>,
    /// What to do about that.
    fix: Option<&'static str>,
    /// Where the rule stands; `null` of rules that dbops brings.
    policy: Option<Policy<'a>>,
    /// What accepts the finding.
    mute: Option<Muted<'a>>,
}

/// Where a rule stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Policy<'a> {
    file: &'a str,
    line: usize,
    column: usize,
}

/// A mute.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Muted<'a> {
    /// The last day it holds, in UTC.
    until: String,
    /// Why.
    reason: &'a str,
}

/// Renders the document.
pub fn json(report: &Report) -> String {
    let counts = &report.verdict.counts;
    pretty(&CheckReport {
        format: "dbops.check/1",
        measured_at: report.at.to_rfc3339(),
        exit_code: report.exit_code,
        status: report.status.name(),
        targets: &report.targets,
        counts: [
            ("ok", counts.ok),
            ("skipped", counts.skipped),
            ("pending", counts.pending),
            ("warning", counts.warning),
            ("unknown", counts.unknown),
            ("critical", counts.critical),
            ("muted", counts.muted),
        ]
        .into_iter()
        .collect(),
        findings: report.verdict.findings.iter().map(finding).collect(),
        idle: &report.verdict.idle,
        uncovered: &report.verdict.uncovered,
        stages: report.verdict.stages.iter().map(advice).collect(),
    })
}

fn finite(reading: &Reading) -> Option<f64> {
    match reading {
        Reading::Value(value) => Some(*value).filter(|value| value.is_finite()),
        _ => None,
    }
}

fn advice(one: &Advice) -> JsonAdvice<'_> {
    JsonAdvice {
        target: &one.target,
        stage: one.stage.as_ref().map(|stage| stage.id.as_str()),
        name: one.stage.as_ref().and_then(|stage| stage.name.as_deref()),
        figures: one
            .figures
            .iter()
            .map(|figure| JsonStageFigure {
                metric: figure.metric.name,
                unit: figure.metric.measure.unit(),
                value: finite(&figure.reading),
                basis: &figure.basis,
                stage: figure.stage.as_deref(),
                reason: match figure.reading {
                    Reading::Unknown { reason, .. } => Some(reason.code()),
                    _ => None,
                },
            })
            .collect(),
        next: one.next.as_ref().map(|next| JsonNext {
            stage: &next.stage.id,
            name: next.stage.name.as_deref(),
            asks: &next.stage.asks,
            due: next.due,
            needs: if next.any { "any" } else { "all" },
            signals: next.signals.iter().map(signal).collect(),
        }),
    }
}

fn signal(one: &SignalSeen) -> JsonSignal<'_> {
    let doubt = one.doubt.as_ref();
    JsonSignal {
        signal: &one.text,
        metric: one.metric.name,
        state: one.state.name(),
        unit: one.metric.measure.unit(),
        value: finite(&one.reading),
        basis: &one.basis,
        since: one.since.map(|since| since.to_rfc3339()),
        reason: doubt.map(|doubt| doubt.reason.code()),
        why: doubt.map(|doubt| doubt.why.as_str()),
        fix: doubt.map(|doubt| crate::checks::fixes::fix(one.metric, doubt.reason)),
    }
}

fn finding(one: &Finding) -> JsonFinding<'_> {
    let (low, high) = match one.reading {
        Reading::Between { low, high } => (Some(low), Some(high)),
        _ => (None, None),
    };
    let doubt = one.doubt.as_ref();
    let value = match one.reading {
        Reading::Value(value) => Some(value),
        _ => None,
    };
    JsonFinding {
        id: &one.rule,
        labels: one
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), &**value))
            .collect(),
        status: one.status.name(),
        metric: one.metric.name,
        unit: one.metric.measure.unit(),
        value: value.filter(|value| value.is_finite()),
        endless: value.is_some_and(f64::is_infinite),
        low,
        high,
        state: match &one.reading {
            Reading::State(state) => Some(state),
            _ => None,
        },
        basis: &one.basis,
        resolution: one.resolution,
        warn: one.limits.warn.map(|threshold| threshold.to_string()),
        critical: one.limits.critical.map(|threshold| threshold.to_string()),
        expect: &one.limits.expect,
        samples: one.samples.map(|samples| [samples.need, samples.of]),
        since: one.since.map(|since| since.to_rfc3339()),
        reason: doubt.map(|doubt| doubt.reason.code()),
        why: doubt.map(|doubt| doubt.why.as_str()),
        fix: fix(one).filter(|_| one.status != Status::Ok),
        policy: (!one.origin.file.is_empty()).then(|| Policy {
            file: &one.origin.file,
            line: one.origin.line,
            column: one.origin.column,
        }),
        mute: one.mute.as_ref().map(|mute| Muted {
            until: mute.until.to_string(),
            reason: &mute.reason,
        }),
    }
}
