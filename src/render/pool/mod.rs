//! `pool status`, `sessions` and `budget` for people, within 80 columns, and as JSON.

pub mod budget;
pub mod sessions;
pub mod status;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::words::clean;

/// Columns that a table may take.
const WIDTH: u16 = 80;

/// How a column stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// A table without lines, folded to the width; no row, no table.
fn table(header: &[(&str, Side)], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(header.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)).collect::<Vec<_>>());
    }
    for (at, (_, side)) in header.iter().enumerate() {
        if *side == Side::Right
            && let Some(column) = table.column_mut(at)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut out = String::new();
    for line in table.to_string().lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A number, or `?` where it is not known.
fn number(value: Option<i64>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| value.to_string())
}

/// A percentage, or `?` where it is not known.
fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| format!("{value:.0} %"))
}

/// An age in seconds for people, or nothing.
fn age(seconds: Option<f64>) -> String {
    match seconds {
        None => String::new(),
        Some(seconds) if seconds < 10.0 => super::words::millis(seconds.max(0.0) * 1_000.0),
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds for people")]
        Some(seconds) => super::words::duration(seconds as i64),
    }
}

/// Writes a text folded to the width, lines after the first behind the margin.
fn fill(out: &mut String, margin: &str, text: &str) {
    let lines = super::queries::fold(&clean(text), usize::from(WIDTH) - margin.len());
    for line in lines {
        out.push_str(margin);
        out.push_str(&line);
        out.push('\n');
    }
}
