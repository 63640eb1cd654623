//! Makes one statement of the entries that are the same statement: one fingerprint, database, role and level.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::histogram::Histogram;
use super::p95::Extreme;
use crate::sample::statements::column::{Column, Nature};
use crate::sample::statements::model::{Counters, Key, Snapshot};

/// One entry, of a life or of a window.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Its identity on the server.
    pub key: Key,
    /// Its text; `None`: hidden, lost, or not read.
    pub text: Option<&'a Arc<str>>,
    /// Its figures.
    pub counters: &'a Counters,
    /// Its shortest execution.
    pub min: Extreme,
    /// Its longest execution.
    pub max: Extreme,
}

/// A statement: entries added together.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement<F> {
    /// What makes texts the same statement; `None` where there is no text.
    pub fingerprint: Option<F>,
    /// The database's name; its OID where it was dropped.
    pub database: String,
    /// The role's name; its OID where it was dropped.
    pub role: String,
    /// Whether clients sent it; `Some(false)`: it ran inside a function; `None`: the extension does not tell.
    pub toplevel: Option<bool>,
    /// The server's hashes, sorted.
    pub queryids: Vec<i64>,
    /// OID of the database.
    pub dbid: u32,
    /// OID of the role.
    pub userid: u32,
    /// The text of the entry that was called most.
    pub text: Option<Arc<str>>,
    /// Figures of all entries, as if the server had counted into one. Minima, maxima and instants: see `min`, `max`
    /// and `since`.
    pub counters: Counters,
    /// The shortest execution.
    pub min: Extreme,
    /// The longest execution.
    pub max: Extreme,
    /// Its executions by their time, where something else counted them.
    pub histogram: Option<Arc<Histogram>>,
    /// Since when the oldest of its entries counts, seconds since the epoch; `None`: the extension is older than 1.11.
    pub since: Option<f64>,
    /// Calls of the entry whose text it has.
    most_calls: f64,
}

/// All statements of a reading or a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouped<F> {
    /// Statements whose identifier is known.
    pub statements: Vec<Statement<F>>,
    /// Time of executions and plannings of all entries that clients sent, hidden ones too, in milliseconds.
    pub total_ms: f64,
    /// The part of it that hidden entries have.
    pub hidden_ms: f64,
    /// Hidden entries.
    pub hidden: usize,
    /// Entries looked at, hidden ones too.
    pub entries: usize,
}

/// Names of databases and roles by OID.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The reading they are taken from.
    pub snapshot: &'a Snapshot,
}

impl Names<'_> {
    /// Returns a database's name, or its OID.
    pub fn database(&self, oid: u32) -> String {
        let known = self.snapshot.databases.get(&oid);
        known.cloned().unwrap_or_else(|| format!("oid {oid}"))
    }

    /// Returns a role's name, or its OID.
    pub fn role(&self, oid: u32) -> String {
        let known = self.snapshot.roles.get(&oid);
        known.cloned().unwrap_or_else(|| format!("oid {oid}"))
    }
}

/// Returns the entries of a reading, with what is known of their extremes.
pub fn life(snapshot: &Snapshot) -> impl Iterator<Item = Part<'_>> {
    snapshot.entries.iter().map(|entry| {
        let (min, max) = extremes(&entry.counters);
        Part {
            key: entry.key,
            text: entry.text.as_ref(),
            counters: &entry.counters,
            min,
            max,
        }
    })
}

/// The extremes of an entry's life; unknown where they were reset after its other figures began.
fn extremes(counters: &Counters) -> (Extreme, Extreme) {
    let reset = match (
        counters.get(Column::StatsSince),
        counters.get(Column::MinmaxStatsSince),
    ) {
        (Some(all), Some(extremes)) => extremes > all,
        _ => false,
    };
    let of = |column: Column| match counters.get(column) {
        // The server writes 0 for an extreme that it does not know.
        Some(ms) if ms > 0.0 && !reset => Extreme::Taken(ms),
        _ => Extreme::Unknown,
    };
    (of(Column::MinExecTime), of(Column::MaxExecTime))
}

/// Time of an entry in executor and planner, in milliseconds.
pub fn time(counters: &Counters) -> f64 {
    counters.sum(Column::TotalExecTime) + counters.sum(Column::TotalPlanTime)
}

/// Groups entries. Statements come in the order of their first entries.
pub fn group<'a, F: Clone + Eq + Hash>(
    parts: impl Iterator<Item = Part<'a>>,
    names: Names<'_>,
    fingerprint: impl Fn(&str) -> F,
) -> Grouped<F> {
    let mut grouped = Grouped {
        statements: Vec::new(),
        total_ms: 0.0,
        hidden_ms: 0.0,
        hidden: 0,
        entries: 0,
    };
    let mut places: HashMap<Place<F>, usize> = HashMap::new();
    for part in parts {
        grouped.entries += 1;
        let ms = time(part.counters);
        if part.key.toplevel != Some(false) {
            grouped.total_ms += ms;
        }
        let Some(queryid) = part.key.queryid else {
            grouped.hidden += 1;
            if part.key.toplevel != Some(false) {
                grouped.hidden_ms += ms;
            }
            continue;
        };
        let print = part.text.map(|text| fingerprint(text));
        let identity = match &print {
            Some(print) => Identity::Text(print.clone()),
            None => Identity::Queryid(queryid),
        };
        let place = (identity, part.key.dbid, part.key.userid, part.key.toplevel);
        let at = *places.entry(place).or_insert_with(|| {
            grouped
                .statements
                .push(Statement::empty(&part.key, names, print));
            grouped.statements.len() - 1
        });
        if let Some(statement) = grouped.statements.get_mut(at) {
            statement.add(&part, queryid);
        }
    }
    for statement in &mut grouped.statements {
        statement.queryids.sort_unstable();
        statement.queryids.dedup();
    }
    grouped
}

type Place<F> = (Identity<F>, u32, u32, Option<bool>);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Identity<F> {
    Text(F),
    Queryid(i64),
}

impl<F> Statement<F> {
    fn empty(key: &Key, names: Names<'_>, fingerprint: Option<F>) -> Self {
        Self {
            fingerprint,
            database: names.database(key.dbid),
            role: names.role(key.userid),
            toplevel: key.toplevel,
            queryids: Vec::new(),
            dbid: key.dbid,
            userid: key.userid,
            text: None,
            counters: Counters::default(),
            min: Extreme::Unknown,
            max: Extreme::Unknown,
            since: None,
            histogram: None,
            most_calls: -1.0,
        }
    }

    /// Adds an entry.
    fn add(&mut self, part: &Part<'_>, queryid: i64) {
        let calls = part.counters.sum(Column::Calls);
        if calls > self.most_calls && part.text.is_some() {
            self.text = part.text.cloned();
            self.most_calls = calls;
        }
        let since = part.counters.get(Column::StatsSince);
        if self.queryids.is_empty() {
            self.counters = part.counters.clone();
            (self.min, self.max) = (part.min, part.max);
            self.since = since;
        } else {
            pool(&mut self.counters, part.counters);
            self.min = outer(self.min, part.min, f64::min);
            self.max = outer(self.max, part.max, f64::max);
            self.since = match (self.since, since) {
                (Some(a), Some(b)) => Some(a.min(b)),
                _ => None,
            };
        }
        self.queryids.push(queryid);
    }
}

/// The extreme of two sets of executions.
fn outer(a: Extreme, b: Extreme, pick: fn(f64, f64) -> f64) -> Extreme {
    use Extreme::{Bound, Taken, Unknown};
    match (a, b) {
        (Taken(a), Taken(b)) => Taken(pick(a, b)),
        (Unknown, _) | (_, Unknown) => Unknown,
        (Taken(a) | Bound(a), Taken(b) | Bound(b)) => Bound(pick(a, b)),
    }
}

const POOLED: [(Column, Column, Column, Column); 2] = [
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
];

/// Adds figures as if the server had counted into one entry.
fn pool(sum: &mut Counters, part: &Counters) {
    for (calls, total, mean, deviation) in POOLED {
        let all = sum.sum(calls) + part.sum(calls);
        let whole = (sum.sum(total) + part.sum(total)) / all.max(1.0);
        let known = [&*sum, part].iter().all(|one| {
            one.get(calls).is_some()
                && (one.sum(calls) == 0.0
                    || (one.get(mean).is_some() && one.get(deviation).is_some()))
        });
        // Sum of squared distances to the common mean: within each part and between the parts.
        let squares: f64 = [&*sum, part]
            .iter()
            .map(|one| {
                one.sum(calls) * (one.sum(deviation).powi(2) + (one.sum(mean) - whole).powi(2))
            })
            .sum();
        sum.set(mean, known.then_some(whole));
        sum.set(
            deviation,
            known.then(|| (squares / all.max(1.0)).max(0.0).sqrt()),
        );
    }
    for &column in Column::ALL {
        let added = match (column.nature(), sum.get(column), part.get(column)) {
            (Nature::Mean | Nature::Deviation, ..) => continue,
            (Nature::Sum, Some(a), Some(b)) => Some(a + b),
            (Nature::Min, Some(a), Some(b)) => Some(a.min(b)),
            (Nature::Max | Nature::Instant, Some(a), Some(b)) => Some(a.max(b)),
            _ => None,
        };
        sum.set(column, added);
    }
}

#[cfg(test)]
pub(super) mod testing {
    //! Entries for the tests of this room.

    use super::*;
    use crate::sample::statements::model::Entry;

    /// An entry with these executions, in milliseconds.
    pub(in crate::checks::queries) fn entry(queryid: i64, text: &str, times: &[f64]) -> Entry {
        let n = times.len() as f64;
        let mean = times.iter().sum::<f64>() / n;
        let variance = times.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / n;
        let mut counters = Counters::default();
        for (column, value) in [
            (Column::Calls, n),
            (Column::Rows, n),
            (Column::TotalExecTime, n * mean),
            (Column::MeanExecTime, mean),
            (Column::StddevExecTime, variance.sqrt()),
            (
                Column::MinExecTime,
                times.iter().copied().fold(f64::INFINITY, f64::min),
            ),
            (
                Column::MaxExecTime,
                times.iter().copied().fold(0.0, f64::max),
            ),
        ] {
            counters.set(column, Some(value));
        }
        Entry {
            key: Key {
                dbid: 5,
                userid: 10,
                queryid: Some(queryid),
                toplevel: Some(true),
            },
            text: Some(text.into()),
            counters,
        }
    }

    /// A reading with these entries.
    pub(in crate::checks::queries) fn reading(entries: Vec<Entry>) -> Snapshot {
        Snapshot {
            databases: [(5, "app".to_owned())].into(),
            roles: [(10, "web".to_owned())].into(),
            entries,
            ..Snapshot::default()
        }
    }

    /// Groups the entries of a reading by their texts in lower case.
    pub(in crate::checks::queries) fn grouped(snapshot: &Snapshot) -> Grouped<String> {
        group(life(snapshot), Names { snapshot }, str::to_lowercase)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;

    #[test]
    fn entries_of_one_statement_become_what_one_entry_would_have_counted() {
        let all = [1.0, 5.0, 2.5, 9.0, 0.5, 7.0];
        let snapshot = reading(vec![
            entry(-7, "select A", &all[..2]),
            entry(3, "select b", &[4.0]),
            entry(9, "SELECT a", &all[2..]),
        ]);
        let found = grouped(&snapshot);
        assert_eq!((found.entries, found.statements.len()), (3, 2));
        let [one, other] = found.statements.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(one.queryids, [-7, 9]);
        assert_eq!(one.text.as_deref(), Some("SELECT a"));
        assert_eq!(
            (one.min, one.max),
            (Extreme::Taken(0.5), Extreme::Taken(9.0))
        );
        let whole = entry(1, "", &all).counters;
        for &column in Column::ALL {
            match (one.counters.get(column), whole.get(column)) {
                (Some(a), Some(b)) => assert!((a - b).abs() < 1e-9, "{column:?}: {a} {b}"),
                (a, b) => assert_eq!(a, b, "{column:?}"),
            }
        }
        assert_eq!(
            (other.database.as_str(), other.role.as_str()),
            ("app", "web")
        );
        assert!((found.total_ms - 29.0).abs() < 1e-9);
    }

    #[test]
    fn roles_databases_and_levels_stay_apart() {
        let mut entries = vec![entry(1, "a", &[1.0]); 4];
        entries[1].key.userid = 11;
        entries[2].key.dbid = 6;
        entries[3].key.toplevel = Some(false);
        let found = grouped(&reading(entries));
        assert_eq!(found.statements.len(), 4);
        assert_eq!(found.statements[1].role, "oid 11");
        assert_eq!(found.statements[2].database, "oid 6");
        // What ran inside functions is counted with the call of the function already.
        assert!((found.total_ms - 3.0).abs() < 1e-9);
    }

    #[test]
    fn hidden_entries_count_for_the_total_alone() {
        let mut hidden = entry(1, "a", &[3.0]);
        (hidden.key.queryid, hidden.text) = (None, None);
        let mut lost = entry(2, "b", &[1.0]);
        lost.text = None;
        let found = grouped(&reading(vec![hidden, lost]));
        assert_eq!((found.hidden, found.statements.len()), (1, 1));
        assert!((found.total_ms - 4.0).abs() < 1e-9 && (found.hidden_ms - 3.0).abs() < 1e-9);
        assert_eq!(found.statements[0].fingerprint, None);
    }

    #[test]
    fn extremes_that_began_later_bound_nothing() {
        let mut late = entry(1, "a", &[1.0, 2.0]);
        late.counters.set(Column::StatsSince, Some(10.0));
        late.counters.set(Column::MinmaxStatsSince, Some(20.0));
        let found = grouped(&reading(vec![late, entry(2, "A", &[5.0])]));
        assert_eq!(found.statements[0].min, Extreme::Unknown);
        assert_eq!(found.statements[0].max, Extreme::Unknown);
        // One entry without the instant: nothing is known of the whole.
        assert_eq!(found.statements[0].since, None);
    }
}
