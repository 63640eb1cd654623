//! Statements for people: one row of figures and the text below it, within 80 columns.

use std::fmt::Write as _;

use super::Texts;
use super::text::{elide, fold, one_line};
use super::words::{cells, details, header, noise, place};
use crate::checks::judge::Severity;
use crate::checks::queries::report::{Broken, Line, Report};
use crate::render::words::{clean, plural};

const WIDTH: usize = 80;
const MARGIN: &str = "     ";
/// Lines of a text that is not shown in full.
const TEXT_LINES: usize = 2;

/// `queries top`.
pub fn top(report: &Report, texts: Texts) -> String {
    let mut out = head(report);
    if report.statements.is_empty() {
        out.push_str("\nno statements\n");
    } else {
        rows(&mut out, report, texts);
    }
    let left = report.statements_in_all - report.statements.len().min(report.statements_in_all);
    if left > 0 {
        let _ = writeln!(
            out,
            "\n{} more: --limit N shows them",
            plural(left, "statement")
        );
    }
    end(&mut out, report);
    out
}

/// `queries slow`.
pub fn slow(report: &Report, texts: Texts) -> String {
    let mut out = head(report);
    fill(
        &mut out,
        "",
        &format!("judged by {}", report.rules.join("; ")),
    );
    if report.statements.is_empty() {
        out.push_str("\nno statement breaks a rule\n");
    } else {
        rows(&mut out, report, texts);
    }
    let few = report.too_few_calls.unwrap_or_default();
    if few > 0 {
        let _ = writeln!(
            out,
            "\n{} with too few calls to be judged by more than their share",
            plural(few, "statement")
        );
    }
    end(&mut out, report);
    out
}

fn head(report: &Report) -> String {
    let mut out = String::new();
    let mut lines = header(report).into_iter();
    if let Some(first) = lines.next() {
        fill(&mut out, "", &first);
    }
    for line in lines {
        fill(&mut out, "  ", &line);
    }
    out
}

fn end(out: &mut String, report: &Report) {
    for one in super::words::proposals(report) {
        fill(out, "", &one);
    }
    if let Some(noise) = noise(&report.noise) {
        fill(out, "", &noise);
    }
}

/// Writes a text folded to the width, all lines behind a margin.
fn fill(out: &mut String, margin: &str, text: &str) {
    for line in fold(text, WIDTH - margin.len()) {
        let _ = writeln!(out, "{margin}{line}");
    }
}

fn rows(out: &mut String, report: &Report, texts: Texts) {
    let _ = writeln!(
        out,
        "\n{:>3}  {:>7}  {:>9}  {:>11}  {:>8}  {:>8}  {:>13} {:>7}",
        "#", "share", "time", "calls", "mean", "max", "p95 for sure", "rows"
    );
    for line in &report.statements {
        row(out, line, texts);
    }
}

fn row(out: &mut String, line: &Line, texts: Texts) {
    let [rank, share, time, calls, mean, max, p95, rows] = cells(line);
    let _ = writeln!(
        out,
        "{rank:>3}  {share:>7}  {time:>9}  {calls:>11}  {mean:>8}  {max:>8}  {p95:>13} {rows:>7}"
    );
    for broken in &line.broken {
        fill(out, MARGIN, &verdict(broken));
    }
    fill(out, MARGIN, &details(line).join(", "));
    fill(out, MARGIN, &place(line));
    let room = WIDTH - MARGIN.len();
    match (&line.text, texts) {
        (None, _) => {}
        (Some(text), Texts::Elided) => {
            // Folding at spaces may need one line more than the columns do.
            let text = elide(&one_line(text), room * TEXT_LINES - 10);
            fill(out, MARGIN, &text);
        }
        (Some(text), Texts::Full) => {
            for one in text.lines() {
                fill(out, MARGIN, &clean(&one.replace('\t', " ")));
            }
        }
    }
    for reason in &line.reasons {
        fill(out, MARGIN, &format!("why: {}", reason.evidence));
        fill(out, MARGIN, &format!("do:  {}", reason.advice));
    }
    if let Some(explained) = &line.explained {
        for one in super::words::explained(explained) {
            // The nodes of a plan keep their indentation.
            let _ = writeln!(out, "{MARGIN}{}", clean(&elide(&one, WIDTH - MARGIN.len())));
        }
    } else if !line.broken.is_empty() && line.reasons.is_empty() {
        fill(
            out,
            MARGIN,
            "why: the counters do not say; look at its plan with --explain",
        );
    }
    for unknown in &line.unknown {
        fill(
            out,
            MARGIN,
            &format!(
                "not known: {} {} ({})",
                unknown.rule, unknown.threshold, unknown.found
            ),
        );
    }
    out.push('\n');
}

/// A broken rule in words: `critical: mean 1.2 s, rule mean says > 1s`.
pub(super) fn verdict(broken: &Broken) -> String {
    let severity = match (&broken.muted, broken.severity) {
        (Some(_), _) => "muted",
        (None, Some(Severity::Critical)) => "critical",
        (None, Some(Severity::Warning)) => "warning",
        (None, None) => "not known",
    };
    let mute = match &broken.muted {
        Some(reason) => format!(" ({})", clean(reason)),
        None => String::new(),
    };
    let name = broken.metric.rsplit('.').next().unwrap_or(broken.metric);
    format!(
        "{severity}: {} {}, rule {} is {}{mute}",
        name.replace('_', " "),
        broken.found,
        broken.rule,
        broken.threshold
    )
}
