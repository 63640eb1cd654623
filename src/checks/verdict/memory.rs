//! What is remembered between runs of `dbops check`: how long and how often each threshold was passed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Status;
use super::kept::Kept;
use crate::checks::judge::Labels;
use crate::checks::trail::Trail;
use crate::plan_file::Millis;
use crate::plan_file::rule::{Defaults, Samples};

/// Format of the memory; another one is started over.
const VERSION: u32 = 1;
/// No more samples of one thing are kept than this.
const MOST_SAMPLES: usize = 1_000;

/// What is remembered, by rule and thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    version: u32,
    series: BTreeMap<String, Series>,
    #[serde(default)]
    pub(super) kept: Kept,
    #[serde(default)]
    pub(super) trail: Trail,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            version: VERSION,
            series: BTreeMap::new(),
            kept: Kept::default(),
            trail: Trail::default(),
        }
    }
}

/// What is remembered of one thing by one rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Series {
    /// The last sample.
    last: DateTime<Utc>,
    /// The last samples, oldest first: 0 holds, 1 warn, 2 critical, 3 not known.
    samples: Vec<u8>,
    /// The last sample that was known.
    #[serde(default)]
    known: DateTime<Utc>,
    /// Since when `warn` is passed without a break.
    warn_since: Option<DateTime<Utc>>,
    /// Since when `critical` is.
    critical_since: Option<DateTime<Utc>>,
    /// Whether a finding stands that `clear` has not ended.
    standing: bool,
}

/// When a threshold that is passed is a finding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub(super) lasting: Option<Millis>,
    pub(super) samples: Option<Samples>,
    pub(super) every: Millis,
}

/// What is left of a figure after time and number of samples were looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Confirmed {
    pub(super) status: Status,
    pub(super) samples: Option<Samples>,
    pub(super) since: Option<DateTime<Utc>>,
}

impl Confirmed {
    /// A rule that asks for no time and no number of samples.
    pub(super) fn at_once(status: Status) -> Self {
        Self {
            status,
            samples: None,
            since: None,
        }
    }
}

impl Memory {
    /// Reads what [`Memory::text`] wrote.
    ///
    /// # Errors
    /// With what is wrong; the caller starts over.
    pub fn parse(text: &str) -> Result<Self, String> {
        let memory: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if memory.version == VERSION {
            Ok(memory)
        } else {
            Err(format!("format {} is not {VERSION}", memory.version))
        }
    }

    /// Returns it as text to be kept.
    pub fn text(&self) -> String {
        // A map of plain values always becomes JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The figures of the last hours.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Takes a sample and says what it comes to.
    pub(super) fn step(
        &mut self,
        rule: &str,
        labels: &Labels,
        now: DateTime<Utc>,
        raw: Status,
        timing: Timing,
        cleared: bool,
    ) -> Confirmed {
        let series = self.series.entry(key(rule, labels)).or_default();
        let gap = longest_gap(timing.every);
        // A clock that was set back, or a pause: what was before says nothing of now.
        if now < series.last || now - series.last > gap {
            *series = Series::default();
        }
        series.last = now;
        series.take(now, raw, timing);
        let of = |level: u8| series.is_confirmed(level, now, timing);
        let status = if of(2) {
            Status::Critical
        } else if of(1) {
            Status::Warning
        } else if raw == Status::Unknown {
            Status::Unknown
        } else if series.standing && !cleared {
            Status::Warning
        } else if raw > Status::Pending {
            Status::Pending
        } else {
            Status::Ok
        };
        series.standing = match status {
            Status::Warning | Status::Critical => true,
            Status::Unknown => series.standing,
            _ => false,
        };
        Confirmed {
            status,
            samples: timing.samples.map(|samples| Samples {
                need: count(series.hits(1, samples.of)),
                of: count(series.samples.len()),
            }),
            since: series.warn_since,
        }
    }

    /// Drops what was not seen for so long that it says nothing any more.
    pub(super) fn forget(&mut self, now: DateTime<Utc>, defaults: Defaults) {
        let gap = longest_gap(defaults.every);
        self.series.retain(|_, series| now - series.last <= gap);
    }
}

impl Series {
    fn take(&mut self, now: DateTime<Utc>, raw: Status, timing: Timing) {
        let level = match raw {
            Status::Warning => 1,
            Status::Critical => 2,
            Status::Unknown => 3,
            Status::Ok | Status::Skipped | Status::Pending => 0,
        };
        self.samples.push(level);
        let most = timing.samples.map_or(1, |samples| {
            usize::try_from(samples.of).unwrap_or(MOST_SAMPLES)
        });
        let most = most.min(MOST_SAMPLES);
        let over = self.samples.len().saturating_sub(most);
        self.samples.drain(..over);
        // What is not known neither goes on nor ends.
        if level == 3 {
            return;
        }
        if now - self.known > longest_gap(timing.every) {
            (self.warn_since, self.critical_since) = (None, None);
        }
        self.known = now;
        for (least, since) in [(1, &mut self.warn_since), (2, &mut self.critical_since)] {
            if level < least {
                *since = None;
            } else if since.is_none() {
                *since = Some(now);
            }
        }
    }

    fn hits(&self, level: u8, of: u32) -> usize {
        let of = usize::try_from(of).unwrap_or(MOST_SAMPLES);
        let last = self.samples.iter().rev().take(of);
        last.filter(|&&one| one >= level && one != 3).count()
    }

    fn is_confirmed(&self, level: u8, now: DateTime<Utc>, timing: Timing) -> bool {
        let passed = self
            .samples
            .last()
            .is_some_and(|&one| one >= level && one != 3);
        let often = match timing.samples {
            Some(samples) => count(self.hits(level, samples.of)) >= samples.need,
            None => passed,
        };
        let since = if level == 2 {
            self.critical_since
        } else {
            self.warn_since
        };
        let long = timing.lasting.is_none_or(|lasting| {
            let lasting = milliseconds(lasting.0);
            passed && since.is_some_and(|since| now - since >= lasting)
        });
        often && long
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Two samples further apart are not taken for one stretch of time.
fn longest_gap(every: Millis) -> TimeDelta {
    milliseconds(every.0.saturating_mul(2))
}

pub(super) fn milliseconds(number: u64) -> TimeDelta {
    TimeDelta::try_milliseconds(i64::try_from(number).unwrap_or(i64::MAX)).unwrap_or(TimeDelta::MAX)
}

/// What tells one thing from another; the text of a statement is known by its fingerprint.
pub(in crate::checks) fn key(rule: &str, labels: &Labels) -> String {
    let mut key = rule.to_owned();
    for (name, value) in labels {
        if name != "text" && !name.starts_with("tag:") {
            let _ = write!(key, "\u{1f}{name}={value}");
        }
    }
    key
}

/// The target of what [`key`] names.
pub(in crate::checks) fn target_of(key: &str) -> Option<&str> {
    let mut parts = key.split('\u{1f}').skip(1);
    parts.find_map(|part| part.strip_prefix("target="))
}
