//! Checks of what a rule says of attestations and of stretches of time.

use super::diagnose::Diagnostic;
use super::metric::{self, LONGEST_WINDOW, METRICS, Metric, Over};
use super::rule::{ATTESTATION, Rule};
use super::validate::Entry;

/// Keys that say nothing of an attestation.
const OF_FIGURES: [&str; 10] = [
    "metric",
    "warn",
    "critical",
    "expect",
    "clear",
    "for",
    "samples",
    "override",
    "window",
    "min_volume",
];

/// Checks one rule; false where it is one that nothing else can be said of.
pub(super) fn rule(entry: &Entry<'_>, rule: &Rule, problems: &mut Vec<Diagnostic>) -> bool {
    if entry.is_broken("metric") || entry.is_broken("attest") {
        return false;
    }
    if let Some(name) = &rule.attest {
        attested(entry, rule, name, problems);
        return false;
    }
    for key in ["max_age", "value"]
        .into_iter()
        .filter(|key| entry.gives(key))
    {
        problems.push(
            entry
                .key_error(
                    key,
                    format!("`{key}` is of attestations"),
                    "no `attest` beside it",
                )
                .help("name the attestation: `attest: restore_drill`"),
        );
    }
    if !entry.gives("metric") {
        problems.push(
            entry.missing("metric").help(
                "add it, for example `metric: replica.visible_lag`, or `attest: restore_drill`",
            ),
        );
        return false;
    }
    if rule.metric == ATTESTATION {
        problems.push(
            entry
                .error("metric", "this metric is of rules with `attest`", "")
                .help("name the attestation: `attest: restore_drill`"),
        );
        return false;
    }
    windows(entry, rule, problems);
    true
}

fn attested(entry: &Entry<'_>, rule: &Rule, name: &str, problems: &mut Vec<Diagnostic>) {
    if name.trim().is_empty() {
        problems.push(
            entry
                .error("attest", "`attest` names nothing", "")
                .help("name an attestation: `attest: restore_drill`"),
        );
    }
    for key in OF_FIGURES.into_iter().filter(|key| entry.gives(key)) {
        problems.push(
            entry
                .key_error(
                    key,
                    format!("`{key}` says nothing of an attestation"),
                    "beside `attest`",
                )
                .help("an attestation has `max_age` and `value`; `level` says how bad it is"),
        );
    }
    if rule.max_age.is_some_and(|age| age.0 == 0) {
        problems.push(
            entry
                .error("max_age", "`max_age` of 0 is never met", "must be above 0")
                .help("write for example `max_age: 30d`"),
        );
    }
    for key in rule.scope.keys().filter(|key| *key != "target") {
        problems.push(
            entry
                .below("scope")
                .key_error(
                    key,
                    format!("an attestation has no label `{key}`"),
                    "not known here",
                )
                .help("labels: target"),
        );
    }
}

fn windows(entry: &Entry<'_>, rule: &Rule, problems: &mut Vec<Diagnostic>) {
    let Some(metric) = metric::metric(&rule.metric) else {
        return;
    };
    let named = |fits: &dyn Fn(&Metric) -> bool| -> String {
        let all = METRICS.iter().filter(|one| fits(one));
        all.map(|one| one.name).collect::<Vec<_>>().join(", ")
    };
    let names = |fits: &dyn Fn(Over) -> bool| named(&|one| one.over().is_some_and(fits));
    if entry.gives("window") && !metric.takes_window() {
        problems.push(
            entry
                .key_error("window", format!("`{}` is of one look", metric.name), "")
                .help(format!("`window` is for {}", named(&Metric::takes_window))),
        );
    } else if let Some(window) = rule.window
        && (window.0 == 0 || window > LONGEST_WINDOW)
    {
        problems.push(
            entry
                .error(
                    "window",
                    format!("a `window` of {window} cannot be kept"),
                    "",
                )
                .help(format!("it is above 0 and at most {LONGEST_WINDOW}")),
        );
    }
    if entry.gives("min_volume") && metric.over() != Some(Over::Ratio) {
        problems.push(
            entry
                .key_error(
                    "min_volume",
                    format!("`{}` is no share of blocks", metric.name),
                    "",
                )
                .help(format!(
                    "`min_volume` is for {}",
                    names(&|over| over == Over::Ratio)
                )),
        );
    }
}
