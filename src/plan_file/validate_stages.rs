//! Checks of the `stages:` section.

use std::collections::BTreeSet;

use super::diagnose::Diagnostic;
use super::stages::{Range, Signal, Stages, of_stage};
use super::validate::Entry;

/// Checks the section.
pub(super) fn stages(entry: &Entry<'_>, stages: &Stages, problems: &mut Vec<Diagnostic>) {
    if stages.levels.is_empty() && !entry.gives_items("levels") {
        problems.push(
            entry
                .own_error("stages without `levels` say nothing", "no stage")
                .help("list them, the smallest first: `levels: [{ id: 1, conn.peak: \"< 15\" }]`"),
        );
    }
    let mut seen = BTreeSet::new();
    for (level, at) in stages.levels.iter().zip(entry.elements("levels")) {
        if !seen.insert(level.id.as_str()) {
            problems.push(at.error("id", format!("the stage `{}` is there twice", level.id), ""));
        }
        for (name, text) in &level.figures {
            let metric = match of_stage(name) {
                Ok(metric) => metric,
                Err((what, help)) => {
                    problems.push(at.key_error(name, what, "not known here").help(help));
                    continue;
                }
            };
            if let Err((what, help)) = Range::read(text, metric) {
                problems.push(at.error(name, what, "").help(help));
            }
        }
    }
    for (key, advance) in &stages.advance {
        let below = entry.below("advance");
        let known: Vec<String> = (stages.levels.iter().skip(1))
            .map(|level| format!("to_{}", level.id))
            .collect();
        if !known.contains(key) {
            problems.push(
                below
                    .key_error(key, format!("`{key}` leads to no stage"), "not known here")
                    .help(format!("stages that can be due: {}", known.join(", "))),
            );
        }
        let at = below.below(key);
        if advance.any.is_empty() == advance.all.is_empty() && !at.is_broken("any") {
            problems.push(
                at.own_error("give either `any` or `all`, with a signal at least", "")
                    .help("write for example `any: [\"conn.peak > 15 for 7d\"]`"),
            );
        }
        for (list, signals) in [("any", &advance.any), ("all", &advance.all)] {
            for (text, at) in signals.iter().zip(at.elements(list)) {
                if let Err((what, help)) = Signal::read(text) {
                    problems.push(at.value_error(what, "").help(help));
                }
            }
        }
    }
}
