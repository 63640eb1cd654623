//! After a concurrent statement that did not end well: what it left behind is dropped with the same care.

use std::time::{Duration, Instant};

use super::batch::{self, Ended};
use super::concurrent::Sent;
use super::index_state::{Before, Invalid, leftovers};
use super::outcome::{Status, StepOutcome};
use super::ready::Clocks;
use super::run::Report;
use super::step::{MAX_DEADLOCKS, Stepper, blank};
use crate::changes::changeset::{Action, IndexChange, Step, Way};
use crate::changes::script;
use crate::ident::QualifiedName;

/// How long clearing up may take, and how long after a signal.
const CLEAR_WITHIN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(4));
/// SQLSTATE of an object that is not there: `undefined_object`.
const UNDEFINED: &str = "42704";

/// What became of what a statement left behind.
#[derive(Default)]
pub(super) struct Cleared {
    pub(super) dropped: Vec<QualifiedName>,
    /// Still there, and why.
    pub(super) left: Vec<(QualifiedName, String)>,
}

impl Stepper<'_> {
    /// Drops what the statement left behind, with the same care as any drop.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call, all of it what happened"
    )]
    pub(super) async fn clear(
        &mut self,
        step: &Step,
        change: &IndexChange,
        before: &Before,
        sent: &Sent,
        interrupted: bool,
        outcome: &mut StepOutcome,
        report: &Report<'_>,
    ) -> Cleared {
        let mut cleared = Cleared::default();
        let failed = matches!(&sent.ended, Ended::Failed(fault) if !fault.sqlstate.starts_with("42"))
            || matches!(sent.ended, Ended::Deadlock);
        let found = match self.observer.invalid_indexes(&change.table).await {
            Ok(after) => leftovers(
                step.action,
                change,
                before,
                &after,
                sent.watching.index_oid,
                failed,
            ),
            Err(error) => {
                if step.action != Action::AnalyzeTable {
                    outcome.remarks.push(format!(
                        "whether it left something behind could not be read: {error:#}"
                    ));
                }
                return cleared;
            }
        };
        for index in found {
            match self
                .drop_leftover(step, change, &index, interrupted, report)
                .await
            {
                Ok(()) => cleared.dropped.push(index.name),
                Err(why) => cleared.left.push((index.name, why)),
            }
        }
        cleared
    }

    /// Takes back what a step's earlier part did for it: the check that a validation was to prove.
    pub(super) async fn take_back(&mut self, step: &Step, way: &Way, outcome: &mut StepOutcome) {
        let ours = matches!(
            step.action,
            Action::CreateIndex | Action::ReindexIndex | Action::DropIndex
        );
        if ours || way.undo.is_empty() || self.lost.is_some() {
            return;
        }
        let attempt = script::prepare(step, &way.undo, self.deadlock_timeout_ms);
        let deadline = Instant::now() + CLEAR_WITHIN.1;
        loop {
            match batch::run(&self.writer, &attempt).await {
                Ended::Done => break,
                Ended::NoLock if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(fastrand::u64(50..250))).await;
                }
                _ => {
                    outcome.remarks.push(format!(
                        "what was prepared for it is left; the next run takes it back, or this does: {}",
                        way.undo.join("; ")
                    ));
                    break;
                }
            }
        }
    }

    async fn drop_leftover(
        &mut self,
        step: &Step,
        change: &IndexChange,
        index: &Invalid,
        interrupted: bool,
        report: &Report<'_>,
    ) -> Result<(), String> {
        let within = if interrupted {
            CLEAR_WITHIN.1
        } else {
            CLEAR_WITHIN.0
        };
        let mut clocks = Clocks {
            locks: within,
            patience: within,
        };
        let leftover = IndexChange {
            name: index.name.clone(),
            ..change.clone()
        };
        // A signal has been obeyed already: clearing up is bounded by its own clock.
        let (_keep, quiet) = tokio::sync::watch::channel(false);
        let signals = std::mem::replace(&mut self.interrupt, quiet);
        let cleared = self
            .drop_quietly(step, &leftover, index, &mut clocks, report)
            .await;
        self.interrupt = signals;
        cleared
    }

    async fn drop_quietly(
        &mut self,
        step: &Step,
        leftover: &IndexChange,
        index: &Invalid,
        clocks: &mut Clocks,
        report: &Report<'_>,
    ) -> Result<(), String> {
        let mut nobody = blank(step, Status::Done);
        let statement = format!("drop index concurrently {}", leftover.name.sql());
        for _ in 0..MAX_DEADLOCKS {
            self.free(step, &leftover.table, clocks, &mut nobody, report)
                .await
                .map_err(|stop| stop.reason)?;
            // The table is free, so nobody builds on it; it must still be the same dead index.
            match self.observer.index_state(leftover).await {
                Ok(None) => return Ok(()),
                Ok(Some(state)) if state.oid == index.oid && state.of_table && !state.valid => {}
                Ok(Some(_)) => return Err("it is another one now".to_owned()),
                Err(error) => return Err(format!("{error:#}")),
            }
            let sent = self
                .send(step, leftover, &[], &statement, clocks.patience, report)
                .await;
            clocks.patience = clocks.patience.saturating_sub(sent.watching.waited);
            match sent.ended {
                Ended::Done => return Ok(()),
                Ended::Lost(why) => {
                    self.lost = Some(why.clone());
                    return Err(format!("the connection was lost: {why}"));
                }
                Ended::Failed(fault) if fault.sqlstate == UNDEFINED => return Ok(()),
                Ended::Failed(fault) => return Err(fault.text),
                _ if clocks.patience.is_zero() => {
                    let pids: Vec<String> = sent
                        .watching
                        .blockers
                        .iter()
                        .map(|blocker| format!("pid {}", blocker.pid))
                        .collect();
                    return Err(format!(
                        "open transactions use its table ({})",
                        pids.join(", ")
                    ));
                }
                _ => {}
            }
        }
        Err("its table is in use".to_owned())
    }
}
