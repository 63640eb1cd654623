//! Checks of one rule and of one mute.

use std::collections::BTreeSet;

use super::diagnose::Diagnostic;
use super::metric::{self, METRICS, Measure, Metric, Worse};
use super::mute::Mute;
use super::rule::{Rule, Threshold};
use super::suggest::nearest;
use super::validate::Entry;
use super::validate_over;

/// Checks one rule.
pub(super) fn rule(
    entry: &Entry<'_>,
    rule: &Rule,
    problems: &mut Vec<Diagnostic>,
    open: &mut Vec<OpenLabel>,
) {
    let held = validate_over::rule(entry, rule, problems);
    for (key, value, what) in [
        ("id", &rule.id, "an id"),
        ("metric", &rule.metric, "a metric"),
    ] {
        if key == "metric" && !held {
            return;
        }
        let plain = !value.is_empty()
            && value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if !plain {
            problems.push(
                entry
                    .error(key, format!("`{value}` cannot be {what}"), "")
                    .help("use letters, digits, `.`, `-` and `_`: `repl.lag`"),
            );
        }
    }
    let state = metric::metric(&rule.metric).is_some_and(|one| one.measure == Measure::State);
    if !state && !entry.gives("warn") && !entry.gives("critical") && rule.overrides.is_empty() {
        problems.push(
            entry
                .own_error(
                    "this rule can never find anything",
                    "neither `warn` nor `critical`",
                )
                .help("add a threshold, for example `warn: \"> 100ms\"`"),
        );
    }
    let before = problems.len();
    known(entry, rule, problems, open);
    // What is of another kind than the metric is told once.
    if problems.len() == before {
        order(entry, rule.warn.as_ref(), rule.critical.as_ref(), problems);
    }
    if let (Some(clear), Some(warn)) = (&rule.clear, rule.warn.as_ref().or(rule.critical.as_ref()))
        && (clear.is_upper() == warn.is_upper() || !clear.is_comparable(warn))
    {
        problems.push(
            entry
                .error("clear", format!("`clear` ({clear}) does not fit `{warn}`"), "")
                .help("it compares the other way round, in the same unit: `warn: \"> 100ms\"`, `clear: \"< 50ms\"`"),
        );
    }
    if rule.lasting.is_some_and(|time| time.0 == 0) {
        problems.push(
            entry
                .error("for", "`for` of 0 has no effect", "must be above 0")
                .help("omit `for` to report at the first sample"),
        );
    }
    if let Some(samples) = rule.samples {
        let at = entry.below("samples");
        if samples.need == 0 {
            problems.push(at.error("need", "`need` of 0 is always met", "must be 1 or more"));
        } else if samples.need > samples.of {
            problems.push(
                at.error(
                    "need",
                    format!(
                        "{} of {} samples can never be met",
                        samples.need, samples.of
                    ),
                    "",
                )
                .help("`need` is at most `of`"),
            );
        }
    }
    for (other, at) in rule.overrides.iter().zip(entry.elements("override")) {
        if other.labels.is_empty() && !at.is_broken("match") {
            problems.push(
                at.error("match", "`match` without a label fits every node", "")
                    .help("name a label: `match: { use: analytics }`"),
            );
        }
        // What an override leaves out is that of the rule.
        let warn = other.warn.as_ref().or(rule.warn.as_ref());
        let critical = other.critical.as_ref().or(rule.critical.as_ref());
        order(&at, warn, critical, problems);
    }
}

/// Checks the thresholds, the states and the scope against what the metric is.
fn known(
    entry: &Entry<'_>,
    rule: &Rule,
    problems: &mut Vec<Diagnostic>,
    open: &mut Vec<OpenLabel>,
) {
    let Some(metric) = metric::metric(&rule.metric) else {
        let diagnostic = entry.error(
            "metric",
            format!("there is no metric `{}`", rule.metric),
            "not known here",
        );
        let names = || METRICS.iter().map(|metric| metric.name);
        let family = rule.metric.split('.').next().unwrap_or_default();
        let same: Vec<&str> = names()
            .filter(|name| name.split('.').next() == Some(family))
            .collect();
        let help = match nearest(&rule.metric, names()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if same.is_empty() => {
                format!("metrics: {}", names().collect::<Vec<_>>().join(", "))
            }
            None => format!("metrics of `{family}`: {}", same.join(", ")),
        };
        problems.push(diagnostic.help(help));
        return;
    };
    states(entry, rule, metric, problems);
    if metric.measure == Measure::State {
        return scopes(entry, rule, metric, problems, open);
    }
    let mut threshold = |at: &Entry<'_>, key: &str, given: Option<&Threshold>| {
        let Some(given) = given else {
            return;
        };
        let example = metric.measure.example(metric.worse);
        if !metric.measure.takes(given.unit) {
            problems.push(
                at.error(
                    key,
                    format!("`{given}` has another unit than `{}`", metric.name),
                    "",
                )
                .help(format!("write for example `{key}: \"{example}\"`")),
            );
        } else if given.is_upper() != (metric.worse == Worse::Above) {
            problems.push(
                at.error(
                    key,
                    format!(
                        "`{given}` finds what is good: `{}` is worse in the other direction",
                        metric.name
                    ),
                    "",
                )
                .help(format!("write for example `{key}: \"{example}\"`")),
            );
        }
    };
    threshold(entry, "warn", rule.warn.as_ref());
    threshold(entry, "critical", rule.critical.as_ref());
    for (other, at) in rule.overrides.iter().zip(entry.elements("override")) {
        threshold(&at, "warn", other.warn.as_ref());
        threshold(&at, "critical", other.critical.as_ref());
    }
    scopes(entry, rule, metric, problems, open);
}

/// Checks that a state is expected of metrics that are one, and of no other.
fn states(entry: &Entry<'_>, rule: &Rule, metric: &Metric, problems: &mut Vec<Diagnostic>) {
    let is_state = metric.measure == Measure::State;
    let keys = ["warn", "critical", "clear"];
    if is_state {
        for key in keys.into_iter().filter(|key| entry.gives(key)) {
            problems.push(
                entry
                    .error(
                        key,
                        format!("`{}` is a state, not a number", metric.name),
                        "",
                    )
                    .help("list the states that are as they should be: `expect: [streaming]`"),
            );
        }
        if rule.expect.is_empty() && !entry.gives("expect") {
            problems.push(
                entry
                    .own_error("this rule can never find anything", "no `expect`")
                    .help("list the states that are as they should be: `expect: [streaming]`"),
            );
        }
    } else {
        for key in ["expect", "level"]
            .into_iter()
            .filter(|key| entry.gives(key))
        {
            problems.push(
                entry
                    .error(
                        key,
                        format!("`{}` is a number, not a state", metric.name),
                        "",
                    )
                    .help(format!(
                        "give thresholds: `warn: \"{}\"`",
                        metric.measure.example(metric.worse)
                    )),
            );
        }
    }
    for (other, at) in rule.overrides.iter().zip(entry.elements("override")) {
        if is_state == (other.expect.is_empty() && !at.gives("expect")) {
            problems.push(at.own_error(
                if is_state {
                    format!("`{}` is a state: an override gives `expect`", metric.name)
                } else {
                    format!(
                        "`{}` is a number: an override gives no `expect`",
                        metric.name
                    )
                },
                "",
            ));
        }
    }
}

/// Checks that what the metric measures has the labels of the scopes, and that no two overrides tie.
fn scopes(
    entry: &Entry<'_>,
    rule: &Rule,
    metric: &'static Metric,
    problems: &mut Vec<Diagnostic>,
    open: &mut Vec<OpenLabel>,
) {
    open.extend(labels(&entry.below("scope"), metric, rule.scope.keys()));
    let mut seen: Vec<&Labels> = Vec::new();
    for (other, at) in rule.overrides.iter().zip(entry.elements("override")) {
        open.extend(labels(&at.below("match"), metric, other.labels.keys()));
        if let Some(first) = seen.iter().find(|first| tie(first, &other.labels)) {
            let text: Vec<String> = first
                .iter()
                .map(|(key, value)| format!("{key}: {value}"))
                .collect();
            problems.push(
                at.error(
                    "match",
                    format!("this ties with the override of {{ {} }}", text.join(", ")),
                    "",
                )
                .help("both may fit the same thing, and neither names more labels; add a label to one"),
            );
        }
        seen.push(&other.labels);
    }
}

type Labels = std::collections::BTreeMap<String, String>;

/// Whether two overrides of as many labels may fit one thing: no label tells them apart by two plain values.
fn tie(one: &Labels, other: &Labels) -> bool {
    let plain = |value: &String| !value.contains('*') && !value.starts_with('!');
    let apart = one.iter().any(|(key, value)| {
        let there = other.get(key);
        there.is_some_and(|there| plain(value) && plain(there) && there != value)
    });
    one.len() == other.len() && !apart
}

/// A label that a metric does not have by itself; whether a replica brings it is known once all files are read.
pub(super) struct OpenLabel {
    key: String,
    metric: &'static Metric,
    problem: Diagnostic,
}

impl OpenLabel {
    /// Returns what is wrong with it where the replicas of the plan files have these labels of their own.
    pub(super) fn problem(self, declared: &BTreeSet<&str>) -> Option<Diagnostic> {
        let metric = self.metric;
        let of_nodes = metric.is_of_nodes();
        if of_nodes && declared.contains(self.key.as_str()) {
            return None;
        }
        let own = declared.iter().copied();
        let own = own.filter(|key| of_nodes && !metric.has_label(key));
        let all: Vec<&str> = metric.labels.iter().copied().chain(own).collect();
        let more = if metric.is_of_statements() {
            ", tag:KEY"
        } else {
            ""
        };
        let mut problem = self
            .problem
            .help(format!("labels: {}{more}", all.join(", ")));
        if of_nodes {
            problem = problem.help("a replica may have `labels:` of its own");
        }
        Some(problem)
    }
}

/// Returns the labels that what a metric measures does not have by itself.
fn labels<'a>(
    entry: &Entry<'_>,
    metric: &'static Metric,
    keys: impl Iterator<Item = &'a String>,
) -> Vec<OpenLabel> {
    let what = if metric.is_of_statements() {
        "statements have".to_owned()
    } else {
        format!("`{}` has", metric.name)
    };
    keys.filter(|key| !metric.has_label(key))
        .map(|key| OpenLabel {
            key: key.clone(),
            metric,
            problem: entry.key_error(key, format!("{what} no label `{key}`"), "not known here"),
        })
        .collect()
}

/// Checks one mute.
pub(super) fn mute(entry: &Entry<'_>, mute: &Mute, problems: &mut Vec<Diagnostic>) {
    for (key, value, help) in [
        ("rule", &mute.rule, "name the rule whose findings are meant"),
        ("reason", &mute.reason, "say why, and who looks after it"),
    ] {
        if value.trim().is_empty() {
            problems.push(
                entry
                    .error(key, format!("`{key}` of a mute is empty"), "")
                    .help(help),
            );
        }
    }
}

/// Checks that the warning comes before the critical finding.
fn order(
    entry: &Entry<'_>,
    warn: Option<&Threshold>,
    critical: Option<&Threshold>,
    problems: &mut Vec<Diagnostic>,
) {
    let (Some(warn), Some(critical)) = (warn, critical) else {
        return;
    };
    let (message, help) = if !warn.is_comparable(critical) {
        (
            format!("`warn` ({warn}) and `critical` ({critical}) have different units"),
            "give both a unit of the same kind",
        )
    } else if warn.is_upper() != critical.is_upper() {
        (
            format!("`warn` ({warn}) and `critical` ({critical}) compare in different directions"),
            "use `>` in both, or `<` in both",
        )
    } else if (warn.is_upper() && warn.base() > critical.base())
        || (!warn.is_upper() && warn.base() < critical.base())
    {
        (
            format!("`critical` ({critical}) is met before `warn` ({warn})"),
            "swap the two",
        )
    } else {
        return;
    };
    let key = if entry.gives("critical") {
        "critical"
    } else {
        "warn"
    };
    problems.push(entry.error(key, message, "").help(help));
}
