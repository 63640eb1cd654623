//! `dbops pool`: the group only dispatches.

mod budget;
mod nodes;
mod sessions;
mod status;

use clap::{Args, Subcommand};

use super::context::Context;
use crate::failure::Exit;

/// Show who takes the connections, and what is left of them
#[derive(Debug, Args)]
pub(super) struct Group {
    #[command(subcommand)]
    command: Command,
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
        Command::Status(args) => status::run(args, context),
        Command::Sessions(args) => sessions::run(args, context),
        Command::Budget(args) => budget::run(args, context),
    }
}
