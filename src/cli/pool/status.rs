//! `dbops pool status`.

use super::nodes::{Ask, ask};
use crate::checks::pool::status::{Node, Status, status};
use crate::checks::reason::Reason;
use crate::cli::asking::{FailOn, NodeArgs};
use crate::cli::context::Context;
use crate::cli::ui::Output;
use crate::failure::Exit;
use crate::render::pool::status::{json, text};
use crate::sample::pool::server::Detail;

/// Show what servers and poolers take, which wall is hit first, and why pools wait
///
/// Asks every node that the plan file names, or the one of the connection options; a PgBouncer's console is recognised.
/// A login that is refused because the server is full is a finding, not an error. Reads only.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    nodes: NodeArgs,
    /// Exit with 1 when something is at least as bad as this [default: never]
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_for_targets()?;
    let Some(answers) = ask(&args.nodes, context, &plan, Ask::All(Detail::Counts))? else {
        return Ok(Exit::Interrupted);
    };
    let reports: Vec<Status> = answers
        .iter()
        .map(|one| status(&one.selected.name, &one.asked))
        .collect();
    let exit = exit(&reports, args.fail_on);
    let out = match args.output {
        Output::Json => json(&reports, exit),
        Output::Table => reports.iter().map(text).collect::<Vec<_>>().join("\n"),
    };
    context.ui.result(&out)?;
    Ok(exit)
}

/// One node that cannot be reached is a finding; where none of a target can, that is a connection error, after all that
/// could be told was told.
fn exit(reports: &[Status], fail_on: Option<FailOn>) -> Exit {
    let of = |report: &Status| {
        let lost = |node: &Node| node.unknown == Some(Reason::NotConnected);
        if report.nodes.iter().all(lost) {
            Exit::Usage
        } else {
            FailOn::exit(fail_on, report.worst)
        }
    };
    reports
        .iter()
        .fold(Exit::Done, |exit, one| exit.worst(of(one)))
}
