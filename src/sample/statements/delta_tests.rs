//! Differences over a simulated server that counts as the extension does, with everything that breaks the counting.

use std::collections::BTreeMap;

use super::super::model::Origin;
use super::*;

/// One entry, counted as `pgss_store()` of `contrib/pg_stat_statements/pg_stat_statements.c` does.
#[derive(Clone)]
struct Sim {
    calls: f64,
    total: f64,
    min: f64,
    max: f64,
    mean: f64,
    sum_var: f64,
    since: f64,
    minmax_since: f64,
}

impl Sim {
    fn new(at: f64) -> Self {
        Self {
            calls: 0.0,
            total: 0.0,
            min: 0.0,
            max: 0.0,
            mean: 0.0,
            sum_var: 0.0,
            since: at,
            minmax_since: at,
        }
    }

    fn run(&mut self, time: f64) {
        self.calls += 1.0;
        self.total += time;
        if self.calls == 1.0 {
            self.mean = time;
        } else {
            let old = self.mean;
            self.mean += (time - old) / self.calls;
            self.sum_var += (time - old) * (time - self.mean);
        }
        if self.calls == 1.0 || (self.min == 0.0 && self.max == 0.0) {
            (self.min, self.max) = (time, time);
        } else {
            self.min = self.min.min(time);
            self.max = self.max.max(time);
        }
    }
}

/// What the server knows, and what really happened since the earlier reading.
struct World {
    major: i32,
    at: f64,
    entries: BTreeMap<i64, Sim>,
    origin: Origin,
    /// Times of every execution since the earlier reading, by queryid.
    truth: BTreeMap<i64, Vec<f64>>,
    /// Entries that were removed since.
    removed: Vec<i64>,
    minmax_reset: Vec<i64>,
}

impl World {
    fn new(major: i32) -> Self {
        let origin = Origin {
            taken_at: 1_000.0,
            version_num: major * 10_000,
            extension: "1.8".to_owned(),
            dealloc: (major >= 14).then_some(0),
            stats_reset: (major >= 14).then_some(10.0),
            started_at: 5.0,
            other_resets: vec![6.0, 7.0],
            ..Origin::default()
        };
        Self {
            major,
            at: 1_000.0,
            entries: BTreeMap::new(),
            origin,
            truth: BTreeMap::new(),
            removed: Vec::new(),
            minmax_reset: Vec::new(),
        }
    }

    fn run(&mut self, id: i64, time: f64) {
        self.at += 0.001;
        let at = self.at;
        self.entries
            .entry(id)
            .or_insert_with(|| Sim::new(at))
            .run(time);
        self.truth.entry(id).or_default().push(time);
    }

    fn remove(&mut self, id: i64) {
        if self.entries.remove(&id).is_some() {
            self.removed.push(id);
        }
    }

    fn crash(&mut self) {
        self.at += 1.0;
        let ids: Vec<i64> = self.entries.keys().copied().collect();
        ids.into_iter().for_each(|id| self.remove(id));
        self.origin.other_resets = vec![self.at, self.at + 0.1];
        self.origin.stats_reset = self.origin.stats_reset.map(|_| self.at);
        self.origin.dealloc = self.origin.dealloc.map(|_| 0);
    }

    fn read(&mut self) -> Snapshot {
        self.at += 1.0;
        let entries = self.entries.iter().map(|(&id, sim)| {
            let mut counters = Counters::default();
            let mut set = |column, value| counters.set(column, Some(value));
            set(Column::Calls, sim.calls);
            set(Column::Rows, sim.calls * 2.0);
            set(Column::TotalExecTime, sim.total);
            set(Column::MinExecTime, sim.min);
            set(Column::MaxExecTime, sim.max);
            set(Column::MeanExecTime, sim.mean);
            set(Column::StddevExecTime, (sim.sum_var / sim.calls).sqrt());
            if self.major >= 17 {
                set(Column::StatsSince, sim.since);
                set(Column::MinmaxStatsSince, sim.minmax_since);
            }
            let key = Key {
                dbid: 1,
                userid: 1,
                queryid: Some(id),
                toplevel: None,
            };
            Entry {
                key,
                text: None,
                counters,
            }
        });
        let entries = entries.collect();
        self.truth.clear();
        self.removed.clear();
        self.minmax_reset.clear();
        let mut origin = self.origin.clone();
        origin.taken_at = self.at;
        Snapshot {
            origin,
            entries,
            ..Snapshot::default()
        }
    }
}

/// A time of a statement with its own typical one, log-normal like those of real ones.
fn time(random: &mut fastrand::Rng, id: i64) -> f64 {
    let normal: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
    (0.05 * (1 + id % 40) as f64) * (0.5 * normal).exp()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1e-3)
}

/// Checks one change against what really happened; returns whether it is wrong without a doubt being told.
fn wrong(world: &World, change: &Change) -> bool {
    let id = change.key.queryid.unwrap();
    let truth = &world.truth[&id];
    for &column in Column::ALL {
        if let Some(value) = change.counters.get(column) {
            assert!(value >= 0.0, "{column:?} is {value}");
        }
    }
    let calls = change.counters.sum(Column::Calls);
    if change.doubt.is_some() {
        assert!(
            calls <= truth.len() as f64,
            "more than happened: {change:?}"
        );
        return false;
    }
    let total: f64 = truth.iter().sum();
    if calls != truth.len() as f64 || !near(change.counters.sum(Column::TotalExecTime), total) {
        return true;
    }
    let mean = total / calls;
    assert!(near(change.counters.sum(Column::MeanExecTime), mean));
    let deviation = (truth.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / calls).sqrt();
    let ours = change.counters.sum(Column::StddevExecTime);
    assert!((ours - deviation).abs() < 1e-3 * mean, "{ours} {deviation}");
    let (min, max) = truth.iter().fold((f64::MAX, 0.0_f64), |(min, max), t| {
        (min.min(*t), max.max(*t))
    });
    for (column, real) in [(Column::MinExecTime, min), (Column::MaxExecTime, max)] {
        if let Some(known) = change.counters.get(column) {
            assert!(near(known, real), "{column:?} {known} {real}");
        }
    }
    let slack = 1.0 + 1e-9;
    assert!(change.floor_ms <= min * slack, "{change:?} {min}");
    assert!(
        change
            .ceiling_ms
            .is_none_or(|ceiling| ceiling * slack >= max)
    );
    false
}

#[test]
fn a_thousand_pairs_with_everything_that_can_happen_between_give_no_wrong_difference_that_could_be_seen()
 {
    let mut random = fastrand::Rng::with_seed(20_261_123);
    let (mut pairs, mut checked, mut evictions, mut needless) = (0, 0, 0, 0);
    let mut wrong_by_major: BTreeMap<i32, (usize, usize)> = BTreeMap::new();
    for round in 0..1_000 {
        let major = 13 + round % 6;
        let mut world = World::new(major);
        for _ in 0..random.usize(50..400) {
            let id = random.i64(0..30);
            let took = time(&mut random, id);
            world.run(id, took);
        }
        let before = world.read();
        let event = random.u32(0..8);
        let crash_at = random.usize(0..200);
        for step in 0..200 {
            let id = random.i64(0..35);
            let took = time(&mut random, id);
            world.run(id, took);
            match event {
                0 if step % 40 == 0 => world.remove(random.i64(0..35)),
                1 if step % 60 == 0 => {
                    (0..3).for_each(|_| world.remove(random.i64(0..35)));
                    world.origin.dealloc = world.origin.dealloc.map(|times| times + 1);
                }
                2 if major >= 17 && step % 30 == 0 => {
                    let id = random.i64(0..35);
                    let at = world.at;
                    if let Some(sim) = world.entries.get_mut(&id) {
                        (sim.min, sim.max, sim.minmax_since) = (0.0, 0.0, at);
                        world.minmax_reset.push(id);
                    }
                }
                3 if step == crash_at => world.crash(),
                4 if step == crash_at => {
                    // A clean restart keeps everything; from 15 on the other statistics too.
                    world.origin.started_at = world.at;
                }
                5 if step == crash_at => world.origin.other_resets = vec![6.0, world.at],
                _ => {}
            }
        }
        let (truth, removed) = (world.truth.clone(), world.removed.clone());
        let after = world.read();
        (world.truth, world.removed) = (truth, removed);
        let difference = difference(&before, &after);
        assert!(difference.is_usable(), "{:?}", difference.doubts);
        pairs += 1;
        for change in &difference.changes {
            checked += 1;
            let count = wrong_by_major.entry(major).or_default();
            let is_wrong = wrong(&world, change);
            let was_removed =
                change.before.is_some() && world.removed.contains(&change.key.queryid.unwrap());
            count.1 += usize::from(was_removed);
            needless += usize::from(change.doubt == Some(Doubt::Implausible) && !was_removed);
            if is_wrong && change.before.is_some() {
                assert!(was_removed, "an entry that only grew: {change:?}");
                count.0 += 1;
            }
            if is_wrong && change.before.is_none() {
                // Removed and made again in between; only evictions tell of it.
                assert!(world.removed.contains(&change.key.queryid.unwrap()));
            }
        }
        let evicted = |doubt: &WindowDoubt| matches!(doubt, WindowDoubt::Evicted { .. });
        if event == 1 && major >= 14 {
            evictions += 1;
            assert!(difference.doubts.iter().any(evicted));
        } else {
            assert!(!difference.doubts.iter().any(evicted));
        }
        let lost = |doubt: &WindowDoubt| matches!(doubt, WindowDoubt::Crash);
        assert_eq!(
            difference.doubts.iter().any(lost),
            event == 3,
            "{major} {:?}",
            difference.doubts
        );
        let Completeness { calls, time } = difference.completeness;
        assert!((0.0..=1.0).contains(&calls) && (0.0..=1.0).contains(&time));
    }
    assert!(checked > 20_000 && evictions > 50, "{checked} {evictions}");
    assert_eq!(pairs, 1_000);
    assert!(
        needless * 500 < checked,
        "{needless} of {checked} doubted without need"
    );
    for (major, (wrong, removed)) in wrong_by_major {
        assert!(removed > 100, "{major}: {removed}");
        let share = wrong as f64 / removed as f64;
        let allowed = if major >= 17 { 0.0 } else { 0.10 };
        assert!(share <= allowed, "{major}: {wrong} of {removed} wrong");
    }
}

/// The hardest case: one entry, made again in between, with at least as many calls as before.
#[test]
fn an_entry_made_again_with_as_many_calls_is_told_in_most_cases_and_from_17_in_all() {
    let mut random = fastrand::Rng::with_seed(7);
    for (major, allowed) in [(13, 0.25), (16, 0.25), (17, 0.0), (18, 0.0)] {
        let (mut wrongs, trials) = (0, 1_000);
        for _ in 0..trials {
            let mut world = World::new(major);
            world.run(99, 1.0);
            let first = random.usize(5..60);
            (0..first).for_each(|_| {
                let took = time(&mut random, 5);
                world.run(5, took);
            });
            let before = world.read();
            world.remove(5);
            for _ in 0..first + random.usize(0..=first / 2) {
                let took = time(&mut random, 5);
                world.run(5, took);
            }
            let truth = world.truth.clone();
            let after = world.read();
            world.truth = truth;
            let difference = difference(&before, &after);
            wrongs += difference
                .changes
                .iter()
                .filter(|change| wrong(&world, change))
                .count();
        }
        let share = wrongs as f64 / f64::from(trials);
        assert!(
            share <= allowed,
            "{major}: {share} of re-created entries are not told"
        );
    }
}

#[test]
fn the_deviation_of_a_window_survives_a_long_past() {
    let mut world = World::new(16);
    world.run(1, 3.0);
    let sim = world.entries.get_mut(&1).unwrap();
    // A hundred million calls of 3 ms with a deviation of 1 ms.
    (
        sim.calls,
        sim.total,
        sim.mean,
        sim.sum_var,
        sim.min,
        sim.max,
    ) = (1e8, 3e8, 3.0, 1e8, 0.1, 50.0);
    let before = world.read();
    for step in 0..1_000 {
        world.run(1, if step % 2 == 0 { 1.0 } else { 9.0 });
    }
    let after = world.read();
    let found = difference(&before, &after);
    let change = &found.changes[0];
    assert!(near(change.counters.sum(Column::MeanExecTime), 5.0));
    let deviation = change.counters.sum(Column::StddevExecTime);
    assert!((deviation - 4.0).abs() < 0.05, "{deviation}");
    assert_eq!((change.floor_ms, change.ceiling_ms), (0.1, Some(50.0)));
    assert_eq!(change.counters.get(Column::MaxExecTime), None);
}

#[test]
fn readings_of_different_servers_are_not_compared() {
    let mut world = World::new(16);
    world.run(1, 3.0);
    let before = world.read();
    world.run(1, 3.0);
    let after = world.read();
    assert_eq!(difference(&before, &after).changes.len(), 1);
    let check = |change: fn(&mut Origin), doubt: WindowDoubt| {
        let mut other = after.clone();
        change(&mut other.origin);
        let found = difference(&before, &other);
        assert!(!found.is_usable() && found.changes.is_empty(), "{doubt:?}");
        assert!(found.doubts.contains(&doubt), "{:?}", found.doubts);
        assert!(doubt.words().len() > 20);
    };
    check(|origin| origin.taken_at = 0.0, WindowDoubt::Backwards);
    check(
        |origin| origin.one_database = Some("app".to_owned()),
        WindowDoubt::OtherScope,
    );
    check(
        |origin| {
            origin.started_at = 50.0;
            origin.stats_reset = Some(50.0);
            origin.in_recovery = true;
        },
        WindowDoubt::OtherNode,
    );
    check(
        |origin| origin.extension = "1.10".to_owned(),
        WindowDoubt::OtherIdentity {
            from: "1.8".to_owned(),
            to: "1.10".to_owned(),
        },
    );
    let mut mine = before.clone();
    mine.origin.system_identifier = Some("1".to_owned());
    let mut other = after.clone();
    other.origin.system_identifier = Some("2".to_owned());
    assert!(
        difference(&mine, &other)
            .doubts
            .contains(&WindowDoubt::OtherServer)
    );
    // A standby that was promoted without a restart is the same server.
    let mut promoted = after.clone();
    promoted.origin.timeline = Some(2);
    promoted.origin.in_recovery = true;
    assert!(difference(&before, &promoted).is_usable());
}

#[test]
fn hidden_entries_never_diminish_and_are_never_complete() {
    let mut world = World::new(16);
    (1..4).for_each(|id| world.run(id, 3.0));
    let mut before = world.read();
    world.run(1, 3.0);
    let mut after = world.read();
    for snapshot in [&mut before, &mut after] {
        snapshot.entries.truncate(1);
        snapshot.entries[0].key.queryid = None;
    }
    let found = difference(&before, &after);
    assert_eq!(found.changes[0].doubt, Some(Doubt::Hidden));
    assert_eq!(found.completeness.calls, 0.0);
    let found = difference(&after, &{
        let mut later = before.clone();
        later.origin.taken_at += 100.0;
        later
    });
    assert_eq!(found.changes, []);
}

#[test]
fn changed_settings_are_told() {
    let mut world = World::new(16);
    world.run(1, 3.0);
    let before = world.read();
    let mut after = world.read();
    after
        .origin
        .settings
        .insert("track_io_timing".to_owned(), "on".to_owned());
    after.origin.extension = "1.7".to_owned();
    let words: Vec<_> = difference(&before, &after)
        .doubts
        .iter()
        .map(WindowDoubt::words)
        .collect();
    assert_eq!(
        words,
        [
            "the extension was updated from 1.8 to 1.7",
            "track_io_timing was changed from unknown to on"
        ]
    );
}
