//! `dbops queries snapshot`.

use std::path::PathBuf;

use std::ops::ControlFlow;

use super::source::{SourceArgs, on_each, only_one, readings, tell};
use super::windows::{WindowArgs, until_interrupted};
use crate::cli::context::Context;
use crate::failure::{Exit, Failure};
use crate::sample::statements::file::{self, Saving};
use crate::sample::statements::windows::record;

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
    /// Take readings for this many windows instead of one reading
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with = "from")]
    windows: Option<u32>,
    #[command(flatten)]
    length: WindowArgs,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    if let Some(windows) = args.windows {
        return recorded(&args, windows, context);
    }
    if args.source.from.is_empty() {
        only_one(&args.source, context, &context.plan_for_targets()?)?;
    }
    let sampled = readings(&args.source, context)?;
    let [one] = sampled.as_slice() else {
        return Err(Failure::usage("--file takes one --from FILE").into());
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

/// Writes readings as they are taken: an interrupted recording holds what was there until then.
fn recorded(args: &Args, windows: u32, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_for_targets()?;
    only_one(&args.source, context, &plan)?;
    let wanted = args.length.wanted(windows, &args.source);
    let told = on_each(&args.source, context, &plan, async |place, mut session| {
        let mut saving = Saving::begin(&args.file)?;
        let mut written = Ok(());
        let stop = until_interrupted()?;
        let recording = record(&mut session, &wanted, stop, |recording| {
            let first = match recording.windows.len() {
                1 => saving.add(&recording.first),
                _ => Ok(()),
            };
            written = first.and_then(|()| saving.add(&recording.last));
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })
        .await?;
        written?;
        saving.end()?;
        tell(context, &place.name, &recording.first.notes());
        let exit = if recording.interrupted {
            Exit::Interrupted
        } else {
            Exit::Done
        };
        let text = format!(
            "{} windows of {:.2} s of {} written to {}\n",
            recording.windows.len(),
            recording.window_seconds,
            place.name,
            args.file.display()
        );
        Ok((text, exit))
    })?;
    let mut worst = Exit::Done;
    for (text, exit) in told {
        context.ui.result(&text)?;
        worst = worst.worst(exit);
    }
    Ok(worst)
}
