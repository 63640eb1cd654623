//! The verdict as one HTML page, for hand-over: nothing fetched, light and dark.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::chart::chart;
use super::{Report, about, fix, ground, idle, limits, reading, shown, stages, sums, timing};
use crate::checks::trail::Kind;
use crate::checks::verdict::{Counts, Finding};

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5c6878; --line: #d6dce4; --back: #ffffff; --face: #f6f8fa; --draw: #35618f; --ok: #3c7d4e; --warning: #a86a10; --critical: #b3402e; --unknown: #6b4fa0; --muted: #7b8694; }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe5ee; --soft: #93a0b2; --line: #37414f; --back: #161b22; --face: #1c232c; --draw: #86b3de; --ok: #74bf88; --warning: #dba452; --critical: #ef8370; --unknown: #ab92de; --muted: #8792a2; } }
* { box-sizing: border-box; }
body { font: 14px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--back); max-width: 96rem; margin: 1.5rem auto; padding: 0 1rem; overflow-wrap: break-word; }
tbody th { min-width: 5.5em; } tbody th, code, small, .findings td { overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; margin: 0; } h2 { font-size: 1rem; margin: 0 0 .4rem; } h3 { font-size: .9rem; margin: .8rem 0 .2rem; } p, small { color: var(--soft); } p { margin: .3rem 0; }
table { border-collapse: collapse; width: 100%; margin-bottom: .6rem; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; font-weight: inherit; }
thead th { color: var(--soft); font-size: .85em; } td, .figure { font-variant-numeric: tabular-nums; }
small { display: block; font-size: .8em; line-height: 1.3; } code { display: block; font-size: .8em; color: var(--soft); }
.ok { color: var(--ok); fill: var(--ok); } .warning { color: var(--warning); fill: var(--warning); } .critical { color: var(--critical); fill: var(--critical); }
.unknown { color: var(--unknown); fill: var(--unknown); } .muted, .skipped, .pending { color: var(--muted); fill: var(--muted); }
.figure { font-weight: 600; white-space: nowrap; } summary { color: var(--soft); cursor: pointer; margin: .3rem 0; }
.bar { display: block; width: 100%; height: .6rem; margin: .6rem 0; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1rem; margin-top: 1rem; }
.panel { overflow-x: auto; background: var(--face); border: 1px solid var(--line); border-radius: 4px; padding: .7rem .9rem; min-width: 0; }
.chart { display: block; width: 100%; min-width: 5rem; max-width: 16rem; height: 2.4rem; margin-top: .15rem; }
.flat { height: .7rem; }
.chart * { vector-effect: non-scaling-stroke; } .line { fill: none; stroke: var(--draw); stroke-width: 1.4; stroke-linejoin: round; }
.band { fill: var(--draw); opacity: .2; } .dot { stroke: var(--draw); stroke-width: 4; stroke-linecap: round; } .limit { stroke: currentColor; stroke-width: 1; stroke-dasharray: 4 3; }
@media (max-width: 44rem) {
body { margin: .8rem auto; padding: 0 .6rem; } thead { display: none; } tr { display: block; border-bottom: 1px solid var(--line); padding: .35rem 0; }
th, td { display: block; border: 0; padding: .1rem 0; } tbody th { font-weight: 600; } .none { display: none; }
td[data-name]::before { content: attr(data-name) ' '; color: var(--soft); font-size: .85em; } .chart { max-width: none; }
}
";

/// Renders the page, for hand-over.
pub fn html(report: &Report) -> String {
    let mut out = head("dbops check", "");
    let worst = report.status.name();
    let _ = writeln!(
        out,
        "<h1>dbops check of {}: <span class=\"{worst}\">{worst}</span></h1>\n<p>{}, measured {}</p>",
        escape(&report.targets.join(", ")),
        escape(&sums(&report.verdict.counts)),
        report.at.format("%Y-%m-%d %H:%M:%S UTC")
    );
    bar(&mut out, &report.verdict.counts);
    let all: Vec<&Finding> = report.verdict.findings.iter().collect();
    findings(&mut out, &all, report);
    if let Some(idle) = idle(&report.verdict) {
        let _ = writeln!(out, "<p>{}</p>", escape(&idle));
    }
    stage_advice(&mut out, report);
    out.push_str("</body>\n</html>\n");
    out
}

/// Everything up to where the body of a page begins; nothing may be fetched and nothing may run.
pub(super) fn head(title: &str, more: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         {more}<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    )
}

/// Findings as a table.
pub(super) fn findings(out: &mut String, all: &[&Finding], report: &Report) {
    out.push_str(
        "<table class=\"findings\">\n<thead><tr><th>status</th><th>rule</th><th>what</th><th>measured</th><th>limits</th><th>why</th></tr></thead>\n<tbody>\n",
    );
    // Several rules look at one thing: its chart is drawn once.
    let mut drawn = HashSet::new();
    for one in all {
        let is_first = drawn.insert((one.metric.name, one.window, &one.labels));
        row(out, one, report, is_first);
    }
    out.push_str("</tbody>\n</table>\n");
}

/// How far each target has grown.
pub(super) fn stage_advice(out: &mut String, report: &Report) {
    for advice in &report.verdict.stages {
        let (head, lines) = stages::lines(advice);
        let _ = writeln!(out, "<h3>{}</h3>\n<ul>", escape(&head));
        for line in lines {
            let _ = writeln!(out, "<li>{}</li>", escape(&line));
        }
        out.push_str("</ul>\n");
    }
}

/// All findings as one bar, by status.
pub(super) fn bar(out: &mut String, counts: &Counts) {
    let parts = [
        ("critical", counts.critical),
        ("unknown", counts.unknown),
        ("warning", counts.warning),
        ("pending", counts.pending),
        ("skipped", counts.skipped),
        ("muted", counts.muted),
        ("ok", counts.ok),
    ];
    let all: usize = parts.iter().map(|(_, count)| count).sum();
    if all == 0 {
        return;
    }
    let _ = write!(
        out,
        "<svg class=\"bar\" viewBox=\"0 0 {all} 1\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
        escape(&sums(counts))
    );
    let mut at = 0;
    for (class, count) in parts.into_iter().filter(|(_, count)| *count > 0) {
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{at}\" y=\"0\" width=\"{count}\" height=\"1\"><title>{count} {class}</title></rect>"
        );
        at += count;
    }
    out.push_str("</svg>\n");
}

fn row(out: &mut String, one: &Finding, report: &Report, with_chart: bool) {
    let status = shown(one);
    let mut why = ground(one);
    let fix = fix(one).map(|fix| format!("fix: {fix}"));
    for more in [timing(one), fix].into_iter().flatten() {
        why = format!("{why}; {more}");
    }
    if let Some(mute) = &one.mute {
        why = format!("{why}; muted until {}: {}", mute.until, mute.reason);
    }
    let line = report.trail.of(Kind::of(one), &one.labels);
    let line = line.filter(|_| with_chart);
    // A line of a single look shows no more than its figure.
    let line = line.filter(|line| line.points().len() > 1);
    let chart = line.and_then(|line| chart(line, one.metric, &one.limits));
    let _ = writeln!(
        out,
        "<tr><td class=\"{status}\">{status}</td><td data-name=\"rule\">{}</td><td data-name=\"what\">{}</td>\
         <td data-name=\"measured\" class=\"n\">{}{}</td><td data-name=\"limits\">{}</td><td><small>{}</small></td></tr>",
        escape(&one.rule),
        escape(&about(one)),
        escape(&reading(one)),
        chart.unwrap_or_default(),
        escape(&limits(&one.limits)),
        escape(&why)
    );
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
