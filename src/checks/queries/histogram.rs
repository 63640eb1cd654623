//! Histograms of execution times that something else counted: a proxy, an extension, an application. Where a statement has
//! one, its 95th percentile lies in one bucket, which is far narrower than what moments prove.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::p95::{Estimate, Percentile};
use super::report::Overview;

/// The format of files.
const FORMAT: &str = "dbops.histograms/1";

/// Executions by their time.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Upper ends of the buckets, in milliseconds, ascending; one bucket more is without end.
    bounds_ms: Vec<f64>,
    /// Executions in each bucket.
    calls: Vec<f64>,
}

/// Histograms of statements, by their name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histograms {
    by_name: BTreeMap<String, Arc<Histogram>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    statements: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// dbops's own hash of the text, or the server's (`queryid`).
    fingerprint: Option<String>,
    queryid: Option<String>,
    bounds_ms: Vec<f64>,
    calls: Vec<f64>,
}

impl Histograms {
    /// Reads a file of format `dbops.histograms/1`.
    ///
    /// # Errors
    /// With what is wrong and with which statement.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if file.format != FORMAT {
            return Err(format!("its format is `{}`, not `{FORMAT}`", file.format));
        }
        let mut by_name = BTreeMap::new();
        for (at, entry) in file.statements.into_iter().enumerate() {
            let name = match (entry.fingerprint, entry.queryid) {
                (Some(print), None) => print,
                (None, Some(id)) => id,
                _ => {
                    return Err(format!(
                        "statements[{at}] needs either `fingerprint` or `queryid`"
                    ));
                }
            };
            let histogram = Histogram::new(entry.bounds_ms, entry.calls)
                .map_err(|why| format!("statements[{at}] ({name}): {why}"))?;
            if by_name.insert(name.clone(), Arc::new(histogram)).is_some() {
                return Err(format!("statements[{at}] ({name}) is there twice"));
            }
        }
        Ok(Self { by_name })
    }

    /// Gives statements their histograms; returns how many histograms are of none.
    pub fn give(&self, overview: &mut Overview) -> usize {
        let mut taken: Vec<&str> = Vec::new();
        for statement in &mut overview.statements {
            let print = statement.fingerprint.map(|print| print.to_string());
            let ids = statement.queryids.iter().map(i64::to_string);
            let found = print
                .into_iter()
                .chain(ids)
                .find_map(|name| self.by_name.get_key_value(&name));
            if let Some((name, histogram)) = found {
                statement.histogram = Some(Arc::clone(histogram));
                taken.push(name);
            }
        }
        taken.sort_unstable();
        taken.dedup();
        self.by_name.len() - taken.len()
    }
}

impl Histogram {
    fn new(bounds_ms: Vec<f64>, calls: Vec<f64>) -> Result<Self, String> {
        let ascending = bounds_ms.windows(2).all(|pair| pair[0] < pair[1]);
        let sound = bounds_ms
            .iter()
            .all(|bound| bound.is_finite() && *bound > 0.0);
        if bounds_ms.is_empty() || !ascending || !sound {
            return Err("`bounds_ms` has to be milliseconds above 0, ascending".to_owned());
        }
        if calls.len() != bounds_ms.len() + 1 {
            return Err(format!(
                "`calls` has to have one number more than `bounds_ms`, {} and not {}",
                bounds_ms.len() + 1,
                calls.len()
            ));
        }
        if calls.iter().any(|count| !count.is_finite() || *count < 0.0)
            || calls.iter().sum::<f64>() <= 0.0
        {
            return Err("`calls` has to be numbers from 0 on, not all 0".to_owned());
        }
        Ok(Self { bounds_ms, calls })
    }

    /// Returns the bucket that the 95th percentile lies in. `proven` bounds the last bucket, which has no end of its own.
    pub fn percentile(&self, proven: Option<Percentile>) -> Percentile {
        let all: f64 = self.calls.iter().sum();
        let mut below = 0.0;
        let mut at = self.bounds_ms.len();
        for (number, count) in self.calls.iter().enumerate() {
            below += count;
            if below >= 0.95 * all {
                at = number;
                break;
            }
        }
        let low = at
            .checked_sub(1)
            .and_then(|before| self.bounds_ms.get(before))
            .copied()
            .unwrap_or(0.0);
        let end = || proven.map_or(f64::INFINITY, |proven| proven.high.max(low));
        Percentile {
            low,
            high: self.bounds_ms.get(at).copied().unwrap_or_else(end),
            estimate: Estimate::Counted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(bounds: &[f64], calls: &[f64]) -> Histogram {
        Histogram::new(bounds.to_vec(), calls.to_vec()).unwrap()
    }

    #[test]
    fn the_percentile_lies_in_the_bucket_that_reaches_95_of_100() {
        let one = histogram(&[1.0, 5.0, 20.0], &[90.0, 4.0, 5.0, 1.0]);
        let found = one.percentile(None);
        assert_eq!((found.low, found.high), (5.0, 20.0));
        let first = histogram(&[1.0, 5.0], &[95.0, 5.0, 0.0]).percentile(None);
        assert_eq!((first.low, first.high), (0.0, 1.0));
        let last = histogram(&[1.0, 5.0], &[1.0, 0.0, 9.0]);
        assert_eq!(last.percentile(None).high, f64::INFINITY);
        let proven = Percentile {
            low: 0.0,
            high: 700.0,
            estimate: Estimate::TooFewCalls,
        };
        assert_eq!(last.percentile(Some(proven)).high, 700.0);
    }

    #[test]
    fn the_true_percentile_of_any_executions_is_in_the_bucket() {
        proptest::proptest!(|(mut times in proptest::collection::vec(0.001..1_000.0_f64, 1..300))| {
            let bounds = [0.1, 1.0, 10.0, 50.0, 100.0, 500.0];
            let mut calls = [0.0; 7];
            for time in &times {
                let at = bounds.iter().position(|bound| time <= bound).unwrap_or(6);
                calls[at] += 1.0;
            }
            times.sort_by(f64::total_cmp);
            let rank = (0.95 * times.len() as f64).ceil() as usize;
            let truth = times[rank - 1];
            let found = histogram(&bounds, &calls).percentile(None);
            proptest::prop_assert!(found.low <= truth && truth <= found.high, "{truth} in {found:?}");
        });
    }

    #[test]
    fn what_is_wrong_is_said_with_its_statement() {
        let file = |entry: &str| {
            Histograms::parse(&format!(
                r#"{{"format": "dbops.histograms/1", "statements": [{entry}]}}"#
            ))
        };
        assert!(file(r#"{"queryid": "-7", "bounds_ms": [1, 2], "calls": [3, 0, 1]}"#).is_ok());
        for (entry, why) in [
            (r#"{"bounds_ms": [1], "calls": [1, 1]}"#, "needs either"),
            (
                r#"{"queryid": "7", "bounds_ms": [2, 1], "calls": [1, 1, 1]}"#,
                "ascending",
            ),
            (
                r#"{"queryid": "7", "bounds_ms": [1], "calls": [1]}"#,
                "one number more",
            ),
            (
                r#"{"queryid": "7", "bounds_ms": [1], "calls": [0, 0]}"#,
                "not all 0",
            ),
            (
                r#"{"queryid": "7", "bounds": [1], "calls": [0, 0]}"#,
                "unknown field",
            ),
        ] {
            let error = file(entry).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!(Histograms::parse(r#"{"format": "x", "statements": []}"#).is_err());
    }
}
