//! `dbops replication slots`.

use std::time::Duration;

use super::gather::{gather_with_rate, places};
use crate::checks::replication::tree;
use crate::cli::asking::{NodeArgs, time, unless_interrupted};
use crate::cli::context::Context;
use crate::cli::ui::{self, Output};
use crate::failure::Exit;
use crate::render::replication::{self, TargetTree};

/// Show replication slots: what they keep and how long they still can
///
/// Physical and logical slots of every node: WAL kept, room until max_slot_wal_keep_size, the time until then at the rate at
/// which WAL is written now, and why one was lost. Reads only.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    nodes: NodeArgs,
    /// Over how long the rate of WAL is measured
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time)]
    rate_over: Duration,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_for_targets()?;
    let mut trees = Vec::new();
    let mut exit = Exit::Done;
    for selected in context.targets(&plan)? {
        let places = places(&args.nodes.node, context, &selected)?;
        let limit = args.nodes.patience.node_timeout;
        let sample = context.block_on(unless_interrupted(gather_with_rate(
            places,
            limit,
            args.rate_over,
        )))?;
        let Some(sample) = sample else {
            return Ok(Exit::Interrupted);
        };
        let tree = tree(&sample);
        if tree.nodes.iter().all(|node| node.silence.is_some()) {
            exit = exit.worst(Exit::Usage);
        }
        trees.push(TargetTree {
            target: selected.name,
            tree,
        });
    }
    let shown = match args.output {
        Output::Json => replication::slots_json(&trees, exit),
        Output::Table => {
            let texts: Vec<(&str, String)> = (trees.iter())
                .map(|one| {
                    let text = replication::slots_text(&one.tree, ui::width());
                    (one.target.as_str(), text)
                })
                .collect();
            ui::by_target(&texts)
        }
    };
    context.ui.result(&shown)?;
    Ok(exit)
}
