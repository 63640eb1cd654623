//! Indexes for several statements together: what each wants, merged, without what is there or declared already.

use serde::Serialize;

use crate::catalog::hypothetical::{Proof, Proofs};
use crate::catalog::index_model::{IndexCatalog, IndexedTable};
use crate::catalog::plans::{Plan, typed_parameters};
use crate::checks::advise::candidate::{self, Wanted, covers};
use crate::checks::advise::{Finding, Kind, Planned, Verdict};
use crate::syntax::statement::{Statement, statements};
use crate::syntax::{Build, IndexSpec, KeySpec, KeyTarget};

/// Tables with fewer rows are read as fast from beginning to end.
const FEWEST_ROWS: i64 = 500;

/// A saving below this part of the cost is not worth an index.
pub const LEAST_GAIN: f64 = 0.5;

/// A slow statement that was planned.
#[derive(Debug, Clone)]
pub struct Slow<'a> {
    /// Its place in the report, from 1.
    pub rank: usize,
    /// Its text as it was read.
    pub text: &'a str,
    /// Time that it takes, in milliseconds.
    pub total_ms: f64,
    /// Its plan.
    pub plan: &'a Plan,
}

/// How sure it is that an index helps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum Proven {
    /// HypoPG: the planner would use it.
    Hypopg {
        /// Its cost of the statement that gains most, as things are.
        cost_before: f64,
        /// Its cost with the index.
        cost_after: f64,
        /// Estimated size; `None`: not known.
        index_bytes: Option<i64>,
    },
    /// HypoPG is not installed: it follows from the conditions and the plan alone.
    Nothing,
}

/// An index that statements want.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposal {
    /// The table.
    pub table: String,
    /// Its keys in words.
    pub keys: Vec<String>,
    /// Places of the statements in the report that it is for, from 1.
    pub statements: Vec<usize>,
    /// Time that these statements take, in milliseconds.
    pub total_ms: f64,
    /// How sure it is.
    pub proven: Proven,
    /// Whether the plan file declares such an index, which is not built yet.
    pub declared: bool,
    /// What builds it by hand.
    pub sql: String,
    /// The index.
    #[serde(skip)]
    pub spec: IndexSpec,
    #[serde(skip)]
    wanted: Wanted,
}

/// Returns what statements want of tables that their plans read from beginning to end, the most time first.
pub fn propose(
    catalog: &IndexCatalog,
    planned: &[Slow<'_>],
    declared: &[IndexSpec],
) -> Vec<Proposal> {
    let mut wants: Vec<(Wanted, usize, f64)> = Vec::new();
    for one in planned {
        let Some(statement) = parsed(one.text) else {
            continue;
        };
        for wanted in candidate::wanted(catalog, &statement, is_limited(one.text)) {
            let table = catalog
                .tables
                .iter()
                .find(|table| table.name == wanted.table);
            if table.is_some_and(|table| is_worth_it(catalog, table, one.plan)) {
                wants.push((wanted, one.rank, one.total_ms));
            }
        }
    }
    // What tells little apart is not worth a second index where another one finds the same rows in an order.
    for at in 0..wants.len() {
        let Some(less) = wants.get(at).and_then(|(one, ..)| one.without_few()) else {
            continue;
        };
        let found = wants.iter().any(|(other, ..)| {
            other.table == less.table
                && other.keys.len() > other.equal
                && covers(&other.keys, &less)
        });
        if found && let Some((one, ..)) = wants.get_mut(at) {
            *one = less;
        }
    }
    // Longer ones first: they may do for the shorter ones as well.
    wants.sort_by(|a, b| {
        b.0.keys
            .len()
            .cmp(&a.0.keys.len())
            .then_with(|| b.2.total_cmp(&a.2))
            .then_with(|| a.1.cmp(&b.1))
    });
    let mut merged: Vec<Merged> = Vec::new();
    for (wanted, rank, ms) in wants {
        let place = merged.iter_mut().find_map(|one| {
            let fits = one.wanted.table == wanted.table && one.take(&wanted);
            fits.then_some(one)
        });
        match place {
            Some(one) => one.add(rank, ms),
            None => merged.push(Merged {
                cuts: Vec::new(),
                statements: vec![rank],
                total_ms: ms,
                wanted,
            }),
        }
    }
    let mut names: Vec<String> = Vec::new();
    let mut found: Vec<Proposal> = merged
        .into_iter()
        .filter_map(|one| one.proposal(catalog, declared, &mut names))
        .collect();
    found.sort_by(|a, b| {
        b.total_ms
            .total_cmp(&a.total_ms)
            .then_with(|| (&a.table, &a.keys).cmp(&(&b.table, &b.keys)))
    });
    found
}

/// Reads the one statement of a text; INSERT and MERGE want no index of their target.
pub fn parsed(text: &str) -> Option<Statement> {
    let mut all = statements(text)
        .or_else(|_| statements(&typed_parameters(text)))
        .ok()?
        .into_iter();
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

/// Takes what HypoPG said to a proposal for one of its statements. Returns false where the planner does not want it.
pub fn take_proof(proposal: &mut Proposal, proofs: &Proofs) -> bool {
    let Proofs::Asked { cost, proofs } = proofs else {
        return false;
    };
    let Some(Proof::Used { cost: after, bytes }) = proofs.first() else {
        return false;
    };
    if *after > cost * (1.0 - LEAST_GAIN) {
        return false;
    }
    let better = match proposal.proven {
        Proven::Hypopg {
            cost_before,
            cost_after,
            ..
        } => cost - after > cost_before - cost_after,
        Proven::Nothing => true,
    };
    if better {
        proposal.proven = Proven::Hypopg {
            cost_before: *cost,
            cost_after: *after,
            index_bytes: *bytes,
        };
    }
    true
}

/// Returns proposals as advice that a plan file can say.
pub fn findings(proposals: &[Proposal]) -> Vec<Finding> {
    proposals
        .iter()
        .filter(|one| !one.declared)
        .map(|one| Finding {
            kind: Kind::Statement,
            verdict: Verdict::Advice,
            table: one.spec.table.clone(),
            index: None,
            summary: format!("{} ({})", one.table, one.keys.join(", ")),
            evidence: vec![words(one)],
            next: vec![one.sql.clone()],
            frees_bytes: None,
            figures: Default::default(),
            plan: Some(Planned::Present(Box::new(one.spec.clone()))),
        })
        .collect()
}

/// What a proposal rests on.
pub fn words(proposal: &Proposal) -> String {
    match proposal.proven {
        Proven::Hypopg {
            cost_before,
            cost_after,
            ..
        } => format!(
            "proven by HypoPG: estimated cost {cost_before:.0} now, {cost_after:.0} with it; nothing was run"
        ),
        Proven::Nothing => {
            "unverified: HypoPG is not installed; it follows from the conditions and the generic plan".to_owned()
        }
    }
}

struct Merged {
    wanted: Wanted,
    /// So many first keys are the keys of a wish that it does for: they may change places only among themselves.
    cuts: Vec<usize>,
    statements: Vec<usize>,
    total_ms: f64,
}

impl Merged {
    fn add(&mut self, rank: usize, ms: f64) {
        if !self.statements.contains(&rank) {
            self.statements.push(rank);
            self.total_ms += ms;
        }
    }

    /// Whether it does for another wish as well; keys for equality change places for that where they may.
    fn take(&mut self, other: &Wanted) -> bool {
        if covers(&self.wanted.keys, other) {
            // What follows the keys for equality is read in its order.
            self.cuts.extend(other.equal..=other.keys.len());
            return true;
        }
        let wants = |key: &KeySpec| other.keys.iter().any(|own| own.target == key.target);
        let count = other.keys.len();
        let equal = self.wanted.equal;
        if other.equal < count || count > equal {
            return false;
        }
        let keys = &self.wanted.keys;
        let among = |first: usize| keys.iter().take(first).filter(|key| wants(key)).count();
        let fits = |cut: usize| among(cut) == cut.min(count);
        if !fits(equal)
            || !self
                .cuts
                .iter()
                .filter(|cut| **cut < equal)
                .all(|cut| fits(*cut))
        {
            return false;
        }
        let before = self.cuts.iter().copied().filter(|cut| *cut <= count).max();
        let behind = self.cuts.iter().copied().filter(|cut| *cut >= count).min();
        let free = before.unwrap_or(0)..behind.unwrap_or(equal).min(equal);
        if let Some(free) = self.wanted.keys.get_mut(free) {
            free.sort_by_key(|key| !wants(key));
        }
        self.cuts.push(count);
        true
    }

    fn proposal(
        mut self,
        catalog: &IndexCatalog,
        declared: &[IndexSpec],
        names: &mut Vec<String>,
    ) -> Option<Proposal> {
        let mut spec = candidate::index_of(catalog, &self.wanted)?;
        let stem = spec.name.clone().unwrap_or_default();
        let mut number = 1;
        while spec.name.as_ref().is_some_and(|name| names.contains(name)) {
            number += 1;
            spec.name = Some(format!("{stem}_{number}"));
        }
        names.extend(spec.name.clone());
        let declared = declared.iter().any(|other| {
            other.table == spec.table
                && other.predicate.is_none()
                && covers(&other.keys, &self.wanted)
        });
        self.statements.sort_unstable();
        let name = spec.name.clone().unwrap_or_default();
        Some(Proposal {
            table: spec.table.to_string(),
            keys: spec.keys.iter().map(key_words).collect(),
            statements: self.statements,
            total_ms: self.total_ms,
            proven: Proven::Nothing,
            declared,
            sql: format!("{};", spec.sql(Build::Concurrently, &spec.table, &name)),
            spec,
            wanted: self.wanted,
        })
    }
}

fn key_words(key: &KeySpec) -> String {
    let name = match &key.target {
        KeyTarget::Column(name) => crate::ident::quote_if_needed(name),
        KeyTarget::Expression(text) => text.clone(),
    };
    format!("{name}{}", if key.desc { " desc" } else { "" })
}

/// Whether only the first rows are asked for.
fn is_limited(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|word| word == "limit" || word == "fetch")
}

/// Whether the plan reads the table from beginning to end, and it is large.
fn is_worth_it(catalog: &IndexCatalog, table: &IndexedTable, plan: &Plan) -> bool {
    let leaves = leaves(catalog, table);
    let scanned = leaves.iter().any(|leaf| {
        plan.seq_scans
            .iter()
            .any(|scan| scan.table == leaf.name.name)
    });
    let rows: Option<i64> = leaves.iter().map(|leaf| leaf.rows_estimate).sum();
    let is_small = rows.is_some_and(|rows| rows < FEWEST_ROWS);
    scanned && !is_small
}

/// The table, or its partitions at any depth.
fn leaves<'a>(catalog: &'a IndexCatalog, table: &'a IndexedTable) -> Vec<&'a IndexedTable> {
    let mut found = Vec::new();
    let mut open = vec![table];
    while let Some(one) = open.pop() {
        if one.partitions.is_empty() {
            found.push(one);
        }
        open.extend(
            catalog
                .tables
                .iter()
                .filter(|other| one.partitions.contains(&other.name)),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::plans::SeqScan;
    use crate::checks::advise::testing::{Case, table};

    fn proposals(statements: &[&str]) -> Vec<(String, Vec<usize>)> {
        let mut case = Case::of(vec![table("t"), table("u")]);
        for table in &mut case.catalog.tables {
            table.rows_estimate = Some(100_000);
        }
        let plan = Plan {
            seq_scans: ["t", "u"]
                .map(|name| SeqScan {
                    table: name.to_owned(),
                    rows: 1.0,
                    filter: None,
                })
                .into(),
            ..Plan::default()
        };
        let planned: Vec<Slow<'_>> = statements
            .iter()
            .enumerate()
            .map(|(at, text)| Slow {
                rank: at + 1,
                text,
                total_ms: 10.0,
                plan: &plan,
            })
            .collect();
        propose(&case.catalog, &planned, &[])
            .into_iter()
            .map(|one| (one.keys.join(", "), one.statements))
            .collect()
    }

    fn keys(statements: &[&str]) -> Vec<String> {
        proposals(statements).into_iter().map(|one| one.0).collect()
    }

    #[test]
    fn equality_comes_before_order_and_range() {
        for (text, expected) in [
            (
                "select * from t where a = $1 order by b desc limit $2",
                "a, b",
            ),
            ("select * from t where b > $1 and a = $2", "a, b"),
            ("select * from t order by a desc limit $1", "a"),
            ("select * from t where a > $1", "a"),
            ("update t set c = $1 where a = $2", "a"),
        ] {
            assert_eq!(keys(&[text]), [expected], "{text}");
        }
        // Everything is read and sorted anyway.
        assert_eq!(keys(&["select * from t order by a"]), Vec::<String>::new());
        assert_eq!(keys(&["insert into t values ($1)"]), Vec::<String>::new());
    }

    #[test]
    fn one_index_does_for_several_statements() {
        let found = proposals(&[
            "select * from t where a = $1",
            "select * from t where a = $1 and b = $2",
            "select * from t where b = $1 and a = $2 order by c limit $3",
        ]);
        assert_eq!(found, [("a, b, c".to_owned(), vec![1, 2, 3])]);
        // Keys for equality change places so that the shorter wish comes first.
        let found = proposals(&[
            "select * from t where a = $1 and b = $2",
            "select * from t where b = $1",
        ]);
        assert_eq!(found, [("b, a".to_owned(), vec![1, 2])]);
        // Once they have, another wish needs an index of its own.
        let found = proposals(&[
            "select * from t where a = $1 and b = $2",
            "select * from t where b = $1",
            "select * from t where a = $1",
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn gains_below_half_are_none() {
        let mut case = Case::of(vec![table("t")]);
        case.catalog.tables[0].rows_estimate = Some(100_000);
        let plan = Plan {
            seq_scans: vec![SeqScan {
                table: "t".to_owned(),
                rows: 1.0,
                filter: None,
            }],
            ..Plan::default()
        };
        let planned = [Slow {
            rank: 1,
            text: "select * from t where a = $1",
            total_ms: 1.0,
            plan: &plan,
        }];
        let mut one = propose(&case.catalog, &planned, &[]).remove(0);
        let asked = |after: f64| Proofs::Asked {
            cost: 100.0,
            proofs: vec![Proof::Used {
                cost: after,
                bytes: Some(8_192),
            }],
        };
        assert!(!take_proof(&mut one, &asked(51.0)));
        assert_eq!(one.proven, Proven::Nothing);
        assert!(take_proof(&mut one, &asked(8.0)));
        assert!(matches!(one.proven, Proven::Hypopg { .. }));
        assert_eq!(findings(&[one]).len(), 1);
    }
}
