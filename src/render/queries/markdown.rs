//! Statements for tickets and pull requests.

use std::fmt::Write as _;

use super::Texts;
use super::table::verdict;
use super::text::{elide, one_line};
use super::words::{because, cells, header, noise, place};
use crate::checks::queries::report::Report;
use crate::render::words::clean;

/// Columns of a text that is not shown in full.
const TEXT: usize = 160;

/// One target: a table, and below it what was found.
pub fn report(report: &Report, texts: Texts) -> String {
    let mut out = format!("## Statements of {}\n\n", escape(&report.target));
    for line in header(report) {
        let _ = writeln!(out, "- {}", escape(&line));
    }
    out.push_str(
        "\n| # | share | time | calls | mean | max | p95, for sure | rows/call | statement |\n",
    );
    out.push_str("|--:|--:|--:|--:|--:|--:|--:|--:|---|\n");
    for line in &report.statements {
        let text = one_line(line.text.as_deref().unwrap_or("text lost"));
        let text = match texts {
            Texts::Elided => elide(&text, TEXT),
            Texts::Full => text,
        };
        let _ = writeln!(out, "| {} | {} |", cells(line).join(" | "), code(&text));
    }
    for line in report
        .statements
        .iter()
        .filter(|line| !line.broken.is_empty())
    {
        let _ = writeln!(out, "\n### {}. {}\n", line.rank, escape(&place(line)));
        for broken in &line.broken {
            let _ = writeln!(out, "- {}", escape(&verdict(broken)));
        }
        for reason in &line.reasons {
            let _ = writeln!(out, "- {}", escape(&because(reason)));
        }
    }
    if let Some(noise) = noise(&report.noise) {
        let _ = writeln!(out, "\n{}", escape(&noise));
    }
    out
}

/// A text in backticks, more of them than it holds in a row; a bar would end the cell. Where a backslash stands before a
/// bar, parsers differ in which of the two it takes away: there every sign is written as an entity.
pub(super) fn code(text: &str) -> String {
    if text.contains("\\|") {
        return format!("<code>{}</code>", entities(&clean(text)));
    }
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let gap = if longest > 0 { " " } else { "" };
    format!(
        "{fence}{gap}{}{gap}{fence}",
        clean(text).replace('|', "\\|")
    )
}

fn entities(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            let _ = write!(out, "&#{};", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Takes the meaning from characters that Markdown and HTML give one.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_cell() {
        assert_eq!(code("a | b"), "`a \\| b`");
        assert_eq!(code("a `b` c"), "`` a `b` c ``");
        assert_eq!(
            code(r"a \| '<b>'"),
            "<code>a &#92;&#124; &#39;&#60;b&#62;&#39;</code>"
        );
        assert_eq!(escape(r"\|"), r"\\\|");
        assert_eq!(
            escape("<script> *x* [y](z)"),
            "&lt;script> \\*x\\* \\[y\\](z)"
        );
    }
}
