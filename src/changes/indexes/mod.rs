//! Index plans against the indexes that are there: pure, in three passes, because the server is asked
//! between them.
//!
//! ```text
//! declared + IndexCatalog ──compare_questions──► IndexQuestions ──server──► IndexAnswers
//! declared + IndexCatalog + answers ──build_questions──► IndexQuestions ──server──► IndexAnswers
//! declared + IndexCatalog + answers ──plan──► Draft      ──survey──► what `dbops indexes list` shows
//! ```

mod declared;

pub use declared::{Absent, Declared, declared};

use chrono::{DateTime, Utc};

use crate::catalog::index_model::IndexCatalog;

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
