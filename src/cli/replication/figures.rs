//! What `dbops check` asks of replication: figures of replicas and slots, and which replicas answer.

use std::sync::Arc;
use std::time::Duration;

use super::gather::{NodeArgs, Place, Probing, gather, gather_with_rate, places};
use crate::checks::judge::{Measured, Reading};
use crate::checks::measure::labels;
use crate::checks::reason::Reason;
use crate::checks::replication::{Tree, measured, tree};
use crate::checks::verdict::{Gathered, Missing};
use crate::cli::context::{Context, Selected};

/// The rate of WAL is measured over this long.
const RATE_OVER: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Asked {
    /// Whether lag is measured by a commit of dbops.
    pub(in crate::cli) probe: bool,
    /// Whether slots' time to loss is, which needs the rate of WAL.
    pub(in crate::cli) rate: bool,
}

/// Measures a target's replicas and slots; `most` bounds each answer.
///
/// # Errors
/// A setting of a node is wrong.
pub(in crate::cli) async fn figures(
    context: &Context,
    selected: &Selected,
    most: Duration,
    asked: Asked,
) -> anyhow::Result<Gathered> {
    let nodes = NodeArgs {
        node: Vec::new(),
        node_timeout: most.min(Duration::from_secs(2)),
    };
    let probing = if asked.probe {
        Probing::For(most.min(Duration::from_secs(3)))
    } else {
        Probing::Off
    };
    let limit = nodes.node_timeout;
    let sample = gather(asked_places(&nodes, context, selected)?, limit, probing).await;
    let seen = tree(&sample);
    let mut found = taken(&selected.name, &seen);
    if asked.rate {
        let again = asked_places(&nodes, context, selected)?;
        let sample = gather_with_rate(again, limit, RATE_OVER).await;
        let timed = measured(&selected.name, &tree(&sample)).into_iter();
        found
            .measured
            .retain(|one| one.metric != "slot.time_to_loss");
        found
            .measured
            .extend(timed.filter(|one| one.metric == "slot.time_to_loss"));
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

/// The figures of a tree; of a replica that does not answer there is one cause and nothing else.
fn taken(target: &str, tree: &Tree) -> Gathered {
    let mut found = Gathered {
        measured: measured(target, tree),
        missing: Vec::new(),
    };
    for node in tree
        .nodes
        .iter()
        .filter(|node| node.role == "replica" && node.declared)
    {
        let mut all = labels(&[
            ("target", target),
            ("node", &node.name),
            ("role", node.role),
        ]);
        for (key, value) in &node.labels {
            all.insert(key.clone(), value.as_str().into());
        }
        let all = Arc::new(all);
        let (state, basis) = match &node.silence {
            Some(silence) => ("down", silence.clone()),
            None => ("up", "connected".to_owned()),
        };
        found.measured.push(Measured {
            metric: "node.up",
            labels: Arc::clone(&all),
            reading: Reading::State(state.into()),
            basis: basis.as_str().into(),
            resolution: None,
        });
        if node.silence.is_none() {
            continue;
        }
        // What the primary says of it is still known; what only the replica could say has its cause in node.up.
        found.measured.retain(|one| {
            let own = one
                .labels
                .get("node")
                .is_some_and(|name| **name == *node.name);
            !(own && matches!(one.reading, Reading::Unknown { .. }))
        });
        for metrics in ["replica.visible_lag", "replica.byte_lag", "replica.state"] {
            let known = found.measured.iter().any(|one| {
                one.metric == metrics
                    && one
                        .labels
                        .get("node")
                        .is_some_and(|name| **name == *node.name)
            });
            if !known {
                found.missing.push(Missing {
                    metrics,
                    labels: Arc::clone(&all),
                    reason: Reason::NotConnected,
                    why: format!("because node.up: {basis}"),
                });
            }
        }
    }
    found
}
