//! The second connection: who waits behind us, measured; cancels our own statement when a wait
//! would pass the budget.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::{OnceCell, oneshot};

use super::outcome::{Blocked, Blocker, Wait};
use crate::changes::changeset::{Lock, LockMode};
use crate::conn::Session;
use crate::ident::QualifiedName;

/// Pause between two samples.
const INTERVAL: Duration = Duration::from_millis(8);

/// How much earlier than the budget a cancel is sent: a sample, a cancel and a rollback take time.
pub(super) const HEAD_START_MS: f64 = 12.0;

const WAITERS: &str = include_str!("../../sql/observe/waiters.sql");
const HOLDERS: &str = include_str!("../../sql/observe/holders.sql");
const BLOCKERS: &str = include_str!("../../sql/observe/blockers.sql");
const DETACH_PENDING: &str = include_str!("../../sql/observe/detach_pending.sql");

/// The observer's connection with its statements prepared.
pub(super) struct Observer {
    pub(super) session: Session,
    waiters: tokio_postgres::Statement,
    /// dbops's own sessions, which are nobody that it keeps waiting.
    pub(super) own: Vec<i32>,
    /// Whether this role is not told what other roles' sessions wait for.
    pub(super) hidden: bool,
    /// Prepared when the first build is watched.
    pub(super) build_sample: OnceCell<tokio_postgres::Statement>,
}

/// What watching one attempt saw.
pub(super) struct Watched {
    pub(super) blocked: Blocked,
    /// Whether the attempt was cancelled because somebody had waited for too long.
    pub(super) over_budget: bool,
}

pub(super) struct Seen {
    pub(super) wait: Wait,
    pub(super) first_seen: Instant,
    pub(super) last_sample: u64,
}

impl Observer {
    pub(super) async fn new(session: Session, own: Vec<i32>) -> anyhow::Result<Self> {
        let waiters = session
            .prepare(WAITERS)
            .await
            .context("preparing the observer")?;
        let hidden = session
            .query_one(
                "select not pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage') as hidden",
                &[],
            )
            .await
            .context("reading whether other sessions can be seen")?
            .try_get("hidden")?;
        Ok(Self {
            session,
            waiters,
            own,
            hidden,
            build_sample: OnceCell::new(),
        })
    }

    /// Samples who waits behind backend `pid` until `done` is told; cancels that backend's statement
    /// when a wait reaches `max_block_ms`.
    pub(super) async fn watch(
        &self,
        pid: i32,
        max_block_ms: f64,
        mut done: oneshot::Receiver<()>,
    ) -> anyhow::Result<Watched> {
        let mut seen: BTreeMap<i32, Seen> = BTreeMap::new();
        let mut blocked = Blocked::default();
        let mut over_budget = false;
        let mut sampled_at = Instant::now();
        let mut looked_at = sampled_at;
        loop {
            let began = Instant::now();
            let rows = self
                .session
                .query(&self.waiters, &[&pid, &self.own, &self.hidden])
                .await
                .context("sampling waiting sessions")?;
            if blocked.samples > 0 {
                // From the look of the last sample to that of this one, both queries' own time included.
                blocked.resolution_ms = blocked.resolution_ms.max(millis(looked_at.elapsed()));
            }
            looked_at = began;
            sampled_at = Instant::now();
            blocked.samples += 1;
            let mut longest: f64 = 0.0;
            let anybody = !rows.is_empty();
            for row in rows {
                let pid: i32 = row.try_get("pid")?;
                let entry = seen.entry(pid).or_insert_with(|| Seen {
                    wait: Wait {
                        pid,
                        application: row.try_get("application_name").ok().flatten(),
                        backend_type: row.try_get("backend_type").ok().flatten(),
                        mode: row.try_get("mode").unwrap_or_default(),
                        waited_ms: 0.0,
                    },
                    first_seen: began,
                    last_sample: 0,
                });
                let recorded: Option<f64> = row.try_get("waited_ms")?;
                let waited = recorded.unwrap_or_else(|| millis(began - entry.first_seen));
                entry.wait.waited_ms = entry.wait.waited_ms.max(waited);
                entry.last_sample = blocked.samples;
                longest = longest.max(waited);
            }
            if anybody && longest + HEAD_START_MS >= max_block_ms && !over_budget {
                over_budget = true;
                self.session
                    .query_one("select pg_catalog.pg_cancel_backend($1)", &[&pid])
                    .await
                    .context("cancelling our own statement")?;
            }
            tokio::select! {
                biased;
                _ = &mut done => break,
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
        blocked.resolution_ms = blocked.resolution_ms.max(millis(looked_at.elapsed()));
        // Whoever was still waiting in the last sample waited on until our locks went.
        let since = millis(sampled_at.elapsed());
        for entry in seen
            .values_mut()
            .filter(|entry| entry.last_sample == blocked.samples)
        {
            entry.wait.waited_ms += since;
        }
        summarize(
            seen.into_values().map(|seen| seen.wait).collect(),
            &mut blocked,
        );
        Ok(Watched {
            blocked,
            over_budget,
        })
    }

    /// Returns who holds locks that conflict with those wanted, longest transaction first.
    pub(super) async fn holders(&self, pid: i32, locks: &[Lock]) -> anyhow::Result<Vec<Blocker>> {
        let names: Vec<String> = locks.iter().map(|lock| lock.relation.sql()).collect();
        let rows = self
            .session
            .query(HOLDERS, &[&names, &pid])
            .await
            .context("reading who holds the locks")?;
        let mut blockers = Vec::new();
        for row in rows {
            let relation: String = row.try_get("relation")?;
            let mode: String = row.try_get("mode")?;
            let Some(lock) = locks.iter().find(|lock| lock.relation.sql() == relation) else {
                continue;
            };
            if conflicts(lock.mode, &mode) {
                blockers.push(Blocker {
                    relation: Some(lock.relation.to_string()),
                    mode: Some(mode),
                    ..blocker(&row)?
                });
            }
        }
        Ok(blockers)
    }

    /// Returns whether a concurrent detach of the partition was begun and is not complete.
    pub(super) async fn detach_pending(&self, partition: &QualifiedName) -> anyhow::Result<bool> {
        let row = self
            .session
            .query_one(DETACH_PENDING, &[&partition.sql()])
            .await
            .context("reading whether a detach is pending")?;
        Ok(row.try_get("pending")?)
    }

    /// Returns whom backend `pid` waits for right now.
    pub(super) async fn blockers(&self, pid: i32) -> anyhow::Result<Vec<Blocker>> {
        let rows = self
            .session
            .query(BLOCKERS, &[&pid])
            .await
            .context("reading who is waited for")?;
        rows.iter().map(blocker).collect()
    }
}

pub(super) fn blocker(row: &tokio_postgres::Row) -> anyhow::Result<Blocker> {
    Ok(Blocker {
        pid: row.try_get("pid")?,
        relation: None,
        mode: None,
        role: row.try_get("role")?,
        application: row.try_get("application_name")?,
        state: row.try_get("state")?,
        backend_type: row.try_get("backend_type")?,
        transaction_seconds: row.try_get("transaction_seconds")?,
        query_seconds: row.try_get("query_seconds")?,
        why: None,
    })
}

pub(super) fn summarize(mut waits: Vec<Wait>, blocked: &mut Blocked) {
    waits.sort_by(|a, b| b.waited_ms.total_cmp(&a.waited_ms).then(a.pid.cmp(&b.pid)));
    blocked.count = u32::try_from(waits.len()).unwrap_or(u32::MAX);
    let writers = waits
        .iter()
        .filter(|wait| !matches!(wait.mode.as_str(), "AccessShareLock" | "RowShareLock"))
        .count();
    blocked.writers = u32::try_from(writers).unwrap_or(u32::MAX);
    blocked.longest_ms = waits.first().map_or(0.0, |wait| wait.waited_ms);
    waits.truncate(20);
    blocked.waits = waits;
}

/// Whether a held lock conflicts with a wanted one.
///
/// Source: the table of conflicting lock modes in
/// <https://www.postgresql.org/docs/current/explicit-locking.html>.
fn conflicts(wanted: LockMode, held: &str) -> bool {
    match wanted {
        LockMode::AccessExclusive => true,
        LockMode::AccessShare => held == "AccessExclusiveLock",
        LockMode::ShareUpdateExclusive => !matches!(
            held,
            "AccessShareLock" | "RowShareLock" | "RowExclusiveLock"
        ),
        LockMode::Share => matches!(
            held,
            "RowExclusiveLock"
                | "ShareUpdateExclusiveLock"
                | "ShareRowExclusiveLock"
                | "ExclusiveLock"
                | "AccessExclusiveLock"
        ),
        LockMode::ShareRowExclusive => !matches!(held, "AccessShareLock" | "RowShareLock"),
    }
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
