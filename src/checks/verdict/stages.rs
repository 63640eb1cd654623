//! How far a system has grown, and by which signals the next stage is due, with the figures and since when.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::kept::{Asked, Kept};
use super::memory::milliseconds;
use super::{Doubt, Gathered};
use crate::checks::judge::{Labels, Reading, passes};
use crate::checks::reason::Reason;
use crate::plan_file::Millis;
use crate::plan_file::metric::{Metric, Over, Worse};
use crate::plan_file::rule::Threshold;
use crate::plan_file::stages::{Level, Range, Signal, Stages, of_stage};

/// Longest time without a look within which a signal is taken to have lasted: cron may miss some.
const LONGEST_GAP: TimeDelta = TimeDelta::hours(2);

/// What is said of a target's growth.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// The target.
    pub target: String,
    /// The stage that its figures lie in; `None`: none of them is known.
    pub stage: Option<Stage>,
    /// The figures of stages.
    pub figures: Vec<Figure>,
    /// The next stage, where there is one.
    pub next: Option<Next>,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// What it asks for.
    pub asks: Vec<String>,
}

/// A figure by which stages are told apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The metric.
    pub metric: &'static Metric,
    /// The figure.
    pub reading: Reading,
    /// What it rests on.
    pub basis: String,
    /// Id of the stage that it lies in.
    pub stage: Option<String>,
}

/// The next stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Next {
    /// The stage.
    pub stage: Stage,
    /// Whether its signals say that it is due.
    pub due: bool,
    /// Whether one signal is enough.
    pub any: bool,
    /// Its signals.
    pub signals: Vec<Seen>,
}

/// A signal and what was seen of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// As it is written.
    pub text: String,
    /// The metric.
    pub metric: &'static Metric,
    /// Whether it is met.
    pub state: SignalState,
    /// The figure now.
    pub reading: Reading,
    /// What it rests on.
    pub basis: String,
    /// Since when it is passed without a break, as far as is remembered.
    pub since: Option<DateTime<Utc>>,
    /// Why it cannot be told.
    pub doubt: Option<Doubt>,
}

/// Whether a signal is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalState {
    /// It is.
    Met,
    /// It is passed, not yet for so long, or it is not remembered for so long.
    NotYet,
    /// It is not passed.
    NotMet,
    /// It cannot be told.
    Unknown,
}

impl SignalState {
    /// Returns the word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotYet => "not-yet",
            Self::NotMet => "not-met",
            Self::Unknown => "unknown",
        }
    }
}

/// Says of every target that something is known of how far it has grown.
pub(super) fn advise(
    stages: &Stages,
    gathered: &Gathered,
    kept: &mut Kept,
    every: Millis,
    now: DateTime<Utc>,
) -> Vec<Advice> {
    let of_measured = gathered.measured.iter().map(|one| &one.labels);
    let of_missing = gathered.missing.iter().map(|one| &one.labels);
    let targets: BTreeSet<String> = of_measured
        .chain(of_missing)
        .filter_map(|labels| labels.get("target"))
        .map(ToString::to_string)
        .collect();
    let mut all = Vec::new();
    for target in targets {
        let mut look = Look {
            gathered,
            kept,
            every,
            now,
            target: &target,
        };
        let advice = look.advise(stages);
        all.push(advice);
    }
    all
}

/// A look at one target.
struct Look<'a> {
    gathered: &'a Gathered,
    kept: &'a mut Kept,
    every: Millis,
    now: DateTime<Utc>,
    target: &'a str,
}

impl Look<'_> {
    fn advise(&mut self, stages: &Stages) -> Advice {
        let figures = self.figures(&stages.levels);
        // It has grown as far as the figure that has grown most.
        let reached = figures.iter().filter_map(|one| {
            let id = one.stage.as_ref()?;
            stages.levels.iter().position(|level| level.id == *id)
        });
        let at = reached.max();
        let next = at.map_or(0, |at| at + 1);
        let next = (at.is_some() || stages.levels.len() > 1)
            .then(|| stages.levels.get(next.max(1)))
            .flatten();
        Advice {
            target: self.target.to_owned(),
            stage: at.and_then(|at| stages.levels.get(at)).map(stage),
            figures,
            next: next.map(|level| self.next(level, stages)),
        }
    }

    /// The figures by which levels differ, and the level that each lies in.
    fn figures(&self, levels: &[Level]) -> Vec<Figure> {
        let mut names: Vec<&String> = levels.iter().flat_map(|one| one.figures.keys()).collect();
        names.sort();
        names.dedup();
        let metrics = names
            .into_iter()
            .filter_map(|name| Some((name, of_stage(name).ok()?)));
        metrics
            .map(|(name, metric)| {
                let (reading, basis) = self.reading(metric);
                let mut begins = levels.iter().filter_map(|level| {
                    let range = Range::read(level.figures.get(name)?, metric).ok()?;
                    Some((level, range.begins()))
                });
                let value = match reading {
                    Reading::Value(value) => Some(value),
                    _ => None,
                };
                // What lies below the first range is in the first level.
                let lies = value.and_then(|value| {
                    let first = begins.clone().next();
                    begins.rfind(|(_, begin)| value >= *begin).or(first)
                });
                Figure {
                    metric,
                    reading,
                    basis,
                    stage: lies.map(|(level, _)| level.id.clone()),
                }
            })
            .collect()
    }

    fn next(&mut self, level: &Level, stages: &Stages) -> Next {
        let key = format!("to_{}", level.id);
        let advance = stages.advance.get(&key).cloned().unwrap_or_default();
        let signals: Vec<Seen> = advance
            .signals()
            .filter_map(|text| Some(self.signal(text, Signal::read(text).ok()?)))
            .collect();
        let met = |one: &Seen| one.state == SignalState::Met;
        let any = advance.all.is_empty();
        Next {
            stage: stage(level),
            due: if any {
                signals.iter().any(met)
            } else {
                signals.iter().all(met)
            },
            any,
            signals,
        }
    }

    fn signal(&mut self, text: &str, signal: Signal) -> Seen {
        let metric = signal.metric;
        // How long a peak lasts is told by the peaks of days, and those by the levels of looks.
        let source = of_stage(metric.source()).unwrap_or(metric);
        let (level, _) = self.reading(source);
        let key = format!("signal\u{1f}{}\u{1f}{}", metric.name, self.target);
        if let Reading::Value(value) = level {
            self.kept.note(&key, self.now, value);
        }
        let (reading, basis) = self.reading(metric);
        let mut seen = Seen {
            text: text.to_owned(),
            metric,
            state: SignalState::Unknown,
            reading,
            basis,
            since: None,
            doubt: None,
        };
        let passed = match (&seen.reading, passes(&seen.reading, &signal.threshold)) {
            (_, Some(passed)) => passed,
            (Reading::Unknown { reason, why }, None) => {
                seen.doubt = Some(Doubt {
                    reason: *reason,
                    why: why.to_string(),
                });
                return seen;
            }
            (_, None) => {
                seen.doubt = Some(Doubt {
                    reason: Reason::NoSample,
                    why: "it lies on both sides of the limit".to_owned(),
                });
                return seen;
            }
        };
        if !passed {
            seen.state = SignalState::NotMet;
            return seen;
        }
        let Some(lasting) = signal.lasting else {
            seen.state = SignalState::Met;
            return seen;
        };
        seen.since = self.since(
            &key,
            &signal.threshold,
            metric.over() == Some(Over::Highest),
        );
        let long = seen
            .since
            .is_some_and(|since| self.now - since >= milliseconds(lasting.0));
        seen.state = if long {
            SignalState::Met
        } else {
            SignalState::NotYet
        };
        seen
    }

    /// Since when all that is remembered passes: each stretch all of it, or of a peak the highest of each day.
    fn since(&self, key: &str, limit: &Threshold, by_day: bool) -> Option<DateTime<Utc>> {
        let gap = milliseconds(self.every.0.saturating_mul(2)).max(LONGEST_GAP);
        let mut since = None;
        let mut later = self.now;
        let mut day = (0, f64::NEG_INFINITY, self.now);
        let holds = |value: f64| passes(&Reading::Value(value), limit) == Some(true);
        for one in self.kept.levels.get(key)?.newest_first() {
            if later - one.end() > gap {
                break;
            }
            later = one.begin();
            if by_day {
                let number = (self.now - one.begin()).num_days();
                if number != day.0 {
                    // The day before is whole now.
                    if !holds(day.1) {
                        return since;
                    }
                    since = Some(day.2);
                    day = (number, f64::NEG_INFINITY, one.begin());
                }
                day = (number, day.1.max(one.high()), one.begin());
                continue;
            }
            let worst = if limit.is_upper() {
                one.low()
            } else {
                one.high()
            };
            if !holds(worst) {
                return since;
            }
            since = Some(one.begin());
        }
        if by_day && holds(day.1) {
            since = Some(day.2);
        }
        since
    }

    /// A figure of the whole target: of its primary, the sum of its databases, or else the worst.
    fn reading(&self, metric: &'static Metric) -> (Reading, String) {
        let made = if metric.over().is_some() {
            self.kept
                .figures(metric, self.gathered, Asked::default(), self.now)
        } else {
            Vec::new()
        };
        let is = |labels: &Labels, key: &str, value: &str| {
            labels.get(key).is_some_and(|found| **found == *value)
        };
        let measured = self.gathered.measured.iter().chain(&made);
        let all: Vec<_> = measured
            .filter(|one| one.metric == metric.name && is(&one.labels, "target", self.target))
            .filter(|one| {
                // Replicas have loads of their own; a disk is full wherever it is.
                !one.labels.contains_key("role") || is(&one.labels, "role", "primary")
            })
            .collect();
        if let Some(one) = all
            .iter()
            .find(|one| matches!(one.reading, Reading::Unknown { .. }))
            .filter(|_| metric.name == "database.size" || all.len() == 1)
        {
            return (one.reading.clone(), one.basis.to_string());
        }
        let values = all.iter().filter_map(|one| match one.reading {
            Reading::Value(value) => Some((value, &one.basis)),
            _ => None,
        });
        if metric.name == "database.size" {
            let number = values.clone().count();
            if number > 0 {
                let sum = values.map(|(value, _)| value).sum();
                return (Reading::Value(sum), format!("{number} databases"));
            }
        } else if let Some((value, basis)) = values.reduce(|a, b| {
            let worse = match metric.worse {
                Worse::Above => b.0 > a.0,
                Worse::Below => b.0 < a.0,
            };
            if worse { b } else { a }
        }) {
            return (Reading::Value(value), basis.to_string());
        }
        if let Some(one) = all.first() {
            return (one.reading.clone(), one.basis.to_string());
        }
        let missing = self.gathered.missing.iter();
        let missing = missing
            .filter(|one| one.is_of(metric) && is(&one.labels, "target", self.target))
            .map(|one| Reading::unknown(one.reason, one.why.clone()))
            .next();
        let nothing = if metric.is_foreign() {
            "no server tells it, and nobody handed it in"
        } else {
            "it was not measured"
        };
        (
            missing.unwrap_or_else(|| Reading::unknown(Reason::NoSample, nothing)),
            String::new(),
        )
    }
}

fn stage(level: &Level) -> Stage {
    Stage {
        id: level.id.clone(),
        name: level.name.clone(),
        asks: level.asks.clone(),
    }
}

#[cfg(test)]
mod tests;
