//! What was seen: statements of each database and role, with their calls and rows window by window.

use std::collections::BTreeMap;

use crate::syntax::fingerprint::fingerprint;
use crate::syntax::mask::mask;
use crate::syntax::shape::{self, Shape, StatementKind, Values};

/// What one entry did in one window.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// Number of the window, from 0.
    pub window: usize,
    /// OID of the database.
    pub dbid: u32,
    /// OID of the role.
    pub userid: u32,
    /// The server's hash.
    pub queryid: i64,
    /// The statement as the server keeps it.
    pub text: &'a str,
    /// Executions.
    pub calls: f64,
    /// Rows returned or affected.
    pub rows: f64,
    /// Milliseconds in the executor.
    pub exec_ms: f64,
    /// Milliseconds in the planner; 0 where planning is not tracked.
    pub plan_ms: f64,
}

/// Everything that was seen, ready to be judged.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// Usable windows.
    pub windows: usize,
    /// Statements by database and role, in order of both.
    pub groups: Vec<Group>,
}

/// The statements of one role in one database: what belongs to one application, if anything does.
#[derive(Debug, Clone)]
pub struct Group {
    /// OID of the database.
    pub dbid: u32,
    /// OID of the role.
    pub userid: u32,
    /// Its statements, busiest first.
    pub statements: Vec<Statement>,
}

/// A statement: entries that differ in alias or length of a list alone are one.
#[derive(Debug, Clone)]
pub struct Statement {
    /// dbops's own hash of the text.
    pub fingerprint: String,
    /// The server's hashes, sorted.
    pub queryids: Vec<i64>,
    /// Text of the entry with the most calls.
    pub text: String,
    /// What it asks for.
    pub shape: Shape,
    /// Executions in each window.
    pub calls: Vec<f64>,
    /// Rows in each window.
    pub rows: Vec<f64>,
    /// Milliseconds in the executor, all windows.
    pub exec_ms: f64,
    /// Milliseconds in the planner, all windows.
    pub plan_ms: f64,
}

impl Group {
    /// Returns the same with so many windows joined to one; what is left over at the end is dropped.
    pub(super) fn joined(&self, windows: usize) -> Self {
        let join = |series: &[f64]| -> Vec<f64> {
            let whole = series.chunks_exact(windows);
            whole.map(|chunk| chunk.iter().sum()).collect()
        };
        let mut joined = self.clone();
        for statement in &mut joined.statements {
            statement.calls = join(&statement.calls);
            statement.rows = join(&statement.rows);
        }
        joined
    }
}

impl Statement {
    /// Returns the executions of all windows.
    pub fn total_calls(&self) -> f64 {
        self.calls.iter().sum()
    }

    /// Returns the rows of all windows.
    pub fn total_rows(&self) -> f64 {
        self.rows.iter().sum()
    }

    /// Returns the rows of an execution, on average.
    pub fn fan_out(&self) -> f64 {
        self.total_rows() / self.total_calls().max(1.0)
    }
}

/// Statements with fewer calls and fewer rows are neither a loop nor its list: their tokens tell enough, and of thousands
/// of statements most are such.
const WORTH_READING: f64 = 20.0;

/// A statement that grows, with the calls of each of its entries by the server's hash.
type Merged = (Statement, BTreeMap<i64, f64>);

/// How many keys a statement asks for at once. A list of one is what an ORM sends for a single object, and must
/// not be merged with the batches that are the cure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    Single,
    Few,
    Many,
}

impl Observation {
    /// Puts the changes of all windows together. Entries of the top level only; texts that are hidden are the
    /// caller's to leave out.
    pub fn new<'a>(windows: usize, changes: impl IntoIterator<Item = Change<'a>>) -> Self {
        let changes: Vec<Change<'a>> = changes.into_iter().collect();
        let mut counted: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for change in &changes {
            let (calls, rows) = counted.entry(change.text).or_default();
            *calls += change.calls;
            *rows += change.rows;
        }
        let mut read: BTreeMap<&str, (String, Width, Shape)> = BTreeMap::new();
        let mut found: BTreeMap<(u32, u32, String, Width), Merged> = BTreeMap::new();
        for change in changes {
            if change.window >= windows {
                continue;
            }
            let (print, width, shape) = read.entry(change.text).or_insert_with(|| {
                let (calls, rows) = counted.get(change.text).copied().unwrap_or_default();
                let shape = if calls.max(rows) >= WORTH_READING {
                    shape::read(change.text)
                } else {
                    shape::skim(change.text)
                };
                (fingerprint(change.text).to_string(), width(&shape), shape)
            });
            let key = (change.dbid, change.userid, print.clone(), *width);
            let (statement, by_id) = found.entry(key).or_insert_with(|| {
                let statement = Statement {
                    fingerprint: print.clone(),
                    queryids: Vec::new(),
                    // Reports show it.
                    text: mask(change.text).into_owned(),
                    shape: shape.clone(),
                    calls: vec![0.0; windows],
                    rows: vec![0.0; windows],
                    exec_ms: 0.0,
                    plan_ms: 0.0,
                };
                (statement, BTreeMap::new())
            });
            if let (Some(calls), Some(rows)) = (
                statement.calls.get_mut(change.window),
                statement.rows.get_mut(change.window),
            ) {
                *calls += change.calls;
                *rows += change.rows;
            }
            statement.exec_ms += change.exec_ms;
            statement.plan_ms += change.plan_ms;
            let most = by_id.values().copied().fold(0.0, f64::max);
            let mine = by_id.entry(change.queryid).or_insert(0.0);
            *mine += change.calls;
            if *mine > most && statement.text != change.text {
                change.text.clone_into(&mut statement.text);
                statement.shape = shape.clone();
            }
        }
        let mut groups: BTreeMap<(u32, u32), Vec<Statement>> = BTreeMap::new();
        for ((dbid, userid, _, _), (mut statement, by_id)) in found {
            statement.queryids = by_id.into_keys().collect();
            if statement.total_calls() > 0.0 {
                groups.entry((dbid, userid)).or_default().push(statement);
            }
        }
        let groups = groups
            .into_iter()
            .map(|((dbid, userid), mut statements)| {
                statements.sort_by(|a, b| {
                    b.total_calls()
                        .total_cmp(&a.total_calls())
                        .then_with(|| a.fingerprint.cmp(&b.fingerprint))
                        .then_with(|| a.text.cmp(&b.text))
                });
                Group {
                    dbid,
                    userid,
                    statements,
                }
            })
            .collect();
        Self { windows, groups }
    }
}

fn width(shape: &Shape) -> Width {
    let widest = shape
        .equalities
        .iter()
        .map(|equality| match equality.values {
            Values::One | Values::List(Some(0 | 1)) => Width::Single,
            Values::List(Some(2..=4)) => Width::Few,
            Values::List(_) | Values::Array => Width::Many,
        })
        .max()
        .unwrap_or(Width::Single);
    match (shape.kind, shape.value_rows) {
        (StatementKind::Insert, Some(2..)) => Width::Many,
        _ => widest,
    }
}
