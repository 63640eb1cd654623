//! The history as text for people.

use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use super::words::{clean, millis};
use crate::history::read::Run;

/// Renders runs, newest first, each with its steps.
pub fn text(runs: &[Run], width: u16) -> String {
    let mut out = String::new();
    for run in runs {
        let took = run.finished_at.map_or_else(
            || "not finished".to_owned(),
            |finished| format!("{:.1} s", (finished - run.started_at).as_seconds_f64()),
        );
        let blocked = match (run.blocked_count, run.blocked_longest_ms) {
            (Some(count), Some(longest)) => {
                format!(", {count} waits behind it, longest {}", millis(longest))
            }
            _ => String::new(),
        };
        let _ = writeln!(
            out,
            "run {} {} {}  {} ({took}{blocked}) by {}, dbops {}",
            run.id,
            run.started_at.format("%Y-%m-%d %H:%M:%S UTC"),
            clean(&run.command),
            run.status,
            clean(&run.role),
            run.dbops_version
        );
        let mut table = Table::new();
        table
            .load_style(NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
        for step in &run.steps {
            let reason = step.reason.as_deref().map(clean).unwrap_or_default();
            table.add_row(vec![
                format!("  {}", step.id),
                step.status.clone(),
                clean(&step.summary),
                step.duration_ms
                    .map(|ms| format!("{ms} ms"))
                    .unwrap_or_default(),
                reason,
            ]);
        }
        if !run.steps.is_empty() {
            let _ = writeln!(out, "{table}");
        }
    }
    if runs.is_empty() {
        out.push_str("no runs yet\n");
    }
    out
}
