//! What is wrong in a tree: one finding each, with a code for programs and what to do.

use std::collections::BTreeMap;

use serde::Serialize;

use super::slots::{SlotState, SlotView};
use super::state::State;
use super::tree::Node;
use crate::checks::judge::Severity;
use crate::checks::known::Known;
use crate::checks::reason::Reason;
use crate::ident::{quote_if_needed, quote_literal};
use crate::sample::replication::model::{Facts, Followed, Sample, Silence};

/// Something wrong, or that cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The word for programs.
    pub code: &'static str,
    /// The node.
    pub node: String,
    /// What is wrong, with its figures.
    pub text: String,
    /// What to do.
    pub fix: String,
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        node: &str,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.0.push(Finding {
            severity,
            code,
            node: node.to_owned(),
            text: text.into(),
            fix: fix.into(),
        });
    }
}

const CRITICAL: Severity = Severity::Critical;
const WARNING: Severity = Severity::Warning;

/// Returns everything that is wrong, worst first, then by node.
pub(super) fn findings(sample: &Sample, nodes: &[Node]) -> Vec<Finding> {
    let mut all = Findings(Vec::new());
    several_writers(sample, &mut all);
    let by_name: BTreeMap<&str, &Facts> = (sample.nodes.iter())
        .filter_map(|node| Some((node.declared.name.as_str(), node.facts.as_ref().ok()?)))
        .collect();
    let mut writers = nodes
        .iter()
        .filter(|node| node.state == Known::Value(State::Primary));
    // Of several writers none is the one that the others ought to follow.
    let top = writers.next().filter(|_| writers.next().is_none());
    for node in nodes {
        let facts = by_name.get(node.name.as_str()).copied();
        reached(node, facts, &mut all);
        state(node, sample, &mut all);
        if let (Some(top), Some(facts)) = (top, facts) {
            timeline(node, facts, top, &by_name, &mut all);
        }
        if let Some(facts) = facts.filter(|facts| !facts.position.in_recovery) {
            synchronous(node, facts, &mut all);
        }
        for slot in node.slots.value().into_iter().flatten() {
            about_slot(node, slot, &mut all);
        }
        for one in node.subscriptions.value().into_iter().flatten() {
            let name = &one.name;
            let errors = one.apply_errors.value().map_or_else(
                || "its server does not count errors before 15".to_owned(),
                |errors| format!("it failed {errors} times"),
            );
            match one.state {
                "apply_failing" | "not_applying" => all.add(
                    CRITICAL,
                    "apply_failing",
                    &node.name,
                    format!("subscription {name} in database {} is enabled and no process applies it; {errors}", one.database),
                    skip_advice(facts),
                ),
                "disabled" => all.add(
                    WARNING,
                    "subscription_disabled",
                    &node.name,
                    format!("subscription {name} in database {} is disabled", one.database),
                    format!("alter subscription {} enable;", quote_if_needed(name)),
                ),
                _ => {}
            }
        }
    }
    all.0.sort_by(|a, b| {
        b.severity
            .cmp(&a.severity)
            .then_with(|| (a.code != "split_brain").cmp(&(b.code != "split_brain")))
            .then_with(|| (&a.node, a.code, &a.text).cmp(&(&b.node, b.code, &b.text)))
    });
    all.0
}

/// `alter subscription ... skip` is there from 15.
fn skip_advice(facts: Option<&Facts>) -> &'static str {
    if facts.is_some_and(|facts| facts.node.version_num >= 150_000) {
        "look for the error in the server log; remove the row in conflict, or skip the transaction with alter subscription ... skip"
    } else {
        "look for the error in the server log; remove the row in conflict, or pass the transaction over with pg_replication_origin_advance"
    }
}

/// A node whose history is not that of the one primary.
fn timeline(
    node: &Node,
    facts: &Facts,
    top: &Node,
    by_name: &BTreeMap<&str, &Facts>,
    all: &mut Findings,
) {
    let (Known::Value(own), Known::Value(newest)) = (node.timeline, top.timeline) else {
        return;
    };
    // Timelines of different clusters have nothing to do with each other.
    let same = (by_name.get(top.name.as_str()))
        .is_some_and(|top| top.node.system_identifier == facts.node.system_identifier);
    if own == newest || !same {
        return;
    }
    let fix = if own < newest {
        "rewind it with pg_rewind, or make it anew from the primary"
    } else {
        "find the server that was promoted to this timeline: it is newer than this primary, which may have to be stopped"
    };
    all.add(
        CRITICAL,
        "timeline_differs",
        &node.name,
        format!("it is on timeline {own}, the primary on {newest}"),
        fix,
    );
}

/// Two nodes of one cluster that both take writes, or nodes of different clusters.
fn several_writers(sample: &Sample, all: &mut Findings) {
    let mut clusters: BTreeMap<&str, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
    for node in &sample.nodes {
        if let Ok(facts) = &node.facts {
            let entry = clusters.entry(&facts.node.system_identifier).or_default();
            entry.0.push(&node.declared.name);
            if !facts.position.in_recovery {
                entry.1.push(&node.declared.name);
            }
        }
    }
    for (_, writers) in clusters.values() {
        if let [first, _, ..] = writers.as_slice() {
            all.add(
                CRITICAL,
                "split_brain",
                first,
                format!(
                    "{} are all primaries of one cluster: both take writes",
                    writers.join(" and ")
                ),
                "stop writes to all but one of them at once; then rewind the others with pg_rewind",
            );
        }
    }
    if clusters.len() > 1 {
        let apart: Vec<String> = (clusters.values())
            .map(|(names, _)| names.join(", "))
            .collect();
        all.add(
            CRITICAL,
            "different_clusters",
            apart.first().map_or("", String::as_str),
            format!("these are different clusters: {}", apart.join("; ")),
            "correct the addresses of the target's nodes",
        );
    }
}

fn reached(node: &Node, facts: Option<&Facts>, all: &mut Findings) {
    if let Some(Silence { message, .. }) = &node.silence {
        let (code, fix) = match node.version {
            Known::Unknown(reason) => (reason.code(), reason.fix()),
            Known::Value(_) => return,
        };
        let severity = if node.required || code == Reason::Exhausted.code() {
            CRITICAL
        } else {
            WARNING
        };
        all.add(severity, code, &node.name, message.as_str(), fix);
    }
    if let Some(facts) = facts.filter(|facts| !facts.node.reads_all_stats) {
        all.add(
            WARNING,
            Reason::NoPrivilege.code(),
            &node.name,
            format!(
                "role {} may not see the state of replication",
                facts.node.role
            ),
            format!("grant pg_monitor to {};", quote_if_needed(&facts.node.role)),
        );
    }
}

fn state(node: &Node, sample: &Sample, all: &mut Findings) {
    if node.role != "replica" {
        return;
    }
    let behind = behind(node, sample);
    let worst = if node.declared && !node.required {
        WARNING
    } else {
        CRITICAL
    };
    match node.state {
        Known::Value(State::NotStreaming) => all.add(
            worst,
            "not_streaming",
            &node.name,
            format!("it receives nothing from its upstream; {behind}"),
            "look at its log for why it cannot connect: primary_conninfo, pg_hba.conf of the upstream, a lost slot",
        ),
        Known::Value(State::Frozen) => {
            let probed = sample.probe.is_some();
            all.add(
                if probed { worst } else { WARNING },
                "frozen",
                &node.name,
                format!("it is listed as streaming and does not confirm what it is sent; {behind}"),
                "look at the machine: the server or its receiver has stopped, or the network drops what is sent",
            );
        }
        Known::Value(State::Silent) => all.add(
            worst,
            "silent",
            &node.name,
            format!(
                "it has heard nothing of its upstream for {:.0} s; {behind}",
                node.message_age_s.value().copied().unwrap_or_default()
            ),
            "look at the network between the two; set wal_receiver_timeout so that it connects anew",
        ),
        Known::Unknown(Reason::StaleSample) => all.add(
            WARNING,
            Reason::StaleSample.code(),
            &node.name,
            format!(
                "WAL was sent and its last reply is {:.0} s old by its own clock, which is not known: it has stopped, or that clock is behind; {behind}",
                node.reply_age_s.value().copied().unwrap_or_default()
            ),
            Reason::StaleSample.fix(),
        ),
        _ => {}
    }
    let paused = node
        .pause
        .value()
        .is_some_and(|pause| pause != "not paused");
    if paused {
        let waits = node.gaps.replay.value().is_some_and(|gap| gap.low > 0);
        all.add(
            if waits { worst } else { WARNING },
            "replay_paused",
            &node.name,
            format!("replay is paused; {behind}"),
            "select pg_wal_replay_resume();  -- on the replica",
        );
    }
    let late = (sample.probe.as_ref())
        .and_then(|probe| probe.replayed.get(&node.name))
        .and_then(|followed| match followed {
            Followed::NotSeen { after_s } => Some(*after_s),
            _ => None,
        });
    let receives = matches!(
        node.state,
        Known::Value(State::Streaming | State::Catchup | State::Archive)
    );
    if let Some(after_s) = late.filter(|_| receives && !paused) {
        all.add(
            worst,
            "not_replaying",
            &node.name,
            format!("a commit was not visible after {after_s:.1} s; {behind}"),
            "look for a long query that replay waits for (max_standby_streaming_delay), or for load on the replica",
        );
    }
}

fn behind(node: &Node, sample: &Sample) -> String {
    match node.gaps.replay {
        // Nobody knows how far the primary is.
        Known::Value(gap) if sample.cut.is_none() && gap.low > 0 => {
            format!("at least {} bytes are not replayed", gap.low)
        }
        Known::Value(gap) if sample.cut.is_some() && gap.low == gap.high => {
            format!("{} bytes are not replayed", gap.low)
        }
        Known::Value(gap) if sample.cut.is_some() => {
            format!("{} to {} bytes are not replayed", gap.low, gap.high)
        }
        _ => "how far it is behind is not known".to_owned(),
    }
}

fn synchronous(node: &Node, facts: &Facts, all: &mut Findings) {
    let Some(Some(wanted)) = node.synchronous.value() else {
        return;
    };
    // Without the right to see them no row has a state, which must not look like missing replicas.
    if !facts.node.reads_all_stats {
        return;
    }
    let there = (facts.senders.iter())
        .filter(|sender| {
            sender.state.as_deref() == Some("streaming")
                && matches!(sender.sync_state.as_deref(), Some("sync" | "quorum"))
        })
        .count();
    if there < wanted.count {
        let waiting = match (facts.node.sync_waiting, facts.node.sync_waiting_s) {
            (0, _) => "no commit waits yet".to_owned(),
            (count, Some(seconds)) => format!("{count} commits wait, the first for {seconds:.0} s"),
            (count, None) => format!("{count} commits wait"),
        };
        all.add(
            CRITICAL,
            "sync_unsatisfied",
            &node.name,
            format!(
                "commits wait for {} of {}; {there} streaming; {waiting}",
                wanted.count,
                wanted.names.join(", ")
            ),
            "bring the synchronous replica back, or take its name out of synchronous_standby_names and reload",
        );
    }
}

fn about_slot(node: &Node, slot: &SlotView, all: &mut Findings) {
    let name = &slot.name;
    let kept = slot.retained_bytes.value().map_or_else(
        || "what it keeps is not known".to_owned(),
        |bytes| format!("it keeps {bytes} bytes"),
    );
    let safe = slot.safe_bytes.value().map_or_else(String::new, |safe| {
        format!("; {safe} bytes until it may be lost")
    });
    match slot.state {
        SlotState::Ok => {}
        SlotState::Lost => all.add(
            CRITICAL,
            "slot_lost",
            &node.name,
            format!(
                "slot {name} is lost ({}); whoever used it must be made anew",
                slot.cause.as_deref().unwrap_or("cause not known")
            ),
            format!("select pg_drop_replication_slot({});", quote_literal(name)),
        ),
        SlotState::Unreserved => all.add(
            CRITICAL,
            "slot_unreserved",
            &node.name,
            format!("slot {name} is past max_slot_wal_keep_size: the next checkpoint may end it; {kept}"),
            "let its receiver catch up now, or raise max_slot_wal_keep_size and reload",
        ),
        SlotState::Low => all.add(
            WARNING,
            "slot_low",
            &node.name,
            format!("slot {name} will soon be past max_slot_wal_keep_size; {kept}{safe}"),
            "let its receiver catch up, or raise max_slot_wal_keep_size and reload",
        ),
        SlotState::Inactive => all.add(
            WARNING,
            "slot_inactive",
            &node.name,
            format!("slot {name} is not in use; {kept}{safe}"),
            format!(
                "start its receiver, or if it is not wanted any more: select pg_drop_replication_slot({});",
                quote_literal(name)
            ),
        ),
    }
}
