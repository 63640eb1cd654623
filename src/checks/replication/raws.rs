//! Counters of a tree, of which figures over time are made.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tree::{Node, Tree};
use crate::checks::known::Known;
use crate::checks::verdict::{Raw, Seen};

/// Returns queries that replay cancelled, of each replica that tells.
pub fn raws(target: &str, tree: &Tree) -> Vec<Raw> {
    let replicas = tree.nodes.iter().filter(|node| node.role == "replica");
    replicas
        .filter_map(|node| conflicts(target, node))
        .collect()
}

fn conflicts(target: &str, node: &Node) -> Option<Raw> {
    let Known::Value(counted) = &node.conflicts else {
        return None;
    };
    let kinds = [
        counted.tablespace,
        counted.lock,
        counted.snapshot,
        counted.bufferpin,
        counted.deadlock,
        // Older servers know no such kind: there is nothing of it to count.
        counted.logical_slot,
    ];
    let known: Vec<i64> = kinds.into_iter().flatten().collect();
    if known.is_empty() {
        return None;
    }
    let mut labels: BTreeMap<String, Arc<str>> = (node.labels.iter())
        .map(|(key, value)| (key.clone(), Arc::from(value.as_str())))
        .collect();
    for (key, value) in [
        ("target", target),
        ("node", &node.name),
        ("role", node.role),
    ] {
        labels.insert(key.to_owned(), Arc::from(value));
    }
    let all = known.iter().sum();
    Some(Raw {
        metric: "replica.conflicts",
        labels: Arc::new(labels),
        seen: Seen::Counters {
            part: all,
            whole: all,
            epoch: String::new(),
        },
    })
}
