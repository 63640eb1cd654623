//! Statements for programs: `dbops.queries/1`.

use serde_json::json;

use crate::checks::queries::report::Report;
use crate::failure::Exit;
use crate::render::json::pretty;

/// All targets in one document.
pub fn reports(reports: &[Report], exit: Exit) -> String {
    pretty(&json!({
        "format": "dbops.queries/1",
        "exit_code": exit.code(),
        "exit": exit,
        "targets": reports,
    }))
}
