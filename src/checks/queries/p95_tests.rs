//! The bounds hold for every draw of nine shapes of latency, and for small populations tried out in full.

use super::*;

/// A generator with a fixed seed.
struct Draw(fastrand::Rng);

impl Draw {
    fn uniform(&mut self) -> f64 {
        self.0.f64().max(1e-12)
    }

    fn normal(&mut self) -> f64 {
        let (a, b) = (self.uniform(), self.uniform());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    fn shape(&mut self, shape: usize) -> f64 {
        match shape {
            0 => (10.0 * (1.0 + 0.2 * self.normal())).max(0.0),
            1 => (0.5 * self.normal()).exp(),
            2 => self.normal().exp(),
            3 => (1.5 * self.normal()).exp(),
            4 => -self.uniform().ln(),
            5 => self.uniform().powf(-1.0 / 2.2),
            6 if self.uniform() < 0.1 => 50.0 * (1.0 + 0.1 * self.normal()),
            7 if self.uniform() < 0.02 => 500.0 * (1.0 + 0.1 * self.normal()),
            8 if self.uniform() < 0.0001 => 2_000.0,
            _ => (1.0 + 0.1 * self.normal()).max(0.0),
        }
    }
}

/// The true percentile of a shape, of 200 000 draws.
fn truth(draw: &mut Draw, shape: usize) -> f64 {
    let mut all: Vec<f64> = (0..200_000).map(|_| draw.shape(shape)).collect();
    all.sort_by(f64::total_cmp);
    all[rank(200_000) as usize - 1]
}

fn moments(values: &[f64]) -> Moments {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / n;
    Moments {
        calls: values.len() as u64,
        mean,
        stddev: Some(variance.sqrt()),
        min: Extreme::Taken(values.iter().copied().fold(f64::INFINITY, f64::min)),
        max: Extreme::Taken(values.iter().copied().fold(0.0, f64::max)),
    }
}

fn exact(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[rank(values.len() as u64) as usize - 1]
}

/// What is left when less is known.
fn weaker(full: &Moments) -> [Moments; 4] {
    let (Extreme::Taken(min), Extreme::Taken(max)) = (full.min, full.max) else {
        panic!("full moments")
    };
    [
        *full,
        Moments {
            min: Extreme::Bound(min * 0.9),
            max: Extreme::Bound(max * 1.2),
            ..*full
        },
        Moments {
            min: Extreme::Unknown,
            max: Extreme::Unknown,
            ..*full
        },
        Moments {
            stddev: None,
            ..*full
        },
    ]
}

#[test]
fn verdicts_are_never_wrong_and_seldom_unknown() {
    let mut draw = Draw(fastrand::Rng::with_seed(95));
    let mut asked = [0_u32; 4];
    let mut unknown = [0_u32; 4];
    for shape in 0..9 {
        let p95 = truth(&mut draw, shape);
        for round in 0..1_000 {
            let n = if round % 2 == 0 { 100 } else { 1_000 };
            let mut values: Vec<f64> = (0..n).map(|_| draw.shape(shape)).collect();
            let full = moments(&values);
            let own = exact(&mut values);
            for known in weaker(&full) {
                let found = percentile(&known).unwrap();
                assert!(
                    found.low <= own && own <= found.high,
                    "shape {shape}, {known:?}: {own} outside {found:?}"
                );
                for (at, factor) in [0.25, 0.5, 2.0, 4.0].into_iter().enumerate() {
                    let limit = p95 * factor;
                    let verdict = found.above(limit);
                    let wrong = match verdict {
                        Above::Yes => own <= limit,
                        Above::No => own > limit,
                        Above::Unknown => false,
                    };
                    assert!(!wrong, "shape {shape}: {own} against {limit}: {found:?}");
                    if known == full {
                        asked[at] += 1;
                        unknown[at] += u32::from(verdict == Above::Unknown);
                    }
                }
            }
        }
    }
    let share = |at: usize| f64::from(unknown[at]) / f64::from(asked[at]);
    println!(
        "unknown with the limit at 0.25, 0.5, 2, 4 times the percentile: {:.3} {:.3} {:.3} {:.3}",
        share(0),
        share(1),
        share(2),
        share(3)
    );
    assert!(
        share(2) <= 0.35,
        "{} unknown at twice the percentile",
        share(2)
    );
    assert!(share(3) <= 0.15, "{} unknown at four times it", share(3));
}

#[test]
fn the_estimate_is_close_for_shapes_with_one_peak() {
    let mut draw = Draw(fastrand::Rng::with_seed(5));
    for shape in 0..6 {
        let p95 = truth(&mut draw, shape);
        let values: Vec<f64> = (0..200_000).map(|_| draw.shape(shape)).collect();
        let mut known = moments(&values);
        // The heaviest tails pass the border to "bimodal" by chance.
        known.stddev = known.stddev.map(|one| one.min(known.mean * BIMODAL));
        let Estimate::About(ms) = percentile(&known).unwrap().estimate else {
            panic!("shape {shape} has no estimate: {known:?}")
        };
        let factor = ms / p95;
        assert!((0.9..=1.4).contains(&factor), "shape {shape}: {factor}");
    }
}

/// Every population of five values of 0, 1, 2, 3 ms and twenty-one of two values: the interval holds the truth, and
/// no interval is wider than what populations with the same moments have, apart from grid and rounding.
#[test]
fn small_populations_are_all_inside() {
    for code in 0..4_u32.pow(5) {
        let mut values: Vec<f64> = (0..5)
            .map(|at| f64::from(code / 4_u32.pow(at) % 4))
            .collect();
        let full = moments(&values);
        let own = exact(&mut values);
        // The percentile of fewer than twenty is the maximum, which is known.
        assert!((percentile(&full).unwrap().high - own).abs() < 1e-6);
        for known in weaker(&full) {
            let found = percentile(&known).unwrap();
            assert!(
                found.low <= own + 1e-9 && own <= found.high + 1e-9,
                "{values:?} {known:?} {found:?}"
            );
        }
    }
    for slow in 1..40 {
        let mut values = vec![1.0; 40 - slow];
        values.extend(vec![100.0; slow]);
        let full = moments(&values);
        let own = exact(&mut values);
        let found = percentile(&full).unwrap();
        // Two values at the ends: the moments allow nothing else.
        assert!(
            (found.low - own).abs() < 0.5 && (found.high - own).abs() < 0.5,
            "{slow}: {own} {found:?}"
        );
    }
}

#[test]
fn the_bounds_without_ends_are_those_of_order_statistics() {
    // Mallows and Richter: mean - sd √((n-k)/k) and mean + sd √((k-1)/(n-k+1)).
    let known = Moments {
        calls: 1_000,
        mean: 1_000.0,
        stddev: Some(100.0),
        min: Extreme::Unknown,
        max: Extreme::Unknown,
    };
    let found = percentile(&known).unwrap();
    let (n, k) = (1_000.0_f64, 950.0_f64);
    let low = 1_000.0 - 100.0 * ((n - k) / k).sqrt();
    let high = 1_000.0 + 100.0 * ((k - 1.0) / (n - k + 1.0)).sqrt();
    assert!((found.low - low).abs() < 0.1, "{found:?} {low}");
    assert!((found.high - high).abs() < 0.1, "{found:?} {high}");
    // A known maximum narrows it from below, a small mean from above.
    let capped = percentile(&Moments {
        max: Extreme::Taken(1_100.0),
        ..known
    });
    assert!(capped.unwrap().high <= 1_100.0);
    let mean_only = percentile(&Moments {
        stddev: None,
        ..known
    });
    assert!((mean_only.unwrap().high - 1_000.0 * n / 51.0).abs() < 0.1);
}

#[test]
fn estimates_are_refused_where_they_would_mislead() {
    let known = Moments {
        calls: 29,
        mean: 1.0,
        stddev: Some(0.5),
        min: Extreme::Unknown,
        max: Extreme::Unknown,
    };
    let of = |known: Moments| percentile(&known).unwrap().estimate;
    assert_eq!(of(known), Estimate::TooFewCalls);
    let many = Moments { calls: 30, ..known };
    assert!(matches!(of(many), Estimate::About(_)));
    let wild = Moments {
        stddev: Some(3.1),
        ..many
    };
    assert_eq!(of(wild), Estimate::Bimodal);
    let blind = Moments {
        stddev: None,
        ..many
    };
    assert_eq!(of(blind), Estimate::NoDeviation);
    assert_eq!(percentile(&Moments { calls: 0, ..known }), None);
    let once = percentile(&Moments {
        calls: 1,
        stddev: Some(0.0),
        min: Extreme::Taken(1.0),
        max: Extreme::Taken(1.0),
        ..known
    });
    let once = once.unwrap();
    assert!((once.low - 1.0).abs() < 1e-9 && (once.high - 1.0).abs() < 1e-9);
}

#[test]
fn the_rank_is_the_nearest_one() {
    for (n, expected) in [
        (1, 1),
        (19, 19),
        (20, 19),
        (21, 20),
        (100, 95),
        (101, 96),
        (1_000, 950),
    ] {
        assert_eq!(rank(n), expected, "{n}");
    }
    let means: Vec<f64> = (1..=20).map(f64::from).collect();
    assert_eq!(of_window_means(&means), Some(19.0));
    assert_eq!(of_window_means(&means[1..]), None);
}
