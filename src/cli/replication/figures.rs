//! What `dbops check` asks of replication: figures of replicas and slots, and which replicas answer.

use std::sync::Arc;
use std::time::Duration;

use super::gather::{Place, Probing, gather, gather_with_rate, places};
use crate::checks::judge::{Measured, Reading};
use crate::checks::known::Known;
use crate::checks::measure::labels;
use crate::checks::reason::Reason;
use crate::checks::replication::{Tree, measured, raws, tree};
use crate::checks::verdict::{Gathered, Missing};
use crate::cli::asking::NodeArgs;
use crate::cli::context::{Context, Selected};

/// The rate of WAL is measured over this long.
const RATE_OVER: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Asked {
    /// Everything together takes no longer than this.
    pub(in crate::cli) most: Duration,
    /// Whether lag is measured by a commit of dbops.
    pub(in crate::cli) probe: bool,
    /// Whether slots' time to loss is, which needs the rate of WAL.
    pub(in crate::cli) rate: bool,
}

/// Measures a target's replicas and slots.
///
/// # Errors
/// A setting of a node is wrong.
pub(in crate::cli) async fn figures(
    context: &Context,
    selected: &Selected,
    asked: Asked,
) -> anyhow::Result<Gathered> {
    // Connecting, reading, the probe and the rate follow each other; one node that hangs must not cost the others.
    let each = asked.most / 8;
    let nodes = NodeArgs::all(each.min(Duration::from_secs(2)));
    let probing = if asked.probe {
        let patience = (asked.most / 4).min(Duration::from_secs(3));
        Probing::For {
            patience,
            // With connecting and reading it must end within the time that there is.
            longest_delay: asked.most / 4,
        }
    } else {
        Probing::Off
    };
    let limit = nodes.patience.node_timeout;
    let sample = gather(asked_places(&nodes, context, selected)?, limit, probing).await;
    let replicas: Vec<&str> = selected
        .target
        .iter()
        .flat_map(|target| &target.replicas)
        .filter_map(|one| one.name.as_deref())
        .collect();
    let mut found = taken(&selected.name, &replicas, &tree(&sample));
    if asked.rate {
        let again = asked_places(&nodes, context, selected)?;
        let sample = gather_with_rate(again, limit, RATE_OVER.min(each)).await;
        for timed in measured(&selected.name, &tree(&sample)) {
            let same =
                |one: &&mut Measured| one.metric == timed.metric && one.labels == timed.labels;
            if timed.metric == "slot.time_to_loss"
                && let Some(one) = found.measured.iter_mut().find(same)
            {
                *one = timed;
            }
        }
    }
    Ok(found)
}

/// The nodes; the one that connection options lead to has the name that rules know of the others.
fn asked_places(
    nodes: &NodeArgs,
    context: &Context,
    selected: &Selected,
) -> anyhow::Result<Vec<Place>> {
    let mut all = places(nodes, context, selected)?;
    if let (None, Some((declared, _))) = (&selected.target, all.first_mut()) {
        declared.name = "primary".to_owned();
    }
    Ok(all)
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
                Some(why) => format!("because node.up: {why}"),
                None => reason.fix().to_owned(),
            };
            found.missing.push(missing("slot", reason, &why));
        }
        if !is_replica {
            continue;
        }
        match &node.silence {
            Some(why) => {
                found.measured.push(measured("node.up", "down", why));
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
                        let why = format!("because node.up: {why}");
                        found
                            .missing
                            .push(missing(metrics, Reason::NotConnected, &why));
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

/// What is measured of each replica.
const LAG: [&str; 3] = ["replica.visible_lag", "replica.byte_lag", "replica.state"];
