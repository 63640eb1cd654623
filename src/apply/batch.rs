//! Sends the statements of one attempt and says how they ended.
#![expect(
    clippy::disallowed_methods,
    reason = "this is where a changeset's statements run"
)]

use futures_util::{StreamExt, pin_mut};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;

use crate::changes::script::{Attempt, CONCURRENT_SESSION};
use crate::conn::{Session, failure};

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Ended {
    Done,
    /// 55P03: a lock was not free, or not within the short wait.
    NoLock,
    /// 57014: cancelled, by us or by somebody else.
    Cancelled,
    /// 40P01: the server chose us to end a deadlock.
    Deadlock,
    /// 55000 raised by a guard: what was planned with is not there any more.
    Changed(String),
    /// Anything else.
    Failed(Fault),
    /// The connection broke.
    Lost(String),
}

/// What the server refused a statement with.
#[derive(Debug)]
pub(super) struct Fault {
    /// The whole in words; names the statement.
    pub(super) text: String,
    /// SQLSTATE; empty where the fault is not the server's.
    pub(super) sqlstate: String,
    /// The server's detail; may hold data of the table.
    pub(super) detail: Option<String>,
}

/// Runs one attempt. After anything but success the session is out of any transaction.
pub(super) async fn run(session: &Session, attempt: &Attempt) -> Ended {
    if attempt.transaction {
        let ended = send(
            session,
            &attempt.statements.join(";\n"),
            &attempt.statements,
        )
        .await;
        if !matches!(ended, Ended::Done | Ended::Lost(_))
            && let Err(error) = session.batch_execute("rollback").await
            && session.is_closed()
        {
            return Ended::Lost(failure::describe(&error));
        }
        return ended;
    }
    for setting in CONCURRENT_SESSION {
        if let Err(error) = session.batch_execute(setting).await {
            return ended(session, &error, setting);
        }
    }
    for statement in &attempt.statements {
        let ended = send(session, statement, std::slice::from_ref(statement)).await;
        if !matches!(ended, Ended::Done) {
            return ended;
        }
    }
    Ended::Done
}

/// Runs one statement alone in its message, as CONCURRENTLY needs it.
pub(super) async fn alone(session: &Session, statement: &str) -> Ended {
    let statement = statement.to_owned();
    send(session, &statement, std::slice::from_ref(&statement)).await
}

/// Reads what settings are now that statements of the form `set name = value` are about to change.
pub(super) async fn keep(
    session: &Session,
    settings: &[String],
) -> Result<Vec<(String, String)>, Ended> {
    let mut kept = Vec::new();
    for name in settings.iter().filter_map(|setting| name_of(setting)) {
        let row = session
            .query_one(
                "select pg_catalog.current_setting($1::text, true) as value",
                &[&name],
            )
            .await
            .map_err(|error| ended(session, &error, ""))?;
        if let Ok(Some(value)) = row.try_get::<_, Option<String>>("value") {
            kept.push((name.to_owned(), value));
        }
    }
    Ok(kept)
}

/// Sets what [`keep`] read.
pub(super) async fn put_back(session: &Session, kept: &[(String, String)]) {
    for (name, value) in kept {
        // The connection is lost, or it took the setting before: either way nothing else can be done.
        let _ = session
            .query_one(
                "select pg_catalog.set_config($1::text, $2::text, false)",
                &[name, value],
            )
            .await;
    }
}

/// Returns the name of the setting that a `set` statement is about.
fn name_of(setting: &str) -> Option<&str> {
    let words = setting.trim_start();
    let (set, rest) = words.split_once(char::is_whitespace)?;
    if !set.eq_ignore_ascii_case("set") {
        return None;
    }
    let name = rest.trim_start();
    let end = name
        .find(|c: char| c.is_whitespace() || c == '=')
        .unwrap_or(name.len());
    name.get(..end).filter(|name| !name.is_empty())
}

/// A cancel request that arrives late must not hit the next statement: this takes it.
pub(super) async fn settle(session: &Session) {
    for _ in 0..3 {
        if session.batch_execute("select").await.is_ok() {
            return;
        }
    }
}

async fn send(session: &Session, text: &str, statements: &[String]) -> Ended {
    let stream = match session.simple_query_raw(text).await {
        Ok(stream) => stream,
        Err(error) => return ended(session, &error, ""),
    };
    pin_mut!(stream);
    let mut completed = 0;
    while let Some(message) = stream.next().await {
        match message {
            Ok(SimpleQueryMessage::CommandComplete(_)) => completed += 1,
            Ok(_) => {}
            Err(error) => {
                return ended(
                    session,
                    &error,
                    statements.get(completed).map_or("", String::as_str),
                );
            }
        }
    }
    Ended::Done
}

fn ended(session: &Session, error: &tokio_postgres::Error, statement: &str) -> Ended {
    let what = || format!("{} in: {}", failure::describe(error), first_line(statement));
    match error.code() {
        Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => Ended::NoLock,
        Some(code) if *code == SqlState::QUERY_CANCELED => Ended::Cancelled,
        Some(code) if *code == SqlState::T_R_DEADLOCK_DETECTED => Ended::Deadlock,
        Some(code)
            if *code == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE
                && statement.starts_with("do ") =>
        {
            Ended::Changed(
                error
                    .as_db_error()
                    .map_or_else(what, |error| error.message().to_owned()),
            )
        }
        // 57P01 to 57P05: the server ends the session, so nothing can follow on it.
        Some(code) if code.code().starts_with("57P") => Ended::Lost(what()),
        Some(code) => Ended::Failed(Fault {
            text: what(),
            sqlstate: code.code().to_owned(),
            detail: error
                .as_db_error()
                .and_then(|error| error.detail().map(str::to_owned)),
        }),
        None => {
            if session.is_closed() || error.is_closed() {
                Ended::Lost(failure::describe(error))
            } else {
                Ended::Failed(Fault {
                    text: what(),
                    sqlstate: String::new(),
                    detail: None,
                })
            }
        }
    }
}

fn first_line(statement: &str) -> &str {
    statement.trim().lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_setting_is_read() {
        assert_eq!(name_of("set search_path = a, b"), Some("search_path"));
        assert_eq!(
            name_of("SET maintenance_work_mem='1GB'"),
            Some("maintenance_work_mem")
        );
        assert_eq!(name_of("set my.x to 1"), Some("my.x"));
        assert_eq!(name_of("select 1"), None);
    }
}
