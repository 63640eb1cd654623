//! `pool status`.

use std::fmt::Write as _;

use serde_json::json;

use super::Side::{Left, Right};
use super::{age, fill, number, percent, table};
use crate::checks::judge::Severity;
use crate::checks::pool::groups::{Group, Sessions};
use crate::checks::pool::pooler::{Pool, Pooler};
use crate::checks::pool::status::{First, Node, Server, Status};
use crate::failure::Exit;
use crate::render::json::pretty;
use crate::render::words::{clean, plural};

/// Groups and sessions that a table shows; JSON has all.
const SHOWN: usize = 8;

/// The JSON form: `dbops.pool/1`.
pub fn json(reports: &[Status], exit: Exit) -> String {
    pretty(&json!({
        "format": "dbops.pool/1",
        "command": "status",
        "exit_code": exit.code(),
        "exit": exit,
        "targets": reports,
    }))
}

/// The text for people.
pub fn text(status: &Status) -> String {
    let mut out = format!("target {}\n", clean(&status.target));
    match &status.first_wall {
        Some(first) => fill(&mut out, "", &first_wall(first)),
        None => out.push_str("first wall: not known\n"),
    }
    for one in &status.findings {
        let word = match one.severity {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
        };
        let subject = match one.subject.as_str() {
            "" => String::new(),
            subject => format!(" {subject}"),
        };
        fill(
            &mut out,
            "",
            &format!("{word} {} {}{subject}: {}", one.code, one.node, one.text),
        );
        fill(&mut out, "  ", &format!("do: {}", one.fix));
    }
    for one in &status.not_known {
        let text = format!(
            "not known on {}: {} ({})",
            one.node,
            one.what,
            one.reason.code()
        );
        fill(&mut out, "", &text);
        fill(&mut out, "  ", &format!("do: {}", one.fix));
    }
    for one in &status.nodes {
        node(&mut out, one);
    }
    out
}

fn first_wall(first: &First) -> String {
    let name = match first.name.as_str() {
        "" => String::new(),
        name => format!(" {name}"),
    };
    let what = match first.kind {
        "pool" => "servers",
        _ => "connections",
    };
    let mut text = format!(
        "first wall: {}{name} on {}, {} of {} {what} ({:.0} %)",
        first.kind, first.node, first.used, first.limit, first.percent
    );
    if let Some(who) = &first.eaten_by {
        let _ = write!(text, ", most by {who}");
    }
    text
}

fn node(out: &mut String, node: &Node) {
    out.push('\n');
    match (&node.server, &node.pooler) {
        (Some(one), _) => {
            let standby = if one.in_recovery { ", a standby" } else { "" };
            fill(
                out,
                "",
                &format!(
                    "{}: PostgreSQL {}{standby}, {}",
                    node.name, one.version, node.place
                ),
            );
            server(out, one);
        }
        (_, Some(one)) => {
            fill(
                out,
                "",
                &format!("{}: PgBouncer {}, {}", node.name, one.version, node.place),
            );
            pooler(out, one);
        }
        _ => {
            let reason = node.unknown.map_or("not asked", |reason| reason.code());
            fill(out, "", &format!("{}: {reason}, {}", node.name, node.place));
            if let Some(message) = &node.message {
                fill(out, "  ", message);
            }
        }
    }
}

fn server(out: &mut String, server: &Server) {
    let capacity = &server.capacity;
    let mut text = format!(
        "effective capacity {}: max_connections {} less {} for superusers",
        capacity.effective, capacity.max_connections, capacity.superuser_reserved
    );
    if let Some(reserved) = capacity.reserved {
        let _ = write!(text, " and {reserved} reserved");
    }
    fill(out, "  ", &text);
    let rows = capacity
        .walls
        .iter()
        .map(|wall| {
            let most = wall.eaters.first().map_or_else(String::new, |eater| {
                format!("{} {} ({})", eater.role, eater.application, eater.sessions)
            });
            vec![
                format!("{} {}", wall.kind.word(), wall.name),
                wall.limit.to_string(),
                number(wall.used),
                number(wall.free),
                percent(wall.percent),
                most,
            ]
        })
        .collect();
    out.push_str(&table(
        &[
            ("wall", Left),
            ("limit", Right),
            ("used", Right),
            ("free", Right),
            ("taken", Right),
            ("most by", Left),
        ],
        rows,
    ));
    if let Some(all) = &server.sessions {
        sessions(out, all);
    }
    if let Some(churn) = &server.churn {
        let rows = churn
            .iter()
            .filter(|(_, one)| one.sessions > 0)
            .map(|(name, one)| {
                let since = one
                    .since
                    .map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M").to_string());
                vec![
                    name.clone(),
                    one.sessions.to_string(),
                    one.abandoned.to_string(),
                    one.fatal.to_string(),
                    one.killed.to_string(),
                    since,
                ]
            })
            .collect();
        out.push_str(&table(
            &[
                ("sessions of", Left),
                ("so far", Right),
                ("abandoned", Right),
                ("fatal", Right),
                ("killed", Right),
                ("since", Left),
            ],
            rows,
        ));
    }
    let set: Vec<String> = server
        .time_outs
        .iter()
        .filter_map(|(name, value)| match (*value)? {
            0 => Some(format!("{name} off")),
            ms => Some(format!("{name} {ms} ms")),
        })
        .collect();
    fill(out, "  ", &set.join(", "));
}

fn sessions(out: &mut String, sessions: &Sessions) {
    let all = &sessions.all;
    let others: i64 = sessions.others.values().sum();
    fill(
        out,
        "  ",
        &format!(
            "sessions of clients: {}, {} active, {} idle, {} idle in transaction, {} other; processes without a slot: {others}",
            all.sessions, all.active, all.idle, all.idle_in_transaction, all.other
        ),
    );
    let mut rows = Vec::new();
    for (what, groups) in [
        ("role", &sessions.by_role),
        ("database", &sessions.by_database),
        ("application", &sessions.by_application),
    ] {
        rows.extend(groups.iter().take(SHOWN).map(|group| row(what, group)));
        if groups.len() > SHOWN {
            let more = groups.len() - SHOWN;
            rows.push(vec![format!("{more} more of {what}"), String::new()]);
        }
    }
    out.push_str(&table(
        &[
            ("by", Left),
            ("sessions", Right),
            ("active", Right),
            ("idle", Right),
            ("in tx", Right),
            ("longest", Right),
        ],
        rows,
    ));
    let idle = &sessions.idle_in_transaction;
    let rows = idle
        .iter()
        .take(SHOWN)
        .map(|one| {
            vec![
                one.pid.to_string(),
                one.role.clone(),
                one.database.clone(),
                one.application.clone(),
                age(one.idle_s),
                age(one.transaction_s),
            ]
        })
        .collect();
    out.push_str(&table(
        &[
            ("idle in tx", Right),
            ("role", Left),
            ("database", Left),
            ("application", Left),
            ("idle for", Right),
            ("transaction", Right),
        ],
        rows,
    ));
    if idle.len() > SHOWN {
        let _ = writeln!(
            out,
            "  {} more: dbops pool sessions",
            plural(idle.len() - SHOWN, "session")
        );
    }
}

fn row(what: &str, group: &Group) -> Vec<String> {
    let counts = &group.counts;
    let name = match group.name.as_str() {
        "" => "(none)",
        name => name,
    };
    vec![
        format!("{what} {name}"),
        counts.sessions.to_string(),
        counts.active.to_string(),
        counts.idle.to_string(),
        counts.idle_in_transaction.to_string(),
        age(counts.oldest_idle_in_transaction_s),
    ]
}

fn pooler(out: &mut String, pooler: &Pooler) {
    let mut text = format!(
        "clients {} of {} ({})",
        number(pooler.clients),
        pooler
            .max_clients
            .map_or_else(|| "?".to_owned(), |max| max.to_string()),
        percent(pooler.clients_percent),
    );
    if let Some(state) = &pooler.state {
        let _ = write!(text, ", {state}");
    }
    fill(out, "  ", &text);
    if pooler.pools.is_empty() {
        out.push_str("  no pools: no client has come yet\n");
    }
    let rows = pooler.pools.iter().map(pool).collect();
    out.push_str(&table(
        &[
            ("pool", Left),
            ("mode", Left),
            ("active", Right),
            ("waiting", Right),
            ("busy", Right),
            ("idle", Right),
            ("used", Right),
            ("tested", Right),
            ("wait", Right),
        ],
        rows,
    ));
    for pool in &pooler.pools {
        if let Some(why) = &pool.waits {
            let text = format!(
                "{} waits: {}: {}",
                pool.name(),
                why.cause.code(),
                why.evidence
            );
            fill(out, "  ", &text);
        }
        if pool.reserve_in_use {
            fill(out, "  ", &format!("{} uses its reserve", pool.name()));
        }
    }
    if !pooler.unknown_columns.is_empty() {
        let text = format!(
            "columns of a newer version, not looked at: {}",
            pooler.unknown_columns.join(", ")
        );
        fill(out, "  ", &text);
    }
    for (what, error) in &pooler.unanswered {
        fill(
            out,
            "  ",
            &format!("SHOW {} was not answered: {error}", what.to_uppercase()),
        );
    }
}

fn pool(pool: &Pool) -> Vec<String> {
    let mode = pool.mode.as_deref().map_or("?", |mode| match mode {
        "transaction" => "tx",
        other => other,
    });
    let most = pool
        .capacity
        .map_or_else(|| "-".to_owned(), |most| most.to_string());
    vec![
        pool.name(),
        mode.to_owned(),
        number(pool.clients_active),
        number(pool.clients_waiting),
        format!("{}/{most}", number(pool.busy)),
        number(pool.idle),
        number(pool.used),
        number(pool.tested),
        pool.maxwait_s
            .map_or_else(|| "?".to_owned(), |s| age(Some(s))),
    ]
}
