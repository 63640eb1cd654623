//! `dbops init`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::context::{Context, Selected};
use super::indexes::read_live;
use super::new_file::{self, Existing};
use crate::catalog::{self, Catalog, Scope, Sizes, TableScope};
use crate::changes::indexes::import::{Wanted, from_catalog};
use crate::changes::starter::starter;
use crate::conn::{Purpose, begin_read, connect};
use crate::failure::{Exit, Failure};
use crate::render::words::plural;

/// Print a starter plan file from a live database
///
/// Reads only. Every table that is partitioned by range gets an entry; where its period cannot be
/// told from its partitions, the entry is a comment that says why.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Add the indexes that are there, as `dbops indexes import --from-database` does
    #[arg(long)]
    indexes: bool,
    /// Write this file instead of printing
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "out")]
    force: bool,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let existing = Existing::forced(args.force);
    if let Some(path) = &args.out {
        new_file::check(path, existing)?;
    }
    let plan = context.plan_for_targets()?;
    let targets = context.targets(&plan)?;
    let [selected] = targets.as_slice() else {
        bail!(
            Failure::usage("a starter plan file is made from one database")
                .hint("choose a target with --target NAME")
        );
    };
    let catalog = context.block_on(read(context, selected))?;
    let starter = starter(&catalog, context.now());
    let mut text = crate::render::starter::yaml(&starter, &catalog.server.database);
    if args.indexes {
        let live = context.block_on(read_live(context, selected, TableScope::All))?;
        let import = from_catalog(&live, Wanted::default());
        let section = crate::render::index_plan::section(&import);
        if !section.is_empty() {
            text.push('\n');
            text.push_str(&section);
        }
        for note in import.notes.iter().chain(&import.faults) {
            context.ui.warning(&note.message);
        }
    }
    match &args.out {
        None => context.ui.result(&text)?,
        Some(path) => new_file::write(path, &text, existing)?,
    }
    let open = starter.tables.iter().filter(|table| table.open.is_some());
    let open = open.count();
    if open > 0 {
        let (tables, are) = (plural(open, "table"), if open == 1 { "is" } else { "are" });
        context.ui.warning(&format!(
            "{tables} {are} commented out; each entry says why"
        ));
    }
    if let Some(path) = &args.out {
        context
            .ui
            .hint(&format!("go on with dbops diff --plan {}", path.display()));
    }
    Ok(Exit::Done)
}

async fn read(context: &Context, selected: &Selected) -> anyhow::Result<Catalog> {
    let settings = context.settings(selected)?;
    let mut session = connect(&settings, Purpose::Read).await?;
    let tx = begin_read(&mut session).await?;
    let scope = Scope {
        tables: TableScope::All,
        sizes: Sizes::Skip,
        schemas: Vec::new(),
    };
    let catalog = catalog::read(&tx, &scope).await?;
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    Ok(catalog)
}
