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
    /// Anything else; the text names the statement.
    Failed(String),
    /// The connection broke.
    Lost(String),
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
        Some(_) => Ended::Failed(what()),
        None => {
            if session.is_closed() || error.is_closed() {
                Ended::Lost(failure::describe(error))
            } else {
                Ended::Failed(what())
            }
        }
    }
}

fn first_line(statement: &str) -> &str {
    statement.trim().lines().next().unwrap_or_default()
}
