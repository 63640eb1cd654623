//! Reads the history back for `dbops history`.

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_postgres::Transaction;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended; `None`: still running, or dbops was killed.
    pub finished_at: Option<DateTime<Utc>>,
    /// The command.
    pub command: String,
    /// The target's name.
    pub target: String,
    /// The role it ran as.
    pub role: String,
    /// The version of dbops.
    pub dbops_version: String,
    /// How it ended.
    pub status: String,
    /// Waits of other sessions behind it.
    pub blocked_count: Option<i32>,
    /// The longest of them in milliseconds.
    pub blocked_longest_ms: Option<f64>,
    /// Its steps in order.
    pub steps: Vec<RunStep>,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunStep {
    /// Its number in the changeset.
    pub id: i32,
    /// The table.
    pub table: String,
    /// What it did.
    pub action: String,
    /// The same for people.
    pub summary: String,
    /// The statements it ran.
    pub statements: String,
    /// How it ended.
    pub status: String,
    /// The way that ran.
    pub way: Option<String>,
    /// How often it was tried.
    pub attempts: Option<i32>,
    /// Milliseconds spent on getting the locks.
    pub lock_wait_ms: Option<i64>,
    /// Milliseconds of the last attempt.
    pub duration_ms: Option<i64>,
    /// Waits of other sessions behind it.
    pub blocked_count: Option<i32>,
    /// The longest of them in milliseconds.
    pub blocked_longest_ms: Option<f64>,
    /// Why it did not succeed.
    pub reason: Option<String>,
}

/// Reads the last `limit` runs, newest first, with their steps; `None` where there is no history.
///
/// # Errors
/// What the server says, for example that the role may not read the schema.
pub async fn runs(tx: &Transaction<'_>, limit: i64) -> anyhow::Result<Option<Vec<Run>>> {
    let there: bool = tx
        .query_one(
            "select pg_catalog.to_regclass('dbops.step') is not null as there",
            &[],
        )
        .await
        .context("looking for the history")?
        .try_get("there")?;
    if !there {
        return Ok(None);
    }
    let rows = tx
        .query(
            "select id, started_at, finished_at, command, target, role, dbops_version, status, blocked_count, blocked_longest_ms \
             from dbops.run order by id desc limit $1",
            &[&limit],
        )
        .await
        .context("reading the runs")?;
    let mut runs = Vec::with_capacity(rows.len());
    for row in rows {
        runs.push(Run {
            id: row.try_get("id")?,
            started_at: row.try_get("started_at")?,
            finished_at: row.try_get("finished_at")?,
            command: row.try_get("command")?,
            target: row.try_get("target")?,
            role: row.try_get("role")?,
            dbops_version: row.try_get("dbops_version")?,
            status: row.try_get("status")?,
            blocked_count: row.try_get("blocked_count")?,
            blocked_longest_ms: row.try_get("blocked_longest_ms")?,
            steps: Vec::new(),
        });
    }
    let ids: Vec<i64> = runs.iter().map(|run| run.id).collect();
    let rows = tx
        .query(
            "select run_id, step_id, table_name, action, summary, statements, status, way, attempts, lock_wait_ms, duration_ms, \
               blocked_count, blocked_longest_ms, reason \
             from dbops.step where run_id = any($1) order by run_id, step_id",
            &[&ids],
        )
        .await
        .context("reading the steps")?;
    for row in rows {
        let run_id: i64 = row.try_get("run_id")?;
        if let Some(run) = runs.iter_mut().find(|run| run.id == run_id) {
            run.steps.push(RunStep {
                id: row.try_get("step_id")?,
                table: row.try_get("table_name")?,
                action: row.try_get("action")?,
                summary: row.try_get("summary")?,
                statements: row.try_get("statements")?,
                status: row.try_get("status")?,
                way: row.try_get("way")?,
                attempts: row.try_get("attempts")?,
                lock_wait_ms: row.try_get("lock_wait_ms")?,
                duration_ms: row.try_get("duration_ms")?,
                blocked_count: row.try_get("blocked_count")?,
                blocked_longest_ms: row.try_get("blocked_longest_ms")?,
                reason: row.try_get("reason")?,
            });
        }
    }
    Ok(Some(runs))
}
