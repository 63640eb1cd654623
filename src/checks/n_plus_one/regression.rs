//! Least squares with bounded coefficients over a handful of terms, and what windows of counts say by themselves.

/// A term that may explain a series, and the range of its coefficient.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub(super) series: Vec<f64>,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// What explains a series best.
#[derive(Debug, Clone, Default)]
pub(super) struct Fit {
    /// Index of each chosen term, with its coefficient.
    pub(super) chosen: Vec<(usize, f64)>,
    /// Squares that remain, divided by the degrees of freedom that remain.
    pub(super) variance: f64,
}

const SWEEPS: usize = 60;

/// Returns the differences of neighbours: slow drift goes, what happens within a window stays.
pub(super) fn differences(series: &[f64]) -> Vec<f64> {
    series.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Returns the Fano factor by first differences: about 1 for single events, about k for events in bundles of k.
pub(super) fn fano(series: &[f64]) -> f64 {
    let mean = mean(series);
    let steps = differences(series);
    if mean <= 0.0 || steps.is_empty() {
        return 0.0;
    }
    dot(&steps, &steps) / steps.len() as f64 / (2.0 * mean)
}

/// Returns the same from the median of neighbours' differences: a few jumps of the rate do not move it.
pub(super) fn steady_fano(series: &[f64]) -> f64 {
    let mut ratios: Vec<f64> = series
        .windows(2)
        .filter(|pair| pair[0] + pair[1] > 0.0)
        .map(|pair| (pair[1] - pair[0]).powi(2) / (pair[0] + pair[1]))
        .collect();
    ratios.sort_by(f64::total_cmp);
    let Some(median) = ratios.get(ratios.len() / 2) else {
        return 0.0;
    };
    // The median of a squared normal variable of variance 1.
    median / 0.455
}

pub(super) fn mean(series: &[f64]) -> f64 {
    series.iter().sum::<f64>() / series.len().max(1) as f64
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Returns the correlation; 0 where one of them stands still.
pub(super) fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut both, mut left, mut right) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        both += (x - mean_a) * (y - mean_b);
        left += (x - mean_a).powi(2);
        right += (y - mean_b).powi(2);
    }
    if left <= 0.0 || right <= 0.0 {
        0.0
    } else {
        both / (left * right).sqrt()
    }
}

/// Coefficients of the terms, each within its range, with the least squares left.
pub(super) fn bounded(target: &[f64], terms: &[&Term]) -> Vec<f64> {
    let mut coefficients = vec![0.0_f64; terms.len()];
    let mut rest = target.to_vec();
    for _ in 0..SWEEPS {
        let mut moved = 0.0_f64;
        for (term, coefficient) in terms.iter().zip(coefficients.iter_mut()) {
            let square = dot(&term.series, &term.series);
            if square <= 0.0 {
                continue;
            }
            let wanted = *coefficient + dot(&term.series, &rest) / square;
            let next = wanted.clamp(term.low, term.high);
            let step = next - *coefficient;
            if step != 0.0 {
                for (left, x) in rest.iter_mut().zip(&term.series) {
                    *left -= step * x;
                }
                *coefficient = next;
                moved = moved.max(step.abs());
            }
        }
        if moved < 1e-6 {
            break;
        }
    }
    coefficients
}

/// What the terms leave of the target.
pub(super) fn residual(target: &[f64], terms: &[&Term], coefficients: &[f64]) -> Vec<f64> {
    let mut rest = target.to_vec();
    for (term, coefficient) in terms.iter().zip(coefficients) {
        for (left, x) in rest.iter_mut().zip(&term.series) {
            *left -= coefficient * x;
        }
    }
    rest
}

/// Chooses terms one by one, always the one that explains most, while each still takes away `gain` of what is left
/// after its degree of freedom is paid for.
pub(super) fn forward(
    target: &[f64],
    start: &[Term],
    pool: &[Term],
    most: usize,
    gain: f64,
) -> Fit {
    let mut chosen: Vec<usize> = Vec::new();
    let fixed: Vec<&Term> = start.iter().collect();
    let variance_of = |terms: &[&Term]| {
        let coefficients = bounded(target, terms);
        let rest = residual(target, terms, &coefficients);
        let used = coefficients.iter().filter(|c| c.abs() > 1e-9).count();
        let free = target.len().saturating_sub(used).max(1);
        (dot(&rest, &rest) / free as f64, coefficients)
    };
    let (mut variance, _) = variance_of(&fixed);
    while chosen.len() < most {
        let mut best: Option<(usize, f64)> = None;
        for index in 0..pool.len() {
            if chosen.contains(&index) {
                continue;
            }
            let mut terms = fixed.clone();
            terms.extend(chosen.iter().chain([&index]).filter_map(|i| pool.get(*i)));
            let (left, _) = variance_of(&terms);
            if best.is_none_or(|(_, least)| left < least) {
                best = Some((index, left));
            }
        }
        match best {
            Some((index, left)) if left < variance * (1.0 - gain) => {
                chosen.push(index);
                variance = left;
            }
            _ => break,
        }
    }
    let mut terms = fixed.clone();
    terms.extend(chosen.iter().filter_map(|i| pool.get(*i)));
    let (variance, coefficients) = variance_of(&terms);
    let chosen = chosen
        .into_iter()
        .zip(coefficients.into_iter().skip(fixed.len()))
        .collect();
    Fit { chosen, variance }
}

/// From 0 at `low` to 1 at `high`.
pub(super) fn ramp(value: f64, low: f64, high: f64) -> f64 {
    if value.is_nan() {
        return 0.0;
    }
    ((value - low) / (high - low)).clamp(0.0, 1.0)
}
