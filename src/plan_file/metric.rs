//! The metrics that rules can name: unit, direction and what is measured.

use super::rule::Unit;

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Seconds.
    Time,
    /// Bytes.
    Size,
    /// Per cent, 0 to 100.
    Percent,
    /// A plain number.
    Count,
}

/// In which direction a metric is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worse {
    /// Above a threshold: `> 50ms`.
    Above,
    /// Below it: `< 99%`.
    Below,
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in `metric:`.
    pub name: &'static str,
    /// What kind of number it is.
    pub measure: Measure,
    /// In which direction it is worse.
    pub worse: Worse,
    /// What it is, for people.
    pub about: &'static str,
}

const fn new(name: &'static str, measure: Measure, worse: Worse, about: &'static str) -> Metric {
    Metric {
        name,
        measure,
        worse,
        about,
    }
}

/// Metrics of statements, which `dbops queries slow` measures.
pub const QUERY_METRICS: [Metric; 7] = [
    new(
        "query.mean_time",
        Measure::Time,
        Worse::Above,
        "mean execution of a statement",
    ),
    new(
        "query.max_time",
        Measure::Time,
        Worse::Above,
        "longest execution of a statement",
    ),
    new(
        "query.p95_bound",
        Measure::Time,
        Worse::Above,
        "95th percentile of the executions of a statement, as far as it can be proven",
    ),
    new(
        "query.share",
        Measure::Percent,
        Worse::Above,
        "part of the time of all statements that one takes",
    ),
    new(
        "query.temp_bytes",
        Measure::Size,
        Worse::Above,
        "temporary files that an execution writes",
    ),
    new(
        "query.cache_hit",
        Measure::Percent,
        Worse::Below,
        "part of the blocks that a statement finds in the buffer cache",
    ),
    new(
        "query.n_plus_one_score",
        Measure::Count,
        Worse::Above,
        "how much a statement looks like one of a loop, 0 to 100",
    ),
];

/// Labels of a statement that a scope can name, beside `tag:KEY`.
pub const QUERY_LABELS: [&str; 6] = ["target", "database", "role", "kind", "text", "fingerprint"];

/// Returns a metric by its name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    QUERY_METRICS.iter().find(|metric| metric.name == name)
}

impl Measure {
    /// Whether a unit is one of this kind.
    pub fn takes(self, unit: Unit) -> bool {
        matches!(
            (self, unit),
            (Self::Time, Unit::Time(_))
                | (Self::Size, Unit::Size(_))
                | (Self::Percent, Unit::Percent)
                | (Self::Count, Unit::Count)
        )
    }

    /// A threshold as it is written, for messages.
    pub fn example(self, worse: Worse) -> &'static str {
        match (self, worse) {
            (Self::Time, Worse::Above) => "> 50ms",
            (Self::Time, Worse::Below) => "< 50ms",
            (Self::Size, Worse::Above) => "> 1MiB",
            (Self::Size, Worse::Below) => "< 1MiB",
            (Self::Percent, Worse::Above) => "> 10%",
            (Self::Percent, Worse::Below) => "< 99%",
            (Self::Count, Worse::Above) => "> 50",
            (Self::Count, Worse::Below) => "< 50",
        }
    }
}
