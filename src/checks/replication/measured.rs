//! A tree as figures that rules can be held against.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lag::Lag;
use super::state::State;
use super::tree::{Node, Tree};
use crate::checks::judge::{Labels, Measured, Reading};
use crate::checks::known::Known;
use crate::checks::reason::Reason;

/// Returns the figures of a tree: `replica.visible_lag` and `replica.lag_beyond_delay` (seconds), `replica.byte_lag`,
/// `replica.reply_age` (seconds), `replica.state` (1: it receives, 0: not), `replica.conflicts`, `clock.offset`
/// (seconds), `slot.retained_bytes`, `slot.time_to_loss` (seconds), `slot.wal_status` (1: reserved or extended, 0:
/// not), `subscription.state` (1: applied, 0: not), `sync.waiting`, `xmin.age` (transactions).
pub fn measured(target: &str, tree: &Tree) -> Vec<Measured> {
    let mut all = Vec::new();
    for node in &tree.nodes {
        of_node(target, node, &mut all);
    }
    all
}

fn of_node(target: &str, node: &Node, all: &mut Vec<Measured>) {
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
    let own = labels(&[]);
    let mut add = |metric, labels: &Arc<Labels>, reading, basis: &str| {
        all.push(Measured {
            metric,
            labels: Arc::clone(labels),
            reading,
            basis: basis.into(),
        });
    };
    if node.role == "replica" {
        let basis = node.lag.value().map_or(String::new(), |lag| {
            format!("{}, to {:.3} s", lag.basis.as_str(), lag.resolution_s)
        });
        add("replica.visible_lag", &own, lag(&node.lag), &basis);
        add(
            "replica.lag_beyond_delay",
            &own,
            lag(&node.lag_beyond_delay),
            &basis,
        );
        let gap = node
            .gaps
            .replay
            .map(|gap| (gap.low as f64, gap.high as f64));
        add("replica.byte_lag", &own, between(gap), "positions");
        add("replica.reply_age", &own, value(node.reply_age_s), "sender");
        let word = node.state.value().map_or("", |state| state.as_str());
        let receives = node.state.map(|state| {
            let fine = matches!(state, State::Streaming | State::Catchup | State::Archive);
            f64::from(u8::from(fine))
        });
        add("replica.state", &own, value(receives), word);
        add(
            "clock.offset",
            &own,
            value(node.clock_offset_s.map(f64::abs)),
            "round trip",
        );
        if let Known::Value(conflicts) = &node.conflicts {
            let kinds = [
                ("tablespace", conflicts.tablespace),
                ("lock", conflicts.lock),
                ("snapshot", conflicts.snapshot),
                ("bufferpin", conflicts.bufferpin),
                ("deadlock", conflicts.deadlock),
                ("logical_slot", conflicts.logical_slot),
            ];
            for (kind, count) in kinds {
                let count = Known::from_option(count, Reason::UnsupportedVersion);
                let labels = labels(&[("conflict", kind)]);
                add(
                    "replica.conflicts",
                    &labels,
                    value(count.map(|count| count as f64)),
                    "since its statistics began",
                );
            }
        }
    }
    for slot in node.slots.value().into_iter().flatten() {
        let labels = labels(&[("slot", &slot.name), ("slot_kind", &slot.kind)]);
        let bytes = slot.retained_bytes.map(|bytes| bytes as f64);
        add("slot.retained_bytes", &labels, value(bytes), "positions");
        if slot.limited {
            add(
                "slot.time_to_loss",
                &labels,
                value(slot.time_to_loss_s),
                "WAL rate",
            );
        }
        let status = slot.wal_status.value().map_or("", String::as_str);
        let fine = match status {
            "reserved" | "extended" => Known::Value(1.0),
            "" => Known::Unknown(Reason::NoSample),
            _ => Known::Value(0.0),
        };
        add("slot.wal_status", &labels, value(fine), status);
    }
    for one in node.subscriptions.value().into_iter().flatten() {
        let labels = labels(&[("subscription", &one.name), ("database", &one.database)]);
        let applied = f64::from(u8::from(one.state == "applying"));
        add(
            "subscription.state",
            &labels,
            Reading::Value(applied),
            one.state,
        );
    }
    if node.synchronous.value().is_some_and(Option::is_some) {
        let waiting = node.sync_waiting.map(|count| count as f64);
        add("sync.waiting", &own, value(waiting), "pg_stat_activity");
    }
    for holder in node.holders.value().into_iter().flatten() {
        let name = holder.name.as_deref().unwrap_or_default();
        let labels = labels(&[("holder", &holder.kind), ("name", name)]);
        let age = Known::from_option(holder.xids, Reason::NoPrivilege);
        add("xmin.age", &labels, value(age.map(f64::from)), &holder.kind);
    }
}

fn value(known: Known<f64>) -> Reading {
    match known {
        Known::Value(value) => Reading::Value(value),
        Known::Unknown(reason) => Reading::Unknown(reason.code().into()),
    }
}

fn between(known: Known<(f64, f64)>) -> Reading {
    match known {
        Known::Value((low, high)) if low < high => Reading::Between { low, high },
        Known::Value((low, _)) => Reading::Value(low),
        Known::Unknown(reason) => Reading::Unknown(reason.code().into()),
    }
}

/// What is finer than the resolution of a probe cannot be told, so its reading is an interval.
fn lag(lag: &Known<Lag>) -> Reading {
    between(lag.map(|lag| (lag.low_s, lag.high_s.unwrap_or(f64::INFINITY))))
}
