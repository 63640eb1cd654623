//! A changeset as SQL: exactly the statements that would run, every way of a step with its condition.

use std::fmt::Write;

use super::words::clean;
use crate::changes::changeset::{Acquire, Changeset, Step, Way};
use crate::changes::script;

/// Renders the statements; `deadlock_timeout_ms` is the server's, which the time-outs stay below.
///
/// Ways after a step's first one are comments: only one way of a step runs.
pub fn text(changeset: &Changeset, deadlock_timeout_ms: i64) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "-- dbops {} on database {}, as of {}",
        changeset.command,
        comment(&changeset.database),
        changeset.as_of.format("%Y-%m-%d %H:%M:%S UTC")
    );
    for refusal in &changeset.refusals {
        let _ = writeln!(
            out,
            "-- refused [{}] {}",
            refusal.code,
            comment(&refusal.message)
        );
    }
    for step in &changeset.steps {
        let _ = writeln!(out, "\n-- step {}: {}", step.id, comment(&step.summary));
        for hazard in &step.hazards {
            let _ = writeln!(out, "-- hazard: {}", hazard.name());
        }
        for (at, way) in step.ways.iter().enumerate() {
            let _ = writeln!(out, "-- {}", comment(&way.when));
            if way.acquire == Acquire::Concurrent && step.action.is_of_indexes() {
                concurrent(&mut out, step, way);
                continue;
            }
            let prefix = if at == 0 { "" } else { "--   " };
            let mut attempts = Vec::new();
            if !way.prepare.is_empty() {
                attempts.push(script::prepare(step, &way.prepare, deadlock_timeout_ms));
            }
            attempts.push(script::attempt(step, way, deadlock_timeout_ms));
            if !way.undo.is_empty() {
                attempts.push(script::prepare(step, &way.undo, deadlock_timeout_ms));
            }
            let undo = (!way.undo.is_empty()).then(|| attempts.len() - 1);
            for (at, attempt) in attempts.into_iter().enumerate() {
                if undo == Some(at) {
                    let _ = writeln!(out, "-- only when it does not succeed and is not pending:");
                }
                for statement in attempt.statements {
                    // A carriage return ends a comment too; `lines` would lose one inside a name.
                    let commented = format!("{statement};");
                    let mut text = commented.replace('\n', &format!("\n{prefix}"));
                    if !prefix.is_empty() {
                        text = text.replace('\r', &format!("\r{prefix}"));
                    }
                    let _ = writeln!(out, "{prefix}{text}");
                }
            }
            if way.acquire == Acquire::Concurrent {
                let _ = writeln!(
                    out,
                    "-- outside a transaction; dbops cancels it after {}",
                    step.budget.give_up_after
                );
            }
        }
    }
    out
}

/// A statement on an index that runs alone, with the settings of its session around it.
fn concurrent(out: &mut String, step: &Step, way: &Way) {
    let _ = writeln!(
        out,
        "-- outside a transaction; waits for open transactions for at most {}",
        step.budget.patience
    );
    let settings = script::CONCURRENT_SESSION.iter().copied();
    for statement in settings
        .chain(way.settings.iter().map(String::as_str))
        .chain(way.statements.iter().map(String::as_str))
    {
        let _ = writeln!(out, "{statement};");
    }
    for statement in &way.undo {
        let commented = format!("{statement};").replace(['\n', '\r'], " ");
        let _ = writeln!(
            out,
            "-- only where it fails and leaves an invalid index: {commented}"
        );
    }
}

/// A line break in a name must not end a comment.
fn comment(text: &str) -> String {
    clean(&text.replace('\n', " "))
}
