//! Whether two means differ by more than chance: Welch's test, and Holm's correction for many of them.

/// A number of values by their moments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// How many.
    pub n: f64,
    /// Their mean.
    pub mean: f64,
    /// Their population standard deviation.
    pub stddev: f64,
}

/// Returns the two-sided probability that samples with one mean differ as much as these; `None` where it cannot be
/// told: fewer than two values, a mean of 0, or no deviation at all.
///
/// Welch's test of the logarithms of the means, whose variance is `(sd / mean)² / n` to the first order. Latencies
/// vary in proportion to their mean: a statement that became slower varies more as well, and the plain difference
/// would hide the change behind that.
pub fn probability(a: &Sample, b: &Sample) -> Option<f64> {
    beyond(a, b, 0.0)
}

/// The same for samples whose means differ anyway from run to run, by `noise` of themselves: a cache that is not yet
/// warm, a neighbour on the machine.
pub fn beyond(a: &Sample, b: &Sample, noise: f64) -> Option<f64> {
    let relative = |one: &Sample| {
        // The server divides by n, an estimate by n - 1.
        let known = one.n >= 2.0 && one.mean > 0.0 && one.stddev.is_finite();
        known.then(|| (one.stddev / one.mean).powi(2) / (one.n - 1.0))
    };
    let (va, vb) = (relative(a)?, relative(b)?);
    if va + vb <= 0.0 {
        return None;
    }
    let runs = 2.0 * noise * noise;
    let t = (b.mean / a.mean).ln() / (va + vb + runs).sqrt();
    let freedom = (va + vb).powi(2) / (va.powi(2) / (a.n - 1.0) + vb.powi(2) / (b.n - 1.0));
    Some(two_sided(t, freedom))
}

/// Returns which of these probabilities are below `alpha` all together, by Holm's method: the chance of even one
/// false one among them is at most `alpha`.
pub fn holm(probabilities: &[f64], alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    let of = |at: usize| probabilities.get(at).copied().unwrap_or(1.0);
    order.sort_by(|&a, &b| of(a).total_cmp(&of(b)));
    let mut found = vec![false; probabilities.len()];
    for (rank, &at) in order.iter().enumerate() {
        let left = (probabilities.len() - rank) as f64;
        if of(at) * left > alpha {
            break;
        }
        if let Some(place) = found.get_mut(at) {
            *place = true;
        }
    }
    found
}

/// The probability of Student's distribution beyond `±t`.
fn two_sided(t: f64, freedom: f64) -> f64 {
    incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// The regularised incomplete beta function, by its continued fraction.
/// <https://dlmf.nist.gov/8.17#v>
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (a * x.ln() + b * (-x).ln_1p() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b)).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    }
}

/// The continued fraction of the incomplete beta function, by Lentz's method.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for step in 1..1_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        result *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        result *= d * c;
        if (d * c - 1.0).abs() < 1e-13 {
            break;
        }
    }
    result
}

/// The logarithm of the gamma function above 0, by Lanczos's approximation.
fn ln_gamma(x: f64) -> f64 {
    const SERIES: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        // Γ(x) Γ(1 - x) = π / sin πx
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let t = x + 7.5;
    let mut sum = 0.999_999_999_999_809_9;
    for (at, coefficient) in SERIES.iter().enumerate() {
        sum += coefficient / (x + at as f64 + 1.0);
    }
    0.5 * std::f64::consts::TAU.ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_that_of_the_tables() {
        // Critical values of Student's distribution.
        for (t, freedom, expected) in [
            (12.706, 1.0, 0.05),
            (2.776, 4.0, 0.05),
            (2.042, 30.0, 0.05),
            (3.646, 30.0, 0.001),
            (3.390, 100.0, 0.001),
            (1.96, 1e6, 0.05),
        ] {
            let found = two_sided(t, freedom);
            assert!(
                (found / expected - 1.0).abs() < 5e-3,
                "{t} {freedom}: {found}"
            );
        }
        assert!((two_sided(0.0, 7.0) - 1.0).abs() < 1e-12);
        let far = two_sided(12.0, 200.0);
        assert!(far > 0.0 && far < 1e-20, "{far}");
    }

    #[test]
    fn equal_means_are_likely_and_others_not() {
        let of = |mean: f64, stddev: f64| Sample {
            n: 100.0,
            mean,
            stddev,
        };
        let same = probability(&of(10.0, 7.0), &of(10.0, 7.0)).unwrap();
        assert!((same - 1.0).abs() < 1e-9);
        let twice = probability(&of(10.0, 7.0), &of(20.0, 14.0)).unwrap();
        let back = probability(&of(20.0, 14.0), &of(10.0, 7.0)).unwrap();
        assert!(
            twice < 1e-9 && (twice / back - 1.0).abs() < 1e-9,
            "{twice} {back}"
        );
        assert_eq!(probability(&of(10.0, 0.0), &of(10.0, 0.0)), None);
        assert_eq!(probability(&of(0.0, 0.0), &of(10.0, 1.0)), None);
    }

    #[test]
    fn holm_corrects_for_their_number() {
        let of = |list: &[f64]| holm(list, 0.05);
        assert_eq!(of(&[0.04]), [true]);
        assert_eq!(of(&[0.04, 0.04]), [false, false]);
        // 0.01 ≤ 0.05/4, 0.013 ≤ 0.05/3, 0.03 > 0.05/2: what follows is not looked at.
        assert_eq!(of(&[0.03, 0.01, 0.04, 0.013]), [false, true, false, true]);
        assert_eq!(of(&[]), Vec::<bool>::new());
    }
}
