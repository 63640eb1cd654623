//! `dbops pool sessions`.

use super::nodes::{Ask, ask};
use crate::checks::pool::tree::{Sessions, sessions};
use crate::checks::reason::Reason;
use crate::cli::asking::NodeArgs;
use crate::cli::context::Context;
use crate::cli::ui::Output;
use crate::failure::{Exit, Failure};
use crate::render::pool::sessions::{json, text};
use crate::sample::pool::server::Detail;

/// Show who is connected, the longest transactions, and who waits for whom
///
/// Statements are shown without literals and comments. Reads only; nothing is ended.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    nodes: NodeArgs,
    /// How many sessions to show for each node; 0: all
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_for_targets()?;
    let what = Ask::Servers(Detail::Statements);
    let Some(answers) = ask(&args.nodes, context, &plan, what)? else {
        return Ok(Exit::Interrupted);
    };
    let reports: Vec<Sessions> = answers
        .iter()
        .map(|one| sessions(&one.selected.name, &one.asked))
        .collect();
    if reports.iter().all(|report| report.nodes.is_empty()) {
        return Err(Failure::usage("a pooler's console shows no sessions of a server")
            .hint("name a server: `--node primary`, or the connection options of PostgreSQL itself")
            .into());
    }
    // One server that cannot be reached is said; where none of a target can, that is a connection error.
    let silent = |report: &Sessions| {
        let mut nodes = report.nodes.iter();
        !report.nodes.is_empty() && nodes.all(|node| node.unknown == Some(Reason::NotConnected))
    };
    let exit = if reports.iter().any(silent) {
        Exit::Usage
    } else {
        Exit::Done
    };
    let limit = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    let out = match args.output {
        Output::Json => json(&reports, exit),
        Output::Table => {
            let texts: Vec<String> = reports.iter().map(|one| text(one, limit)).collect();
            texts.join("\n")
        }
    };
    context.ui.result(&out)?;
    Ok(exit)
}
