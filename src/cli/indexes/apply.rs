//! `dbops indexes apply`.

use super::lint;
use crate::changes::indexes::declared;
use crate::cli::change::{self, ChangeArgs, IndexRunArgs, Verb};
use crate::cli::context::Context;
use crate::failure::Exit;
use crate::render::words::{indexes, plural};

/// Bring the indexes of the declared tables to what the plan files say, one short lock at a time
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    indexes: IndexRunArgs,
    /// Look at the plan files alone, without a database: syntax, names, redundant prefixes
    #[arg(long, requires = "dry_run", conflicts_with_all = ["out", "exit_code"])]
    offline: bool,
}

fn offline(context: &Context) -> anyhow::Result<Exit> {
    let loaded = context.plan()?;
    let warnings = lint::run(&loaded, context);
    let (declared, absent) = declared(&loaded.plan);
    context.ui.result(&format!(
        "{} declared, {} to be absent, {}\n",
        indexes(declared.len()),
        absent.len(),
        plural(warnings, "warning")
    ))?;
    Ok(Exit::Done)
}

pub(crate) fn run(mut args: Args, context: &Context) -> anyhow::Result<Exit> {
    if args.offline {
        return offline(context);
    }
    args.change.run.indexes = args.indexes;
    change::run(Verb::Indexes, &args.change, context)
}
