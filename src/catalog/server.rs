//! The server, the role, and where the role may create.

use anyhow::{Context, Result};
use tokio_postgres::Transaction;

use super::model::Server;
use super::rows::{Reader, get};
use crate::failure::Failure;
use crate::sql;

/// Reads the server's facts and returns a reader that picks queries for its version.
pub(super) async fn read<'a>(tx: &'a Transaction<'a>) -> Result<(Server, Reader<'a>)> {
    // The version is what this query is about to tell, so it has one variant for all servers.
    let mut reader = Reader { tx, version_num: 0 };
    let rows = reader.list(&sql::SERVER, &[], |row| {
        Ok(Server {
            version_num: get(row, "version_num")?,
            version: get(row, "version")?,
            database: get(row, "database")?,
            role: get(row, "role")?,
            superuser: get(row, "superuser")?,
            in_recovery: get(row, "in_recovery")?,
            default_read_only: get(row, "default_read_only")?,
            time_zone: get(row, "time_zone")?,
            deadlock_timeout_ms: get(row, "deadlock_timeout_ms")?,
            max_locks_per_transaction: get(row, "max_locks_per_transaction")?,
            encoding: get(row, "encoding")?,
        })
    });
    let server = rows
        .await
        .context("reading the catalog")?
        .pop()
        .context("the server did not say who the current role is")?;
    if server.version_num / 10_000 < *sql::SUPPORTED.start() {
        return Err(Failure::usage(format!(
            "the server is PostgreSQL {}; dbops needs {} or newer",
            server.version,
            sql::SUPPORTED.start()
        ))
        .into());
    }
    reader.version_num = server.version_num;
    Ok((server, reader))
}

/// Returns those of the schemas in which the role may create, sorted.
pub(super) async fn creates_in(reader: &Reader<'_>, schemas: &[String]) -> Result<Vec<String>> {
    if schemas.is_empty() {
        return Ok(Vec::new());
    }
    reader
        .list(&sql::SCHEMAS, &[&schemas], |row| get(row, "schema_name"))
        .await
}
