//! `dbops replication`: the group only dispatches; without a word it shows the status.

mod figures;
mod gather;
mod slots;
mod status;
mod wait;

pub(super) use self::figures::{answers, declared, figures};
pub(super) use self::gather::probed;
use clap::{Args, Subcommand};

use super::context::Context;
use crate::failure::Exit;

/// Show replicas with their real lag, slots, and wait until replicas have caught up
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
    /// Show the tree of replication: state, positions, lag and what it rests on
    Status(status::Args),
    /// Show replication slots: what they keep and how long they still can
    Slots(slots::Args),
    /// Wait until replicas have caught up, for scripts
    Wait(wait::Args),
}

pub(super) fn run(group: Group, context: &Context) -> anyhow::Result<Exit> {
    match group.command {
        None => status::run(group.status, context),
        Some(Command::Status(args)) => status::run(args, context),
        Some(Command::Slots(args)) => slots::run(args, context),
        Some(Command::Wait(args)) => wait::run(args, context),
    }
}
