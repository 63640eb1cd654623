//! Sessions of clients by state, role, database and application, and those idle in a transaction.

use std::collections::BTreeMap;

use serde::Serialize;

use super::capacity::is_client;
use crate::sample::pool::model::{Process, ServerSample};

/// Sessions by state.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Counts {
    /// All of them.
    pub sessions: i64,
    /// In a statement.
    pub active: i64,
    /// Outside of a transaction.
    pub idle: i64,
    /// In a transaction without a statement, broken ones too.
    pub idle_in_transaction: i64,
    /// Anything else: starting, `fastpath function call`, `disabled`.
    pub other: i64,
    /// Seconds since the state of the longest idle in transaction changed.
    pub oldest_idle_in_transaction_s: Option<f64>,
    /// Seconds since the state of the longest idle outside of one changed.
    pub oldest_idle_s: Option<f64>,
}

/// Sessions that share something.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The role, database or application.
    pub name: String,
    /// Their states.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Sessions of clients, in groups.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sessions {
    /// All of them.
    pub all: Counts,
    /// By role, most first.
    pub by_role: Vec<Group>,
    /// By database, most first.
    pub by_database: Vec<Group>,
    /// By application, most first.
    pub by_application: Vec<Group>,
    /// Those idle in a transaction, the longest first.
    pub idle_in_transaction: Vec<Idle>,
    /// Processes that are no sessions of clients, by kind: they take no slot of them.
    pub others: BTreeMap<String, i64>,
}

/// A session that is idle in a transaction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Idle {
    /// Its process.
    pub pid: i32,
    /// Its role.
    pub role: String,
    /// Its database.
    pub database: String,
    /// `application_name`.
    pub application: String,
    /// Seconds since its last statement ended: how long it has been idle.
    pub idle_s: Option<f64>,
    /// Seconds since its transaction began.
    pub transaction_s: Option<f64>,
}

/// Groups the sessions of clients, dbops's own left out; only for a role that sees all of them.
pub fn sessions(sample: &ServerSample) -> Option<Sessions> {
    if !sample.sees_all {
        return None;
    }
    let clients: Vec<&Process> = sample
        .processes
        .iter()
        .filter(|one| is_client(one))
        .collect();
    let mut others = BTreeMap::new();
    for one in &sample.processes {
        if !one.own && !is_client(one) {
            let kind = one.kind.as_deref().unwrap_or("unknown").to_owned();
            *others.entry(kind).or_default() += 1;
        }
    }
    let mut all = Counts::default();
    for one in &clients {
        all.add(one);
    }
    let mut idle: Vec<Idle> = clients
        .iter()
        .filter(|one| is_idle_in_transaction(one))
        .map(|one| Idle {
            pid: one.pid,
            role: one.role.clone().unwrap_or_default(),
            database: one.database.clone().unwrap_or_default(),
            application: one.application.clone().unwrap_or_default(),
            idle_s: one.state_s,
            transaction_s: one.transaction_s,
        })
        .collect();
    idle.sort_by(|a, b| {
        let age = |one: &Idle| one.idle_s.unwrap_or_default();
        age(b).total_cmp(&age(a)).then(a.pid.cmp(&b.pid))
    });
    Some(Sessions {
        all,
        by_role: group(&clients, |one| one.role.as_deref()),
        by_database: group(&clients, |one| one.database.as_deref()),
        by_application: group(&clients, |one| one.application.as_deref()),
        idle_in_transaction: idle,
        others,
    })
}

/// Whether a session is in a transaction without a statement, a broken one too.
pub fn is_idle_in_transaction(one: &Process) -> bool {
    let state = one.state.as_deref();
    state.is_some_and(|state| state.starts_with("idle in transaction"))
}

impl Counts {
    fn add(&mut self, one: &Process) {
        self.sessions += 1;
        match one.state.as_deref() {
            Some("active") => self.active += 1,
            Some("idle") => {
                self.idle += 1;
                if let Some(age) = one.state_s {
                    let oldest = self.oldest_idle_s.get_or_insert(age);
                    *oldest = oldest.max(age);
                }
            }
            _ if is_idle_in_transaction(one) => {
                self.idle_in_transaction += 1;
                if let Some(age) = one.state_s {
                    let oldest = self.oldest_idle_in_transaction_s.get_or_insert(age);
                    *oldest = oldest.max(age);
                }
            }
            _ => self.other += 1,
        }
    }
}

fn group(clients: &[&Process], key: impl Fn(&Process) -> Option<&str>) -> Vec<Group> {
    let mut groups: BTreeMap<&str, Counts> = BTreeMap::new();
    for one in clients {
        groups
            .entry(key(one).unwrap_or_default())
            .or_default()
            .add(one);
    }
    let mut list: Vec<Group> = groups
        .into_iter()
        .map(|(name, counts)| Group {
            name: name.to_owned(),
            counts,
        })
        .collect();
    list.sort_by_key(|group| std::cmp::Reverse(group.counts.sessions));
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::pool::testing::{process, sample};

    #[test]
    fn a_long_transaction_that_just_became_idle_is_young() {
        let mut sample = sample(100, 3, None);
        let mut long = process(1, "client backend", "app", "shop", "idle in transaction");
        long.transaction_s = Some(600.0);
        long.state_s = Some(2.0);
        let mut broken = process(
            2,
            "client backend",
            "app",
            "shop",
            "idle in transaction (aborted)",
        );
        broken.state_s = Some(30.0);
        sample.processes = vec![
            long,
            broken,
            process(3, "client backend", "job", "shop", "active"),
            process(4, "client backend", "job", "shop", "starting"),
            process(5, "checkpointer", "", "", ""),
        ];
        let sessions = sessions(&sample).unwrap();
        assert_eq!(sessions.all.sessions, 4);
        assert_eq!(sessions.all.idle_in_transaction, 2);
        assert_eq!(sessions.all.other, 1);
        assert_eq!(sessions.all.oldest_idle_in_transaction_s, Some(30.0));
        let pids: Vec<i32> = sessions
            .idle_in_transaction
            .iter()
            .map(|one| one.pid)
            .collect();
        assert_eq!(pids, [2, 1]);
        assert_eq!(sessions.idle_in_transaction[1].transaction_s, Some(600.0));
        assert_eq!(sessions.others["checkpointer"], 1);
        sample.sees_all = false;
        assert_eq!(super::sessions(&sample), None);
    }
}
