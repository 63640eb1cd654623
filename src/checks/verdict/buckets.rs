//! A level over a long time in little room: least and greatest by minute for two hours, by hour before that.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
/// What is older than this is kept by the hour.
const BY_MINUTE_FOR: i64 = 2 * HOUR;

/// Stretches of time, oldest first, that do not overlap. As text each takes about 40 bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Buckets(Vec<Bucket>);

/// A stretch: its begin and length in seconds, least and greatest level, and how many looks it is of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Bucket(i64, i64, f64, f64, u64);

impl Bucket {
    pub(super) fn begin(self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0, 0).unwrap_or(DateTime::UNIX_EPOCH)
    }

    pub(super) fn end(self) -> DateTime<Utc> {
        self.begin() + TimeDelta::try_seconds(self.1).unwrap_or_default()
    }

    pub(super) fn low(self) -> f64 {
        self.2
    }

    pub(super) fn high(self) -> f64 {
        self.3
    }

    fn join(&mut self, other: Self) {
        self.2 = self.2.min(other.2);
        self.3 = self.3.max(other.3);
        self.4 += other.4;
    }
}

impl Buckets {
    /// Adds a look; a clock that was set back begins anew.
    pub(super) fn push(&mut self, now: DateTime<Utc>, level: f64) {
        let at = now.timestamp();
        let begin = at - at.rem_euclid(MINUTE);
        if self.0.last().is_some_and(|last| last.0 > begin) {
            self.0.clear();
        }
        let new = Bucket(begin, MINUTE, level, level, 1);
        match self.0.last_mut() {
            Some(last) if last.0 == begin => last.join(new),
            _ => self.0.push(new),
        }
        self.join_old(begin - BY_MINUTE_FOR);
    }

    /// Joins minutes of hours that ended before an instant.
    fn join_old(&mut self, before: i64) {
        let mut joined: Vec<Bucket> = Vec::with_capacity(self.0.len());
        for one in self.0.drain(..) {
            let hour = one.0 - one.0.rem_euclid(HOUR);
            let old = hour + HOUR <= before;
            match joined.last_mut() {
                Some(last) if old && last.0 - last.0.rem_euclid(HOUR) == hour => {
                    // A stretch begins with its first look: nobody looked before it.
                    last.1 = one.0 + one.1 - last.0;
                    last.join(one);
                }
                _ => joined.push(one),
            }
        }
        self.0 = joined;
    }

    /// Drops what ended before `oldest` or lies after `now`.
    pub(super) fn forget(&mut self, oldest: DateTime<Utc>, now: DateTime<Utc>) {
        self.0
            .retain(|one| one.end() > oldest && one.begin() <= now);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The stretches, the newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = Bucket> {
        self.0.iter().rev().copied()
    }

    /// The greatest level of those that end after an instant, of how many looks, and since when.
    pub(super) fn highest(&self, begin: DateTime<Utc>) -> Option<(f64, u64, DateTime<Utc>)> {
        let within = self.0.iter().filter(|one| one.end() > begin);
        let first = within.clone().next()?;
        let (high, looks) = within.fold((f64::NEG_INFINITY, 0), |(high, looks), one| {
            (high.max(one.3), looks + one.4)
        });
        Some((high, looks, first.begin()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_month_of_looks_takes_little_room_and_loses_no_peak() {
        let mut all = Buckets::default();
        let month = 31 * 86_400;
        for second in (0..month).step_by(30) {
            let level = if second == 600 { 99.0 } else { 5.0 };
            all.push(at(second), level);
            all.forget(at(second - month), at(second));
        }
        assert!(all.0.len() <= 24 * 31 + 3 * 60, "{}", all.0.len());
        let text = serde_json::to_string(&all).unwrap();
        assert!(text.len() < 45 * all.0.len(), "{}", text.len());
        let (high, looks, since) = all.highest(at(0)).unwrap();
        assert_eq!((high, looks, since), (99.0, 31 * 2_880, at(0)));
        let (high, _, _) = all.highest(at(month - 3_600)).unwrap();
        assert_eq!(high, 5.0);
    }

    #[test]
    fn a_clock_that_is_set_back_begins_anew() {
        let mut all = Buckets::default();
        all.push(at(600), 9.0);
        all.push(at(0), 1.0);
        assert_eq!(all.highest(at(-60)).map(|(high, ..)| high), Some(1.0));
    }
}
