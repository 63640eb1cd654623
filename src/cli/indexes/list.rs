//! `dbops indexes list`.

use crate::changes::indexes::survey;
use crate::cli::change::{Breadth, Depth, read_indexes};
use crate::cli::context::{Context, Selected};
use crate::cli::ui::{self, Output};
use crate::conn::{Purpose, connect};
use crate::failure::Exit;
use crate::ident::QualifiedName;
use crate::plan_file::PlanFile;
use crate::render::index_survey::{IndexReport, json, text};

/// List indexes: declared, missing, different, invalid, being built, undeclared
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tables to list [default: all]
    #[arg(value_name = "TABLE", value_parser = QualifiedName::parse)]
    tables: Vec<QualifiedName>,
    /// Leave out indexes that no plan file names
    #[arg(long)]
    declared: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_if_any()?;
    let targets = context.targets(&plan)?;
    let mut reports = Vec::new();
    for selected in &targets {
        reports.push(context.block_on(report_of(&args, context, &plan, selected))?);
    }
    let out = match args.output {
        Output::Json => json(&reports),
        Output::Table => {
            let rendered: Vec<_> = reports
                .iter()
                .map(|report| (report.target.as_str(), text(report, ui::width())))
                .collect();
            ui::by_target(&rendered)
        }
    };
    context.ui.result(&out)?;
    Ok(Exit::Done)
}

async fn report_of(
    args: &Args,
    context: &Context,
    plan: &PlanFile,
    selected: &Selected,
) -> anyhow::Result<IndexReport> {
    let settings = context.settings(selected)?;
    let mut session = connect(&settings, Purpose::Read).await?;
    let now = context.now();
    let breadth = if args.declared {
        Breadth::Declared
    } else {
        Breadth::All
    };
    let read = read_indexes(plan, &mut session, now, breadth, Depth::Compare).await?;
    for table in &args.tables {
        if !read.catalog.tables.iter().any(|found| found.name == *table) {
            context.ui.warning(&format!(
                "there is no table {table} in database {}",
                read.catalog.server.database
            ));
        }
    }
    let mut indexes = survey(read.inputs(now), &read.answers);
    indexes.retain(|index| {
        (!args.declared || index.origin.is_some())
            && (args.tables.is_empty()
                || index
                    .table
                    .as_ref()
                    .is_some_and(|table| args.tables.contains(table)))
    });
    Ok(IndexReport {
        target: selected.name.clone(),
        database: read.catalog.server.database.clone(),
        indexes,
    })
}
