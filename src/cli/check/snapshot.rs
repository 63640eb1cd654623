//! `dbops snapshot`.

use std::path::PathBuf;
use std::time::Duration;

use super::{Burst, asked, burst, gather, saved};
use crate::checks::input;
use crate::checks::snapshot::{everything, snapshot, text};
use crate::cli::context::{Context, clock};
use crate::cli::new_file;
use crate::failure::Exit;
use crate::plan_file::Millis;
use crate::render::words::plural;

/// Save everything that is measured, to be judged later with `check --from`
///
/// Reads what `dbops check` reads, all metrics of all targets, whatever the rules. The file holds names of databases, tables and roles, and statements without their literals; no secrets.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Write the snapshot to this file, in one piece
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Look so often, so far apart: 5x1s; figures over time need two looks
    #[arg(long, value_name = "NxTIME", value_parser = burst)]
    burst: Option<Burst>,
    /// Take figures that no server tells from this file, dbops.input/1
    #[arg(long, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Write nothing to servers: lag of replicas is what they show, not that of a small commit (a logical message)
    #[arg(long)]
    no_probe: bool,
    /// Give up on a target after this long
    #[arg(long, value_name = "TIME", default_value = "15s")]
    timeout: Millis,
}

pub(in crate::cli) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_if_any()?;
    let targets = context.targets(&plan)?;
    let names: Vec<String> = targets.iter().map(|one| one.name.clone()).collect();
    let rules = asked(&plan, &everything(&plan.rules));
    let handed = saved::handed(&args.input)?;
    let how = gather::How {
        most: Duration::from_millis(args.timeout.0),
        probe: !args.no_probe,
    };
    let burst = args.burst.unwrap_or(Burst::ONCE);
    let mut looks = Vec::new();
    for at in 0..burst.times {
        if at > 0 {
            std::thread::sleep(Duration::from_millis(burst.apart.0));
        }
        let mut gathered =
            context.block_on(gather::gather(context, &plan, &rules, &targets, how))?;
        let now = context.as_of().unwrap_or_else(clock);
        input::add(&handed, &mut gathered, &names, plan.defaults.every, now)
            .map_err(crate::failure::Failure::usage)?;
        looks.push((now, gathered));
    }
    let figures = looks.last().map_or(0, |(_, one)| one.measured.len());
    let missing = looks.last().map_or(0, |(_, one)| one.missing.len());
    new_file::replace(&args.out, &text(&snapshot(names, &rules, &looks)))?;
    context.ui.result(&format!(
        "{}: {} in {}, {missing} of which nothing is known; dbops check --from judges it\n",
        args.out.display(),
        plural(figures, "figure"),
        plural(looks.len(), "look"),
    ))?;
    Ok(Exit::Done)
}
