//! The health of a server: transaction id ages, sizes, WAL, archiving; read at an instant.

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Transaction};

use crate::sql::{self, Query, health};

/// What is asked for; the rest is not read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Ages of databases.
    pub ages: bool,
    /// Sizes of databases: the server looks at each of their files.
    pub sizes: bool,
    /// Bytes of the WAL folder.
    pub wal: bool,
    /// Archiving.
    pub archive: bool,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// Databases, where ages or sizes were asked for.
    pub databases: Vec<DatabaseHealth>,
    /// Bytes of the WAL folder; `None` where the role may not list it.
    pub wal_bytes: Option<i64>,
    /// Archiving, where it was asked for.
    pub archive: Option<Archive>,
}

/// One database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseHealth {
    /// Its name.
    pub name: String,
    /// Transactions since its oldest unfrozen transaction id.
    pub xid_age: i64,
    /// Multixacts since its oldest one.
    pub mxid_age: i64,
    /// Bytes; `None` where not asked for, or where the role may not know.
    pub bytes: Option<i64>,
}

/// How archiving stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Archive {
    /// `archive_mode`: `off`, `on`, `always`.
    pub mode: String,
    /// Whether the server is a standby: it archives only with `always`.
    pub in_recovery: bool,
    /// When a file was archived last.
    pub last_archived: Option<DateTime<Utc>>,
    /// When archiving failed last.
    pub last_failed: Option<DateTime<Utc>>,
    /// The file that failed.
    pub failed_file: Option<String>,
    /// Files that wait, and for how many seconds the oldest; `None` where the role may not list them.
    pub waiting: Option<Waiting>,
}

/// Files that wait to be archived.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Waiting {
    /// How many.
    pub files: i64,
    /// Seconds since the oldest was finished; `None` without any.
    pub oldest_seconds: Option<f64>,
}

/// Reads what is wanted in the caller's transaction.
///
/// # Errors
/// With the server's message.
pub async fn read(tx: &Transaction<'_>, version_num: i32, wanted: Wanted) -> Result<Health> {
    let rows = async |query: &Query, params: &[&(dyn ToSql + Sync)]| -> Result<Vec<Row>> {
        let typed: Vec<_> = params
            .iter()
            .copied()
            .zip(query.params.iter().cloned())
            .collect();
        tx.query_typed(&sql::marked(sql::pick(query, version_num)), &typed)
            .await
            .with_context(|| format!("reading `{}`", query.name))
    };
    let mut health = Health::default();
    if wanted.ages || wanted.sizes {
        for row in rows(&health::DATABASES, &[&wanted.sizes]).await? {
            health.databases.push(DatabaseHealth {
                name: row.try_get("name")?,
                xid_age: row.try_get("xid_age")?,
                mxid_age: row.try_get("mxid_age")?,
                bytes: row.try_get("bytes")?,
            });
        }
    }
    if !wanted.wal && !wanted.archive {
        return Ok(health);
    }
    let server = rows(&health::SERVER, &[]).await?;
    let server = server
        .first()
        .context("the server told nothing of itself")?;
    if wanted.wal && server.try_get("may_list_wal")? {
        let row = rows(&health::WAL, &[]).await?;
        health.wal_bytes = row.first().and_then(|row| row.try_get("bytes").ok());
    }
    if wanted.archive {
        let waiting = if server.try_get("may_list_archive")? {
            let row = rows(&health::ARCHIVE, &[]).await?;
            let row = row.first().context("no count of files that wait")?;
            Some(Waiting {
                files: row.try_get("waiting")?,
                oldest_seconds: row.try_get("oldest_seconds")?,
            })
        } else {
            None
        };
        health.archive = Some(Archive {
            mode: server.try_get("archive_mode")?,
            in_recovery: server.try_get("in_recovery")?,
            last_archived: server.try_get("last_archived_time")?,
            last_failed: server.try_get("last_failed_time")?,
            failed_file: server.try_get("last_failed_wal")?,
            waiting,
        });
    }
    Ok(health)
}
