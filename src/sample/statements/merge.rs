//! Makes one entry of several that cannot be told apart.

use super::column::{Column, Nature};
use super::model::{Counters, Entry};

/// Sorts entries by key and adds those of one key together; returns how many were added to another.
pub(super) fn merge(entries: &mut Vec<Entry>) -> usize {
    entries.sort_by_key(|entry| entry.key);
    let before = entries.len();
    entries.dedup_by(|next, kept| {
        let same = next.key == kept.key;
        if same {
            kept.counters = together(&kept.counters, &next.counters);
            if kept.text.is_none() {
                kept.text = next.text.take();
            }
        }
        same
    });
    before - entries.len()
}

/// Adds two entries' figures as if the server had counted into one.
fn together(a: &Counters, b: &Counters) -> Counters {
    let mut sum = Counters::default();
    for &column in Column::ALL {
        let value = match (a.get(column), b.get(column)) {
            (Some(x), Some(y)) => match column.nature() {
                Nature::Sum => Some(x + y),
                // The server writes 0 for an extreme that it does not know.
                Nature::Min if x == 0.0 || y == 0.0 => Some(x.max(y)),
                Nature::Min => Some(x.min(y)),
                // What began later knows less: it must not be taken for older than it is.
                Nature::Max | Nature::Instant => Some(x.max(y)),
                Nature::Mean | Nature::Deviation => None,
            },
            (one, other) => one.or(other),
        };
        sum.set(column, value);
    }
    for (calls, total, mean, deviation) in [
        (
            Column::Calls,
            Column::TotalExecTime,
            Column::MeanExecTime,
            Column::StddevExecTime,
        ),
        (
            Column::Plans,
            Column::TotalPlanTime,
            Column::MeanPlanTime,
            Column::StddevPlanTime,
        ),
    ] {
        if sum.get(calls).is_none() || a.get(mean).is_none() {
            continue;
        }
        let count = sum.sum(calls);
        let of = if count > 0.0 {
            sum.sum(total) / count
        } else {
            0.0
        };
        let squares = [a, b]
            .map(|one| one.sum(calls) * (one.sum(deviation).powi(2) + one.sum(mean).powi(2)))
            .iter()
            .sum::<f64>();
        let variance = if count > 0.0 {
            squares / count - of * of
        } else {
            0.0
        };
        sum.set(mean, Some(of));
        sum.set(deviation, Some(variance.max(0.0).sqrt()));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::super::model::Key;
    use super::*;

    /// An entry that counted these times, in milliseconds.
    fn entry(queryid: Option<i64>, times: &[f64]) -> Entry {
        let mut counters = Counters::default();
        let n = times.len() as f64;
        let mean = times.iter().sum::<f64>() / n;
        let variance = times.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / n;
        counters.set(Column::Calls, Some(n));
        counters.set(Column::TotalExecTime, Some(times.iter().sum()));
        counters.set(Column::MeanExecTime, Some(mean));
        counters.set(Column::StddevExecTime, Some(variance.sqrt()));
        counters.set(Column::MinExecTime, times.iter().copied().reduce(f64::min));
        counters.set(Column::MaxExecTime, times.iter().copied().reduce(f64::max));
        let key = Key {
            dbid: 1,
            userid: 2,
            queryid,
            toplevel: None,
        };
        Entry {
            key,
            text: None,
            counters,
        }
    }

    #[test]
    fn two_entries_of_one_key_become_what_one_entry_would_have_counted() {
        let all = [1.0, 5.0, 2.5, 9.0, 0.5, 7.0];
        let mut entries = vec![
            entry(Some(7), &all[..2]),
            entry(Some(3), &[4.0]),
            entry(Some(7), &all[2..]),
        ];
        assert_eq!(merge(&mut entries), 1);
        assert_eq!(entries.len(), 2);
        let whole = entry(Some(7), &all);
        for &column in Column::ALL {
            match (entries[1].counters.get(column), whole.counters.get(column)) {
                (Some(a), Some(b)) => assert!((a - b).abs() < 1e-9, "{column:?}: {a} {b}"),
                (a, b) => assert_eq!(a, b, "{column:?}"),
            }
        }
        assert_eq!(entries[0], entry(Some(3), &[4.0]));
    }

    #[test]
    fn an_extreme_that_is_not_known_does_not_become_one() {
        let mut reset = entry(Some(7), &[3.0]);
        reset.counters.set(Column::MinExecTime, Some(0.0));
        let mut entries = vec![reset, entry(Some(7), &[2.0])];
        merge(&mut entries);
        assert_eq!(entries[0].counters.get(Column::MinExecTime), Some(2.0));
    }
}
