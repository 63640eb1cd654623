//! `dbops queries`: the group only dispatches.

mod compare;
mod explain;
mod kept;
mod n_plus_one;
mod showing;
mod sides;
mod slow;
mod snapshot;
mod source;
mod span;
mod top;
mod windows;

pub(super) use self::kept::{Found, loops, regressions};
pub(super) use self::slow::figures;
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
    /// Find statements that an application runs once for each row of another (N+1)
    NPlusOne(n_plus_one::Args),
    /// Keep what pg_stat_statements counts now, to compare with later
    Snapshot(snapshot::Args),
    /// Show what takes most of the server's time
    Top(top::Args),
    /// Show statements that break a rule, why they are slow and what to do
    Slow(slow::Args),
    /// Compare two readings: new, gone, slower, faster, more calls
    Compare(compare::Args),
}

pub(super) fn run(group: Group, context: &Context) -> anyhow::Result<Exit> {
    match group.command {
        Command::NPlusOne(args) => n_plus_one::run(args, context),
        Command::Snapshot(args) => snapshot::run(args, context),
        Command::Top(args) => top::run(args, context),
        Command::Slow(args) => slow::run(args, context),
        Command::Compare(args) => compare::run(args, context),
    }
}
