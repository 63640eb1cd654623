//! Connects to nodes and reads them: positions first and together, then everything else.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use tokio_postgres::types::FromSql;
use tokio_postgres::{Client, Row};

use super::lsn::Lsn;
use super::model::{
    Cut, Declared, Facts, NodeSample, Position, Sample, Sender, Silence, SilenceKind,
};
use super::rate::{WalRate, since_checkpoint};
use super::rows;
use crate::conn::failure::{describe_error, server_error_in};
use crate::conn::{Purpose, Session, Settings, connect};
use crate::failure::is_exhausted;
use crate::sample::bundle::{self, Answers, Part};
use crate::sql::{self, replication as queries};

/// A node and the connection to it.
pub struct Linked {
    /// What is declared of it.
    pub declared: Declared,
    /// The connection, or why there is none.
    pub session: Result<Session, Silence>,
}

/// Connects to all nodes at once; a node that does not answer is silent, not an error.
pub async fn connect_all(nodes: Vec<(Declared, Settings)>, limit: Duration) -> Vec<Linked> {
    join_all(nodes.into_iter().map(async |(declared, settings)| Linked {
        declared,
        session: open(&settings, limit).await,
    }))
    .await
}

/// Connects to one node.
///
/// # Errors
/// Why it is silent.
pub async fn open(settings: &Settings, limit: Duration) -> Result<Session, Silence> {
    match tokio::time::timeout(limit, connect(settings, Purpose::Read)).await {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(error)) => Err(silence(&error)),
        Err(_) => Err(late(limit)),
    }
}

/// Reads all nodes that are connected.
pub async fn read(linked: &mut [Linked], limit: Duration) -> Sample {
    let before = primary_end(linked, limit).await;
    let started = Instant::now();
    let positions = join_all(linked.iter().map(async |one| {
        match &one.session {
            Ok(session) => timed_position(session, limit)
                .await
                .map_err(|e| refused(&e)),
            Err(silent) => Err(silent.clone()),
        }
    }))
    .await;
    let after = primary_end(linked, limit).await;
    let seconds = started.elapsed().as_secs_f64();
    let rest = join_all(
        linked
            .iter_mut()
            .zip(positions)
            .map(async |(one, position)| {
                let facts = match (&mut one.session, &position) {
                    (Ok(session), Ok(_)) => {
                        match tokio::time::timeout(limit, facts(session)).await {
                            Ok(facts) => facts.map_err(|error| refused(&error)),
                            Err(_) => Err(unanswered(limit)),
                        }
                    }
                    (_, Err(silent)) => Err(silent.clone()),
                    (Err(silent), Ok(_)) => Err(silent.clone()),
                };
                (one.declared.clone(), position.ok(), facts)
            }),
    )
    .await;
    let cut = before.zip(after).map(|(before, after)| Cut {
        before,
        after,
        seconds,
    });
    assembled(rest, cut)
}

/// Puts together what nodes said, each with when it said where it was.
pub fn assembled(
    nodes: Vec<(Declared, Option<Timed>, Result<Facts, Silence>)>,
    cut: Option<Cut>,
) -> Sample {
    let reference = nodes
        .iter()
        .filter_map(|(_, timed, _)| *timed)
        .find(|one| !one.position.in_recovery);
    let nodes = nodes.into_iter().map(|(declared, timed, facts)| {
        let placed = |mut facts: Facts| {
            if let Some(timed) = timed {
                facts.position = timed.position;
                facts.clock_offset = reference.map(|other| timed.offset_from(&other));
            }
            facts
        };
        NodeSample {
            declared,
            facts: facts.map(placed),
        }
    });
    Sample {
        nodes: nodes.collect(),
        cut,
        ..Sample::default()
    }
}

/// Returns the end of the WAL of the one primary among the nodes.
pub async fn primary_end(linked: &[Linked], limit: Duration) -> Option<Lsn> {
    let session = primary(linked)?;
    let timed = timed_position(session, limit).await.ok()?;
    timed.position.flushed
}

/// Returns the connection to the first node that was a primary when it was connected to.
pub fn primary(linked: &[Linked]) -> Option<&Session> {
    linked
        .iter()
        .filter_map(|one| one.session.as_ref().ok())
        .find(|session| !session.in_recovery())
}

/// The same, to write.
pub fn primary_mut(linked: &mut [Linked]) -> Option<&mut Session> {
    linked
        .iter_mut()
        .filter_map(|one| one.session.as_mut().ok())
        .find(|session| !session.in_recovery())
}

/// A position and when it was asked for and answered.
#[derive(Debug, Clone, Copy)]
pub struct Timed {
    /// The position.
    pub position: Position,
    asked: Instant,
    answered: Instant,
}

impl Timed {
    /// A clock is compared at the middle of its round trip, which is wrong by at most half of it.
    fn offset_from(&self, other: &Self) -> (f64, f64) {
        let half = |one: &Self| (one.answered - one.asked).as_secs_f64() / 2.0;
        let apart = if self.asked >= other.asked {
            (self.asked - other.asked).as_secs_f64()
        } else {
            -(other.asked - self.asked).as_secs_f64()
        };
        let passed = apart + half(self) - half(other);
        (
            self.position.clock - other.position.clock - passed,
            half(self) + half(other),
        )
    }
}

async fn timed_position(session: &Session, limit: Duration) -> Result<Timed> {
    let asked = Instant::now();
    let position = tokio::time::timeout(limit, position(session))
        .await
        .with_context(|| format!("no answer within {limit:?}"))??;
    Ok(Timed {
        position,
        asked,
        answered: Instant::now(),
    })
}

/// Reads where a server is.
///
/// # Errors
/// The connection, or the server's refusal.
pub async fn position(client: &Client) -> Result<Position> {
    let rows = client
        .query_typed(&sql::marked(sql::pick(&queries::POSITION, 0)), &[])
        .await
        .context("asking for the position")?;
    placed(rows.first().context("the server said no position")?)
}

/// A first look at a server: where it is, and what tells how to go on with it.
#[derive(Debug, Clone)]
pub struct Look {
    /// Where it is.
    pub timed: Timed,
    /// Whether a standby replays what it gets, or would.
    pub can_replay: bool,
    /// `recovery_min_apply_delay`.
    pub apply_delay: Duration,
    /// The same on a primary and its physical replicas.
    pub system_identifier: String,
    /// Whether the role may list the files of the WAL folder.
    pub may_list_wal: bool,
    /// Whether the role may list those that wait to be archived.
    pub may_list_archive: bool,
    /// Whether the role may read what the last checkpoint was.
    pub may_read_checkpoint: bool,
}

/// Takes a first look at a server.
///
/// # Errors
/// Why it is silent.
pub async fn look(session: &Session, limit: Duration) -> Result<Look, Silence> {
    let asked = Instant::now();
    let text = sql::marked(sql::pick(&queries::LOOK, session.server_version_num()));
    let looking = async {
        let rows = session
            .query_typed(&text, &[])
            .await
            .context("taking a first look")?;
        let row = rows.first().context("the server said nothing")?;
        let in_recovery = get(row, "in_recovery")?;
        // What is paused or receives nothing is known to; waiting for it would only take time.
        let fed = get::<bool>(row, "receives")? || get::<bool>(row, "restores")?;
        let paused = get::<Option<bool>>(row, "paused")? == Some(true);
        Ok(Look {
            timed: Timed {
                position: placed(row)?,
                asked,
                answered: Instant::now(),
            },
            can_replay: in_recovery && fed && !paused,
            apply_delay: Duration::from_millis(get::<i64>(row, "apply_delay_ms")?.unsigned_abs()),
            system_identifier: get(row, "system_identifier")?,
            may_list_wal: get(row, "may_list_wal")?,
            may_list_archive: get(row, "may_list_archive")?,
            may_read_checkpoint: get(row, "may_read_checkpoint")?,
        })
    };
    match tokio::time::timeout(limit, looking).await {
        Ok(looked) => looked.map_err(|error| refused(&error)),
        Err(_) => Err(unanswered(limit)),
    }
}

fn placed(row: &Row) -> Result<Position> {
    Ok(Position {
        clock: get(row, "clock")?,
        in_recovery: get(row, "in_recovery")?,
        flushed: lsn(row, "flushed")?,
        received: lsn(row, "received")?,
        replayed: lsn(row, "replayed")?,
    })
}

/// Reads who receives from a server, and how far it is itself.
///
/// # Errors
/// The connection, or the server's refusal.
pub async fn senders(session: &mut Session) -> Result<(Vec<Sender>, Option<Lsn>)> {
    let both = [Part::of(&queries::SENDERS), Part::of(&queries::POSITION)];
    let answers = bundle::read(session, &both).await?;
    let senders = answers.rows(&queries::SENDERS, rows::sender)?;
    let flushed = answers.rows(&queries::POSITION, rows::flushed)?;
    Ok((senders, flushed.into_iter().next().flatten()))
}

/// What is read of a node, beside its position.
pub fn parts() -> Vec<Part> {
    [
        &queries::NODE,
        &queries::SENDERS,
        &queries::RECEIVER,
        &queries::SLOTS,
        &queries::SUBSCRIPTIONS,
        &queries::CONFLICTS,
        &queries::HOLDERS,
    ]
    .map(Part::of)
    .into()
}

/// Takes what [`parts`] brought.
///
/// # Errors
/// The server refused one of them.
pub fn taken(answers: &Answers, version_num: i32) -> Result<Facts> {
    let mut node = answers
        .rows(&queries::NODE, rows::node_row)?
        .into_iter()
        .next()
        .context("the server said nothing of itself")?;
    node.version_num = version_num;
    Ok(Facts {
        position: Position {
            clock: 0.0,
            in_recovery: false,
            flushed: None,
            received: None,
            replayed: None,
        },
        clock_offset: None,
        node,
        senders: answers.rows(&queries::SENDERS, rows::sender)?,
        receiver: (answers
            .rows(&queries::RECEIVER, rows::receiver)?
            .into_iter())
        .next(),
        slots: answers.rows(&queries::SLOTS, rows::slot)?,
        subscriptions: answers.rows(&queries::SUBSCRIPTIONS, rows::subscription)?,
        conflicts: (answers
            .rows(&queries::CONFLICTS, rows::conflicts)?
            .into_iter())
        .next()
        .unwrap_or_default(),
        holders: answers.rows(&queries::HOLDERS, rows::holder)?,
    })
}

/// What is read of a primary for the rate of its WAL. It stands alone: a role may be refused it, and all else is still
/// to be told.
pub fn rate_part() -> Part {
    Part::of(&queries::CHECKPOINT)
}

/// Takes the rate that [`rate_part`] brought; `None`: there is none, or none yet.
pub fn rate(answers: &Answers) -> Option<WalRate> {
    let rows = answers.rows(&queries::CHECKPOINT, rows::checkpoint).ok()?;
    since_checkpoint(rows.first()?)
}

async fn facts(session: &mut Session) -> Result<Facts> {
    let version_num = session.server_version_num();
    let answers = bundle::read(session, &parts()).await?;
    taken(&answers, version_num)
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T> {
    row.try_get(column)
        .with_context(|| format!("reading its column `{column}`"))
}

fn lsn(row: &Row, column: &str) -> Result<Option<Lsn>> {
    get::<Option<&str>>(row, column)?
        .map(|text| text.parse().map_err(anyhow::Error::msg))
        .transpose()
}

/// The silence of a node that could not be connected to in time.
pub fn late(limit: Duration) -> Silence {
    Silence {
        kind: SilenceKind::NotConnected,
        message: format!("no answer within {limit:?}"),
    }
}

/// The silence of a node that was connected to and did not answer in time.
pub fn unanswered(limit: Duration) -> Silence {
    Silence {
        kind: SilenceKind::NoAnswer,
        ..late(limit)
    }
}

/// The silence of a node that was connected to and did not answer, by SQLSTATE.
///
/// A server that ends sends class 57P (source: errcodes.txt, "Operator Intervention"), and without a code the connection broke.
pub fn refused(error: &anyhow::Error) -> Silence {
    let silence = silence(error);
    let code = server_error_in(error).map(|server| server.sqlstate);
    let is_up = code.is_some_and(|code| !code.starts_with("57P"));
    match silence.kind {
        SilenceKind::NotConnected if is_up => Silence {
            kind: SilenceKind::Refused,
            ..silence
        },
        _ => silence,
    }
}

/// By SQLSTATE: the texts of refusals differ between versions.
pub fn silence(error: &anyhow::Error) -> Silence {
    let code = server_error_in(error).map(|server| server.sqlstate);
    let message = describe_error(error);
    let kind = match code.as_deref() {
        Some("53300") => SilenceKind::Exhausted,
        Some("42501") => SilenceKind::NoPrivilege,
        None if is_exhausted(error) => SilenceKind::Exhausted,
        _ => SilenceKind::NotConnected,
    };
    Silence { kind, message }
}
