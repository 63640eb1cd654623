//! `dbops partitions prune`.

use crate::cli::change::{self, ChangeArgs, Verb};
use crate::cli::context::Context;
use crate::failure::Exit;

/// Detach what lies wholly before `retain`, drop what has passed its grace time
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    change: ChangeArgs,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    change::run(Verb::Prune, &args.change, context)
}
