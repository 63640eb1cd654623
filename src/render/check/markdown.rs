//! The verdict for tickets and the summary of a CI job.

use std::fmt::Write as _;

use super::{Report, about, ground, idle, limits, reading, shown, stages, sums};
use crate::checks::verdict::Status;

/// Renders what is open as a table, and the sums.
pub fn markdown(report: &Report) -> String {
    let mut out = format!(
        "# dbops check: {}\n\n{}, measured {}.\n",
        report.status.name(),
        sums(&report.verdict.counts),
        report.at.format("%Y-%m-%d %H:%M:%S UTC")
    );
    let mut rows = report
        .verdict
        .findings
        .iter()
        .filter(|one| one.status != Status::Ok)
        .peekable();
    if rows.peek().is_some() {
        out.push_str(
            "\n| status | rule | what | measured | limits | why |\n|---|---|---|---|---|---|\n",
        );
    }
    for one in rows {
        let cells = [
            shown(one).to_owned(),
            one.rule.clone(),
            about(one),
            reading(one),
            limits(&one.limits),
            ground(one),
        ];
        let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    if let Some(idle) = idle(&report.verdict) {
        let _ = writeln!(out, "\n{}", escape(&idle));
    }
    for advice in &report.verdict.stages {
        let (head, lines) = stages::lines(advice);
        let _ = writeln!(out, "\n{}\n", escape(&head));
        for line in lines {
            let _ = writeln!(out, "- {}", escape(&line));
        }
    }
    out
}

/// Escapes what Markdown or HTML in it would take for itself.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | '|' | '`' | '*' | '_' | '<' | '[' | ']' | '#') {
            out.push('\\');
        }
        out.push(if c == '\n' { ' ' } else { c });
    }
    out
}
