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

impl Origin {
    /// Returns a setting, `None` where it is not known, or not the same for all roles and databases.
    pub fn setting_of_all(&self, name: &str) -> Option<&str> {
        let mut others = self.overrides.iter();
        let differs = others.any(|one| one.name == name && self.sets_apart(one));
        self.settings
            .get(name)
            .filter(|_| !differs)
            .map(String::as_str)
    }

    /// Whether a role or a database has another value than others: another than was read, or the one that was read,
    /// because it is set for the very role or database that it was read in.
    pub fn sets_apart(&self, one: &Override) -> bool {
        let here =
            |place: &Option<String>, mine: &str| place.as_deref().is_none_or(|it| it == mine);
        self.settings.get(&one.name) != Some(&one.value)
            || (here(&one.role, &self.role) && here(&one.database, &self.database))
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
    /// Entries that were left out because their texts are marked as dbops's own; anyone can write that mark.
    pub own: usize,
    /// Their calls.
    pub own_calls: f64,
    /// Their part of the execution time of all entries, from 0 to 1.
    pub own_share: f64,
    /// Settings that are other than in [`settings`](Self::settings) for a role or in a database.
    pub overrides: Vec<Override>,
    /// Whether entries of one database alone were read.
    pub one_database: Option<String>,
}

/// A setting that decides what is counted, where it is set for a role or a database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Override {
    /// Its name.
    pub name: String,
    /// Its value there.
    pub value: String,
    /// Name of the role; `None`: of all.
    pub role: Option<String>,
    /// Name of the database; `None`: in all.
    pub database: Option<String>,
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
