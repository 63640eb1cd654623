//! What the 95th percentile of a statement's execution time can be, from the moments that the server keeps.
//!
//! `pg_stat_statements` keeps no distribution, only count, mean, standard deviation, minimum and maximum. From them
//! an interval follows that holds for every distribution; the true value is in it for certain. A single number does
//! not follow: mean + 1.645 deviations is wrong by a factor of 0.6 to 50 on the latencies that servers have.

/// An end of the range of executions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Extreme {
    /// One of the executions took exactly this long, in milliseconds.
    Taken(f64),
    /// No execution went beyond this, in milliseconds: kept over a longer time than the executions looked at.
    Bound(f64),
    /// Nothing is known.
    Unknown,
}

/// What is known of a number of executions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// How many.
    pub calls: u64,
    /// Their mean, in milliseconds.
    pub mean: f64,
    /// Their population standard deviation, in milliseconds; `None`: not known.
    pub stddev: Option<f64>,
    /// The shortest.
    pub min: Extreme,
    /// The longest.
    pub max: Extreme,
}

/// What the 95th percentile can be: the smallest execution time that at least 95 % of the executions did not exceed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentile {
    /// It is not below this, in milliseconds.
    pub low: f64,
    /// It is not above this, in milliseconds.
    pub high: f64,
    /// What it is if the executions are distributed log-normally, in milliseconds.
    pub estimate: Estimate,
}

/// An estimate, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Estimate {
    /// Milliseconds.
    About(f64),
    /// Fewer than [`FEWEST_CALLS`] executions.
    TooFewCalls,
    /// Deviation above [`BIMODAL`] means: several kinds of executions, no distribution with one peak.
    Bimodal,
    /// The deviation is not known.
    NoDeviation,
    /// None is needed: the ends are those of a histogram's bucket.
    Counted,
}

/// Whether a percentile is above a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Above {
    /// For certain.
    Yes,
    /// For certain not.
    No,
    /// The moments allow both.
    Unknown,
}

/// Below this many executions there is no estimate.
pub const FEWEST_CALLS: u64 = 30;

/// Above this ratio of deviation to mean there is no estimate.
pub const BIMODAL: f64 = 3.0;

/// The 95th percentile of the normal distribution.
const Z95: f64 = 1.644_853_626_951_472_6;

/// Counters are sums of rounded doubles: a variance this close counts as possible.
const SLACK: f64 = 1e-9;

/// Bisections of the range; more than a double has bits of precision.
const STEPS: usize = 64;

/// Returns what the 95th percentile can be; `None` without executions or with a mean that is no time.
pub fn percentile(moments: &Moments) -> Option<Percentile> {
    let known = Known::new(moments)?;
    // Counters of a life hide a deviation of a window that is far smaller; a figure that contradicts the others is none.
    let (known, moments) = match known.is_possible() {
        true => (known, *moments),
        false => {
            let moments = Moments {
                stddev: None,
                ..*moments
            };
            let known = Known::new(&moments).filter(Known::is_possible)?;
            (known, moments)
        }
    };
    let low = known.lowest();
    let high = known.highest().max(low);
    let estimate = match estimate(&moments) {
        Estimate::About(ms) => Estimate::About(ms.clamp(low, high)),
        none => none,
    };
    Some(Percentile {
        low,
        high,
        estimate,
    })
}

impl Percentile {
    /// Whether it is above a limit in milliseconds.
    pub fn above(&self, limit: f64) -> Above {
        if self.low > limit {
            Above::Yes
        } else if self.high <= limit {
            Above::No
        } else {
            Above::Unknown
        }
    }
}

/// The 95th percentile of the means of windows, unweighted: not that of the executions, because a mean hides what
/// happened inside its window. `None` below 20 windows.
pub fn of_window_means(means: &[f64]) -> Option<f64> {
    if means.len() < 20 {
        return None;
    }
    let mut sorted = means.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = rank(sorted.len() as u64);
    sorted
        .get(usize::try_from(rank).ok()?.checked_sub(1)?)
        .copied()
}

fn estimate(moments: &Moments) -> Estimate {
    let Some(stddev) = moments.stddev else {
        return Estimate::NoDeviation;
    };
    if moments.calls < FEWEST_CALLS {
        return Estimate::TooFewCalls;
    }
    if moments.mean <= 0.0 {
        return Estimate::About(0.0);
    }
    let ratio = stddev / moments.mean;
    if ratio > BIMODAL {
        return Estimate::Bimodal;
    }
    let variance = (ratio * ratio).ln_1p();
    Estimate::About(moments.mean * (Z95 * variance.sqrt() - variance / 2.0).exp())
}

/// Returns which of `n` sorted executions, from 1, the 95th percentile is: the nearest rank.
fn rank(n: u64) -> u64 {
    // 19/20 in whole numbers: 0.95 is no double.
    let whole = n / 20;
    let rest = n % 20;
    whole * 19 + (rest * 19).div_ceil(20)
}

/// The moments with every end filled in.
///
/// Both ends of the interval are found in the same way. Whether the percentile can be at most (or at least) `t` is
/// the question whether there are `n` values in `[min, max]` with this mean, this variance and `rank` of them at most
/// `t` (or `n - rank + 1` of them at least `t`). The vectors that satisfy all but the variance are a convex set, so
/// the variance takes every value between its least and its greatest on it; and a larger `t` only widens (or
/// narrows) the set. So the end is where the known variance leaves the range between the two.
struct Known {
    n: f64,
    /// Executions up to and with the percentile.
    up_to: f64,
    sum: f64,
    /// Sum of squares; `None` where the deviation is not known.
    squares: Option<f64>,
    scale: f64,
    min: f64,
    max: f64,
    /// 1 where one of the values is the minimum for certain.
    mins: f64,
    /// 1 where one of the values is the maximum for certain.
    maxs: f64,
}

impl Known {
    fn new(moments: &Moments) -> Option<Self> {
        let mean = moments.mean;
        if moments.calls == 0 || !mean.is_finite() || mean < 0.0 {
            return None;
        }
        let n = moments.calls as f64;
        let sum = n * mean;
        // Rounding may put a mean beside its own minimum.
        let (min, mins) = match moments.min {
            Extreme::Taken(ms) if ms.is_finite() => (ms.clamp(0.0, mean), 1.0),
            Extreme::Bound(ms) if ms.is_finite() => (ms.clamp(0.0, mean), 0.0),
            _ => (0.0, 0.0),
        };
        let (max, maxs) = match moments.max {
            Extreme::Taken(ms) if ms.is_finite() => (ms.max(mean), 1.0),
            Extreme::Bound(ms) if ms.is_finite() => (ms.max(mean), 0.0),
            _ => (sum.max(mean), 0.0),
        };
        let stddev = moments.stddev.filter(|one| one.is_finite() && *one >= 0.0);
        Some(Self {
            n,
            up_to: rank(moments.calls) as f64,
            sum,
            squares: stddev.map(|one| n * (one * one + mean * mean)),
            scale: n * max.max(f64::MIN_POSITIVE) * mean.max(f64::MIN_POSITIVE),
            min,
            max,
            // A minimum and a maximum are two values only where there are two.
            mins: if n > 1.0 { mins } else { 0.0 },
            maxs: if n > 1.0 { maxs } else { 0.0 },
        })
    }

    /// Whether there are executions with these moments at all.
    fn is_possible(&self) -> bool {
        self.can_be_at_most(self.max) && self.can_be_at_least(self.min)
    }

    /// The smallest `t` for which the percentile can be at most `t`.
    fn lowest(&self) -> f64 {
        // Without values above it the percentile is the maximum itself.
        if self.up_to >= self.n && self.maxs > 0.0 {
            return self.max;
        }
        self.bisect(|t| self.can_be_at_most(t), End::Low)
    }

    /// The largest `t` for which the percentile can be at least `t`.
    fn highest(&self) -> f64 {
        if self.up_to <= 1.0 && self.mins > 0.0 && self.n > 1.0 {
            return self.min;
        }
        self.bisect(|t| self.can_be_at_least(t), End::High)
    }

    /// Returns the last place on the impossible side of the border, so that rounding widens the interval.
    fn bisect(&self, possible: impl Fn(f64) -> bool, end: End) -> f64 {
        let (mut inside, mut outside) = match end {
            End::Low => (self.max, self.min),
            End::High => (self.min, self.max),
        };
        if possible(outside) {
            return outside;
        }
        for _ in 0..STEPS {
            let middle = inside + (outside - inside) / 2.0;
            if possible(middle) {
                inside = middle;
            } else {
                outside = middle;
            }
        }
        outside
    }

    fn can_be_at_most(&self, t: f64) -> bool {
        let (low, high) = (self.up_to, self.n - self.up_to);
        self.possible(&Groups {
            low: Group {
                count: low,
                from: self.min,
                to: t,
            },
            high: Group {
                count: high,
                from: self.min,
                to: self.max,
            },
        })
    }

    fn can_be_at_least(&self, t: f64) -> bool {
        let high = self.n - self.up_to + 1.0;
        self.possible(&Groups {
            low: Group {
                count: self.n - high,
                from: self.min,
                to: self.max,
            },
            high: Group {
                count: high,
                from: t,
                to: self.max,
            },
        })
    }

    fn possible(&self, groups: &Groups) -> bool {
        // The known minimum is one of the low group, the known maximum one of the high group.
        let fixed_low = self.mins.min(groups.low.count);
        let fixed_high = self.maxs.min(groups.high.count);
        let low = groups.low.without(fixed_low);
        let high = groups.high.without(fixed_high);
        let sum = self.sum - fixed_low * self.min - fixed_high * self.max;
        let slack = SLACK * self.sum.abs().max(f64::MIN_POSITIVE);
        if sum < low.count * low.from + high.count * high.from - slack
            || sum > low.count * low.to + high.count * high.to + slack
        {
            return false;
        }
        let Some(squares) = self.squares else {
            return true;
        };
        let squares = squares - fixed_low * self.min * self.min - fixed_high * self.max * self.max;
        let slack = SLACK * self.scale;
        least_squares(&low, &high, sum) <= squares + slack
            && most_squares(&low, &high, sum) >= squares - slack
    }
}

#[derive(Clone, Copy)]
enum End {
    Low,
    High,
}

/// Values that lie in one range.
#[derive(Clone, Copy)]
struct Group {
    count: f64,
    from: f64,
    to: f64,
}

struct Groups {
    low: Group,
    high: Group,
}

impl Group {
    fn without(&self, fixed: f64) -> Self {
        Self {
            count: self.count - fixed,
            ..*self
        }
    }
}

/// The least sum of squares with this sum: all values as close to each other as their ranges allow.
fn least_squares(low: &Group, high: &Group, sum: f64) -> f64 {
    let n = low.count + high.count;
    if n <= 0.0 {
        return 0.0;
    }
    let even = sum / n;
    let (a, b) = if even > low.to {
        (low.to, rest(sum, low, low.to, high))
    } else if even < high.from {
        (rest(sum, high, high.from, low), high.from)
    } else {
        (even, even)
    };
    low.count * a * a + high.count * b * b
}

/// The value that one group has when the other one's values are given.
fn rest(sum: f64, given: &Group, value: f64, other: &Group) -> f64 {
    if other.count > 0.0 {
        (sum - given.count * value) / other.count
    } else {
        0.0
    }
}

/// Not less than the greatest sum of squares with this sum: values at the ends of their ranges, those first that
/// gain most. Above `from`, `x²` is at most `from² + (x - from)(from + to)`, with equality at the ends.
fn most_squares(low: &Group, high: &Group, sum: f64) -> f64 {
    let base = low.count * low.from * low.from + high.count * high.from * high.from;
    let excess = (sum - low.count * low.from - high.count * high.from).max(0.0);
    let first = excess.min(high.count * (high.to - high.from));
    base + first * (high.from + high.to) + (excess - first) * (low.from + low.to)
}

#[cfg(test)]
#[path = "p95_tests.rs"]
mod tests;
