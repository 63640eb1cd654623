//! Holds what was measured against rules: what is broken, what is not known, what is muted.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;
use serde::Serialize;

use super::reason::Reason;
use crate::plan_file::rule::{Comparison, Rule, Threshold};
use crate::plan_file::{Mute, Origin};

/// What identifies the thing that was measured: `database: app`, `text: select …`.
pub type Labels = BTreeMap<String, Arc<str>>;

/// A figure, an interval, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// In the base unit of the metric: seconds, bytes, per cent, or a plain number.
    Value(f64),
    /// It lies between two for certain.
    Between {
        /// Not below this.
        low: f64,
        /// Not above this.
        high: f64,
    },
    /// One word of a few: `streaming`.
    State(Cow<'static, str>),
    /// It is not known.
    Unknown {
        /// Why, for programs.
        reason: Reason,
        /// Why, for people.
        why: Cow<'static, str>,
    },
}

impl Reading {
    /// What is not known, and why.
    pub fn unknown(reason: Reason, why: impl Into<Cow<'static, str>>) -> Self {
        Self::Unknown {
            reason,
            why: why.into(),
        }
    }
}

/// One thing measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Name of the metric.
    pub metric: &'static str,
    /// What was measured.
    pub labels: Arc<Labels>,
    /// The figure.
    pub reading: Reading,
    /// What it rests on: `4 210 calls since 2026-02-03`.
    pub basis: Arc<str>,
    /// How fine the figure is, in its unit, where that is known: a threshold below it cannot be judged.
    pub resolution: Option<f64>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// `warn` is passed.
    Warning,
    /// `critical` is passed.
    Critical,
}

/// What a rule says to one thing measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum State {
    /// It is broken.
    Broken(Severity),
    /// It cannot be told.
    Unknown,
}

/// A rule that does not hold, or cannot be told to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// What was measured.
    pub measured: &'a Measured,
    /// Place of it in the list given.
    pub at: usize,
    /// What the rule says.
    pub state: State,
    /// The threshold that was passed, or that could not be told to be.
    pub threshold: Threshold,
    /// The mute that accepts it.
    pub mute: Option<&'a Mute>,
}

/// A mute that is over: an error, so that nothing stays accepted for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// Where it stands.
    pub origin: Origin,
    /// What is wrong.
    pub message: String,
}

/// Returns mutes that are over by `today`, and those of rules that there are not.
pub fn stale_mutes(mutes: &[Mute], rules: &[Rule], today: NaiveDate) -> Vec<Expired> {
    mutes
        .iter()
        .filter_map(|mute| {
            let message = if mute.until.0 < today {
                format!("the mute of `{}` is over since {}", mute.rule, mute.until)
            } else if !rules.iter().any(|rule| rule.id == mute.rule) {
                format!("the mute of `{}` is of no rule", mute.rule)
            } else {
                return None;
            };
            Some(Expired {
                origin: mute.origin.clone(),
                message,
            })
        })
        .collect()
}

/// Judges everything measured by every rule of its metric; what holds is left out.
pub fn judge<'a>(
    rules: &'a [Rule],
    measured: &'a [Measured],
    mutes: &'a [Mute],
) -> Vec<Judgement<'a>> {
    let mut by_metric: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, one) in measured.iter().enumerate() {
        by_metric.entry(one.metric).or_default().push(at);
    }
    let mut found = Vec::new();
    for rule in rules {
        let places = by_metric.get(rule.metric.as_str());
        let loosest = loosest(rule);
        for &at in places.into_iter().flatten() {
            let Some(one) = measured.get(at) else {
                continue;
            };
            // Most things are far from every threshold: labels, which are texts, are looked at last.
            if loosest.is_none_or(|threshold| passes(&one.reading, &threshold) == Some(false)) {
                continue;
            }
            if let Some(judgement) = one_by(rule, one, at, mutes) {
                found.push(judgement);
            }
        }
    }
    found
}

/// The threshold of a rule that is passed first.
fn loosest(rule: &Rule) -> Option<Threshold> {
    let overridden = rule
        .overrides
        .iter()
        .flat_map(|other| [other.warn, other.critical]);
    [rule.warn, rule.critical]
        .into_iter()
        .chain(overridden)
        .flatten()
        .reduce(|a, b| {
            let b_first = if a.is_upper() {
                b.base() <= a.base()
            } else {
                b.base() >= a.base()
            };
            // Of two equal ones `>=` is passed first.
            let inclusive = matches!(b.comparison, Comparison::AtLeast | Comparison::AtMost);
            if b_first && (b.base() < a.base() || b.base() > a.base() || inclusive) {
                b
            } else {
                a
            }
        })
}

fn one_by<'a>(
    rule: &'a Rule,
    measured: &'a Measured,
    at: usize,
    mutes: &'a [Mute],
) -> Option<Judgement<'a>> {
    let labels = &measured.labels;
    if !fits(&rule.scope, labels) {
        return None;
    }
    let special = rule
        .overrides
        .iter()
        .filter(|other| fits(&other.labels, labels))
        .max_by_key(|other| other.labels.len());
    let warn = special.and_then(|other| other.warn).or(rule.warn);
    let critical = special.and_then(|other| other.critical).or(rule.critical);
    let mut unknown = None;
    for (threshold, severity) in [(critical, Severity::Critical), (warn, Severity::Warning)] {
        let Some(threshold) = threshold else {
            continue;
        };
        let state = match passes(&measured.reading, &threshold) {
            Some(true) => State::Broken(severity),
            // An unknown `critical` does not hide that `warn` is passed.
            None => {
                unknown = Some(threshold);
                continue;
            }
            Some(false) => continue,
        };
        return Some(judgement(rule, measured, at, state, threshold, mutes));
    }
    unknown.map(|threshold| judgement(rule, measured, at, State::Unknown, threshold, mutes))
}

fn judgement<'a>(
    rule: &'a Rule,
    measured: &'a Measured,
    at: usize,
    state: State,
    threshold: Threshold,
    mutes: &'a [Mute],
) -> Judgement<'a> {
    let label = |name: &str| measured.labels.get(name).map(|text| &**text);
    let is = |wanted: &Option<String>, name: &str| {
        wanted
            .as_ref()
            .is_none_or(|wanted| label(name).is_some_and(|found| found == wanted))
    };
    Judgement {
        rule,
        measured,
        at,
        state,
        threshold,
        mute: mutes.iter().find(|mute| {
            mute.rule == rule.id
                && is(&mute.target, "target")
                && is(&mute.fingerprint, "fingerprint")
        }),
    }
}

/// Whether a figure passes a threshold; `None`: it cannot be told.
pub(super) fn passes(reading: &Reading, threshold: &Threshold) -> Option<bool> {
    let limit = threshold.base();
    let by = |value: f64| match threshold.comparison {
        Comparison::Above => value > limit,
        Comparison::AtLeast => value >= limit,
        Comparison::Below => value < limit,
        Comparison::AtMost => value <= limit,
    };
    match *reading {
        Reading::Value(value) => Some(by(value)),
        Reading::Between { low, high } => (by(low) == by(high)).then(|| by(low)),
        Reading::Unknown { .. } | Reading::State(_) => None,
    }
}

/// Whether labels fit a scope. A pattern is a whole value with `*` for anything, `!` before it means anything else;
/// that of `text` may stand anywhere in it, in any case.
pub(super) fn fits(scope: &BTreeMap<String, String>, labels: &Labels) -> bool {
    scope.iter().all(|(key, pattern)| {
        let (wanted, pattern) = match pattern.strip_prefix('!') {
            Some(rest) => (false, rest),
            None => (true, pattern.as_str()),
        };
        let found = labels.get(key).is_some_and(|value| {
            if key == "text" {
                let pattern = format!("*{}*", pattern.to_lowercase());
                is_like(&value.to_lowercase(), &pattern)
            } else {
                is_like(value, pattern)
            }
        });
        found == wanted
    })
}

/// Whether a text is like a pattern in which `*` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan_file::{Day, rule::Override};

    fn labels(list: &[(&str, &str)]) -> Arc<Labels> {
        let all = list.iter();
        Arc::new(
            all.map(|(key, value)| ((*key).to_owned(), Arc::from(*value)))
                .collect(),
        )
    }

    fn scope(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        let all = list.iter();
        all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn rule(warn: &str, critical: Option<&str>) -> Rule {
        Rule {
            warn: Some(warn.parse().unwrap()),
            critical: critical.map(|text| text.parse().unwrap()),
            ..Rule::new("slow", "query.mean_time")
        }
    }

    fn measured(reading: Reading) -> Measured {
        Measured {
            metric: "query.mean_time",
            labels: labels(&[("database", "app"), ("text", "SELECT 1 FROM Orders")]),
            reading,
            basis: "".into(),
            resolution: None,
        }
    }

    fn state(rule: &Rule, reading: Reading) -> Option<State> {
        let measured = [measured(reading)];
        judge(std::slice::from_ref(rule), &measured, &[])
            .first()
            .map(|one| one.state)
    }

    #[test]
    fn the_worse_threshold_counts_and_what_holds_is_left_out() {
        let rule = rule("> 50ms", Some("> 1s"));
        let value = |ms: f64| state(&rule, Reading::Value(ms / 1_000.0));
        assert_eq!(value(50.0), None);
        assert_eq!(value(51.0), Some(State::Broken(Severity::Warning)));
        assert_eq!(value(1_001.0), Some(State::Broken(Severity::Critical)));
    }

    #[test]
    fn intervals_are_judged_where_both_ends_agree() {
        let rule = rule("> 50ms", Some("> 1s"));
        let between = |low: f64, high: f64| state(&rule, Reading::Between { low, high });
        assert_eq!(between(0.01, 0.05), None);
        assert_eq!(between(0.01, 0.06), Some(State::Unknown));
        // Above 50 ms for certain, perhaps above a second.
        assert_eq!(between(0.06, 2.0), Some(State::Broken(Severity::Warning)));
        assert_eq!(between(1.5, 2.0), Some(State::Broken(Severity::Critical)));
        assert_eq!(
            state(&rule, Reading::unknown(Reason::NoSample, "why")),
            Some(State::Unknown)
        );
    }

    #[test]
    fn scopes_choose_and_the_most_special_override_counts() {
        for (list, expected) in [
            (&[("database", "app")][..], true),
            (&[("database", "a*")], true),
            (&[("database", "!app")], false),
            (&[("database", "other")], false),
            (&[("text", "from orders")], true),
            (&[("text", "from * orders")], false),
            (&[("tag:job", "*")], false),
            (&[("tag:job", "!*")], true),
        ] {
            let mut rule = rule("> 50ms", None);
            rule.scope = scope(list);
            let found = state(&rule, Reading::Value(1.0)).is_some();
            assert_eq!(found, expected, "{list:?}");
        }
        let mut rule = rule("> 2s", None);
        for (list, warn) in [
            (&[("database", "app")][..], "> 5s"),
            (&[("database", "app"), ("text", "orders")], "> 100ms"),
        ] {
            rule.overrides.push(Override {
                labels: scope(list),
                warn: Some(warn.parse().unwrap()),
                critical: None,
                expect: Vec::new(),
            });
        }
        assert!(state(&rule, Reading::Value(1.0)).is_some());
        rule.overrides.pop();
        assert!(state(&rule, Reading::Value(3.0)).is_none());
    }

    #[test]
    fn mutes_name_their_finding_and_end() {
        let rules = [rule("> 50ms", None)];
        let mute = |rule: &str, fingerprint: Option<&str>| Mute {
            rule: rule.to_owned(),
            target: None,
            fingerprint: fingerprint.map(str::to_owned),
            until: "2026-12-31".parse::<Day>().unwrap(),
            reason: "known".to_owned(),
            origin: Origin::default(),
        };
        let measured = [measured(Reading::Value(1.0))];
        let muted = |mute: Mute| judge(&rules, &measured, &[mute])[0].mute.is_some();
        assert!(muted(mute("slow", None)));
        assert!(!muted(mute("other", None)));
        assert!(!muted(mute("slow", Some("f"))));
        let day = |text: &str| text.parse::<Day>().unwrap().0;
        let mutes = [mute("slow", None), mute("other", None)];
        let stale = stale_mutes(&mutes, &rules, day("2026-12-31"));
        assert_eq!(stale.len(), 1, "{stale:?}");
        let stale = stale_mutes(&mutes, &rules, day("2027-01-01"));
        assert!(
            stale[0].message.contains("is over since 2026-12-31"),
            "{stale:?}"
        );
    }

    #[test]
    fn patterns_are_whole_values() {
        for (text, pattern, expected) in [
            ("abc", "abc", true),
            ("abc", "ab", false),
            ("abc", "*", true),
            ("abc", "a*c", true),
            ("abc", "a*b", false),
            ("aXbXc", "a*X*c", true),
            ("a", "a*a", false),
            ("", "*", true),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn five_hundred_rules_over_five_thousand_things_compare_numbers_first() {
        let rules: Vec<Rule> = (0..500).map(|_| rule("> 1h", None)).collect();
        let things: Vec<Measured> = (0..5_000).map(|_| measured(Reading::Value(1.0))).collect();
        assert_eq!(judge(&rules, &things, &[]).len(), 0);
    }
}
