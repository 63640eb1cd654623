//! Why `pg_stat_statements` cannot be read, and the exact statements that change it.

use crate::failure::{Exit, Failure};
use crate::ident::{quote_if_needed, quote_literal};

/// What is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The extension is not installed in the database.
    Missing,
    /// It is installed, and its library was not loaded at server start.
    NotPreloaded,
    /// The role may not use the extension's schema or function.
    NoRight,
    /// The server's library does not fit the installed version of the extension, or is not there.
    Library,
    /// The extension is there and its view is not.
    NoView,
    /// Its version is older than 1.4.
    TooOld,
    /// The server is older than dbops knows.
    OldServer,
    /// There is no database of that name.
    NoDatabase,
}

/// Why nothing could be read; nothing is wrong with the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// What is missing.
    pub reason: Reason,
    /// The same in words.
    pub message: String,
    /// What to do, one statement or sentence each.
    pub fix: Vec<String>,
}

/// How a reading fails.
#[derive(Debug)]
pub enum ReadError {
    /// The server has nothing to read.
    Unavailable(Unavailable),
    /// Anything else: the connection, a time-out.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for ReadError {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<Unavailable> for ReadError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl From<ReadError> for anyhow::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(unavailable) => unavailable.failure().into(),
            ReadError::Other(error) => error,
        }
    }
}

impl ReadError {
    /// Returns what went wrong, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Unavailable(unavailable) => unavailable.message.clone(),
            Self::Other(error) => format!("{error:#}"),
        }
    }
}

impl Unavailable {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            fix: Vec::new(),
        }
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix.push(fix.into());
        self
    }

    /// Returns what ends a command; its exit code is that of something that could not be measured.
    pub fn failure(&self) -> Failure {
        let exit = match self.reason {
            Reason::NoDatabase | Reason::OldServer => Exit::Usage,
            _ => Exit::Unknown,
        };
        self.fix
            .iter()
            .fold(Failure::new(exit, &self.message), |failure, fix| {
                failure.hint(fix)
            })
    }

    /// Returns what the server's refusal of a query on the extension means; `None`: something else.
    pub(super) fn of(error: &tokio_postgres::Error, place: &Place<'_>) -> Option<Self> {
        let db = error.as_db_error()?;
        let database = place.database;
        Some(match db.code().code() {
            "55000" => Self::new(
                Reason::NotPreloaded,
                format!("pg_stat_statements is installed in database {database}, but the server was started without its library"),
            )
            .fix(preload(place.preloaded, "pg_stat_statements")),
            "42501" => {
                let schema = quote_if_needed(place.schema);
                let role = quote_if_needed(place.role);
                Self::new(
                    Reason::NoRight,
                    format!("role {} may not read pg_stat_statements in database {database}: {}", place.role, db.message()),
                )
                .fix(format!("grant usage on schema {schema} to {role};"))
                .fix(format!("grant execute on all functions in schema {schema} to {role};"))
                .fix(format!("grant select on all tables in schema {schema} to {role};"))
            }
            "58P01" | "42883" => Self::new(
                Reason::Library,
                format!(
                    "the server's library of pg_stat_statements does not fit version {} of the extension in database {database}: {}",
                    place.extension,
                    db.message()
                ),
            )
            .fix("install the library of this server's version (postgresql-contrib on many systems), then restart the server")
            .fix("alter extension pg_stat_statements update;"),
            _ => return None,
        })
    }
}

/// What a refusal is explained with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) database: &'a str,
    pub(super) role: &'a str,
    pub(super) schema: &'a str,
    pub(super) extension: &'a str,
    pub(super) preloaded: Option<&'a str>,
}

/// Returns the statement that adds a library to `shared_preload_libraries`; `list`: what is there, `None`: not shown.
///
/// The parameter is a list: one quoted text with commas in it would be read as one library's name.
pub fn preload(list: Option<&str>, library: &str) -> String {
    let Some(list) = list else {
        return format!(
            "show shared_preload_libraries;  -- as superuser; set it to what is there and {library}, then restart"
        );
    };
    let all: Vec<String> = list
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty())
        .chain([library])
        .map(quote_literal)
        .collect();
    format!(
        "alter system set shared_preload_libraries = {};  -- then restart",
        all.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_added_to_those_that_are_there() {
        assert_eq!(
            preload(Some("pg_cron, auto_explain"), "pg_stat_statements"),
            "alter system set shared_preload_libraries = 'pg_cron', 'auto_explain', 'pg_stat_statements';  -- then restart"
        );
        assert_eq!(
            preload(Some(""), "pg_stat_statements"),
            "alter system set shared_preload_libraries = 'pg_stat_statements';  -- then restart"
        );
        assert!(preload(None, "x").starts_with("show shared_preload_libraries;"));
    }

    #[test]
    fn what_could_not_be_measured_is_no_usage_error() {
        let exit = |reason| Unavailable::new(reason, "x").failure().exit;
        assert_eq!(exit(Reason::Missing), Exit::Unknown);
        assert_eq!(exit(Reason::NoDatabase), Exit::Usage);
    }
}
