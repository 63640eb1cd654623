//! `dbops apply`: runs a saved changeset, exactly as it was shown.

use std::path::PathBuf;

use super::change::{Execution, IndexRunArgs, RunArgs, execute, lock, planned, refuse_read_only};
use super::context::{Context, clock};
use super::signals::watch_interrupts;
use super::ui::Output;
use crate::apply::Outcome;
use crate::apply::exclusive::Area;
use crate::catalog::indexes::{self, IndexScope};
use crate::catalog::{self, Scope, Server, Sizes, TableScope, difference};
use crate::changes::changeset::{Action, Changeset, Step, Subject};
use crate::changes::indexes as planner;
use crate::changes::inputs::basis_of;
use crate::changes::saved;
use crate::conn::{Purpose, Session, begin_read, connect};
use crate::failure::{Exit, Failure};
use crate::ident::QualifiedName;
use crate::plan_file::LockBudget;
use crate::render;
use crate::render::json::{RunReport, runs};
use anyhow::Context as _;

/// Run a changeset that `--out` saved; refused when the database has changed since
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The saved changeset
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    indexes: IndexRunArgs,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(mut args: Args, context: &Context) -> anyhow::Result<Exit> {
    args.run.indexes = args.indexes;
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
        forecast: None,
    };
    if changeset.is_empty() {
        return Ok(report(None, planned(changeset)));
    }
    let mut reader = connect(&settings, Purpose::Read).await?;
    let patience = args.run.budget(LockBudget::default()).patience;
    let lock = lock(&settings, &areas(changeset), patience).await?;
    let server = check(changeset, &mut reader).await?;
    refuse_read_only(&server, &settings)?;
    let execution = Execution {
        args: &args.run,
        context,
        interrupt: watch_interrupts()?,
    };
    let (outcome, _lock) = execute(&settings, lock, changeset, &server, &execution).await?;
    let mut exit = outcome.exit().worst(planned(changeset));
    if changeset
        .steps
        .iter()
        .any(|step| step.action == Action::AwaitBuild)
    {
        // What is left to do after another session's build was not known when it was saved.
        context.ui.hint(
            "the changeset waited for another session's build: compute a new one for what is left",
        );
        exit = exit.worst(Exit::Deferred);
    }
    Ok(report(Some(outcome), exit))
}

fn areas(changeset: &Changeset) -> Vec<Area> {
    let of_indexes = |step: &Step| step.action.is_of_indexes();
    let mut areas = Vec::new();
    if !changeset.steps.iter().all(of_indexes) {
        areas.push(Area::Partitions);
    }
    if changeset.steps.iter().any(of_indexes) {
        areas.push(Area::Indexes);
    }
    areas
}

/// Reads the structure again, under the lock, and refuses a changeset that was computed from another.
async fn check(changeset: &Changeset, reader: &mut Session) -> anyhow::Result<Server> {
    let tables = |subject| -> Vec<QualifiedName> {
        changeset
            .basis
            .iter()
            .filter(|basis| basis.subject == subject)
            .map(|basis| basis.table.clone())
            .collect()
    };
    let tx = begin_read(reader).await?;
    let scope = Scope {
        tables: TableScope::Named(tables(Subject::Partitions)),
        sizes: Sizes::Skip,
        schemas: Vec::new(),
    };
    let catalog = catalog::read(&tx, &scope).await?;
    let index_scope = IndexScope {
        tables: TableScope::Named(tables(Subject::Indexes)),
        names: Vec::new(),
    };
    let index_catalog = indexes::read(&tx, &index_scope).await?;
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    let server = catalog.server.clone();
    if server.database != changeset.database {
        return Err(Failure::refused(format!(
            "the changeset belongs to database {}, this is {}",
            changeset.database, server.database
        ))
        .into());
    }
    if server.in_recovery {
        return Err(Failure::refused("this server is a standby")
            .hint("connect to its primary")
            .into());
    }
    if server.version_num / 10_000 != changeset.server_version_num / 10_000 {
        return Err(Failure::refused(
            "the server's major version has changed since the changeset was made",
        )
        .into());
    }
    let mut changed = Vec::new();
    for basis in &changeset.basis {
        let now = match basis.subject {
            Subject::Partitions => basis_of(&catalog, &basis.table),
            Subject::Indexes => planner::basis_of(&index_catalog, &basis.table),
        };
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
        return Ok(server);
    }
    Err(Failure::refused(format!(
        "the changeset is stale: the database has changed since it was made; nothing was touched\n{}",
        changed.join("\n")
    ))
    .hint("compute it again, look at it, and apply the new one")
    .into())
}
