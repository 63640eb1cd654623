//! `dbops apply`: runs a saved changeset, exactly as it was shown.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;

use super::change::{RunArgs, execute};
use super::context::{Context, clock};
use crate::apply::Outcome;
use crate::apply::exclusive::{self, Area};
use crate::catalog::{self, Catalog, Scope, Sizes, TableScope, difference};
use crate::changes::changeset::Changeset;
use crate::changes::inputs::basis_of;
use crate::changes::saved;
use crate::conn::{Purpose, Session, begin_read, connect};
use crate::failure::{Exit, Failure};
use crate::render;
use crate::render::json::{RunReport, runs};

/// Run a changeset that `--out` saved; refused when the database has changed since
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The saved changeset
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    run: RunArgs,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", args.file.display())))?;
    let mut changeset = saved::read(&text)
        .map_err(|why| Failure::usage(format!("{}: {why}", args.file.display())))?;
    for step in &mut changeset.steps {
        step.budget = args.run.budget(step.budget);
    }
    let now = clock();
    if now >= changeset.expires_at {
        return Err(Failure::refused(format!(
            "{} expired at {}",
            args.file.display(),
            changeset.expires_at.format("%Y-%m-%d %H:%M:%S UTC")
        ))
        .hint("compute it again, look at it, and apply the new one")
        .into());
    }
    let report = context.block_on(on_server(&changeset, &args, context))?;
    let exit = report.exit;
    let out = match (args.output, &report.outcome) {
        (Output::Json, _) => runs(&[report], exit),
        (Output::Table, Some(outcome)) => render::outcome::text(&changeset, outcome),
        (Output::Table, None) => "nothing to do\n".to_owned(),
    };
    context.ui.result(&out)?;
    Ok(exit)
}

async fn on_server(
    changeset: &Changeset,
    args: &Args,
    context: &Context,
) -> anyhow::Result<RunReport> {
    let plan = context.plan_for_targets()?;
    let selected = if changeset.target == "default" || !plan.targets.contains_key(&changeset.target)
    {
        context.targets(&Default::default())?.pop()
    } else {
        context
            .targets(&plan)?
            .into_iter()
            .find(|selected| selected.name == changeset.target)
    };
    let selected = selected.ok_or_else(|| {
        Failure::usage(format!(
            "the changeset belongs to target `{}`, another one is chosen",
            changeset.target
        ))
    })?;
    let settings = context.settings(&selected)?;
    let report = |outcome: Option<Outcome>, exit: Exit| RunReport {
        target: changeset.target.clone(),
        changeset: Some(changeset.clone()),
        outcome,
        exit_code: exit.code(),
        exit,
        message: None,
    };
    if changeset.is_empty() {
        return Ok(report(None, Exit::Done));
    }
    let mut reader = connect(&settings, Purpose::Read).await?;
    let lock = connect(&settings, Purpose::Lock).await?;
    exclusive::take(&lock, Area::Partitions).await?;
    let catalog = check(changeset, &mut reader).await?;
    let outcome = execute(
        &settings,
        lock,
        changeset,
        &catalog,
        &args.run.allow,
        context,
    )
    .await?;
    let exit = outcome.exit();
    Ok(report(Some(outcome), exit))
}

/// Reads the structure again, under the lock, and refuses a changeset that was computed from another.
async fn check(changeset: &Changeset, reader: &mut Session) -> anyhow::Result<Catalog> {
    let tx = begin_read(reader).await?;
    let scope = Scope {
        tables: TableScope::Named(
            changeset
                .basis
                .iter()
                .map(|basis| basis.table.clone())
                .collect(),
        ),
        sizes: Sizes::Skip,
        schemas: Vec::new(),
    };
    let catalog = catalog::read(&tx, &scope).await?;
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    if catalog.server.database != changeset.database {
        return Err(Failure::refused(format!(
            "the changeset belongs to database {}, this is {}",
            changeset.database, catalog.server.database
        ))
        .into());
    }
    if catalog.server.in_recovery {
        return Err(Failure::refused("this server is a standby")
            .hint("connect to its primary")
            .into());
    }
    if catalog.server.version_num / 10_000 != changeset.server_version_num / 10_000 {
        return Err(Failure::refused(
            "the server's major version has changed since the changeset was made",
        )
        .into());
    }
    let mut changed = Vec::new();
    for basis in &changeset.basis {
        let now = basis_of(&catalog, &basis.table);
        if now.fingerprint != basis.fingerprint {
            changed.push(format!("{}:", basis.table));
            changed.extend(
                difference(&basis.facts, &now.facts)
                    .into_iter()
                    .map(|line| format!("  {line}")),
            );
        }
    }
    if changed.is_empty() {
        return Ok(catalog);
    }
    Err(Failure::refused(format!(
        "the changeset is stale: the database has changed since it was made; nothing was touched\n{}",
        changed.join("\n")
    ))
    .hint("compute it again, look at it, and apply the new one")
    .into())
}
