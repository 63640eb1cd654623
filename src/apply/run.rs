//! A run: the steps of a changeset in order, each recorded before and after.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::observer::Observer;
use super::outcome::{Blocked, Outcome, Status, StepOutcome};
use super::step::{self, Stepper};
use crate::changes::changeset::{Changeset, Hazard, Step};
use crate::conn::Session;
use crate::history::History;

/// Told about progress; a bar on a terminal, nothing elsewhere.
pub trait Events {
    /// A step begins.
    fn step_began(&mut self, step: &Step);
    /// A step is still trying to get its locks.
    fn step_waits(&mut self, step: &Step, attempts: u32);
    /// A step ended.
    fn step_ended(&mut self, outcome: &StepOutcome);
}

/// What a run needs beside the changeset.
pub struct Runner<'a> {
    /// Connection that runs the statements.
    pub writer: Session,
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

/// Runs the steps in order and reports on every one of them.
///
/// A step that fails, defers or is refused ends neither the run nor other tables' steps; steps that
/// need it are skipped.
///
/// # Errors
/// Only when the observer cannot be prepared, before anything ran.
pub async fn run(
    runner: Runner<'_>,
    changeset: &Changeset,
    history: &mut History,
    events: &mut dyn Events,
) -> anyhow::Result<Outcome> {
    let started_at = (runner.clock)();
    let mut stepper = Stepper {
        writer: runner.writer,
        observer: Observer::new(runner.observer).await?,
        deadlock_timeout_ms: runner.deadlock_timeout_ms,
        interrupt: runner.interrupt,
        lost: None,
        pending: BTreeSet::new(),
    };
    let mut steps: Vec<StepOutcome> = Vec::with_capacity(changeset.steps.len());
    for step in &changeset.steps {
        let outcome = match why_not(step, &steps, &stepper, runner.allowed) {
            Some(outcome) => outcome,
            None => {
                events.step_began(step);
                history.step_began(step, (runner.clock)()).await;
                stepper.run(step, events).await
            }
        };
        history.step_ended(step, &outcome, (runner.clock)()).await;
        events.step_ended(&outcome);
        steps.push(outcome);
    }
    let mut blocked = Blocked::default();
    for step in &steps {
        blocked.add(&step.blocked);
    }
    Ok(Outcome {
        run: history.run_id(),
        started_at,
        finished_at: (runner.clock)(),
        interrupted: *stepper.interrupt.borrow(),
        steps,
        blocked,
        history_warning: None,
    })
}

/// Returns the outcome of a step that is not tried at all.
fn why_not(
    step: &Step,
    before: &[StepOutcome],
    stepper: &Stepper,
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
            "add --allow {} to this command, or `allow: [{}]` to the table's policy",
            names.join(" --allow "),
            names.join(", ")
        ));
        outcome.refused_hazards = refused;
        return Some(outcome);
    }
    let needed = before
        .iter()
        .find(|outcome| Some(outcome.id) == step.after)?;
    (needed.status != Status::Done).then(|| {
        not_tried(
            Status::Skipped,
            format!("step {} is {}", needed.id, needed.status.as_str()),
        )
    })
}
