//! What was measured as a document that can be judged later: `dbops.snapshot/1`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::judge::{Labels, Measured, Reading};
use super::reason::Reason;
use super::verdict::{Gathered, Missing, Raw, Seen, names};
use crate::plan_file::metric::{METRICS, metric};
use crate::plan_file::rule::Rule;

/// The format that is written and read.
pub const FORMAT: &str = "dbops.snapshot/1";

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "dbops snapshot")]
pub struct Snapshot {
    /// Always `dbops.snapshot/1`.
    pub format: String,
    /// Version of dbops that measured.
    pub dbops: String,
    /// Targets looked at.
    pub targets: Vec<String>,
    /// Metrics that were asked for; of any other nothing is known here.
    pub metrics: Vec<String>,
    /// What was measured, look by look.
    pub looks: Vec<Look>,
}

/// What was measured at an instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Look {
    /// When, RFC 3339 in UTC.
    #[schemars(with = "String")]
    pub at: DateTime<Utc>,
    figures: Vec<Figure>,
    missing: Vec<Absent>,
    counted: Vec<Counted>,
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Figure {
    /// The metric.
    metric: String,
    /// What was measured.
    labels: Texts,
    /// The figure, in seconds, bytes, per cent or a plain number.
    reading: Read,
    /// What it rests on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    basis: String,
    /// How fine it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolution: Option<f64>,
}

type Texts = std::collections::BTreeMap<String, String>;

/// A figure, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Read {
    /// A number.
    Value(f64),
    /// No end: a runway that nothing ends.
    Endless,
    /// It lies between two; `high` is left out where it has no end.
    Between {
        low: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        high: Option<f64>,
    },
    /// One word of a few.
    State(String),
    /// It is not known.
    Unknown { reason: String, why: String },
}

/// What there are no figures of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Absent {
    /// A metric, or a family.
    metrics: String,
    /// Where.
    labels: Texts,
    /// Why, for programs.
    reason: String,
    /// Why, for people.
    why: String,
}

/// Counters and times, of which figures over several looks are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Counted {
    /// The metric.
    metric: String,
    /// What was counted.
    labels: Texts,
    /// What was seen.
    seen: Seen,
}

/// Rules that ask for everything that can be measured: with those of the plan files, and none that judges.
pub fn everything(rules: &[Rule]) -> Vec<Rule> {
    let all = METRICS.iter().filter(|metric| !metric.is_foreign());
    let mut all: Vec<Rule> = all
        .filter(|metric| metric.name != crate::plan_file::rule::ATTESTATION)
        .map(|metric| Rule::new(metric.name, metric.name))
        .collect();
    all.extend(rules.iter().cloned());
    all
}

/// Makes the document of looks at targets for which some rules asked.
pub fn snapshot(
    targets: Vec<String>,
    asked: &[Rule],
    looks: &[(DateTime<Utc>, Gathered)],
) -> Snapshot {
    let mut metrics: Vec<String> = asked
        .iter()
        .filter_map(|rule| metric(&rule.metric))
        .map(|metric| metric.name.to_owned())
        .collect();
    metrics.sort();
    metrics.dedup();
    Snapshot {
        format: FORMAT.to_owned(),
        dbops: env!("CARGO_PKG_VERSION").to_owned(),
        targets,
        metrics,
        looks: looks
            .iter()
            .map(|(at, gathered)| look(*at, gathered))
            .collect(),
    }
}

/// The JSON Schema of the document.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Snapshot).to_value()
}

/// Reads a document.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Snapshot, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let format = value.get("format").and_then(serde_json::Value::as_str);
    if format != Some(FORMAT) {
        return Err(match format {
            Some(other) => format!("the format is {other}; this dbops reads {FORMAT}"),
            None => format!("it is no snapshot: it has no `format`, which would be {FORMAT}"),
        });
    }
    let snapshot: Snapshot = serde_json::from_value(value).map_err(|error| error.to_string())?;
    if snapshot.looks.is_empty() {
        return Err("it holds no look".to_owned());
    }
    Ok(snapshot)
}

/// The document as text.
pub fn text(snapshot: &Snapshot) -> String {
    let mut text = serde_json::to_string_pretty(snapshot).unwrap_or_default();
    text.push('\n');
    text
}

impl Snapshot {
    /// What was gathered, look by look, the oldest first. What a rule is about and nobody asked for then is missing,
    /// with its reason; figures of metrics that this dbops does not know are left out.
    pub fn gathered(&self, rules: &[Rule]) -> Vec<(DateTime<Utc>, Gathered)> {
        let mut all: Vec<(DateTime<Utc>, Gathered)> = self
            .looks
            .iter()
            .map(|look| (look.at, taken(look)))
            .collect();
        all.sort_by_key(|(at, _)| *at);
        let unasked: Vec<&'static str> = rules
            .iter()
            .filter(|rule| rule.attest.is_none())
            .filter_map(|rule| metric(&rule.metric))
            .filter(|metric| !metric.is_foreign())
            .map(|metric| metric.name)
            .filter(|name| !self.metrics.iter().any(|asked| asked == name))
            .collect();
        for (_, gathered) in &mut all {
            for metrics in &unasked {
                for target in &self.targets {
                    gathered.missing.push(Missing {
                        metrics,
                        labels: Arc::new(super::measure::labels(&[("target", target)])),
                        reason: Reason::NoSample,
                        why: format!(
                            "the snapshot was taken by dbops {}, which did not measure it",
                            self.dbops
                        ),
                    });
                }
            }
        }
        all
    }
}

fn texts(labels: &Labels) -> Texts {
    let all = labels.iter();
    all.map(|(key, value)| (key.clone(), value.to_string()))
        .collect()
}

fn labels(texts: &Texts) -> Arc<Labels> {
    let all = texts.iter();
    Arc::new(
        all.map(|(key, value)| (key.clone(), Arc::from(value.as_str())))
            .collect(),
    )
}

fn look(at: DateTime<Utc>, gathered: &Gathered) -> Look {
    Look {
        at,
        figures: gathered.measured.iter().map(figure).collect(),
        missing: gathered
            .missing
            .iter()
            .map(|one| Absent {
                metrics: one.metrics.to_owned(),
                labels: texts(&one.labels),
                reason: one.reason.code().to_owned(),
                why: one.why.clone(),
            })
            .collect(),
        counted: gathered
            .raw
            .iter()
            .map(|one| Counted {
                metric: one.metric.to_owned(),
                labels: texts(&one.labels),
                seen: one.seen.clone(),
            })
            .collect(),
    }
}

fn figure(one: &Measured) -> Figure {
    Figure {
        metric: one.metric.to_owned(),
        labels: texts(&one.labels),
        reading: match &one.reading {
            Reading::Value(value) if value.is_finite() => Read::Value(*value),
            Reading::Value(value) if *value > 0.0 => Read::Endless,
            Reading::Value(_) => Read::Unknown {
                reason: Reason::NoSample.code().to_owned(),
                why: "it is no number".to_owned(),
            },
            Reading::Between { low, high } => Read::Between {
                low: *low,
                high: Some(*high).filter(|high| high.is_finite()),
            },
            Reading::State(state) => Read::State(state.to_string()),
            Reading::Unknown { reason, why } => Read::Unknown {
                reason: reason.code().to_owned(),
                why: why.to_string(),
            },
        },
        basis: one.basis.to_string(),
        resolution: one.resolution.filter(|fine| fine.is_finite()),
    }
}

fn reason(code: &str) -> Reason {
    let known = Reason::ALL.into_iter().find(|one| one.code() == code);
    // A newer dbops may know more reasons: that nothing is known is what counts.
    known.unwrap_or(Reason::NoSample)
}

fn taken(look: &Look) -> Gathered {
    let measured = look.figures.iter().filter_map(|one| {
        Some(Measured {
            metric: metric(&one.metric)?.name,
            labels: labels(&one.labels),
            reading: match &one.reading {
                Read::Value(value) => Reading::Value(*value),
                Read::Endless => Reading::Value(f64::INFINITY),
                Read::Between { low, high } => Reading::Between {
                    low: *low,
                    high: high.unwrap_or(f64::INFINITY),
                },
                Read::State(state) => Reading::State(state.clone().into()),
                Read::Unknown { reason: code, why } => Reading::unknown(reason(code), why.clone()),
            },
            basis: one.basis.as_str().into(),
            resolution: one.resolution,
        })
    });
    let missing = look.missing.iter().filter_map(|one| {
        Some(Missing {
            metrics: names::known(&one.metrics)?,
            labels: labels(&one.labels),
            reason: reason(&one.reason),
            why: one.why.clone(),
        })
    });
    let raw = look.counted.iter().filter_map(|one| {
        Some(Raw {
            metric: metric(&one.metric)?.name,
            labels: labels(&one.labels),
            seen: one.seen.clone(),
        })
    });
    Gathered {
        measured: measured.collect(),
        missing: missing.collect(),
        raw: raw.collect(),
    }
}

#[cfg(test)]
mod tests;
