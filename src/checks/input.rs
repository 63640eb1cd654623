//! Figures that are handed in, because no server can tell them: `dbops.input/1`.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::judge::{Labels, Measured, Reading};
use super::reason::Reason;
use super::verdict::{Gathered, Missing};
use crate::plan_file::Millis;
use crate::plan_file::metric::{Measure, Metric, metric};
use crate::plan_file::rule::{Quantity, Rule};

/// The format that is read.
pub const FORMAT: &str = "dbops.input/1";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    metrics: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    metric: String,
    value: Quantity,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    measured_at: DateTime<Utc>,
    #[serde(default)]
    every: Option<Millis>,
}

/// A figure that was handed in.
#[derive(Debug, Clone, PartialEq)]
pub struct Handed {
    metric: &'static Metric,
    value: Quantity,
    labels: BTreeMap<String, String>,
    measured_at: DateTime<Utc>,
    every: Option<Millis>,
}

/// Reads a document.
///
/// # Errors
/// What is wrong, with the line and column or the number of the entry.
pub fn parse(text: &str) -> Result<Vec<Handed>, String> {
    let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if document.format != FORMAT {
        return Err(format!(
            "the format is {}; this dbops reads {FORMAT}",
            document.format
        ));
    }
    let entries = document.metrics.into_iter().enumerate();
    entries
        .map(|(at, entry)| {
            let wrong = |what: String| format!("entry {}: {what}", at + 1);
            let metric = metric(&entry.metric)
                .filter(|one| one.measure != Measure::State && one.over().is_none())
                .ok_or_else(|| {
                    wrong(format!(
                        "`{}` is no metric that can be handed in",
                        entry.metric
                    ))
                })?;
            if !metric.measure.takes(entry.value.unit) {
                let example = metric.measure.example(metric.worse);
                let example = example.trim_start_matches(['<', '>', ' ']);
                return Err(wrong(format!(
                    "`{}` has another unit than `{}`; write for example \"{example}\"",
                    entry.value, metric.name
                )));
            }
            if let Some(key) = entry.labels.keys().find(|key| !metric.has_label(key)) {
                return Err(wrong(format!(
                    "`{}` has no label `{key}`; labels: {}",
                    metric.name,
                    metric.labels.join(", ")
                )));
            }
            Ok(Handed {
                metric,
                value: entry.value,
                labels: entry.labels,
                measured_at: entry.measured_at,
                every: entry.every,
            })
        })
        .collect()
}

/// Adds what was handed in to what was measured; it takes the place of what is not known of the same thing.
///
/// # Errors
/// A figure that names no target where there are several, or one that there is not.
pub fn add(
    handed: &[Handed],
    gathered: &mut Gathered,
    targets: &[String],
    every: Millis,
    now: DateTime<Utc>,
) -> Result<(), String> {
    for one in handed {
        let mut labels: Labels = (one.labels.iter())
            .map(|(key, value)| (key.clone(), Arc::from(value.as_str())))
            .collect();
        match (labels.get("target"), targets) {
            // Of another target, which is not looked at now.
            (Some(target), _) if !targets.iter().any(|name| **name == **target) => continue,
            (Some(_), _) => {}
            (None, [only]) => {
                labels.insert("target".to_owned(), only.as_str().into());
            }
            (None, _) => {
                return Err(format!(
                    "{} says of no target what it is of; targets: {}",
                    one.metric.name,
                    targets.join(", ")
                ));
            }
        }
        let same = |other: &Labels| {
            labels
                .iter()
                .all(|(key, value)| other.get(key) == Some(value))
        };
        gathered.measured.retain(|other| {
            let unknown = matches!(other.reading, Reading::Unknown { .. });
            !(other.metric == one.metric.name && unknown && same(&other.labels))
        });
        gathered.missing.retain(|other| {
            !(other.metrics == one.metric.name
                && other.labels.get("target") == labels.get("target"))
        });
        gathered.measured.push(Measured {
            metric: one.metric.name,
            labels: Arc::new(labels),
            reading: reading(one, every, now),
            basis: format!(
                "handed in, measured {}",
                one.measured_at.format("%Y-%m-%d %H:%M:%S UTC")
            )
            .into(),
            resolution: None,
        });
    }
    Ok(())
}

fn reading(one: &Handed, every: Millis, now: DateTime<Utc>) -> Reading {
    let every = one.every.unwrap_or(every);
    let most = i64::try_from(every.0.saturating_mul(2)).unwrap_or(i64::MAX);
    let most = TimeDelta::try_milliseconds(most).unwrap_or(TimeDelta::MAX);
    let age = now - one.measured_at;
    if age > most {
        let why = format!(
            "it was measured {} s ago, which is more than twice {every}",
            age.num_seconds()
        );
        return Reading::unknown(Reason::StaleSample, why);
    }
    if -age > most {
        return Reading::unknown(Reason::ClockSkew, "it was measured after now");
    }
    Reading::Value(one.value.base())
}

/// Tells of the targets of which nobody handed in what a rule is about.
pub fn note_missing(rules: &[Rule], gathered: &mut Gathered, targets: &[String]) {
    let mut foreign: Vec<&'static Metric> = rules
        .iter()
        .filter_map(|rule| metric(rule.metric_name()))
        .filter(|metric| metric.is_foreign())
        .collect();
    foreign.sort_by_key(|metric| metric.name);
    foreign.dedup();
    for metric in foreign {
        for target in targets {
            let is = |labels: &Labels| labels.get("target").is_some_and(|name| **name == **target);
            let told = gathered
                .measured
                .iter()
                .any(|one| one.metric == metric.name && is(&one.labels))
                || gathered
                    .missing
                    .iter()
                    .any(|one| one.metrics == metric.name && is(&one.labels));
            if !told {
                let mut labels = Labels::new();
                labels.insert("target".to_owned(), target.as_str().into());
                gathered.missing.push(Missing {
                    metrics: metric.name,
                    labels: Arc::new(labels),
                    reason: Reason::NoSample,
                    why: "no server tells it, and nobody handed it in".to_owned(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"format": "dbops.input/1", "metrics": [
        {"metric": "http.p95", "value": "320ms", "measured_at": "2027-03-10T10:00:00Z"},
        {"metric": "app.users", "value": 300, "measured_at": "2027-03-10T10:00:00Z", "every": "1h"}
    ]}"#;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn readings(now: &str) -> Vec<Reading> {
        let mut gathered = Gathered::default();
        let handed = parse(TEXT).unwrap();
        let main = ["main".to_owned()];
        add(&handed, &mut gathered, &main, Millis(30_000), at(now)).unwrap();
        gathered
            .measured
            .into_iter()
            .map(|one| one.reading)
            .collect()
    }

    #[test]
    fn figures_are_in_base_units_until_they_are_stale() {
        assert_eq!(
            readings("2027-03-10T10:01:00Z"),
            [Reading::Value(0.32), Reading::Value(300.0)]
        );
        let reason = |reading: &Reading| match reading {
            Reading::Unknown { reason, .. } => Some(*reason),
            _ => None,
        };
        let late = readings("2027-03-10T10:01:01Z");
        assert_eq!(reason(&late[0]), Some(Reason::StaleSample));
        // It says that it is measured each hour.
        assert_eq!(late[1], Reading::Value(300.0));
        let early = readings("2027-03-10T09:00:00Z");
        assert_eq!(reason(&early[0]), Some(Reason::ClockSkew));
    }

    #[test]
    fn what_nobody_handed_in_is_unknown_and_what_was_takes_its_place() {
        let rules = [Rule::new("slow", "http.p95"), Rule::new("wal", "wal.size")];
        let main = ["main".to_owned()];
        let mut gathered = Gathered::default();
        note_missing(&rules, &mut gathered, &main);
        assert_eq!(gathered.missing.len(), 1);
        let now = at("2027-03-10T10:00:00Z");
        add(&parse(TEXT).unwrap(), &mut gathered, &main, Millis(1), now).unwrap();
        note_missing(&rules, &mut gathered, &main);
        assert!(gathered.missing.is_empty());
        let two = ["main".to_owned(), "other".to_owned()];
        let handed = parse(TEXT).unwrap();
        assert!(add(&handed, &mut gathered, &two, Millis(1), now).is_err());
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (from, to, expected) in [
            ("input/1", "input/2", "this dbops reads dbops.input/1"),
            ("http.p95", "http.p96", "entry 1: `http.p96`"),
            ("http.p95", "replica.state", "entry 1: `replica.state`"),
            ("320ms", "320", "entry 1: `320` has another unit"),
            ("320ms", "fast", "line 2 column"),
            ("\"every\"", "\"often\"", "unknown field `often`"),
            (
                "\"measured_at\": \"2027-03-10T10:00:00Z\"}",
                "\"labels\": {}}",
                "measured_at",
            ),
        ] {
            let error = parse(&TEXT.replace(from, to)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
