//! `dbops indexes`: the group only dispatches.

mod advise;
mod apply;
mod import;
pub(super) mod lint;
mod list;

use clap::{Args, Subcommand};

use super::context::Context;
use crate::failure::Exit;

pub(super) use import::read as read_live;

/// Build declared indexes online, list, import and advise
#[derive(Debug, Args)]
pub(super) struct Group {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List indexes: declared, missing, different, invalid, being built, undeclared
    List(list::Args),
    /// Build what is missing, change what differs, drop what should be absent, without blocking writers
    Apply(apply::Args),
    /// Turn a SQL file or a live database's indexes into a plan file
    Import(import::Args),
    /// Advise on indexes: duplicates, unused, invalid, missing on foreign keys, bloat, HOT updates
    Advise(advise::Args),
}

pub(super) fn run(group: Group, context: &Context) -> anyhow::Result<Exit> {
    match group.command {
        Command::List(args) => list::run(args, context),
        Command::Apply(args) => apply::run(args, context),
        Command::Import(args) => import::run(args, context),
        Command::Advise(args) => advise::run(args, context),
    }
}
