//! `pool sessions`.

use serde_json::json;

use super::Side::{Left, Right};
use super::{age, fill, table};
use crate::checks::pool::tree::{Branch, Node, Session, Sessions};
use crate::failure::Exit;
use crate::render::json::pretty;
use crate::render::words::{clean, plural};

/// Columns of a statement in a list.
const STATEMENT: usize = 74;

/// The JSON form: `dbops.pool/1`.
pub fn json(reports: &[Sessions], exit: Exit) -> String {
    pretty(&json!({
        "format": "dbops.pool/1",
        "command": "sessions",
        "exit_code": exit.code(),
        "exit": exit,
        "targets": reports,
    }))
}

/// The text for people, with at most `limit` sessions a node.
pub fn text(report: &Sessions, limit: usize) -> String {
    let mut out = format!("target {}\n", clean(&report.target));
    for one in &report.not_known {
        let text = format!(
            "not known on {}: {} ({})",
            one.node,
            one.what,
            one.reason.code()
        );
        fill(&mut out, "", &text);
        fill(&mut out, "  ", &format!("do: {}", one.fix));
    }
    for one in &report.nodes {
        node(&mut out, one, limit);
    }
    out
}

fn node(out: &mut String, node: &Node, limit: usize) {
    out.push('\n');
    let sessions = match node.unknown {
        // Who did not answer has not said that it has none.
        Some(_) => "sessions not known".to_owned(),
        None => plural(node.sessions.len(), "session"),
    };
    fill(
        out,
        "",
        &format!("{}: {sessions}, {}", node.name, node.place),
    );
    if let Some(message) = &node.message {
        fill(out, "  ", message);
    }
    if node.unknown.is_some() {
        return;
    }
    let waiting = node
        .sessions
        .iter()
        .filter(|one| !one.blocked_by.is_empty())
        .count();
    if !node.blockers.is_empty() {
        fill(
            out,
            "",
            &format!("{} waiting for locks:", plural(waiting, "session")),
        );
        for one in &node.blockers {
            branch(out, one);
        }
    }
    let rows = node.sessions.iter().take(limit).map(row).collect();
    out.push_str(&table(
        &[
            ("pid", Right),
            ("role", Left),
            ("database", Left),
            ("application", Left),
            ("state", Left),
            ("for", Right),
            ("transaction", Right),
        ],
        rows,
    ));
    if node.sessions.len() > limit {
        let more = plural(node.sessions.len() - limit, "session");
        fill(out, "", &format!("{more} more: --limit N shows them"));
    }
}

fn row(session: &Session) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    vec![
        session.pid.to_string(),
        text(&session.role),
        text(&session.database),
        text(&session.application),
        session.state.clone().unwrap_or_else(|| "?".to_owned()),
        age(session.state_s),
        age(session.transaction_s),
    ]
}

fn branch(out: &mut String, branch: &Branch) {
    // Deep chains stay within the width.
    let margin = "  ".repeat(branch.depth.min(12) + 1);
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut line = match (&branch.session, branch.pid) {
        (_, 0) => "a prepared transaction".to_owned(),
        (None, pid) => format!("{pid}: not seen"),
        (Some(one), pid) => format!(
            "{pid} {} {}: {} for {}",
            text(&one.role),
            text(&one.application),
            one.state.as_deref().unwrap_or("state hidden"),
            age(one.state_s)
        ),
    };
    if branch.waiting > 0 {
        line.push_str(&format!(", holds up {}", branch.waiting));
    }
    if branch.again {
        line.push_str(" (see above)");
    }
    fill(out, &margin, &line);
    let statement = branch
        .session
        .as_ref()
        .and_then(|one| one.statement.as_deref());
    if let Some(statement) = statement.filter(|text| !text.is_empty() && !branch.again) {
        let room = STATEMENT.saturating_sub(margin.len());
        let short: String = statement.chars().take(room).collect();
        let more = if short.len() < statement.len() {
            " …"
        } else {
            ""
        };
        fill(out, &format!("{margin}  "), &format!("{short}{more}"));
    }
}
