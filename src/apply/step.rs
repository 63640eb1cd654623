//! One step: its ways in order, attempts with pauses, the observer beside each attempt.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::batch::{self, Ended, Fault};
use super::observer::{Observer, Watched};
use super::outcome::{Blocked, Blocker, Status, StepOutcome};
use super::run::Report;
use crate::changes::changeset::{Acquire, Action, Step, Way};
use crate::changes::script::{self, Attempt};
use crate::conn::Session;
use crate::ident::QualifiedName;

/// Attempts that were cancelled because somebody waited too long, before the step is deferred: it is
/// then the step's own work, not the wait for the lock, that is longer than the budget.
const MAX_OVER_BUDGET: u32 = 3;
/// Deadlocks before the step is deferred.
pub(super) const MAX_DEADLOCKS: u32 = 3;
/// Shortest and longest pause between two attempts, in milliseconds; the longest after a minute's polling.
const PAUSE_MS: (u64, u64) = (8, 120);

/// Runs steps on a connection of its own; several may run side by side, watched by one observer.
pub(super) struct Stepper<'a> {
    pub(super) writer: Session,
    pub(super) observer: &'a Observer,
    pub(super) deadlock_timeout_ms: i64,
    pub(super) interrupt: watch::Receiver<bool>,
    /// Why no further step can run, once the connection broke.
    pub(super) lost: Option<String>,
    /// Tables with a detach that this run left pending: the server begins no other one on them.
    pub(super) pending: BTreeSet<QualifiedName>,
}

/// What a way led to.
pub(super) enum Verdict {
    Ended(Status, Option<String>),
    /// Its time is up; the next way may do better.
    Starved(String),
}

impl Stepper<'_> {
    pub(super) async fn run(&mut self, step: &Step, report: &Report<'_>) -> StepOutcome {
        if step.action == Action::AwaitBuild {
            return self.follow(step, report).await;
        }
        match step.ways.as_slice() {
            [way] if way.acquire == Acquire::Concurrent && step.action.is_of_indexes() => {
                return self.concurrently(step, way, report).await;
            }
            _ => {}
        }
        let mut outcome = blank(step, Status::Deferred);
        let began = Instant::now();
        let give_up_after = Duration::from_millis(step.budget.give_up_after.0);
        for (at, way) in step.ways.iter().enumerate() {
            if way.acquire == Acquire::Concurrent
                && step.action == Action::DetachPartition
                && self.pending.contains(&step.table)
            {
                outcome.reason = Some(format!(
                    "its locks were not free, and another detach on {} is pending, which the server wants completed first",
                    step.table
                ));
                break;
            }
            outcome.way = Some(way.acquire);
            // A way that has another one after it gets a third of what is left.
            let left = give_up_after.saturating_sub(began.elapsed());
            let share = if at + 1 < step.ways.len() {
                left / 3
            } else {
                left
            };
            match self
                .way(
                    step,
                    way,
                    Instant::now() + share,
                    began,
                    &mut outcome,
                    report,
                )
                .await
            {
                Verdict::Ended(status, reason) => {
                    outcome.status = status;
                    outcome.reason = reason;
                    break;
                }
                Verdict::Starved(reason) => outcome.reason = Some(reason),
            }
        }
        if outcome.status == Status::Deferred {
            if outcome.blockers.is_empty() {
                outcome.blockers = self
                    .observer
                    .holders(self.writer.backend_pid(), &step.locks)
                    .await
                    .unwrap_or_default();
            }
            outcome.remedy = Some(
                "run it again when the sessions named have ended, or give it longer with `give_up_after`; nothing was changed"
                    .to_owned(),
            );
        }
        if outcome.status != Status::Done
            && outcome.way == Some(Acquire::Concurrent)
            && !step.action.is_of_indexes()
        {
            self.after_concurrent(step, &mut outcome).await;
        }
        outcome
    }

    /// A concurrent statement that was cancelled in its second phase leaves the detach pending:
    /// harmless, but not nothing. One that was cancelled before leaves nothing but its preparation.
    async fn after_concurrent(&mut self, step: &Step, outcome: &mut StepOutcome) {
        let Some(partition) = step.partitions.first().map(|partition| &partition.name) else {
            return;
        };
        let reason = outcome.reason.take().unwrap_or_default();
        match self.observer.detach_pending(partition).await {
            Ok(true) => {
                self.pending.insert(step.table.clone());
                outcome.reason = Some(format!(
                    "{reason}; {partition} is pending detach: its rows are invisible through {} until the next prune completes it",
                    step.table
                ));
                outcome.remedy = Some(
                    "run `dbops partitions prune` again when the sessions named have ended"
                        .to_owned(),
                );
            }
            Ok(false) => {
                outcome.reason = Some(reason);
                let undo = step
                    .ways
                    .iter()
                    .find(|way| way.acquire == Acquire::Concurrent);
                if let Some(way) = undo.filter(|way| !way.undo.is_empty() && self.lost.is_none()) {
                    let attempt = script::prepare(step, &way.undo, self.deadlock_timeout_ms);
                    if !matches!(batch::run(&self.writer, &attempt).await, Ended::Done) {
                        outcome.remedy = Some(format!(
                            "run `dbops partitions prune` again: {partition} is attached, but its comment still carries the mark of this detach"
                        ));
                    }
                }
            }
            Err(error) => {
                outcome.reason = Some(format!(
                    "{reason}; whether {partition} is pending detach could not be read: {error:#}"
                ));
                outcome.remedy =
                    Some("run `dbops partitions prune` again: it finds out".to_owned());
            }
        }
    }

    /// Whether a detach was begun and is not complete; where it cannot be read, it is taken to be.
    async fn left_pending(&self, step: &Step) -> bool {
        let Some(partition) = step.partitions.first() else {
            return false;
        };
        step.action == Action::DetachPartition
            && self
                .observer
                .detach_pending(&partition.name)
                .await
                .unwrap_or(true)
    }

    async fn way(
        &mut self,
        step: &Step,
        way: &Way,
        deadline: Instant,
        began: Instant,
        outcome: &mut StepOutcome,
        report: &Report<'_>,
    ) -> Verdict {
        if !way.prepare.is_empty() {
            let attempt = script::prepare(step, &way.prepare, self.deadlock_timeout_ms);
            if let Some(verdict) = self.prepare(&attempt).await {
                return verdict;
            }
        }
        let attempt = script::attempt(step, way, self.deadlock_timeout_ms);
        let (mut over_budget, mut deadlocks) = (0, 0);
        loop {
            outcome.attempts += 1;
            let attempt_began = Instant::now();
            outcome.lock_wait_ms = millis(attempt_began - began);
            let cancel_at = (way.acquire == Acquire::Concurrent).then_some(deadline);
            let (ended, watched) = self.attempt(step, &attempt, cancel_at, outcome).await;
            outcome.duration_ms = millis(attempt_began.elapsed());
            let cancelled_for_waiter = watched.as_ref().is_some_and(|watched| watched.over_budget);
            outcome
                .blocked
                .add(&watched.map(|watched| watched.blocked).unwrap_or_default());
            let interrupted = *self.interrupt.borrow();
            match ended {
                Ended::Done => return Verdict::Ended(Status::Done, None),
                _ if interrupted => {
                    return Verdict::Ended(
                        Status::Interrupted,
                        Some("interrupted; the statement was cancelled".to_owned()),
                    );
                }
                Ended::Lost(why) => {
                    self.lost = Some(why.clone());
                    return Verdict::Ended(
                        Status::Failed,
                        Some(format!("the connection was lost: {why}")),
                    );
                }
                Ended::Failed(fault) => {
                    return Verdict::Ended(Status::Failed, Some(fault.text));
                }
                Ended::Changed(why) => {
                    return Verdict::Ended(
                        Status::Failed,
                        Some(format!("{why}; nothing was changed")),
                    );
                }
                Ended::Deadlock => {
                    deadlocks += 1;
                    if deadlocks >= MAX_DEADLOCKS {
                        return Verdict::Ended(
                            Status::Deferred,
                            Some("the server broke a deadlock by ending it".to_owned()),
                        );
                    }
                }
                Ended::Cancelled if cancelled_for_waiter => {
                    over_budget += 1;
                    if over_budget >= MAX_OVER_BUDGET {
                        return Verdict::Starved(format!(
                            "a session had waited for {} behind it {over_budget} times, so it was cancelled each time",
                            step.budget.max_block
                        ));
                    }
                }
                Ended::Cancelled if cancel_at.is_some_and(|at| Instant::now() >= at) => {
                    return Verdict::Starved(format!(
                        "open transactions did not end within {}",
                        step.budget.give_up_after
                    ));
                }
                Ended::Cancelled if self.lost.is_some() => {
                    let why = self.lost.clone().unwrap_or_default();
                    return Verdict::Ended(
                        Status::Failed,
                        Some(format!("cancelled, because it could not be watched: {why}")),
                    );
                }
                Ended::Cancelled if outcome.duration_ms >= step.budget.give_up_after.0 => {
                    return Verdict::Ended(
                        Status::Failed,
                        Some(format!(
                            "a statement needed longer than `give_up_after` ({}) once the locks were there; nothing was changed",
                            step.budget.give_up_after
                        )),
                    );
                }
                Ended::Cancelled => {
                    let why = "somebody else cancelled the statement, or statement_timeout did";
                    return Verdict::Ended(Status::Failed, Some(why.to_owned()));
                }
                Ended::NoLock => {}
            }
            if Instant::now() >= deadline {
                let reason = format!(
                    "its locks were not free within {}",
                    step.budget.give_up_after
                );
                return Verdict::Starved(reason);
            }
            if way.acquire == Acquire::Concurrent && self.left_pending(step).await {
                // The server would refuse to begin it anew.
                return Verdict::Starved("it was cancelled while it waited".to_owned());
            }
            report.waits(step, outcome.attempts);
            self.pause(way.acquire, outcome.attempts).await;
            if *self.interrupt.borrow() {
                return Verdict::Ended(
                    Status::Interrupted,
                    Some("interrupted between two attempts".to_owned()),
                );
            }
        }
    }

    async fn prepare(&mut self, attempt: &Attempt) -> Option<Verdict> {
        match batch::run(&self.writer, attempt).await {
            Ended::Done => None,
            Ended::NoLock | Ended::Cancelled | Ended::Deadlock => Some(Verdict::Starved(
                "the partition's own lock was not free".to_owned(),
            )),
            Ended::Lost(why) => {
                self.lost = Some(why.clone());
                Some(Verdict::Ended(
                    Status::Failed,
                    Some(format!("the connection was lost: {why}")),
                ))
            }
            Ended::Failed(Fault { text: why, .. }) | Ended::Changed(why) => {
                Some(Verdict::Ended(Status::Failed, Some(why)))
            }
        }
    }

    /// Runs one attempt with the observer beside it; a signal, or the clock of a concurrent
    /// statement, cancels it.
    async fn attempt(
        &mut self,
        step: &Step,
        attempt: &Attempt,
        cancel_at: Option<Instant>,
        outcome: &mut StepOutcome,
    ) -> (Ended, Option<Watched>) {
        let pid = self.writer.backend_pid();
        let (done, told) = oneshot::channel();
        let writer = &self.writer;
        let observer = self.observer;
        let mut interrupt = self.interrupt.clone();
        let mut blockers: Vec<Blocker> = Vec::new();
        let run = async {
            let running = batch::run(writer, attempt);
            tokio::pin!(running);
            let clock = async {
                match cancel_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::pin!(clock);
            let ended = tokio::select! {
                ended = &mut running => ended,
                () = &mut clock => {
                    blockers = observer.blockers(pid).await.unwrap_or_default();
                    cancel(writer, &mut running).await
                }
                () = raised(&mut interrupt) => cancel(writer, &mut running).await,
            };
            // The watch ends with the locks: everybody who waited is free now.
            let _ = done.send(());
            ended
        };
        let watch = async {
            let watched = observer
                .watch(pid, step.budget.max_block.0 as f64, told)
                .await;
            if watched.is_err() {
                // Nothing runs unwatched; a statement that has ended meanwhile takes no notice.
                let _ = writer.cancel().await;
            }
            watched
        };
        let (ended, watched) = tokio::join!(run, watch);
        let watched = match watched {
            Ok(watched) => Some(watched),
            Err(error) => {
                self.lost = Some(format!("the observer's connection: {error:#}"));
                None
            }
        };
        if watched.as_ref().is_some_and(|watched| watched.over_budget)
            || matches!(ended, Ended::Cancelled)
        {
            batch::settle(&self.writer).await;
        }
        outcome.blockers = blockers;
        (ended, watched)
    }

    /// Waits between two attempts: with jitter, longer the longer it has been tried; after a short
    /// wait in the queue long enough for those behind to pass.
    pub(super) async fn pause(&self, acquire: Acquire, attempts: u32) {
        let (shortest, longest) = PAUSE_MS;
        let base = match acquire {
            Acquire::NoWait => (shortest + u64::from(attempts) / 16).min(longest),
            Acquire::ShortWait | Acquire::Concurrent => longest * 4,
        };
        let pause = Duration::from_millis(fastrand::u64(base..=base * 2));
        let mut interrupt = self.interrupt.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = raised(&mut interrupt) => {}
        }
    }
}

/// Cancels by a cancel request until the statement ends: one request can come too early.
pub(super) async fn cancel(
    writer: &Session,
    running: &mut (impl Future<Output = Ended> + Unpin),
) -> Ended {
    loop {
        // A request that cannot be sent is repeated; the statement also ends with the connection.
        let _ = writer.cancel().await;
        tokio::select! {
            ended = &mut *running => return ended,
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

pub(super) async fn raised(interrupt: &mut watch::Receiver<bool>) {
    if interrupt.wait_for(|raised| *raised).await.is_err() {
        // Nobody is left who could raise it.
        std::future::pending::<()>().await;
    }
}

/// Returns an outcome with nothing done yet.
pub(super) fn blank(step: &Step, status: Status) -> StepOutcome {
    StepOutcome {
        id: step.id,
        table: step.table.clone(),
        action: step.action,
        summary: step.summary.clone(),
        partitions: step.partitions.clone(),
        index: step.index.clone(),
        status,
        way: None,
        attempts: 0,
        lock_wait_ms: 0,
        duration_ms: 0,
        blocked: Blocked::default(),
        blockers: Vec::new(),
        refused_hazards: Vec::new(),
        reason: None,
        remedy: None,
        remarks: Vec::new(),
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
