//! A run: the steps of a changeset in order, each recorded before and after.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use tokio::sync::{Mutex, watch};

use super::exclusive::LockGuard;
use super::jobs;
use super::observer::Observer;
use super::outcome::{Blocked, BuildProgress, Outcome, Status, StepOutcome};
use super::step::{self, Stepper};
use crate::changes::changeset::{Action, Changeset, Hazard, LockMode, Step};
use crate::conn::Session;
use crate::history::History;
use crate::ident::QualifiedName;

/// Told about progress; a bar on a terminal, nothing elsewhere.
pub trait Events {
    /// A step begins.
    fn step_began(&mut self, step: &Step);
    /// A step is still trying to get its locks.
    fn step_waits(&mut self, step: &Step, attempts: u32);
    /// A concurrent build, dbops's own or one that is followed, has come so far.
    fn build_progress(&mut self, step: &Step, progress: &BuildProgress);
    /// A step ended.
    fn step_ended(&mut self, outcome: &StepOutcome);
}

/// What a run needs beside the changeset.
pub struct Runner<'a> {
    /// Connections that run the statements, at least one. With two, partition steps that stop nobody (see
    /// [`stops_nobody`]) run two at a time; steps on indexes of different tables run on all of them.
    pub writers: Vec<Session>,
    /// Connection that measures.
    pub observer: Session,
    /// Hazards allowed on the command line.
    pub allowed: &'a [Hazard],
    /// The server's `deadlock_timeout` in milliseconds.
    pub deadlock_timeout_ms: i64,
    /// Becomes true on Ctrl-C or SIGTERM.
    pub interrupt: watch::Receiver<bool>,
    /// The clock.
    pub clock: fn() -> DateTime<Utc>,
}

/// Where the steps of a run are told of: the history, and whoever looks on.
pub(super) struct Report<'a> {
    history: Mutex<&'a mut History>,
    events: RefCell<&'a mut dyn Events>,
    clock: fn() -> DateTime<Utc>,
    guard: Option<LockGuard>,
}

impl Report<'_> {
    async fn began(&self, step: &Step) {
        self.events.borrow_mut().step_began(step);
        let mut history = self.history.lock().await;
        history.step_began(step, (self.clock)()).await;
    }

    pub(super) fn waits(&self, step: &Step, attempts: u32) {
        self.events.borrow_mut().step_waits(step, attempts);
    }

    pub(super) fn build(&self, step: &Step, progress: &BuildProgress) {
        self.events.borrow_mut().build_progress(step, progress);
    }

    pub(super) async fn ended(&self, step: &Step, outcome: &StepOutcome) {
        let mut history = self.history.lock().await;
        history.step_ended(step, outcome, (self.clock)()).await;
        self.events.borrow_mut().step_ended(outcome);
    }
}

/// Whether a step stops neither readers nor writers: it creates tables and attaches them under locks
/// that conflict with no ordinary statement, and nothing else waits for it.
pub fn stops_nobody(step: &Step) -> bool {
    step.action == Action::CreatePartitions
        && step.after.is_none()
        && step
            .locks
            .iter()
            .all(|lock| lock.mode <= LockMode::ShareUpdateExclusive)
}

/// Runs the steps and reports on every one of them, in the changeset's order.
///
/// A step that fails, defers or is refused ends neither the run nor other tables' steps; steps that
/// need it are skipped. With a second writer, partition steps that stop nobody come first, two tables at a
/// time: never two steps of one table, whose locks would meet. Steps on indexes come last, those on
/// different tables side by side.
///
/// # Errors
/// Only when there is no writer or the observer cannot be prepared, before anything ran.
pub async fn run(
    runner: Runner<'_>,
    changeset: &Changeset,
    history: &mut History,
    events: &mut dyn Events,
) -> anyhow::Result<Outcome> {
    let started_at = (runner.clock)();
    let run = history.run_id();
    let lock_pid = history.backend_pid();
    let own = runner
        .writers
        .iter()
        .chain([&runner.observer])
        .map(|session| session.backend_pid())
        .chain([lock_pid])
        .collect();
    let observer = Observer::new(runner.observer, own).await?;
    let mut steppers: Vec<Stepper<'_>> = runner
        .writers
        .into_iter()
        .map(|writer| Stepper {
            writer,
            observer: &observer,
            deadlock_timeout_ms: runner.deadlock_timeout_ms,
            interrupt: runner.interrupt.clone(),
            lost: None,
            pending: BTreeSet::new(),
        })
        .collect();
    let (indexes, others): (Vec<&Step>, Vec<&Step>) = changeset
        .steps
        .iter()
        .partition(|step| step.action.is_of_indexes());
    let guard = match indexes.is_empty() {
        true => None,
        false => LockGuard::find(&observer, lock_pid).await?,
    };
    let report = Report {
        history: Mutex::new(history),
        events: RefCell::new(events),
        clock: runner.clock,
        guard,
    };
    let mut done: BTreeMap<u32, StepOutcome> = BTreeMap::new();
    match steppers.as_mut_slice() {
        [] => anyhow::bail!("a run needs a connection that writes"),
        [first, rest @ ..] => {
            if let Some(second) = rest.first_mut() {
                let mut by_table: BTreeMap<&QualifiedName, Vec<&Step>> = BTreeMap::new();
                for step in others.iter().filter(|step| stops_nobody(step)) {
                    by_table.entry(&step.table).or_default().push(step);
                }
                let queue = RefCell::new(by_table.into_values());
                let (mine, others) = tokio::join!(
                    work(first, &queue, runner.allowed, &report),
                    work(second, &queue, runner.allowed, &report)
                );
                done.extend(
                    mine.into_iter()
                        .chain(others)
                        .map(|outcome| (outcome.id, outcome)),
                );
            }
            for step in others {
                if !done.contains_key(&step.id) {
                    let outcome = one(first, step, &done, runner.allowed, &report).await;
                    done.insert(step.id, outcome);
                }
            }
        }
    }
    if !indexes.is_empty() {
        done = jobs::run(&mut steppers, indexes, done, runner.allowed, &report).await;
    }
    let steps: Vec<StepOutcome> = done.into_values().collect();
    let mut blocked = Blocked::default();
    for step in &steps {
        blocked.add(&step.blocked);
    }
    Ok(Outcome {
        run,
        started_at,
        finished_at: (runner.clock)(),
        interrupted: *runner.interrupt.borrow(),
        steps,
        blocked,
        history_warning: None,
    })
}

/// Takes one table's steps after the other from the queue; leaves them to others once its connection
/// is lost.
async fn work<'a>(
    stepper: &mut Stepper<'_>,
    queue: &RefCell<impl Iterator<Item = Vec<&'a Step>>>,
    allowed: &[Hazard],
    report: &Report<'_>,
) -> Vec<StepOutcome> {
    let mut outcomes = Vec::new();
    while stepper.lost.is_none() {
        let Some(steps) = queue.borrow_mut().next() else {
            break;
        };
        for step in steps {
            outcomes.push(one(stepper, step, &BTreeMap::new(), allowed, report).await);
        }
    }
    outcomes
}

pub(super) async fn one(
    stepper: &mut Stepper<'_>,
    step: &Step,
    before: &BTreeMap<u32, StepOutcome>,
    allowed: &[Hazard],
    report: &Report<'_>,
) -> StepOutcome {
    if step.action.is_of_indexes()
        && let Some(guard) = &report.guard
        && let Err(why) = guard.check(stepper.observer).await
    {
        stepper.lost.get_or_insert(why);
    }
    let outcome = match why_not(step, before, stepper, allowed) {
        Some(outcome) => outcome,
        None => {
            report.began(step).await;
            stepper.run(step, report).await
        }
    };
    report.ended(step, &outcome).await;
    outcome
}

/// Returns a step that was to make a declared index of the table and did not, before an index is dropped
/// that it may be meant to replace.
fn unserved<'a>(step: &Step, before: &'a BTreeMap<u32, StepOutcome>) -> Option<&'a StepOutcome> {
    let drops = matches!(step.action, Action::DropIndex | Action::DropParentIndex)
        && step.hazards.contains(&Hazard::DropsIndex);
    before.values().find(|other| {
        drops
            && other.id < step.id
            && other.table == step.table
            && other.status != Status::Done
            && matches!(
                other.action,
                Action::CreateIndex
                    | Action::CreateParentIndex
                    | Action::ReindexIndex
                    | Action::AttachIndex
                    | Action::SwapIndexes
                    | Action::RenameIndex
                    | Action::AddConstraint
            )
    })
}

/// Returns the outcome of a step that is not tried at all.
fn why_not(
    step: &Step,
    before: &BTreeMap<u32, StepOutcome>,
    stepper: &Stepper<'_>,
    allowed: &[Hazard],
) -> Option<StepOutcome> {
    let not_tried = |status, reason: String| {
        let mut outcome = step::blank(step, status);
        outcome.reason = Some(reason);
        outcome
    };
    if *stepper.interrupt.borrow() {
        return Some(not_tried(
            Status::Skipped,
            "the run was interrupted before this step".to_owned(),
        ));
    }
    if let Some(lost) = &stepper.lost {
        return Some(not_tried(
            Status::Skipped,
            format!("the connection was lost: {lost}"),
        ));
    }
    let refused: Vec<Hazard> = step
        .hazards
        .iter()
        .copied()
        .filter(|hazard| !allowed.contains(hazard) && !step.allowed_by_plan.contains(hazard))
        .collect();
    if !refused.is_empty() {
        let names: Vec<&str> = refused.iter().map(|hazard| hazard.name()).collect();
        let mut outcome = not_tried(
            Status::Refused,
            format!("hazard {} is not allowed", names.join(", ")),
        );
        outcome.remedy = Some(format!(
            "add --allow {} to this command, or `allow: [{}]` to the entry of the plan file",
            names.join(" --allow "),
            names.join(", ")
        ));
        outcome.refused_hazards = refused;
        return Some(outcome);
    }
    if let Some(missing) = unserved(step, before) {
        let mut outcome = not_tried(
            Status::Skipped,
            format!(
                "step {} is {}: an index is dropped only when the declared ones of its table are there",
                missing.id,
                missing.status.as_str()
            ),
        );
        outcome.remedy = Some("see what is said of that step, then run it again".to_owned());
        return Some(outcome);
    }
    let needed = before.get(&step.after?)?;
    (needed.status != Status::Done).then(|| {
        not_tried(
            Status::Skipped,
            format!("step {} is {}", needed.id, needed.status.as_str()),
        )
    })
}
