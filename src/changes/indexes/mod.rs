//! Index plans against the indexes that are there: pure, in three passes, because the server is asked
//! between them.
//!
//! ```text
//! declared + IndexCatalog ──compare_questions──► IndexQuestions ──server──► IndexAnswers
//! declared + IndexCatalog + answers ──build_questions──► IndexQuestions ──server──► IndexAnswers
//! declared + IndexCatalog + answers ──plan──► Draft      ──survey──► what `dbops indexes list` shows
//! ```

mod alterations;
mod basis;
mod checks;
mod compare;
mod constraints;
mod context;
mod cost;
mod declared;
mod drops;
mod folds;
mod growth;
mod guards;
pub mod import;
mod names;
mod online;
mod parameters;
mod preconditions;
mod steps;
mod survey;
mod tree;
mod tree_steps;
mod units;

pub use basis::basis_of;
pub use declared::{Absent, Declared, declared};
pub use survey::{IndexState, State, survey};

use chrono::{DateTime, Utc};

use super::inputs::Draft;
use crate::catalog::index_model::{IndexAnswers, IndexCatalog, IndexQuestions};
use context::Context;

/// What the index planner is given. The clock is an argument.
#[derive(Debug, Clone, Copy)]
pub struct IndexInputs<'a> {
    /// Indexes that should be there.
    pub declared: &'a [Declared],
    /// Indexes that should not.
    pub absent: &'a [Absent],
    /// What the server says.
    pub catalog: &'a IndexCatalog,
    /// The instant used as now.
    pub now: DateTime<Utc>,
}

/// Returns the expressions that must be folded before declared and live indexes can be compared.
pub fn compare_questions(inputs: IndexInputs<'_>) -> IndexQuestions {
    let answers = IndexAnswers::default();
    IndexQuestions {
        folds: folds::questions(&Context::new(inputs, &answers)),
        ..IndexQuestions::default()
    }
}

/// Returns what must be asked about the indexes that will be built or dropped: duplicated keys of unique ones,
/// and statements that need a unique one that goes. `answers` holds the folds already.
pub fn build_questions(inputs: IndexInputs<'_>, answers: &IndexAnswers) -> IndexQuestions {
    let context = Context::new(inputs, answers);
    let planned = units::planned(&context);
    IndexQuestions {
        folds: Vec::new(),
        duplicates: planned.duplicates,
        arbiters: planned.arbiters,
    }
}

/// Computes the steps that lead from the catalog to the index plans.
///
/// A step's `after` is a distance back, as in every [`Draft`].
pub fn plan(inputs: IndexInputs<'_>, answers: &IndexAnswers) -> Draft {
    let context = Context::new(inputs, answers);
    units::planned(&context).into_draft(&context)
}

#[cfg(test)]
mod guard_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tree_tests;
