//! What rules can hold: `conn.*`, `pool.*` and `budget.*` of what was found.

use std::sync::Arc;

use super::budget::Budget;
use super::capacity::WallKind;
use super::status::{Node, Status};
use crate::checks::judge::{Labels, Measured, Reading};
use crate::checks::reason::Reason;
use crate::plan_file::{Target, TargetNode};

/// Returns the metrics of a target; what is not known says so with its reason, never left out.
///
/// `target` gives roles and uses of the nodes, `budget` is that of the target where it was made.
pub fn measured(
    status: &Status,
    target: Option<&Target>,
    budget: Option<&Budget>,
) -> Vec<Measured> {
    let mut all = Vec::new();
    for node in &status.nodes {
        of_server(status, target, node, &mut all);
        of_pooler(status, node, &mut all);
    }
    if let Some(budget) = budget {
        let reading = match (budget.percent, budget.percent_at_most) {
            (Some(low), Some(high)) if high > low => Reading::Between { low, high },
            (Some(low), None) => Reading::Between {
                low,
                high: f64::INFINITY,
            },
            (Some(part), _) => Reading::Value(part),
            (None, _) => unknown(Reason::NotConnected),
        };
        all.push(Measured {
            metric: "budget.declared_over_capacity",
            labels: labels(&[("target", &status.target)]),
            reading,
            basis: Arc::from(budget.capacity_basis.as_str()),
            resolution: None,
        });
    }
    all
}

fn unknown(reason: Reason) -> Reading {
    Reading::unknown(reason, reason.fix())
}

fn labels(list: &[(&str, &str)]) -> Arc<Labels> {
    let given = list.iter().filter(|(_, value)| !value.is_empty());
    Arc::new(
        given
            .map(|(key, value)| ((*key).to_owned(), Arc::from(*value)))
            .collect(),
    )
}

#[expect(clippy::cast_precision_loss, reason = "numbers of connections")]
fn count(value: Option<i64>, otherwise: Reason) -> Reading {
    value.map_or_else(|| unknown(otherwise), |value| Reading::Value(value as f64))
}

fn percent(value: Option<f64>, otherwise: Reason) -> Reading {
    value.map_or_else(|| unknown(otherwise), Reading::Value)
}

fn of_server(status: &Status, target: Option<&Target>, node: &Node, all: &mut Vec<Measured>) {
    // A pooler that was not reached is no server.
    let poolers = target.iter().flat_map(|target| &target.poolers);
    if node.pooler.is_some()
        || poolers
            .into_iter()
            .any(|one| one.name.as_deref() == Some(&node.name))
    {
        return;
    }
    let role = if node.name == "primary" {
        "primary"
    } else {
        "replica"
    };
    let declared = target
        .iter()
        .flat_map(|target| &target.replicas)
        .find(|one| one.name.as_deref() == Some(&node.name))
        .map(TargetNode::rule_labels)
        .unwrap_or_default();
    let declared = declared
        .iter()
        .map(|(key, text)| (key.as_str(), text.as_str()));
    let own = [
        ("target", status.target.as_str()),
        ("node", node.name.as_str()),
        ("role", role),
    ];
    let base: Vec<(&str, &str)> = declared.chain(own).collect();
    let mut push = |metric, more: &[(&str, &str)], reading, basis: String| {
        let list: Vec<(&str, &str)> = base.iter().chain(more).copied().collect();
        all.push(Measured {
            metric,
            labels: labels(&list),
            reading,
            basis: basis.into(),
            resolution: None,
        });
    };
    let Some(server) = &node.server else {
        let reason = node.unknown.unwrap_or(Reason::NotConnected);
        // The server refuses ordinary logins: that much is certain.
        let taken = match reason {
            Reason::Exhausted => Reading::Between {
                low: 100.0,
                high: f64::INFINITY,
            },
            other => unknown(other),
        };
        let why = node.message.clone().unwrap_or_default();
        push("conn.effective_used", &[], taken, why.clone());
        push("conn.used", &[], unknown(reason), why.clone());
        for metric in [
            "conn.idle_in_transaction_age",
            "conn.idle_age",
            // Which roles and databases have limits is not known either.
            "conn.role_used",
            "conn.database_used",
        ] {
            push(metric, &[], unknown(reason), why.clone());
        }
        return;
    };
    for wall in &server.capacity.walls {
        let (metric, label) = match wall.kind {
            WallKind::Server => ("conn.effective_used", None),
            WallKind::Role => ("conn.role_used", Some("db_role")),
            WallKind::Database => ("conn.database_used", Some("database")),
        };
        // A limit of 0 is closed, which is no part of anything.
        if wall.limit == 0 && wall.kind != WallKind::Server {
            continue;
        }
        let more: Vec<(&str, &str)> = label
            .map(|label| (label, wall.name.as_str()))
            .into_iter()
            .collect();
        let reading = percent(wall.percent, wall.unknown.unwrap_or(Reason::NoSample));
        let used = wall
            .used
            .map_or_else(|| "?".to_owned(), |used| used.to_string());
        push(metric, &more, reading, format!("{used} of {}", wall.limit));
    }
    let used = server.capacity.server().and_then(|wall| wall.used);
    push(
        "conn.used",
        &[],
        count(used, Reason::NoPrivilege),
        "client backends".to_owned(),
    );
    let age = match &server.sessions {
        None => unknown(Reason::NoPrivilege),
        // Nobody is idle in a transaction: the age of none is 0.
        Some(sessions) => Reading::Value(sessions.all.oldest_idle_in_transaction_s.unwrap_or(0.0)),
    };
    push(
        "conn.idle_in_transaction_age",
        &[],
        age,
        "since the last statement".to_owned(),
    );
    let age = match &server.sessions {
        None => unknown(Reason::NoPrivilege),
        Some(sessions) => Reading::Value(sessions.all.oldest_idle_s.unwrap_or(0.0)),
    };
    push(
        "conn.idle_age",
        &[],
        age,
        "since the last statement".to_owned(),
    );
}

fn of_pooler(status: &Status, node: &Node, all: &mut Vec<Measured>) {
    let Some(pooler) = &node.pooler else {
        return;
    };
    for pool in &pooler.pools {
        let labels = labels(&[
            ("target", &status.target),
            ("pooler", &node.name),
            ("database", &pool.database),
            ("db_role", &pool.user),
        ]);
        let cause = pool.waits.as_ref().map_or("", |why| why.cause.code());
        let mut push = |metric, reading, basis: String| {
            all.push(Measured {
                metric,
                labels: Arc::clone(&labels),
                reading,
                basis: basis.into(),
                resolution: None,
            });
        };
        push(
            "pool.maxwait",
            percent(pool.maxwait_s, Reason::UnsupportedVersion),
            cause.to_owned(),
        );
        push(
            "pool.waiting",
            count(pool.clients_waiting, Reason::UnsupportedVersion),
            cause.to_owned(),
        );
        // Without a limit there is no part.
        let reason = match pool.busy {
            Some(_) => Reason::NoLimit,
            None => Reason::UnsupportedVersion,
        };
        let bound = pool.bound.map_or("no limit", |bound| bound.setting());
        push("pool.used", percent(pool.percent, reason), bound.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::pool::status::{Asked, Seen, status};
    use crate::checks::pool::testing::{process, role, sample};

    fn of(seen: Seen) -> Vec<Measured> {
        let asked = Asked {
            name: "primary".to_owned(),
            place: String::new(),
            required: true,
            seen,
        };
        measured(&status("main", &[asked]), None, None)
    }

    fn reading(all: &[Measured], metric: &str) -> Reading {
        all.iter()
            .find(|one| one.metric == metric)
            .unwrap()
            .reading
            .clone()
    }

    #[test]
    fn walls_are_measured_by_their_labels() {
        let mut server = sample(13, 3, None);
        server.processes = vec![process(1, "client backend", "app", "shop", "idle")];
        server.roles = vec![role("app", 2), role("closed", 0)];
        let all = of(Seen::Server(Box::new(server)));
        assert_eq!(reading(&all, "conn.effective_used"), Reading::Value(10.0));
        assert_eq!(reading(&all, "conn.used"), Reading::Value(1.0));
        assert_eq!(
            reading(&all, "conn.idle_in_transaction_age"),
            Reading::Value(0.0)
        );
        let roles: Vec<_> = all
            .iter()
            .filter(|one| one.metric == "conn.role_used")
            .collect();
        assert_eq!(roles.len(), 1);
        assert_eq!(roles[0].reading, Reading::Value(50.0));
        assert_eq!(&*roles[0].labels["db_role"], "app");
        for one in &all {
            let metric = crate::plan_file::metric::metric(one.metric).unwrap();
            for label in one.labels.keys() {
                assert!(
                    metric.labels.contains(&label.as_str()),
                    "{} {label}",
                    one.metric
                );
            }
        }
    }

    #[test]
    fn what_is_not_seen_is_unknown_and_a_refusal_is_full() {
        let reason = |all: &[Measured], metric: &str| match reading(all, metric) {
            Reading::Unknown { reason, .. } => Some(reason),
            _ => None,
        };
        let mut blind = sample(13, 3, None);
        blind.sees_all = false;
        let all = of(Seen::Server(Box::new(blind)));
        for metric in [
            "conn.effective_used",
            "conn.used",
            "conn.idle_in_transaction_age",
        ] {
            assert_eq!(reason(&all, metric), Some(Reason::NoPrivilege), "{metric}");
        }
        let all = of(Seen::Exhausted("full".to_owned()));
        let full = reading(&all, "conn.effective_used");
        assert!(
            matches!(full, Reading::Between { low, .. } if low >= 100.0),
            "{full:?}"
        );
        assert_eq!(reason(&all, "conn.used"), Some(Reason::Exhausted));
        let all = of(Seen::NotConnected("gone".to_owned()));
        for metric in ["conn.role_used", "conn.database_used"] {
            assert_eq!(reason(&all, metric), Some(Reason::NotConnected), "{metric}");
        }
        assert_eq!(
            reason(&all, "conn.effective_used"),
            Some(Reason::NotConnected)
        );
    }
}
