//! The report of `queries n-plus-one`: for a terminal, as Markdown, as JSON.

mod wrap;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::wrap::{elided, put};
use super::json::pretty;
use super::words::{clean, count, millis, plural};
use crate::checks::n_plus_one::report::{QuietStatement, Report, Suspect};
use crate::checks::n_plus_one::score::Verdict;
use crate::failure::Exit;

/// What was found on one node.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name.
    pub target: String,
    /// Names of databases by OID.
    pub databases: BTreeMap<u32, String>,
    /// Names of roles by OID.
    pub roles: BTreeMap<u32, String>,
    /// Windows recorded.
    pub windows: usize,
    /// How long each was meant to be, in seconds.
    pub window_seconds: f64,
    /// Windows that could not be used, with the reason.
    pub rejected: Vec<String>,
    /// How windows of unequal length were made equal; `None`: they were recorded in one length.
    pub even: Option<Evened>,
    /// Whether entries were evicted meanwhile.
    pub evicted: bool,
    /// Entries whose texts the reading role may not see.
    pub hidden: usize,
    /// Milliseconds of a round trip that were reckoned with.
    pub round_trip_ms: f64,
    /// Databases whose keys were read from the catalog.
    pub keys_of: Vec<String>,
    /// Whether the recording was ended before all windows were there.
    pub interrupted: bool,
    /// Why the server gave no more windows than these.
    pub failed: Option<String>,
    /// What was found.
    pub report: Report,
}

/// How windows of unequal length were made equal.
#[derive(Debug, Clone, Copy)]
pub struct Evened {
    /// The length that was judged by, in seconds.
    pub seconds: f64,
    /// Windows that are part of a longer one.
    pub joined: usize,
    /// Windows whose calls were counted in proportion, because they are longer.
    pub scaled: usize,
    /// Windows left out because no others are of their length.
    pub left_out: usize,
}

impl Node {
    /// Returns the fingerprints of all statements.
    pub fn statements(&self) -> impl Iterator<Item = &str> {
        let suspects = self
            .report
            .suspects
            .iter()
            .map(|one| one.fingerprint.as_str());
        suspects.chain(self.report.quiet.iter().map(|one| one.fingerprint.as_str()))
    }

    fn database(&self, dbid: u32) -> String {
        name(&self.databases, dbid)
    }

    fn role(&self, userid: u32) -> String {
        name(&self.roles, userid)
    }

    fn found(&self) -> usize {
        self.report
            .suspects
            .iter()
            .filter(|one| one.verdict >= Verdict::Suspect)
            .count()
    }
}

fn name(names: &BTreeMap<u32, String>, oid: u32) -> String {
    names
        .get(&oid)
        .map_or_else(|| format!("oid {oid}"), |name| clean(name))
}

/// What of it is shown.
#[derive(Debug, Clone)]
pub struct Show {
    /// Lowest score.
    pub min_score: f64,
    /// Also what was passed over.
    pub all: bool,
    /// The statement whose terms are shown.
    pub explain: Option<String>,
    /// Width of the terminal in columns.
    pub width: usize,
}

impl Show {
    fn shows(&self, one: &Suspect) -> bool {
        if let Some(wanted) = &self.explain {
            return one.fingerprint.starts_with(wanted.as_str());
        }
        self.all
            || (one.verdict >= Verdict::Possible && one.score >= self.min_score)
            || (one.verdict == Verdict::Possible && one.held.is_none())
    }

    fn shows_quiet(&self, one: &QuietStatement) -> bool {
        match &self.explain {
            Some(wanted) => one.fingerprint.starts_with(wanted.as_str()),
            None => self.all,
        }
    }
}

const NOT_COUNTED: &str =
    "Statements that failed, were cancelled or timed out are not in this data.";

/// Calls of one role in a window from which the drift of its traffic weighs more than bundles.
const CROWDED: f64 = 4_000.0;

/// The report for a terminal.
pub fn text(nodes: &[Node], show: &Show) -> String {
    let width = show.width.max(40);
    let mut out = String::new();
    for node in nodes {
        for line in head(node) {
            put(&mut out, &line, 0, width);
        }
        let shown: Vec<&Suspect> = node
            .report
            .suspects
            .iter()
            .filter(|one| show.shows(one))
            .collect();
        for one in &shown {
            out.push('\n');
            suspect_text(&mut out, node, one, show, width);
        }
        let quiet: Vec<&QuietStatement> = node
            .report
            .quiet
            .iter()
            .filter(|one| show.shows_quiet(one))
            .collect();
        if !quiet.is_empty() {
            out.push_str("\nPassed over\n");
            for one in quiet {
                let line = format!(
                    "{}: {}, {} calls",
                    one.fingerprint,
                    one.reason.says(),
                    count(one.calls as i64)
                );
                put(&mut out, &line, 2, width);
                put(&mut out, &elided(&one.text, 2 * (width - 4)), 4, width);
            }
        }
        out.push('\n');
        put(&mut out, &summary(node), 0, width);
    }
    out
}

fn head(node: &Node) -> Vec<String> {
    let report = &node.report;
    let mut lines = Vec::new();
    lines.push(match node.windows {
        0 => format!(
            "{}: one reading since the statistics began",
            clean(&node.target)
        ),
        windows => format!(
            "{}: {} of {}",
            clean(&node.target),
            plural(windows, "window"),
            millis(1_000.0 * node.window_seconds)
        ),
    });
    for group in &report.groups {
        let mut line = format!(
            "{} as {}: {}, {} calls",
            node.database(group.dbid),
            node.role(group.userid),
            plural(group.statements, "statement"),
            count(group.calls as i64)
        );
        if group.bursts > 3.0 {
            line.push_str("; traffic comes in bursts, which hides loops");
        }
        if !group.ambient.is_empty() {
            line.push_str(&format!(
                "; in most conditions, so no key: {}",
                group.ambient.join(", ")
            ));
        }
        lines.push(line);
    }
    if let Some(even) = node.even.filter(|_| node.windows > 0) {
        let mut line = format!("verdicts stand on {}", plural(report.windows, "window"));
        if report.windows > 0 {
            line.push_str(&format!(" of {}", millis(1_000.0 * even.seconds)));
        }
        if even.joined > 0 {
            line.push_str(&format!(
                "; {} shorter ones were joined for it",
                even.joined
            ));
        }
        if even.scaled > 0 {
            line.push_str(&format!(
                "; of {} longer ones the calls were counted in proportion",
                even.scaled
            ));
        }
        if even.left_out > 0 {
            line.push_str(&format!(
                "; left out, because of quite another length: {}",
                even.left_out
            ));
        }
        lines.push(line);
    }
    let crowded = report
        .groups
        .iter()
        .any(|group| report.windows > 1 && group.calls / report.windows as f64 > CROWDED);
    if crowded {
        lines.push(format!(
            "more than {} calls in a window: how the traffic drifts hides bundles, and can look like them; shorter windows tell more",
            count(CROWDED as i64)
        ));
    }
    lines.extend(node.rejected.iter().map(|why| format!("not used: {why}")));
    if node.interrupted {
        lines.push("the recording was interrupted".to_owned());
    }
    if let Some(why) = &node.failed {
        lines.push(format!("the recording ended early: {why}"));
    }
    if report.windows < crate::checks::n_plus_one::score::FEW_WINDOWS {
        lines.push(format!(
            "{} of use cannot tell bundles from chance: no verdict above `possible`",
            plural(report.windows, "window")
        ));
    }
    if node.evicted {
        lines.push(
            "entries were evicted meanwhile: each verdict is lowered by one level".to_owned(),
        );
    }
    if node.hidden > 0 {
        lines.push(format!(
            "{} hidden from this role; GRANT pg_read_all_stats shows them",
            plural(node.hidden, "entry").replace("entrys", "entries")
        ));
    }
    lines
}

fn summary(node: &Node) -> String {
    let found = node.found();
    let lead = match found {
        0 => "No loop found.".to_owned(),
        _ => {
            let (calls, ms) = node
                .report
                .suspects
                .iter()
                .filter(|one| one.verdict >= Verdict::Suspect)
                .fold((0.0, 0.0), |(calls, ms), one| {
                    (calls + one.avoidable_calls, ms + one.avoidable_ms)
                });
            format!(
                "{}: {} calls and {} could be saved.",
                plural(found, "loop"),
                count(calls as i64),
                millis(ms)
            )
        }
    };
    format!("{lead} {NOT_COUNTED}")
}

fn suspect_text(out: &mut String, node: &Node, one: &Suspect, show: &Show, width: usize) {
    let title = format!("{}  {}", title(one), place(node, one));
    put(out, &title, 0, width);
    put(out, &elided(&one.text, 3 * (width - 4)), 4, width);
    if let Some(parent) = &one.parent
        && one.verdict > Verdict::None
    {
        put(out, &for_each(one), 2, width);
        for above in one.chain.iter().chain([&parent.text]) {
            put(out, &elided(above, 2 * (width - 4)), 4, width);
        }
    }
    if one.verdict > Verdict::None {
        put(out, &cost(one), 2, width);
        put(out, &one.fix, 2, width);
    }
    if let Some(held) = &one.held {
        put(
            out,
            &format!("held down: {}", elided(held, 2 * width)),
            2,
            width,
        );
    }
    if show.explain.is_some() || show.all {
        for term in &one.terms {
            put(
                out,
                &format!("{:+.0} {}: {}", term.points, term.name, term.says),
                4,
                width,
            );
        }
    } else {
        put(
            out,
            &format!("why: --explain {}", one.fingerprint),
            2,
            width,
        );
    }
}

fn title(one: &Suspect) -> String {
    let mut text = format!(
        "{} {:.0}  {}",
        one.verdict.word(),
        one.score,
        one.kind.word()
    );
    if let Some(keys) = one.batch {
        text.push_str(&format!(", batched by {keys}"));
    }
    if let Some((table, column)) = &one.column {
        text.push_str(&format!(" {}.{}", clean(table), clean(column)));
    }
    text
}

fn place(node: &Node, one: &Suspect) -> String {
    format!(
        "({} as {}, {})",
        node.database(one.dbid),
        node.role(one.userid),
        one.orm.word()
    )
}

fn for_each(one: &Suspect) -> String {
    let Some(parent) = &one.parent else {
        return String::new();
    };
    let tie = match (&parent.foreign_key, parent.tied) {
        (Some(key), _) => format!("foreign key {}", clean(key)),
        (None, true) => "by joins or names".to_owned(),
        (None, false) => "by the counts alone".to_owned(),
    };
    format!(
        "for rows of this list, {:.1} calls for each of its executions ({tie}):",
        parent.amplification
    )
}

fn cost(one: &Suspect) -> String {
    let mut text = format!(
        "{} of {} calls could be saved, {}",
        count(one.avoidable_calls as i64),
        count(one.evidence.calls as i64),
        millis(one.avoidable_ms)
    );
    if one.once_share >= 0.05 {
        text.push_str(&format!(
            "; {:.0} % of its calls behave once per request",
            100.0 * one.once_share
        ));
    }
    text
}

/// The report as Markdown.
pub fn markdown(nodes: &[Node], show: &Show) -> String {
    let mut out = String::new();
    for node in nodes {
        out.push_str(&format!("# N+1 on {}\n\n", clean(&node.target)));
        for line in head(node).iter().skip(1) {
            out.push_str(&format!("- {}\n", escaped(line)));
        }
        for one in node.report.suspects.iter().filter(|one| show.shows(one)) {
            out.push_str(&format!(
                "\n## {}\n\n{}\n\n",
                escaped(&title(one)),
                escaped(&place(node, one))
            ));
            out.push_str(&fenced(&one.text));
            if let Some(parent) = &one.parent
                && one.verdict > Verdict::None
            {
                out.push_str(&format!("\n{}\n\n", escaped(&for_each(one))));
                for above in one.chain.iter().chain([&parent.text]) {
                    out.push_str(&fenced(above));
                }
            }
            if one.verdict > Verdict::None {
                out.push_str(&format!("\n{}. {}\n", cost(one), one.fix));
            }
            out.push_str("\n| points | term | figure |\n|---:|---|---|\n");
            for term in &one.terms {
                out.push_str(&format!(
                    "| {:+.0} | {} | {} |\n",
                    term.points,
                    term.name,
                    escaped(&term.says)
                ));
            }
        }
        out.push_str(&format!("\n{}\n", summary(node)));
    }
    out
}

fn escaped(text: &str) -> String {
    clean(text)
        .replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('*', "\\*")
        .replace('<', "&lt;")
        .replace('\n', " ")
}

/// A block of code whose fence no text can close.
fn fenced(text: &str) -> String {
    let mut longest = 2;
    let mut run = 0;
    for letter in text.chars() {
        run = if letter == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence}sql\n{}\n{fence}\n", clean(text))
}

/// The report as `dbops.n-plus-one/1`.
pub fn json(nodes: &[Node], show: &Show, exit: Exit) -> String {
    let targets: Vec<Value> = nodes.iter().map(|node| target(node, show)).collect();
    pretty(&json!({
        "format": "dbops.n-plus-one/1",
        "exit_code": exit.code(),
        "exit": exit,
        "targets": targets,
    }))
}

fn target(node: &Node, show: &Show) -> Value {
    let report = &node.report;
    let suspects: Vec<Value> = report
        .suspects
        .iter()
        .filter(|one| show.shows(one))
        .map(|one| suspect_json(node, one))
        .collect();
    let quiet: Vec<Value> = report
        .quiet
        .iter()
        .filter(|one| show.shows_quiet(one))
        .map(|one| {
            json!({
                "database": node.database(one.dbid),
                "role": node.role(one.userid),
                "fingerprint": one.fingerprint,
                "text": one.text,
                "calls": one.calls,
                "reason": one.reason.says(),
            })
        })
        .collect();
    let groups: Vec<Value> = report
        .groups
        .iter()
        .map(|group| {
            json!({
                "database": node.database(group.dbid),
                "role": node.role(group.userid),
                "statements": group.statements,
                "calls": group.calls,
                "request_anchor": group.anchor,
                "bursts": rounded(group.bursts),
                "ambient_columns": group.ambient,
                "orm": group.orm,
            })
        })
        .collect();
    json!({
        "target": node.target,
        "windows": {
            "recorded": node.windows,
            "usable": report.windows,
            "seconds": rounded(node.even.map_or(node.window_seconds, |even| even.seconds)),
            "joined": node.even.map_or(0, |even| even.joined),
            "scaled": node.even.map_or(0, |even| even.scaled),
            "left_out": node.even.map_or(0, |even| even.left_out),
            "rejected": node.rejected,
            "interrupted": node.interrupted,
            "failed": node.failed,
        },
        "evicted": node.evicted,
        "hidden_entries": node.hidden,
        "round_trip_ms": rounded(node.round_trip_ms),
        "keys_read_from": node.keys_of,
        "groups": groups,
        "suspects": suspects,
        "passed_over": quiet,
        "not_counted": NOT_COUNTED,
    })
}

fn suspect_json(node: &Node, one: &Suspect) -> Value {
    let terms: Vec<Value> = one
        .terms
        .iter()
        .map(|term| {
            json!({
                "name": term.name,
                "value": rounded(term.value),
                "points": rounded(term.points),
                "says": term.says,
            })
        })
        .collect();
    json!({
        "database": node.database(one.dbid),
        "role": node.role(one.userid),
        "fingerprint": one.fingerprint,
        // 64 bits with a sign do not fit into the numbers of JSON.
        "queryids": one.queryids.iter().map(i64::to_string).collect::<Vec<_>>(),
        "text": one.text,
        "score": one.score,
        "verdict": one.verdict,
        "kind": one.kind.word(),
        "batch": one.batch,
        "orm": one.orm,
        "table": one.column.as_ref().map(|(table, _)| table),
        "column": one.column.as_ref().map(|(_, column)| column),
        "column_class": one.class,
        "calls": one.evidence.calls,
        "mean_ms": rounded(one.mean_ms),
        "clumping": rounded(one.evidence.clumping),
        "clumping_left": rounded(one.evidence.clumping_left),
        "once_per_request_share": rounded(one.once_share),
        "parent": one.parent.as_ref().map(|parent| json!({
            "fingerprint": parent.fingerprint,
            "text": parent.text,
            "foreign_key": parent.foreign_key,
            "tied_by": match (&parent.foreign_key, parent.tied) {
                (Some(_), _) => "foreign-key",
                (None, true) => "names",
                (None, false) => "counts",
            },
            "calls_per_execution": rounded(parent.amplification),
            "share": rounded(parent.share),
        })),
        "chain": one.chain,
        "terms": terms,
        "held": one.held,
        "avoidable_calls": one.avoidable_calls.round(),
        "avoidable_ms": rounded(one.avoidable_ms),
        "fix": one.fix,
    })
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_does_not_free_the_bar_behind_it() {
        assert_eq!(escaped(r"a \| b"), r"a \\\| b");
    }

    #[test]
    fn a_fence_cannot_be_closed_by_the_text_in_it() {
        assert!(fenced("select '```'").starts_with("````sql\n"));
    }
}
