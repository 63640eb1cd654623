//! Reads a server's capacity and sessions.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::model::{Churn, DatabaseLimit, Process, RoleLimit, ServerSample};
use crate::conn::Session;
use crate::failure::Failure;
use crate::sample::bundle::{self, Answers, Fields, Part};
use crate::sql::{self, pool};

/// How much of the sessions is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// States and ages.
    Counts,
    /// Also statements, and who waits for whom.
    Statements,
}

/// What is read; `roles` are those whose limits are wanted beside the ones connected.
pub fn parts(detail: Detail, roles: &[String]) -> Vec<Part> {
    let statements = detail == Detail::Statements;
    vec![
        Part::of(&pool::SERVER),
        Part::with(&pool::SESSIONS, vec![Box::new(statements)]),
        Part::with(&pool::ROLES, vec![Box::new(roles.to_vec())]),
        Part::of(&pool::DATABASES),
    ]
}

/// Takes what [`parts`] brought.
///
/// # Errors
/// The server refused one of them.
pub fn taken(answers: &Answers) -> Result<ServerSample> {
    let mut sample = answers
        .rows(&pool::SERVER, facts)?
        .pop()
        .context("the server did not say who the current role is")?;
    sample.processes = answers.rows(&pool::SESSIONS, process)?;
    sample.roles = answers.rows(&pool::ROLES, |row| {
        Ok(RoleLimit {
            name: row.get("name")?,
            superuser: row.get("superuser")?,
            limit: row.get("connection_limit")?,
        })
    })?;
    sample.databases = answers.rows(&pool::DATABASES, database)?;
    Ok(sample)
}

/// Reads capacity, sessions and limits.
///
/// # Errors
/// The server refuses, or is older than dbops knows.
pub async fn read(session: &mut Session, detail: Detail, roles: &[String]) -> Result<ServerSample> {
    refuse_old(session)?;
    taken(&bundle::read(session, &parts(detail, roles)).await?)
}

/// Refuses a server that dbops does not know.
///
/// # Errors
/// Its version is below those supported.
pub fn refuse_old(session: &Session) -> Result<()> {
    let oldest = sql::SUPPORTED.start();
    if session.server_version_num() / 10_000 >= *oldest {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "the server is PostgreSQL {}; dbops needs {oldest} or newer",
        session.server_version(),
    ))
    .into())
}

fn facts(row: &Fields) -> Result<ServerSample> {
    let time_outs = [
        (
            "idle_in_transaction_session_timeout",
            "idle_in_transaction_timeout_ms",
        ),
        ("idle_session_timeout", "idle_session_timeout_ms"),
        ("transaction_timeout", "transaction_timeout_ms"),
    ];
    Ok(ServerSample {
        version_num: row.get("version_num")?,
        version: row.get("version")?,
        database: row.get("database")?,
        role: row.get("role")?,
        superuser: row.get("superuser")?,
        in_recovery: row.get("in_recovery")?,
        sees_all: row.get("reads_all_stats")?,
        uses_reserved: row.get("uses_reserved")?,
        max_connections: row.get("max_connections")?,
        superuser_reserved: row.get("superuser_reserved")?,
        reserved: row.get("reserved")?,
        time_outs: time_outs
            .into_iter()
            .map(|(name, column)| Ok((name, row.get(column)?)))
            .collect::<Result<BTreeMap<_, _>>>()?,
        ..ServerSample::default()
    })
}

fn process(row: &Fields) -> Result<Process> {
    let wait: Option<String> = row.get("wait")?;
    let wait_type: Option<String> = row.get("wait_type")?;
    let blocked_by: Option<Vec<i32>> = row.get("blocked_by")?;
    let mut blocked_by = blocked_by.unwrap_or_default();
    // A parallel query that blocks is named once for each of its processes.
    blocked_by.sort_unstable();
    blocked_by.dedup();
    Ok(Process {
        pid: row.get("pid")?,
        kind: row.get("kind")?,
        role: row.get("role")?,
        database: row.get("database")?,
        application: row.get("application")?,
        client: row.get("client")?,
        state: row.get("state")?,
        wait: wait_type.zip(wait),
        connected_s: row.get("connected_s")?,
        transaction_s: row.get("transaction_s")?,
        state_s: row.get("state_s")?,
        own: row.get("own")?,
        blocked_by,
        query: row.get("query")?,
    })
}

fn database(row: &Fields) -> Result<DatabaseLimit> {
    let counts: [Option<i64>; 4] = [
        row.get("sessions")?,
        row.get("abandoned")?,
        row.get("fatal")?,
        row.get("killed")?,
    ];
    let since = row.get("counted_since")?;
    Ok(DatabaseLimit {
        name: row.get("name")?,
        limit: row.get("connection_limit")?,
        allows: row.get("allows")?,
        churn: match counts {
            [Some(sessions), Some(abandoned), Some(fatal), Some(killed)] => Some(Churn {
                since,
                sessions,
                abandoned,
                fatal,
                killed,
            }),
            _ => None,
        },
    })
}
