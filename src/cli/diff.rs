//! `dbops diff`: what ensure and `indexes apply` would do.

use std::path::PathBuf;

use super::change::{self, ChangeArgs, Verb};
use super::context::Context;
use crate::failure::Exit;

/// Show what `partitions ensure` and `indexes apply` would do
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Save the changeset to a file for `dbops apply`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 1 when there is a difference
    #[arg(long)]
    exit_code: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: change::Output,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    change::run(
        Verb::Diff,
        &ChangeArgs::show(args.out, args.exit_code, args.output),
        context,
    )
}
