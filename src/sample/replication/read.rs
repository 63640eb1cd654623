//! Connects to nodes and reads them: positions first and together, then everything else.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use tokio_postgres::types::FromSql;
use tokio_postgres::{Client, Row, Transaction};

use super::lsn::Lsn;
use super::model::{
    Conflicts, Cut, Declared, Facts, Holder, NodeRow, NodeSample, Position, Receiver, Sample,
    Sender, Silence, SilenceKind, Slot, Subscription,
};
use crate::conn::failure::{describe_error, server_error_in};
use crate::conn::{Purpose, Session, Settings, begin_read, connect};
use crate::sql::{self, Query, replication as queries};

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
                .map_err(|e| silence(&e)),
            Err(silent) => Err(silent.clone()),
        }
    }))
    .await;
    let after = primary_end(linked, limit).await;
    let seconds = started.elapsed().as_secs_f64();
    let reference = positions
        .iter()
        .flatten()
        .find(|one| !one.position.in_recovery)
        .copied();
    let rest = join_all(
        linked
            .iter_mut()
            .zip(positions)
            .map(async |(one, position)| {
                let (Ok(session), Ok(position)) = (&mut one.session, &position) else {
                    return position.map(|_| None);
                };
                match tokio::time::timeout(limit, facts(session)).await {
                    Ok(Ok(facts)) => Ok(Some((facts, *position))),
                    Ok(Err(error)) => Err(silence(&error)),
                    Err(_) => Err(late(limit)),
                }
            }),
    )
    .await;
    let nodes = linked
        .iter()
        .zip(rest)
        .map(|(one, read)| NodeSample {
            declared: one.declared.clone(),
            facts: match read {
                Ok(Some((mut facts, timed))) => {
                    facts.position = timed.position;
                    facts.clock_offset = reference.map(|other| timed.offset_from(&other));
                    Ok(facts)
                }
                Ok(None) => Err(late(limit)),
                Err(silent) => Err(silent),
            },
        })
        .collect();
    Sample {
        nodes,
        cut: before.zip(after).map(|(before, after)| Cut {
            before,
            after,
            seconds,
        }),
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
struct Timed {
    position: Position,
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
    let row = rows.first().context("the server said no position")?;
    Ok(Position {
        clock: get(row, "clock")?,
        in_recovery: get(row, "in_recovery")?,
        flushed: lsn(row, "flushed")?,
        received: lsn(row, "received")?,
        replayed: lsn(row, "replayed")?,
    })
}

/// Reads who receives from a server, outside a transaction.
///
/// # Errors
/// The connection, or the server's refusal.
pub async fn senders(session: &Session) -> Result<Vec<Sender>> {
    let text = sql::marked(sql::pick(&queries::SENDERS, session.server_version_num()));
    let rows = session
        .query_typed(&text, &[])
        .await
        .context("reading who receives")?;
    rows.iter().map(sender).collect()
}

async fn facts(session: &mut Session) -> Result<Facts> {
    let version_num = session.server_version_num();
    let tx = begin_read(session).await?;
    let reader = Reader {
        tx: &tx,
        version_num,
    };
    // Sent one after the other without waiting for answers.
    let (node, senders, receivers, slots, subscriptions, conflicts, holders) = tokio::try_join!(
        reader.list(&queries::NODE, node_row),
        reader.list(&queries::SENDERS, sender),
        reader.list(&queries::RECEIVER, receiver),
        reader.list(&queries::SLOTS, slot),
        reader.list(&queries::SUBSCRIPTIONS, subscription),
        reader.list(&queries::CONFLICTS, conflicts),
        reader.list(&queries::HOLDERS, holder),
    )?;
    tx.commit().await.context("ending to read")?;
    let mut node = node
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
        senders,
        receiver: receivers.into_iter().next(),
        slots,
        subscriptions,
        conflicts: conflicts.into_iter().next().unwrap_or_default(),
        holders,
    })
}

struct Reader<'a> {
    tx: &'a Transaction<'a>,
    version_num: i32,
}

impl Reader<'_> {
    async fn list<T>(&self, query: &Query, row: fn(&Row) -> Result<T>) -> Result<Vec<T>> {
        let what = || format!("reading `{}`", query.name);
        let text = sql::marked(sql::pick(query, self.version_num));
        let rows = self.tx.query_typed(&text, &[]).await.with_context(what)?;
        rows.iter()
            .map(row)
            .collect::<Result<_>>()
            .with_context(what)
    }
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

fn node_row(row: &Row) -> Result<NodeRow> {
    let timeline: Option<&str> = get(row, "timeline_hex")?;
    Ok(NodeRow {
        version_num: 0,
        version: get(row, "version")?,
        role: get(row, "role")?,
        reads_all_stats: get(row, "reads_all_stats")?,
        system_identifier: get(row, "system_identifier")?,
        timeline: timeline.and_then(|hex| u32::from_str_radix(hex, 16).ok()),
        commit_age_s: get(row, "commit_age")?,
        paused: get(row, "pause_requested")?,
        pause_state: get(row, "pause_state")?,
        segment_bytes: get(row, "segment_bytes")?,
        status_interval_s: get(row, "status_interval_s")?,
        apply_delay_ms: get(row, "apply_delay_ms")?,
        restores: get(row, "restores")?,
        feedback: get(row, "feedback")?,
        synchronous_names: get(row, "synchronous_names")?,
        slot_keep_mb: get(row, "slot_keep_mb")?,
        sync_waiting: get(row, "sync_waiting")?,
        sync_waiting_s: get(row, "sync_waiting_s")?,
    })
}

fn sender(row: &Row) -> Result<Sender> {
    Ok(Sender {
        pid: get(row, "pid")?,
        application_name: get(row, "application_name")?,
        client_address: get(row, "client_address")?,
        state: get(row, "state")?,
        sent: lsn(row, "sent")?,
        written: lsn(row, "written")?,
        flushed: lsn(row, "flushed")?,
        replayed: lsn(row, "replayed")?,
        write_lag_s: get(row, "write_lag_s")?,
        flush_lag_s: get(row, "flush_lag_s")?,
        replay_lag_s: get(row, "replay_lag_s")?,
        sync_priority: get(row, "sync_priority")?,
        sync_state: get(row, "sync_state")?,
        reply_age_s: get(row, "reply_age_s")?,
        slot_name: get(row, "slot_name")?,
        slot_type: get(row, "slot_type")?,
    })
}

fn receiver(row: &Row) -> Result<Receiver> {
    Ok(Receiver {
        pid: get(row, "pid")?,
        status: get(row, "status")?,
        timeline: get(row, "timeline")?,
        flushed: lsn(row, "flushed")?,
        sender_end: lsn(row, "sender_end")?,
        message_age_s: get(row, "message_age_s")?,
        slot_name: get(row, "slot_name")?,
        sender_host: get(row, "sender_host")?,
        sender_port: get(row, "sender_port")?,
        application_name: get(row, "application_name")?,
    })
}

fn slot(row: &Row) -> Result<Slot> {
    Ok(Slot {
        name: get(row, "name")?,
        kind: get(row, "kind")?,
        plugin: get(row, "plugin")?,
        database: get(row, "database_name")?,
        temporary: get(row, "temporary")?,
        active: get(row, "active")?,
        active_pid: get(row, "active_pid")?,
        xmin_age: get(row, "xmin_age")?,
        catalog_xmin_age: get(row, "catalog_xmin_age")?,
        restart: lsn(row, "restart")?,
        confirmed: lsn(row, "confirmed")?,
        wal_status: get(row, "wal_status")?,
        safe_bytes: get(row, "safe_bytes")?,
        conflicting: get(row, "conflicting")?,
        inactive_s: get(row, "inactive_s")?,
        invalidation: get(row, "invalidation")?,
        failover: get(row, "failover")?,
        synced: get(row, "synced")?,
    })
}

fn subscription(row: &Row) -> Result<Subscription> {
    Ok(Subscription {
        name: get(row, "name")?,
        database: get(row, "database_name")?,
        enabled: get(row, "enabled")?,
        slot_name: get(row, "slot_name")?,
        pid: get(row, "pid")?,
        received: lsn(row, "received")?,
        reported: lsn(row, "reported")?,
        message_age_s: get(row, "message_age_s")?,
        apply_errors: get(row, "apply_errors")?,
        sync_errors: get(row, "sync_errors")?,
        conflicts: get(row, "conflicts")?,
    })
}

fn conflicts(row: &Row) -> Result<Conflicts> {
    Ok(Conflicts {
        tablespace: get(row, "tablespace")?,
        lock: get(row, "lock")?,
        snapshot: get(row, "snapshot")?,
        bufferpin: get(row, "bufferpin")?,
        deadlock: get(row, "deadlock")?,
        logical_slot: get(row, "logical_slot")?,
    })
}

fn holder(row: &Row) -> Result<Holder> {
    Ok(Holder {
        kind: get(row, "kind")?,
        name: get(row, "name")?,
        pid: get(row, "pid")?,
        xids: get(row, "xids")?,
        seconds: get(row, "seconds")?,
    })
}

fn late(limit: Duration) -> Silence {
    Silence {
        kind: SilenceKind::NotConnected,
        message: format!("no answer within {limit:?}"),
    }
}

/// By SQLSTATE: the texts of refusals differ between versions.
fn silence(error: &anyhow::Error) -> Silence {
    let code = server_error_in(error).map(|server| server.sqlstate);
    let message = describe_error(error);
    let kind = match code.as_deref() {
        Some("53300") => SilenceKind::Exhausted,
        Some("42501") => SilenceKind::NoPrivilege,
        // A failure to connect is told in words alone; its SQLSTATE stands there.
        None if message.contains("SQLSTATE 53300") => SilenceKind::Exhausted,
        _ => SilenceKind::NotConnected,
    };
    Silence { kind, message }
}
