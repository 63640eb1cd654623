//! The health of a server: transaction id ages, sizes, WAL, archiving; read at an instant.

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};

use crate::sample::bundle::{Answers, Part};
use crate::sql::health;

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

/// What the server answers at once.
pub fn quick_parts(wanted: Wanted) -> Vec<Part> {
    let mut parts = Vec::new();
    if wanted.ages {
        parts.push(Part::with(&health::DATABASES, vec![Box::new(false)]));
    }
    parts
}

/// What takes the server longer: it looks at every file of a database, of the WAL, of those that wait.
pub fn slow_parts(wanted: Wanted, may: MayList) -> Vec<Part> {
    let mut parts = Vec::new();
    if wanted.sizes {
        parts.push(Part::with(&health::DATABASES, vec![Box::new(true)]));
    }
    if wanted.wal && may.wal {
        parts.push(Part::of(&health::WAL));
    }
    if wanted.archive {
        parts.push(Part::of(&health::SERVER));
        if may.archive {
            parts.push(Part::of(&health::ARCHIVE));
        }
    }
    parts
}

/// Folders that the role may list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MayList {
    /// That of the WAL.
    pub wal: bool,
    /// That of the files that wait to be archived.
    pub archive: bool,
}

/// Takes the databases that one of [`quick_parts`] and [`slow_parts`] brought.
///
/// # Errors
/// With the server's message.
pub fn databases(answers: &Answers) -> Result<Vec<DatabaseHealth>> {
    answers.rows(&health::DATABASES, |row| {
        Ok(DatabaseHealth {
            name: row.get("name")?,
            xid_age: row.get("xid_age")?,
            mxid_age: row.get("mxid_age")?,
            bytes: row.get("bytes")?,
        })
    })
}

/// Takes the bytes of the WAL folder.
///
/// # Errors
/// With the server's message.
pub fn wal_bytes(answers: &Answers) -> Result<Option<i64>> {
    let rows = answers.rows(&health::WAL, |row| row.get::<Option<i64>>("bytes"))?;
    Ok(rows.into_iter().next().flatten())
}

/// Takes how archiving stands.
///
/// # Errors
/// With the server's message.
pub fn archive(answers: &Answers, may: MayList) -> Result<Archive> {
    let waiting = if may.archive {
        let mut rows = answers.rows(&health::ARCHIVE, |row| {
            Ok(Waiting {
                files: row.get("waiting")?,
                oldest_seconds: row.get("oldest_seconds")?,
            })
        })?;
        Some(rows.pop().context("no count of files that wait")?)
    } else {
        None
    };
    let mut rows = answers.rows(&health::SERVER, |row| {
        Ok(Archive {
            mode: row.get("archive_mode")?,
            in_recovery: row.get("in_recovery")?,
            last_archived: row.get("last_archived_time")?,
            last_failed: row.get("last_failed_time")?,
            failed_file: row.get("last_failed_wal")?,
            waiting,
        })
    })?;
    rows.pop().context("the server told nothing of itself")
}
