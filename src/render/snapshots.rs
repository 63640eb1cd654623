//! Stored readings of pg_stat_statements as a table and as JSON.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::json::pretty;
use super::words::{bytes, clean, count};
use crate::history::statements::Stored;

/// Renders the readings of a target, newest first.
pub fn text(stored: &[Stored], width: u16) -> String {
    if stored.is_empty() {
        return "no readings are stored\n".to_owned();
    }
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(vec![
            "id",
            "taken",
            "name",
            "node",
            "statements",
            "calls",
            "extension",
            "size",
        ]);
    for one in stored {
        #[expect(clippy::cast_possible_truncation, reason = "for people, as a count")]
        let calls = one.calls as i64;
        table.add_row(vec![
            one.id.to_string(),
            one.taken_at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            one.name.as_deref().map(clean).unwrap_or_default(),
            clean(&one.node),
            count(i64::from(one.statements)),
            count(calls),
            clean(&one.extension),
            bytes(one.bytes),
        ]);
    }
    for column in [4, 5, 7] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}

/// Renders the readings of all targets.
pub fn json(reports: &[(String, Vec<Stored>)]) -> String {
    let targets: Vec<_> = reports
        .iter()
        .map(|(target, stored)| serde_json::json!({"target": target, "snapshots": stored}))
        .collect();
    pretty(&serde_json::json!({"format": "dbops.snapshots/1", "targets": targets}))
}
