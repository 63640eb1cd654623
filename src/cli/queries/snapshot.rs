//! `dbops queries snapshot`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;

use super::source::{SourceArgs, on_each, only_one, primary, readings, take, tell};
use super::windows::{WindowArgs, until_interrupted};
use crate::cli::context::Context;
use crate::cli::ui::{self, Output};
use crate::conn::{Purpose, begin_read};
use crate::failure::{Exit, Failure};
use crate::history::statements::{self, Storing};
use crate::render;
use crate::sample::statements::file::{self, Saving};
use crate::sample::statements::read::Texts;
use crate::sample::statements::windows::record;

/// Keep what pg_stat_statements counts now, to compare with later
///
/// Stores the reading in the schema `dbops` of the target's database, or with --file in a file. The statistics are never
/// reset.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    /// Write the reading of one node to this file instead; on the server nothing is written
    #[arg(long, value_name = "PATH", conflicts_with_all = ["name", "keep", "list"])]
    file: Option<PathBuf>,
    /// Take readings for this many windows instead of one reading
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with = "from", requires = "file")]
    windows: Option<u32>,
    #[command(flatten)]
    length: WindowArgs,
    /// Keep the reading under this name, whatever --keep says later
    #[arg(long, value_name = "BASELINE", value_parser = statements::name)]
    name: Option<String>,
    /// Then remove stored readings without a name that are older: 30d, 12h
    #[arg(long, value_name = "AGE", value_parser = age)]
    keep: Option<TimeDelta>,
    /// List the stored readings and do nothing else
    #[arg(long, conflicts_with_all = ["name", "keep", "from"])]
    list: bool,
    /// How to print the list
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    if args.list {
        return listed(&args, context);
    }
    let Some(path) = &args.file else {
        return stored(&args, context);
    };
    if let Some(windows) = args.windows {
        return recorded(&args, path, windows, context);
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
    file::save(path, &one.readings)?;
    let entries = one.readings.last().map_or(0, |last| last.entries.len());
    context.ui.result(&format!(
        "{entries} statements of {} written to {}\n",
        one.name,
        path.display()
    ))?;
    Ok(Exit::Done)
}

/// Writes readings as they are taken: an interrupted recording holds what was there until then.
fn recorded(args: &Args, path: &Path, windows: u32, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_for_targets()?;
    only_one(&args.source, context, &plan)?;
    let wanted = args.length.wanted(windows, &args.source);
    let told = on_each(&args.source, context, &plan, async |place, mut session| {
        let mut saving = Saving::begin(path)?;
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
        let exit = if let Some(why) = &recording.failed {
            context.ui.warning(&format!(
                "target {}: the recording ended early: {why}",
                place.name
            ));
            Exit::Unknown
        } else if recording.interrupted {
            Exit::Interrupted
        } else {
            Exit::Done
        };
        let text = format!(
            "{} windows of {:.2} s of {} written to {}\n",
            recording.windows.len(),
            recording.window_seconds,
            place.name,
            path.display()
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

/// Stores a reading of each node in the schema of its target's primary.
fn stored(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    if !args.source.from.is_empty() {
        return Err(Failure::usage("--from FILE is written by --file, not stored").into());
    }
    let plan = context.plan_for_targets()?;
    if args.name.is_some() {
        only_one(&args.source, context, &plan)?;
    }
    let told = on_each(&args.source, context, &plan, async |place, mut session| {
        let snapshot = take(&mut session, &args.source.options(Texts::All)).await?;
        session.close().await;
        tell(context, &place.name, &snapshot.notes());
        let mut writer = primary(context, place, Purpose::Write).await?;
        let storing = Storing {
            node: &place.name,
            name: args.name.as_deref(),
            remove_before: args.keep.map(|age| context.now() - age),
        };
        let done = statements::store(&mut writer, &snapshot, storing).await?;
        let mut text = format!(
            "{} statements of {} stored as {}",
            snapshot.entries.len(),
            place.name,
            done.id
        );
        if let Some(name) = &args.name {
            text += &format!(", named {name}");
        }
        if let Some(old) = done.renamed {
            text += &format!("; {old} had the name before");
        }
        if done.removed > 0 {
            text += &format!("; {} old readings removed", done.removed);
        }
        Ok(text + "\n")
    })?;
    context.ui.result(&told.concat())?;
    Ok(Exit::Done)
}

fn listed(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_for_targets()?;
    let mut reports = Vec::new();
    for selected in context.targets(&plan)? {
        let stored = context.block_on(async {
            let settings = context.settings(&selected)?;
            let mut session = crate::conn::connect(&settings, Purpose::Read).await?;
            let tx = begin_read(&mut session).await?;
            statements::list(&tx).await
        })?;
        reports.push((selected.name, stored.unwrap_or_default()));
    }
    let out = match args.output {
        Output::Json => render::snapshots::json(&reports),
        Output::Table => {
            let rendered: Vec<_> = reports
                .iter()
                .map(|(target, stored)| {
                    let text = render::snapshots::text(stored, ui::width());
                    (target.as_str(), text)
                })
                .collect();
            ui::by_target(&rendered)
        }
    };
    context.ui.result(&out)?;
    Ok(Exit::Done)
}

/// Reads an age: `30d`, `12h`.
fn age(text: &str) -> Result<TimeDelta, String> {
    let wrong = || "write a number and h, d or w: 30d".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let hours = match unit {
        "h" => 1,
        "d" => 24,
        "w" => 168,
        _ => return Err(wrong()),
    };
    TimeDelta::try_hours(i64::from(number) * hours)
        .filter(|age| age.num_days() < 36_500)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_a_unit() {
        assert_eq!(age("30d"), Ok(TimeDelta::days(30)));
        assert_eq!(age("12h"), Ok(TimeDelta::hours(12)));
        for text in ["30", "d", "-1d", "1m", "4000000000w", ""] {
            assert!(age(text).is_err(), "{text}");
        }
    }
}
