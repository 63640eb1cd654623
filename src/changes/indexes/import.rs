//! Index plans from what exists: a SQL file that was read, or the indexes of a live database.

mod live;
mod script;

pub use live::from_catalog;
pub use script::from_script;

use crate::ident::QualifiedName;
use crate::plan_file::IndexPlan;

/// What to import beside plain indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Indexes of PRIMARY KEY and UNIQUE constraints too.
    pub constraints: bool,
    /// Indexes that the file drops, as `absent`.
    pub absent: bool,
}

/// What an import gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Import {
    /// The indexes, in the order of the file; of a database by table and name.
    pub indexes: Vec<Imported>,
    /// Indexes that should not be there, in the order of the file.
    pub absent: Vec<QualifiedName>,
    /// What was left out or decided, for a person to know.
    pub notes: Vec<Note>,
    /// What could not be read; the import is not complete.
    pub faults: Vec<Note>,
}

/// One index.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// What a plan file says of it.
    pub plan: IndexPlan,
    /// Comments that stood above it.
    pub comments: Vec<String>,
}

/// Something to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The byte of the file it is about.
    pub start: Option<usize>,
    /// One sentence without a full stop.
    pub message: String,
}

impl Note {
    fn at(start: usize, message: impl Into<String>) -> Self {
        Self {
            start: Some(start),
            message: message.into(),
        }
    }

    fn general(message: impl Into<String>) -> Self {
        Self {
            start: None,
            message: message.into(),
        }
    }
}
