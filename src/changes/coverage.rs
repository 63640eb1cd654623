//! Sets of half-open ranges on one axis: what is covered, and what is left.

use super::key::Bound;

/// A half-open range `[from, to)`; empty ones are never kept.
pub type Range = (i128, i128);

/// What a table's partitions cover, as sorted, disjoint, merged ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(Vec<Range>);

impl Coverage {
    /// Builds the union of any ranges, in any order, overlapping or not.
    pub fn of(ranges: impl IntoIterator<Item = (Bound, Bound)>) -> Self {
        let mut ranges: Vec<Range> = ranges
            .into_iter()
            .map(|(from, to)| (edge(from), edge(to)))
            .filter(|(from, to)| from < to)
            .collect();
        ranges.sort_unstable();
        let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        Self(merged)
    }

    /// Returns the parts of `[from, to)` that nothing covers, in order.
    pub fn missing(&self, (from, to): Range) -> Vec<Range> {
        let mut missing = Vec::new();
        let mut at = from;
        let first = self.0.partition_point(|range| range.1 <= from);
        for &(covered_from, covered_to) in &self.0[first..] {
            if covered_from >= to || at >= to {
                break;
            }
            if covered_from > at {
                missing.push((at, covered_from));
            }
            at = at.max(covered_to);
        }
        if at < to {
            missing.push((at, to));
        }
        missing
    }

    /// Returns the first value at or after `value` that nothing covers; `None` when all of it is.
    pub fn first_uncovered(&self, value: i128) -> Option<i128> {
        match self
            .0
            .iter()
            .find(|range| range.0 <= value && value < range.1)
        {
            None => Some(value),
            Some(range) if range.1 == i128::MAX => None,
            Some(range) => Some(range.1),
        }
    }

    /// Returns the merged ranges.
    pub fn ranges(&self) -> &[Range] {
        &self.0
    }
}

/// Maps a bound to an integer edge; MINVALUE and MAXVALUE are the ends of the number line.
pub const fn edge(bound: Bound) -> i128 {
    match bound {
        Bound::Min => i128::MIN,
        Bound::Value(value) => value,
        Bound::Max => i128::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(ranges: &[Range]) -> Vec<(Bound, Bound)> {
        ranges
            .iter()
            .map(|&(from, to)| (Bound::Value(from), Bound::Value(to)))
            .collect()
    }

    proptest! {
        #[test]
        fn covered_and_missing_make_the_window_exactly_once(
            starts in prop::collection::vec((-60_i128..60, 1_i128..25), 0..12),
            from in -50_i128..50, length in 1_i128..60,
        ) {
            let ranges: Vec<Range> = starts.iter().map(|&(at, len)| (at, at + len)).collect();
            let coverage = Coverage::of(values(&ranges));
            let missing = coverage.missing((from, from + length));
            for value in from..from + length {
                let old = ranges.iter().any(|&(a, b)| a <= value && value < b);
                let new = missing.iter().filter(|&&(a, b)| a <= value && value < b).count();
                prop_assert_eq!(usize::from(!old), new, "value {}", value);
            }
            for &(a, b) in &missing {
                prop_assert!(from <= a && a < b && b <= from + length);
            }
        }

        #[test]
        fn first_uncovered_is_the_first_value_outside(
            starts in prop::collection::vec((-60_i128..60, 1_i128..25), 0..12), at in -50_i128..50,
        ) {
            let ranges: Vec<Range> = starts.iter().map(|&(at, len)| (at, at + len)).collect();
            let found = Coverage::of(values(&ranges)).first_uncovered(at);
            let wanted = (at..).find(|value| !ranges.iter().any(|&(a, b)| a <= *value && *value < b));
            prop_assert_eq!(found, wanted);
        }
    }

    #[test]
    fn unbounded_ends_cover_to_the_ends() {
        let coverage = Coverage::of([(Bound::Min, Bound::Value(3)), (Bound::Value(9), Bound::Max)]);
        assert_eq!(coverage.missing((-100, 100)), vec![(3, 9)]);
        assert_eq!(coverage.first_uncovered(20), None);
        assert_eq!(coverage.first_uncovered(-7), Some(3));
    }
}
