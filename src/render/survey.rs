//! `partitions list` as tables for people.

use std::fmt::Write;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::words::{bytes, clean, count, duration, plural};
use crate::catalog::Strategy;
use crate::changes::survey::{RangeText, TableSurvey};

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// One line a table, and what needs attention.
    Tables,
    /// Every partition too.
    Partitions,
}

/// Renders the survey of one target.
pub fn text(surveys: &[TableSurvey], detail: Detail, width: u16) -> String {
    if surveys.is_empty() {
        return "no partitioned tables\n".to_owned();
    }
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(vec![
            "table",
            "key",
            "every",
            "partitions",
            "rows",
            "size",
            "oldest",
            "newest",
            "runway",
            "policy",
        ]);
    for at in [3, 4, 5] {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for survey in surveys {
        table.add_row(row(survey));
    }
    let mut out = format!("{table}\n");
    for survey in surveys {
        attention(&mut out, survey);
    }
    if detail == Detail::Partitions {
        for survey in surveys {
            partitions(&mut out, survey, width);
        }
    }
    out
}

fn row(survey: &TableSurvey) -> Vec<String> {
    let every = match (survey.strategy, &survey.period, &survey.time_zone) {
        (Strategy::Range, Some(period), Some(zone)) if zone != "UTC" => {
            format!("{period} in {zone}")
        }
        (Strategy::Range, Some(period), _) => period.to_string(),
        (Strategy::Range, None, _) => "not recognised".to_owned(),
        (Strategy::List, ..) => "by list".to_owned(),
        (Strategy::Hash, ..) => "by hash".to_owned(),
        (Strategy::Other(letter), ..) => format!("strategy {letter}"),
    };
    vec![
        clean(&survey.table.to_string()),
        clean(&survey.key),
        every,
        survey.partitions.len().to_string(),
        rows(survey),
        survey
            .bytes
            .map_or_else(|| "not measured".to_owned(), bytes),
        survey.oldest.clone().unwrap_or_default(),
        survey.newest.clone().unwrap_or_default(),
        runway(survey),
        survey
            .policy
            .as_ref()
            .map_or_else(|| "none".to_owned(), ToString::to_string),
    ]
}

fn rows(survey: &TableSurvey) -> String {
    match (survey.rows_estimate, survey.partitions_not_analyzed) {
        (None, 0) => "0".to_owned(),
        (None, _) => "not analyzed".to_owned(),
        (Some(rows), 0) => format!("~{}", count(rows)),
        (Some(rows), left_out) => format!("~{} and {left_out} not analyzed", count(rows)),
    }
}

fn runway(survey: &TableSurvey) -> String {
    match &survey.runway {
        None => String::new(),
        Some(runway) => match (runway.seconds, &runway.until) {
            (Some(0), _) => "none: uncovered now".to_owned(),
            (Some(seconds), _) => duration(seconds),
            (None, Some(until)) => format!("until {until}"),
            (None, None) => "endless".to_owned(),
        },
    }
}

/// Says what needs a person's eye, one line each.
fn attention(out: &mut String, survey: &TableSurvey) {
    let table = clean(&survey.table.to_string());
    let mut say = |text: String| {
        let _ = writeln!(out, "{table}: {text}");
    };
    if let Some(runway) = &survey.runway
        && let Some(until) = &runway.until
    {
        say(if runway.falls_into_default {
            format!("rows fall into DEFAULT from {until}")
        } else if runway.seconds == Some(0) {
            format!("inserts fail now: nothing covers {until}")
        } else {
            format!("inserts fail from {until}")
        });
    }
    if survey.policy.is_none() && survey.strategy == Strategy::Range && survey.parent.is_none() {
        say("no policy: nobody creates its next partition through dbops".to_owned());
    }
    let ranges = |ranges: &[RangeText]| {
        let shown: Vec<String> = ranges
            .iter()
            .take(5)
            .map(|range| format!("{} to {}", range.from, range.to))
            .collect();
        shown.join(", ")
    };
    if !survey.gaps.is_empty() {
        say(format!(
            "{}: {}",
            plural(survey.gaps.len(), "gap"),
            ranges(&survey.gaps)
        ));
    }
    if !survey.overlaps.is_empty() {
        say(format!(
            "{}: {}",
            plural(survey.overlaps.len(), "overlap"),
            ranges(&survey.overlaps)
        ));
    }
    if let Some(rows) = &survey.default_rows
        && rows.count != Some(0)
    {
        let span = match (&rows.min, &rows.max) {
            (Some(min), Some(max)) => format!(" from {min} to {max}"),
            _ => String::new(),
        };
        say(match rows.count {
            Some(found) => format!("DEFAULT holds {} rows{span}", count(found)),
            None => "DEFAULT holds rows; their number was not measured".to_owned(),
        });
    }
    for pending in &survey.pending {
        say(format!(
            "{} is pending detach: its rows are invisible; `dbops partitions prune` completes it",
            clean(&pending.to_string())
        ));
    }
    for detached in &survey.detached {
        say(format!(
            "{} is detached and may be dropped from {} on",
            clean(&detached.name.to_string()),
            detached.drop_after.format("%Y-%m-%d %H:%M UTC")
        ));
    }
    if let Some(why) = &survey.unreadable {
        say(format!("its bounds cannot be placed: {}", clean(why)));
    }
}

fn partitions(out: &mut String, survey: &TableSurvey, width: u16) {
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(vec![
            clean(&survey.table.to_string()),
            "from".to_owned(),
            "to".to_owned(),
            "rows".to_owned(),
            "size".to_owned(),
        ]);
    for partition in &survey.partitions {
        let pending = if partition.detach_pending {
            " (pending detach)"
        } else {
            ""
        };
        table.add_row(vec![
            format!("{}{pending}", clean(&partition.name.to_string())),
            partition
                .from
                .clone()
                .unwrap_or_else(|| clean(&partition.bound)),
            partition.to.clone().unwrap_or_default(),
            partition.rows_estimate.map_or_else(
                || "not analyzed".to_owned(),
                |rows| format!("~{}", count(rows)),
            ),
            partition
                .bytes
                .map_or_else(|| "not measured".to_owned(), bytes),
        ]);
    }
    let _ = writeln!(out, "{table}");
}
