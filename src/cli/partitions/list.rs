//! `dbops partitions list`.

use crate::catalog::{self, Scope, Sizes, TableScope};
use crate::changes::inputs::Inputs;
use crate::changes::survey;
use crate::cli::context::{Context, Selected};
use crate::cli::ui::{self, Output};
use crate::conn::{Purpose, begin_read, connect};
use crate::failure::Exit;
use crate::ident::QualifiedName;
use crate::plan_file::PlanFile;
use crate::render::json::{SurveyReport, surveys};
use crate::render::survey::{Detail, text};

/// List every partitioned table: key, period, partitions, gaps, runway
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tables to list [default: all]
    #[arg(value_name = "TABLE", value_parser = QualifiedName::parse)]
    tables: Vec<QualifiedName>,
    /// Show every partition with its bounds
    #[arg(long)]
    partitions: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_if_any()?;
    let targets = context.targets(&plan)?;
    let mut reports = Vec::new();
    for selected in &targets {
        reports.push(context.block_on(survey_of(&args, context, &plan, selected))?);
    }
    let out = match args.output {
        Output::Json => surveys(&reports),
        Output::Table => {
            let detail = if args.partitions {
                Detail::Partitions
            } else {
                Detail::Tables
            };
            let rendered: Vec<_> = reports
                .iter()
                .map(|report| {
                    let text = text(&report.tables, detail, ui::width());
                    (report.target.as_str(), text)
                })
                .collect();
            ui::by_target(&rendered)
        }
    };
    context.ui.result(&out)?;
    Ok(Exit::Done)
}

async fn survey_of(
    args: &Args,
    context: &Context,
    plan: &PlanFile,
    selected: &Selected,
) -> anyhow::Result<SurveyReport> {
    let settings = context.settings(selected)?;
    let mut session = connect(&settings, Purpose::Read).await?;
    let tx = begin_read(&mut session).await?;
    let tables = if args.tables.is_empty() {
        TableScope::All
    } else {
        TableScope::Named(args.tables.clone())
    };
    let catalog = catalog::read(
        &tx,
        &Scope {
            tables,
            sizes: Sizes::Measure,
            schemas: Vec::new(),
        },
    )
    .await?;
    for table in &args.tables {
        if !catalog.tables.iter().any(|found| found.name == *table) {
            context.ui.warning(&format!(
                "there is no partitioned table {table} in database {}",
                catalog.server.database
            ));
        }
    }
    let inputs = Inputs {
        policies: &plan.partitions,
        budget: plan.lock_budget,
        catalog: &catalog,
        now: context.now(),
    };
    let answers = catalog::answer(&tx, &survey::questions(inputs)).await?;
    tx.commit().await?;
    Ok(SurveyReport {
        target: selected.name.clone(),
        database: catalog.server.database.clone(),
        tables: survey::survey(inputs, &answers),
    })
}
