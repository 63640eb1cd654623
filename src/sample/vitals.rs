//! What a server is asked at each look: round trips, blocks of its cache, its disks, and what holds back VACUUM.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::Instant;
use tokio_postgres::Client;

use super::disk::{self, Disk};
use super::replication::model::Holder;
use crate::sample::bundle::{Answers, Fields, Part};
use crate::sql::{replication, vitals};

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

/// What is read for what is wanted.
pub fn parts(wanted: Wanted) -> Vec<Part> {
    let mut parts = Vec::new();
    if wanted.cache {
        parts.push(Part::of(&vitals::DATABASE));
    }
    if wanted.holders {
        parts.push(Part::of(&replication::HOLDERS));
    }
    if wanted.disk || wanted.prepared || wanted.holders {
        parts.push(Part::of(&vitals::SERVER));
    }
    parts
}

/// Takes what [`parts`] brought.
///
/// # Errors
/// With the server's message.
pub fn taken(answers: &Answers, wanted: Wanted, machine: Machine) -> Result<Vitals> {
    let mut found = Vitals::default();
    if wanted.cache {
        let rows = answers.rows(&vitals::DATABASE, |row| {
            Ok(Cache {
                database: row.get("database")?,
                hit: row.get("blks_hit")?,
                all: row.get("blks_all")?,
                epoch: row.get("epoch")?,
            })
        })?;
        let cache = rows.into_iter().next();
        found.cache = Some(cache.context("the server counts no blocks here")?);
    }
    if wanted.holders {
        let holder = |row: &Fields| {
            Ok(Holder {
                kind: row.get("kind")?,
                name: row.get("name")?,
                pid: row.get("pid")?,
                xids: row.get("xids")?,
                seconds: row.get("seconds")?,
            })
        };
        found.holders = Some(answers.rows(&replication::HOLDERS, holder)?);
    }
    if wanted.disk || wanted.prepared || wanted.holders {
        let rows = answers.rows(&vitals::SERVER, |row| Ok(row.clone()))?;
        let row = rows.first().context("the server told nothing of itself")?;
        found.sees_all = row.get("reads_all_stats")?;
        if wanted.prepared {
            found.prepared = Some((row.get("prepared")?, row.get("prepared_oldest_s")?));
        }
        if wanted.disk {
            let directory: Option<String> = row.get("data_directory")?;
            let identifier = row.get("system_identifier")?;
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
