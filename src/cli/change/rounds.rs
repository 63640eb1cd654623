//! Computing and running in turns, until nothing is left to do.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::execute::{Execution, execute, lock};
use super::{Planning, compute};
use crate::apply::Outcome;
use crate::apply::exclusive;
use crate::changes::changeset::{Action, Changeset, Refusal};
use crate::conn::failure::describe_error;
use crate::conn::{Session, Settings};
use crate::failure::{Exit, exit_of, hints_of};
use crate::ident::QualifiedName;

/// Rounds of computing and running before dbops stops: each of them is to find less than the one before.
const MAX_ROUNDS: usize = 6;

const LEFT_TO_DO: &str =
    "something is left to do, because another session is at work on a declared table; run it again";

/// Pause before another session's work is waited for once more.
const BETWEEN_WAITS: Duration = Duration::from_secs(1);

/// What all rounds of a run did.
pub(super) struct Rounds {
    /// The steps of all rounds, and what the last one refused.
    pub(super) changeset: Changeset,
    /// What came of them.
    pub(super) outcome: Outcome,
    /// Why the run ended before nothing was left to do, and the exit code of that.
    pub(super) unfinished: Option<(String, Exit)>,
}

/// Runs what is computed again under the lock, because another run may have just ended; with indexes
/// once more after each round that did something, because a partition may have been added meanwhile and
/// what another session built may be what was wanted.
pub(super) async fn rounds(
    one: &Planning<'_>,
    settings: &Settings,
    reader: &mut Session,
    execution: &Execution<'_>,
) -> anyhow::Result<Rounds> {
    let mut lock = lock(settings, one.verb.areas(), one.plan.lock_budget.patience).await?;
    let now = execution.context.now();
    let first = compute(one, reader, now).await?;
    let (outcome, held) =
        execute(settings, lock, &first.changeset, &first.server, execution).await?;
    lock = held;
    let mut done = Rounds {
        changeset: first.changeset,
        outcome,
        unfinished: None,
    };
    if !one.verb.is_of_partitions()
        && let Err(error) = more(one, settings, reader, execution, lock, &mut done).await
    {
        // What ran is reported whatever came after it; code 2 would say that nothing was touched.
        let code = match exit_of(&error) {
            Exit::Usage => Exit::PartWay,
            code => code,
        };
        let mut why = format!("not looked at to the end: {}", describe_error(&error));
        for hint in hints_of(&error) {
            why.push_str(&format!("\n  {hint}"));
        }
        done.unfinished = Some((why, code));
    }
    Ok(done)
}

/// Goes on while there is something to do.
async fn more(
    one: &Planning<'_>,
    settings: &Settings,
    reader: &mut Session,
    execution: &Execution<'_>,
    mut lock: Session,
    done: &mut Rounds,
) -> anyhow::Result<()> {
    let now = execution.context.now();
    let mut builds = 1;
    let patience = Duration::from_millis(one.plan.lock_budget.patience.0);
    let deadline = Instant::now() + patience;
    while done.outcome.exit() == Exit::Done && !done.outcome.steps.is_empty() {
        let mut computed = compute(one, reader, now).await?;
        let built = built(&done.changeset);
        let unstable: Vec<Refusal> = unstable(&mut computed.changeset, &built);
        // What was refused at first and is served now is refused no more.
        done.changeset.refusals = computed.changeset.refusals.clone();
        done.changeset.refusals.extend(unstable);
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
            done.unfinished = Some((LEFT_TO_DO.to_owned(), Exit::Deferred));
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
        let offset = done.changeset.last_id();
        done.outcome.append(next, offset);
        done.changeset.append(computed.changeset);
    }
    Ok(())
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
