//! What a server is asked at each look: round trips, blocks of its cache, its disks, and what holds back VACUUM.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::Instant;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Transaction};

use super::disk::{self, Disk};
use super::replication::model::Holder;
use crate::sql::{self, Query, replication, vitals};

/// Round trips of one look at most.
const MOST_ROUND_TRIPS: usize = 20;
/// After this no further one begins.
const LONGEST_PROBE: Duration = Duration::from_millis(250);

/// What is asked for; the rest is not read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Blocks of the connected database.
    pub cache: bool,
    /// The file systems under its files.
    pub disk: bool,
    /// Holders of xmin.
    pub holders: bool,
    /// Prepared transactions.
    pub prepared: bool,
}

/// Where the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// By its address, on this one.
    This,
    /// On another.
    Other,
}

/// What was read; `None` is what was not asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vitals {
    /// Blocks of the connected database.
    pub cache: Option<Cache>,
    /// The file systems under its files, or why they cannot be looked at.
    pub disks: Option<Result<Vec<Disk>, NoDisk>>,
    /// Whether the role sees what other roles' sessions hold.
    pub sees_all: bool,
    /// The oldest holders of each kind.
    pub holders: Option<Vec<Holder>>,
    /// Prepared transactions, and for how many seconds the oldest waits.
    pub prepared: Option<(i64, Option<f64>)>,
}

/// Blocks of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// The database.
    pub database: String,
    /// Blocks found.
    pub hit: i64,
    /// Blocks asked for.
    pub all: i64,
    /// Changes when counting begins anew.
    pub epoch: String,
}

/// Why no file system can be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoDisk {
    /// The server is elsewhere, or it cannot be told that it is here.
    NotLocal(String),
    /// The role may not know where the files are.
    NoPrivilege,
}

/// Times round trips of `select 1`, in seconds: as many as fit into a quarter of a second, at most 20.
///
/// # Errors
/// With the server's message.
pub async fn round_trips(client: &Client) -> Result<Vec<f64>> {
    let begin = Instant::now();
    let mut times = Vec::with_capacity(MOST_ROUND_TRIPS);
    while times.len() < MOST_ROUND_TRIPS && (times.is_empty() || begin.elapsed() < LONGEST_PROBE) {
        let sent = Instant::now();
        client
            .query_typed("select /* dbops */ 1", &[])
            .await
            .context("timing `select 1`")?;
        times.push(sent.elapsed().as_secs_f64());
    }
    Ok(times)
}

/// Reads what is wanted in the caller's transaction.
///
/// # Errors
/// With the server's message.
pub async fn read(
    tx: &Transaction<'_>,
    version_num: i32,
    wanted: Wanted,
    machine: Machine,
) -> Result<Vitals> {
    let rows = async |query: &Query| -> Result<Vec<Row>> {
        let none: [(&(dyn ToSql + Sync), _); 0] = [];
        tx.query_typed(&sql::marked(sql::pick(query, version_num)), &none)
            .await
            .with_context(|| format!("reading `{}`", query.name))
    };
    let mut found = Vitals::default();
    if wanted.cache {
        let all = rows(&vitals::DATABASE).await?;
        let row = all.first().context("the server counts no blocks here")?;
        found.cache = Some(Cache {
            database: row.try_get("database")?,
            hit: row.try_get("blks_hit")?,
            all: row.try_get("blks_all")?,
            epoch: row.try_get("epoch")?,
        });
    }
    if wanted.holders {
        let mut holders = Vec::new();
        for row in rows(&replication::HOLDERS).await? {
            holders.push(Holder {
                kind: row.try_get("kind")?,
                name: row.try_get("name")?,
                pid: row.try_get("pid")?,
                xids: row.try_get("xids")?,
                seconds: row.try_get("seconds")?,
            });
        }
        found.holders = Some(holders);
    }
    if wanted.disk || wanted.prepared || wanted.holders {
        let all = rows(&vitals::SERVER).await?;
        let row = all.first().context("the server told nothing of itself")?;
        found.sees_all = row.try_get("reads_all_stats")?;
        if wanted.prepared {
            found.prepared = Some((row.try_get("prepared")?, row.try_get("prepared_oldest_s")?));
        }
        if wanted.disk {
            let directory: Option<String> = row.try_get("data_directory")?;
            let identifier = row.try_get("system_identifier")?;
            found.disks = Some(match (machine, directory) {
                (Machine::Other, _) => Err(NoDisk::NotLocal(
                    "the server is on another machine".to_owned(),
                )),
                (Machine::This, None) => Err(NoDisk::NoPrivilege),
                (Machine::This, Some(directory)) => {
                    disk::read(&directory, identifier).map_err(NoDisk::NotLocal)
                }
            });
        }
    }
    Ok(found)
}
