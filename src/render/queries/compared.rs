//! What changed between two sides: for people, for tickets, and for programs as `dbops.queries.compare/1`. For a browser
//! see [`compared_html`](super::compared_html).

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Texts;
use super::markdown::{code, escape};
use super::text::{elide, fold, one_line};
use super::words::{maybe, ms, number};
use crate::checks::queries::compare::{Change, Changed, Comparison};
use crate::failure::Exit;
use crate::render::json::pretty;
use crate::render::words::{clean, duration, plural};
use crate::syntax::mask::mask;

const WIDTH: usize = 80;
const MARGIN: &str = "     ";

/// Two sides and what changed between them.
#[derive(Debug, Clone, Copy)]
pub struct Compared<'a> {
    /// The first side in words.
    pub before: &'a str,
    /// The second side in words.
    pub after: &'a str,
    /// What is compared with what.
    pub basis: &'a str,
    /// How long each was counted, in seconds; `None`: not known.
    pub seconds: (Option<f64>, Option<f64>),
    /// What changed.
    pub comparison: &'a Comparison,
}

/// For people, within 80 columns.
pub fn table(compared: &Compared<'_>, most: usize, texts: Texts) -> String {
    let mut out = String::new();
    for line in head(compared) {
        fill(&mut out, "", &line);
    }
    let changed = &compared.comparison.changed;
    for (at, one) in changed.iter().take(most).enumerate() {
        let _ = writeln!(out, "\n{:>3}  {}", at + 1, words(one));
        fill(&mut out, MARGIN, &figures(one));
        fill(
            &mut out,
            MARGIN,
            &clean(&format!(
                "{}, database {}, role {}",
                one.identity.fingerprint, one.identity.database, one.identity.role
            )),
        );
        if let Some(text) = &one.text {
            let text = mask(text);
            match texts {
                Texts::Elided => fill(&mut out, MARGIN, &elide(&one_line(&text), 140)),
                Texts::Full => text
                    .lines()
                    .for_each(|line| fill(&mut out, MARGIN, &clean(line))),
            }
        }
    }
    let left = changed.len().saturating_sub(most);
    if left > 0 {
        let _ = writeln!(
            out,
            "\n{} more: --limit N shows them",
            plural(left, "change")
        );
    }
    let _ = writeln!(out, "\n{}", sum(compared.comparison));
    out
}

/// For tickets.
pub fn markdown(compared: &Compared<'_>, most: usize, texts: Texts) -> String {
    let mut out = String::from("## Statements compared\n\n");
    for line in head(compared) {
        let _ = writeln!(out, "- {}", escape(&line));
    }
    out.push_str("\n| change | added | mean before | mean after | calls before | calls after | statement |\n");
    out.push_str("|---|--:|--:|--:|--:|--:|---|\n");
    for one in compared.comparison.changed.iter().take(most) {
        let text = one_line(&mask(one.text.as_deref().unwrap_or("text lost")));
        let text = match texts {
            Texts::Elided => elide(&text, 160),
            Texts::Full => text,
        };
        let (a, b) = (one.before.as_ref(), one.after.as_ref());
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            changes(&one.changes),
            signed(one.added_ms),
            maybe(a.and_then(|one| one.mean_ms), ms),
            maybe(b.and_then(|one| one.mean_ms), ms),
            maybe(a.map(|one| one.calls), number),
            maybe(b.map(|one| one.calls), number),
            code(&text)
        );
    }
    let _ = writeln!(out, "\n{}", escape(&sum(compared.comparison)));
    out
}

/// For programs.
pub fn json(compared: &Compared<'_>, exit: Exit) -> String {
    let comparison = compared.comparison;
    let changed: Vec<Value> = comparison.changed.iter().map(one_json).collect();
    pretty(&json!({
        "format": "dbops.queries.compare/1",
        "exit_code": exit.code(),
        "exit": exit,
        "before": compared.before,
        "after": compared.after,
        "basis": compared.basis,
        "seconds_before": compared.seconds.0,
        "seconds_after": compared.seconds.1,
        "added_ms": comparison.added_ms,
        "unchanged": comparison.unchanged,
        "too_few_calls": comparison.too_few,
        "changed": changed,
    }))
}

fn one_json(one: &Changed) -> Value {
    json!({
        "changes": one.changes,
        "fingerprint": one.identity.fingerprint,
        "database": one.identity.database,
        "role": one.identity.role,
        "nested": one.identity.nested,
        "queryids": one.queryids.iter().map(i64::to_string).collect::<Vec<_>>(),
        "text": one.text.as_deref().map(|text| mask(text).into_owned()),
        "added_ms": one.added_ms,
        "mean_ratio": one.mean_ratio,
        "chance": one.chance,
        "before": one.before,
        "after": one.after,
    })
}

pub(super) fn head(compared: &Compared<'_>) -> Vec<String> {
    let length = |seconds: Option<f64>| {
        seconds.map_or_else(
            || "for an unknown time".to_owned(),
            |seconds| format!("for {}", duration(seconds as i64)),
        )
    };
    let mut lines = vec![
        format!(
            "before: {} {}",
            clean(compared.before),
            length(compared.seconds.0)
        ),
        format!(
            "after:  {} {}",
            clean(compared.after),
            length(compared.seconds.1)
        ),
        compared.basis.to_owned(),
    ];
    if (compared.comparison.scale - 1.0).abs() > 0.01 {
        lines.push(
            "added time is that of the second side, less that of the first in as long a time"
                .to_owned(),
        );
    }
    lines
}

fn words(one: &Changed) -> String {
    format!("{}: {}", changes(&one.changes), signed(one.added_ms))
}

pub(super) fn changes(list: &[Change]) -> String {
    let words: Vec<&str> = list
        .iter()
        .map(|change| match change {
            Change::Slower => "slower",
            Change::New => "new",
            Change::MoreBlocks => "more blocks",
            Change::MoreRows => "more rows",
            Change::MoreCalls => "more calls",
            Change::Faster => "faster",
            Change::Gone => "not called any more",
            Change::Evicted => "entry thrown away",
        })
        .collect();
    words.join(", ")
}

pub(super) fn figures(one: &Changed) -> String {
    let pair = |of: &dyn Fn(&crate::checks::queries::figures::Figures) -> Option<f64>,
                words: &dyn Fn(f64) -> String| {
        let side = |side: &Option<_>| side.as_ref().and_then(of).map(words);
        match (side(&one.before), side(&one.after)) {
            (Some(a), Some(b)) => Some(format!("{a} -> {b}")),
            (Some(one), None) | (None, Some(one)) => Some(one),
            (None, None) => None,
        }
    };
    let mut parts = Vec::new();
    for (name, found) in [
        ("mean", pair(&|one| one.mean_ms, &ms)),
        ("calls", pair(&|one| Some(one.calls), &number)),
        ("calls/s", pair(&|one| one.calls_per_s, &number)),
        ("rows/call", pair(&|one| one.rows_per_call, &number)),
        ("blocks/call", pair(&|one| one.blocks_per_call, &number)),
    ] {
        if let Some(found) = found {
            parts.push(format!("{name} {found}"));
        }
    }
    if let Some(ratio) = one.mean_ratio {
        parts.push(format!("{ratio:.2} times the mean"));
    }
    if let Some(chance) = one.chance {
        parts.push(format!("by chance {chance:.0e}"));
    }
    parts.join(", ")
}

pub(super) fn signed(value: f64) -> String {
    if value < 0.0 {
        format!("-{}", ms(-value))
    } else {
        format!("+{}", ms(value))
    }
}

pub(super) fn sum(comparison: &Comparison) -> String {
    format!(
        "{} changed, {} unchanged, {} with too few calls to tell; {} of time in all",
        comparison.changed.len(),
        comparison.unchanged,
        comparison.too_few,
        signed(comparison.added_ms)
    )
}

fn fill(out: &mut String, margin: &str, text: &str) {
    for line in fold(text, WIDTH - margin.len()) {
        let _ = writeln!(out, "{margin}{line}");
    }
}
