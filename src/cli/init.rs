//! `dbops init`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::context::{Context, Selected};
use crate::catalog::{self, Catalog, Scope, Sizes, TableScope};
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
    /// Write this file instead of printing
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "out")]
    force: bool,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    if let Some(path) = args.out.as_deref().filter(|_| !args.force)
        && path.symlink_metadata().is_ok()
    {
        bail!(exists(path));
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
    let text = crate::render::starter::yaml(&starter, &catalog.server.database);
    match &args.out {
        None => context.ui.result(&text)?,
        Some(path) => write(path, &text, args.force)?,
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

/// Writes the file; without `force` the system itself refuses one that has come to exist.
fn write(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(exists(path).into()),
        Err(error) => {
            Err(Failure::usage(format!("cannot write {}: {error}", path.display())).into())
        }
    }
}

fn exists(path: &Path) -> Failure {
    Failure::usage(format!("{} exists already", path.display()))
        .hint("name another file, or replace it with --force")
}
