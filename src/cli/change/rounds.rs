//! Computing and running in turns, until nothing is left to do.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::execute::{Execution, execute, lock};
use super::{Planning, compute};
use crate::apply::Outcome;
use crate::apply::exclusive;
use crate::changes::changeset::{Action, Changeset, Refusal};
use crate::conn::{Session, Settings};
use crate::failure::Exit;
use crate::ident::QualifiedName;

/// Rounds of computing and running before dbops stops: each of them is to find less than the one before.
const MAX_ROUNDS: usize = 6;

/// Pause before another session's work is waited for once more.
const BETWEEN_WAITS: Duration = Duration::from_secs(1);

/// Runs what is computed again under the lock, because another run may have just ended; with indexes
/// once more after each round that did something, because a partition may have been added meanwhile and
/// what another session built may be what was wanted.
pub(super) async fn rounds(
    one: &Planning<'_>,
    settings: &Settings,
    reader: &mut Session,
    execution: &Execution<'_>,
) -> anyhow::Result<(Changeset, Outcome, bool)> {
    let mut lock = lock(settings, one.verb.areas(), one.plan.lock_budget.patience).await?;
    let now = execution.context.now();
    let mut computed = compute(one, reader, now).await?;
    let (mut outcome, held) = execute(
        settings,
        lock,
        &computed.changeset,
        &computed.server,
        execution,
    )
    .await?;
    lock = held;
    let mut total = computed.changeset;
    let mut left_to_do = false;
    let mut builds = 1;
    let patience = Duration::from_millis(one.plan.lock_budget.patience.0);
    let deadline = Instant::now() + patience;
    while !one.verb.is_of_partitions() && outcome.exit() == Exit::Done && !outcome.steps.is_empty()
    {
        computed = compute(one, reader, now).await?;
        let built = built(&total);
        let unstable: Vec<Refusal> = unstable(&mut computed.changeset, &built);
        // What was refused at first and is served now is refused no more.
        total.refusals = computed.changeset.refusals.clone();
        total.refusals.extend(unstable);
        if computed.changeset.is_empty() {
            break;
        }
        // A session that is about to build, or to drop, shows no progress that could be followed.
        let waits = computed
            .changeset
            .steps
            .iter()
            .all(|step| step.action == Action::AwaitBuild);
        if waits {
            tokio::time::sleep(BETWEEN_WAITS).await;
        } else {
            builds += 1;
        }
        if builds > MAX_ROUNDS || (waits && Instant::now() >= deadline) {
            left_to_do = true;
            break;
        }
        for area in one.verb.areas() {
            exclusive::still_held(&lock, *area).await?;
        }
        let (next, held) = execute(
            settings,
            lock,
            &computed.changeset,
            &computed.server,
            execution,
        )
        .await?;
        lock = held;
        if waits && next.exit() == Exit::Done {
            continue;
        }
        let offset = total.last_id();
        outcome.append(next, offset);
        total.append(computed.changeset);
    }
    Ok((total, outcome, left_to_do))
}

/// Indexes that were built in this run.
fn built(changeset: &Changeset) -> BTreeSet<QualifiedName> {
    changeset
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::CreateIndex | Action::CreateParentIndex))
        .filter_map(|step| step.index.as_ref().map(|index| index.name.clone()))
        .collect()
}

/// Takes out steps that would build again what this run has built: its definition does not compare
/// equal to itself, and building it for ever would not change that.
fn unstable(changeset: &mut Changeset, built: &BTreeSet<QualifiedName>) -> Vec<Refusal> {
    let again: Vec<(QualifiedName, QualifiedName)> = changeset
        .steps
        .iter()
        .filter(|step| matches!(step.action, Action::CreateIndex | Action::CreateParentIndex))
        .filter_map(|step| Some((step.table.clone(), step.index.as_ref()?.name.clone())))
        .filter(|(_, index)| built.contains(index))
        .collect();
    if again.is_empty() {
        return Vec::new();
    }
    changeset
        .steps
        .retain(|step| !again.iter().any(|(table, _)| step.table == *table));
    again
        .into_iter()
        .map(|(table, index)| Refusal {
            code: "does-not-converge".to_owned(),
            message: format!(
                "{index} was built in this run and still differs from what the plan file declares"
            ),
            relation: Some(index),
            table,
            remedy: vec![
                "run `dbops indexes list` to see the difference, and write the definition as the server prints it"
                    .to_owned(),
            ],
            origin: Default::default(),
        })
        .collect()
}
