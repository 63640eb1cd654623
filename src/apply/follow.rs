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
                    None => Blocker::prepared(),
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
    fn prepared() -> Self {
        Self {
            pid: 0,
            relation: None,
            mode: None,
            role: None,
            application: None,
            state: None,
            backend_type: None,
            transaction_seconds: None,
            query_seconds: None,
            why: Some("a prepared transaction (pg_prepared_xacts)".to_owned()),
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
        let mut session = None;
        let mut last: Option<InFlight> = None;
        loop {
            let builds = self.observer.builds(&change.table).await.map_err(lost)?;
            let build = builds.into_iter().find(|build| {
                build.by.pid == pid
                    && build.on_table != Some(false)
                    && (session.is_none() || session == build.backend_start)
            });
            let Some(build) = build else { break };
            session = session.or(build.backend_start);
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
        outcome.remarks.push(format!(
            "the build of pid {pid}{application} has ended; {} is {}",
            change.name,
            match state {
                Some(state) if state.of_table && state.valid => "valid",
                Some(state) if state.of_table => "invalid",
                Some(_) => "not an index of its table",
                None => "not there",
            }
        ));
        Ok(())
    }
}
