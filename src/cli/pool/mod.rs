//! `dbops pool`: the group only dispatches; without a word it shows the status.

mod budget;
mod nodes;
mod sessions;
mod status;

use std::time::Duration;

use clap::{Args, Subcommand};

use self::nodes::{Ask, NodeArgs, ask_target};
use super::context::{Context, Selected};
use crate::checks::judge::Measured;
use crate::checks::pool::budget::{Inputs, budget};
use crate::checks::pool::measured::measured;
use crate::checks::pool::status::status;
use crate::failure::Exit;
use crate::sample::pool::server::Detail;

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

/// Measures what rules can hold of a target's connections and pools, on all nodes of it within `most` each.
///
/// # Errors
/// Usage; a node that cannot be reached is a figure that is not known.
pub(super) async fn figures(
    context: &Context,
    selected: &Selected,
    most: Duration,
) -> anyhow::Result<Vec<Measured>> {
    let everything = NodeArgs { node: None };
    let what = Ask::All(Detail::Counts);
    let asked = ask_target(&everything, context, selected, what, Some(most)).await?;
    let target = selected.target.as_ref();
    let budget = target
        .filter(|target| !target.app_pools.is_empty())
        .map(|target| {
            budget(Inputs {
                name: &selected.name,
                target,
                asked: &asked,
                capacity: None,
                machine: None,
            })
        });
    let status = status(&selected.name, &asked);
    Ok(measured(&status, target, budget.as_ref()))
}
