//! The probe of replication: one commit that changes nothing, made to be waited for on replicas.

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::conn::Session;
use crate::sample::replication::follow::Mark;
use crate::sample::replication::lsn::Lsn;
use crate::sample::replication::read::position;

/// A probe that is committed.
#[derive(Debug, Clone, Copy)]
pub struct Probed {
    /// Where it ends.
    pub mark: Mark,
    /// How far the server was before it.
    pub before: Lsn,
}

/// One statement is one transaction. What it sets holds until its end, the commit among it.
const PROBE: &str = "select /* dbops */ \
     pg_catalog.pg_current_wal_flush_lsn()::pg_catalog.text as before, \
     pg_catalog.set_config('synchronous_commit', 'local', true) as synchronous_commit, \
     pg_catalog.pg_logical_emit_message(true, 'dbops', '')::pg_catalog.text as message";

/// Commits a logical message in a transaction of its own and returns where it ends.
///
/// It needs no table and no grant, costs about 100 bytes of WAL and one transaction id, and waits for the local disk
/// alone: with `synchronous_commit` as the role has it, it would hang where a synchronous replica is missing. A message is
/// no change of data: a transaction that is read only may write it.
///
/// Source: <https://www.postgresql.org/docs/18/functions-admin.html#FUNCTIONS-REPLICATION>
///
/// # Errors
/// The server refuses: a standby, a role that may not.
pub async fn commit(session: &mut Session) -> Result<Probed> {
    let sent = Instant::now();
    let rows = session
        .query_typed(PROBE, &[])
        .await
        .context("committing the probe")?;
    let done = Instant::now();
    let before = rows.first().context("the probe said nothing")?;
    let before = before
        .try_get::<_, &str>("before")?
        .parse()
        .map_err(anyhow::Error::msg)?;
    // The commit is flushed, so its end is not behind what is flushed now.
    let lsn = position(session)
        .await?
        .flushed
        .context("the server became a standby")?;
    let mark = Mark { lsn, sent, done };
    Ok(Probed { mark, before })
}
