//! Generic plans of the worst statements, and the indexes that they want.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::catalog::indexes::{self, IndexScope};
use crate::catalog::plans::{Plan, generic_plan};
use crate::catalog::{TableScope, advise, hypothetical};
use crate::checks::queries::propose::{
    Proposal, Proven, Slow, findings, parsed, propose, take_proof,
};
use crate::checks::queries::report::{Explained, Report};
use crate::cli::context::{Context, Selected};
use crate::conn::target::Node;
use crate::conn::{Purpose, Settings, begin_read, connect};
use crate::failure::Failure;
use crate::plan_file::PlanFile;
use crate::render::advise::{AdviceReport, plan as plan_text};
use crate::syntax::IndexSpec;
use crate::syntax::shape::StatementKind;

/// More candidates than this are not tried in one session: HypoPG runs out of OIDs.
const MOST_PROOFS: usize = 20;

/// Plans the first `most` statements of each report, in the databases they belong to.
///
/// # Errors
/// Usage, or the connection to the server fails; a database that cannot be reached is said and passed over.
pub(super) fn explain(
    reports: &mut [Report],
    most: usize,
    plan: &PlanFile,
    context: &Context,
) -> anyhow::Result<()> {
    let targets = context.targets(plan)?;
    for report in reports {
        let Some(settings) = settings_of(&report.target, &targets, context)? else {
            continue;
        };
        context.block_on(of_report(report, most, plan, &settings, context))?;
    }
    Ok(())
}

fn settings_of(
    name: &str,
    targets: &[Selected],
    context: &Context,
) -> anyhow::Result<Option<Settings>> {
    for selected in targets {
        if selected.name == name {
            return context.settings(selected).map(Some);
        }
        if let Some(replica) = name
            .strip_prefix(&selected.name)
            .and_then(|rest| rest.strip_prefix('/'))
        {
            return context
                .settings_of(selected, Node::Replica(replica))
                .map(Some);
        }
    }
    Ok(None)
}

async fn of_report(
    report: &mut Report,
    most: usize,
    plan: &PlanFile,
    settings: &Settings,
    context: &Context,
) -> anyhow::Result<()> {
    let mut by_database: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, line) in report.statements.iter().enumerate().take(most) {
        if line.raw_text.is_some() && is_planned(line.statement_kind) {
            by_database
                .entry(line.database.clone())
                .or_default()
                .push(at);
        }
    }
    let declared: Vec<IndexSpec> = plan
        .indexes
        .iter()
        .filter_map(|index| index.spec().ok().flatten())
        .collect();
    for (database, places) in by_database {
        let own = Settings {
            dbname: database.clone(),
            ..settings.clone()
        };
        if let Err(error) = of_database(report, &places, &declared, &own).await {
            context.ui.warning(&format!(
                "no plans of statements of database {database}: {}",
                crate::conn::failure::describe_error(&error)
            ));
        }
    }
    Ok(())
}

/// Only what can be planned without doing anything.
fn is_planned(kind: StatementKind) -> bool {
    !matches!(kind, StatementKind::Transaction | StatementKind::Utility)
}

async fn of_database(
    report: &mut Report,
    places: &[usize],
    declared: &[IndexSpec],
    settings: &Settings,
) -> anyhow::Result<()> {
    let mut session = connect(settings, Purpose::Read).await?;
    let tx = begin_read(&mut session).await?;
    let scope = IndexScope {
        tables: TableScope::All,
        names: Vec::new(),
    };
    let catalog = indexes::read(&tx, &scope).await?;
    let mut plans: Vec<(usize, Plan)> = Vec::new();
    for &at in places {
        let Some(line) = report.statements.get_mut(at) else {
            continue;
        };
        let text = line.raw_text.clone().unwrap_or_default();
        let planned = generic_plan(&tx, catalog.server.version_num, &text, line.userid).await?;
        line.explained = Some(match planned {
            Ok(plan) => {
                plans.push((at, plan.clone()));
                Explained::of(plan, line.figures.rows_per_call)
            }
            Err(refusal) => Explained::refused(refusal),
        });
    }
    let planned: Vec<Slow<'_>> = plans
        .iter()
        .filter_map(|(at, plan)| {
            let line = report.statements.get(*at)?;
            Some(Slow {
                rank: line.rank,
                text: line.raw_text.as_deref()?,
                total_ms: line.figures.total_ms,
                plan,
            })
        })
        .collect();
    let mut proposals = propose(&catalog, &planned, declared);
    let schema = advise::read(&tx, &catalog).await?.hypopg_schema;
    if let Some(schema) = schema {
        let mut kept = Vec::new();
        for (at, mut proposal) in proposals.into_iter().enumerate() {
            if at >= MOST_PROOFS {
                kept.push(proposal);
                continue;
            }
            let mut wanted = false;
            let ranks = proposal.statements.clone();
            for one in planned.iter().filter(|one| ranks.contains(&one.rank)) {
                let Some(statement) = parsed(one.text) else {
                    continue;
                };
                let spec = [proposal.spec.clone()];
                // As it was planned before: by the search_path of the role that sends it.
                let mut lines = report.statements.iter();
                let role = lines
                    .find(|line| line.rank == one.rank)
                    .map(|line| line.userid);
                let proofs = hypothetical::prove(&tx, &schema, &statement, &spec, role).await?;
                // What the planner was not asked it did not refuse.
                let asked = matches!(proofs, hypothetical::Proofs::Asked { .. });
                wanted |= !asked || take_proof(&mut proposal, &proofs);
            }
            if wanted {
                kept.push(proposal);
            } else {
                report.refused_proposals += 1;
            }
        }
        proposals = kept;
    }
    report.proposals.extend(proposals.into_iter().map(|one| {
        let database = settings.dbname.clone();
        crate::checks::queries::report::InDatabase {
            database,
            proposal: one,
        }
    }));
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    Ok(())
}

/// Writes the proposals as a plan file.
///
/// # Errors
/// They are for several databases, the file exists, or it cannot be written.
pub(super) fn write_plan(path: &Path, reports: &[Report], context: &Context) -> anyhow::Result<()> {
    let mut databases: Vec<(&str, &str)> = reports
        .iter()
        .flat_map(|report| {
            let all = report.proposals.iter();
            all.map(|one| (report.target.as_str(), one.database.as_str()))
        })
        .collect();
    databases.sort_unstable();
    databases.dedup();
    if databases.len() > 1 {
        bail!(
            Failure::usage("a plan file is made from the proposals for one database")
                .hint("choose one with --database NAME")
        );
    }
    let proposals: Vec<Proposal> = reports
        .iter()
        .flat_map(|report| &report.proposals)
        .map(|one| one.proposal.clone())
        .collect();
    let (target, database) = databases.first().copied().unwrap_or(("", ""));
    let advice = AdviceReport {
        target: target.to_owned(),
        database: database.to_owned(),
        nodes: Vec::new(),
        unreached: Vec::new(),
        findings: findings(&proposals),
    };
    let text = plan_text(&advice).replacen(
        "Made by dbops indexes advise from",
        "Made by dbops queries slow from",
        1,
    );
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))?;
    std::io::Write::write_all(&mut file, text.as_bytes())
        .with_context(|| format!("writing {}", path.display()))?;
    let unproven = proposals
        .iter()
        .filter(|one| one.proven == Proven::Nothing)
        .count();
    if unproven > 0 {
        context.ui.warning(&format!(
            "{unproven} of {} proposals are not proven: HypoPG is not installed there",
            proposals.len()
        ));
    }
    context.ui.hint(&format!(
        "look through {0}, then: dbops indexes apply --dry-run --plan {0}",
        path.display()
    ));
    Ok(())
}
