//! `pool status`: every node's capacity, sessions and pools, what is wrong, and what is not known.

use std::collections::BTreeMap;

use serde::Serialize;

use super::capacity::{Capacity, Wall, WallKind, capacity};
use super::finding::{self, Finding};
use super::groups::{Sessions, sessions};
use super::pooler::{Pooler, pooler};
use crate::checks::judge::Severity;
use crate::checks::reason::Reason;
use crate::sample::pool::console::ConsoleSample;
use crate::sample::pool::model::{Churn, ServerSample};

/// Part of a wall from which on it is warned.
pub const NEAR_PERCENT: f64 = 80.0;

/// Seconds idle in a transaction from which on it is warned.
pub const LONG_IDLE_S: f64 = 300.0;

/// What came back from a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// A server.
    Server(Box<ServerSample>),
    /// A pooler's console.
    Pooler(Box<ConsoleSample>),
    /// It refused the login because connections are taken: that is a measurement.
    Exhausted(String),
    /// It could not be reached.
    NotConnected(String),
}

/// A node that was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// `primary`, a replica's or a pooler's name.
    pub name: String,
    /// `user@host:port/database`.
    pub place: String,
    /// Whether it must be there.
    pub required: bool,
    /// What came back.
    pub seen: Seen,
}

/// A node in the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    /// `primary`, a replica's or a pooler's name.
    pub name: String,
    /// `user@host:port/database`.
    pub place: String,
    /// Whether it is full, or could not be asked; `None`: it was asked.
    pub unknown: Option<Reason>,
    /// What it said instead.
    pub message: Option<String>,
    /// A server.
    pub server: Option<Server>,
    /// A pooler.
    pub pooler: Option<Pooler>,
}

/// A server in the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Server {
    /// Its version.
    pub version: String,
    /// The role that dbops asks as.
    pub role: String,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// What it takes, and who takes it.
    pub capacity: Capacity,
    /// Sessions of clients; `None`: the role may not see them.
    pub sessions: Option<Sessions>,
    /// Sessions that each database has had; 14 and newer.
    pub churn: Option<BTreeMap<String, Churn>>,
    /// Settings that close sessions, in milliseconds; 0: off, `null`: this version does not have it.
    pub time_outs: BTreeMap<&'static str, Option<i64>>,
}

/// Something that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotKnown {
    /// The node.
    pub node: String,
    /// What.
    pub what: String,
    /// Why.
    pub reason: Reason,
    /// What to do.
    pub fix: String,
}

/// The wall that is hit first, of all nodes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct First {
    /// The node.
    pub node: String,
    /// `server`, `role`, `database`, `pool`, `clients`.
    pub kind: &'static str,
    /// Role, database or pool; empty for a server and for the clients of a pooler.
    pub name: String,
    /// Connections that it lets in.
    pub limit: i64,
    /// Connections.
    pub used: i64,
    /// Part taken.
    pub percent: f64,
    /// Who takes most of it, in words.
    pub eaten_by: Option<String>,
}

/// A target in the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// The target's name.
    pub target: String,
    /// The wall that is hit first; `None`: nothing is known.
    pub first_wall: Option<First>,
    /// Worst severity of the findings.
    pub worst: Option<Severity>,
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
    /// What is not known.
    pub not_known: Vec<NotKnown>,
    /// Every node asked.
    pub nodes: Vec<Node>,
}

/// Judges what came back from the nodes of a target.
pub fn status(target: &str, asked: &[Asked]) -> Status {
    let mut findings = Vec::new();
    let mut not_known = Vec::new();
    let nodes: Vec<Node> = asked
        .iter()
        .map(|one| node(one, &mut findings, &mut not_known))
        .collect();
    finding::sort(&mut findings);
    Status {
        target: target.to_owned(),
        first_wall: first(&nodes),
        worst: findings.iter().map(|one| one.severity).max(),
        findings,
        not_known,
        nodes,
    }
}

fn node(asked: &Asked, findings: &mut Vec<Finding>, not_known: &mut Vec<NotKnown>) -> Node {
    let mut node = Node {
        name: asked.name.clone(),
        place: asked.place.clone(),
        unknown: None,
        message: None,
        server: None,
        pooler: None,
    };
    let mut lacking = |what: &str, reason: Reason| {
        not_known.push(NotKnown {
            node: asked.name.clone(),
            what: what.to_owned(),
            reason,
            fix: reason.fix().to_owned(),
        });
    };
    match &asked.seen {
        Seen::Server(sample) => {
            if !sample.sees_all {
                lacking("sessions of other roles", Reason::NoPrivilege);
            }
            let churn = churn(sample);
            if churn.is_none() {
                lacking("connection churn", Reason::UnsupportedVersion);
            }
            let server = Server {
                version: sample.version.clone(),
                role: sample.role.clone(),
                in_recovery: sample.in_recovery,
                capacity: capacity(sample),
                sessions: sessions(sample),
                churn,
                time_outs: sample.time_outs.clone(),
            };
            of_server(&asked.name, &server, findings);
            node.server = Some(server);
        }
        Seen::Pooler(sample) => {
            let pooler = pooler(sample);
            for column in &pooler.missing_columns {
                lacking(
                    &format!("column {column} of the console"),
                    Reason::UnsupportedVersion,
                );
            }
            for (what, _) in &pooler.unanswered {
                lacking(
                    &format!("SHOW {}", what.to_uppercase()),
                    Reason::NoPrivilege,
                );
            }
            of_pooler(&asked.name, &pooler, findings);
            node.pooler = Some(pooler);
        }
        Seen::Exhausted(message) => {
            lacking("who takes the connections", Reason::Exhausted);
            node.unknown = Some(Reason::Exhausted);
            node.message = Some(message.clone());
            findings.push(Finding {
                severity: Severity::Critical,
                code: "exhausted",
                node: asked.name.clone(),
                subject: String::new(),
                text: format!("the login of dbops was refused (SQLSTATE 53300): {message}"),
                fix: "connect as a superuser, or on 16 and newer as a member of pg_use_reserved_connections, to see who takes the connections".to_owned(),
            });
        }
        Seen::NotConnected(message) => {
            lacking("everything", Reason::NotConnected);
            node.unknown = Some(Reason::NotConnected);
            node.message = Some(message.clone());
            findings.push(Finding {
                severity: if asked.required {
                    Severity::Critical
                } else {
                    Severity::Warning
                },
                code: "not_connected",
                node: asked.name.clone(),
                subject: String::new(),
                text: message.clone(),
                fix: Reason::NotConnected.fix().to_owned(),
            });
        }
    }
    node
}

fn churn(sample: &ServerSample) -> Option<BTreeMap<String, Churn>> {
    let counted: BTreeMap<String, Churn> = sample
        .databases
        .iter()
        .filter_map(|one| Some((one.name.clone(), one.churn?)))
        .collect();
    (!counted.is_empty()).then_some(counted)
}

fn of_server(node: &str, server: &Server, findings: &mut Vec<Finding>) {
    for wall in &server.capacity.walls {
        let Some(percent) = wall.percent.filter(|percent| *percent >= NEAR_PERCENT) else {
            continue;
        };
        let full = percent >= 100.0;
        let (code, fix) = match (wall.kind, full) {
            (WallKind::Server, true) => ("exhausted", SERVER_FIX),
            (WallKind::Server, false) => ("near_exhaustion", SERVER_FIX),
            (WallKind::Role, true) => ("role_limit", ROLE_FIX),
            (WallKind::Role, false) => ("near_role_limit", ROLE_FIX),
            (WallKind::Database, true) => ("database_limit", DATABASE_FIX),
            (WallKind::Database, false) => ("near_database_limit", DATABASE_FIX),
        };
        findings.push(Finding {
            severity: if full {
                Severity::Critical
            } else {
                Severity::Warning
            },
            code,
            node: node.to_owned(),
            subject: wall.name.clone(),
            text: taken(wall),
            fix: fix.to_owned(),
        });
    }
    let oldest = server
        .sessions
        .as_ref()
        .and_then(|sessions| sessions.idle_in_transaction.first())
        .filter(|one| one.idle_s.is_some_and(|age| age >= LONG_IDLE_S));
    if let Some(one) = oldest {
        findings.push(Finding {
            severity: Severity::Warning,
            code: "idle_in_transaction",
            node: node.to_owned(),
            subject: one.role.clone(),
            text: format!(
                "pid {} of {} has been idle in a transaction for {:.0} s",
                one.pid,
                who(&one.role, &one.application),
                one.idle_s.unwrap_or_default()
            ),
            fix: "end its transaction in the application; idle_in_transaction_session_timeout does it for all".to_owned(),
        });
    }
}

const SERVER_FIX: &str = "close idle sessions or put a pooler in front; raise max_connections only with the memory for it";
const ROLE_FIX: &str = "close sessions of the role, or `alter role … connection limit`";
const DATABASE_FIX: &str = "close sessions of the database, or `alter database … connection limit`";

/// Says how much of a wall is taken, and by whom.
pub fn taken(wall: &Wall) -> String {
    let of = match wall.kind {
        WallKind::Server => "that ordinary roles may have".to_owned(),
        WallKind::Role => format!("of role {}", wall.name),
        WallKind::Database => format!("of database {}", wall.name),
    };
    let used = match wall.used {
        Some(used) => used.to_string(),
        None => "an unknown number".to_owned(),
    };
    let mut text = format!("{used} of {} connections {of} are taken", wall.limit);
    if let Some(eaters) = eaten_by(wall) {
        text.push_str(&format!(", most by {eaters}"));
    }
    text
}

fn eaten_by(wall: &Wall) -> Option<String> {
    let most = wall.eaters.first()?;
    Some(format!(
        "{} ({}, {} idle, {} idle in transaction)",
        who(&most.role, &most.application),
        most.sessions,
        most.idle,
        most.idle_in_transaction
    ))
}

fn who(role: &str, application: &str) -> String {
    match application {
        "" => role.to_owned(),
        application => format!("{role}/{application}"),
    }
}

fn of_pooler(node: &str, pooler: &Pooler, findings: &mut Vec<Finding>) {
    if let (Some(percent), Some(used), Some(max)) =
        (pooler.clients_percent, pooler.clients, pooler.max_clients)
        && percent >= NEAR_PERCENT
    {
        let full = used >= max;
        findings.push(Finding {
            severity: if full {
                Severity::Critical
            } else {
                Severity::Warning
            },
            code: if full {
                "client_limit"
            } else {
                "near_client_limit"
            },
            node: node.to_owned(),
            subject: String::new(),
            text: format!("{used} of {max} clients that max_client_conn allows are connected"),
            fix: "raise max_client_conn and the limit of open files, or close idle clients"
                .to_owned(),
        });
    }
    for pool in &pooler.pools {
        let Some(why) = &pool.waits else {
            continue;
        };
        let Some(severity) = why.severity(pool.maxwait_s) else {
            continue;
        };
        let waiting = pool.clients_waiting.unwrap_or_default();
        let clients = if waiting == 1 {
            "client waits"
        } else {
            "clients wait"
        };
        findings.push(Finding {
            severity,
            code: why.cause.code(),
            node: node.to_owned(),
            subject: pool.name(),
            text: format!("{waiting} {clients}: {}", why.evidence),
            fix: why.fix.clone(),
        });
    }
}

/// Of all walls of all nodes the fullest; of equal ones the first named.
fn first(nodes: &[Node]) -> Option<First> {
    let mut all: Vec<First> = Vec::new();
    for node in nodes {
        let walls = node.server.iter().flat_map(|server| &server.capacity.walls);
        all.extend(walls.filter_map(|wall| {
            Some(First {
                node: node.name.clone(),
                kind: wall.kind.word(),
                name: wall.name.clone(),
                limit: wall.limit,
                used: wall.used?,
                percent: wall.percent?,
                eaten_by: eaten_by(wall),
            })
        }));
        let Some(pooler) = &node.pooler else {
            continue;
        };
        all.extend(pooler.pools.iter().filter_map(|pool| {
            Some(First {
                node: node.name.clone(),
                kind: "pool",
                name: pool.name(),
                limit: pool.capacity?,
                used: pool.busy?,
                percent: pool.percent?,
                eaten_by: None,
            })
        }));
        all.extend(
            pooler
                .clients
                .zip(pooler.max_clients)
                .zip(pooler.clients_percent)
                .map(|((used, limit), percent)| First {
                    node: node.name.clone(),
                    kind: "clients",
                    name: String::new(),
                    limit,
                    used,
                    percent,
                    eaten_by: None,
                }),
        );
    }
    all.into_iter().reduce(|most, one| {
        if one.percent > most.percent {
            one
        } else {
            most
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::pool::testing::{process, role, sample};

    fn asked(seen: Seen) -> Asked {
        Asked {
            name: "primary".to_owned(),
            place: "dba@db1:5432/shop".to_owned(),
            required: true,
            seen,
        }
    }

    #[test]
    fn a_node_that_may_be_missing_is_a_warning_when_it_is() {
        for (required, severity) in [(true, Severity::Critical), (false, Severity::Warning)] {
            let mut gone = asked(Seen::NotConnected("refused".to_owned()));
            gone.required = required;
            assert_eq!(status("main", &[gone]).worst, Some(severity));
        }
    }

    #[test]
    fn a_refused_login_is_critical_and_names_who_sees_more() {
        let refused = asked(Seen::Exhausted(
            "sorry, too many clients already".to_owned(),
        ));
        let status = status("main", &[refused]);
        assert_eq!(status.worst, Some(Severity::Critical));
        assert_eq!(status.findings[0].code, "exhausted");
        assert!(
            status.findings[0]
                .fix
                .contains("pg_use_reserved_connections")
        );
        assert_eq!(status.nodes[0].unknown, Some(Reason::Exhausted));
        assert_eq!(status.first_wall, None);
    }

    #[test]
    fn a_full_role_is_critical_and_the_server_is_not() {
        let mut full = sample(100, 3, None);
        full.processes = (1..=2)
            .map(|pid| process(pid, "client backend", "app", "shop", "idle"))
            .collect();
        full.roles = vec![role("app", 2)];
        let status = status("main", &[asked(Seen::Server(Box::new(full)))]);
        let codes: Vec<_> = status.findings.iter().map(|one| one.code).collect();
        assert_eq!(codes, ["role_limit"]);
        let first = status.first_wall.unwrap();
        assert_eq!((first.kind, first.name.as_str()), ("role", "app"));
        assert_eq!(
            first.eaten_by.as_deref(),
            Some("app/app-app (2, 2 idle, 0 idle in transaction)")
        );
    }

    #[test]
    fn what_was_not_measured_is_told_with_its_fix_and_is_no_finding() {
        let mut blind = sample(100, 3, None);
        blind.sees_all = false;
        let status = status("main", &[asked(Seen::Server(Box::new(blind)))]);
        assert_eq!(status.findings, []);
        let reasons: Vec<_> = status.not_known.iter().map(|one| one.reason).collect();
        assert_eq!(reasons, [Reason::NoPrivilege, Reason::UnsupportedVersion]);
        assert!(status.not_known[0].fix.contains("grant"));
    }
}
