//! Reads a server's capacity and sessions in the transaction of the caller.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use futures_util::{StreamExt, pin_mut};
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Row, Transaction};

use super::model::{Churn, DatabaseLimit, Process, RoleLimit, ServerSample};
use crate::failure::Failure;
use crate::sql::{self, Query, pool};

/// How much of the sessions is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// States and ages.
    Counts,
    /// Also statements, and who waits for whom.
    Statements,
}

/// Reads capacity, sessions and limits; `roles` are those whose limits are wanted beside the ones connected.
///
/// # Errors
/// The server refuses, or is older than dbops knows.
pub async fn read(tx: &Transaction<'_>, detail: Detail, roles: &[String]) -> Result<ServerSample> {
    let mut sample = rows(tx, 0, &pool::SERVER, &[], facts)
        .await?
        .pop()
        .context("the server did not say who the current role is")?;
    if sample.version_num / 10_000 < *sql::SUPPORTED.start() {
        return Err(Failure::usage(format!(
            "the server is PostgreSQL {}; dbops needs {} or newer",
            sample.version,
            sql::SUPPORTED.start()
        ))
        .into());
    }
    let version = sample.version_num;
    let statements = detail == Detail::Statements;
    sample.processes = rows(tx, version, &pool::SESSIONS, &[&statements], process).await?;
    sample.roles = rows(tx, version, &pool::ROLES, &[&roles], |row| {
        Ok(RoleLimit {
            name: get(row, "name")?,
            superuser: get(row, "superuser")?,
            limit: get(row, "connection_limit")?,
        })
    })
    .await?;
    sample.databases = rows(tx, version, &pool::DATABASES, &[], database).await?;
    Ok(sample)
}

fn facts(row: &Row) -> Result<ServerSample> {
    let time_outs = [
        (
            "idle_in_transaction_session_timeout",
            "idle_in_transaction_timeout_ms",
        ),
        ("idle_session_timeout", "idle_session_timeout_ms"),
        ("transaction_timeout", "transaction_timeout_ms"),
    ];
    Ok(ServerSample {
        version_num: get(row, "version_num")?,
        version: get(row, "version")?,
        database: get(row, "database")?,
        role: get(row, "role")?,
        superuser: get(row, "superuser")?,
        in_recovery: get(row, "in_recovery")?,
        sees_all: get(row, "reads_all_stats")?,
        uses_reserved: get(row, "uses_reserved")?,
        max_connections: get(row, "max_connections")?,
        superuser_reserved: get(row, "superuser_reserved")?,
        reserved: get(row, "reserved")?,
        time_outs: time_outs
            .into_iter()
            .map(|(name, column)| Ok((name, get(row, column)?)))
            .collect::<Result<BTreeMap<_, _>>>()?,
        ..ServerSample::default()
    })
}

fn process(row: &Row) -> Result<Process> {
    let wait: Option<String> = get(row, "wait")?;
    let wait_type: Option<String> = get(row, "wait_type")?;
    let blocked_by: Option<Vec<i32>> = get(row, "blocked_by")?;
    let mut blocked_by = blocked_by.unwrap_or_default();
    // A parallel query that blocks is named once for each of its processes.
    blocked_by.sort_unstable();
    blocked_by.dedup();
    Ok(Process {
        pid: get(row, "pid")?,
        kind: get(row, "kind")?,
        role: get(row, "role")?,
        database: get(row, "database")?,
        application: get(row, "application")?,
        client: get(row, "client")?,
        state: get(row, "state")?,
        wait: wait_type.zip(wait),
        connected_s: get(row, "connected_s")?,
        transaction_s: get(row, "transaction_s")?,
        state_s: get(row, "state_s")?,
        own: get(row, "own")?,
        blocked_by,
        query: get(row, "query")?,
    })
}

fn database(row: &Row) -> Result<DatabaseLimit> {
    let counts: [Option<i64>; 4] = [
        get(row, "sessions")?,
        get(row, "abandoned")?,
        get(row, "fatal")?,
        get(row, "killed")?,
    ];
    let since = get(row, "counted_since")?;
    Ok(DatabaseLimit {
        name: get(row, "name")?,
        limit: get(row, "connection_limit")?,
        allows: get(row, "allows")?,
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

/// Unnamed statements with their types stated work through a pooler in transaction mode too.
async fn rows<T>(
    tx: &Transaction<'_>,
    version_num: i32,
    query: &Query,
    params: &[&(dyn ToSql + Sync)],
    row: impl Fn(&Row) -> Result<T>,
) -> Result<Vec<T>> {
    let what = || format!("reading `{}`", query.name);
    let typed = params.iter().copied().zip(query.params.iter().cloned());
    let stream = tx
        .query_typed_raw(&sql::marked(sql::pick(query, version_num)), typed)
        .await
        .with_context(what)?;
    pin_mut!(stream);
    let mut list = Vec::new();
    while let Some(one) = stream.next().await {
        list.push(row(&one.with_context(what)?).with_context(what)?);
    }
    Ok(list)
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T> {
    row.try_get(column)
        .with_context(|| format!("reading its column `{column}`"))
}
