//! The verdict for people at a terminal: the worst first, one line a finding and its reason below.

use std::fmt::Write as _;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::{
    Report, about, fix, ground, idle, limits, place, reading, shown, stages, sums, timing,
};
use crate::checks::verdict::{Finding, Status};
use crate::render::words::plural;

/// Renders a verdict; `detail` shows what holds, too, with what each figure rests on.
pub fn table(report: &Report, detail: bool, width: u16) -> String {
    let findings = &report.verdict.findings;
    let rows: Vec<&Finding> = findings
        .iter()
        .filter(|one| detail || one.status != Status::Ok)
        .collect();
    let mut out = String::new();
    if !rows.is_empty() {
        let mut table = Table::new();
        table
            .load_style(UTF8_BORDERS_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width)
            .set_header(vec!["status", "rule", "what", "measured", "limits"]);
        if let Some(column) = table.column_mut(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for one in &rows {
            table.add_row(vec![
                shown(one).to_owned(),
                one.rule.clone(),
                about(one),
                reading(one),
                limits(&one.limits),
            ]);
        }
        let _ = writeln!(out, "{table}");
    }
    for one in rows.iter().filter(|one| match (one.status, &one.mute) {
        // What holds has its figure in the table.
        (Status::Ok, _) => false,
        (Status::Skipped, _) | (_, Some(_)) => detail,
        _ => true,
    }) {
        note(&mut out, one);
    }
    if let Some(idle) = idle(&report.verdict) {
        let _ = writeln!(out, "{idle}");
    }
    for (metric, number) in report.verdict.uncovered.iter().filter(|_| detail) {
        let _ = writeln!(
            out,
            "no rule looks at {metric} ({})",
            plural(*number, "figure")
        );
    }
    for advice in &report.verdict.stages {
        let (head, lines) = stages::lines(advice);
        let _ = writeln!(out, "{head}");
        for line in lines {
            let _ = writeln!(out, "  {line}");
        }
    }
    let _ = writeln!(out, "{}", sums(&report.verdict.counts));
    out
}

fn note(out: &mut String, one: &Finding) {
    let _ = write!(out, "{} {}: {}", one.rule, about(one), ground(one));
    if let Some(timing) = timing(one) {
        let _ = write!(out, "; {timing}");
    }
    if let Some(place) = place(&one.origin) {
        let _ = write!(out, " ({place})");
    }
    out.push('\n');
    if let Some(fix) = fix(one) {
        let _ = writeln!(out, "  fix: {fix}");
    }
    if let Some(mute) = &one.mute {
        let reason = crate::render::words::clean(&mute.reason);
        let _ = writeln!(out, "  muted until {}: {reason}", mute.until);
    }
}

/// Everything that decided findings: figure, thresholds, the override that gave them, time and samples.
pub fn explained(findings: &[&Finding]) -> String {
    let mut out = String::new();
    for one in findings {
        let _ = writeln!(out, "{} {}: {}", one.rule, about(one), shown(one));
        let _ = writeln!(out, "  {}: {}", one.metric.name, one.metric.about);
        let _ = writeln!(out, "  measured: {} ({})", reading(one), ground(one));
        if let Some(resolution) = one.resolution {
            let fine = super::figure(resolution, one.metric.measure);
            let _ = writeln!(out, "  resolution: {fine}");
        }
        let from = match one.limits.from_override {
            Some(at) => format!("override {} of ", at + 1),
            None => String::new(),
        };
        let rule = place(&one.origin).unwrap_or_else(|| "built in".to_owned());
        let _ = writeln!(out, "  limits: {} ({from}{rule})", limits(&one.limits));
        if let Some(timing) = timing(one) {
            let _ = writeln!(out, "  over time: {timing}");
        }
        for (name, value) in one.labels.iter() {
            let _ = writeln!(out, "  {name}: {}", crate::render::words::clean(value));
        }
        if let Some(fix) = fix(one) {
            let _ = writeln!(out, "  fix: {fix}");
        }
    }
    out
}
