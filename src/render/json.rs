//! The JSON forms. Fields are only ever added; a change of meaning changes the number in `format`.

use serde::Serialize;
use serde_json::{Value, json};

use crate::apply::{Forecast, Outcome};
use crate::changes::changeset::Changeset;
use crate::changes::survey::TableSurvey;
use crate::failure::Exit;

/// One target's part of a report.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The target's name.
    pub target: String,
    /// What was computed; `None` where the target could not be reached.
    pub changeset: Option<Changeset>,
    /// What running it did; `None` where nothing ran.
    pub outcome: Option<Outcome>,
    /// Exit code of this target alone.
    pub exit_code: u8,
    /// The same in a word.
    pub exit: Exit,
    /// Why there is no changeset or no outcome: a standby, a connection error.
    pub message: Option<String>,
    /// Who would hold up the builds of a changeset that is only shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
}

/// The report of a writing command: `dbops.run/1`.
pub fn runs(runs: &[RunReport], exit: Exit) -> String {
    pretty(&json!({"format": "dbops.run/1", "exit_code": exit.code(), "exit": exit, "runs": runs}))
}

/// One target's survey.
#[derive(Debug, Clone, Serialize)]
pub struct SurveyReport {
    /// The target's name.
    pub target: String,
    /// The database.
    pub database: String,
    /// Its tables.
    pub tables: Vec<TableSurvey>,
}

/// The report of `partitions list`: `dbops.partitions/1`.
pub fn surveys(surveys: &[SurveyReport]) -> String {
    pretty(&json!({"format": "dbops.partitions/1", "targets": surveys}))
}

/// Any value, indented, with a line break at the end.
pub fn pretty(value: &impl Serialize) -> String {
    let value: Value = serde_json::to_value(value).unwrap_or(Value::Null);
    format!("{value:#}\n")
}
