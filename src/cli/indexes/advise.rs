//! `dbops indexes advise`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::catalog::advise::{self, AdviceFacts, NodeUsage};
use crate::catalog::index_model::IndexCatalog;
use crate::catalog::indexes::{self, IndexScope};
use crate::catalog::{TableScope, hypothetical};
use crate::checks::advise::candidate;
use crate::checks::advise::{
    Finding, Inputs, Limits, examine, large_btrees, questions, sort, statement,
};
use crate::cli::context::{Context, Selected};
use crate::cli::ui::Output;
use crate::conn::failure::describe_error;
use crate::conn::target::Node;
use crate::conn::{Purpose, begin_read, connect};
use crate::failure::{Exit, Failure};
use crate::ident::QualifiedName;
use crate::render::advise::{AdviceNode, AdviceReport, UnreachedNode, json, plan, text};
use crate::syntax::statement::{Statement, statements as read_statements};
use anyhow::{Context as _, bail};

/// Advise on indexes: duplicates, unused, invalid, missing on foreign keys, bloat, HOT updates
///
/// Reads only: one read-only transaction on the primary and one on each declared replica. What cannot be proven
/// is said and is never advice.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tables to look at, with their partitions [default: all]
    #[arg(value_name = "TABLE", value_parser = QualifiedName::parse)]
    tables: Vec<QualifiedName>,
    /// Shortest history of statistics that tells whether an index is unused
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = seconds)]
    min_age: f64,
    /// Count an index as unused that was scanned, but not for this long (PostgreSQL 16 and later)
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    unused_for: Option<f64>,
    /// Measure bloat by pgstattuple where it is installed: reads each large btree index as a whole
    #[arg(long)]
    exact: bool,
    /// A statement that an index is wanted for; proven by HypoPG where it is installed
    #[arg(long, value_name = "SQL")]
    for_statement: Vec<String>,
    /// A file of such statements, separated by semicolons
    #[arg(long, value_name = "FILE")]
    for_statements: Option<PathBuf>,
    /// Write the advice that a plan file can say to this file
    #[arg(long, value_name = "FILE")]
    write_plan: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "write_plan")]
    force: bool,
    /// Exit with 1 when there is advice
    #[arg(long)]
    exit_code: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    if let Some(path) = args.write_plan.as_deref().filter(|_| !args.force)
        && path.symlink_metadata().is_ok()
    {
        bail!(exists(path));
    }
    let statements = statements(&args)?;
    let plan_file = context.plan_for_targets()?;
    let targets = context.targets(&plan_file)?;
    if args.write_plan.is_some() && targets.len() > 1 {
        bail!(
            Failure::usage("a plan file is made from the advice for one database")
                .hint("choose a target with --target NAME")
        );
    }
    let mut reports = Vec::new();
    for selected in &targets {
        let report = context.block_on(advice(&args, context, &statements, selected))?;
        reports.push(report);
    }
    let found = reports.iter().any(|report| report.advice() > 0);
    let exit = if found && args.exit_code {
        Exit::Findings
    } else {
        Exit::Done
    };
    if let (Some(path), Some(report)) = (&args.write_plan, reports.first()) {
        write(path, &plan(report), args.force)?;
        context.ui.hint(&format!(
            "look through {0}, then: dbops indexes apply --dry-run --plan {0}",
            path.display()
        ));
    }
    let out = match args.output {
        Output::Json => json(&reports, exit),
        Output::Table => {
            let texts: Vec<String> = reports.iter().map(text).collect();
            texts.join("\n")
        }
    };
    context.ui.result(&out)?;
    Ok(exit)
}

/// What was read on the primary.
struct Primary {
    catalog: IndexCatalog,
    facts: AdviceFacts,
    folds: Vec<crate::catalog::index_model::Fold>,
    usage: NodeUsage,
    statements: Vec<Finding>,
}

async fn advice(
    args: &Args,
    context: &Context,
    statements: &[Statement],
    selected: &Selected,
) -> anyhow::Result<AdviceReport> {
    let primary = primary(args, context, statements, selected).await?;
    let mut nodes = vec![primary.usage];
    let mut unreached = Vec::new();
    let replicas = selected.target.iter().flat_map(|target| &target.replicas);
    for replica in replicas {
        let name = replica.name.clone().unwrap_or_default();
        match replica_usage(context, selected, &name).await {
            Ok(usage) => nodes.push(usage),
            Err(error) => {
                let reason = describe_error(&error);
                context.ui.warning(&format!(
                    "replica {name} could not be asked, so nothing is proven unused: {reason}"
                ));
                unreached.push((name, reason));
            }
        }
    }
    let mut findings = examine(Inputs {
        catalog: &primary.catalog,
        facts: &primary.facts,
        folds: &primary.folds,
        nodes: &nodes,
        unreached: &unreached,
        limits: Limits {
            min_age_seconds: args.min_age,
            unused_for_seconds: args.unused_for,
        },
    });
    findings.extend(primary.statements);
    sort(&mut findings);
    Ok(AdviceReport {
        target: selected.name.clone(),
        database: primary.catalog.server.database.clone(),
        nodes: nodes
            .iter()
            .map(|node| AdviceNode {
                node: node.node.clone(),
                stats_seconds: node.stats_seconds,
            })
            .collect(),
        unreached: unreached
            .into_iter()
            .map(|(node, reason)| UnreachedNode { node, reason })
            .collect(),
        findings,
    })
}

async fn primary(
    args: &Args,
    context: &Context,
    statements: &[Statement],
    selected: &Selected,
) -> anyhow::Result<Primary> {
    let settings = context.settings(selected)?;
    let mut session = connect(&settings, Purpose::Read).await?;
    let tx = begin_read(&mut session).await?;
    let scope = IndexScope {
        tables: if args.tables.is_empty() {
            TableScope::All
        } else {
            TableScope::Named(args.tables.clone())
        },
        names: Vec::new(),
    };
    let catalog = indexes::read(&tx, &scope).await?;
    for table in &args.tables {
        if !catalog.tables.iter().any(|found| found.name == *table) {
            context.ui.warning(&format!(
                "there is no table {table} in database {}",
                catalog.server.database
            ));
        }
    }
    let usage = advise::usage(&tx, "primary").await?;
    let mut facts = advise::read(&tx, &catalog).await?;
    let folds = indexes::answer(&tx, &questions(&catalog)).await?.folds;
    if args.exact {
        match &facts.pgstattuple_schema {
            None => context.ui.warning(
                "--exact: pgstattuple is not installed in this database, bloat is estimated",
            ),
            Some(schema) => match advise::densities(&tx, schema, &large_btrees(&catalog)).await {
                Ok(densities) => facts.densities = densities,
                Err(error) => context.ui.warning(&format!(
                    "--exact: bloat is estimated, because pgstattuple cannot be used: {}",
                    describe_error(&error)
                )),
            },
        }
    }
    let mut found = Vec::new();
    for one in statements {
        let candidates = candidate::candidates(&catalog, one);
        let proofs = match &facts.hypopg_schema {
            Some(schema) => Some(hypothetical::prove(&tx, schema, one, &candidates, None).await?),
            None => None,
        };
        found.extend(statement::judge(
            &catalog,
            one,
            &candidates,
            proofs.as_ref(),
        ));
    }
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    Ok(Primary {
        catalog,
        facts,
        folds,
        usage,
        statements: found,
    })
}

async fn replica_usage(
    context: &Context,
    selected: &Selected,
    name: &str,
) -> anyhow::Result<NodeUsage> {
    let settings = context.settings_of(selected, Node::Replica(name))?;
    let mut session = connect(&settings, Purpose::Read).await?;
    let tx = begin_read(&mut session).await?;
    let usage = advise::usage(&tx, name).await?;
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    Ok(usage)
}

fn statements(args: &Args) -> anyhow::Result<Vec<Statement>> {
    let mut found = Vec::new();
    let mut read = |text: &str, place: &str| -> anyhow::Result<()> {
        let more = read_statements(text).map_err(|fault| {
            let before = text.get(..fault.start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            Failure::usage(format!("{place}, line {line}: {}", fault.message))
                .hint("an index can be looked for on behalf of SELECT, UPDATE and DELETE")
        })?;
        found.extend(more);
        Ok(())
    };
    for text in &args.for_statement {
        read(text, "--for-statement")?;
    }
    if let Some(path) = &args.for_statements {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
        read(&text, &path.display().to_string())?;
    }
    Ok(found)
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

/// Reads a length of time: `30d`, `12 h`, `90 days`, `0`.
fn seconds(text: &str) -> Result<f64, String> {
    let trimmed = text.trim();
    let digits = trimmed
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let scale = match unit.trim() {
        "" if number == "0" => 1.0,
        "s" | "second" | "seconds" => 1.0,
        "min" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return Err("write a number and s, min, h, d or w: 30d".to_owned()),
    };
    number
        .parse::<u32>()
        .map(|number| f64::from(number) * scale)
        .map_err(|_| "write a number and s, min, h, d or w: 30d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_a_unit() {
        assert_eq!(seconds("30d"), Ok(2_592_000.0));
        assert_eq!(seconds("2 hours"), Ok(7_200.0));
        assert_eq!(seconds("0"), Ok(0.0));
        for text in ["30", "d", "-1d", "1.5d", "1 month", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
