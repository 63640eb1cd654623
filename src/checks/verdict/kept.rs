//! Samples that are kept between looks, and the figures over a stretch of time that are made of them.
//!
//! What is kept is bounded: 120 samples of a counter, 400 round trips and 800 stretches of a level, each by thing.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::buckets::Buckets;
use super::memory::{key, milliseconds};
use super::{Gathered, Measured};
use crate::checks::judge::{Labels, Reading};
use crate::checks::reason::Reason;
use crate::plan_file::Millis;
use crate::plan_file::metric::{METRICS, Metric, Over, metric};
use crate::plan_file::rule::Volume;

/// Samples of counters that are kept of one thing.
const MOST_COUNTED: usize = 120;
/// Round trips that are kept of one thing.
const MOST_TIMES: usize = 400;
/// Fewer round trips than this have no 95th percentile.
pub const FEWEST_TIMES: usize = 20;

/// A look at something that says little by itself: a figure is made of several.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    /// The metric that is made of it.
    pub metric: &'static str,
    /// What was looked at.
    pub labels: Arc<Labels>,
    /// What was seen.
    pub seen: Seen,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// Counters that only grow.
    Counters {
        /// The one that the figure is of.
        part: i64,
        /// The one that it is held against; the same where there is none.
        whole: i64,
        /// Changes when they begin anew: after a reset, a restart, or on another server.
        epoch: String,
    },
    /// Times, in seconds.
    Times(Vec<f64>),
}

/// What is kept, by metric and thing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Kept {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    counters: BTreeMap<String, Vec<Counted>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    times: BTreeMap<String, Vec<Timed>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) levels: BTreeMap<String, Buckets>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Counted {
    #[serde(with = "chrono::serde::ts_milliseconds")]
    at: DateTime<Utc>,
    part: i64,
    whole: i64,
    epoch: String,
    /// Whether the counters began anew before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    anew: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Timed {
    #[serde(with = "chrono::serde::ts_milliseconds")]
    at: DateTime<Utc>,
    seconds: Vec<f64>,
}

/// What figure is wanted of the samples.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    pub(super) window: Option<Millis>,
    pub(super) min_volume: Option<Volume>,
}

impl Kept {
    /// Takes the samples of one look, and drops those that are older than `longest`.
    pub(super) fn take(&mut self, gathered: &Gathered, now: DateTime<Utc>, longest: Millis) {
        let oldest = now - milliseconds(longest.0).max(TimeDelta::minutes(1));
        for raw in &gathered.raw {
            let key = key(raw.metric, &raw.labels);
            match &raw.seen {
                Seen::Counters { part, whole, epoch } => {
                    let counted = Counted {
                        at: now,
                        part: *part,
                        whole: *whole,
                        epoch: epoch.clone(),
                        anew: false,
                    };
                    count(self.counters.entry(key).or_default(), counted, longest);
                }
                Seen::Times(seconds) => {
                    let all = self.times.entry(key).or_default();
                    all.retain(|one| one.at < now);
                    all.push(Timed {
                        at: now,
                        seconds: seconds.clone(),
                    });
                    let mut room = MOST_TIMES;
                    let fit = all.iter().rev().take_while(|one| {
                        let fits = room > 0;
                        room = room.saturating_sub(one.seconds.len());
                        fits
                    });
                    let over = all.len() - fit.count();
                    all.drain(..over);
                }
            }
        }
        for one in &gathered.measured {
            if let (Some(made), Reading::Value(level)) = (made_of(one.metric), &one.reading) {
                let key = key(made, &one.labels);
                self.levels.entry(key).or_default().push(now, *level);
            }
        }
        // Half as much again: the sample that a window begins with lies before it.
        let oldest_counted = oldest - (now - oldest) / 2;
        let keep = |at: DateTime<Utc>, oldest: DateTime<Utc>| at >= oldest && at <= now;
        self.counters.retain(|_, all| {
            // The one before the last stays, to say that it is too old.
            let old = all.len().saturating_sub(2);
            let old = all.iter().take(old);
            let old = old.take_while(|one| one.at < oldest_counted).count();
            all.drain(..old);
            all.last().is_some_and(|last| keep(last.at, oldest_counted))
        });
        self.times.retain(|_, all| {
            all.retain(|one| keep(one.at, oldest));
            !all.is_empty()
        });
        self.levels.retain(|_, all| {
            all.forget(oldest, now);
            !all.is_empty()
        });
    }

    /// Remembers a level by a key of the caller's.
    pub(super) fn note(&mut self, key: &str, now: DateTime<Utc>, level: f64) {
        let all = self.levels.entry(key.to_owned()).or_default();
        all.push(now, level);
    }

    /// The figures of a metric for everything that was looked at now.
    pub(super) fn figures(
        &self,
        metric: &'static Metric,
        gathered: &Gathered,
        asked: Asked,
        now: DateTime<Utc>,
    ) -> Vec<Measured> {
        let figure = |labels: &Arc<Labels>, found: (Reading, String)| Measured {
            metric: metric.name,
            labels: Arc::clone(labels),
            reading: found.0,
            basis: found.1.into(),
            resolution: (metric.over() == Some(Over::P95)).then_some(CLOCK_S),
        };
        let window = asked.window.unwrap_or(metric.usual_window());
        let raw = gathered.raw.iter().filter(|one| one.metric == metric.name);
        let mut all: Vec<Measured> = raw
            .map(|one| {
                let key = key(one.metric, &one.labels);
                let found = match (metric.over(), &one.seen) {
                    (_, Seen::Times(_)) => self.p95(&key, window, now),
                    (over, Seen::Counters { .. }) => {
                        let ratio = over == Some(Over::Ratio);
                        self.growth(&key, window, now, ratio, asked.min_volume)
                    }
                };
                figure(&one.labels, found)
            })
            .collect();
        if metric.over() == Some(Over::Highest) {
            let source = gathered.measured.iter();
            all.extend(
                source
                    .filter(|one| one.metric == metric.source())
                    .map(|one| {
                        let found = match &one.reading {
                            Reading::Value(_) => {
                                self.highest(&key(metric.name, &one.labels), window, now)
                            }
                            other => (other.clone(), one.basis.to_string()),
                        };
                        figure(&one.labels, found)
                    }),
            );
        }
        all
    }

    fn growth(
        &self,
        key: &str,
        window: Millis,
        now: DateTime<Utc>,
        ratio: bool,
        min_volume: Option<Volume>,
    ) -> (Reading, String) {
        let unknown = |why: String| (Reading::unknown(Reason::NoSample, why), String::new());
        let all = self.counters.get(key).map_or(&[][..], Vec::as_slice);
        let Some((last, earlier)) = all.split_last() else {
            return unknown("nothing was counted".to_owned());
        };
        let begin = now - milliseconds(window.0);
        let long = begin - milliseconds(window.0) / 2;
        // The one that lies a whole window back, else the oldest within it.
        let first = earlier
            .iter()
            .rev()
            .find(|one| one.at <= begin && one.at >= long)
            .or_else(|| earlier.iter().find(|one| one.at > begin));
        let Some(first) = first else {
            return unknown(match earlier.last() {
                _ if last.anew => "the counters began anew since the last look: a reset, a restart, or another server".to_owned(),
                Some(one) => format!(
                    "the last look was {} s ago, which is longer than the window of {window}",
                    (now - one.at).num_seconds()
                ),
                None => "this is the first look: what is counted since the server's start says nothing of now".to_owned(),
            });
        };
        let (part, whole) = (last.part - first.part, last.whole - first.whole);
        let seconds = seconds(last.at - first.at);
        if !ratio {
            return (
                Reading::Value(number(part)),
                format!("counted over {seconds} s"),
            );
        }
        let least = min_volume.map_or(1, |volume| i64::try_from(volume.0).unwrap_or(i64::MAX));
        if whole < least.max(1) {
            return unknown(format!(
                "{whole} blocks in {seconds} s are too few for a share; {} are wanted",
                least.max(1)
            ));
        }
        (
            Reading::Value(100.0 * number(part) / number(whole)),
            format!("{part} of {whole} blocks in {seconds} s"),
        )
    }

    fn p95(&self, key: &str, window: Millis, now: DateTime<Utc>) -> (Reading, String) {
        let begin = now - milliseconds(window.0);
        let all = self.times.get(key).map_or(&[][..], Vec::as_slice);
        let all = all.iter().filter(|one| one.at >= begin);
        let since = all.clone().map(|one| one.at).min().unwrap_or(now);
        let mut times: Vec<f64> = all.flat_map(|one| one.seconds.iter().copied()).collect();
        times.sort_by(f64::total_cmp);
        let n = times.len();
        // The nearest rank: the smallest time that 95 of 100 do not pass.
        let rank = (n * 95).div_ceil(100).saturating_sub(1);
        match times.get(rank).filter(|_| n >= FEWEST_TIMES) {
            Some(time) => (
                Reading::Value(*time),
                format!("{n} round trips since {}", shown(since)),
            ),
            None => (
                Reading::unknown(
                    Reason::NoSample,
                    format!("{n} round trips; a 95th percentile takes {FEWEST_TIMES}"),
                ),
                String::new(),
            ),
        }
    }

    fn highest(&self, key: &str, window: Millis, now: DateTime<Utc>) -> (Reading, String) {
        let begin = now - milliseconds(window.0);
        match self.levels.get(key).and_then(|all| all.highest(begin)) {
            Some((high, samples, since)) => {
                let basis = format!("highest of {samples} looks since {}", shown(since));
                (Reading::Value(high), basis)
            }
            None => (
                Reading::unknown(Reason::NoSample, "nothing was seen within the window"),
                String::new(),
            ),
        }
    }
}

/// How fine round trips can be timed: beyond that it is the work that dbops does beside them.
const CLOCK_S: f64 = 0.001;

/// The metric that is the highest of the levels of another one.
fn made_of(source: &str) -> Option<&'static str> {
    METRICS
        .iter()
        .find(|one| one.over() == Some(Over::Highest) && one.source() == source)
        .map(|one| one.name)
}

/// Adds a look at counters; where they begin anew what was before goes.
fn count(all: &mut Vec<Counted>, mut new: Counted, longest: Millis) {
    all.retain(|one| one.at < new.at);
    let anew = all.last().is_some_and(|last| {
        let rest = |one: &Counted| one.whole - one.part;
        last.epoch != new.epoch || last.part > new.part || rest(last) > rest(&new)
    });
    if anew {
        all.clear();
        new.anew = true;
    }
    // The last one is always kept; of those before it none that lies closer than what makes the window's 60 parts.
    if let [.., before, last] = all.as_slice()
        && last.at - before.at < milliseconds(longest.0) / 60
    {
        all.pop();
    }
    all.push(new);
    let over = all.len().saturating_sub(MOST_COUNTED);
    all.drain(..over);
}

fn seconds(time: TimeDelta) -> i64 {
    time.num_seconds()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures are compared with thresholds, not added up"
)]
fn number(count: i64) -> f64 {
    count as f64
}

pub(super) fn shown(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The longest stretch that figures of some rules are of.
pub(super) fn longest<'a>(rules: impl Iterator<Item = (&'a str, Option<Millis>)>) -> Millis {
    rules
        .filter_map(|(name, window)| {
            let metric = metric(name).filter(|one| one.over().is_some())?;
            Some(window.unwrap_or(metric.usual_window()))
        })
        .max()
        .unwrap_or(Millis(0))
}

#[cfg(test)]
mod tests;
