//! Advice on the indexes that are there: what to drop, repair, rebuild or add, each with its evidence.
//! What cannot be proven is said and is never advice.

mod bloat;
pub mod candidate;
mod duplicate;
mod foreign_key;
mod hot;
mod invalid;
mod shape;
pub mod statement;
#[cfg(test)]
pub(super) mod testing;
mod unused;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalog::advise::{AdviceFacts, NodeUsage};
use crate::catalog::index_model::{Fold, FoldQuestion, IndexCatalog, IndexQuestions, TableKind};
use crate::ident::QualifiedName;
use crate::syntax::IndexSpec;

pub use self::bloat::large_btrees;
use self::shape::Shapes;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An index that queries do not use although writes maintain it.
    Invalid,
    /// Another index does the same.
    Duplicate,
    /// Another index does the same when it is read backwards.
    ReverseDuplicate,
    /// The leading keys of another index.
    RedundantPrefix,
    /// Never scanned, or not for long.
    Unused,
    /// A foreign key whose referencing columns no index leads with.
    ForeignKey,
    /// More pages than its rows need.
    Bloat,
    /// Updates that could not stay on their page.
    HotUpdates,
    /// An index that a statement would use.
    Statement,
}

/// Whether something is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Do it: the evidence is there.
    Advice,
    /// It may be worth it, and the evidence is not there.
    NotProven,
    /// It looks like something to change, and has a reason to stay as it is.
    Keep,
}

/// One finding about one index, foreign key, table or statement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// Whether something is to be done.
    pub verdict: Verdict,
    /// The table.
    pub table: QualifiedName,
    /// The index, where there is one.
    pub index: Option<QualifiedName>,
    /// One sentence.
    pub summary: String,
    /// What it rests on, one sentence each.
    pub evidence: Vec<String>,
    /// Statements or commands, in order.
    pub next: Vec<String>,
    /// Bytes that acting on it frees; `None`: none, or not known.
    pub frees_bytes: Option<i64>,
    /// Figures of the evidence by name; names end in their unit.
    pub figures: BTreeMap<&'static str, f64>,
    /// What a plan file would say.
    #[serde(skip)]
    pub plan: Option<Planned>,
}

/// A finding as an entry of a plan file.
#[derive(Debug, Clone, PartialEq)]
pub enum Planned {
    /// An index that should be there.
    Present(Box<IndexSpec>),
    /// An index that should not.
    Absent(QualifiedName),
}

/// Everything the detectors look at.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Tables and indexes of the primary.
    pub catalog: &'a IndexCatalog,
    /// More facts of the primary.
    pub facts: &'a AdviceFacts,
    /// Expressions in the form the planner compares, as far as they could be asked for.
    pub folds: &'a [Fold],
    /// Usage on every node that was reached, the primary first.
    pub nodes: &'a [NodeUsage],
    /// Declared nodes that were not reached: name and reason.
    pub unreached: &'a [(String, String)],
    /// What counts as unused.
    pub limits: Limits,
}

/// What counts as unused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Shortest history of statistics that tells anything, in seconds.
    pub min_age_seconds: f64,
    /// An index not scanned for this long is unused even if it was scanned before (16 and later).
    pub unused_for_seconds: Option<f64>,
}

/// Returns the expressions whose comparison needs the server.
pub fn questions(catalog: &IndexCatalog) -> IndexQuestions {
    let folds = catalog
        .tables
        .iter()
        .filter_map(|table| {
            let mut texts: Vec<String> = table.indexes.iter().flat_map(shape::texts).collect();
            texts.sort();
            texts.dedup();
            // A single text has nothing to be compared with.
            (texts.len() > 1).then(|| FoldQuestion {
                table: table.name.clone(),
                texts,
            })
        })
        .collect();
    IndexQuestions {
        folds,
        ..IndexQuestions::default()
    }
}

/// Runs every detector; advice first, then by kind, table and index.
pub fn examine(inputs: Inputs<'_>) -> Vec<Finding> {
    let shapes = Shapes::of(inputs.catalog, inputs.folds);
    let duplicates = duplicate::find(inputs, &shapes);
    let mut found = invalid::find(inputs);
    found.extend(unused::find(inputs, &shapes, &duplicates));
    found.extend(duplicates.into_iter().map(|one| one.finding));
    found.extend(foreign_key::find(inputs, &shapes));
    found.extend(bloat::find(inputs));
    found.extend(hot::find(inputs, &shapes));
    sort(&mut found);
    found
}

/// Runs the detector of unused indexes alone; those that another index does the work of are left to `duplicate`.
pub fn unused(inputs: Inputs<'_>) -> Vec<Finding> {
    let shapes = Shapes::of(inputs.catalog, inputs.folds);
    let duplicates = duplicate::find(inputs, &shapes);
    let mut found = unused::find(inputs, &shapes, &duplicates);
    sort(&mut found);
    found
}

/// Sorts findings as they are shown: advice first, then by kind, table and index.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        (a.verdict, a.kind, &a.table, &a.index, &a.summary)
            .cmp(&(b.verdict, b.kind, &b.table, &b.index, &b.summary))
    });
}

impl Finding {
    fn new(kind: Kind, verdict: Verdict, table: &QualifiedName, summary: String) -> Self {
        Self {
            kind,
            verdict,
            table: table.clone(),
            index: None,
            summary,
            evidence: Vec::new(),
            next: Vec::new(),
            frees_bytes: None,
            figures: BTreeMap::new(),
            plan: None,
        }
    }

    fn of(mut self, index: &QualifiedName) -> Self {
        self.index = Some(index.clone());
        self
    }

    fn because(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    fn next(mut self, step: impl Into<String>) -> Self {
        self.next.push(step.into());
        self
    }

    fn figure(mut self, name: &'static str, value: f64) -> Self {
        self.figures.insert(name, value);
        self
    }
}

/// The statement that drops an index; that of a partitioned table cannot be dropped concurrently.
/// <https://www.postgresql.org/docs/current/sql-dropindex.html>
fn drop_statement(index: &QualifiedName, partitioned: bool) -> String {
    if partitioned {
        format!(
            "drop index {};  -- takes ACCESS EXCLUSIVE on the table and every partition",
            index.sql()
        )
    } else {
        format!("drop index concurrently {};", index.sql())
    }
}

/// Tables that can have indexes.
fn has_indexes(kind: TableKind) -> bool {
    matches!(
        kind,
        TableKind::Table | TableKind::Partitioned | TableKind::MaterializedView
    )
}
