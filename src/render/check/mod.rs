//! A verdict in the forms that people, CI and monitoring read. It was made before: nothing here judges.

mod chart;
mod dashboard;
mod github;
mod html;
mod json;
mod junit;
mod markdown;
mod nagios;
mod openmetrics;
mod stages;
mod table;

use chrono::{DateTime, Utc};

pub use self::dashboard::{SHOWN, dashboard, waiting};
pub use self::github::github;
pub use self::html::html;
pub use self::json::{CheckReport, json};
pub use self::junit::junit;
pub use self::markdown::markdown;
pub use self::nagios::nagios;
pub use self::openmetrics::openmetrics;
pub use self::table::{explained, table};

use super::words::{bytes, clean, duration, plural};
use crate::checks::judge::{Labels, Reading};
use crate::checks::trail::Trail;
use crate::checks::verdict::{Counts, Doubt, Finding, Limits, Status, Verdict};
use crate::plan_file::Origin;
use crate::plan_file::metric::{Measure, Metric};

/// A verdict and what it was made of.
#[derive(Debug, Clone)]
pub struct Report {
    /// Names of the targets looked at.
    pub targets: Vec<String>,
    /// When it was measured.
    pub at: DateTime<Utc>,
    /// What the rules say.
    pub verdict: Verdict,
    /// All of it in one word, as the exit code says it too.
    pub status: Status,
    /// The exit code of the process.
    pub exit_code: u8,
    /// The figures of the last hours, where they are remembered.
    pub trail: Trail,
}

/// A figure in a unit that people read.
fn figure(value: f64, measure: Measure) -> String {
    if value.is_infinite() {
        return "no end".to_owned();
    }
    match measure {
        Measure::Time if value.abs() >= 3_600.0 => duration(whole(value)),
        Measure::Time if value.abs() >= 1.0 => format!("{} s", short(value)),
        Measure::Time => format!("{} ms", short(value * 1_000.0)),
        Measure::Size => bytes(whole(value)),
        Measure::Percent => format!("{} %", short(value)),
        Measure::Count | Measure::State => short(value),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a figure for people; what is beyond 64 bits saturates"
)]
fn whole(value: f64) -> i64 {
    value.round() as i64
}

/// Three digits that count, and never fewer than there are before the point.
fn short(value: f64) -> String {
    let size = value.abs();
    let text = if size >= 100.0 || size == 0.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    };
    if text.contains('.') {
        let text = text.trim_end_matches('0').trim_end_matches('.');
        return text.to_owned();
    }
    text
}

/// The figure of a finding: `1.2 s`, `0.2-0.9 s`, `streaming`, `unknown`.
fn reading(finding: &Finding) -> String {
    figure_of(&finding.reading, finding.metric)
}

fn figure_of(reading: &Reading, metric: &Metric) -> String {
    let measure = metric.measure;
    match reading {
        Reading::Value(value) => figure(*value, measure),
        Reading::Between { low, high } => {
            format!("{} to {}", figure(*low, measure), figure(*high, measure))
        }
        Reading::State(state) => clean(state),
        Reading::Unknown { .. } => "unknown".to_owned(),
    }
}

/// What it is about: the values of its labels, without the texts of statements.
fn about(finding: &Finding) -> String {
    subject(&finding.labels, finding.metric.is_of_statements())
}

fn subject(labels: &Labels, is_statement: bool) -> String {
    let get = |name: &str| labels.get(name).map(|value| clean(value));
    let target = get("target").unwrap_or_default();
    let order = [
        "node",
        "pooler",
        "database",
        "role",
        "db_role",
        "table",
        "index",
        "slot",
        "directory",
        "holder",
        "service",
        "attestation",
        "fingerprint",
    ];
    let rest: Vec<String> = order
        .into_iter()
        // A node's role says nothing that its name does not.
        .filter(|name| *name != "role" || is_statement)
        .filter_map(get)
        .collect();
    if rest.is_empty() {
        target
    } else if target.is_empty() {
        rest.join(" ")
    } else {
        format!("{target}: {}", rest.join(" "))
    }
}

/// The thresholds of a finding: `warn > 100ms, critical > 1s`, `expect up`.
fn limits(limits: &Limits) -> String {
    let mut parts = Vec::new();
    if let Some(warn) = &limits.warn {
        parts.push(format!("warn {warn}"));
    }
    if let Some(critical) = &limits.critical {
        parts.push(format!("critical {critical}"));
    }
    if !limits.expect.is_empty() {
        parts.push(format!("expect {}", clean(&limits.expect.join(", "))));
    }
    parts.join(", ")
}

/// Why something is not known, or else what the figure rests on.
fn ground(finding: &Finding) -> String {
    ground_of(finding.doubt.as_ref(), &finding.basis)
}

fn ground_of(doubt: Option<&Doubt>, basis: &str) -> String {
    match doubt {
        Some(Doubt { reason, why }) if why.is_empty() => reason.code().to_owned(),
        Some(Doubt { reason, why }) => format!("{}: {}", reason.code(), one_line(why)),
        None => one_line(basis),
    }
}

fn one_line(text: &str) -> String {
    clean(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What to do about something that is not known.
fn fix(finding: &Finding) -> Option<&'static str> {
    let doubt = finding.doubt.as_ref();
    doubt.map(|doubt| crate::checks::fixes::fix(finding.metric, doubt.reason))
}

/// Rules that nothing was measured for, in one line; such a rule may be right, or have a scope that fits nothing.
fn idle(verdict: &Verdict) -> Option<String> {
    (!verdict.idle.is_empty()).then(|| {
        let rules = clean(&verdict.idle.join(", "));
        format!("nothing of the kind is there, or in the scope: {rules}")
    })
}

/// How often and since when, where that is remembered.
fn timing(finding: &Finding) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(samples) = finding.samples {
        parts.push(format!("{} of {} samples", samples.need, samples.of));
    }
    if let Some(since) = finding.since {
        parts.push(format!("since {}", since.format("%Y-%m-%d %H:%M:%S UTC")));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Where a rule stands, for people; rules that dbops brings stand nowhere.
fn place(origin: &Origin) -> Option<String> {
    (!origin.file.is_empty()).then(|| origin.to_string())
}

/// `1 critical, 2 warnings, 40 ok`.
fn sums(counts: &Counts) -> String {
    let words = |number: usize, word: &str| (number > 0).then(|| format!("{number} {word}"));
    let parts: Vec<String> = [
        words(counts.critical, "critical"),
        words(counts.unknown, "unknown"),
        (counts.warning > 0).then(|| plural(counts.warning, "warning")),
        words(counts.pending, "pending"),
        words(counts.skipped, "skipped"),
        words(counts.muted, "muted"),
    ]
    .into_iter()
    .flatten()
    .chain([format!("{} ok", counts.ok)])
    .collect();
    parts.join(", ")
}

/// The status of a finding as it is shown: one that is accepted is not in the way.
fn shown(finding: &Finding) -> &'static str {
    if finding.mute.is_some() {
        "muted"
    } else {
        finding.status.name()
    }
}

/// Findings that somebody has to look at.
fn open(verdict: &Verdict) -> impl Iterator<Item = &Finding> {
    verdict
        .findings
        .iter()
        .filter(|one| one.mute.is_none() && one.status > Status::Skipped)
}

#[cfg(test)]
mod tests;
