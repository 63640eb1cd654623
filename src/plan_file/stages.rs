//! The `stages:` section: how far a system has grown, and by what it is seen that the next stage is due.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metric::{METRICS, Measure, Metric, metric};
use super::rule::{Quantity, Threshold};
use super::suggest::nearest;
use super::{Millis, Origin, scalars};

/// Stages of growth: advice, no rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stages {
    /// The stages, the smallest first.
    pub levels: Vec<Level>,
    /// When the next one is due: `to_ID` by the signals that say so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub advance: BTreeMap<String, Advance>,
    /// Where the section stands.
    #[serde(skip)]
    pub origin: Origin,
}

/// One stage; every other key is a metric with the range that is usual there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Level {
    /// Its id: `2`.
    #[serde(deserialize_with = "scalars::text")]
    #[schemars(with = "scalars::Scalar")]
    pub id: String,
    /// Its name: `growth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it asks for: `connection pooler`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<String>,
    /// Ranges by metric: `conn.peak: "15..50"`.
    #[serde(flatten, deserialize_with = "scalars::map")]
    #[schemars(with = "BTreeMap<String, scalars::Scalar>")]
    pub figures: BTreeMap<String, String>,
}

/// Signals of which any, or all, say that a stage is due: `conn.peak > 15 for 7d`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Advance {
    /// One of them is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any: Vec<String>,
    /// All of them are needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all: Vec<String>,
}

impl Advance {
    /// The signals that are given.
    pub fn signals(&self) -> impl Iterator<Item = &String> {
        self.any.iter().chain(&self.all)
    }
}

impl Stages {
    /// The metrics that it needs.
    pub fn metrics(&self) -> BTreeSet<&'static str> {
        let levels = self.levels.iter().flat_map(|level| level.figures.keys());
        let levels = levels.filter_map(|name| of_stage(name).ok());
        let signals = self.advance.values().flat_map(Advance::signals);
        let signals = signals.filter_map(|text| Signal::read(text).ok());
        levels
            .chain(signals.map(|signal| signal.metric))
            .map(|metric| metric.name)
            .collect()
    }

    /// The longest time that a signal must last.
    pub fn longest(&self) -> Millis {
        let signals = self.advance.values().flat_map(Advance::signals);
        signals
            .filter_map(|text| Signal::read(text).ok()?.lasting)
            .max()
            .unwrap_or(Millis(0))
    }
}

/// A metric of stages by its name; `conn` is short for `conn.used`.
///
/// # Errors
/// What is wrong, and what to do.
pub fn of_stage(name: &str) -> Result<&'static Metric, (String, String)> {
    let name = if name == "conn" { "conn.used" } else { name };
    let Some(found) = metric(name) else {
        let help = match nearest(name, METRICS.iter().map(|one| one.name)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "write a metric and its range: `conn.peak: \"15..50\"`".to_owned(),
        };
        return Err((format!("there is no metric `{name}`"), help));
    };
    if found.measure == Measure::State || found.is_of_statements() {
        return Err((
            format!("`{name}` says nothing of growth"),
            "a stage has figures of the whole system: `conn.peak`, `database.size`, `http.p95`"
                .to_owned(),
        ));
    }
    Ok(found)
}

/// The figures that are usual in a stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// `15..50`: from the first on, below the second.
    Within(Quantity, Quantity),
    /// `< 15`, `>= 50`.
    Beyond(Threshold),
}

impl Range {
    /// Reads a range of a metric.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn read(text: &str, metric: &Metric) -> Result<Self, (String, String)> {
        let help = "write a range or a comparison: `15..50`, `5GB..10GB`, `< 15`".to_owned();
        let range = match text.split_once("..") {
            Some((low, high)) => {
                let read = |part: &str| part.parse::<Quantity>().map_err(|error| split(&error));
                Self::Within(read(low)?, read(high)?)
            }
            None => Self::Beyond(text.parse().map_err(|error: String| split(&error))?),
        };
        let fits = match range {
            Self::Within(low, high) => {
                metric.measure.takes(low.unit) && metric.measure.takes(high.unit)
            }
            Self::Beyond(limit) => metric.measure.takes(limit.unit),
        };
        if !fits {
            return Err((
                format!("`{text}` has another unit than `{}`", metric.name),
                help,
            ));
        }
        if let Self::Within(low, high) = range
            && low.base() >= high.base()
        {
            return Err((format!("`{text}` is an empty range"), help));
        }
        Ok(range)
    }

    /// From which figure on, in the base unit.
    pub fn begins(&self) -> f64 {
        match self {
            Self::Within(low, _) => low.base(),
            Self::Beyond(limit) if limit.is_upper() => limit.base(),
            Self::Beyond(_) => f64::NEG_INFINITY,
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within(low, high) => write!(f, "{low}..{high}"),
            Self::Beyond(limit) => limit.fmt(f),
        }
    }
}

/// What says that a stage is due: `conn.peak > 15 for 7d`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signal {
    /// The metric.
    pub metric: &'static Metric,
    /// What it must pass.
    pub threshold: Threshold,
    /// For how long; `None`: now.
    pub lasting: Option<Millis>,
}

impl Signal {
    /// Reads a signal.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn read(text: &str) -> Result<Self, (String, String)> {
        let help =
            || "write a metric, a comparison and how long: `conn.peak > 15 for 7d`".to_owned();
        let at = text
            .find(['<', '>'])
            .ok_or_else(|| (format!("`{text}` compares nothing"), help()))?;
        let (name, rest) = text.split_at(at);
        let metric = of_stage(name.trim())?;
        let (limit, lasting) = match rest.split_once(" for ") {
            Some((limit, span)) => {
                let span: Millis = span.parse().map_err(|error: String| split(&error))?;
                (limit, Some(span))
            }
            None => (rest, None),
        };
        let threshold: Threshold = limit.parse().map_err(|error: String| split(&error))?;
        if !metric.measure.takes(threshold.unit) {
            let example = metric.measure.example(metric.worse);
            return Err((
                format!("`{threshold}` has another unit than `{}`", metric.name),
                format!("write for example `{} {example}`", metric.name),
            ));
        }
        if lasting.is_some_and(|span| span.0 == 0 || span > super::metric::LONGEST_WINDOW) {
            return Err((
                format!("`{text}` cannot be remembered for so long"),
                format!(
                    "`for` is above 0 and at most {}",
                    super::metric::LONGEST_WINDOW
                ),
            ));
        }
        Ok(Self {
            metric,
            threshold,
            lasting,
        })
    }
}

/// A message with what to do behind a semicolon, as the readers of values give it.
fn split(message: &str) -> (String, String) {
    match message.split_once("; ") {
        Some((what, help)) => (what.to_owned(), help.to_owned()),
        None => (message.to_owned(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_signals_read_back_what_they_print() {
        let conn = metric("conn.peak").unwrap();
        for text in ["15..50", "< 15", ">= 150"] {
            assert_eq!(Range::read(text, conn).unwrap().to_string(), text);
        }
        for text in ["50..15", "15", "1GB..2GB", "..50", "a..b", "> 5%"] {
            assert!(Range::read(text, conn).is_err(), "{text}");
        }
        let signal = Signal::read("db.probe_p95 > 50ms for 1d").unwrap();
        assert_eq!(signal.metric.name, "db.probe_p95");
        assert_eq!(signal.lasting, Some(Millis(86_400_000)));
        assert_eq!(Signal::read("conn > 40").unwrap().metric.name, "conn.used");
        for text in [
            "conn.peek > 15",
            "conn.peak 15",
            "conn.peak > 15ms",
            "conn.peak > 15 for ever",
            "conn.peak > 15 for 90d",
            "conn.peak > 15 for 0s",
            "replica.state > 1",
            "query.mean_time > 50ms",
        ] {
            assert!(Signal::read(text).is_err(), "{text}");
        }
    }
}
