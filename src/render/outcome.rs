//! What a run did, as text for people.

use std::fmt::Write;

use super::changeset::refusals_and_notes;
use super::words::{clean, duration, millis, plural};
use crate::apply::{Blocked, Blocker, Forecast, Outcome, Status, StepOutcome};
use crate::changes::changeset::Changeset;

/// Renders the steps, then what could not be served, then one line of sums with the measured wait of
/// other sessions.
pub fn text(changeset: &Changeset, outcome: &Outcome) -> String {
    let mut out = String::new();
    for step in &outcome.steps {
        render_step(&mut out, step);
    }
    refusals_and_notes(&mut out, &changeset.refusals, &changeset.notes);
    let _ = writeln!(
        out,
        "{}; {}",
        sums(changeset, outcome),
        blocked(&outcome.blocked)
    );
    out
}

fn render_step(out: &mut String, step: &StepOutcome) {
    let time = match step.status {
        Status::Done => format!("  ({} ms)", step.duration_ms),
        _ => String::new(),
    };
    let _ = writeln!(
        out,
        "{:<11} {}{time}",
        step.status.as_str(),
        clean(&step.summary)
    );
    if let Some(reason) = &step.reason {
        let _ = writeln!(out, "            {}", clean(reason));
    }
    for blocker in &step.blockers {
        let _ = writeln!(out, "            blocked by {}", blocker_text(blocker));
    }
    for remark in &step.remarks {
        let _ = writeln!(out, "            {}", clean(remark));
    }
    if let Some(remedy) = &step.remedy {
        let _ = writeln!(out, "            what to do: {}", clean(remedy));
    }
}

/// Renders who would hold up a concurrent build that began now; nothing where nobody would.
pub fn forecast(forecast: &Forecast) -> String {
    let mut out = String::new();
    for blocker in &forecast.blocking {
        let _ = writeln!(out, "would wait for {}", blocker_text(blocker));
    }
    out
}

fn blocker_text(blocker: &Blocker) -> String {
    let mut text = format!("pid {}", blocker.pid);
    let hidden = "(hidden)";
    let _ = write!(
        text,
        ", application `{}`, role {}",
        clean(blocker.application.as_deref().unwrap_or(hidden)),
        clean(blocker.role.as_deref().unwrap_or(hidden))
    );
    if let Some(state) = &blocker.state {
        let _ = write!(text, ", {state}");
    }
    if let Some(seconds) = blocker.transaction_seconds {
        let _ = write!(text, ", transaction open for {}", duration(seconds as i64));
    }
    if let (Some(mode), Some(relation)) = (&blocker.mode, &blocker.relation) {
        let _ = write!(text, ", holds {mode} on {}", clean(relation));
    }
    if let Some(why) = &blocker.why {
        let _ = write!(text, ": {}", clean(why));
    }
    text
}

fn sums(changeset: &Changeset, outcome: &Outcome) -> String {
    let statuses = [
        Status::Done,
        Status::Refused,
        Status::Deferred,
        Status::Failed,
        Status::Interrupted,
        Status::Skipped,
    ];
    let mut parts = Vec::new();
    for status in statuses {
        let mut found = outcome
            .steps
            .iter()
            .filter(|step| step.status == status)
            .count();
        if status == Status::Refused {
            found += changeset.refusals.len();
        }
        if found > 0 {
            parts.push(format!("{found} {}", status.as_str()));
        }
    }
    if parts.is_empty() {
        "nothing to do".to_owned()
    } else {
        parts.join(", ")
    }
}

/// `writers blocked: 0, longest 0 ms`, or that nothing was measured.
pub fn blocked(blocked: &Blocked) -> String {
    if blocked.samples == 0 {
        return "waits of other sessions: not measured".to_owned();
    }
    let longest = millis(blocked.longest_ms);
    let readers = blocked.count - blocked.writers.min(blocked.count);
    let seen = match readers {
        0 => String::new(),
        readers => format!(" and {}", plural(readers as usize, "reader")),
    };
    format!(
        "writers blocked: {}{seen}, longest {longest} ({} samples)",
        blocked.writers, blocked.samples
    )
}
