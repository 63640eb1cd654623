//! Measures what the rules ask for, on all targets at once: one that is slow or dead delays no other.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::primary::{self, Asked};
use crate::checks::measure::labels;
use crate::checks::reason::Reason;
use crate::checks::verdict::{Gathered, Missing};
use crate::cli::context::{Context, Selected};
use crate::cli::{pool, replication};
use crate::conn::failure::describe_error;
use crate::conn::target::Node;
use crate::plan_file::PlanFile;
use crate::plan_file::metric::metric;
use crate::plan_file::rule::Rule;

/// Targets looked at at the same time: connections are cheap, and a machine has only so many.
const AT_ONCE: usize = 16;

/// How it is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// A target that has not answered for this long is given up.
    pub(super) most: Duration,
    /// Whether lag is measured by a commit of dbops.
    pub(super) probe: bool,
}

/// Measures everything that the rules ask for.
///
/// # Errors
/// A setting of a node that cannot be right: a plan file or the environment is to be mended, no node is down.
pub(super) async fn gather(
    context: &Context,
    plan: &PlanFile,
    rules: &[Rule],
    targets: &[Selected],
    how: How,
) -> anyhow::Result<Gathered> {
    for selected in targets {
        context.resolved(selected, Node::Primary)?;
        let nodes = selected.target.iter();
        let replicas = nodes.clone().flat_map(|target| &target.replicas);
        let poolers = nodes.flat_map(|target| &target.poolers);
        for name in replicas.filter_map(|one| one.name.as_deref()) {
            context.resolved(selected, Node::Replica(name))?;
        }
        for name in poolers.filter_map(|one| one.name.as_deref()) {
            context.resolved(selected, Node::Pooler(name))?;
        }
    }
    let wanted = Wanted { rules };
    let mut all = Gathered::default();
    let mut each = stream::iter(targets)
        .map(|selected| one(context, plan, wanted, selected, how))
        .buffer_unordered(AT_ONCE);
    while let Some(found) = each.next().await {
        all.extend(found);
    }
    Ok(all)
}

/// What rules ask for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) rules: &'a [Rule],
}

impl Wanted<'_> {
    /// Whether any rule is about a metric, or one of a family.
    pub(super) fn has(self, name: &str) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.metric == name || rule.metric.split('.').next() == Some(name))
    }
}

/// A target's figures; never an error: what fails is why something is not known.
async fn one(
    context: &Context,
    plan: &PlanFile,
    wanted: Wanted<'_>,
    selected: &Selected,
    how: How,
) -> Gathered {
    let node = Arc::new(labels(&[
        ("target", &selected.name),
        ("node", "primary"),
        ("role", "primary"),
    ]));
    let asked = Asked {
        context,
        plan,
        wanted,
        selected,
        node: &node,
    };
    // Poolers and replicas answer without the primary, and a server that is full is a figure.
    let (connections, replication, (mut found, down)) = tokio::join!(
        connections(context, wanted, selected, how.most),
        replicas_and_slots(context, wanted, selected, how),
        primary::figures(&asked, how.most)
    );
    for part in [connections, replication] {
        found.extend(part);
    }
    let Some(down) = down else {
        return found;
    };
    // What was measured without it is kept; the rest has one cause.
    for metric in wanted.rules.iter().filter_map(|rule| metric(&rule.metric)) {
        let told = found.measured.iter().any(|one| one.metric == metric.name)
            || found.missing.iter().any(|one| one.is_of(metric));
        if !told {
            found.missing.push(Missing {
                metrics: metric.name,
                labels: Arc::clone(&node),
                reason: down.reason,
                why: format!("because node.up: {}", down.why),
            });
        }
    }
    found
}

/// Why whole families of a target are not known.
fn none(selected: &Selected, families: &[&'static str], why: &str) -> Gathered {
    let target = Arc::new(labels(&[("target", &selected.name)]));
    let missing = families.iter().map(|metrics| Missing {
        metrics,
        labels: Arc::clone(&target),
        reason: Reason::NoSample,
        why: why.to_owned(),
    });
    Gathered {
        missing: missing.collect(),
        ..Gathered::default()
    }
}

/// Connections and pools of all nodes, and which poolers answer.
async fn connections(
    context: &Context,
    wanted: Wanted<'_>,
    selected: &Selected,
    most: Duration,
) -> Gathered {
    let poolers = selected
        .target
        .as_ref()
        .is_some_and(|target| !target.poolers.is_empty());
    let families: Vec<&'static str> = ["conn", "pool", "budget"]
        .into_iter()
        .filter(|family| wanted.has(family))
        .collect();
    if families.is_empty() && !(poolers && wanted.has("node")) {
        return Gathered::default();
    }
    match pool::figures(context, selected, most).await {
        Ok(found) => found,
        Err(error) => none(selected, &families, &describe_error(&error)),
    }
}

/// Replicas and slots, and which of the declared replicas answer.
async fn replicas_and_slots(
    context: &Context,
    wanted: Wanted<'_>,
    selected: &Selected,
    how: How,
) -> Gathered {
    let declared = selected
        .target
        .as_ref()
        .is_some_and(|target| !target.replicas.is_empty());
    let families: Vec<&'static str> = ["replica", "slot"]
        .into_iter()
        .filter(|family| wanted.has(family))
        .collect();
    if families.is_empty() && !(declared && wanted.has("node")) {
        return Gathered::default();
    }
    let asked = replication::Asked {
        most: how.most,
        probe: how.probe && declared && wanted.has("replica.visible_lag"),
        rate: wanted.has("slot.time_to_loss"),
    };
    let measuring = replication::figures(context, selected, asked);
    let why = match tokio::time::timeout(how.most, measuring).await {
        Ok(Ok(found)) => return found,
        Ok(Err(error)) => describe_error(&error),
        Err(_) => format!("no answer within {} s", how.most.as_secs_f64()),
    };
    let mut found = none(selected, &families, &why);
    // Whether a replica is up was not seen either.
    let replicas = selected.target.iter().flat_map(|target| &target.replicas);
    for name in replicas.filter_map(|one| one.name.as_deref()) {
        found.missing.push(Missing {
            metrics: "node.up",
            labels: Arc::new(labels(&[
                ("target", &selected.name),
                ("node", name),
                ("role", "replica"),
            ])),
            reason: Reason::NoSample,
            why: why.clone(),
        });
    }
    found
}
