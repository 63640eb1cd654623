//! `dbops history`.

use super::context::Context;
use super::ui;
use crate::conn::{Purpose, begin_read, connect};
use crate::failure::Exit;
use crate::history::read::runs;
use crate::render;

/// Show the runs of writing commands and their steps, newest first
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Number of runs
    #[arg(short = 'l', long, default_value_t = 10, value_name = "COUNT")]
    limit: u32,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_for_targets()?;
    let mut reports = Vec::new();
    for selected in context.targets(&plan)? {
        let found = context.block_on(async {
            let settings = context.settings(&selected)?;
            let mut session = connect(&settings, Purpose::Read).await?;
            let tx = begin_read(&mut session).await?;
            runs(&tx, i64::from(args.limit)).await
        })?;
        if found.is_none() {
            context.ui.hint(&format!(
                "target {}: the database holds no history; where its schema cannot be created it is in {}",
                selected.name,
                context.history_file().display()
            ));
        }
        reports.push((selected.name, found.unwrap_or_default()));
    }
    let out = if args.json {
        let targets: Vec<_> = reports
            .iter()
            .map(|(target, runs)| serde_json::json!({"target": target, "runs": runs}))
            .collect();
        render::json::pretty(&serde_json::json!({"format": "dbops.history/1", "targets": targets}))
    } else {
        let one = reports.len() == 1;
        reports
            .iter()
            .map(|(target, runs)| {
                let heading = if one {
                    String::new()
                } else {
                    format!("target {target}\n")
                };
                heading + &render::history::text(runs, ui::width())
            })
            .collect()
    };
    context.ui.result(&out)?;
    Ok(Exit::Done)
}
