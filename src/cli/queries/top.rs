//! `dbops queries top`.

use clap::ValueEnum;

use super::showing::{Chosen, Showing, reports_of, show};
use super::source::SourceArgs;
use crate::checks::queries::figures::Figures;
use crate::checks::queries::reasons::not_measured;
use crate::checks::queries::report::{Order, Overview, Report};
use crate::cli::context::Context;
use crate::failure::Exit;
use crate::render::queries::table;

/// What is shown first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// Time of all executions
    #[default]
    Total,
    /// Mean execution
    Mean,
    /// Executions
    Calls,
    /// Rows of all executions
    Rows,
    /// Temporary files
    Temp,
    /// WAL
    Wal,
    /// Blocks that were not in the buffer cache
    Misses,
    /// Longest execution
    Max,
    /// Planning, where it is measured
    Planning,
}

/// Show what takes most of the server's time
///
/// Statements that differ in constants, lengths of lists and aliases are one; those of each database and role apart.
/// Reads only; the statistics are never reset.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    showing: Showing,
    /// What to show first
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// How many to show; 0: all
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let order = match args.sort {
        Sort::Total => Order::Total,
        Sort::Mean => Order::Mean,
        Sort::Calls => Order::Calls,
        Sort::Rows => Order::Rows,
        Sort::Temp => Order::Temp,
        Sort::Wal => Order::Wal,
        Sort::Misses => Order::Misses,
        Sort::Max => Order::Max,
        Sort::Planning => Order::Planning,
    };
    let reports = reports_of(&args.source, &args.chosen, context, |name, overview| {
        Ok(report(name, overview, order, &args))
    })?;
    context
        .ui
        .result(&show(&args.showing, &reports, Exit::Done, table::top))?;
    Ok(Exit::Done)
}

fn report(name: &str, overview: &Overview, order: Order, args: &Args) -> Report {
    let places: Vec<usize> = overview
        .sorted(order)
        .into_iter()
        .filter(|&at| args.chosen.takes(overview, at))
        .collect();
    let most = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    let lines = places.iter().take(most).enumerate();
    Report {
        target: name.to_owned(),
        header: overview.header.clone(),
        statements: lines
            .filter_map(|(rank, &at)| overview.line(at, rank + 1))
            .collect(),
        statements_in_all: places.len(),
        noise: overview.noise,
        not_measured: unmeasured(overview),
        rules: Vec::new(),
        too_few_calls: None,
        proposals: Vec::new(),
        refused_proposals: 0,
        findings: 0,
        unknown: 0,
        worst: None,
    }
}

/// What the server does not measure.
pub(super) fn unmeasured(overview: &Overview) -> Vec<crate::checks::queries::reasons::NotMeasured> {
    let first: Option<&Figures> = overview.figures.first();
    first
        .map(|figures| not_measured(figures, &overview.frame))
        .unwrap_or_default()
}
