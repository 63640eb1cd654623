//! Advice on growth, for people: the stage, what the next one is due by, and what cannot be told.

use super::{figure, one_line};
use crate::checks::fixes::fix;
use crate::checks::judge::Reading;
use crate::checks::verdict::{Advice, SignalSeen, SignalState, Stage};
use crate::plan_file::metric::Measure;
use crate::render::words::clean;

/// The advice on a target: a headline, and lines below it.
pub(super) fn lines(advice: &Advice) -> (String, Vec<String>) {
    let target = clean(&advice.target);
    let figures: Vec<String> = advice
        .figures
        .iter()
        .map(|one| {
            format!(
                "{} {}",
                one.metric.name,
                shown(&one.reading, one.metric.measure)
            )
        })
        .collect();
    let figures = figures.join(", ");
    let head = match &advice.stage {
        Some(stage) => format!("{target} is in stage {}: {figures}", name(stage)),
        None => format!("{target}: the stage is not known: {figures}"),
    };
    let Some(next) = &advice.next else {
        return (head, Vec::new());
    };
    let mut lines = vec![match (next.due, next.signals.is_empty(), next.any) {
        (true, ..) => format!("stage {} is due", name(&next.stage)),
        (_, true, _) => format!("stage {} is next; no signal says when", name(&next.stage)),
        (_, _, true) => format!("stage {} is due when any of these lasts", name(&next.stage)),
        (_, _, false) => format!("stage {} is due when all of these last", name(&next.stage)),
    }];
    lines.extend(next.signals.iter().map(signal));
    if !next.stage.asks.is_empty() {
        lines.push(format!(
            "it asks for: {}",
            clean(&next.stage.asks.join(", "))
        ));
    }
    (head, lines)
}

fn name(stage: &Stage) -> String {
    match &stage.name {
        Some(name) => format!("{} ({})", clean(&stage.id), clean(name)),
        None => clean(&stage.id),
    }
}

fn signal(seen: &SignalSeen) -> String {
    let word = match seen.state {
        SignalState::Met => "met",
        SignalState::NotYet => "not yet",
        SignalState::NotMet => "not met",
        SignalState::Unknown => "unknown",
    };
    let mut text = format!("{word}: {}", clean(&seen.text));
    match &seen.doubt {
        Some(doubt) => {
            let fix = fix(seen.metric, doubt.reason);
            text = format!(
                "{text}: {}: {}; fix: {fix}",
                doubt.reason.code(),
                one_line(&doubt.why)
            );
        }
        None => text = format!("{text}: {} now", shown(&seen.reading, seen.metric.measure)),
    }
    if let Some(since) = seen.since {
        text = format!("{text}, since {}", since.format("%Y-%m-%d %H:%M UTC"));
    }
    if seen.doubt.is_none() && !seen.basis.is_empty() {
        text = format!("{text} ({})", one_line(&seen.basis));
    }
    text
}

fn shown(reading: &Reading, measure: Measure) -> String {
    match reading {
        Reading::Value(value) => figure(*value, measure),
        Reading::Between { low, high } => {
            format!("{} to {}", figure(*low, measure), figure(*high, measure))
        }
        Reading::State(state) => clean(state),
        Reading::Unknown { .. } => "unknown".to_owned(),
    }
}
