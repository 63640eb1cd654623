//! `dbops queries snapshot`.

use std::path::PathBuf;

use super::source::{SourceArgs, readings, tell};
use crate::cli::context::Context;
use crate::failure::{Exit, Failure};
use crate::sample::statements::file;

/// Keep what pg_stat_statements counts now, to compare with later
///
/// Reads only; the statistics are never reset.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// File to write, for one node
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let sampled = readings(&args.source, context)?;
    let [one] = sampled.as_slice() else {
        return Err(Failure::usage(format!(
            "--file takes the reading of one node, {} are chosen",
            sampled.len()
        ))
        .hint("choose one with --target NAME and --node NAME")
        .into());
    };
    for snapshot in &one.readings {
        tell(context, &one.name, &snapshot.notes());
    }
    file::save(&args.file, &one.readings)?;
    let entries = one.readings.last().map_or(0, |last| last.entries.len());
    context.ui.result(&format!(
        "{entries} statements of {} written to {}\n",
        one.name,
        args.file.display()
    ))?;
    Ok(Exit::Done)
}
