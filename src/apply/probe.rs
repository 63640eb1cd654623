//! The probe of replication: one commit that changes nothing, made to be waited for on replicas.

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::conn::Session;
use crate::sample::replication::follow::Mark;
use crate::sample::replication::read::position;

/// Commits a logical message in a transaction of its own and returns where it ends.
///
/// It needs no table and no grant, costs about 100 bytes of WAL and one transaction id, and waits for the local disk
/// alone: with `synchronous_commit` as the role has it, it would hang where a synchronous replica is missing.
///
/// Source: <https://www.postgresql.org/docs/18/functions-admin.html#FUNCTIONS-REPLICATION>
///
/// # Errors
/// The server refuses: a standby, a role that may not.
pub async fn commit(session: &mut Session) -> Result<Mark> {
    let tx = session
        .build_transaction()
        .read_only(false)
        .start()
        .await
        .context("beginning the probe")?;
    tx.batch_execute(
        "set local synchronous_commit = local; set local statement_timeout = '2s'; \
         set local lock_timeout = '1s'",
    )
    .await
    .context("setting up the probe")?;
    tx.query_typed(
        "select /* dbops */ pg_catalog.pg_logical_emit_message(true, 'dbops', '')::pg_catalog.text",
        &[],
    )
    .await
    .context("writing the probe")?;
    let sent = Instant::now();
    tx.commit().await.context("committing the probe")?;
    let done = Instant::now();
    // The commit is flushed, so its end is not behind what is flushed now.
    let lsn = position(session)
        .await?
        .flushed
        .context("the server became a standby")?;
    Ok(Mark { lsn, sent, done })
}
