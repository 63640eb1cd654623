//! A changeset as text for people.

use std::fmt::Write;

use super::words::{bytes, clean, count, plural};
use crate::changes::changeset::{Changeset, IndexChange, Note, PartitionChange, Refusal, Step};

/// Partitions listed by name in one step; more are counted.
const LISTED: usize = 12;

/// Renders steps, refusals and notes, table by table in the changeset's order.
pub fn text(changeset: &Changeset) -> String {
    let mut out = String::new();
    let mut table = None;
    for step in &changeset.steps {
        if table != Some(&step.table) {
            let _ = writeln!(out, "{}", clean(&step.table.to_string()));
            table = Some(&step.table);
        }
        render_step(&mut out, step);
    }
    refusals_and_notes(&mut out, &changeset.refusals, &changeset.notes);
    let _ = writeln!(out, "{}", summary(changeset));
    out
}

/// Renders what could not be served and what is worth a look; used by reports of runs too.
pub(super) fn refusals_and_notes(out: &mut String, refusals: &[Refusal], notes: &[Note]) {
    for refusal in refusals {
        let _ = writeln!(
            out,
            "refused [{}] {}",
            refusal.code,
            clean(&refusal.message)
        );
        for remedy in &refusal.remedy {
            let _ = writeln!(out, "  what to do: {}", clean(remedy));
        }
        if refusal.origin.line > 0 {
            let _ = writeln!(out, "  declared: {}", refusal.origin);
        }
    }
    for note in notes {
        let _ = writeln!(out, "note [{}] {}", note.code, clean(&note.message));
    }
}

fn summary(changeset: &Changeset) -> String {
    let steps = match changeset.steps.len() {
        0 => "nothing to do".to_owned(),
        steps => plural(steps, "step"),
    };
    match changeset.refusals.len() {
        0 => steps,
        refused => format!("{steps}, {refused} refused"),
    }
}

fn render_step(out: &mut String, step: &Step) {
    let _ = writeln!(out, "  {}. {}", step.id, clean(&step.summary));
    partitions(out, &step.partitions);
    if let Some(index) = &step.index {
        cost(out, index);
    }
    let locks: Vec<String> = step
        .locks
        .iter()
        .map(|lock| {
            format!(
                "{} on {} ({})",
                lock.mode.sql(),
                clean(&lock.relation.to_string()),
                lock.why
            )
        })
        .collect();
    if !locks.is_empty() {
        let _ = writeln!(out, "       locks: {}", locks.join("; "));
    }
    for hazard in &step.hazards {
        let allowed = if step.allowed_by_plan.contains(hazard) {
            "allowed by the plan file"
        } else {
            "must be allowed"
        };
        let _ = writeln!(out, "       hazard: {} ({allowed})", hazard.name());
    }
}

/// What an index costs: rows read, bytes, HOT updates.
fn cost(out: &mut String, index: &IndexChange) {
    let mut cost = Vec::new();
    cost.extend(
        index
            .rows_estimate
            .map(|rows| format!("about {} rows", count(rows))),
    );
    cost.extend(
        index
            .bytes
            .map(|size| format!("index of about {}", bytes(size))),
    );
    if !cost.is_empty() {
        let _ = writeln!(out, "       cost: {}", cost.join(", "));
    }
    if let Some(hot) = &index.hot_cost {
        let _ = writeln!(out, "       updates: {}", clean(hot));
    }
}

fn partitions(out: &mut String, partitions: &[PartitionChange]) {
    for partition in partitions.iter().take(LISTED) {
        let mut size = Vec::new();
        size.extend(
            partition
                .rows_estimate
                .map(|rows| format!("about {} rows", count(rows))),
        );
        size.extend(partition.bytes.map(bytes));
        let size = if size.is_empty() {
            String::new()
        } else {
            format!("  ({})", size.join(", "))
        };
        let _ = writeln!(
            out,
            "       {}  {} to {}{size}",
            clean(&partition.name.to_string()),
            partition.from,
            partition.to
        );
    }
    if partitions.len() > LISTED {
        let _ = writeln!(out, "       and {} more", partitions.len() - LISTED);
    }
}
