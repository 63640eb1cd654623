//! The verdict as a Nagios plugin prints it: one line for the pager, performance data, the rest below.
//!
//! Form: <https://www.monitoring-plugins.org/doc/guidelines.html>.

use std::fmt::Write as _;

use super::{Report, about, ground, idle, limits, open, reading, shown, sums};
use crate::checks::judge::Reading;
use crate::checks::verdict::{Finding, Status};
use crate::plan_file::metric::Measure;
use crate::plan_file::rule::Threshold;

/// What a Nagios server reads of a plugin.
const MOST_BYTES: usize = 4_096;
/// Findings named in the first line.
const NAMED: usize = 3;

/// Renders the line, the performance data and one line a finding. Strict units: s, B, %, and none.
pub fn nagios(report: &Report) -> String {
    let verdict = &report.verdict;
    let word = match report.status {
        Status::Critical => "CRITICAL",
        Status::Unknown => "UNKNOWN",
        Status::Warning => "WARNING",
        Status::Pending | Status::Skipped | Status::Ok => "OK",
    };
    let mut out = format!("DBOPS {word} - {}", sums(&verdict.counts));
    for one in open(verdict).take(NAMED) {
        let _ = write!(out, "; {} {} {}", one.rule, about(one), reading(one));
    }
    // `|` begins the performance data.
    let mut out = out.replace('|', "/");
    let mut long = String::new();
    for one in open(verdict) {
        let line = format!(
            "{}: {} {}: {} ({}), {}\n",
            shown(one).to_uppercase(),
            one.rule,
            about(one),
            reading(one),
            limits(&one.limits),
            ground(one)
        );
        long.push_str(&line.replace('|', "/"));
    }
    let mut data: Vec<String> = verdict.findings.iter().filter_map(performance).collect();
    data.sort();
    let mut room = MOST_BYTES.saturating_sub(out.len() + 4);
    let mut taken = Vec::new();
    for one in data {
        if one.len() + 1 > room {
            break;
        }
        room -= one.len() + 1;
        taken.push(one);
    }
    if !taken.is_empty() {
        let _ = write!(out, " | {}", taken.join(" "));
    }
    out.push('\n');
    if let Some(idle) = idle(verdict) {
        long.push_str(&idle.replace('|', "/"));
    }
    for line in long.lines() {
        if out.len() + line.len() + 1 > MOST_BYTES {
            break;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

fn performance(one: &Finding) -> Option<String> {
    let Reading::Value(value) = one.reading else {
        return None;
    };
    if !value.is_finite() || one.metric.measure == Measure::State {
        return None;
    }
    let label = format!("{} {}", one.rule, about(one)).replace(['\'', '='], "_");
    let limit = |threshold: &Option<Threshold>| {
        threshold.map_or(String::new(), |threshold| {
            let base = threshold.base();
            // A range alerts outside of itself: `10:` below ten, `10` above.
            if threshold.is_upper() {
                format!("{base}")
            } else {
                format!("{base}:")
            }
        })
    };
    Some(format!(
        "'{label}'={value}{};{};{}",
        one.metric.measure.unit(),
        limit(&one.limits.warn),
        limit(&one.limits.critical)
    ))
}
