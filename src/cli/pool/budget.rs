//! `dbops pool budget`.

use super::nodes::{Answered, Ask, ask};
use crate::checks::pool::budget::{Budget, Inputs, Machine, budget};
use crate::cli::asking::{NodeArgs, Patience};
use crate::cli::context::Context;
use crate::cli::ui::Output;
use crate::failure::{Exit, Failure};
use crate::render::pool::budget::{json, text};
use crate::sample::pool::server::Detail;

/// Hold declared application pools against the capacity, before deployment
///
/// Adds up `app_pools` (instances x max) and what poolers may open, and compares with what ordinary roles can have.
/// Exits with 1 when it is over, with 3 when it cannot be told. Reads only.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Capacity to count with instead of asking servers: max_connections less both reserves
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    capacity: Option<i64>,
    /// Cores of the database server, for advice on pool sizes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cores: Option<u32>,
    /// Disks that seek on their own, for the advice; 0 where all data is cached
    #[arg(long, value_name = "N", default_value_t = 1, requires = "cores")]
    spindles: u32,
    #[command(flatten)]
    patience: Patience,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_if_any()?;
    let answers = match args.capacity {
        // For CI: no server is needed.
        Some(_) => context
            .targets(&plan)?
            .into_iter()
            .map(|selected| Answered {
                selected,
                asked: Vec::new(),
            })
            .collect(),
        None => {
            let nodes = NodeArgs::all(args.patience.node_timeout);
            match ask(&nodes, context, &plan, Ask::All(Detail::Counts))? {
                Some(answers) => answers,
                None => return Ok(Exit::Interrupted),
            }
        }
    };
    let machine = args.cores.map(|cores| Machine {
        cores,
        spindles: args.spindles,
    });
    let mut reports: Vec<Budget> = Vec::new();
    for one in &answers {
        let Some(target) = &one.selected.target else {
            return Err(
                Failure::usage("a budget needs a target with `app_pools` in a plan file")
                    .hint("see docs/pool.md")
                    .into(),
            );
        };
        reports.push(budget(Inputs {
            name: &one.selected.name,
            target,
            asked: &one.asked,
            capacity: args.capacity,
            machine,
        }));
    }
    let exit = if reports.iter().any(|one| one.over) {
        Exit::Findings
    } else if reports.iter().any(Budget::unknown) {
        Exit::Unknown
    } else {
        Exit::Done
    };
    let out = match args.output {
        Output::Json => json(&reports, exit),
        Output::Table => reports.iter().map(text).collect::<Vec<_>>().join("\n"),
    };
    context.ui.result(&out)?;
    Ok(exit)
}
