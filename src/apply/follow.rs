//! Builds of other sessions: recognised, waited for, never hindered.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::concurrent::{Stop, change_of};
use super::observer::{Observer, blocker};
use super::outcome::{Blocker, Status, StepOutcome};
use super::run::Report;
use super::step::{Stepper, blank, millis};
use super::watch::{InFlight, Pace};
use crate::changes::changeset::{Lock, LockMode, Step};
use crate::ident::QualifiedName;

const LOCKERS: &str = include_str!("../../sql/observe/lockers.sql");

/// Pause between two looks at a build that is followed.
const LOOK: Duration = Duration::from_millis(300);

impl Observer {
    /// Returns another session's build on the table, where there is one.
    pub(super) async fn foreign_build(
        &self,
        table: &QualifiedName,
    ) -> anyhow::Result<Option<InFlight>> {
        let builds = self.builds(table).await?;
        let mut others = builds
            .into_iter()
            .filter(|build| !self.own.contains(&build.by.pid));
        if let Some(build) = others.find(|build| build.on_table == Some(true)) {
            return Ok(Some(build));
        }
        if !self.hidden {
            return Ok(None);
        }
        // Not told: whoever holds the lock of a build while an invalid index is there builds it.
        if self.invalid_indexes(table).await?.is_empty() {
            return Ok(None);
        }
        let lock = Lock {
            relation: table.clone(),
            mode: LockMode::ShareUpdateExclusive,
            why: String::new(),
            only: true,
            explicit: true,
        };
        let holders = self.holders(0, std::slice::from_ref(&lock)).await?;
        Ok(holders
            .into_iter()
            .find(|holder| {
                holder.mode.as_deref() == Some("ShareUpdateExclusiveLock")
                    && holder.backend_type.as_deref() != Some("autovacuum worker")
                    && !self.own.contains(&holder.pid)
            })
            .map(|by| InFlight {
                by,
                on_table: Some(true),
                table_oid: None,
                index_oid: None,
                phase: "building".to_owned(),
                done: None,
                backend_start: None,
            }))
    }

    /// Returns the transactions that hold any lock on the relations, each with the server's name for it.
    pub(super) async fn lockers(
        &self,
        relations: &[QualifiedName],
    ) -> anyhow::Result<Vec<(String, Blocker)>> {
        let names: Vec<String> = relations.iter().map(QualifiedName::sql).collect();
        let rows = self
            .session
            .query(LOCKERS, &[&names, &self.own])
            .await
            .context("reading who uses a table")?;
        rows.iter()
            .map(|row| {
                let pid: Option<i32> = row.try_get("pid")?;
                let relation: String = row.try_get("relation")?;
                let mut locker = match pid {
                    Some(_) => blocker(row)?,
                    None => {
                        Blocker::prepared(row.try_get("gid")?, row.try_get("prepared_seconds")?)
                    }
                };
                locker.mode = row.try_get("mode")?;
                locker.relation = relations
                    .iter()
                    .find(|name| name.sql() == relation)
                    .map(ToString::to_string);
                Ok((row.try_get("transaction")?, locker))
            })
            .collect()
    }
}

impl Blocker {
    fn prepared(gid: Option<String>, seconds: Option<f64>) -> Self {
        Self {
            pid: 0,
            relation: None,
            mode: None,
            role: None,
            application: None,
            state: None,
            backend_type: None,
            transaction_seconds: seconds,
            query_seconds: None,
            why: Some(format!(
                "prepared transaction `{}`; COMMIT PREPARED or ROLLBACK PREPARED ends it",
                gid.as_deref().unwrap_or("(hidden)")
            )),
        }
    }
}

impl Stepper<'_> {
    /// Waits for another session's build to end, without touching its table.
    pub(super) async fn follow(&mut self, step: &Step, report: &Report<'_>) -> StepOutcome {
        let mut outcome = blank(step, Status::Done);
        outcome.attempts = 1;
        let began = Instant::now();
        let stop = self
            .follow_to_the_end(step, &mut outcome, began, report)
            .await;
        outcome.duration_ms = millis(began.elapsed());
        if let Err(stop) = stop {
            outcome.status = stop.status;
            outcome.reason = Some(stop.reason);
        }
        outcome
    }

    async fn follow_to_the_end(
        &mut self,
        step: &Step,
        outcome: &mut StepOutcome,
        began: Instant,
        report: &Report<'_>,
    ) -> Result<(), Stop> {
        let change = change_of(step);
        let Some(pid) = change.follows else {
            return Err(Stop::failed("no build is named to wait for".to_owned()));
        };
        let patience = Duration::from_millis(step.budget.patience.0);
        let lost = |error: anyhow::Error| Stop::failed(format!("{error:#}"));
        let mut pace = Pace::default();
        let mut last: Option<InFlight> = None;
        loop {
            let builds = self.observer.builds(&change.table).await.map_err(lost)?;
            // The same session, and still the same table: it may build one index after the other.
            let build = builds.into_iter().find(|build| {
                build.by.pid == pid
                    && last.as_ref().is_none_or(|last| {
                        last.backend_start == build.backend_start
                            && last.table_oid == build.table_oid
                    })
            });
            let Some(build) = build else { break };
            report.build(step, &pace.progress(&build, Vec::new()));
            if began.elapsed() >= patience {
                outcome.blockers = vec![build.by];
                outcome.remedy = Some(
                    "run the same command again later, or give it longer with `patience`; the build goes on"
                        .to_owned(),
                );
                return Err(Stop::deferred(format!(
                    "the build of pid {pid} did not end within {}",
                    step.budget.patience
                )));
            }
            last = Some(build);
            self.sleep(LOOK).await;
            if *self.interrupt.borrow() {
                return Err(Stop::new(
                    Status::Interrupted,
                    format!("interrupted while the build of pid {pid} was waited for; it goes on"),
                ));
            }
        }
        let state = self.observer.index_state(&change).await.map_err(lost)?;
        let application = last
            .and_then(|build| build.by.application)
            .map(|application| format!(" (application `{application}`)"))
            .unwrap_or_default();
        let index = match state {
            Some(state) if state.of_table && state.valid => format!("; {} is valid", change.name),
            Some(state) if state.of_table => format!("; {} is invalid", change.name),
            // Under another name by now, or another session's name for it is hidden.
            Some(_) | None => String::new(),
        };
        outcome.remarks.push(format!(
            "the build of pid {pid}{application} has ended{index}"
        ));
        Ok(())
    }
}
