//! `dbops partitions ensure`.

use crate::cli::change::{self, ChangeArgs, Verb};
use crate::cli::context::Context;
use crate::failure::Exit;

/// Create what is missing up to `premake` periods ahead, and fill gaps in the managed window
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    change: ChangeArgs,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    change::run(Verb::Ensure, &args.change, context)
}
