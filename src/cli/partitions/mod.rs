//! `dbops partitions`: the group only dispatches.

mod ensure;
mod list;
mod prune;

use clap::{Args, Subcommand};

use super::context::Context;
use crate::failure::Exit;

/// Create, list and prune range partitions
#[derive(Debug, Args)]
pub(super) struct Group {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List every partitioned table, managed or not
    List(list::Args),
    /// Create what is missing up to `premake` periods ahead; never drops
    Ensure(ensure::Args),
    /// Detach and drop what has passed `retain`; never creates
    Prune(prune::Args),
}

pub(super) fn run(group: Group, context: &Context) -> anyhow::Result<Exit> {
    match group.command {
        Command::List(args) => list::run(args, context),
        Command::Ensure(args) => ensure::run(args, context),
        Command::Prune(args) => prune::run(args, context),
    }
}
