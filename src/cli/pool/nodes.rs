//! The nodes of a target, asked all at once: servers and consoles of poolers.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;

use crate::checks::pool::status::{Asked, Seen};
use crate::cli::context::{Context, Selected};
use crate::conn::failure::describe_error;
use crate::conn::reach::reaches;
use crate::conn::target::Node;
use crate::conn::{Endpoint, Session, Settings, begin_read, connect_any, connect_console};
use crate::failure::{Failure, is_exhausted};
use crate::plan_file::PlanFile;
use crate::sample::pool::console::{self, ConsoleSample, Reach};
use crate::sample::pool::model::ServerSample;
use crate::sample::pool::server::{self, Detail};

/// How long a backend may take to accept a connection when it is asked why a pool waits.
const REACH_PATIENCE: Duration = Duration::from_secs(2);

/// Arguments of every command that asks nodes.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct NodeArgs {
    /// One node of the target: `primary`, or the name of a replica or pooler [default: all]
    #[arg(long, value_name = "NAME")]
    pub(super) node: Option<String>,
}

/// A target and what its nodes said.
pub(super) struct Answered {
    /// The target.
    pub(super) selected: Selected,
    /// Its nodes: the primary, replicas, poolers.
    pub(super) asked: Vec<Asked>,
}

/// Which nodes are asked for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Servers and poolers.
    All(Detail),
    /// Servers alone.
    Servers(Detail),
}

impl Ask {
    fn detail(self) -> Detail {
        match self {
            Self::All(detail) | Self::Servers(detail) => detail,
        }
    }
}

/// Asks the nodes of every target chosen.
///
/// # Errors
/// Usage; a node that cannot be reached is an answer.
pub(super) fn ask(
    args: &NodeArgs,
    context: &Context,
    plan: &PlanFile,
    what: Ask,
) -> anyhow::Result<Vec<Answered>> {
    let mut answers = Vec::new();
    for selected in context.targets(plan)? {
        let asked = context.block_on(ask_target(args, context, &selected, what, None))?;
        answers.push(Answered { selected, asked });
    }
    Ok(answers)
}

/// Asks the nodes of one target, all at once; one that does not answer within `most` was not reached.
///
/// # Errors
/// Usage; a node that cannot be reached is an answer.
pub(super) async fn ask_target(
    args: &NodeArgs,
    context: &Context,
    selected: &Selected,
    what: Ask,
    most: Option<Duration>,
) -> anyhow::Result<Vec<Asked>> {
    let roles = roles(selected);
    let mut asking = Vec::new();
    for (name, node) in chosen(args, selected)? {
        if matches!((what, node), (Ask::Servers(_), Node::Pooler(_))) {
            continue;
        }
        let settings = context.settings_of(selected, node)?;
        let roles = &roles;
        asking.push(async move {
            let seen = one(&settings, node, what.detail(), roles);
            let seen = match most {
                None => seen.await?,
                Some(most) => match tokio::time::timeout(most, seen).await {
                    Ok(seen) => seen?,
                    Err(_) => {
                        let text = format!("{settings}: no answer within {} s", most.as_secs_f64());
                        Seen::NotConnected(text)
                    }
                },
            };
            let name = match &seen {
                // Without a plan file it shows only now what the connection options lead to.
                Seen::Pooler(_) if selected.target.is_none() => "pooler".to_owned(),
                _ => name,
            };
            Ok(Asked {
                name,
                place: settings.to_string(),
                seen,
            })
        });
    }
    try_join_all(asking).await
}

/// Roles whose limits the budget needs, connected or not.
fn roles(selected: &Selected) -> Vec<String> {
    let apps = selected.target.iter().flat_map(|one| &one.app_pools);
    apps.map(|app| app.db_role.clone()).collect()
}

fn chosen<'a>(args: &NodeArgs, selected: &'a Selected) -> anyhow::Result<Vec<(String, Node<'a>)>> {
    let mut all = vec![("primary".to_owned(), Node::Primary)];
    if let Some(target) = &selected.target {
        let replicas = target.replicas.iter().filter_map(|one| one.name.as_deref());
        all.extend(replicas.map(|name| (name.to_owned(), Node::Replica(name))));
        let poolers = target.poolers.iter().filter_map(|one| one.name.as_deref());
        all.extend(poolers.map(|name| (name.to_owned(), Node::Pooler(name))));
    }
    let Some(wanted) = &args.node else {
        return Ok(all);
    };
    let known: Vec<String> = all.iter().map(|(name, _)| name.clone()).collect();
    all.retain(|(name, _)| name == wanted);
    if all.is_empty() {
        return Err(
            Failure::usage(format!("target {} has no node `{wanted}`", selected.name))
                .hint(format!("its nodes: {}", known.join(", ")))
                .into(),
        );
    }
    Ok(all)
}

async fn one(
    settings: &Settings,
    node: Node<'_>,
    detail: Detail,
    roles: &[String],
) -> anyhow::Result<Seen> {
    let endpoint = match node {
        // The plan file says what it is.
        Node::Pooler(_) => connect_console(settings).await.map(Endpoint::Console),
        _ => connect_any(settings).await,
    };
    let seen = match endpoint {
        Ok(Endpoint::Server(session)) => match sample(session, detail, roles).await {
            Ok(sample) => Seen::Server(Box::new(sample)),
            // One node that fails must not cost the others.
            Err(error) => Seen::NotConnected(describe_error(&error)),
        },
        Ok(Endpoint::Console(session)) => match pools(settings, session).await {
            Ok(sample) => Seen::Pooler(Box::new(sample)),
            Err(error) => Seen::NotConnected(describe_error(&error)),
        },
        Err(error) if is_exhausted(&error) => Seen::Exhausted(describe_error(&error)),
        Err(error) => Seen::NotConnected(describe_error(&error)),
    };
    Ok(seen)
}

async fn sample(
    mut session: Session,
    detail: Detail,
    roles: &[String],
) -> anyhow::Result<ServerSample> {
    let place = session.place().to_owned();
    let tx = begin_read(&mut session).await?;
    let sample = server::read(&tx, detail, roles)
        .await
        .with_context(|| format!("reading the sessions of {place}"))?;
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    session.close().await;
    Ok(sample)
}

/// Reads the pools; asks the backends of those that wait without a server whether they answer dbops.
async fn pools(settings: &Settings, session: Session) -> anyhow::Result<ConsoleSample> {
    let mut sample = console::read(&session).await?;
    let here = settings.is_local();
    let mut addresses: Vec<(String, i64)> = sample
        .pools
        .iter()
        .filter(|pool| pool.cl_waiting > Some(0))
        .filter_map(|pool| sample.databases.get(&pool.database))
        .filter_map(|one| Some((one.host.clone().unwrap_or_default(), one.port?)))
        .collect();
    addresses.sort();
    addresses.dedup();
    for (host, port) in addresses {
        // What the pooler calls local is another machine's business.
        let local = host.is_empty()
            || host.starts_with('/')
            || host == "localhost"
            || host.starts_with("127.");
        if local && !here {
            continue;
        }
        let Ok(number) = u16::try_from(port) else {
            continue;
        };
        let reach = match reaches(&host, number, REACH_PATIENCE).await {
            Ok(()) => Reach::Answers,
            Err(error) => Reach::Silent(error.to_string()),
        };
        sample.reach.insert((host, port), reach);
    }
    session.close().await;
    Ok(sample)
}
