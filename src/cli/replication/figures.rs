//! What `dbops check` asks of replication: figures of replicas and slots, and which replicas answer.

use std::sync::Arc;

use super::gather::{Place, places};
use crate::checks::judge::{Measured, Reading};
use crate::checks::known::Known;
use crate::checks::measure::labels;
use crate::checks::reason::Reason;
use crate::checks::replication::state::reason;
use crate::checks::replication::{Tree, measured, raws, tree};
use crate::checks::verdict::{Gathered, Missing};
use crate::cli::context::{Context, Selected};
use crate::sample::replication::model::{Sample, Silence, SilenceKind};

/// Returns the servers of a target, the primary first, by the names that rules know.
///
/// # Errors
/// A setting of a node is wrong.
pub(in crate::cli) fn declared(
    context: &Context,
    selected: &Selected,
) -> anyhow::Result<Vec<Place>> {
    let mut all = places(&[], context, selected)?;
    if let (None, Some((declared, _))) = (&selected.target, all.first_mut()) {
        declared.name = "primary".to_owned();
    }
    Ok(all)
}

/// The figures of a target's replicas and slots.
pub(in crate::cli) fn figures(selected: &Selected, sample: &Sample) -> Gathered {
    let replicas: Vec<&str> = selected
        .target
        .iter()
        .flat_map(|target| &target.replicas)
        .filter_map(|one| one.name.as_deref())
        .collect();
    taken(&selected.name, &replicas, &tree(sample))
}

/// The figures of a tree. What a declared node could not tell is missing with its cause, never left out.
fn taken(target: &str, replicas: &[&str], tree: &Tree) -> Gathered {
    let mut found = Gathered {
        measured: measured(target, tree),
        raw: raws(target, tree),
        ..Gathered::default()
    };
    for node in tree.nodes.iter().filter(|node| node.declared) {
        let is_replica = replicas.contains(&node.name.as_str());
        let role = if is_replica { "replica" } else { node.role };
        let mut all = labels(&[("target", target), ("node", &node.name), ("role", role)]);
        for (key, value) in &node.labels {
            all.insert(key.clone(), value.as_str().into());
        }
        let all = Arc::new(all);
        let measured = |metric, state: &str, basis: &str| Measured {
            metric,
            labels: Arc::clone(&all),
            reading: Reading::State(state.to_owned().into()),
            basis: basis.into(),
            resolution: None,
        };
        let missing = |metrics, reason, why: &str| Missing {
            metrics,
            labels: Arc::clone(&all),
            reason,
            why: why.to_owned(),
        };
        if let Known::Unknown(reason) = node.slots {
            let why = match &node.silence {
                Some(silence) => format!("because node.up: {}", silence.message),
                None => reason.fix().to_owned(),
            };
            found.missing.push(missing("slot", reason, &why));
        }
        if !is_replica {
            continue;
        }
        match &node.silence {
            Some(silence) => {
                let why = &silence.message;
                let (state, basis) = answers(silence);
                found.measured.push(measured("node.up", state, &basis));
                // What its upstream says of it is still known; the rest has its cause in node.up.
                let own = |one: &Measured| {
                    one.labels
                        .get("node")
                        .is_some_and(|name| **name == *node.name)
                };
                found
                    .measured
                    .retain(|one| !(own(one) && matches!(one.reading, Reading::Unknown { .. })));
                for metrics in LAG {
                    if !found
                        .measured
                        .iter()
                        .any(|one| one.metric == metrics && own(one))
                    {
                        let missing = if state == "up" {
                            missing(metrics, reason(silence), why)
                        } else {
                            let why = format!("because node.up: {why}");
                            missing(metrics, Reason::NotConnected, &why)
                        };
                        found.missing.push(missing);
                    }
                }
            }
            None => {
                found.measured.push(measured("node.up", "up", "connected"));
                if node.role != "replica" {
                    let why = "it is declared as a replica and takes writes: promoted";
                    found
                        .measured
                        .push(measured("replica.state", "primary", why));
                    for metrics in ["replica.visible_lag", "replica.byte_lag"] {
                        found.missing.push(missing(metrics, Reason::NoSample, why));
                    }
                }
            }
        }
    }
    found
}

/// What `node.up` is of a node that was silent, and why.
pub(in crate::cli) fn answers(silence: &Silence) -> (&'static str, String) {
    let message = &silence.message;
    match silence.kind {
        SilenceKind::NoAnswer => ("late", format!("connected; {message}")),
        _ if silence.is_connected() => ("up", "connected".to_owned()),
        _ => ("down", message.clone()),
    }
}

/// What is measured of each replica.
const LAG: [&str; 3] = ["replica.visible_lag", "replica.byte_lag", "replica.state"];
