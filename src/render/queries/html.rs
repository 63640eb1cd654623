//! Statements for a browser: one file, nothing fetched, light and dark.

use std::fmt::Write as _;

use super::table::verdict;
use super::text::{elide, one_line};
use super::words::{because, cells, details, header, ms, noise, number, percent, place};
use crate::checks::queries::report::{Line, Report};
use crate::render::words::is_treacherous;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5c6878; --line: #d6dce4; --back: #ffffff; --mark: #2f6fb0; --bad: #b3402e; }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe5ee; --soft: #93a0b2; --line: #37414f; --back: #161b22; --mark: #6aa7e0; --bad: #ef8370; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
ul.head { color: var(--soft); padding-left: 1.2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } td.text, th.text { text-align: left; white-space: normal; }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
summary { cursor: pointer; } small { color: var(--soft); } .bad { color: var(--bad); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 13px/1.4 ui-monospace, monospace; }
svg { width: 100%; height: auto; } svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
svg .mark { fill: var(--mark); } svg .dot { fill: var(--mark); fill-opacity: .65; } svg .bad { fill: var(--bad); } svg line { stroke: var(--line); }
";

/// Statements of which the shares are drawn.
const BARS: usize = 20;

/// All targets in one page. Texts are whole, folded away.
pub fn page(reports: &[Report]) -> String {
    let mut out = begin("Statements");
    for report in reports {
        one(&mut out, report);
    }
    out.push_str(END);
    out
}

/// What every page ends with.
pub(super) const END: &str = "</body>\n</html>\n";

/// What every page begins with; no policy of a page lets it fetch anything.
pub(super) fn begin(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        escape(title)
    )
}

fn one(out: &mut String, report: &Report) {
    let _ = writeln!(
        out,
        "<h1>Statements of {}</h1>\n<ul class=\"head\">",
        escape(&report.target)
    );
    for line in header(report) {
        let _ = writeln!(out, "<li>{}</li>", escape(&line));
    }
    out.push_str("</ul>\n");
    if report.statements.is_empty() {
        out.push_str("<p>No statements.</p>\n");
        return;
    }
    out.push_str("<h2>Share of the time of all statements</h2>\n");
    shares(out, &report.statements);
    out.push_str("<h2>Mean against calls</h2>\n");
    scatter(out, &report.statements);
    out.push_str(
        "<h2>Statements</h2>\n<table>\n<thead><tr><th>#</th><th>share</th><th>time</th><th>calls</th>\
         <th>mean</th><th>max</th><th>p95, for sure</th><th>rows/call</th><th class=\"text\">statement</th></tr></thead>\n<tbody>\n",
    );
    for line in &report.statements {
        row(out, line);
    }
    out.push_str("</tbody>\n</table>\n");
    if let Some(noise) = noise(&report.noise) {
        let _ = writeln!(out, "<p><small>{}</small></p>", escape(&noise));
    }
}

fn row(out: &mut String, line: &Line) {
    let text = line.text.as_deref().unwrap_or("text lost");
    let _ = write!(out, "<tr id=\"s{}\">", line.rank);
    for cell in cells(line) {
        let _ = write!(out, "<td>{}</td>", escape(&cell));
    }
    let _ = write!(
        out,
        "<td class=\"text\"><details><summary><code>{}</code></summary><pre>{}</pre></details>",
        escape(&elide(&one_line(text), 160)),
        escape(text)
    );
    for broken in &line.broken {
        let _ = write!(out, "<div class=\"bad\">{}</div>", escape(&verdict(broken)));
    }
    for reason in &line.reasons {
        let _ = write!(out, "<div>{}</div>", escape(&because(reason)));
    }
    let _ = writeln!(
        out,
        "<small>{}<br>{}</small></td></tr>",
        escape(&place(line)),
        escape(&details(line).join(", "))
    );
}

/// Bars of the shares, the largest first.
fn shares(out: &mut String, lines: &[Line]) {
    let mut shown: Vec<(&Line, f64)> = lines
        .iter()
        .filter_map(|line| Some((line, line.figures.time_share?)))
        .collect();
    shown.sort_by(|a, b| b.1.total_cmp(&a.1));
    shown.truncate(BARS);
    let most = shown
        .first()
        .map_or(1.0, |one| one.1)
        .max(f64::MIN_POSITIVE);
    let height = shown.len() * 22 + 4;
    let _ = writeln!(
        out,
        "<svg viewBox=\"0 0 900 {height}\" role=\"img\" aria-label=\"share of the time of all statements\">"
    );
    for (at, (line, share)) in shown.into_iter().enumerate() {
        let y = at * 22 + 2;
        let _ = writeln!(
            out,
            "<rect class=\"{}\" x=\"60\" y=\"{y}\" width=\"{:.1}\" height=\"16\"/><text x=\"52\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <text x=\"{:.1}\" y=\"{}\">#{} {}</text>",
            if line.broken.is_empty() {
                "mark"
            } else {
                "bad"
            },
            share / most * 300.0,
            y + 13,
            escape(&percent(share)),
            share / most * 300.0 + 68.0,
            y + 13,
            line.rank,
            escape(&elide(
                &one_line(line.text.as_deref().unwrap_or("text lost")),
                70
            )),
        );
    }
    out.push_str("</svg>\n");
}

/// Calls to the right, mean upwards, both by powers of ten.
fn scatter(out: &mut String, lines: &[Line]) {
    let points: Vec<(&Line, f64, f64)> = lines
        .iter()
        .filter_map(|line| {
            let (calls, mean) = (line.figures.calls, line.figures.mean_ms?);
            (calls > 0.0 && mean > 0.0).then(|| (line, calls.log10(), mean.log10()))
        })
        .collect();
    let range = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low > high {
            (0.0, 1.0)
        } else {
            (low.floor(), high.ceil().max(low.floor() + 1.0))
        }
    };
    let (left, right) = range(&mut points.iter().map(|one| one.1));
    let (bottom, top) = range(&mut points.iter().map(|one| one.2));
    let x = |value: f64| 70.0 + (value - left) / (right - left) * 800.0;
    let y = |value: f64| 320.0 - (value - bottom) / (top - bottom) * 300.0;
    out.push_str("<svg viewBox=\"0 0 900 360\" role=\"img\" aria-label=\"mean against calls\">\n");
    for power in left as i32..=right as i32 {
        let at = x(f64::from(power));
        let _ = writeln!(
            out,
            "<line x1=\"{at:.1}\" y1=\"20\" x2=\"{at:.1}\" y2=\"320\"/><text x=\"{at:.1}\" y=\"338\" text-anchor=\"middle\">{}</text>",
            escape(&number(10_f64.powi(power)))
        );
    }
    for power in bottom as i32..=top as i32 {
        let at = y(f64::from(power));
        let _ = writeln!(
            out,
            "<line x1=\"70\" y1=\"{at:.1}\" x2=\"870\" y2=\"{at:.1}\"/><text x=\"62\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            at + 4.0,
            escape(&ms(10_f64.powi(power)))
        );
    }
    for (line, calls, mean) in points {
        let radius = 4.0 + 14.0 * line.figures.time_share.unwrap_or_default().sqrt();
        let _ = writeln!(
            out,
            "<a href=\"#s{0}\"><circle class=\"dot{1}\" cx=\"{2:.1}\" cy=\"{3:.1}\" r=\"{radius:.1}\"><title>#{0}: {4}</title></circle></a>",
            line.rank,
            if line.broken.is_empty() { "" } else { " bad" },
            x(calls),
            y(mean),
            escape(&elide(
                &one_line(line.text.as_deref().unwrap_or("text lost")),
                120
            )),
        );
    }
    out.push_str("<text x=\"470\" y=\"356\" text-anchor=\"middle\">calls; the larger a dot, the more time</text>\n</svg>\n");
}

/// Takes the meaning from characters that HTML gives one.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // No browser draws these, and some end the parsing of attributes.
            c if is_treacherous(c) && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_become_markup() {
        assert_eq!(
            escape("</code><script>\"x\" & 'y'\u{0}"),
            "&lt;/code&gt;&lt;script&gt;&quot;x&quot; &amp; &#39;y&#39;\u{fffd}"
        );
    }

    #[test]
    fn the_page_fetches_nothing() {
        let page = page(&[]);
        assert!(page.contains("default-src 'none'"));
        for word in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
