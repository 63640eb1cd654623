//! Two runs never overlap: an advisory lock per database and area, tried and never waited for.
//!
//! A session that waits in `pg_advisory_lock` holds a snapshot, and CREATE INDEX CONCURRENTLY would
//! wait for that snapshot: so the lock is tried once, on a session that is idle from then on.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::observer::Observer;
use crate::conn::Session;
use crate::failure::Failure;

/// First key of dbops's advisory locks: `dbop` in ASCII.
pub const LOCK_CLASS: i32 = 0x6462_6f70;

/// Shortest and longest pause between two tries, in milliseconds.
const PAUSE_MS: (u64, u64) = (100, 300);

const HOLDER: &str = include_str!("../../sql/observe/advisory_holder.sql");

/// What a run changes; each area has a lock of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// Partitions.
    Partitions,
    /// Indexes.
    Indexes,
}

impl Area {
    /// Second key of the area's advisory lock.
    pub const fn object(self) -> i32 {
        match self {
            Self::Partitions => 1,
            Self::Indexes => 2,
        }
    }
}

/// Takes the area's lock on this session, which holds it until it is closed.
///
/// # Errors
/// A refusal (exit 4) that names who holds the lock.
pub async fn take(session: &Session, area: Area) -> anyhow::Result<()> {
    take_within(session, area, Duration::ZERO).await
}

/// The same, trying again for so long while another run holds it: between two tries the session is idle
/// and holds no snapshot, so a build of the other run never waits for it.
///
/// # Errors
/// A refusal (exit 4) that names who holds the lock.
pub async fn take_within(session: &Session, area: Area, wait: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + wait;
    while !try_once(session, area).await? {
        if Instant::now() >= deadline {
            return Err(refusal(session, area).await?);
        }
        let (shortest, longest) = PAUSE_MS;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(shortest..longest))).await;
    }
    Ok(())
}

/// Checks that this session still holds the area's lock: the server may have ended an idle session.
///
/// # Errors
/// A refusal where it does not.
pub async fn still_held(session: &Session, area: Area) -> anyhow::Result<()> {
    let held = session
        .query_one(
            "select exists (select from pg_catalog.pg_locks where locktype = 'advisory' and granted \
             and pid = pg_catalog.pg_backend_pid() and classid::int8 = $1 and objid::int8 = $2 and objsubid = 2) as held",
            &[&i64::from(LOCK_CLASS), &i64::from(area.object())],
        )
        .await
        .and_then(|row| row.try_get::<_, bool>("held"));
    if matches!(held, Ok(true)) {
        return Ok(());
    }
    Err(Failure::refused(
        "the session that held dbops's advisory lock is gone, so another run may have begun",
    )
    .hint("run the same command again: it goes on from what is there")
    .into())
}

async fn try_once(session: &Session, area: Area) -> anyhow::Result<bool> {
    let row = session
        .query_one(
            "select pg_catalog.pg_try_advisory_lock($1, $2) as taken",
            &[&LOCK_CLASS, &area.object()],
        )
        .await
        .context("taking the advisory lock of this area")?;
    Ok(row.try_get("taken")?)
}

async fn refusal(session: &Session, area: Area) -> anyhow::Result<anyhow::Error> {
    let holders = session
        .query(HOLDER, &[&i64::from(LOCK_CLASS), &i64::from(area.object())])
        .await
        .context("reading who holds the advisory lock")?;
    let holder = match holders.first() {
        None => "its holder has just gone".to_owned(),
        Some(row) => {
            let role: Option<String> = row.try_get("role")?;
            let application: Option<String> = row.try_get("application_name")?;
            let seconds: Option<f64> = row.try_get("session_seconds")?;
            format!(
                "held by pid {}, role {}, application `{}`, for {:.0} s",
                row.try_get::<_, i32>("pid")?,
                role.as_deref().unwrap_or("(hidden)"),
                application.as_deref().unwrap_or("(hidden)"),
                seconds.unwrap_or_default()
            )
        }
    };
    Ok(Failure::refused(format!(
        "another run of dbops is changing this database: {holder}"
    ))
    .hint("wait for it to end; nothing was touched by this run")
    .into())
}

/// Looks from outside whether the lock of a long run is still held: the server may have ended the idle
/// session that holds it.
pub(super) struct LockGuard {
    pid: i32,
}

impl LockGuard {
    /// Returns a guard where backend `pid` holds the lock on indexes; without it there is nothing to guard.
    pub(super) async fn find(observer: &Observer, pid: i32) -> anyhow::Result<Option<Self>> {
        let guard = Self { pid };
        Ok(guard.held(observer).await?.then_some(guard))
    }

    /// Returns why the run must not go on.
    pub(super) async fn check(&self, observer: &Observer) -> Result<(), String> {
        match self.held(observer).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(
                "the session that held dbops's advisory lock is gone, so another run may have begun"
                    .to_owned(),
            ),
            Err(error) => Err(format!("{error:#}")),
        }
    }

    async fn held(&self, observer: &Observer) -> anyhow::Result<bool> {
        let object = i64::from(Area::Indexes.object());
        let rows = observer
            .session
            .query(HOLDER, &[&i64::from(LOCK_CLASS), &object])
            .await
            .context("reading who holds the advisory lock")?;
        for row in &rows {
            if row.try_get::<_, i32>("pid")? == self.pid {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
