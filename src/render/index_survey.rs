//! `indexes list` as a table for people and as JSON.

use std::fmt::Write;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;
use serde_json::json;

use super::json::pretty;
use super::words::{bytes, clean, count, indexes as indexes_in_words};
use crate::catalog::index_model::LiveConstraintKind;
use crate::changes::indexes::{IndexState, State};

/// One target's indexes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IndexReport {
    /// The target's name.
    pub target: String,
    /// The database.
    pub database: String,
    /// How its indexes stand.
    pub indexes: Vec<IndexState>,
}

/// The report of `indexes list`: `dbops.indexes/1`.
pub fn json(reports: &[IndexReport]) -> String {
    pretty(&json!({"format": "dbops.indexes/1", "targets": reports}))
}

/// Renders one target: a row an index, what is to be said of some, how many are as declared.
pub fn text(report: &IndexReport, width: u16) -> String {
    if report.indexes.is_empty() {
        return "no indexes\n".to_owned();
    }
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(vec!["table", "index", "state", "size", "scans", "enforces"]);
    for at in [3, 4] {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for index in &report.indexes {
        table.add_row(row(index));
    }
    let mut out = format!("{table}\n");
    for index in &report.indexes {
        for detail in &index.details {
            let _ = writeln!(out, "{}: {}", clean(&index.name.to_string()), clean(detail));
        }
    }
    let _ = writeln!(out, "{}", sums(&report.indexes));
    out
}

fn row(index: &IndexState) -> Vec<String> {
    let state = match (index.pid, &index.also) {
        (Some(pid), _) => format!("{} (pid {pid})", index.state.name()),
        (None, Some(other)) => format!("{}: {}", index.state.name(), clean(&other.name)),
        (None, None) => index.state.name().to_owned(),
    };
    let enforces = index
        .constraint
        .as_ref()
        .map_or(String::new(), |constraint| {
            match constraint.kind {
                LiveConstraintKind::Primary => "primary key",
                LiveConstraintKind::Unique => "unique",
                LiveConstraintKind::Exclusion => "exclusion",
            }
            .to_owned()
        });
    vec![
        index
            .table
            .as_ref()
            .map_or(String::new(), |table| clean(&table.to_string())),
        // Of an index that is nowhere the table, and so the schema, is not known.
        match index.table {
            Some(_) => clean(&crate::ident::quote_if_needed(&index.name.name)),
            None => clean(&index.name.to_string()),
        },
        state,
        index.bytes.map_or("?".to_owned(), bytes),
        index.scans.map_or("?".to_owned(), count),
        enforces,
    ]
}

/// `8 of 8 declared indexes are as the plan files say; 3 undeclared`.
fn sums(indexes: &[IndexState]) -> String {
    let of = |state| indexes.iter().filter(|index| index.state == state).count();
    let declared: Vec<&IndexState> = indexes
        .iter()
        .filter(|index| {
            index.origin.is_some()
                && !matches!(
                    index.state,
                    State::Gone | State::Unwanted | State::HalfDropped
                )
        })
        .collect();
    let converged = declared
        .iter()
        .filter(|index| index.state == State::Converged)
        .count();
    let mut out = if declared.is_empty() {
        "no plan file declares an index here".to_owned()
    } else {
        format!(
            "{converged} of {} are as the plan files say",
            indexes_in_words(declared.len())
        )
    };
    let undeclared = of(State::Undeclared);
    if undeclared > 0 {
        let _ = write!(out, "; {undeclared} undeclared");
    }
    out
}
