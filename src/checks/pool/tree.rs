//! `pool sessions`: who is connected, the longest transactions, and who waits for whom.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::capacity::is_client;
use super::status::{Asked, NotKnown, Seen};
use crate::checks::reason::Reason;
use crate::sample::pool::model::{Process, ServerSample};
use crate::syntax::conceal::conceal;

/// Sessions of a target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sessions {
    /// The target's name.
    pub target: String,
    /// What is not known.
    pub not_known: Vec<NotKnown>,
    /// Every server asked.
    pub nodes: Vec<Node>,
}

/// Sessions of a server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    /// `primary` or a replica's name.
    pub name: String,
    /// `user@host:port/database`.
    pub place: String,
    /// Why it could not be asked.
    pub unknown: Option<Reason>,
    /// What it said instead.
    pub message: Option<String>,
    /// Sessions of clients, the longest transaction first; only those that the role may see.
    pub sessions: Vec<Session>,
    /// Who waits for whom: blockers that wait for nobody, and below each who waits for it.
    pub blockers: Vec<Branch>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Session {
    /// Its process.
    pub pid: i32,
    /// Its role.
    pub role: Option<String>,
    /// Its database.
    pub database: Option<String>,
    /// `application_name`.
    pub application: Option<String>,
    /// Address of the client; `null` by socket.
    pub client: Option<String>,
    /// `active`, `idle` …
    pub state: Option<String>,
    /// What it waits for, as `Lock/transactionid`.
    pub wait: Option<String>,
    /// Seconds since it connected.
    pub connected_s: Option<f64>,
    /// Seconds since its transaction began.
    pub transaction_s: Option<f64>,
    /// Seconds since its state changed.
    pub state_s: Option<f64>,
    /// Processes that hold a lock that it waits for; 0 is a prepared transaction.
    pub blocked_by: Vec<i32>,
    /// Its last statement, without literals and comments.
    pub statement: Option<String>,
}

/// A line of the tree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Branch {
    /// How deep it stands; 0: it waits for nobody.
    pub depth: usize,
    /// The process; 0 is a prepared transaction.
    pub pid: i32,
    /// Sessions that wait for it, directly or through others.
    pub waiting: usize,
    /// The session; `None`: it is gone, hidden, or none.
    pub session: Option<Session>,
    /// Whether it stands further up already, with those that wait for it.
    pub again: bool,
}

/// Makes the report of what came back from the nodes of a target; poolers have no sessions of servers.
pub fn sessions(target: &str, asked: &[Asked]) -> Sessions {
    let mut not_known = Vec::new();
    let mut nodes = Vec::new();
    for one in asked {
        let mut node = Node {
            name: one.name.clone(),
            place: one.place.clone(),
            unknown: None,
            message: None,
            sessions: Vec::new(),
            blockers: Vec::new(),
        };
        let reason = match &one.seen {
            Seen::Pooler(_) => continue,
            Seen::Server(sample) => {
                node.sessions = listed(sample);
                node.blockers = tree(sample);
                (!sample.sees_all).then_some(Reason::NoPrivilege)
            }
            Seen::Exhausted(message) | Seen::NotConnected(message) => {
                let exhausted = matches!(one.seen, Seen::Exhausted(_));
                node.message = Some(message.clone());
                node.unknown = Some(match exhausted {
                    true => Reason::Exhausted,
                    false => Reason::NotConnected,
                });
                node.unknown
            }
        };
        not_known.extend(reason.map(|reason| NotKnown {
            node: one.name.clone(),
            what: "sessions of other roles".to_owned(),
            reason,
            fix: reason.fix().to_owned(),
        }));
        nodes.push(node);
    }
    Sessions {
        target: target.to_owned(),
        not_known,
        nodes,
    }
}

fn listed(sample: &ServerSample) -> Vec<Session> {
    let mut list: Vec<Session> = sample
        .processes
        .iter()
        .filter(|one| is_client(one))
        .map(session)
        .collect();
    list.sort_by(|a, b| {
        // Outside of a transaction a session is younger than any in one.
        let age = |one: &Session| one.transaction_s.unwrap_or(-1.0);
        let idle = |one: &Session| one.state_s.unwrap_or(-1.0);
        age(b)
            .total_cmp(&age(a))
            .then_with(|| idle(b).total_cmp(&idle(a)))
            .then_with(|| a.pid.cmp(&b.pid))
    });
    list
}

fn session(process: &Process) -> Session {
    let wait = process.wait.as_ref();
    Session {
        pid: process.pid,
        role: process.role.clone(),
        database: process.database.clone(),
        application: process.application.clone(),
        client: process.client.clone(),
        state: process.state.clone(),
        wait: wait.map(|(kind, event)| format!("{kind}/{event}")),
        connected_s: process.connected_s,
        transaction_s: process.transaction_s,
        state_s: process.state_s,
        blocked_by: process.blocked_by.clone(),
        statement: process.query.as_deref().map(conceal),
    }
}

/// Returns who waits for whom: roots by how many wait for them, below each its waiters by pid.
///
/// Each process stands with its waiters once, where it is met first; a circle, which the server will break as a
/// deadlock, begins at its lowest pid.
pub fn tree(sample: &ServerSample) -> Vec<Branch> {
    let mut waiters: BTreeMap<i32, BTreeSet<i32>> = BTreeMap::new();
    let mut waiting = BTreeSet::new();
    for one in &sample.processes {
        for &blocker in &one.blocked_by {
            waiters.entry(blocker).or_default().insert(one.pid);
            waiting.insert(one.pid);
        }
    }
    let mut roots: Vec<(usize, i32)> = waiters
        .keys()
        .filter(|pid| !waiting.contains(pid))
        .map(|&pid| (behind(&waiters, pid).len(), pid))
        .collect();
    roots.sort_by_key(|&(count, pid)| (std::cmp::Reverse(count), pid));
    let mut walk = Walk {
        sample,
        waiters: &waiters,
        seen: BTreeSet::new(),
        lines: Vec::new(),
    };
    for (_, pid) in roots {
        walk.down(pid);
    }
    // What is left waits in circles.
    for &pid in waiters.keys() {
        if !walk.seen.contains(&pid) {
            walk.down(pid);
        }
    }
    walk.lines
}

struct Walk<'a> {
    sample: &'a ServerSample,
    waiters: &'a BTreeMap<i32, BTreeSet<i32>>,
    seen: BTreeSet<i32>,
    lines: Vec<Branch>,
}

impl Walk<'_> {
    fn down(&mut self, root: i32) {
        let mut open = vec![(0, root)];
        while let Some((depth, pid)) = open.pop() {
            let again = !self.seen.insert(pid);
            let process = self.sample.processes.iter().find(|one| one.pid == pid);
            self.lines.push(Branch {
                depth,
                pid,
                waiting: behind(self.waiters, pid).len(),
                session: process.map(session),
                again,
            });
            if !again {
                let below = self.waiters.get(&pid).into_iter().flatten();
                open.extend(below.rev().map(|&waiter| (depth + 1, waiter)));
            }
        }
    }
}

/// Returns who waits for a process, directly or through others.
fn behind(waiters: &BTreeMap<i32, BTreeSet<i32>>, pid: i32) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    let mut open = vec![pid];
    while let Some(one) = open.pop() {
        for &waiter in waiters.get(&one).into_iter().flatten() {
            if found.insert(waiter) {
                open.push(waiter);
            }
        }
    }
    found.remove(&pid);
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checks::pool::testing::{process, sample};

    fn with(edges: &[(i32, &[i32])]) -> ServerSample {
        let mut sample = sample(100, 3, None);
        for (pid, blocked_by) in edges {
            let mut one = process(*pid, "client backend", "app", "shop", "active");
            one.blocked_by = blocked_by.to_vec();
            sample.processes.push(one);
        }
        sample
    }

    fn lines(sample: &ServerSample) -> Vec<(usize, i32, bool)> {
        let tree = tree(sample);
        tree.iter()
            .map(|one| (one.depth, one.pid, one.again))
            .collect()
    }

    #[test]
    fn who_blocks_most_stands_first_and_waiters_below_it() {
        let sample = with(&[
            (1, &[]),
            (2, &[1]),
            (3, &[2]),
            (4, &[9]),
            (5, &[2, 4]),
            (6, &[]),
        ]);
        assert_eq!(
            lines(&sample),
            [
                (0, 1, false),
                (1, 2, false),
                (2, 3, false),
                (2, 5, false),
                (0, 9, false),
                (1, 4, false),
                (2, 5, true),
            ]
        );
        let tree = tree(&sample);
        assert_eq!(tree[0].waiting, 3);
        assert_eq!(tree[4].session, None);
    }

    #[test]
    fn a_circle_ends_and_a_prepared_transaction_blocks() {
        assert_eq!(
            lines(&with(&[(1, &[2]), (2, &[1]), (3, &[0])])),
            [
                (0, 0, false),
                (1, 3, false),
                (0, 1, false),
                (1, 2, false),
                (2, 1, true)
            ]
        );
    }

    #[test]
    fn the_longest_transaction_stands_first_and_literals_are_not_shown() {
        let mut sample = with(&[(1, &[]), (2, &[]), (3, &[])]);
        sample.processes[0].state_s = Some(900.0);
        sample.processes[1].transaction_s = Some(5.0);
        sample.processes[2].transaction_s = Some(50.0);
        sample.processes[2].query = Some("select 'Ann'".to_owned());
        let list = listed(&sample);
        let pids: Vec<i32> = list.iter().map(|one| one.pid).collect();
        assert_eq!(pids, [3, 2, 1]);
        assert_eq!(list[0].statement.as_deref(), Some("select ?"));
    }

    proptest! {
        #[test]
        fn every_waiter_and_blocker_stands_there_once(
            edges in proptest::collection::vec((1..12_i32, proptest::collection::vec(0..14_i32, 0..4)), 0..12)
        ) {
            let mut sample = sample(100, 3, None);
            let mut expected = BTreeSet::new();
            let mut pids = BTreeSet::new();
            for (pid, mut blocked_by) in edges {
                if !pids.insert(pid) { continue; }
                blocked_by.retain(|one| *one != pid);
                if !blocked_by.is_empty() {
                    expected.insert(pid);
                    expected.extend(&blocked_by);
                }
                let mut one = process(pid, "client backend", "app", "shop", "active");
                one.blocked_by = blocked_by;
                sample.processes.push(one);
            }
            let tree = tree(&sample);
            let first: Vec<i32> = tree.iter().filter(|one| !one.again).map(|one| one.pid).collect();
            let distinct: BTreeSet<i32> = first.iter().copied().collect();
            prop_assert_eq!(first.len(), distinct.len());
            prop_assert_eq!(distinct, expected);
        }
    }
}
