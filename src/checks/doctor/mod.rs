//! What dbops needs of a server, held against what is there: each check says what it found, why it
//! matters and what to do. What could not be seen is unknown, never ok.

mod extensions;
mod health;
mod plan;
mod role;
mod server;
mod settings;
mod statements;
#[cfg(test)]
mod testing;

use serde::Serialize;

use crate::catalog::Catalog;
use crate::catalog::readiness::Readiness;
use crate::changes::survey::TableSurvey;
use crate::conn::PoolMode;
use crate::plan_file::{LockBudget, PartitionPolicy};
use crate::sample::statements::model::Snapshot;
use crate::sample::statements::unavailable::Unavailable;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Ok,
    /// It could not be seen.
    Unknown,
    /// It works, with a drawback.
    Warning,
    /// Something dbops is asked to do will not work.
    Problem,
}

/// The outcome of one check, of one table where it is about a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// A stable name: `role-rights`.
    pub id: &'static str,
    /// How it came out.
    pub state: State,
    /// What was found.
    pub found: String,
    /// Why it matters; empty where there is nothing to say.
    pub why: String,
    /// SQL or commands that put it right, in order.
    pub fix: Vec<String>,
}

/// Everything the checks look at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Policies of the plan files.
    pub policies: &'a [PartitionPolicy],
    /// Lock budget of the plan files.
    pub budget: LockBudget,
    /// All partitioned tables, and declared names that are something else.
    pub catalog: &'a Catalog,
    /// Every partitioned table as `partitions list` describes it.
    pub surveys: &'a [TableSurvey],
    /// Rights, settings, extensions.
    pub readiness: &'a Readiness,
    /// What pg_stat_statements counts, without texts, or why it cannot be read.
    pub statements: Result<&'a Snapshot, &'a Unavailable>,
    /// What stands between dbops and the server.
    pub pooler: Option<PoolMode>,
}

/// Runs every check, in a fixed order.
pub fn examine(facts: Facts<'_>) -> Vec<Check> {
    [
        server::checks(facts),
        role::checks(facts),
        settings::checks(facts),
        extensions::checks(facts),
        statements::checks(facts),
        plan::checks(facts),
        health::checks(facts),
    ]
    .concat()
}

impl Check {
    fn new(id: &'static str, state: State, found: impl Into<String>) -> Self {
        Self {
            id,
            state,
            found: found.into(),
            why: String::new(),
            fix: Vec::new(),
        }
    }

    fn ok(id: &'static str, found: impl Into<String>) -> Self {
        Self::new(id, State::Ok, found)
    }

    fn warning(id: &'static str, found: impl Into<String>) -> Self {
        Self::new(id, State::Warning, found)
    }

    fn problem(id: &'static str, found: impl Into<String>) -> Self {
        Self::new(id, State::Problem, found)
    }

    fn unknown(id: &'static str, found: impl Into<String>) -> Self {
        Self::new(id, State::Unknown, found)
    }

    fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix.push(fix.into());
        self
    }
}
