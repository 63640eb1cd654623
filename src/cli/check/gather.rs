//! Measures what the rules ask for, on all targets at once: one that is slow or dead delays no other.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::figures;
use super::nodes::Nodes;
use super::primary::Asked;
use super::target::round;
use crate::checks::measure::labels;
use crate::checks::verdict::{Gathered, Missing};
use crate::cli::context::{Context, Selected};
use crate::conn::target::Node;
use crate::plan_file::PlanFile;
use crate::plan_file::metric::metric;
use crate::plan_file::rule::Rule;
use crate::sample::replication::model::Silence;

/// Targets looked at at the same time: connections are cheap, and a machine has only so many.
const AT_ONCE: usize = 16;
/// The same with those that take long; each has a few connections, and a process has mostly 1,024 files.
const MOST_OPEN: usize = 128;
/// What takes longer than this waits for a server.
const LONG: Duration = Duration::from_secs(1);

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
    refuse_wrong_settings(context, targets)?;
    let places = Places::default();
    let mut each: FuturesUnordered<_> = targets
        .iter()
        .map(|selected| target(context, plan, rules, selected, how, &places))
        .collect();
    let mut all = Gathered::default();
    while let Some(found) = each.next().await {
        all.extend(found?);
    }
    Ok(all)
}

/// Refuses settings of nodes that cannot be right.
pub(super) fn refuse_wrong_settings(context: &Context, targets: &[Selected]) -> anyhow::Result<()> {
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
    Ok(())
}

/// How many targets are looked at at the same time.
///
/// One that takes long waits more than it works, and gives up its place for another: those that hang delay nobody.
#[derive(Debug)]
pub(super) struct Places {
    working: Semaphore,
    open: Semaphore,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            working: Semaphore::new(AT_ONCE),
            open: Semaphore::new(MOST_OPEN),
        }
    }
}

impl Places {
    async fn within<T>(&self, work: impl Future<Output = T>) -> T {
        // Nobody closes them: there is always an answer, and without one there is nothing to wait for.
        let _open = self.open.acquire().await;
        let place = self.working.acquire().await;
        let mut work = pin!(work);
        if let Ok(done) = timeout(LONG, &mut work).await {
            return done;
        }
        drop(place);
        work.await
    }
}

/// Measures what rules ask of one target, as soon as there is a place.
///
/// # Errors
/// A setting of a node cannot be right, or be read.
pub(super) async fn target(
    context: &Context,
    plan: &PlanFile,
    rules: &[Rule],
    selected: &Selected,
    how: How,
    places: &Places,
) -> anyhow::Result<Gathered> {
    let wanted = Wanted { rules };
    places
        .within(one(context, plan, wanted, selected, how))
        .await
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

/// A target's figures; what fails there is why something is not known.
///
/// # Errors
/// A setting of a node cannot be right, or be read.
async fn one(
    context: &Context,
    plan: &PlanFile,
    wanted: Wanted<'_>,
    selected: &Selected,
    how: How,
) -> anyhow::Result<Gathered> {
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
        most: how.most,
    };
    let mut nodes = Nodes::of(context, selected)?;
    let ask = figures::ask(&asked, how.probe);
    let round = round(&asked, &ask, &mut nodes, how.most).await;
    let mut found = figures::found(&asked, &ask, &mut nodes, round);
    // Poolers and replicas answer without the primary, and a server that is full is a figure.
    let down = nodes
        .servers
        .first_mut()
        .map(|node| node.session().map(|_| ()));
    if let Some(Err(silent)) = down {
        rest_is_missing(&asked, &silent, &mut found);
    }
    nodes.close().await;
    Ok(found)
}

/// Where the primary is down, what was measured without it is kept; the rest has one cause.
fn rest_is_missing(asked: &Asked<'_>, silent: &Silence, found: &mut Gathered) {
    let rules = asked.wanted.rules.iter();
    for metric in rules.filter_map(|rule| metric(&rule.metric)) {
        let told = found.measured.iter().any(|one| one.metric == metric.name)
            || found.missing.iter().any(|one| one.is_of(metric));
        if !told {
            found.missing.push(Missing {
                metrics: metric.name,
                labels: Arc::clone(asked.node),
                reason: figures::down_because(silent),
                why: format!("because node.up: {}", silent.message),
            });
        }
    }
}
