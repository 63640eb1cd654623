//! Steps on indexes whose one statement runs outside a transaction: built, rebuilt, dropped, analyzed.
//!
//! Two clocks. Waiting for the table's lock is dangerous to others and short: it is tried with NOWAIT
//! until it is free, and a statement that queues all the same is cancelled before `deadlock_timeout`,
//! because it would make the server kill a build of another session. Waiting for open transactions
//! harms nobody and may take the whole `patience`; `lock_timeout` would count it once for each
//! transaction, so it is off and this side cancels.

use std::time::{Duration, Instant};

use super::batch::{self, Ended, Fault};
use super::index_state::Before;
use super::observer::Observer;
use super::outcome::{Status, StepOutcome};
use super::ready::Clocks;
use super::run::Report;
use super::step::{MAX_DEADLOCKS, Stepper, blank, cancel, millis, raised};
use super::watch::{Cause, Limits, Queued, Watching};
use crate::changes::changeset::{Action, IndexChange, Step, Way};
use crate::changes::script::{self, CONCURRENT_SESSION};
use crate::plan_file::Millis;

/// How often a build makes way for others' maintenance before it is deferred.
const MAX_YIELDS: u32 = 3;
/// Pause before the first build anew after making way; it doubles twice each time.
const YIELD_PAUSE: Duration = Duration::from_millis(500);

/// Why a step ends before its statement was sent.
pub(super) struct Stop {
    pub(super) status: Status,
    pub(super) reason: String,
}

/// What one sending of the statement led to.
pub(super) struct Sent {
    pub(super) ended: Ended,
    pub(super) cause: Option<Cause>,
    pub(super) watching: Watching,
}

impl Stepper<'_> {
    pub(super) async fn concurrently(
        &mut self,
        step: &Step,
        way: &Way,
        report: &Report<'_>,
    ) -> StepOutcome {
        let mut outcome = blank(step, Status::Failed);
        outcome.way = Some(way.acquire);
        let ended = self.try_concurrently(step, way, &mut outcome, report).await;
        outcome.status = ended.status;
        if step.action == Action::DropIndex && ended.status != Status::Done && outcome.attempts > 0
        {
            self.after_drop(&change_of(step), &mut outcome).await;
        }
        if ended.status != Status::Done {
            self.take_back(step, way, &mut outcome).await;
        }
        if !ended.reason.is_empty() {
            outcome.reason = Some(ended.reason);
        }
        if outcome.status == Status::Deferred && outcome.remedy.is_none() {
            outcome.remedy = Some(
                "run it again when the sessions named have ended, or give it longer with `patience`; nothing is left behind"
                    .to_owned(),
            );
        }
        outcome
    }

    async fn try_concurrently(
        &mut self,
        step: &Step,
        way: &Way,
        outcome: &mut StepOutcome,
        report: &Report<'_>,
    ) -> Stop {
        let change = change_of(step);
        let [statement] = way.statements.as_slice() else {
            return Stop::failed("a concurrent step has exactly one statement".to_owned());
        };
        let mut clocks = Clocks {
            locks: step.budget.give_up_after.duration(),
            patience: step.budget.patience.duration(),
        };
        let began = Instant::now();
        let (mut deadlocks, mut yields, mut queues) = (0_u32, 0_u32, 0_u32);
        loop {
            let before = match self
                .before(step, &change, &mut clocks, outcome, report)
                .await
            {
                Ok(before) => before,
                Err(stop) => return stop,
            };
            outcome.attempts += 1;
            outcome.lock_wait_ms = millis(began.elapsed());
            let sent_at = Instant::now();
            let sent = self
                .send(
                    step,
                    &change,
                    &way.settings,
                    statement,
                    clocks.patience,
                    report,
                )
                .await;
            outcome.duration_ms = millis(sent_at.elapsed());
            outcome.blocked.add(&sent.watching.blocked);
            clocks.patience = clocks.patience.saturating_sub(sent.watching.waited);
            remark_queued(outcome, &sent.watching);
            if matches!(sent.ended, Ended::Done) {
                return self.verify(step, &change, &before, outcome).await;
            }
            outcome.blockers = sent.watching.blockers.clone();

            if let Ended::Lost(why) = &sent.ended {
                self.lost = Some(why.clone());
                outcome.remedy = Some(left_to_next_run(step, &change));
                return Stop::failed(format!("the connection was lost: {why}"));
            }
            let done = self.already_done(step, &change, &before).await;
            let interrupted = sent.cause == Some(Cause::Interrupted) || *self.interrupt.borrow();
            let cleared = self
                .clear(step, &change, &before, &sent, interrupted, outcome, report)
                .await;
            for name in &cleared.dropped {
                outcome.remarks.push(format!(
                    "{name}, left invalid by this statement, was dropped"
                ));
            }
            for (name, why) in &cleared.left {
                outcome.remarks.push(format!(
                    "{name} is left invalid, because {why}; the next run repairs it"
                ));
                outcome.remedy = Some(format!("run the same command again: it repairs {name}"));
            }
            if let Some(stop) = done {
                return stop;
            }
            if interrupted {
                return Stop::new(
                    Status::Interrupted,
                    "interrupted; the statement was cancelled".to_owned(),
                );
            }
            let reason = match (sent.cause, sent.ended) {
                (Some(Cause::Unwatched(why)), _) => {
                    self.lost = Some(format!("the observer's connection: {why}"));
                    return Stop::failed(format!(
                        "cancelled, because it could not be watched: {why}"
                    ));
                }
                (Some(Cause::Patience), _) => {
                    return Stop::deferred(format!(
                        "open transactions did not end within {}",
                        step.budget.patience
                    ));
                }
                (Some(Cause::LockWait), _) | (None, Ended::NoLock) => {
                    queues += 1;
                    format!(
                        "another session was quicker to lock {} {queues} times",
                        change.table
                    )
                }
                (Some(Cause::Waiter), _) => {
                    yields += 1;
                    let reason = format!(
                        "readers or writers had waited for {} behind {}, which waits for this build, so it made way",
                        step.budget.max_block,
                        list(&sent.watching.between)
                    );
                    if yields > MAX_YIELDS {
                        return Stop::deferred(format!("{reason} {yields} times"));
                    }
                    outcome.remarks.push(reason.clone());
                    let pause = YIELD_PAUSE * 4_u32.pow(yields - 1);
                    let pause = pause.min(clocks.patience / 4);
                    clocks.patience = clocks.patience.saturating_sub(pause);
                    self.sleep(pause + jitter(pause)).await;
                    reason
                }
                (None, Ended::Deadlock) => {
                    deadlocks += 1;
                    let reason = format!(
                        "the server broke a deadlock by ending it{}",
                        match sent.watching.queued.len() {
                            0 => String::new(),
                            _ => format!(
                                ": {} waited for it",
                                list(&sent.watching.queued.values().cloned().collect::<Vec<_>>())
                            ),
                        }
                    );
                    if deadlocks > MAX_DEADLOCKS {
                        return Stop::deferred(reason);
                    }
                    outcome.remarks.push(format!("{reason}; it was begun anew"));
                    reason
                }
                (_, Ended::Failed(fault)) => return Stop::failed(explain(fault, &change)),
                (_, Ended::Changed(why)) => return Stop::failed(why),
                (_, _) => {
                    return Stop::failed(
                        "somebody else cancelled the statement, or statement_timeout did"
                            .to_owned(),
                    );
                }
            };
            if !cleared.left.is_empty() {
                return Stop::deferred(reason);
            }
            let pause = Duration::from_millis(fastrand::u64(40..200));
            clocks.locks = clocks.locks.saturating_sub(pause);
            if clocks.locks.is_zero() {
                return Stop::deferred(reason);
            }
            report.waits(step, outcome.attempts);
            self.sleep(pause).await;
        }
    }

    /// Sends the statement alone in its message, with the settings around it, and watches it.
    pub(super) async fn send(
        &mut self,
        step: &Step,
        change: &IndexChange,
        settings: &[String],
        statement: &str,
        patience: Duration,
        report: &Report<'_>,
    ) -> Sent {
        let mut watching = Watching::default();
        let fail = |ended| Sent {
            ended,
            cause: None,
            watching: Watching::default(),
        };
        let kept = match batch::keep(&self.writer, settings).await {
            Ok(kept) => kept,
            Err(ended) => return fail(ended),
        };
        for setting in CONCURRENT_SESSION
            .iter()
            .copied()
            .chain(settings.iter().map(String::as_str))
        {
            let ended = batch::alone(&self.writer, setting).await;
            if !matches!(ended, Ended::Done) {
                batch::put_back(&self.writer, &kept).await;
                return fail(ended);
            }
        }
        let limits = Limits {
            max_block_ms: step.budget.max_block.0 as f64,
            lock_wait_ms: script::short_wait_ms(step.budget.max_block.0, self.deadlock_timeout_ms)
                as f64,
            patience,
        };
        let pid = self.writer.backend_pid();
        let observer: &Observer = self.observer;
        let interrupt = self.interrupt.clone();
        let writer = &self.writer;
        let mut tell = |progress: &super::BuildProgress| report.build(step, progress);
        let running = batch::alone(writer, statement);
        tokio::pin!(running);
        let first = tokio::select! {
            biased;
            ended = &mut running => Ok(ended),
            cause = observer.watch_build(
                pid,
                &change.table,
                limits,
                interrupt,
                &mut watching,
                &mut tell,
            ) => Err(cause),
        };
        let (ended, cause) = match first {
            Ok(ended) => (ended, None),
            Err(cause) => (cancel(writer, &mut running).await, Some(cause)),
        };
        watching.finish();
        if cause.is_some() || matches!(ended, Ended::Cancelled) {
            batch::settle(&self.writer).await;
        }
        batch::put_back(&self.writer, &kept).await;
        Sent {
            ended,
            cause,
            watching,
        }
    }

    /// Reads again what a statement that succeeded made: done is what is there.
    pub(super) async fn verify(
        &mut self,
        step: &Step,
        change: &IndexChange,
        before: &Before,
        outcome: &mut StepOutcome,
    ) -> Stop {
        let state = match step.action {
            Action::CreateIndex | Action::ReindexIndex | Action::DropIndex => {
                match self.observer.index_state(change).await {
                    Ok(state) => state,
                    Err(error) => return self.blind(&error),
                }
            }
            _ => return Stop::done(),
        };
        let wrong = match (step.action, state) {
            (Action::DropIndex, None) => return Stop::done(),
            (Action::DropIndex, Some(_)) => "is still there",
            (_, None) => "is not there",
            (_, Some(state)) if !state.of_table => "is not an index of its table",
            (_, Some(state)) if !(state.valid && state.ready) => "is not valid",
            (Action::ReindexIndex, Some(state))
                if before.state.is_some_and(|old| old.oid == state.oid) =>
            {
                "was not rebuilt"
            }
            _ => return Stop::done(),
        };
        outcome.remedy = Some("run the same command again: it looks and repairs".to_owned());
        Stop::failed(format!(
            "the server reports success, but {} {wrong}",
            change.name
        ))
    }

    /// Whether a statement that did not end well has done what it should all the same: a drop that only
    /// lost its answer, a rebuild past its swap.
    async fn already_done(
        &mut self,
        step: &Step,
        change: &IndexChange,
        before: &Before,
    ) -> Option<Stop> {
        if !matches!(step.action, Action::DropIndex | Action::ReindexIndex) {
            return None;
        }
        match (step.action, self.observer.index_state(change).await) {
            (_, Err(error)) => Some(self.blind(&error)),
            (Action::DropIndex, Ok(None)) => Some(Stop::done()),
            (Action::ReindexIndex, Ok(Some(state))) => {
                let other = before.state.is_some_and(|old| old.oid != state.oid);
                (other && state.of_table && state.valid).then(Stop::done)
            }
            _ => None,
        }
    }

    /// A drop that was cancelled while it waited is not nothing: says so.
    async fn after_drop(&mut self, change: &IndexChange, outcome: &mut StepOutcome) {
        match self.observer.index_state(change).await {
            Ok(Some(state)) if state.of_table && !state.valid => {
                outcome.remarks.push(format!(
                    "{} is half-dropped: it is invalid, no query uses it{}; the next run finishes it",
                    change.name,
                    if state.ready { ", writes still maintain it" } else { "" }
                ));
                outcome.remedy = Some(format!(
                    "run the same command again when the sessions named have ended: it drops {}",
                    change.name
                ));
            }
            Ok(_) => {}
            Err(error) => {
                self.blind(&error);
            }
        }
    }

    /// The observer cannot be asked any more: nothing runs unwatched.
    pub(super) fn blind(&mut self, error: &anyhow::Error) -> Stop {
        let why = format!("{error:#}");
        self.lost = Some(format!("the observer's connection: {why}"));
        Stop::failed(why)
    }

    pub(super) async fn sleep(&self, pause: Duration) {
        let mut interrupt = self.interrupt.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = raised(&mut interrupt) => {}
        }
    }
}

impl Stop {
    pub(super) fn new(status: Status, reason: String) -> Self {
        Self { status, reason }
    }

    pub(super) fn done() -> Self {
        Self::new(Status::Done, String::new())
    }

    pub(super) fn failed(reason: String) -> Self {
        Self::new(Status::Failed, reason)
    }

    pub(super) fn deferred(reason: String) -> Self {
        Self::new(Status::Deferred, reason)
    }
}

impl Millis {
    fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

/// Returns the index of a step; a step without one (ANALYZE) is about its table.
pub(super) fn change_of(step: &Step) -> IndexChange {
    step.index.clone().unwrap_or_else(|| IndexChange {
        name: step.table.clone(),
        table: step.table.clone(),
        rows_estimate: None,
        bytes: None,
        hot_cost: None,
        follows: None,
        oid: None,
        invalid: false,
    })
}

fn left_to_next_run(step: &Step, change: &IndexChange) -> String {
    match step.action {
        Action::AnalyzeTable => "run the same command again".to_owned(),
        _ => format!(
            "run the same command again: the server may go on with the statement or leave {} invalid, and the next run follows or repairs it",
            change.name
        ),
    }
}

/// Says why a statement failed; duplicates by their key.
fn explain(fault: Fault, change: &IndexChange) -> String {
    match (fault.sqlstate.as_str(), fault.detail) {
        ("23505", Some(detail)) => format!(
            "{} cannot be unique: {}",
            change.name,
            detail.trim_end_matches('.')
        ),
        _ => fault.text,
    }
}

fn remark_queued(outcome: &mut StepOutcome, watching: &Watching) {
    for queued in watching.queued.values() {
        let remark = format!(
            "{} waited behind this statement for {}",
            list(std::slice::from_ref(queued)),
            queued.mode
        );
        if !outcome.remarks.contains(&remark) {
            outcome.remarks.push(remark);
        }
    }
}

fn list(queued: &[Queued]) -> String {
    let names: Vec<String> = queued
        .iter()
        .map(|queued| {
            let application = match queued.application.as_deref() {
                Some("") | None => queued
                    .backend_type
                    .clone()
                    .unwrap_or_else(|| "(hidden)".to_owned()),
                Some(application) => format!("application `{application}`"),
            };
            format!("pid {} ({application})", queued.pid)
        })
        .collect();
    match names.is_empty() {
        true => "maintenance".to_owned(),
        false => names.join(", "),
    }
}

fn jitter(pause: Duration) -> Duration {
    Duration::from_millis(fastrand::u64(0..=millis(pause) / 4 + 1))
}
