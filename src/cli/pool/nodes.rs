//! The nodes of a target, asked all at once: servers and consoles of poolers.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use tokio::time::timeout;

use crate::checks::pool::status::{Asked, Seen};
use crate::cli::asking::{NodeArgs, unless_interrupted};
use crate::cli::context::{Context, Selected};
use crate::conn::failure::describe_error;
use crate::conn::target::Node;
use crate::conn::{Endpoint, Session, Settings, connect_any, connect_console};
use crate::failure::{Failure, is_exhausted};
use crate::plan_file::PlanFile;
use crate::sample::pool::model::ServerSample;
use crate::sample::pool::server::{self, Detail};
use crate::sample::pool::{console, doors};
use crate::sample::replication::model::{Silence, SilenceKind};

/// How long a backend may take to accept a connection when it is asked why a pool waits.
const REACH_PATIENCE: Duration = Duration::from_secs(2);

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

/// Asks the nodes of every target chosen; `None`: interrupted.
///
/// # Errors
/// Usage; a node that cannot be reached is an answer.
pub(super) fn ask(
    args: &NodeArgs,
    context: &Context,
    plan: &PlanFile,
    what: Ask,
) -> anyhow::Result<Option<Vec<Answered>>> {
    let mut answers = Vec::new();
    for selected in context.targets(plan)? {
        let asking = unless_interrupted(ask_target(args, context, &selected, what));
        let Some(asked) = context.block_on(asking)? else {
            return Ok(None);
        };
        answers.push(Answered {
            asked: asked?,
            selected,
        });
    }
    Ok(Some(answers))
}

/// Asks the nodes of one target, all at once; one that does not let in, or answer, in time was not reached.
///
/// # Errors
/// Usage; a node that cannot be reached is an answer.
pub(super) async fn ask_target(
    args: &NodeArgs,
    context: &Context,
    selected: &Selected,
    what: Ask,
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
            let limit = args.patience.node_timeout;
            let seen = one(&settings, node, what.detail(), roles, limit).await;
            let name = match &seen {
                // Without a plan file it shows only now what the connection options lead to.
                Seen::Pooler(_) if selected.target.is_none() => "pooler".to_owned(),
                _ => name,
            };
            Ok(Asked {
                name,
                place: settings.to_string(),
                required: is_required(selected, node),
                seen,
            })
        });
    }
    try_join_all(asking).await
}

/// Whether a node must be there.
fn is_required(selected: &Selected, node: Node<'_>) -> bool {
    let Node::Replica(name) = node else {
        return true;
    };
    let mut replicas = selected.target.iter().flat_map(|one| &one.replicas);
    let found = replicas.find(|one| one.name.as_deref() == Some(name));
    found.is_none_or(|one| one.required != Some(false))
}

/// Roles whose limits the budget needs, connected or not.
pub(in crate::cli) fn roles(selected: &Selected) -> Vec<String> {
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
    if args.node.is_empty() {
        return Ok(all);
    }
    let known: Vec<String> = all.iter().map(|(name, _)| name.clone()).collect();
    if let Some(unknown) = args.node.iter().find(|name| !known.contains(name)) {
        return Err(
            Failure::usage(format!("target {} has no node `{unknown}`", selected.name))
                .hint(format!("its nodes: {}", known.join(", ")))
                .into(),
        );
    }
    all.retain(|(name, _)| args.node.contains(name));
    Ok(all)
}

/// Asks one node. One that fails must not cost the others, so there is no error.
async fn one(
    settings: &Settings,
    node: Node<'_>,
    detail: Detail,
    roles: &[String],
    limit: Duration,
) -> Seen {
    let late = || format!("{settings}: no answer within {} s", limit.as_secs_f64());
    let connecting = async {
        match node {
            // The plan file says what it is.
            Node::Pooler(_) => connect_console(settings).await.map(Endpoint::Console),
            _ => connect_any(settings).await,
        }
    };
    let endpoint = match timeout(limit, connecting).await {
        Ok(Ok(endpoint)) => endpoint,
        Ok(Err(error)) if is_exhausted(&error) => return Seen::Exhausted(describe_error(&error)),
        Ok(Err(error)) => return Seen::NotConnected(describe_error(&error)),
        Err(_) => return Seen::NotConnected(late()),
    };
    let read = match endpoint {
        Endpoint::Server(session) => timeout(limit, sample(session, detail, roles))
            .await
            .map(|read| read.map(|sample| Seen::Server(Box::new(sample)))),
        Endpoint::Console(session) => return read_console(&session, settings, limit).await,
    };
    match read {
        Ok(Ok(seen)) => seen,
        Ok(Err(error)) => Seen::NotConnected(describe_error(&error)),
        Err(_) => Seen::NotConnected(late()),
    }
}

/// Reads a console, and knocks at the backends of pools that wait; each may take as long as `limit`.
pub(in crate::cli) async fn read_console(
    session: &Session,
    settings: &Settings,
    limit: Duration,
) -> Seen {
    match timeout(limit, console::read(session)).await {
        Ok(Ok(mut sample)) => {
            let patience = limit.min(REACH_PATIENCE);
            doors::knock(&mut sample, settings.is_local(), patience).await;
            Seen::Pooler(Box::new(sample))
        }
        Ok(Err(error)) => Seen::NotConnected(describe_error(&error)),
        Err(_) => Seen::NotConnected(format!(
            "{settings}: no answer within {} s",
            limit.as_secs_f64()
        )),
    }
}

/// A node that could not be asked, as a figure.
pub(in crate::cli) fn unseen(silence: &Silence) -> Seen {
    match silence.kind {
        SilenceKind::Exhausted => Seen::Exhausted(silence.message.clone()),
        _ => Seen::NotConnected(silence.message.clone()),
    }
}

async fn sample(
    mut session: Session,
    detail: Detail,
    roles: &[String],
) -> anyhow::Result<ServerSample> {
    let sample = server::read(&mut session, detail, roles)
        .await
        .with_context(|| format!("reading the sessions of {}", session.place()))?;
    session.close().await;
    Ok(sample)
}
