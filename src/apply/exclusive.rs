//! Two runs never overlap: an advisory lock per database and area, tried and never waited for.
//!
//! A session that waits in `pg_advisory_lock` holds a snapshot, and CREATE INDEX CONCURRENTLY would
//! wait for that snapshot: so the lock is tried once, on a session that is idle from then on.

use anyhow::Context;

use crate::conn::Session;
use crate::failure::Failure;

/// First key of dbops's advisory locks: `dbop` in ASCII.
pub const LOCK_CLASS: i32 = 0x6462_6f70;

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
    let row = session
        .query_one(
            "select pg_catalog.pg_try_advisory_lock($1, $2) as taken",
            &[&LOCK_CLASS, &area.object()],
        )
        .await
        .context("taking the advisory lock of this area")?;
    if row.try_get("taken")? {
        return Ok(());
    }
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
    Err(Failure::refused(format!(
        "another run of dbops is changing this database: {holder}"
    ))
    .hint("wait for it to end; nothing was touched by this run")
    .into())
}
