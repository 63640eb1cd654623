//! The figures of the last hours, for charts: bounded in time, in points and in things.
//!
//! Where there is no room for each look, neighbours share a point that keeps the lowest and the highest of them, so that a
//! spike stays. What was not measured is a gap: never 0, and never drawn over.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::judge::{Labels, Reading};
use super::verdict::{Finding, key, target_of};
use crate::plan_file::Millis;
use crate::plan_file::metric::{Measure, Metric};

/// Nothing older is kept.
pub const HOURS: i64 = 6;
/// Points of one thing.
pub const MOST_POINTS: usize = 120;
/// Things. Those that a rule speaks of come first, the worst before the others. Targets that are looked at at times of
/// their own share the room; until each was looked at again there may be more, twice as many at most.
pub const MOST_LINES: usize = 400;

/// The figures of the last hours.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Trail {
    lines: BTreeMap<String, Line>,
}

/// The figures of one thing, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Line {
    points: Vec<Point>,
}

/// Looks that share a point: when the first and the last of them were, in seconds since 1970, and between what the figure
/// was, in the base unit of its metric; `None`: it was not measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point(pub i64, pub i64, pub Option<(f64, f64)>);

/// What is known of a thing: a metric, and where it is made of several looks, those of how long. Rules on the same metric
/// can differ in that.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The metric.
    pub metric: &'static Metric,
    /// The stretch of time that a figure is made of; `None`: of one look.
    pub window: Option<Millis>,
}

impl Kind {
    /// That of a finding.
    pub fn of(finding: &Finding) -> Self {
        Self {
            metric: finding.metric,
            window: finding.window,
        }
    }

    fn key(self, labels: &Labels) -> String {
        match self.window {
            Some(window) => key(&format!("{} in {window}", self.metric.name), labels),
            None => key(self.metric.name, labels),
        }
    }
}

impl From<&'static Metric> for Kind {
    /// That of one look.
    fn from(metric: &'static Metric) -> Self {
        Self {
            metric,
            window: None,
        }
    }
}

impl Trail {
    /// Takes note of a look at one or more targets; of things of theirs that it does not speak of, that they were not
    /// measured. Other targets are looked at at times of their own.
    pub fn note<'a>(
        &mut self,
        now: DateTime<Utc>,
        figures: impl IntoIterator<Item = (impl Into<Kind>, &'a Labels, &'a Reading)>,
    ) {
        let at = now.timestamp();
        let last = self.lines.values().filter_map(|line| line.points.last());
        let ahead = last.map(|point| point.1).max().map_or(0, |last| last - at);
        if ahead > HOURS * 3_600 {
            // The clock was wrong.
            self.lines.clear();
        } else if ahead > 0 {
            // A run that was as of an earlier moment, or a clock that was set back: what came later stays.
            return;
        }
        let figures: Vec<_> = figures.into_iter().collect();
        let targets: BTreeSet<Option<&str>> = (figures.iter())
            .map(|(_, labels, _)| labels.get("target").map(|name| &**name))
            .collect();
        let room = self.room_for(&targets);
        let mut told = BTreeSet::new();
        for (kind, labels, reading) in figures {
            if told.len() >= room {
                break;
            }
            let kind = kind.into();
            let metric = kind.metric;
            if metric.is_of_statements() || metric.measure == Measure::State {
                continue;
            }
            let key = kind.key(labels);
            let range = range(reading);
            // A thing of which nothing was ever known has no chart.
            if told.contains(&key) || (range.is_none() && !self.lines.contains_key(&key)) {
                continue;
            }
            let line = self.lines.entry(key.clone()).or_default();
            line.take(at, range);
            told.insert(key);
        }
        let oldest = (now - TimeDelta::hours(HOURS)).timestamp();
        self.lines.retain(|key, line| {
            if !told.contains(key) && targets.contains(&target_of(key)) {
                line.take(at, None);
            }
            line.points.retain(|point| point.1 >= oldest);
            line.points.iter().any(|point| point.2.is_some())
        });
        self.make_room(&targets, &told);
    }

    /// What is known of a thing.
    pub fn of(&self, kind: impl Into<Kind>, labels: &Labels) -> Option<&Line> {
        self.lines.get(&kind.into().key(labels))
    }

    /// How many things there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many things of targets there is room for: their share, and what the others leave.
    fn room_for(&self, targets: &BTreeSet<Option<&str>>) -> usize {
        let others = self.lines.keys().map(|key| target_of(key));
        let others: Vec<Option<&str>> = others.filter(|one| !targets.contains(one)).collect();
        let all = targets.len() + others.iter().collect::<BTreeSet<_>>().len();
        let share = (MOST_LINES * targets.len() / all.max(1)).max(1);
        share.max(MOST_LINES.saturating_sub(others.len()))
    }

    /// Makes room: targets that were looked at give up what was not told of them, the longest unknown first. Others have
    /// to wait until they are looked at, so that each gives up what it can best do without; but not without end.
    fn make_room(&mut self, targets: &BTreeSet<Option<&str>>, told: &BTreeSet<String>) {
        self.drop_down_to(MOST_LINES, |key| {
            targets.contains(&target_of(key)) && !told.contains(key)
        });
        self.drop_down_to(2 * MOST_LINES, |key| !told.contains(key));
        self.drop_down_to(2 * MOST_LINES, |_| true);
    }

    fn drop_down_to(&mut self, most: usize, may: impl Fn(&str) -> bool) {
        let over = self.lines.len().saturating_sub(most);
        if over == 0 {
            return;
        }
        let known = |line: &Line| {
            let mut points = line.points.iter().rev();
            points.find(|point| point.2.is_some()).map(|point| point.1)
        };
        let lines = self.lines.iter().filter(|(key, _)| may(key));
        let mut all: Vec<_> = lines
            .map(|(key, line)| (known(line), key.clone()))
            .collect();
        all.sort();
        for (_, key) in all.into_iter().take(over) {
            self.lines.remove(&key);
        }
    }
}

impl Line {
    /// The points, oldest first.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    fn take(&mut self, at: i64, range: Option<(f64, f64)>) {
        match self.points.last_mut() {
            Some(last) if last.1 == at && last.2.is_some() == range.is_some() => {
                last.2 = union(last.2, range);
            }
            _ => self.points.push(Point(at, at, range)),
        }
        if self.points.len() > MOST_POINTS {
            self.thin();
        }
    }

    /// Makes room: two neighbours share a point, but a gap shares none with a figure.
    fn thin(&mut self) {
        let mut thinner: Vec<Point> = Vec::with_capacity(self.points.len());
        let mut is_single = false;
        for &point in &self.points {
            let last = thinner.last_mut().filter(|_| is_single);
            match last {
                Some(last) if last.2.is_some() == point.2.is_some() => {
                    last.1 = point.1;
                    last.2 = last
                        .2
                        .zip(point.2)
                        .map(|(a, b)| (a.0.min(b.0), a.1.max(b.1)));
                    is_single = false;
                }
                _ => {
                    thinner.push(point);
                    is_single = true;
                }
            }
        }
        let over = thinner.len().saturating_sub(MOST_POINTS);
        thinner.drain(..over);
        self.points = thinner;
    }
}

/// Between what both are.
fn union(one: Option<(f64, f64)>, other: Option<(f64, f64)>) -> Option<(f64, f64)> {
    let pair = one.zip(other);
    pair.map(|(a, b)| (a.0.min(b.0), a.1.max(b.1)))
}

/// Between what a figure is; what has no end cannot be drawn.
fn range(reading: &Reading) -> Option<(f64, f64)> {
    let (low, high) = match reading {
        Reading::Value(value) => (*value, *value),
        Reading::Between { low, high } => (*low, *high),
        Reading::State(_) | Reading::Unknown { .. } => return None,
    };
    (low.is_finite() && high.is_finite()).then_some((low.min(high), high.max(low)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::checks::reason::Reason;
    use crate::plan_file::metric::metric;

    fn lag() -> &'static Metric {
        metric("replica.visible_lag").unwrap()
    }

    fn labels(node: &str) -> Labels {
        Labels::from([("node".to_owned(), Arc::from(node))])
    }

    fn of_target(target: &str, node: usize) -> Labels {
        let node: Arc<str> = node.to_string().into();
        let target = ("target".to_owned(), Arc::from(target));
        Labels::from([("node".to_owned(), node), target])
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(2_000_000_000 + seconds, 0).unwrap()
    }

    fn noted(figures: &[(i64, Option<f64>)]) -> Trail {
        let mut trail = Trail::default();
        for (seconds, value) in figures {
            let reading = value.map_or(Reading::unknown(Reason::NoSample, ""), Reading::Value);
            trail.note(at(*seconds), [(lag(), &labels("r1"), &reading)]);
        }
        trail
    }

    #[test]
    fn what_is_not_measured_is_a_gap() {
        let trail = noted(&[(0, Some(1.0)), (30, None), (60, Some(3.0))]);
        let line = trail.of(lag(), &labels("r1")).unwrap();
        let ranges: Vec<_> = line.points().iter().map(|point| point.2).collect();
        assert_eq!(ranges, [Some((1.0, 1.0)), None, Some((3.0, 3.0))]);
    }

    #[test]
    fn a_look_that_does_not_speak_of_a_thing_leaves_a_gap_in_it() {
        let mut trail = noted(&[(0, Some(1.0))]);
        let value = Reading::Value(1.0);
        trail.note(at(30), [(lag(), &labels("r2"), &value)]);
        let line = trail.of(lag(), &labels("r1")).unwrap();
        assert_eq!(line.points().len(), 2);
        assert_eq!(line.points()[1].2, None);
    }

    #[test]
    fn a_look_at_one_target_leaves_no_gap_in_another() {
        let (main, other) = (of_target("main", 0), of_target("other", 0));
        let value = Reading::Value(1.0);
        let mut trail = Trail::default();
        trail.note(at(0), [(lag(), &main, &value)]);
        trail.note(at(10), [(lag(), &other, &value)]);
        trail.note(at(30), [(lag(), &main, &value)]);
        for labels in [&main, &other] {
            let points = trail.of(lag(), labels).unwrap().points();
            assert!(points.iter().all(|point| point.2.is_some()), "{points:?}");
        }
    }

    #[test]
    fn targets_that_are_looked_at_in_turn_share_the_room_and_each_keeps_its_own() {
        let value = Reading::Value(1.0);
        let mut trail = Trail::default();
        for look in 0..6 {
            let name = ["main", "other"][look % 2];
            let all: Vec<Labels> = (0..MOST_LINES).map(|n| of_target(name, n)).collect();
            let now = at(i64::try_from(look).unwrap() * 30);
            trail.note(now, all.iter().map(|one| (lag(), one, &value)));
            assert!(trail.len() <= 2 * MOST_LINES);
        }
        assert_eq!(trail.len(), MOST_LINES);
        for name in ["main", "other"] {
            let all = (0..MOST_LINES).filter_map(|n| trail.of(lag(), &of_target(name, n)));
            let lengths: Vec<usize> = all.map(|line| line.points().len()).collect();
            assert_eq!(lengths, [3; MOST_LINES / 2]);
        }
    }

    #[test]
    fn states_statements_and_what_has_no_end_have_no_chart() {
        let state = Reading::State("streaming".into());
        let value = Reading::Value(1.0);
        let no_end = Reading::Value(f64::INFINITY);
        let mut trail = Trail::default();
        let (lag, labels) = (lag(), labels("r1"));
        trail.note(
            at(0),
            [
                (metric("replica.state").unwrap(), &labels, &state),
                (metric("query.mean_time").unwrap(), &labels, &value),
                (metric("partition.runway").unwrap(), &labels, &no_end),
            ],
        );
        assert!(trail.is_empty());
        trail.note(at(0), [(lag, &labels, &value)]);
        assert_eq!(trail.len(), 1);
    }

    #[test]
    fn what_is_old_is_dropped_and_an_earlier_look_takes_nothing_from_a_later_one() {
        let long = HOURS * 3_600 + 1;
        let trail = noted(&[(0, Some(1.0)), (long, Some(2.0))]);
        let line = trail.of(lag(), &labels("r1")).unwrap();
        assert_eq!(line.points().len(), 1);
        assert_eq!(noted(&[(0, Some(1.0)), (long, None)]).len(), 0);
        let back = noted(&[(100, Some(1.0)), (0, Some(2.0))]);
        assert_eq!(back, noted(&[(100, Some(1.0))]));
        let wrong = noted(&[(long, Some(1.0)), (0, Some(2.0))]);
        assert_eq!(wrong, noted(&[(0, Some(2.0))]));
    }

    #[test]
    fn there_are_never_more_things_than_there_is_room_for() {
        let mut trail = Trail::default();
        let value = Reading::Value(1.0);
        for look in 0..3 {
            let all: Vec<Labels> = (0..MOST_LINES)
                .map(|at| labels(&format!("{look}-{at}")))
                .collect();
            trail.note(at(look * 30), all.iter().map(|one| (lag(), one, &value)));
            assert_eq!(trail.len(), MOST_LINES);
            assert!(trail.of(lag(), &labels(&format!("{look}-0"))).is_some());
        }
    }

    #[test]
    fn what_is_told_first_stays_whatever_its_name_is() {
        let value = Reading::Value(1.0);
        let mut trail = Trail::default();
        for look in 0..9 {
            let name = ["east", "main", "west"][look % 3];
            let mut all: Vec<Labels> = (0..MOST_LINES).map(|n| of_target(name, n)).collect();
            // The worst is first, as the findings are, and `0` is the first of the names.
            all.rotate_left(100);
            let now = at(i64::try_from(look).unwrap() * 30);
            trail.note(now, all.iter().map(|one| (lag(), one, &value)));
            assert!(trail.len() <= 2 * MOST_LINES);
        }
        assert!(trail.len() <= MOST_LINES);
        for name in ["east", "main", "west"] {
            for n in 100..100 + MOST_LINES / 3 {
                let line = trail.of(lag(), &of_target(name, n));
                assert_eq!(line.unwrap().points().len(), 3, "{name} {n}");
            }
        }
    }

    #[test]
    fn looks_of_one_second_share_a_point() {
        let trail = noted(&[(0, Some(1.0)), (0, Some(5.0)), (0, Some(2.0))]);
        let line = trail.of(lag(), &labels("r1")).unwrap();
        assert_eq!(line.points().len(), 1);
        assert_eq!(line.points()[0].2, Some((1.0, 5.0)));
    }

    proptest! {
        /// Whatever the looks: points are few and in order, the extremes of what is kept stay, and text brings it back.
        #[test]
        fn spikes_stay_however_much_is_thinned(
            values in prop::collection::vec(prop::option::weighted(0.9, -1e6..1e6f64), 1..700),
        ) {
            let figures: Vec<_> = (0i64..).zip(&values).map(|(n, v)| (n * 20, *v)).collect();
            let trail = noted(&figures);
            let text = serde_json::to_string(&trail).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Trail>(&text).unwrap(), &trail);
            if let Some(line) = trail.of(lag(), &labels("r1")) {
                let points = line.points();
                prop_assert!(points.len() <= MOST_POINTS);
                prop_assert!(points.iter().all(|one| one.0 <= one.1));
                prop_assert!(points.is_sorted_by(|a, b| a.1 < b.0));
                let from = points[0].0 - 2_000_000_000;
                let kept: Vec<f64> = figures
                    .iter()
                    .filter(|(at, _)| *at >= from)
                    .filter_map(|(_, value)| *value)
                    .collect();
                let drawn: Vec<(f64, f64)> = points.iter().filter_map(|one| one.2).collect();
                let high = kept.iter().copied().fold(f64::MIN, f64::max);
                let low = kept.iter().copied().fold(f64::MAX, f64::min);
                prop_assert_eq!(drawn.iter().map(|one| one.1).fold(f64::MIN, f64::max), high);
                prop_assert_eq!(drawn.iter().map(|one| one.0).fold(f64::MAX, f64::min), low);
            } else {
                prop_assert!(values.iter().all(Option::is_none));
            }
        }
    }
}
