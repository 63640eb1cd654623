//! Changes that are there are found, noise is not, and what one side alone has is told apart.

use super::*;

fn figures(values: &[f64], seconds: f64) -> Figures {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / n;
    Figures {
        calls: n,
        total_ms: n * mean,
        time_share: None,
        calls_per_s: Some(n / seconds),
        since: None,
        mean_ms: Some(mean),
        stddev_ms: Some(variance.sqrt()),
        min_ms: None,
        max_ms: None,
        p95: None,
        rows_per_call: Some(1.0),
        blocks_per_call: Some(4.0),
        blocks_per_row: Some(4.0),
        reads_per_call: Some(0.0),
        cache_hit: None,
        read_ms_per_call: None,
        plans_per_call: None,
        plan_ms_per_call: None,
        plan_share: None,
        temp_bytes_per_call: None,
        wal_bytes_per_call: None,
        jit_ms_per_call: None,
        jit_share: None,
        workers_wanted_per_call: None,
        workers_got: None,
    }
}

fn one(number: i64, figures: Figures) -> One {
    One {
        identity: Identity {
            fingerprint: format!("f{number}"),
            database: "app".to_owned(),
            role: "web".to_owned(),
            nested: false,
        },
        queryids: vec![number],
        text: None,
        figures,
    }
}

fn side(statements: Vec<One>) -> Side {
    Side {
        seconds: Some(60.0),
        statements,
        ..Side::default()
    }
}

struct Draw(fastrand::Rng);

impl Draw {
    fn normal(&mut self) -> f64 {
        let (a, b) = (self.0.f64().max(1e-12), self.0.f64());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// Log-normal times with this mean and ratio of deviation to mean, all shifted by `noise` of the mean: what
    /// one run differs from the next by.
    fn times(&mut self, n: usize, mean: f64, spread: f64, noise: f64) -> Vec<f64> {
        let sigma = (spread * spread).ln_1p().sqrt();
        let shift = 1.0 + noise * self.normal();
        let center = mean.ln() - sigma * sigma / 2.0;
        (0..n)
            .map(|_| shift * (center + sigma * self.normal()).exp())
            .collect()
    }
}

#[test]
fn twice_as_slow_is_found_among_ten_thousand_that_did_not_change() {
    let mut draw = Draw(fastrand::Rng::with_seed(20));
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for number in 0..10_000 {
        let mean = 5.0 * 10_f64.powf(2.0 * draw.0.f64());
        let spread = 0.2 + 0.5 * draw.0.f64();
        for side in [&mut before, &mut after] {
            let values = draw.times(100, mean, spread, 0.05);
            side.push(one(number, figures(&values, 60.0)));
        }
    }
    let quiet = compare(
        &side(before.clone()),
        &side(after.clone()),
        &Limits::default(),
    );
    assert!(quiet.changed.len() <= 1, "{:?}", quiet.changed);
    for number in 10_000..10_400 {
        let mean = 5.0 * 10_f64.powf(2.0 * draw.0.f64());
        let spread = 0.2 + 0.5 * draw.0.f64();
        for (side, factor) in [(&mut before, 1.0), (&mut after, 2.0)] {
            let values = draw.times(100, mean * factor, spread, 0.05);
            side.push(one(number, figures(&values, 60.0)));
        }
    }
    let found = compare(&side(before), &side(after), &Limits::default());
    let slower: Vec<&Changed> = found
        .changed
        .iter()
        .filter(|one| one.changes == [Change::Slower])
        .collect();
    let right = slower
        .iter()
        .filter(|one| one.queryids[0] >= 10_000)
        .count();
    println!("{right} of 400 found, {} false", slower.len() - right);
    assert!(right >= 380, "{right} of 400 found");
    assert!(
        slower.len() - right <= 1,
        "{} false alarms",
        slower.len() - right
    );
    assert!(
        found
            .changed
            .windows(2)
            .all(|two| two[0].added_ms >= two[1].added_ms)
    );
}

#[test]
fn heavy_tails_do_not_alarm() {
    let mut draw = Draw(fastrand::Rng::with_seed(21));
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for number in 0..10_000 {
        for side in [&mut before, &mut after] {
            // Deviation three times the mean, thirty to one hundred and thirty calls.
            let n = 30 + draw.0.usize(..100);
            let values = draw.times(n, 20.0, 3.0, 0.05);
            side.push(one(number, figures(&values, 60.0)));
        }
    }
    let limits = Limits {
        calls_ratio: f64::INFINITY,
        ..Limits::default()
    };
    let found = compare(&side(before), &side(after), &limits);
    assert!(
        found.changed.len() <= 1,
        "{} false alarms",
        found.changed.len()
    );
}

/// Statements of which a call takes less than the floor, on servers with twenty each: any of them is more than a
/// hundredth of all time, and twenty tests let more by chance pass than ten thousand do.
#[test]
fn cheap_statements_that_double_are_found_and_noise_is_not() {
    let mut draw = Draw(fastrand::Rng::with_seed(22));
    let (mut alarms, mut found) = (0, 0);
    for _ in 0..500 {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for number in 0..21 {
            let mean = 0.1 + 0.5 * draw.0.f64();
            let spread = 0.2 + 0.5 * draw.0.f64();
            let factor = if number == 20 { 2.0 } else { 1.0 };
            for (side, factor) in [(&mut before, 1.0), (&mut after, factor)] {
                let values = draw.times(100, mean * factor, spread, 0.05);
                side.push(one(number, figures(&values, 60.0)));
            }
        }
        for one in compare(&side(before), &side(after), &Limits::default()).changed {
            match one.queryids[0] {
                20 => found += usize::from(one.changes == [Change::Slower]),
                _ => alarms += 1,
            }
        }
    }
    println!("{found} of 500 cheap ones found, {alarms} false alarms of 10000");
    assert!(alarms <= 1, "{alarms} false alarms");
    assert!(found >= 475, "{found} of 500 found");
}

fn steady(calls: usize, mean: f64) -> Figures {
    let values: Vec<f64> = (0..calls)
        .map(|at| mean * if at % 2 == 0 { 0.8 } else { 1.2 })
        .collect();
    figures(&values, 60.0)
}

#[test]
fn each_guard_alone_keeps_an_alarm_back() {
    // Beside it all else that a server does, which does not change.
    let rest = || one(2, steady(1_000, 1_000.0));
    let verdict = |a: Figures, b: Figures| {
        let found = compare(
            &side(vec![one(1, a), rest()]),
            &side(vec![one(1, b), rest()]),
            &Limits::default(),
        );
        found.changed.first().map(|one| one.changes.clone())
    };
    assert_eq!(
        verdict(steady(100, 10.0), steady(100, 20.0)),
        Some(vec![Change::Slower])
    );
    assert_eq!(
        verdict(steady(100, 20.0), steady(100, 10.0)),
        Some(vec![Change::Faster])
    );
    // The ratio, the floor, the calls.
    assert_eq!(verdict(steady(100, 10.0), steady(100, 14.0)), None);
    assert_eq!(verdict(steady(100, 1.0), steady(100, 2.9)), None);
    assert_eq!(verdict(steady(29, 10.0), steady(29, 20.0)), None);
    // Often called: a smaller floor.
    assert_eq!(
        verdict(steady(6_060, 1.0), steady(6_060, 2.0)),
        Some(vec![Change::Slower])
    );
    // A hundredth of all time, whatever a call takes, and just below that.
    assert_eq!(
        verdict(steady(5_900, 1.0), steady(5_900, 2.9)),
        Some(vec![Change::Slower])
    );
    assert_eq!(verdict(steady(5_000, 1.0), steady(5_000, 2.9)), None);
}

#[test]
fn blocks_rows_and_calls_have_their_own_words() {
    let more = |change: fn(&mut Figures)| {
        let mut b = steady(100, 10.0);
        change(&mut b);
        let found = compare(
            &side(vec![one(1, steady(100, 10.0))]),
            &side(vec![one(1, b)]),
            &Limits::default(),
        );
        found.changed.first().map(|one| one.changes.clone())
    };
    assert_eq!(
        more(|b| b.blocks_per_call = Some(40.0)),
        Some(vec![Change::MoreBlocks])
    );
    assert_eq!(more(|b| b.blocks_per_call = Some(9.0)), None);
    assert_eq!(
        more(|b| b.rows_per_call = Some(30.0)),
        Some(vec![Change::MoreRows])
    );
    assert_eq!(
        more(|b| b.calls_per_s = Some(10.0)),
        Some(vec![Change::MoreCalls])
    );
    assert_eq!(more(|b| b.blocks_per_call = None), None);
}

#[test]
fn new_gone_and_evicted_are_told_apart_and_times_are_scaled() {
    let before = Side {
        seconds: Some(600.0),
        ..side(vec![one(1, steady(100, 10.0)), one(2, steady(10, 10.0))])
    };
    let mut after = side(vec![one(3, steady(100, 5.0))]);
    let words = |after: &Side| -> Vec<(i64, Change, f64)> {
        let found = compare(&before, after, &Limits::default());
        let all = found.changed.iter();
        all.map(|one| (one.queryids[0], one.changes[0], one.added_ms.round()))
            .collect()
    };
    assert_eq!(
        words(&after),
        [
            (3, Change::New, 500.0),
            (2, Change::Gone, -10.0),
            (1, Change::Gone, -100.0)
        ]
    );
    after.evictions = Some(true);
    after.present.insert(2);
    assert_eq!(
        words(&after),
        [
            (3, Change::New, 500.0),
            (2, Change::Gone, -10.0),
            (1, Change::Evicted, -100.0)
        ]
    );
}

#[test]
fn other_settings_are_named() {
    let of = |track: &str| Side {
        settings: [("pg_stat_statements.track".to_owned(), track.to_owned())].into(),
        ..Side::default()
    };
    assert_eq!(different_settings(&of("top"), &of("top")), []);
    assert_eq!(different_settings(&of("top"), &Side::default()), []);
    assert_eq!(different_settings(&of("top"), &of("all")).len(), 1);
}
