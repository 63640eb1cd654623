//! `dbops replication status`.

use std::time::Duration;

use super::gather::{Probing, gather, places};
use crate::checks::replication::{Tree, tree};
use crate::cli::asking::{FailOn, NodeArgs, time, unless_interrupted};
use crate::cli::context::Context;
use crate::cli::ui::{self, Output};
use crate::failure::Exit;
use crate::render::replication::{self, TargetTree};

/// Show the tree of replication: state, positions, lag and what it rests on
///
/// Lag in time is that of one small commit (a logical message: no table, no grant needed), waited for on each replica that is
/// declared in the plan file. With --no-probe nothing is written and the servers' own figures are shown, each with what it
/// rests on. A node that does not answer is a line with the reason.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    nodes: NodeArgs,
    /// Write nothing: read what the servers show
    #[arg(long)]
    no_probe: bool,
    /// Longest wait for the probe, beside the delay that a replica is set to keep
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = time, conflicts_with = "no_probe")]
    probe_timeout: Duration,
    /// End with exit code 1 when there are findings of this severity or worse
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_for_targets()?;
    let probing = if args.no_probe {
        Probing::Off
    } else {
        Probing::patient(args.probe_timeout)
    };
    let mut trees = Vec::new();
    let mut exit = Exit::Done;
    for selected in context.targets(&plan)? {
        let places = places(&args.nodes.node, context, &selected)?;
        let limit = args.nodes.patience.node_timeout;
        let sample = context.block_on(unless_interrupted(gather(places, limit, probing)))?;
        let Some(sample) = sample else {
            return Ok(Exit::Interrupted);
        };
        let tree = tree(&sample);
        let ended = exit_of(&tree, args.fail_on);
        exit = exit.worst(ended);
        trees.push(TargetTree {
            target: selected.name,
            tree,
        });
    }
    let shown = match args.output {
        Output::Json => replication::json(&trees, exit),
        Output::Table => {
            let texts: Vec<(&str, String)> = (trees.iter())
                .map(|one| {
                    (
                        one.target.as_str(),
                        replication::text(&one.tree, ui::width()),
                    )
                })
                .collect();
            ui::by_target(&texts)
        }
    };
    context.ui.result(&shown)?;
    Ok(exit)
}

fn exit_of(tree: &Tree, fail_on: Option<FailOn>) -> Exit {
    if tree.nodes.iter().all(|node| node.silence.is_some()) {
        return Exit::Usage;
    }
    let worst = tree.findings.iter().map(|one| one.severity).max();
    FailOn::exit(fail_on, worst)
}
