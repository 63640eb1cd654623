//! What one reading of `pg_stat_statements` gave.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::column::Column;

/// Identity of an entry on its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// OID of the database.
    pub dbid: u32,
    /// OID of the role.
    pub userid: u32,
    /// The server's hash; `None`: hidden from the reading role.
    pub queryid: Option<i64>,
    /// Whether it was executed as a top-level statement; `None`: the extension is older than 1.9.
    pub toplevel: Option<bool>,
}

/// The figures of one entry, by [`Column`]; a clone shares them until one of the two is changed.
#[derive(Debug, Clone)]
pub struct Counters(Arc<[f64]>);

/// Two figures that are not known are equal.
impl PartialEq for Counters {
    fn eq(&self, other: &Self) -> bool {
        Column::ALL
            .iter()
            .all(|&column| self.get(column) == other.get(column))
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self(vec![f64::NAN; Column::ALL.len()].into())
    }
}

impl Counters {
    /// Returns a figure; `None`: this version of the extension does not count it, or it cannot be known.
    pub fn get(&self, column: Column) -> Option<f64> {
        self.0
            .get(column as usize)
            .copied()
            .filter(|value| !value.is_nan())
    }

    /// Returns a figure, 0 where there is none: for sums only.
    pub fn sum(&self, column: Column) -> f64 {
        self.get(column).unwrap_or(0.0)
    }

    /// Sets a figure.
    pub fn set(&mut self, column: Column, value: Option<f64>) {
        if let Some(place) = Arc::make_mut(&mut self.0).get_mut(column as usize) {
            *place = value.unwrap_or(f64::NAN);
        }
    }
}

/// One entry of the view.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its identity.
    pub key: Key,
    /// Its text as the server keeps it; `None`: hidden, lost, or not read.
    pub text: Option<Arc<str>>,
    /// Its figures.
    pub counters: Counters,
}

/// The server and its settings when the entries were read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// Seconds since the epoch, by the server's clock.
    pub taken_at: f64,
    /// `server_version_num`.
    pub version_num: i32,
    /// Version of the extension: `1.10`.
    pub extension: String,
    /// `system_identifier` of `pg_control_system()`, as text; `None`: not readable.
    pub system_identifier: Option<String>,
    /// Timeline of the last checkpoint; `None`: not readable.
    pub timeline: Option<i64>,
    /// Address of the server; `None`: over a Unix socket.
    pub address: Option<String>,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// The database that was connected to.
    pub database: String,
    /// The role that read.
    pub role: String,
    /// Settings that decide what is counted, by name: `pg_stat_statements.max`, `.track`, `.track_planning`,
    /// `.track_utility`, `.save`, `track_io_timing`, `compute_query_id`, `block_size`.
    pub settings: BTreeMap<String, String>,
    /// `pg_stat_statements_info.dealloc`; `None`: the extension is older than 1.9.
    pub dealloc: Option<i64>,
    /// `pg_stat_statements_info.stats_reset`, seconds since the epoch.
    pub stats_reset: Option<f64>,
    /// `pg_postmaster_start_time()`, seconds since the epoch.
    pub started_at: f64,
    /// `stats_reset` of `pg_stat_bgwriter` and `pg_stat_archiver`: on 13 they alone tell of a crash.
    pub other_resets: Vec<f64>,
    /// Entries whose texts and identities the reading role may not see; in [`Snapshot::entries`] they are one for
    /// each database and role.
    pub hidden: usize,
    /// Entries that were added to another of the same key: extensions before 1.9 do not tell those of nested
    /// statements apart.
    pub merged: usize,
    /// Entries before anything was hidden or merged: what counts against `pg_stat_statements.max`.
    pub entries: usize,
    /// Whether entries of one database alone were read.
    pub one_database: Option<String>,
}

/// One reading.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Where and when it was taken.
    pub origin: Origin,
    /// Names of databases by OID; dropped ones are missing.
    pub databases: BTreeMap<u32, String>,
    /// Names of roles by OID; dropped ones are missing.
    pub roles: BTreeMap<u32, String>,
    /// The entries, by key; no key is there twice.
    pub entries: Vec<Entry>,
}
