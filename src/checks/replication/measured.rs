//! A tree as figures that rules can be held against.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tree::{Node, Tree};
use crate::checks::judge::{Labels, Measured, Reading};
use crate::checks::known::Known;
use crate::checks::reason::Reason;
use crate::sample::replication::rate::{Since, WalRate};

/// Returns the figures of a tree: `replica.visible_lag` (seconds), `replica.byte_lag`, `replica.state` (a word),
/// `slot.retained_bytes`, `slot.time_to_loss` (seconds; none where slots are not limited), `slot.wal_status` (a word).
pub fn measured(target: &str, tree: &Tree) -> Vec<Measured> {
    let mut all = Vec::new();
    for node in &tree.nodes {
        of_node(target, node, tree.compared_with.is_some(), &mut all);
    }
    all
}

fn of_node(target: &str, node: &Node, stand_in: bool, all: &mut Vec<Measured>) {
    let labels = |more: &[(&str, &str)]| -> Arc<Labels> {
        let mut labels: BTreeMap<String, Arc<str>> = (node.labels.iter())
            .map(|(key, value)| (key.clone(), Arc::from(value.as_str())))
            .collect();
        for (key, value) in [
            ("target", target),
            ("node", &node.name),
            ("role", node.role),
        ]
        .iter()
        .chain(more)
        {
            labels.insert((*key).to_owned(), Arc::from(*value));
        }
        Arc::new(labels)
    };
    let mut add = |metric, labels: &Arc<Labels>, reading, basis: &str, resolution| {
        all.push(Measured {
            metric,
            labels: Arc::clone(labels),
            reading,
            basis: basis.into(),
            resolution,
        });
    };
    if node.role == "replica" {
        let own = labels(&[]);
        let lag = node.lag.value();
        add(
            "replica.visible_lag",
            &own,
            between(
                node.lag
                    .map(|lag| (lag.low_s, lag.high_s.unwrap_or(f64::INFINITY))),
            ),
            &basis(node),
            lag.map(|lag| lag.resolution_s),
        );
        // What a replica has heard of is no more than what is missing at least.
        let gap = if stand_in {
            Known::Unknown(Reason::NotConnected)
        } else {
            node.gaps.replay
        };
        let resolution = gap.value().map(|gap| (gap.high - gap.low) as f64);
        let gap = gap.map(|gap| (gap.low as f64, gap.high as f64));
        add(
            "replica.byte_lag",
            &own,
            between(gap),
            "positions",
            resolution,
        );
        // It streams all the same, and shows nothing new: to a rule that is a state of its own.
        let paused = match &node.pause {
            Known::Value(word) if word != "not paused" => Some(Known::Value("paused".to_owned())),
            _ => None,
        };
        let state = node.state.map(|state| state.as_str().to_owned());
        let state = match state {
            Known::Value(word) if word == "streaming" => paused.unwrap_or(Known::Value(word)),
            other => other,
        };
        add("replica.state", &own, word(state), "", None);
    }
    for slot in node.slots.value().into_iter().flatten() {
        let labels = labels(&[("slot", &slot.name), ("kind", &slot.kind)]);
        let kept = slot.retained_bytes.map(|bytes| bytes as f64);
        add(
            "slot.retained_bytes",
            &labels,
            value(kept),
            "positions",
            None,
        );
        if slot.limited {
            let basis = slot.wal_rate.map(pace).unwrap_or_default();
            let left = match slot.wal_rate {
                // Where nothing is written nothing is lost.
                Some(rate) if rate.bytes == 0 && slot.safe_bytes.value().is_some() => {
                    Reading::Value(f64::INFINITY)
                }
                _ => value(slot.time_to_loss_s),
            };
            add("slot.time_to_loss", &labels, left, &basis, None);
        }
        let unused = if slot.active {
            Known::Value(0.0)
        } else {
            slot.inactive_s
        };
        let basis = if slot.active {
            "in use"
        } else {
            "inactive_since"
        };
        add("slot.inactive_age", &labels, value(unused), basis, None);
        add(
            "slot.wal_status",
            &labels,
            word(slot.wal_status.clone()),
            "",
            None,
        );
    }
}

/// What the lag rests on, and why that is not the commit that the others were measured by.
fn basis(node: &Node) -> String {
    let basis = node.lag.value().map_or("", |lag| lag.basis.as_str());
    match (&node.not_waited_for, basis) {
        (None, _) | (_, "") => basis.to_owned(),
        (Some(why), _) => format!("{basis}; no commit was waited for: {why}"),
    }
}

fn value(known: Known<f64>) -> Reading {
    between(known.map(|value| (value, value)))
}

fn word(known: Known<String>) -> Reading {
    match known {
        Known::Value(word) => Reading::State(word.into()),
        Known::Unknown(reason) => Reading::unknown(reason, reason.fix()),
    }
}

fn between(known: Known<(f64, f64)>) -> Reading {
    match known {
        Known::Value((low, high)) if low < high => Reading::Between { low, high },
        Known::Value((low, _)) => Reading::Value(low),
        Known::Unknown(reason) => Reading::unknown(reason, reason.fix()),
    }
}
/// How fast WAL is written, and over which stretch that was seen.
fn pace(rate: WalRate) -> String {
    let since = match rate.since {
        Since::Checkpoint => " since the last checkpoint began",
        Since::Start => " since the server was started",
        Since::Look => "",
    };
    format!(
        "{:.0} kB/s of WAL in {:.0} s{since}",
        rate.per_s() / 1_000.0,
        rate.seconds
    )
}
