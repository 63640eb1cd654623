//! dbops's own schema in the database, through refinery: runs and their steps.
//!
//! Each row is written in a transaction of its own, so that a crash leaves a truthful trace. The
//! history never decides anything and never makes a run fail: without the right to create its schema
//! it becomes a local file of JSON lines, and a warning.
#![expect(
    clippy::disallowed_methods,
    reason = "this room writes dbops's own tables"
)]

mod file;
pub mod read;
pub mod span;
pub mod statements;

use std::path::PathBuf;

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::apply::{Outcome, StepOutcome};
use crate::changes::changeset::{Acquire, Changeset, Step};
use crate::conn::{Session, failure};
use crate::failure::Exit;

mod embedded {
    refinery::embed_migrations!("sql/migrations");
}

/// The table in which refinery remembers which migrations ran.
const MIGRATIONS_TABLE: &str = "dbops.schema_history";

/// Where the runs of one execution are recorded.
///
/// It keeps the session that holds the advisory lock: both last as long as the run.
pub struct History {
    session: Session,
    sink: Sink,
    warning: Option<String>,
}

enum Sink {
    Database {
        run: i64,
    },
    File(file::Log),
    /// Even the file could not be written; the warning says why.
    Nowhere,
}

impl History {
    /// Begins a run, creating or migrating the schema where needed.
    ///
    /// `fallback` is the file of JSON lines used where the schema cannot be written.
    pub async fn begin(
        mut session: Session,
        changeset: &Changeset,
        fallback: PathBuf,
        now: DateTime<Utc>,
    ) -> Self {
        let (sink, warning) = match Self::begin_in_database(&mut session, changeset, now).await {
            Ok(run) => (Sink::Database { run }, None),
            Err(error) => {
                let why = failure::describe_error(&error);
                let (sink, place) = match file::Log::begin(&fallback, changeset, now) {
                    Ok(log) => (
                        Sink::File(log),
                        format!("it is written to {}", fallback.display()),
                    ),
                    Err(error) => (
                        Sink::Nowhere,
                        format!("and not to {} either: {error}", fallback.display()),
                    ),
                };
                (
                    sink,
                    Some(format!(
                        "the history cannot be written to the database ({why}); {place}"
                    )),
                )
            }
        };
        Self {
            session,
            sink,
            warning,
        }
    }

    async fn begin_in_database(
        session: &mut Session,
        changeset: &Changeset,
        now: DateTime<Utc>,
    ) -> anyhow::Result<i64> {
        migrate(session).await?;
        // A history that lags by some hundred milliseconds after a crash of the server costs nothing;
        // waiting for the disk twice a step would.
        session
            .batch_execute("set synchronous_commit = off")
            .await
            .context("setting up the history's session")?;
        let row = session
            .query_one(
                "insert into dbops.run (started_at, command, target, dbops_version, as_of, changeset, status) \
                 values ($1, $2, $3, $4, $5, $6, 'running') returning id",
                &[
                    &now,
                    &changeset.command,
                    &changeset.target,
                    &env!("CARGO_PKG_VERSION"),
                    &changeset.as_of,
                    &serde_json::to_value(changeset)?,
                ],
            )
            .await
            .context("recording the run")?;
        Ok(row.try_get("id")?)
    }

    /// Returns the server process of the session that holds the advisory lock.
    pub fn backend_pid(&self) -> i32 {
        self.session.backend_pid()
    }

    /// Returns the run's number, where it is recorded in the database.
    pub fn run_id(&self) -> Option<i64> {
        match self.sink {
            Sink::Database { run } => Some(run),
            Sink::File(_) | Sink::Nowhere => None,
        }
    }

    /// Records that a step begins.
    pub async fn step_began(&mut self, step: &Step, now: DateTime<Utc>) {
        let written = match &mut self.sink {
            Sink::Database { run } => {
                let statements = step
                    .ways
                    .first()
                    .map(|way| way.statements.join(";\n"))
                    .unwrap_or_default();
                self.session
                    .execute(
                        "insert into dbops.step (run_id, step_id, table_name, action, summary, statements, started_at, status) \
                         values ($1, $2, $3, $4, $5, $6, $7, 'running')",
                        &[
                            run,
                            &id(step.id),
                            &step.table.to_string(),
                            &name_of(&step.action),
                            &step.summary,
                            &statements,
                            &now,
                        ],
                    )
                    .await
                    .map(|_| ())
                    .map_err(|error| failure::describe(&error))
            }
            Sink::File(log) => log.write(
                &json!({"at": now, "step": step.id, "status": "running", "summary": step.summary}),
            ),
            Sink::Nowhere => Ok(()),
        };
        self.note(written);
    }

    /// Records how a step ended.
    pub async fn step_ended(&mut self, step: &Step, outcome: &StepOutcome, now: DateTime<Utc>) {
        let written = match &mut self.sink {
            Sink::Database { run } => self
                .session
                .execute(
                    "insert into dbops.step (run_id, step_id, table_name, action, summary, statements, started_at, status, \
                       finished_at, way, attempts, lock_wait_ms, duration_ms, blocked_count, blocked_longest_ms, blockers, reason) \
                     values ($1, $2, $3, $4, $5, $6, $7, $8, $7, $9, $10, $11, $12, $13, $14, $15, $16) \
                     on conflict (run_id, step_id) do update set statements = excluded.statements, status = excluded.status, finished_at = excluded.finished_at, \
                       way = excluded.way, attempts = excluded.attempts, lock_wait_ms = excluded.lock_wait_ms, \
                       duration_ms = excluded.duration_ms, blocked_count = excluded.blocked_count, \
                       blocked_longest_ms = excluded.blocked_longest_ms, blockers = excluded.blockers, reason = excluded.reason",
                    &[
                        run,
                        &id(step.id),
                        &step.table.to_string(),
                        &name_of(&step.action),
                        &step.summary,
                        &statements_of(step, outcome.way),
                        &now,
                        &outcome.status.as_str(),
                        &outcome.way.as_ref().map(name_of),
                        &id(outcome.attempts),
                        &i64::try_from(outcome.lock_wait_ms).unwrap_or(i64::MAX),
                        &i64::try_from(outcome.duration_ms).unwrap_or(i64::MAX),
                        &id(outcome.blocked.count),
                        &outcome.blocked.longest_ms,
                        &serde_json::to_value(&outcome.blockers).unwrap_or_default(),
                        &outcome.reason,
                    ],
                )
                .await
                .map(|_| ())
                .map_err(|error| failure::describe(&error)),
            Sink::File(log) => log.write(&json!({"at": now, "step": step.id, "outcome": outcome})),
            Sink::Nowhere => Ok(()),
        };
        self.note(written);
    }

    /// Records how the run ended; returns what kept the history from being complete, and the session.
    pub async fn finish(
        mut self,
        outcome: &Outcome,
        now: DateTime<Utc>,
    ) -> (Option<String>, Session) {
        let status = match outcome.exit() {
            Exit::Refused => "refused",
            Exit::Deferred => "deferred",
            Exit::PartWay => "part-way",
            Exit::Interrupted => "interrupted",
            Exit::Done | Exit::Findings | Exit::Unknown | Exit::Usage => "done",
        };
        let written = match &mut self.sink {
            Sink::Database { run } => self
                .session
                .execute(
                    "update dbops.run set finished_at = $2, status = $3, blocked_count = $4, blocked_longest_ms = $5 where id = $1",
                    &[run, &now, &status, &id(outcome.blocked.count), &outcome.blocked.longest_ms],
                )
                .await
                .map(|_| ())
                .map_err(|error| failure::describe(&error)),
            Sink::File(log) => log.write(&json!({"at": now, "run": "finished", "status": status})),
            Sink::Nowhere => Ok(()),
        };
        self.note(written);
        (self.warning, self.session)
    }

    /// Keeps the first thing that went wrong: later ones follow from it.
    fn note(&mut self, written: Result<(), String>) {
        if let Err(why) = written
            && self.warning.is_none()
        {
            self.warning = Some(format!("the history is incomplete: {why}"));
        }
    }
}

/// Creates dbops's schema and brings it to this version, one migration a transaction.
async fn migrate(session: &mut Session) -> anyhow::Result<()> {
    let row = session
        .query_one(
            "select pg_catalog.to_regnamespace('dbops') is not null as there, \
               pg_catalog.to_regclass('dbops.step') is not null as migrated",
            &[],
        )
        .await
        .context("looking for the schema dbops")?;
    if !row.try_get::<_, bool>("there")? {
        session
            .batch_execute("create schema dbops")
            .await
            .context("creating the schema dbops")?;
        session
            .batch_execute(
                "comment on schema dbops is 'History of dbops: what it did in this database'",
            )
            .await
            .context("describing the schema dbops")?;
    }
    if row.try_get::<_, bool>("migrated")?
        && embedded::migrations::runner().get_migrations().len() == newest(session).await?
    {
        return Ok(());
    }
    let mut runner = embedded::migrations::runner();
    runner.set_migration_table_name(MIGRATIONS_TABLE);
    runner
        .run_async(&mut **session)
        .await
        .context("migrating the schema dbops")?;
    Ok(())
}

/// Returns how many migrations ran, without asking refinery, which would write.
async fn newest(session: &Session) -> anyhow::Result<usize> {
    let row = session
        .query_one(
            "select pg_catalog.count(*)::int8 as ran from dbops.schema_history",
            &[],
        )
        .await
        .context("reading dbops.schema_history")?;
    Ok(usize::try_from(row.try_get::<_, i64>("ran")?).unwrap_or_default())
}

/// Returns the statements of the way that ran, none where none did.
fn statements_of(step: &Step, ran: Option<Acquire>) -> String {
    let way = step.ways.iter().find(|way| Some(way.acquire) == ran);
    way.map(|way| {
        let all: Vec<&str> = way
            .prepare
            .iter()
            .chain(&way.statements)
            .map(String::as_str)
            .collect();
        all.join(";\n")
    })
    .unwrap_or_default()
}

fn id(id: u32) -> i32 {
    i32::try_from(id).unwrap_or(i32::MAX)
}

/// Returns the kebab-case name that the JSON form has.
fn name_of<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
