//! Which indexes no node of a target scans: what the primary has is held against the scans on every node.

use anyhow::Context as _;

use super::primary::Asked;
use crate::catalog::TableScope;
use crate::catalog::advise::{self, AdviceFacts, NodeUsage};
use crate::catalog::index_model::{Fold, IndexCatalog};
use crate::catalog::indexes::{self, IndexScope};
use crate::checks::advise::{Inputs, Limits, questions, unused};
use crate::checks::judge::Measured;
use crate::checks::measure;
use crate::conn::{Session, begin_read};
use crate::plan_file::metric::{Metric, metric};

/// The metric.
pub(super) const UNUSED: &str = "index.unused";

/// What the primary has.
pub(super) struct Held {
    catalog: IndexCatalog,
    facts: AdviceFacts,
    folds: Vec<Fold>,
    usage: NodeUsage,
}

/// Reads what the primary has.
pub(super) async fn held(session: &mut Session) -> anyhow::Result<Held> {
    let tx = begin_read(session).await?;
    let scope = IndexScope {
        tables: TableScope::All,
        names: Vec::new(),
    };
    let catalog = indexes::read(&tx, &scope).await?;
    let usage = advise::usage(&tx, "primary").await?;
    let facts = advise::read(&tx, &catalog).await?;
    let folds = indexes::answer(&tx, &questions(&catalog)).await?.folds;
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    Ok(Held {
        catalog,
        facts,
        folds,
        usage,
    })
}

/// Reads how indexes were used on another node.
pub(super) async fn usage(session: &mut Session, node: &str) -> anyhow::Result<NodeUsage> {
    let tx = begin_read(session).await?;
    let usage = advise::usage(&tx, node).await?;
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    Ok(usage)
}

/// How far statistics have to reach back to tell, in seconds: as far as any rule wants.
fn reach(asked: &Asked<'_>) -> f64 {
    let rules = asked.wanted.rules.iter();
    let rules = rules.filter(|rule| rule.metric == UNUSED);
    let usual = metric(UNUSED).map(Metric::usual_window);
    let longest = rules.filter_map(|rule| rule.window.or(usual)).max();
    #[expect(clippy::cast_precision_loss, reason = "a month in milliseconds")]
    longest.map_or(f64::INFINITY, |window| window.0 as f64 / 1_000.0)
}

/// The figure; `others` are the other nodes, each with why it could not be asked where it could not.
pub(super) fn figure(
    asked: &Asked<'_>,
    held: Held,
    others: Vec<(String, Result<NodeUsage, String>)>,
) -> Measured {
    let mut nodes = vec![held.usage];
    let mut unreached = Vec::new();
    for (name, usage) in others {
        match usage {
            Ok(usage) => nodes.push(usage),
            Err(why) => unreached.push((name, why)),
        }
    }
    let found = unused(Inputs {
        catalog: &held.catalog,
        facts: &held.facts,
        folds: &held.folds,
        nodes: &nodes,
        unreached: &unreached,
        limits: Limits {
            min_age_seconds: reach(asked),
            unused_for_seconds: None,
        },
    });
    let database = &held.catalog.server.database;
    measure::unused(&asked.selected.name, database, &found)
}
