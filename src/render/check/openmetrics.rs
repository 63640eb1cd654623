//! The verdict for Prometheus: its text format, which OpenMetrics scrapers take as well.
//!
//! Form: <https://prometheus.io/docs/instrumenting/exposition_formats/>. Every finding is always there: what is not
//! known is NaN with its reason, so that nothing vanishes silently.

use std::fmt::Write as _;

use super::Report;
use crate::checks::judge::Reading;
use crate::checks::verdict::{Finding, Status};
use crate::plan_file::metric::Measure;

/// Renders all findings. Texts of statements are left out: labels have to be few and short.
pub fn openmetrics(report: &Report) -> String {
    let verdict = &report.verdict;
    let mut out = String::new();
    let mut family = |name: &str, help: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(out, "# TYPE {name} gauge\n# HELP {name} {help}");
        for line in lines {
            let _ = writeln!(out, "{name}{line}");
        }
    };
    let each = |of: &dyn Fn(&Finding) -> Option<String>| -> Vec<String> {
        verdict
            .findings
            .iter()
            .filter_map(|one| Some(format!("{{{}}} {}", labels(one), of(one)?)))
            .collect()
    };
    family(
        "dbops_check_status",
        "What a rule says: 0 ok, 1 warning, 2 critical, 3 unknown; pending and skipped are 0",
        each(&|one| Some(status(one).to_string())),
    );
    family(
        "dbops_check_value",
        "The figure in seconds, bytes, per cent or plain; NaN where it is unknown",
        each(&|one| match one.reading {
            Reading::Value(value) => Some(number(value)),
            Reading::Between { high, low } => Some(number(
                if one.metric.worse == crate::plan_file::metric::Worse::Above {
                    high
                } else {
                    low
                },
            )),
            Reading::State(_) => None,
            Reading::Unknown { .. } => {
                (one.metric.measure != Measure::State).then(|| "NaN".to_owned())
            }
        }),
    );
    for (name, of) in [
        (
            "dbops_check_warn",
            (|one| one.limits.warn) as fn(&Finding) -> _,
        ),
        ("dbops_check_critical", |one| one.limits.critical),
    ] {
        family(
            name,
            "The threshold, in the same unit",
            each(&|one| of(one).map(|threshold| number(threshold.base()))),
        );
    }
    family(
        "dbops_check_unknown",
        "1 where a figure could not be measured, with the reason",
        verdict
            .findings
            .iter()
            .filter_map(|one| {
                let reason = one.doubt.as_ref()?.reason.code();
                Some(format!("{{{},reason=\"{reason}\"}} 1", labels(one)))
            })
            .collect(),
    );
    family(
        "dbops_check_muted",
        "1 where a mute accepts a finding",
        each(&|one| one.mute.as_ref().map(|_| "1".to_owned())),
    );
    let counts = &verdict.counts;
    family(
        "dbops_check_findings",
        "How many findings there are of each status",
        [
            ("ok", counts.ok),
            ("skipped", counts.skipped),
            ("pending", counts.pending),
            ("warning", counts.warning),
            ("unknown", counts.unknown),
            ("critical", counts.critical),
            ("muted", counts.muted),
        ]
        .into_iter()
        .map(|(status, count)| format!("{{status=\"{status}\"}} {count}"))
        .collect(),
    );
    family(
        "dbops_check_measured_at_seconds",
        "When it was measured, in seconds since 1970",
        vec![format!(" {}", report.at.timestamp())],
    );
    out.push_str("# EOF\n");
    out
}

fn status(one: &Finding) -> u8 {
    match one.status {
        _ if one.mute.is_some() => 0,
        Status::Ok | Status::Skipped | Status::Pending => 0,
        Status::Warning => 1,
        Status::Critical => 2,
        Status::Unknown => 3,
    }
}

fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        format!("{value}")
    }
}

fn labels(one: &Finding) -> String {
    let mut out = format!(
        "rule=\"{}\",metric=\"{}\"",
        escape(&one.rule),
        one.metric.name
    );
    for (name, value) in one.labels.iter() {
        if name != "text" && !name.contains(':') {
            let _ = write!(out, ",{}=\"{}\"", label(name), escape(value));
        }
    }
    out
}

/// A label that people made may hold anything; Prometheus takes letters, digits and `_`, each name once.
fn label(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    let taken = ["rule", "metric", "reason", "status"].contains(&name.as_str());
    if taken || name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("label_{name}")
    } else {
        name
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
