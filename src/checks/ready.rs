//! Which nodes may be given requests: from verdicts, with hysteresis, and never all of a group out at once.
//!
//! Pure: one verdict after the other in, the state of every node out.

use std::collections::{BTreeMap, BTreeSet};

use super::judge::Reading;
use super::verdict::{Finding, Status, Verdict};

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
}

impl Gates {
    /// Takes the next verdict; returns the state of every node that it names.
    ///
    /// A broken rule (critical and not muted) of a node says "out". What is not known says nothing: the node stays as
    /// it is; it starts out. A node that cannot be connected to is out at once: there is nothing to wait for.
    pub fn next(&mut self, verdict: &Verdict, turns: Turns) -> BTreeMap<Key, Ready> {
        let said = said(&verdict.findings);
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
        keep(&mut all, turns.keep);
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

fn said(findings: &[Finding]) -> BTreeMap<Key, Said> {
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
        said.role = role;
        // Whatever the rule makes of it (it may be accepted, be a warning only, or wait for its time): what is down
        // cannot be given requests.
        let up = Reading::State("up".into());
        if one.metric.name == "node.up" && one.reading != up && one.status != Status::Unknown {
            said.down = true;
            said.broken.insert(one.rule.clone());
            continue;
        }
        match one.status {
            Status::Critical if one.mute.is_none() => {
                said.broken.insert(one.rule.clone());
            }
            Status::Warning if one.mute.is_none() => {
                said.warned.insert(one.rule.clone());
            }
            Status::Unknown | Status::Skipped if one.mute.is_none() => said.unsure = true,
            _ => {}
        }
    }
    all
}

/// Keeps the best replicas of each target that can be connected to, where too few would be left.
fn keep(all: &mut BTreeMap<Key, (Ready, bool)>, least: usize) {
    let targets: BTreeSet<String> = all.keys().map(|(target, _)| target.clone()).collect();
    for target in targets {
        let mut replicas: Vec<&mut (Ready, bool)> = all
            .iter_mut()
            .filter(|((of, _), (ready, _))| *of == target && ready.role == "replica")
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
