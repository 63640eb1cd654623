//! `dbops indexes apply`.

use crate::cli::change::{self, ChangeArgs, IndexRunArgs, Verb};
use crate::cli::context::Context;
use crate::failure::Exit;

/// Bring the indexes of the declared tables to what the plan files say, one short lock at a time
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    indexes: IndexRunArgs,
}

pub(crate) fn run(mut args: Args, context: &Context) -> anyhow::Result<Exit> {
    args.change.run.indexes = args.indexes;
    change::run(Verb::Indexes, &args.change, context)
}
