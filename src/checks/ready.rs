//! Which nodes may be given requests: from verdicts, with hysteresis, and never all of a group out at once.
//!
//! Pure: one verdict after the other in, the state of every node out.

use std::collections::{BTreeMap, BTreeSet};

use super::judge::Reading;
use super::reason::Reason;
use super::verdict::{Finding, Status, Verdict};
use crate::plan_file::ReadyGroup;

/// When a node changes sides, and how many replicas stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turns {
    /// Verdicts in a row that say "out" before a node is out; from 1.
    pub down_after: u32,
    /// Verdicts in a row that say "ready" before it is back; from 1.
    pub up_after: u32,
    /// Replicas of a target that stay ready as long as they can be connected to, however bad they are.
    pub keep: usize,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            down_after: 2,
            up_after: 2,
            keep: 1,
        }
    }
}

/// A node: its target and its name.
pub type Key = (String, String);

/// The nodes of a group and what is known of them.
pub type Nodes = BTreeMap<Key, Ready>;

/// Whether a node may be given requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Whether it may.
    pub ready: bool,
    /// Whether it is only because too few of its group would be left.
    pub kept: bool,
    /// Rules that say no now, in order.
    pub broken: Vec<String>,
    /// `primary` or `replica`.
    pub role: String,
}

/// What is remembered of the nodes between verdicts.
#[derive(Debug, Clone, Default)]
pub struct Gates {
    nodes: BTreeMap<Key, Gate>,
}

/// What is remembered of the nodes of every group.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    all: BTreeMap<String, Gates>,
}

impl Groups {
    /// Takes the next verdict; returns the nodes of every group of the plan files.
    ///
    /// `turns` are those of groups that have none of their own. A group keeps what its `never_empty` says, else none.
    pub fn next(
        &mut self,
        verdict: &Verdict,
        groups: &BTreeMap<String, ReadyGroup>,
        turns: Turns,
    ) -> BTreeMap<String, Nodes> {
        let next = |(name, group): (&String, &ReadyGroup)| {
            let kept = group.never_empty.as_ref();
            let turns = Turns {
                down_after: group.down_after.unwrap_or(turns.down_after),
                up_after: group.up_after.unwrap_or(turns.up_after),
                keep: kept.map_or(0, |kept| usize::try_from(kept.keep).unwrap_or(usize::MAX)),
            };
            let gates = self.all.entry(name.clone()).or_default();
            (name.clone(), gates.next_of(verdict, Some(group), turns))
        };
        groups.iter().map(next).collect()
    }
}

/// Whether each target that has nodes in a group has one that may be given requests; false for a group without nodes.
pub fn is_served(nodes: &Nodes) -> bool {
    let targets: BTreeSet<&str> = nodes.keys().map(|(target, _)| target.as_str()).collect();
    let served: BTreeSet<&str> = (nodes.iter())
        .filter(|(_, ready)| ready.ready)
        .map(|((target, _), _)| target.as_str())
        .collect();
    !nodes.is_empty() && targets == served
}

#[derive(Debug, Clone)]
struct Gate {
    ready: bool,
    /// Verdicts in a row that say the opposite.
    against: u32,
    /// Rules that were broken since it was ready: it is not back while one of them still warns.
    by: BTreeSet<String>,
}

/// What one verdict says of one node.
#[derive(Debug, Default)]
struct Said {
    role: String,
    broken: BTreeSet<String>,
    warned: BTreeSet<String>,
    down: bool,
    unsure: bool,
    /// Whether a rule of the group looks at it.
    looked_at: bool,
    /// Whether it has the role or the use of the group.
    fits: bool,
}

impl Gates {
    /// Takes the next verdict; returns the state of every node that it names.
    ///
    /// A broken rule (critical and not muted) of a node says "out". What is not known says nothing: the node stays as
    /// it is; it starts out. A node that cannot be connected to is out at once: there is nothing to wait for.
    pub fn next(&mut self, verdict: &Verdict, turns: Turns) -> Nodes {
        self.next_of(verdict, None, turns)
    }

    fn next_of(&mut self, verdict: &Verdict, group: Option<&ReadyGroup>, turns: Turns) -> Nodes {
        let mut said = said(&verdict.findings, group);
        // A node stays in its group while it is there, even if its rules said nothing of it this time.
        said.retain(|key, one| one.fits && (one.looked_at || self.nodes.contains_key(key)));
        for one in said.values_mut() {
            one.unsure |= !one.looked_at;
        }
        self.nodes.retain(|key, _| said.contains_key(key));
        let mut all = BTreeMap::new();
        for (key, one) in said {
            let first = !self.nodes.contains_key(&key);
            let good = one.broken.is_empty();
            let gate = self.nodes.entry(key.clone()).or_insert(Gate {
                ready: good && !one.unsure,
                against: 0,
                by: BTreeSet::new(),
            });
            gate.by.extend(one.broken.iter().cloned());
            // `clear` and what lies between the thresholds keep a rule at a warning: that is what stops a node from
            // flapping.
            let wanted = good && (gate.ready || gate.by.is_disjoint(&one.warned));
            if one.down {
                gate.ready = false;
                gate.against = 0;
            } else if !first && (!wanted || !one.unsure) {
                gate.turn(wanted, turns);
            }
            let ready = Ready {
                ready: gate.ready,
                kept: false,
                broken: one.broken.into_iter().collect(),
                role: one.role,
            };
            all.insert(key, (ready, one.down));
        }
        keep(&mut all, turns.keep, group.is_some());
        all.into_iter()
            .map(|(key, (ready, _))| (key, ready))
            .collect()
    }
}

impl Gate {
    fn turn(&mut self, wanted: bool, turns: Turns) {
        if wanted == self.ready {
            self.against = 0;
            if wanted {
                self.by.clear();
            }
            return;
        }
        self.against += 1;
        let needed = if wanted {
            turns.up_after
        } else {
            turns.down_after
        };
        if self.against >= needed {
            self.ready = wanted;
            self.against = 0;
            if wanted {
                self.by.clear();
            }
        }
    }
}

fn said(findings: &[Finding], group: Option<&ReadyGroup>) -> BTreeMap<Key, Said> {
    let mut all: BTreeMap<Key, Said> = BTreeMap::new();
    for one in findings {
        let label = |name: &str| one.labels.get(name).map(|value| value.to_string());
        let (Some(target), Some(node)) = (label("target"), label("node")) else {
            continue;
        };
        let Some(role) = label("role").filter(|role| role != "pooler") else {
            continue;
        };
        let said = all.entry((target, node)).or_default();
        said.fits |= fits(group, &role, label("use").as_deref());
        let is_asked = group.is_none_or(|group| group.all.contains(&one.rule));
        // What a primary would show of itself as a replica is told of it while it is down.
        said.looked_at |=
            is_asked && !(role == "primary" && one.metric.name.starts_with("replica."));
        let connected = one.metric.name == "node.up";
        // What is declared, not what a node turns out to be.
        if connected || said.role.is_empty() {
            said.role = role;
        }
        // Whatever the rule makes of it (it may be accepted, be a warning only, or wait for its time): what is down
        // cannot be given requests, of whatever group.
        let is = |state: &'static str| one.reading == Reading::State(state.into());
        if connected && !is("up") && one.status != Status::Unknown {
            // One that is late may be busy: it has its turns, and is better than none.
            said.down |= !is("late");
            said.broken.insert(one.rule.clone());
            continue;
        }
        if !is_asked {
            said.unsure |= connected && one.status == Status::Unknown && one.mute.is_none();
            continue;
        }
        match one.status {
            Status::Critical if one.mute.is_none() => {
                said.broken.insert(one.rule.clone());
            }
            Status::Warning if one.mute.is_none() => {
                said.warned.insert(one.rule.clone());
            }
            Status::Unknown | Status::Skipped if one.mute.is_none() => said.unsure |= is_open(one),
            _ => {}
        }
    }
    if let Some(group) = group {
        of_targets(&mut all, findings, group);
    }
    all
}

/// Whether something that is not known says that a node may be in a bad way: not where it cannot be told from here at all,
/// nor of what takes several looks to be told.
fn is_open(one: &Finding) -> bool {
    let never = [
        Reason::NotLocal,
        Reason::NotApplicable,
        Reason::NoLimit,
        Reason::UnsupportedVersion,
    ];
    let doubt = one.doubt.as_ref().map(|doubt| doubt.reason);
    one.metric.over().is_none() && !doubt.is_some_and(|reason| never.contains(&reason))
}

/// Takes what rules of a group say of targets as a whole: it counts for each of their nodes.
fn of_targets(all: &mut BTreeMap<Key, Said>, findings: &[Finding], group: &ReadyGroup) {
    let asked = findings.iter().filter(|one| {
        group.all.contains(&one.rule)
            && !one.labels.contains_key("node")
            && !one.metric.is_of_nodes()
    });
    for one in asked {
        let target = one.labels.get("target");
        let nodes = all.iter_mut();
        for (_, said) in nodes.filter(|((of, _), _)| target.is_some_and(|name| **name == **of)) {
            said.looked_at = true;
            if one.mute.is_some() {
                continue;
            }
            match one.status {
                Status::Critical => drop(said.broken.insert(one.rule.clone())),
                Status::Warning => drop(said.warned.insert(one.rule.clone())),
                Status::Unknown | Status::Skipped => said.unsure |= is_open(one),
                Status::Pending | Status::Ok => {}
            }
        }
    }
}

/// Whether a node of a role and a use can be in a group.
fn fits(group: Option<&ReadyGroup>, role: &str, usage: Option<&str>) -> bool {
    let kept = group.and_then(|group| group.never_empty.as_ref());
    kept.is_none_or(|kept| kept.group == role || Some(kept.group.as_str()) == usage)
}

/// Keeps the best nodes of each target that can be connected to, where too few would be left: replicas, or all of a group.
fn keep(all: &mut BTreeMap<Key, (Ready, bool)>, least: usize, of_group: bool) {
    let targets: BTreeSet<String> = all.keys().map(|(target, _)| target.clone()).collect();
    for target in targets {
        let mut replicas: Vec<&mut (Ready, bool)> = all
            .iter_mut()
            .filter(|((of, _), (ready, _))| *of == target && (of_group || ready.role == "replica"))
            .map(|(_, one)| one)
            .collect();
        let there = replicas.iter().filter(|(ready, _)| ready.ready).count();
        replicas.retain(|(ready, down)| !ready.ready && !down);
        // The sort is stable: among equals the first by name, so that it does not change from verdict to verdict.
        replicas.sort_by_key(|(ready, _)| ready.broken.len());
        for (ready, _) in replicas.into_iter().take(least.saturating_sub(there)) {
            ready.ready = true;
            ready.kept = true;
        }
    }
}

#[cfg(test)]
#[path = "ready_tests.rs"]
mod tests;
