//! `dbops doctor`.

use super::context::{Context, Selected};
use super::ui::Output;
use crate::catalog::readiness;
use crate::catalog::{self, Scope, Sizes, TableScope};
use crate::changes::inputs::Inputs;
use crate::changes::survey;
use crate::checks::doctor::{Facts, State, examine};
use crate::conn::{Purpose, begin_read, connect};
use crate::failure::Exit;
use crate::plan_file::PlanFile;
use crate::render;
use crate::render::doctor::DoctorReport;
use crate::sample::statements::read::read_counters;
use crate::sample::statements::unavailable::ReadError;
use anyhow::Context as _;

/// Check what dbops needs of a server: what was found, why it matters, the exact fix
///
/// Reads only. Exits with 1 when there is a problem; warnings and what is unknown exit with 0.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_if_any()?;
    let mut reports = Vec::new();
    for selected in context.targets(&plan)? {
        reports.push(context.block_on(examined(context, &plan, &selected))?);
    }
    let problems = reports
        .iter()
        .flat_map(|report: &DoctorReport| &report.checks)
        .any(|check| check.state == State::Problem);
    let exit = if problems { Exit::Findings } else { Exit::Done };
    let out = match args.output {
        Output::Json => render::doctor::json(&reports, exit),
        Output::Table => reports.iter().map(render::doctor::text).collect(),
    };
    context.ui.result(&out)?;
    Ok(exit)
}

async fn examined(
    context: &Context,
    plan: &PlanFile,
    selected: &Selected,
) -> anyhow::Result<DoctorReport> {
    let settings = context.settings(selected)?;
    let mut session = connect(&settings, Purpose::Read).await?;
    let pooler = session.pooler().map(|pooler| pooler.mode);
    let tx = begin_read(&mut session).await?;
    let mut schemas: Vec<String> = plan
        .partitions
        .iter()
        .map(|policy| {
            policy
                .schema
                .as_ref()
                .unwrap_or(&policy.table.schema)
                .clone()
        })
        .collect();
    schemas.sort();
    schemas.dedup();
    let mut scope = Scope {
        tables: TableScope::All,
        sizes: Sizes::Skip,
        schemas,
    };
    let mut catalog = catalog::read(&tx, &scope).await?;
    // Declared names that are something else are only told when asked for by name.
    let missing: Vec<_> = plan
        .partitions
        .iter()
        .map(|policy| &policy.table)
        .filter(|name| !catalog.tables.iter().any(|table| table.name == **name))
        .cloned()
        .collect();
    if !missing.is_empty() {
        scope.tables = TableScope::Named(missing);
        catalog.others = catalog::read(&tx, &scope).await?.others;
    }
    let readiness = readiness::read(&tx, &catalog).await?;
    let inputs = Inputs {
        policies: &plan.partitions,
        budget: plan.lock_budget,
        catalog: &catalog,
        now: context.now(),
    };
    let answers = catalog::answer(&tx, &survey::questions(inputs)).await?;
    // Last, because where it is not preloaded the transaction is over.
    let statements = match read_counters(&tx).await {
        Ok(snapshot) => Ok(snapshot),
        Err(ReadError::Unavailable(unavailable)) => Err(unavailable),
        Err(ReadError::Other(error)) => return Err(error),
    };
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    let surveys = survey::survey(inputs, &answers);
    let checks = examine(Facts {
        policies: &plan.partitions,
        budget: plan.lock_budget,
        catalog: &catalog,
        surveys: &surveys,
        readiness: &readiness,
        statements: statements.as_ref(),
        pooler,
    });
    Ok(DoctorReport {
        target: selected.name.clone(),
        database: catalog.server.database.clone(),
        role: catalog.server.role.clone(),
        checks,
    })
}
