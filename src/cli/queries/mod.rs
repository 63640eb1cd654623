//! `dbops queries`: the group only dispatches.

mod snapshot;
mod source;
mod windows;

use clap::{Args, Subcommand};

use super::context::Context;
use crate::failure::Exit;

/// Read what pg_stat_statements counts
#[derive(Debug, Args)]
pub(super) struct Group {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keep what pg_stat_statements counts now, to compare with later
    Snapshot(snapshot::Args),
}

pub(super) fn run(group: Group, context: &Context) -> anyhow::Result<Exit> {
    match group.command {
        Command::Snapshot(args) => snapshot::run(args, context),
    }
}
