//! Before a concurrent statement is sent: the table is waited for without ever queueing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::batch::{self, Ended};
use super::concurrent::Stop;
use super::index_state::{Before, not_the_planned};
use super::outcome::{Blocker, Status, StepOutcome};
use super::run::Report;
use super::step::Stepper;
use super::watch::Pace;
use crate::changes::changeset::{Action, IndexChange, Lock, LockMode, Step};
use crate::changes::script;
use crate::ident::QualifiedName;

/// A transaction that comes later and is younger than this is left to the statement's own wait.
const SHORT_TRANSACTION_SECONDS: f64 = 1.0;
/// Pause between two looks at who holds locks on a table.
const LOOK: Duration = Duration::from_millis(150);

/// What is left of a step's two clocks.
pub(super) struct Clocks {
    /// For locks.
    pub(super) locks: Duration,
    /// For open transactions and for builds of others.
    pub(super) patience: Duration,
}

impl Stepper<'_> {
    /// Waits for the table and reads what is there before the statement is sent.
    pub(super) async fn before(
        &mut self,
        step: &Step,
        change: &IndexChange,
        clocks: &mut Clocks,
        outcome: &mut StepOutcome,
        report: &Report<'_>,
    ) -> Result<Before, Stop> {
        if step.action == Action::DropIndex {
            self.look_before_drop(change, outcome).await?;
        }
        self.lockers_gone(step, change, clocks, outcome, report)
            .await?;
        self.free(step, &change.table, clocks, outcome, report)
            .await?;
        let read = async {
            anyhow::Ok(match step.action {
                Action::AnalyzeTable | Action::SetNotNull => Before::default(),
                _ => Before {
                    state: self.observer.index_state(change).await?,
                    invalid: self.observer.invalid_indexes(&change.table).await?,
                },
            })
        };
        let before = read.await.map_err(|error| self.blind(&error))?;
        let planned = match (step.action, before.state) {
            (Action::CreateIndex, Some(_)) => Some("is there already".to_owned()),
            (Action::ReindexIndex, None) => Some("is not there any more".to_owned()),
            (Action::ReindexIndex, Some(state)) if !state.of_table => {
                Some("is not an index of its table any more".to_owned())
            }
            (Action::DropIndex, None) => return Err(gone(change, outcome)),
            // The waits took their time, in which another session may have repaired or replaced it.
            (Action::DropIndex, Some(state)) => not_the_planned(change, state),
            _ => None,
        };
        match planned {
            Some(what) => Err(otherwise(change, &what, outcome)),
            None => Ok(before),
        }
    }

    async fn look_before_drop(
        &mut self,
        change: &IndexChange,
        outcome: &mut StepOutcome,
    ) -> Result<(), Stop> {
        match self.observer.index_state(change).await {
            Ok(None) => Err(gone(change, outcome)),
            Ok(Some(state)) => match not_the_planned(change, state) {
                Some(what) => Err(otherwise(change, &what, outcome)),
                None => Ok(()),
            },
            Err(error) => Err(self.blind(&error)),
        }
    }

    /// Waits until no long transaction stands in the way of the statement's first wait.
    ///
    /// A build waits for those that wrote the table before it reads anything: waited for here instead, it
    /// leaves nothing behind when they do not end. A drop waits for all that use the table, and one that is
    /// cancelled in that wait has made the index invalid already.
    async fn lockers_gone(
        &mut self,
        step: &Step,
        change: &IndexChange,
        clocks: &mut Clocks,
        outcome: &mut StepOutcome,
        report: &Report<'_>,
    ) -> Result<(), Stop> {
        let matters: fn(&str) -> bool = match step.action {
            Action::DropIndex => |_| true,
            Action::CreateIndex | Action::ReindexIndex => writes,
            _ => return Ok(()),
        };
        let names = [change.table.clone(), change.name.clone()];
        // Each with when it was first seen. Those of the first look are waited for whatever their age, as
        // the statement itself would do; of later ones only the long, for on a busy table there is always one.
        let mut seen = BTreeMap::<String, Instant>::new();
        let mut at_first: Option<BTreeSet<String>> = None;
        let mut looks = 0;
        loop {
            let began = Instant::now();
            let lockers: Vec<(String, Blocker)> = self
                .observer
                .lockers(&names)
                .await
                .map_err(|error| self.blind(&error))?
                .into_iter()
                .filter(|(_, locker)| {
                    let modes = locker.mode.as_deref().unwrap_or_default();
                    modes.split(", ").any(matters)
                })
                .collect();
            let first = at_first
                .get_or_insert_with(|| lockers.iter().map(|(name, _)| name.clone()).collect());
            seen.retain(|known, _| lockers.iter().any(|(name, _)| name == known));
            let mut long = Vec::new();
            for (name, locker) in lockers {
                let since = seen.entry(name.clone()).or_insert(began);
                // Not told to this role: at least as old as it has been seen.
                let age = locker
                    .transaction_seconds
                    .unwrap_or_else(|| since.elapsed().as_secs_f64());
                if first.contains(&name) || age >= SHORT_TRANSACTION_SECONDS {
                    long.push(locker);
                }
            }
            if long.is_empty() {
                outcome.blockers.clear();
                return Ok(());
            }
            outcome.blockers = long;
            if clocks.patience.is_zero() {
                return Err(Stop::deferred(format!(
                    "open transactions that {} {} did not end within {}",
                    if step.action == Action::DropIndex {
                        "use"
                    } else {
                        "wrote"
                    },
                    change.table,
                    step.budget.patience
                )));
            }
            looks += 1;
            report.waits(step, looks);
            self.wait_a_little(LOOK.min(Duration::from_millis(20) * looks))
                .await?;
            clocks.patience = clocks.patience.saturating_sub(began.elapsed());
        }
    }

    /// Waits until the table's lock would be granted at once, without ever queueing for it: behind a
    /// queued lock everybody else would queue too.
    pub(super) async fn free(
        &mut self,
        step: &Step,
        table: &QualifiedName,
        clocks: &mut Clocks,
        outcome: &mut StepOutcome,
        report: &Report<'_>,
    ) -> Result<(), Stop> {
        let probe = script::probe(table);
        let wanted = [Lock {
            relation: table.clone(),
            mode: LockMode::ShareUpdateExclusive,
            why: "table".to_owned(),
            only: true,
            explicit: true,
        }];
        let mut tries = 0_u64;
        let mut followed = false;
        let mut pace = Pace::default();
        loop {
            let began = Instant::now();
            match batch::run(&self.writer, &probe).await {
                Ended::Done => return Ok(()),
                Ended::NoLock | Ended::Cancelled | Ended::Deadlock => {}
                // Materialized views cannot be locked by LOCK, and an owner may have given up the right.
                Ended::Failed(fault) if matches!(fault.sqlstate.as_str(), "42809" | "42501") => {
                    let holders = self
                        .observer
                        .holders(self.writer.backend_pid(), &wanted)
                        .await
                        .map_err(|error| self.blind(&error))?;
                    if holders.is_empty() {
                        return Ok(());
                    }
                }
                Ended::Failed(fault) => return Err(Stop::failed(fault.text)),
                Ended::Changed(why) => return Err(Stop::failed(why)),
                Ended::Lost(why) => {
                    self.lost = Some(why.clone());
                    return Err(Stop::failed(format!("the connection was lost: {why}")));
                }
            }
            tries += 1;
            let build = self
                .observer
                .foreign_build(table)
                .await
                .map_err(|error| self.blind(&error))?;
            let pause = match &build {
                Some(build) => {
                    if !followed {
                        followed = true;
                        outcome.remarks.push(format!(
                            "waited for the build of another session on {table} (pid {}, application `{}`)",
                            build.by.pid,
                            build.by.application.as_deref().unwrap_or("(hidden)")
                        ));
                    }
                    report.build(step, &pace.progress(build, Vec::new()));
                    LOOK
                }
                None => Duration::from_millis(8 + (tries / 16).min(100) + fastrand::u64(0..16)),
            };
            let over = match &build {
                Some(_) => clocks.patience.is_zero(),
                None => clocks.locks.is_zero(),
            };
            if over {
                outcome.blockers = match build {
                    Some(build) => vec![build.by],
                    None => self
                        .observer
                        .holders(self.writer.backend_pid(), &wanted)
                        .await
                        .unwrap_or_default(),
                };
                let (what, time) = match followed {
                    true => ("another session's build on", step.budget.patience),
                    false => ("the lock on", step.budget.give_up_after),
                };
                return Err(Stop::deferred(format!(
                    "{what} {table} was not free within {time}"
                )));
            }
            if tries.is_multiple_of(8) {
                report.waits(step, u32::try_from(tries).unwrap_or(u32::MAX));
            }
            self.wait_a_little(pause).await?;
            let clock = match build {
                Some(_) => &mut clocks.patience,
                None => &mut clocks.locks,
            };
            *clock = clock.saturating_sub(began.elapsed());
        }
    }

    async fn wait_a_little(&mut self, pause: Duration) -> Result<(), Stop> {
        self.sleep(pause).await;
        if *self.interrupt.borrow() {
            return Err(Stop::new(
                Status::Interrupted,
                "interrupted while it waited; nothing was changed".to_owned(),
            ));
        }
        Ok(())
    }
}

fn gone(change: &IndexChange, outcome: &mut StepOutcome) -> Stop {
    outcome
        .remarks
        .push(format!("{} was gone already", change.name));
    Stop::done()
}

/// What was planned with is not there any more.
fn otherwise(change: &IndexChange, what: &str, outcome: &mut StepOutcome) -> Stop {
    outcome.remedy = Some("run the same command again: it computes anew".to_owned());
    Stop::failed(format!("{} {what}; nothing was changed", change.name))
}

/// Whether a lock mode is one that a build waits for before it reads, and that its own lock lets pass.
fn writes(mode: &str) -> bool {
    matches!(
        mode,
        "RowExclusiveLock" | "ShareRowExclusiveLock" | "ExclusiveLock" | "AccessExclusiveLock"
    )
}
