//! Measures what the rules ask for, on all targets at once: one that is slow or dead delays no other.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};

use crate::catalog::{self, Scope, Sizes, TableScope};
use crate::changes::changeset::Action;
use crate::changes::inputs::Inputs;
use crate::changes::{indexes, retention, survey};
use crate::checks::judge::{Labels, Measured, Reading};
use crate::checks::measure::{self, labels};
use crate::checks::queries::report;
use crate::checks::reason::Reason;
use crate::checks::verdict::{Gathered, Missing};
use crate::cli::change::{Breadth, Depth, read_indexes};
use crate::cli::context::{Context, Selected};
use crate::cli::pool;
use crate::cli::queries;
use crate::cli::replication;
use crate::conn::failure::describe_error;
use crate::conn::target::Node;
use crate::conn::{Purpose, Session, begin_read, connect};
use crate::failure::is_exhausted;
use crate::plan_file::PlanFile;
use crate::plan_file::metric::{METRICS, metric};
use crate::plan_file::rule::Rule;
use crate::sample::health;
use crate::sample::statements::read::{Databases, Options, Own, Texts, read};
use crate::sample::statements::unavailable::{self, ReadError};

/// Targets looked at at the same time: connections are cheap, and a machine has only so many.
const AT_ONCE: usize = 16;

/// Families of metrics that this version measures.
const MEASURED: [&str; 14] = [
    "query",
    "node",
    "partition",
    "index",
    "xid",
    "mxid",
    "database",
    "wal",
    "conn",
    "pool",
    "budget",
    "replica",
    "slot",
    "archive",
];

/// Measures everything that the rules ask for.
pub(super) async fn gather(
    context: &Context,
    plan: &PlanFile,
    rules: &[Rule],
    targets: &[Selected],
    most: Duration,
    probe: bool,
) -> anyhow::Result<Gathered> {
    let wanted = Wanted { rules };
    // What cannot be right in a plan file or the environment is no node that is down.
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
    let mut all = Gathered::default();
    let mut each = stream::iter(targets)
        .map(|selected| one(context, plan, wanted, selected, most, probe))
        .buffer_unordered(AT_ONCE);
    while let Some(found) = each.next().await {
        all.measured.extend(found.measured);
        all.missing.extend(found.missing);
    }
    Ok(all)
}

/// What rules ask for.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    rules: &'a [Rule],
}

impl Wanted<'_> {
    /// Whether any rule is about a metric, or one of a family.
    fn has(self, name: &str) -> bool {
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
    most: Duration,
    probe: bool,
) -> Gathered {
    let mut found = Gathered::default();
    let node = Arc::new(labels(&[
        ("target", &selected.name),
        ("node", "primary"),
        ("role", "primary"),
    ]));
    // Poolers and replicas answer without the primary, and a server that is full is a figure.
    let connections = async {
        match ["conn", "pool", "budget"]
            .iter()
            .any(|family| wanted.has(family))
        {
            true => connections(context, selected, most).await,
            false => Gathered::default(),
        }
    };
    let replication = replicas_and_slots(context, wanted, selected, most, probe);
    let measuring = measure_all(context, plan, wanted, selected, &node, &mut found);
    let (connections, replication, up) = tokio::join!(
        connections,
        replication,
        tokio::time::timeout(most, measuring)
    );
    for part in [connections, replication] {
        found.measured.extend(part.measured);
        found.missing.extend(part.missing);
    }
    let up = match up {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err((down_reason(&error), describe_error(&error))),
        Err(_) => Err((
            Reason::NotConnected,
            format!("no answer within {} s", most.as_secs_f64()),
        )),
    };
    let state = if up.is_ok() { "up" } else { "down" };
    found.measured.push(Measured {
        metric: "node.up",
        labels: Arc::clone(&node),
        reading: Reading::State(state.into()),
        basis: up
            .as_ref()
            .err()
            .map_or("connected", |(_, why)| why.as_str())
            .into(),
        resolution: None,
    });
    if let Err((reason, why)) = up {
        // What was measured before it went away, or without it, is kept; the rest has one cause.
        for rule in wanted.rules {
            let Some(metric) = metric(&rule.metric) else {
                continue;
            };
            let told = found.measured.iter().any(|one| one.metric == metric.name)
                || found.missing.iter().any(|one| one.is_of(metric));
            if !told {
                found.missing.push(Missing {
                    metrics: metric.name,
                    labels: Arc::clone(&node),
                    reason,
                    why: format!("because node.up: {why}"),
                });
            }
        }
    }
    found
}

/// Replicas and slots, and which of the declared replicas answer.
async fn replicas_and_slots(
    context: &Context,
    wanted: Wanted<'_>,
    selected: &Selected,
    most: Duration,
    probe: bool,
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
        probe: probe && declared && wanted.has("replica.visible_lag"),
        rate: wanted.has("slot.time_to_loss"),
    };
    let failed = |why: String| Gathered {
        measured: Vec::new(),
        missing: families
            .iter()
            .map(|metrics| Missing {
                metrics,
                labels: Arc::new(labels(&[("target", &selected.name)])),
                reason: Reason::NotConnected,
                why: why.clone(),
            })
            .collect(),
    };
    let measuring = replication::figures(context, selected, most, asked);
    match tokio::time::timeout(most, measuring).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => failed(describe_error(&error)),
        Err(_) => failed(format!("no answer within {} s", most.as_secs_f64())),
    }
}

/// Connections and pools of all nodes; what fails as a whole is why they are not known.
async fn connections(context: &Context, selected: &Selected, most: Duration) -> Gathered {
    let mut found = Gathered::default();
    match pool::figures(context, selected, most).await {
        Ok(figures) => found.measured = figures,
        Err(error) => {
            let why = describe_error(&error);
            found.missing = ["conn", "pool", "budget"]
                .into_iter()
                .map(|metrics| Missing {
                    metrics,
                    labels: Arc::new(labels(&[("target", &selected.name)])),
                    reason: Reason::NotConnected,
                    why: why.clone(),
                })
                .collect();
        }
    }
    found
}

/// Whether the server had no room for another session, which is a measurement of its own.
fn down_reason(error: &anyhow::Error) -> Reason {
    if is_exhausted(error) {
        Reason::Exhausted
    } else {
        Reason::NotConnected
    }
}

async fn measure_all(
    context: &Context,
    plan: &PlanFile,
    wanted: Wanted<'_>,
    selected: &Selected,
    node: &Arc<Labels>,
    found: &mut Gathered,
) -> anyhow::Result<()> {
    let target = Arc::new(labels(&[("target", &selected.name)]));
    for rule in wanted.rules {
        let family = rule.metric.split('.').next().unwrap_or_default();
        let known = MEASURED.contains(&family);
        if !known
            && let Some(metric) = metric(&rule.metric)
            && !found.missing.iter().any(|one| one.metrics == metric.name)
        {
            found.missing.push(Missing {
                metrics: metric.name,
                labels: Arc::clone(&target),
                reason: Reason::NoSample,
                why: "`dbops check` of this version does not measure it".to_owned(),
            });
        }
    }
    let settings = context.settings(selected)?;
    let mut session = connect(&settings, Purpose::Read).await?;
    if ["xid", "mxid", "database", "wal", "archive"]
        .iter()
        .any(|family| wanted.has(family))
    {
        let read = health_of(&mut session, wanted).await?;
        found
            .measured
            .extend(measure::health(&selected.name, node, &read));
    }
    if wanted.has("partition") {
        partitions(context, plan, selected, &mut session, found).await?;
    }
    if wanted.has("index") {
        let now = context.now();
        let read = read_indexes(plan, &mut session, now, Breadth::All, Depth::Compare).await?;
        let all = indexes::survey(read.inputs(now), &read.answers);
        let database = &read.catalog.server.database;
        found
            .measured
            .extend(measure::indexes(&selected.name, database, &all));
    }
    let stored =
        |found: &mut Gathered, metrics: &'static str, figures: queries::Found| match figures {
            Ok(figures) => found.measured.extend(figures),
            Err(why) => found.missing.push(Missing {
                metrics,
                labels: Arc::clone(&target),
                reason: Reason::NoSample,
                why,
            }),
        };
    if wanted.has("query.regression") {
        let figures = queries::regressions(&mut session, &selected.name, wanted.rules).await?;
        stored(found, "query.regression", figures);
    }
    if wanted.has("query.n_plus_one_score") {
        let figures = queries::loops(&mut session, &selected.name).await?;
        stored(found, "query.n_plus_one_score", figures);
    }
    let live = |rule: &Rule| {
        rule.metric.starts_with("query.")
            && !["query.regression", "query.n_plus_one_score"].contains(&rule.metric.as_str())
    };
    // Last, because where the extension is not preloaded the transaction is over.
    if wanted.rules.iter().any(live) {
        statements(wanted, selected, &target, &mut session, found).await?;
    }
    Ok(())
}

async fn health_of(session: &mut Session, wanted: Wanted<'_>) -> anyhow::Result<health::Health> {
    let version = session.server_version_num();
    let tx = begin_read(session).await?;
    let read = health::read(
        &tx,
        version,
        health::Wanted {
            ages: wanted.has("xid") || wanted.has("mxid"),
            sizes: wanted.has("database"),
            wal: wanted.has("wal"),
            archive: wanted.has("archive"),
        },
    )
    .await?;
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    Ok(read)
}

async fn partitions(
    context: &Context,
    plan: &PlanFile,
    selected: &Selected,
    session: &mut Session,
    found: &mut Gathered,
) -> anyhow::Result<()> {
    let tx = begin_read(session).await?;
    let scope = Scope {
        tables: TableScope::All,
        sizes: Sizes::Skip,
        schemas: Vec::new(),
    };
    let catalog = catalog::read(&tx, &scope).await?;
    let inputs = Inputs {
        policies: &plan.partitions,
        budget: plan.lock_budget,
        catalog: &catalog,
        now: context.now(),
    };
    let answers = catalog::answer(&tx, &survey::questions(inputs)).await?;
    let prunable = catalog::answer(&tx, &retention::questions(inputs)).await?;
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    let surveys = survey::survey(inputs, &answers);
    let prune = retention::prune(inputs, &prunable);
    let database = &catalog.server.database;
    found.measured.extend(measure::partitions(
        &selected.name,
        database,
        &surveys,
        |table| {
            prune
                .steps
                .iter()
                .filter(|step| step.action == Action::DetachPartition && step.table == *table)
                .flat_map(|step| step.partitions.iter().map(|one| one.name.clone()))
                .collect()
        },
    ));
    for policy in &plan.partitions {
        if !surveys.iter().any(|one| one.table == policy.table) {
            found.missing.push(Missing {
                metrics: "partition",
                labels: Arc::new(labels(&[
                    ("target", &selected.name),
                    ("database", database),
                    ("table", &policy.table.to_string()),
                ])),
                reason: Reason::NoSample,
                why: format!("there is no partitioned table {}", policy.table),
            });
        }
    }
    Ok(())
}

async fn statements(
    wanted: Wanted<'_>,
    selected: &Selected,
    target: &Arc<Labels>,
    session: &mut Session,
    found: &mut Gathered,
) -> anyhow::Result<()> {
    let tx = begin_read(session).await?;
    let options = Options {
        databases: Databases::All,
        texts: Texts::All,
        own: Own::Exclude,
    };
    match read(&tx, &options).await {
        Ok(snapshot) => {
            found.measured.extend(queries::figures(
                &selected.name,
                &report::life(&snapshot),
                wanted.rules,
            ));
        }
        Err(ReadError::Unavailable(why)) => {
            // What stored readings tell is measured all the same.
            let live = [
                "mean_time",
                "max_time",
                "p95_bound",
                "share",
                "temp_bytes",
                "cache_hit",
            ];
            for metric in METRICS.iter().filter(|metric| {
                let name = metric.name.strip_prefix("query.");
                name.is_some_and(|name| live.contains(&name))
            }) {
                found.missing.push(Missing {
                    metrics: metric.name,
                    labels: Arc::clone(target),
                    reason: match why.reason {
                        unavailable::Reason::NoRight => Reason::NoPrivilege,
                        _ => Reason::NoSample,
                    },
                    why: format!("{}; `dbops doctor` says what to do", why.message),
                });
            }
        }
        Err(ReadError::Other(error)) => return Err(error),
    }
    Ok(())
}
