//! Steps on indexes, several side by side: builds on different tables run together, everything else
//! keeps its place.

use std::cell::RefCell;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use tokio::sync::Notify;

use super::outcome::{Status, StepOutcome};
use super::run::{Report, one};
use super::step::{Stepper, blank};
use crate::changes::changeset::{Action, Hazard, Step};
use crate::ident::QualifiedName;

/// What is left to do, shared by the workers of one thread.
struct Queue<'a> {
    steps: Vec<&'a Step>,
    running: BTreeSet<u32>,
    done: BTreeMap<u32, StepOutcome>,
}

/// Runs the steps on all connections; a connection that is lost leaves the rest to the others.
pub(super) async fn run(
    steppers: &mut [Stepper<'_>],
    steps: Vec<&Step>,
    done: BTreeMap<u32, StepOutcome>,
    allowed: &[Hazard],
    report: &Report<'_>,
) -> BTreeMap<u32, StepOutcome> {
    let queue = RefCell::new(Queue {
        steps,
        running: BTreeSet::new(),
        done,
    });
    let changed = Notify::new();
    join_all(
        steppers
            .iter_mut()
            .map(|stepper| work(stepper, &queue, &changed, allowed, report)),
    )
    .await;
    let Queue {
        steps, mut done, ..
    } = queue.into_inner();
    for step in steps {
        // Every connection was lost before it.
        if let Entry::Vacant(entry) = done.entry(step.id) {
            let why = steppers.iter().find_map(|stepper| stepper.lost.clone());
            let mut outcome = blank(step, Status::Skipped);
            outcome.reason = Some(format!(
                "the connection was lost: {}",
                why.unwrap_or_default()
            ));
            report.ended(step, &outcome).await;
            entry.insert(outcome);
        }
    }
    done
}

async fn work(
    stepper: &mut Stepper<'_>,
    queue: &RefCell<Queue<'_>>,
    changed: &Notify,
    allowed: &[Hazard],
    report: &Report<'_>,
) {
    while stepper.lost.is_none() {
        let notified = changed.notified();
        tokio::pin!(notified);
        // Registered before the look, so that no change in between is missed.
        notified.as_mut().enable();
        let next = queue.borrow_mut().take();
        let Some(step) = next else {
            if queue.borrow().over() {
                break;
            }
            notified.await;
            continue;
        };
        let needed = queue.borrow().needed(step);
        let outcome = one(stepper, step, &needed, allowed, report).await;
        queue.borrow_mut().end(step, outcome);
        changed.notify_waiters();
    }
    changed.notify_waiters();
}

impl<'a> Queue<'a> {
    /// Takes the first step that may run now.
    fn take(&mut self) -> Option<&'a Step> {
        let step = ready(&self.steps, &self.running, |id| self.done.contains_key(&id))?;
        self.running.insert(step.id);
        Some(step)
    }

    /// What a step depends on: the one it comes after; of a drop everything that ended on its table.
    fn needed(&self, step: &Step) -> BTreeMap<u32, StepOutcome> {
        let drops = matches!(step.action, Action::DropIndex | Action::DropParentIndex);
        self.done
            .iter()
            .filter(|(id, other)| Some(**id) == step.after || (drops && other.table == step.table))
            .map(|(id, other)| (*id, other.clone()))
            .collect()
    }

    fn end(&mut self, step: &Step, outcome: StepOutcome) {
        self.running.remove(&step.id);
        self.done.insert(step.id, outcome);
    }

    /// Whether no step is left to begin.
    fn over(&self) -> bool {
        self.steps
            .iter()
            .all(|step| self.running.contains(&step.id) || self.done.contains_key(&step.id))
    }
}

/// Returns the first step that may begin: what it needs has ended, and nothing before it or beside it
/// has to end first.
fn ready<'a>(
    steps: &[&'a Step],
    running: &BTreeSet<u32>,
    done: impl Fn(u32) -> bool,
) -> Option<&'a Step> {
    let known = |id: u32| steps.iter().any(|step| step.id == id);
    steps.iter().enumerate().find_map(|(at, step)| {
        let begun = running.contains(&step.id) || done(step.id);
        let needs = step.after.is_some_and(|id| known(id) && !done(id));
        let held = steps.iter().enumerate().any(|(other_at, other)| {
            let pending = other_at < at && !done(other.id);
            other_at != at && (pending || running.contains(&other.id)) && !beside(step, other)
        });
        (!begun && !needs && !held).then_some(*step)
    })
}

/// Whether two steps may run side by side, and so also in any order.
fn beside(a: &Step, b: &Step) -> bool {
    if physical(a) == physical(b) {
        return false;
    }
    // Partitions' builds do not meet; the steps on the partitioned table itself come before or after all
    // of them.
    a.table != b.table || (is_build(a.action) && is_build(b.action)) || of_leaf(a, b)
}

/// A partition's index is attached while others are still being built; attaching locks the
/// partitioned index, so two of those come one after the other.
fn of_leaf(a: &Step, b: &Step) -> bool {
    matches!(
        (a.action, b.action),
        (Action::AttachIndex, other) | (other, Action::AttachIndex) if is_build(other)
    )
}

fn is_build(action: Action) -> bool {
    matches!(action, Action::CreateIndex | Action::ReindexIndex)
}

fn physical(step: &Step) -> &QualifiedName {
    step.index
        .as_ref()
        .map_or(&step.table, |index| &index.table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::changeset::IndexChange;
    use crate::plan_file::LockBudget;

    fn step(id: u32, after: Option<u32>, action: Action, table: &str, leaf: &str) -> Step {
        Step {
            id,
            table: QualifiedName::new("public", table),
            after,
            action,
            summary: String::new(),
            partitions: Vec::new(),
            index: Some(IndexChange {
                name: QualifiedName::new("public", format!("{leaf}_i")),
                table: QualifiedName::new("public", leaf),
                rows_estimate: None,
                bytes: None,
                hot_cost: None,
                follows: None,
                oid: None,
                invalid: false,
            }),
            locks: Vec::new(),
            hazards: Vec::new(),
            allowed_by_plan: Vec::new(),
            budget: LockBudget::default(),
            ways: Vec::new(),
        }
    }

    /// Runs as many at a time as may be, the longest-running ending last; returns each round.
    fn rounds(steps: &[Step]) -> Vec<Vec<u32>> {
        let steps: Vec<&Step> = steps.iter().collect();
        let mut done: BTreeSet<u32> = BTreeSet::new();
        let mut rounds = Vec::new();
        while done.len() < steps.len() {
            let mut running = BTreeSet::new();
            while let Some(step) = ready(&steps, &running, |id| done.contains(&id)) {
                running.insert(step.id);
            }
            assert!(!running.is_empty(), "stuck after {rounds:?}");
            rounds.push(running.iter().copied().collect());
            done.extend(running);
        }
        rounds
    }

    #[test]
    fn builds_of_partitions_run_side_by_side_between_their_parents_steps() {
        use Action::{AddConstraint, AttachIndex, CreateIndex, CreateParentIndex};
        let steps = [
            step(1, None, CreateParentIndex, "p", "p"),
            step(2, Some(1), CreateIndex, "p", "p_1"),
            step(3, Some(2), AttachIndex, "p", "p_1"),
            step(4, Some(1), CreateIndex, "p", "p_2"),
            step(5, Some(4), AttachIndex, "p", "p_2"),
            step(6, Some(5), AddConstraint, "p", "p"),
        ];
        assert_eq!(
            rounds(&steps),
            [vec![1], vec![2, 4], vec![3], vec![5], vec![6]]
        );
    }

    #[test]
    fn steps_of_one_table_keep_their_order_and_other_tables_do_not_wait() {
        use Action::{CreateIndex, DropIndex};
        let steps = [
            step(1, None, CreateIndex, "a", "a"),
            step(2, None, DropIndex, "a", "a"),
            step(3, None, CreateIndex, "b", "b"),
            step(4, None, DropIndex, "c", "c"),
        ];
        assert_eq!(rounds(&steps), [vec![1, 3, 4], vec![2]]);
    }

    #[test]
    fn a_chain_stays_a_chain() {
        let steps = [
            step(1, None, Action::CreateIndex, "a", "a_1"),
            step(2, Some(1), Action::CreateIndex, "a", "a_2"),
        ];
        assert_eq!(rounds(&steps), [vec![1], vec![2]]);
    }
}
