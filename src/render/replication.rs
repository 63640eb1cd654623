//! `replication` for people and as JSON.

use std::fmt::Write as _;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;
use serde_json::json;

use super::json::pretty;
use super::words::{bytes, clean, count, duration, millis};
use crate::checks::judge::Severity;
use crate::checks::known::Known;
use crate::checks::replication::findings::Finding;
use crate::checks::replication::lag::{Basis, Gap, Lag};
use crate::checks::replication::slots::SlotView;
use crate::checks::replication::tree::{Node, Tree};
use crate::failure::Exit;

/// One target's tree.
#[derive(Debug, Clone, Serialize)]
pub struct TargetTree {
    /// The target's name.
    pub target: String,
    /// Its tree.
    #[serde(flatten)]
    pub tree: Tree,
}

/// How one replica was waited for.
#[derive(Debug, Clone, Serialize)]
pub struct Waited {
    /// Its name.
    pub node: String,
    /// Whether it showed a commit in time.
    pub caught_up: bool,
    /// Seconds from the beginning until it did.
    pub after_s: Option<f64>,
    /// The lag last measured, in seconds; not more than that.
    pub lag_s: Option<f64>,
    /// What that is: until a commit was visible (`probe`), or until all was replayed that the primary had (`position`).
    pub basis: &'static str,
    /// Bytes that it was behind when it was last asked.
    pub behind_bytes: Option<u64>,
    /// Why it has not caught up.
    pub reason: Option<String>,
}

impl Waited {
    /// A replica that is waited for.
    pub fn new(node: &str) -> Self {
        Self {
            node: node.to_owned(),
            caught_up: false,
            after_s: None,
            lag_s: None,
            basis: "probe",
            behind_bytes: None,
            reason: None,
        }
    }
}

/// The JSON form: `dbops.replication/1`.
pub fn json(trees: &[TargetTree], exit: Exit) -> String {
    pretty(&json!({
        "format": "dbops.replication/1",
        "exit_code": exit.code(),
        "exit": exit,
        "targets": trees,
    }))
}

/// The JSON form of slots alone: `dbops.replication.slots/1`.
pub fn slots_json(trees: &[TargetTree], exit: Exit) -> String {
    let targets: Vec<_> = (trees.iter())
        .map(|one| {
            let nodes: Vec<_> = (one.tree.nodes.iter())
                .filter(|node| node.declared)
                .map(
                    |node| json!({"node": node.name, "version": node.version, "slots": node.slots}),
                )
                .collect();
            let findings: Vec<&Finding> = slot_findings(&one.tree).collect();
            json!({"target": one.target, "nodes": nodes, "findings": findings})
        })
        .collect();
    pretty(&json!({
        "format": "dbops.replication.slots/1",
        "exit_code": exit.code(),
        "exit": exit,
        "targets": targets,
    }))
}

/// The JSON form of a wait: `dbops.replication.wait/1`.
pub fn waited_json(target: &str, waited: &[Waited], max_lag_s: f64, exit: Exit) -> String {
    pretty(&json!({
        "format": "dbops.replication.wait/1",
        "exit_code": exit.code(),
        "exit": exit,
        "target": target,
        "max_lag_s": max_lag_s,
        "nodes": waited,
    }))
}

/// One line a replica.
pub fn waited_text(waited: &[Waited]) -> String {
    let wide = (waited.iter()).map(|one| one.node.len()).max();
    let wide = wide.unwrap_or_default();
    let mut out = String::new();
    for one in waited {
        let node = clean(&one.node);
        let _ = match (one.caught_up, one.lag_s) {
            (true, Some(lag_s)) => writeln!(
                out,
                "{node:wide$}  caught up: {} within {}",
                if one.basis == "probe" {
                    "a commit was visible"
                } else {
                    "it had replayed all that the primary had"
                },
                millis(lag_s * 1_000.0)
            ),
            (true, None) => writeln!(out, "{node:wide$}  caught up"),
            (false, _) => {
                let reason = one.reason.as_deref().unwrap_or("not asked yet");
                let behind = one
                    .behind_bytes
                    .map_or_else(String::new, |behind| format!("; {} behind", size(behind)));
                writeln!(
                    out,
                    "{node:wide$}  not caught up: {}{behind}",
                    clean(reason)
                )
            }
        };
    }
    out
}

/// A table of the tree; below it what is wrong.
pub fn text(tree: &Tree, width: u16) -> String {
    let mut table = new_table(
        width,
        &[
            "node",
            "role",
            "state",
            "sync",
            "tl",
            "to send",
            "to flush",
            "to replay",
            "lag",
            "basis",
            "last reply",
        ],
    );
    right(&mut table, &[4, 5, 6, 7, 8, 10]);
    for node in &tree.nodes {
        table.add_row(row(node));
    }
    let mut out = format!("{table}\n");
    for node in &tree.nodes {
        more(&mut out, node);
    }
    findings(&mut out, tree.findings.iter());
    if let Some(node) = &tree.compared_with {
        let _ = writeln!(
            out,
            "positions: compared with the end that {} has heard of; no primary answered",
            clean(node)
        );
    }
    match (&tree.passive_because, tree.probed) {
        (_, true) => out.push_str("lag: one commit was made on the primary and waited for\n"),
        (Some(why), false) => {
            let _ = writeln!(out, "lag: nothing was written ({})", clean(why));
        }
        (None, false) => {}
    }
    out
}

/// A table of slots; below it what is wrong with them.
pub fn slots_text(tree: &Tree, width: u16) -> String {
    let mut table = new_table(
        width,
        &[
            "node",
            "slot",
            "kind",
            "state",
            "active",
            "keeps",
            "room",
            "until lost",
            "inactive",
            "cause",
        ],
    );
    right(&mut table, &[5, 6, 7, 8]);
    let mut any = false;
    for node in &tree.nodes {
        for slot in node.slots.value().into_iter().flatten() {
            table.add_row(slot_row(node, slot));
            any = true;
        }
    }
    let mut out = String::new();
    if any {
        let _ = writeln!(out, "{table}");
    } else {
        out.push_str("no replication slots\n");
    }
    let silent = tree.nodes.iter();
    for (node, silence) in silent.filter_map(|node| Some((node, node.silence.as_ref()?))) {
        let message = &silence.message;
        let _ = writeln!(out, "{}: {}", clean(&node.name), clean(message));
    }
    findings(&mut out, slot_findings(tree));
    out
}

fn slot_findings(tree: &Tree) -> impl Iterator<Item = &Finding> {
    (tree.findings.iter()).filter(|finding| finding.code.starts_with("slot_"))
}

fn row(node: &Node) -> Vec<String> {
    let depth = node.path.len().saturating_sub(1);
    let primary = node.role == "primary";
    let unless_primary = |text: String| if primary { String::new() } else { text };
    let (lag, basis) = match &node.lag {
        Known::Value(lag) => (lag_words(lag), basis_words(lag)),
        Known::Unknown(reason) => ("unknown".to_owned(), reason.code().to_owned()),
    };
    vec![
        format!("{}{}", "  ".repeat(depth), clean(&node.name)),
        node.role.to_owned(),
        match node.state {
            Known::Value(state) => state.as_str().to_owned(),
            Known::Unknown(reason) => format!("? {}", reason.code()),
        },
        unless_primary(known(&node.sync, |sync| sync.clone())),
        known(&node.timeline, u32::to_string),
        unless_primary(known(&node.gaps.sent, gap)),
        unless_primary(known(&node.gaps.flush, gap)),
        unless_primary(known(&node.gaps.replay, gap)),
        unless_primary(lag),
        unless_primary(basis),
        unless_primary(known(&node.reply_age_s, |age| millis(age * 1_000.0))),
    ]
}

fn slot_row(node: &Node, slot: &SlotView) -> Vec<String> {
    let room = if slot.limited {
        known(&slot.safe_bytes, |safe| bytes(*safe))
    } else {
        "no limit".to_owned()
    };
    let until = if slot.limited {
        known(&slot.time_to_loss_s, |s| duration(*s as i64))
    } else {
        String::new()
    };
    vec![
        clean(&node.name),
        clean(&slot.name),
        match &slot.database {
            Some(database) => format!("{} in {}", clean(&slot.kind), clean(database)),
            None => clean(&slot.kind),
        },
        slot.state.as_str().to_owned(),
        if slot.active { "yes" } else { "no" }.to_owned(),
        known(&slot.retained_bytes, |kept| size(*kept)),
        room,
        until,
        if slot.active {
            String::new()
        } else {
            known(&slot.inactive_s, |s| duration(*s as i64))
        },
        slot.cause.as_deref().map(clean).unwrap_or_default(),
    ]
}

/// What only some nodes have: one line each.
fn more(out: &mut String, node: &Node) {
    let name = clean(&node.name);
    let mut say = |text: String| {
        let _ = writeln!(out, "{name}: {text}");
    };
    if let Known::Value(delay_s) = node.apply_delay_s
        && delay_s > 0.0
    {
        say(format!(
            "replays {} later on purpose; beyond that: {}",
            millis(delay_s * 1_000.0),
            known(&node.lag_beyond_delay, lag_words)
        ));
    }
    if let Some(why) = &node.not_waited_for {
        say(format!(
            "the commit was not waited for: {}; its lag is what the servers show",
            clean(why)
        ));
    }
    for one in node.subscriptions.value().into_iter().flatten() {
        let errors = one
            .apply_errors
            .value()
            .map_or_else(String::new, |errors| format!(", {} errors", count(*errors)));
        say(format!(
            "subscription {} in {}: {}{errors}",
            clean(&one.name),
            clean(&one.database),
            one.state
        ));
    }
    if let Some(holder) = node.holders.value().and_then(|holders| holders.first())
        && let Some(xids) = holder.xids.filter(|xids| *xids > 0)
    {
        let what = holder.name.as_deref().filter(|name| !name.is_empty());
        let since = holder.seconds.map_or_else(String::new, |seconds| {
            format!(", for {}", duration(seconds as i64))
        });
        let pid = holder
            .pid
            .map_or_else(String::new, |pid| format!(", pid {pid}"));
        say(format!(
            "VACUUM is held back by {} {}: {} transactions{since}{pid}",
            clean(&holder.kind),
            what.map_or_else(|| "without a name".to_owned(), clean),
            count(i64::from(xids))
        ));
    }
    if let Known::Value(conflicts) = &node.conflicts {
        let kinds = [
            ("tablespaces", conflicts.tablespace),
            ("locks", conflicts.lock),
            ("removed rows", conflicts.snapshot),
            ("pinned buffers", conflicts.bufferpin),
            ("deadlocks", conflicts.deadlock),
            ("logical slots", conflicts.logical_slot),
        ];
        let counted: Vec<String> = (kinds.iter())
            .filter_map(|(kind, number)| Some((kind, number.filter(|number| *number > 0)?)))
            .map(|(kind, number)| format!("{} for {kind}", count(number)))
            .collect();
        if !counted.is_empty() {
            say(format!("replay cancelled queries: {}", counted.join(", ")));
        }
    }
}

fn findings<'a>(out: &mut String, all: impl Iterator<Item = &'a Finding>) {
    for finding in all {
        let severity = match finding.severity {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
        };
        let _ = writeln!(
            out,
            "{severity} {}: {}: {}",
            finding.code,
            clean(&finding.node),
            clean(&finding.text)
        );
        let _ = writeln!(out, "  fix: {}", clean(&finding.fix));
    }
}

fn known<T>(known: &Known<T>, words: impl Fn(&T) -> String) -> String {
    match known {
        Known::Value(value) => clean(&words(value)),
        Known::Unknown(_) => "?".to_owned(),
    }
}

fn gap(gap: &Gap) -> String {
    if size(gap.low) == size(gap.high) {
        size(gap.low)
    } else {
        format!("{} to {}", size(gap.low), size(gap.high))
    }
}

fn size(number: u64) -> String {
    bytes(i64::try_from(number).unwrap_or(i64::MAX))
}

fn lag_words(lag: &Lag) -> String {
    let ms = |seconds: f64| millis(seconds * 1_000.0);
    match lag.high_s {
        None => format!("over {}", ms(lag.low_s)),
        Some(high) if lag.basis == Basis::CommitTime => format!("at most {}", ms(high)),
        Some(high) => ms(high),
    }
}

fn basis_words(lag: &Lag) -> String {
    match (lag.basis, lag.high_s) {
        (basis, None) => basis.as_str().to_owned(),
        (basis, Some(_)) => {
            format!(
                "{} to {}",
                basis.as_str(),
                millis(lag.resolution_s * 1_000.0)
            )
        }
    }
}

fn new_table(width: u16, header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(header.to_vec());
    table
}

fn right(table: &mut Table, columns: &[usize]) {
    for at in columns {
        if let Some(column) = table.column_mut(*at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}
