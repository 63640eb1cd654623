//! The verdict as one HTML page, for hand-over: nothing fetched, light and dark.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Report, about, fix, ground, idle, limits, reading, shown, stages, sums, timing};
use crate::checks::verdict::{Counts, Finding};

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5c6878; --line: #d6dce4; --back: #ffffff; --ok: #3c7d4e; --warning: #a86a10; --critical: #b3402e; --unknown: #6b4fa0; --muted: #7b8694; }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe5ee; --soft: #93a0b2; --line: #37414f; --back: #161b22; --ok: #74bf88; --warning: #dba452; --critical: #ef8370; --unknown: #ab92de; --muted: #8792a2; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1rem; } p, small { color: var(--soft); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 600; } td.n { text-align: right; }
.ok { color: var(--ok); fill: var(--ok); } .warning { color: var(--warning); fill: var(--warning); } .critical { color: var(--critical); fill: var(--critical); }
.unknown { color: var(--unknown); fill: var(--unknown); } .muted, .skipped, .pending { color: var(--muted); fill: var(--muted); }
svg { width: 100%; height: 1rem; }
";

/// Renders the page, for hand-over.
pub fn html(report: &Report) -> String {
    rendered(report, "")
}

/// Renders the page so that a browser asks for it again each time that there is something new.
pub fn page(report: &Report, every: Duration) -> String {
    let seconds = every.as_secs().max(1);
    rendered(
        report,
        &format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">\n"),
    )
}

fn rendered(report: &Report, head: &str) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         {head}<title>dbops check</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    );
    let worst = report.status.name();
    let _ = writeln!(
        out,
        "<h1>dbops check of {}: <span class=\"{worst}\">{worst}</span></h1>\n<p>{}, measured {}</p>",
        escape(&report.targets.join(", ")),
        escape(&sums(&report.verdict.counts)),
        report.at.format("%Y-%m-%d %H:%M:%S UTC")
    );
    bar(&mut out, &report.verdict.counts);
    out.push_str(
        "<table>\n<thead><tr><th>status</th><th>rule</th><th>what</th><th>measured</th><th>limits</th><th>why</th></tr></thead>\n<tbody>\n",
    );
    for one in &report.verdict.findings {
        row(&mut out, one);
    }
    out.push_str("</tbody>\n</table>\n");
    if let Some(idle) = idle(&report.verdict) {
        let _ = writeln!(out, "<p>{}</p>", escape(&idle));
    }
    for advice in &report.verdict.stages {
        let (head, lines) = stages::lines(advice);
        let _ = writeln!(out, "<h2>{}</h2>\n<ul>", escape(&head));
        for line in lines {
            let _ = writeln!(out, "<li>{}</li>", escape(&line));
        }
        out.push_str("</ul>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// All findings as one bar, by status.
fn bar(out: &mut String, counts: &Counts) {
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
        "<svg viewBox=\"0 0 {all} 1\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
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

fn row(out: &mut String, one: &Finding) {
    let status = shown(one);
    let mut why = ground(one);
    let fix = fix(one).map(|fix| format!("fix: {fix}"));
    for more in [timing(one), fix].into_iter().flatten() {
        why = format!("{why}; {more}");
    }
    if let Some(mute) = &one.mute {
        why = format!("{why}; muted until {}: {}", mute.until, mute.reason);
    }
    let _ = writeln!(
        out,
        "<tr><td class=\"{status}\">{status}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td>{}</td><td><small>{}</small></td></tr>",
        escape(&one.rule),
        escape(&about(one)),
        escape(&reading(one)),
        escape(&limits(&one.limits)),
        escape(&why)
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
