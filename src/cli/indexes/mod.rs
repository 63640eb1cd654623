//! `dbops indexes`: the group only dispatches.

mod advise;

use clap::{Args, Subcommand};

use super::context::Context;
use crate::failure::Exit;

/// Advise on indexes
#[derive(Debug, Args)]
pub(super) struct Group {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Advise on indexes: duplicates, unused, invalid, missing on foreign keys, bloat, HOT updates
    Advise(advise::Args),
}

pub(super) fn run(group: Group, context: &Context) -> anyhow::Result<Exit> {
    match group.command {
        Command::Advise(args) => advise::run(args, context),
    }
}
