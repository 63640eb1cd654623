//! What changed between two sides, for a browser: one file, nothing fetched, light and dark.

use std::fmt::Write as _;

use super::compared::{Compared, changes, figures, head, signed, sum};
use super::html::{END, begin, escape};
use super::text::{elide, one_line};
use super::words::{maybe, ms, number};
use crate::checks::queries::compare::{Change, Changed};
use crate::failure::Exit;
use crate::syntax::mask::mask;

/// Changes of which the added time is drawn.
const BARS: usize = 20;

/// The page. Texts are whole, folded away.
pub fn page(compared: &Compared<'_>, most: usize, exit: Exit) -> String {
    let mut out = begin("Statements compared");
    out.push_str("<h1>Statements compared</h1>\n<ul class=\"head\">\n");
    for line in head(compared) {
        let _ = writeln!(out, "<li>{}</li>", escape(&line));
    }
    let _ = writeln!(
        out,
        "</ul>\n<p>{}</p>\n<p{}>exit code {}</p>",
        escape(&sum(compared.comparison)),
        if exit == Exit::Done {
            ""
        } else {
            " class=\"bad\""
        },
        exit.code()
    );
    let changed = &compared.comparison.changed;
    let shown = changed.get(..most.min(changed.len())).unwrap_or_default();
    if !shown.is_empty() {
        out.push_str("<h2>Time added</h2>\n");
        bars(&mut out, shown);
        out.push_str(
            "<h2>Changes</h2>\n<table>\n<thead><tr><th>#</th><th class=\"text\">change</th><th>added</th>\
             <th>mean before</th><th>mean after</th><th>calls before</th><th>calls after</th>\
             <th class=\"text\">statement</th></tr></thead>\n<tbody>\n",
        );
        for (at, one) in shown.iter().enumerate() {
            row(&mut out, at + 1, one);
        }
        out.push_str("</tbody>\n</table>\n");
    }
    let left = changed.len() - shown.len();
    if left > 0 {
        let _ = writeln!(
            out,
            "<p><small>{left} more: --limit N shows them</small></p>"
        );
    }
    out.push_str(END);
    out
}

fn is_bad(one: &Changed) -> bool {
    one.changes.contains(&Change::Slower)
}

fn row(out: &mut String, rank: usize, one: &Changed) {
    let text = mask(one.text.as_deref().unwrap_or("text lost"));
    let (a, b) = (one.before.as_ref(), one.after.as_ref());
    let _ = write!(
        out,
        "<tr id=\"c{rank}\"><td>{rank}</td><td class=\"text{}\">{}</td>",
        if is_bad(one) { " bad" } else { "" },
        escape(&changes(&one.changes))
    );
    for cell in [
        signed(one.added_ms),
        maybe(a.and_then(|one| one.mean_ms), ms),
        maybe(b.and_then(|one| one.mean_ms), ms),
        maybe(a.map(|one| one.calls), number),
        maybe(b.map(|one| one.calls), number),
    ] {
        let _ = write!(out, "<td>{}</td>", escape(&cell));
    }
    let _ = writeln!(
        out,
        "<td class=\"text\"><details><summary><code>{}</code></summary><pre>{}</pre></details>\
         <div>{}</div><small>{}</small></td></tr>",
        escape(&elide(&one_line(&text), 160)),
        escape(&text),
        escape(&figures(one)),
        escape(&format!(
            "{}, database {}, role {}",
            one.identity.fingerprint, one.identity.database, one.identity.role
        ))
    );
}

/// Bars of the time added to the right, saved to the left.
fn bars(out: &mut String, changed: &[Changed]) {
    let mut shown: Vec<(usize, &Changed)> = changed.iter().enumerate().collect();
    shown.sort_by(|a, b| b.1.added_ms.abs().total_cmp(&a.1.added_ms.abs()));
    shown.truncate(BARS);
    shown.sort_by_key(|one| one.0);
    let most = shown
        .iter()
        .map(|one| one.1.added_ms.abs())
        .fold(f64::MIN_POSITIVE, f64::max);
    let height = shown.len() * 22 + 4;
    let _ = writeln!(
        out,
        "<svg viewBox=\"0 0 900 {height}\" role=\"img\" aria-label=\"time added by each change\">\
         <line x1=\"200\" y1=\"0\" x2=\"200\" y2=\"{height}\"/>"
    );
    for (at, (rank, one)) in shown.into_iter().enumerate() {
        let y = at * 22 + 2;
        let width = (one.added_ms.abs() / most * 120.0).max(1.0);
        let left = if one.added_ms < 0.0 {
            200.0 - width
        } else {
            200.0
        };
        let _ = writeln!(
            out,
            "<a href=\"#c{0}\"><rect class=\"{1}\" x=\"{left:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"16\"/></a>\
             <text x=\"72\" y=\"{2}\" text-anchor=\"end\">{3}</text><text x=\"328\" y=\"{2}\">#{0} {4}</text>",
            rank + 1,
            if is_bad(one) { "bad" } else { "mark" },
            y + 13,
            escape(&signed(one.added_ms)),
            escape(&elide(
                &one_line(&mask(one.text.as_deref().unwrap_or("text lost"))),
                66
            )),
        );
    }
    out.push_str("</svg>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::queries::compare::{Comparison, Identity};

    fn changed(change: Change, text: &str, added_ms: f64) -> Changed {
        Changed {
            changes: vec![change],
            identity: Identity {
                fingerprint: "f".to_owned(),
                database: "<app>".to_owned(),
                role: "web".to_owned(),
                nested: false,
            },
            text: Some(text.into()),
            queryids: vec![1],
            before: None,
            after: None,
            mean_ratio: Some(2.0),
            chance: Some(1e-9),
            added_ms,
        }
    }

    #[test]
    fn the_page_says_what_the_other_forms_say_and_fetches_nothing() {
        let comparison = Comparison {
            changed: vec![
                changed(Change::Slower, "select '</pre><script>', id from t", 500.0),
                changed(Change::Gone, "select 2", -100.0),
                changed(Change::Gone, "select 3", -200.0),
            ],
            unchanged: 7,
            too_few: 2,
            added_ms: 300.0,
            scale: 1.0,
        };
        let compared = Compared {
            before: "the <first>",
            after: "the second",
            basis: "one server",
            seconds: (Some(60.0), None),
            comparison: &comparison,
        };
        let page = page(&compared, 2, Exit::Findings);
        for said in [
            &*escape(&sum(&comparison)),
            "exit code 1",
            "the &lt;first&gt; for ",
            "database &lt;app&gt;",
            "slower",
            "not called any more",
            "1 more: --limit N",
        ] {
            assert!(page.contains(said), "{said}: {page}");
        }
        assert_eq!(page.matches("<tr id=").count(), 2);
        assert_eq!(page.matches("<rect ").count(), 2);
        for word in ["<script", "http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
