//! Watches a concurrent statement on an index: what it waits for, who waits behind it, how far it is.
//!
//! Everything here is one query outside any transaction: a snapshot that stays open between two looks
//! would be waited for by the very build that is watched.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::watch;

use super::forecast;
use super::observer::{HEAD_START_MS, Observer, Seen, blocker, millis, summarize};
use super::outcome::{Blocked, Blocker, BuildProgress, Wait};
use super::step::raised;
use crate::ident::QualifiedName;

const SAMPLE: &str = include_str!("../../sql/observe/build_sample.sql");
const WAITERS: &str = include_str!("../../sql/observe/relation_waiters.sql");
const BUILDS: &str = include_str!("../../sql/observe/builds.sql");
const BLOCKERS: &str = include_str!("../../sql/observe/blockers.sql");

/// Pause between two looks while nobody waits, in milliseconds: the shortest and the longest.
const INTERVAL_MS: (f64, f64) = (5.0, 40.0);
/// Pause between two reports of progress.
const TELL: Duration = Duration::from_millis(500);
/// The same until the server has told which index is being built.
const FIRST_TELL: Duration = Duration::from_millis(40);

/// How long a concurrent statement may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How long a reader or writer may wait behind it, in milliseconds.
    pub(super) max_block_ms: f64,
    /// How long it may itself wait for a table's lock, in milliseconds.
    pub(super) lock_wait_ms: f64,
    /// How long it may wait for open transactions, in sum.
    pub(super) patience: Duration,
}

/// Why a concurrent statement is to be cancelled.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cause {
    /// A signal.
    Interrupted,
    /// It queues for the table's lock: somebody was quicker.
    LockWait,
    /// Open transactions did not end within the patience.
    Patience,
    /// Readers or writers wait behind it, because maintenance queues in between.
    Waiter,
    /// It could not be watched any more.
    Unwatched(String),
}

/// A session that waits behind the build for a lock that maintenance takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Queued {
    pub(super) pid: i32,
    pub(super) application: Option<String>,
    pub(super) backend_type: Option<String>,
    pub(super) mode: String,
}

/// What watching a concurrent statement saw.
#[derive(Default)]
pub(super) struct Watching {
    pub(super) blocked: Blocked,
    /// Time it waited for open transactions of others.
    pub(super) waited: Duration,
    /// Whom it waited for when it last waited.
    pub(super) blockers: Vec<Blocker>,
    /// Maintenance that queued behind it, by pid.
    pub(super) queued: BTreeMap<i32, Queued>,
    /// Maintenance that stood between it and readers or writers, when they had waited too long.
    pub(super) between: Vec<Queued>,
    /// The index that the server said is being built.
    pub(super) index_oid: Option<i64>,
    seen: BTreeMap<i32, Seen>,
    last_look: Option<Instant>,
}

/// A build of an index in flight, as the server tells this role.
#[derive(Debug, Clone)]
pub(super) struct InFlight {
    /// Its backend, with what is known of its session.
    pub(super) by: Blocker,
    /// Whether it is on the table asked for; `None`: not told.
    pub(super) on_table: Option<bool>,
    pub(super) table_oid: Option<i64>,
    pub(super) index_oid: Option<i64>,
    pub(super) phase: String,
    /// Share of the phase that is done.
    pub(super) done: Option<f64>,
    /// When the session began, seconds since the epoch: tells it from a later one with the same pid.
    pub(super) backend_start: Option<f64>,
}

/// Estimates the rest of a phase from the rate since it began.
#[derive(Default)]
pub(super) struct Pace {
    phase: String,
    began: Option<(Instant, f64)>,
}

impl Pace {
    /// Returns how far the build is, with the rest in seconds where the rate is known.
    pub(super) fn progress(&mut self, build: &InFlight, waits_for: Vec<Blocker>) -> BuildProgress {
        let done = build.done.unwrap_or_default();
        if self.phase != build.phase || self.began.is_none() {
            self.phase.clone_from(&build.phase);
            self.began = Some((Instant::now(), done));
        }
        let rest_seconds = self.began.and_then(|(began, at)| {
            let gained = done - at;
            (gained > 0.005).then(|| began.elapsed().as_secs_f64() * (1.0 - done) / gained)
        });
        BuildProgress {
            phase: build.phase.clone(),
            done: build.done,
            rest_seconds,
            waits_for,
        }
    }
}

impl Observer {
    /// Watches until there is a reason to cancel; the statement's end drops the future.
    pub(super) async fn watch_build(
        &self,
        pid: i32,
        table: &QualifiedName,
        limits: Limits,
        mut interrupt: watch::Receiver<bool>,
        watching: &mut Watching,
        tell: &mut dyn FnMut(&BuildProgress),
    ) -> Cause {
        let idle = (limits.max_block_ms / 4.0).clamp(INTERVAL_MS.0, INTERVAL_MS.1);
        let mut queues_since: Option<Instant> = None;
        let mut waits_since: Option<Instant> = None;
        let mut pace = Pace::default();
        let mut told_at: Option<Instant> = None;
        loop {
            let began = Instant::now();
            let elapsed = watching
                .last_look
                .map_or(Duration::ZERO, |last| began - last);
            watching.last_look = Some(began);
            let sample = match self.build_sample(pid).await {
                Ok(sample) => sample,
                Err(error) => return Cause::Unwatched(format!("{error:#}")),
            };
            watching.blocked.samples += 1;
            watching.blocked.resolution_ms = watching.blocked.resolution_ms.max(millis(elapsed));

            queues_since = sample.queues.then(|| queues_since.unwrap_or(began));
            if queues_since
                .is_some_and(|since| millis(since.elapsed()) + idle >= limits.lock_wait_ms)
            {
                return Cause::LockWait;
            }

            waits_since = sample.waits.then(|| waits_since.unwrap_or(began));
            let due = told_at.is_none_or(|at| {
                at.elapsed()
                    >= match watching.index_oid {
                        Some(_) => TELL,
                        None => FIRST_TELL,
                    }
            });
            if due {
                told_at = Some(began);
                if let Err(error) = self
                    .look_closer(pid, table, waits_since, watching, &mut pace, tell)
                    .await
                {
                    return Cause::Unwatched(format!("{error:#}"));
                }
            }
            // Another writer of this run ends by itself, and its waits are counted there.
            let own = !watching.blockers.is_empty()
                && watching
                    .blockers
                    .iter()
                    .all(|blocker| self.own.contains(&blocker.pid));
            if waits_since.is_some() && !own {
                watching.waited += elapsed;
                if watching.waited >= limits.patience {
                    let _ = self
                        .look_closer(pid, table, waits_since, watching, &mut pace, tell)
                        .await;
                    return Cause::Patience;
                }
            }

            let mut pause = idle;
            if sample.others_wait {
                match self.record_waiters(pid, began, watching).await {
                    Ok(None) => {}
                    Ok(Some(longest)) => {
                        pause = INTERVAL_MS.0;
                        if longest + HEAD_START_MS + pause >= limits.max_block_ms {
                            watching.between = watching.queued.values().cloned().collect();
                            return Cause::Waiter;
                        }
                    }
                    Err(error) => return Cause::Unwatched(format!("{error:#}")),
                }
            }
            tokio::select! {
                () = raised(&mut interrupt) => return Cause::Interrupted,
                () = tokio::time::sleep(Duration::from_secs_f64(pause / 1000.0)) => {}
            }
        }
    }

    async fn build_sample(&self, pid: i32) -> anyhow::Result<Sample> {
        let statement = self
            .build_sample
            .get_or_try_init(|| self.session.prepare(SAMPLE))
            .await
            .context("preparing to watch a build")?;
        let row = self
            .session
            .query_opt(statement, &[&pid, &self.own, &self.hidden])
            .await
            .context("watching a build")?;
        let Some(row) = row else {
            // The backend is gone; the statement's own connection tells.
            return Ok(Sample::default());
        };
        let kind: Option<String> = row.try_get("wait_event_type")?;
        let event: Option<String> = row.try_get("wait_event")?;
        let event = event.unwrap_or_default();
        let locked = kind.as_deref() == Some("Lock");
        Ok(Sample {
            queues: locked && event == "relation",
            waits: locked && matches!(event.as_str(), "virtualxid" | "transactionid"),
            others_wait: row.try_get("others_wait")?,
        })
    }

    /// Reads the build's progress and whom it waits for, and tells of it.
    async fn look_closer(
        &self,
        pid: i32,
        table: &QualifiedName,
        waits_since: Option<Instant>,
        watching: &mut Watching,
        pace: &mut Pace,
        tell: &mut dyn FnMut(&BuildProgress),
    ) -> anyhow::Result<()> {
        let mut waits_for = Vec::new();
        if let Some(since) = waits_since {
            waits_for = self.waited_for(pid, table, since.elapsed()).await?;
            watching.blockers.clone_from(&waits_for);
        }
        let build = self
            .builds(table)
            .await?
            .into_iter()
            .find(|build| build.by.pid == pid);
        if let Some(build) = build {
            watching.index_oid = build.index_oid.or(watching.index_oid);
            waits_for.retain(|blocker| !self.own.contains(&blocker.pid));
            tell(&pace.progress(&build, waits_for));
        }
        Ok(())
    }

    /// Returns whom a build waits for: those it waits for at this moment, and those it comes to next.
    async fn waited_for(
        &self,
        pid: i32,
        table: &QualifiedName,
        waiting: Duration,
    ) -> anyhow::Result<Vec<Blocker>> {
        let rows = self
            .session
            .query(BLOCKERS, &[&pid])
            .await
            .context("reading who is waited for")?;
        let mut now = rows
            .iter()
            .map(blocker)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let foreseen =
            forecast::read(&*self.session, std::slice::from_ref(table), &self.own).await?;
        for blocker in &mut now {
            match foreseen
                .blocking
                .iter()
                .find(|foreseen| foreseen.pid == blocker.pid)
            {
                Some(known) => *blocker = known.clone(),
                None => blocker.why = Some("it is waited for at this moment".to_owned()),
            }
        }
        // Who began after the wait began is not waited for.
        let before = waiting.as_secs_f64();
        for blocker in foreseen.blocking {
            let older = blocker
                .transaction_seconds
                .is_some_and(|seconds| seconds >= before);
            if older && now.iter().all(|known| known.pid != blocker.pid) {
                now.push(blocker);
            }
        }
        Ok(now)
    }

    /// Returns the builds in flight in this database.
    pub(super) async fn builds(&self, table: &QualifiedName) -> anyhow::Result<Vec<InFlight>> {
        let rows = self
            .session
            .query(BUILDS, &[&table.sql()])
            .await
            .context("reading the progress of builds")?;
        rows.iter()
            .map(|row| {
                let share = |done: &str, total: &str| -> anyhow::Result<Option<f64>> {
                    let done: Option<i64> = row.try_get(done)?;
                    let total: Option<i64> = row.try_get(total)?;
                    Ok(match (done, total) {
                        (Some(done), Some(total)) if total > 0 => {
                            Some((done as f64 / total as f64).clamp(0.0, 1.0))
                        }
                        _ => None,
                    })
                };
                let phase: Option<String> = row.try_get("phase")?;
                let phase = phase.unwrap_or_default();
                let tuples = share("tuples_done", "tuples_total")?;
                let blocks = share("blocks_done", "blocks_total")?;
                let done = if phase.starts_with("waiting") || phase == "initializing" {
                    None
                } else if phase.contains("scanning") {
                    blocks
                } else {
                    tuples.or(blocks)
                };
                Ok(InFlight {
                    by: blocker(row)?,
                    on_table: row.try_get("on_table")?,
                    table_oid: row.try_get("table_oid")?,
                    index_oid: row.try_get("index_oid")?,
                    phase,
                    done,
                    backend_start: row.try_get("backend_start")?,
                })
            })
            .collect()
    }

    /// Records who waits behind the build; returns the longest wait of a reader or writer.
    async fn record_waiters(
        &self,
        pid: i32,
        began: Instant,
        watching: &mut Watching,
    ) -> anyhow::Result<Option<f64>> {
        let rows = self
            .session
            .query(WAITERS, &[&self.own])
            .await
            .context("reading who waits behind a build")?;
        let mut waiters = Vec::new();
        for row in &rows {
            waiters.push(Waiter {
                who: Queued {
                    pid: row.try_get("pid")?,
                    application: row.try_get("application_name")?,
                    backend_type: row.try_get("backend_type")?,
                    mode: row.try_get("mode")?,
                },
                waited_ms: row.try_get("waited_ms")?,
                behind: row.try_get("behind")?,
            });
        }
        let mut longest = None;
        let samples = watching.blocked.samples;
        for waiter in behind(pid, waiters) {
            let who = waiter.who;
            if !ordinary(&who.mode) {
                watching.queued.insert(who.pid, who);
                continue;
            }
            let seen = watching.seen.entry(who.pid).or_insert_with(|| Seen {
                wait: Wait {
                    pid: who.pid,
                    application: who.application,
                    backend_type: who.backend_type,
                    mode: who.mode,
                    waited_ms: 0.0,
                },
                first_seen: began,
                last_sample: 0,
            });
            let waited = waiter
                .waited_ms
                .unwrap_or_else(|| millis(began - seen.first_seen));
            seen.wait.waited_ms = seen.wait.waited_ms.max(waited);
            seen.last_sample = samples;
            longest = Some(waited.max(longest.unwrap_or_default()));
        }
        Ok(longest)
    }
}

impl Watching {
    /// Closes the measurement when the statement's locks are gone.
    pub(super) fn finish(&mut self) {
        let since = self.last_look.map_or(0.0, |look| millis(look.elapsed()));
        let samples = self.blocked.samples;
        for seen in self.seen.values_mut() {
            // Whoever was still waiting in the last look waited on until the locks went.
            if seen.last_sample == samples {
                seen.wait.waited_ms += since;
            }
        }
        self.blocked.resolution_ms = self.blocked.resolution_ms.max(since);
        let waits = std::mem::take(&mut self.seen);
        summarize(
            waits.into_values().map(|seen| seen.wait).collect(),
            &mut self.blocked,
        );
    }
}

#[derive(Default)]
struct Sample {
    /// It waits for the lock of a relation.
    queues: bool,
    /// It waits for transactions to end.
    waits: bool,
    others_wait: bool,
}

struct Waiter {
    who: Queued,
    waited_ms: Option<f64>,
    behind: Vec<i32>,
}

/// Returns those of the waiters that wait behind backend `pid`, through however many others.
fn behind(pid: i32, mut waiters: Vec<Waiter>) -> Vec<Waiter> {
    let mut chain = BTreeSet::from([pid]);
    loop {
        let more: Vec<i32> = waiters
            .iter()
            .filter(|waiter| !chain.contains(&waiter.who.pid))
            .filter(|waiter| waiter.behind.iter().any(|pid| chain.contains(pid)))
            .map(|waiter| waiter.who.pid)
            .collect();
        if more.is_empty() {
            break;
        }
        chain.extend(more);
    }
    waiters.retain(|waiter| waiter.who.pid != pid && chain.contains(&waiter.who.pid));
    waiters
}

/// Whether a lock is one that reading and writing take; the build's own lock lets them pass.
fn ordinary(mode: &str) -> bool {
    matches!(
        mode,
        "AccessShareLock" | "RowShareLock" | "RowExclusiveLock"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(pid: i32, mode: &str, behind: &[i32]) -> Waiter {
        Waiter {
            who: Queued {
                pid,
                application: None,
                backend_type: None,
                mode: mode.to_owned(),
            },
            waited_ms: None,
            behind: behind.to_vec(),
        }
    }

    #[test]
    fn a_writer_behind_maintenance_behind_the_build_is_found() {
        let found = behind(
            1,
            vec![
                waiter(4, "RowExclusiveLock", &[3]),
                waiter(3, "AccessExclusiveLock", &[1]),
                waiter(6, "AccessShareLock", &[5]),
                waiter(5, "AccessExclusiveLock", &[9]),
            ],
        );
        let pids: Vec<i32> = found.iter().map(|waiter| waiter.who.pid).collect();
        assert_eq!(pids, [4, 3]);
        assert!(ordinary(&found[0].who.mode));
        assert!(!ordinary(&found[1].who.mode));
    }

    #[test]
    fn a_circle_of_waiters_ends() {
        let found = behind(
            1,
            vec![
                waiter(2, "ShareLock", &[3, 1]),
                waiter(3, "ShareLock", &[2]),
            ],
        );
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn the_rest_is_estimated_from_the_rate_of_the_phase() {
        let mut pace = Pace::default();
        let build = |phase: &str, done| InFlight {
            by: Blocker {
                pid: 1,
                relation: None,
                mode: None,
                role: None,
                application: None,
                state: None,
                backend_type: None,
                transaction_seconds: None,
                query_seconds: None,
                why: None,
            },
            on_table: Some(true),
            table_oid: None,
            index_oid: None,
            phase: phase.to_owned(),
            done,
            backend_start: None,
        };
        assert_eq!(
            pace.progress(&build("scan", Some(0.0)), Vec::new())
                .rest_seconds,
            None
        );
        std::thread::sleep(Duration::from_millis(20));
        let rest = pace
            .progress(&build("scan", Some(0.5)), Vec::new())
            .rest_seconds;
        assert!(
            rest.is_some_and(|rest| (0.02..1.0).contains(&rest)),
            "{rest:?}"
        );
        assert_eq!(
            pace.progress(&build("sort", Some(0.5)), Vec::new())
                .rest_seconds,
            None
        );
    }
}
