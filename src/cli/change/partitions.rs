//! What `partitions ensure` and `partitions prune` compute.

use anyhow::Context as _;
use chrono::{DateTime, Utc};

use super::{Computed, Planning};
use crate::catalog::{self, Scope, Sizes, TableScope};
use crate::changes::changeset::Action;
use crate::changes::inputs::{Heading, Inputs, basis_of};
use crate::changes::{ensure, retention};
use crate::cli::context::clock;
use crate::conn::{Session, begin_read};
use crate::plan_file::{Expire, PartitionPolicy};

/// Which planner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planner {
    Ensure,
    Prune,
}

/// Reads the catalog in one read-only transaction and computes the changeset from it.
pub(super) async fn compute(
    planner: Planner,
    one: &Planning<'_>,
    reader: &mut Session,
    now: DateTime<Utc>,
) -> anyhow::Result<Computed> {
    let policies: &[PartitionPolicy] = &one.plan.partitions;
    let tx = begin_read(reader).await?;
    let catalog = catalog::read(&tx, &scope(policies)).await?;
    let inputs = Inputs {
        policies,
        budget: one.plan.lock_budget,
        catalog: &catalog,
        now,
    };
    let questions = match planner {
        Planner::Ensure => ensure::questions(inputs),
        Planner::Prune => retention::questions(inputs),
    };
    let answers = catalog::answer(&tx, &questions).await?;
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    let draft = match planner {
        Planner::Ensure => ensure::ensure(inputs, &answers),
        Planner::Prune => retention::prune(inputs, &answers),
    };
    let created_at = clock();
    let expires_at = one.expires_at(created_at);
    // A detach that is run later than its own grace time would be dropped at once.
    let detaches = draft
        .steps
        .iter()
        .any(|step| step.action == Action::DetachPartition);
    let grace_over = policies
        .iter()
        .filter(|policy| detaches && policy.expire == Expire::Detach)
        .map(|policy| retention::drop_after(inputs, policy.grace))
        .filter(|end| *end > created_at)
        .min();
    let heading = Heading {
        command: one.verb.command(),
        target: &one.selected.name,
        created_at,
        expires_at: grace_over.map_or(expires_at, |end| end.min(expires_at)),
    };
    let changeset = draft.into_changeset(&catalog.server, now, &heading, |table| {
        basis_of(&catalog, table)
    });
    Ok(Computed {
        server: catalog.server,
        changeset,
    })
}

fn scope(policies: &[PartitionPolicy]) -> Scope {
    let mut schemas: Vec<String> = policies
        .iter()
        .map(|policy| {
            policy
                .schema
                .clone()
                .unwrap_or_else(|| policy.table.schema.clone())
        })
        .collect();
    schemas.sort();
    schemas.dedup();
    Scope {
        tables: TableScope::Named(policies.iter().map(|policy| policy.table.clone()).collect()),
        sizes: Sizes::Skip,
        schemas,
    }
}
