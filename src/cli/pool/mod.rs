//! `dbops pool`: the group only dispatches; without a word it shows the status.

mod budget;
mod nodes;
mod sessions;
mod status;

use std::sync::Arc;

use clap::{Args, Subcommand};

pub(super) use self::nodes::{read_console, roles, unseen};
use super::context::{Context, Selected};
use crate::checks::judge::{Measured, Reading};
use crate::checks::measure::labels;
use crate::checks::pool::budget::{Inputs, budget};
use crate::checks::pool::measured::measured;
use crate::checks::pool::status::{Asked, Status, status};
use crate::checks::reason::Reason;
use crate::checks::verdict::{Gathered, Missing};
use crate::failure::Exit;
use crate::plan_file::Target;

/// Show who takes the connections, and what is left of them
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Group {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    status: status::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what servers and poolers take, which wall is hit first, and why pools wait
    Status(status::Args),
    /// Show who is connected, the longest transactions, and who waits for whom
    Sessions(sessions::Args),
    /// Hold declared application pools against the capacity, before deployment
    Budget(budget::Args),
}

pub(super) fn run(group: Group, context: &Context) -> anyhow::Result<Exit> {
    match group.command {
        None => status::run(group.status, context),
        Some(Command::Status(args)) => status::run(args, context),
        Some(Command::Sessions(args)) => sessions::run(args, context),
        Some(Command::Budget(args)) => budget::run(args, context),
    }
}

/// What rules can hold of a target's connections and pools, of what its nodes said.
pub(super) fn figures(selected: &Selected, asked: &[Asked]) -> Gathered {
    let target = selected.target.as_ref();
    let budget = target
        .filter(|target| !target.app_pools.is_empty())
        .map(|target| {
            budget(Inputs {
                name: &selected.name,
                target,
                asked,
                capacity: None,
                machine: None,
            })
        });
    let status = status(&selected.name, asked);
    told_once(
        &selected.name,
        target,
        measured(&status, target, budget.as_ref()),
        &status,
    )
}

/// What a node that does not answer leaves unknown has one cause, `node.up`.
fn told_once(name: &str, target: Option<&Target>, all: Vec<Measured>, status: &Status) -> Gathered {
    let mut found = Gathered::default();
    for one in all {
        match one.reading {
            Reading::Unknown {
                reason: reason @ Reason::NotConnected,
                ..
            } if one.metric.starts_with("conn.") => found.missing.push(Missing {
                metrics: one.metric,
                labels: one.labels,
                reason,
                why: format!("because node.up: {}", one.basis),
            }),
            // Of a server that is full it is not known which roles and databases there are to be held.
            Reading::Unknown { reason, .. }
                if ["conn.role_used", "conn.database_used"].contains(&one.metric)
                    && !["db_role", "database"]
                        .iter()
                        .any(|key| one.labels.contains_key(*key)) =>
            {
                found.missing.push(Missing {
                    metrics: one.metric,
                    labels: one.labels,
                    reason,
                    why: one.basis.to_string(),
                });
            }
            _ => found.measured.push(one),
        }
    }
    let poolers = target.iter().flat_map(|target| &target.poolers);
    for pooler in poolers.filter_map(|one| one.name.as_deref()) {
        let Some(node) = status.nodes.iter().find(|node| node.name == pooler) else {
            continue;
        };
        let why = node.message.clone().unwrap_or_default();
        let is_up = node.pooler.is_some();
        found.measured.push(Measured {
            metric: "node.up",
            labels: Arc::new(labels(&[
                ("target", name),
                ("node", pooler),
                ("role", "pooler"),
            ])),
            reading: Reading::State(if is_up { "up" } else { "down" }.into()),
            basis: if is_up { "connected" } else { why.as_str() }.into(),
            resolution: None,
        });
        if !is_up {
            found.missing.push(Missing {
                metrics: "pool",
                labels: Arc::new(labels(&[("target", name), ("pooler", pooler)])),
                reason: Reason::NotConnected,
                why: format!("because node.up: {why}"),
            });
        }
    }
    found
}
