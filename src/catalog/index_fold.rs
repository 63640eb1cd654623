//! Brings expressions to the form that the server's planner compares.
//!
//! `explain (verbose) select (e1), (e2) from only t where false` shows each expression as the planner
//! simplified it, under read-only transactions and on standbys too, and runs nothing of it. Two things are
//! added: the names of collations, which the planner keeps and the text loses, and the refusal of what an
//! expression may hold and an index may not.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use serde_json::Value;
use tokio_postgres::error::{DbError, SqlState};

use super::index_answer::{Look, Place};
use super::index_model::{Fold, FoldQuestion, Folded};
use super::rows::{Reader, get};
use crate::ident::QualifiedName;
use crate::sql::indexes as sql;
use crate::syntax::{self, ObjectName};

/// How long one query may take, in milliseconds: nothing is read, but constants are computed.
const TIMEOUT_MS: u32 = 5_000;
/// How many expressions go into one query; the server takes 1664.
const EXPRESSIONS: usize = 1_000;
/// How many queries are under way at once.
const QUERIES: usize = 64;

/// Folds the texts of each question; the answers are in the order of the questions, a text asked for twice
/// of one table is answered once.
pub(super) async fn fold(
    reader: &Reader<'_>,
    questions: &[FoldQuestion],
    places: &HashMap<QualifiedName, Place>,
) -> Result<Vec<Fold>> {
    let mut folds: Vec<Fold> = Vec::new();
    let mut batches: Vec<Batch<'_>> = Vec::new();
    for question in questions {
        let table = &question.table;
        let texts: BTreeSet<&str> = question.texts.iter().map(String::as_str).collect();
        let mut asked = Vec::new();
        let mut answered = |text: &str, folded: Folded| {
            folds.push(Fold {
                table: table.clone(),
                text: text.to_owned(),
                folded,
            });
        };
        let place = places.get(table);
        for text in texts {
            match refused_unasked(text, table, place) {
                Some(folded) => answered(text, folded),
                None => asked.push(text),
            }
        }
        if let Some(place) = place {
            batches.extend(asked.chunks(EXPRESSIONS).map(|texts| Batch {
                table,
                place,
                texts: texts.to_vec(),
            }));
        }
    }
    while !batches.is_empty() {
        let rest = batches.split_off(batches.len().min(QUERIES));
        let results = try_join_all(batches.iter().map(|batch| batch.ask(reader))).await?;
        let mut again = Vec::new();
        for (batch, result) in batches.iter().zip(results) {
            match result {
                Asked::Folded(found) => folds.extend(batch.folds(found)),
                Asked::Halve => again.extend(batch.halves()),
            }
        }
        again.extend(rest);
        batches = again;
    }
    add_collations(reader, &mut folds, places).await?;
    folds.sort_by(|a, b| (&a.table, &a.text).cmp(&(&b.table, &b.text)));
    folds.dedup_by(|a, b| (&a.table, &a.text) == (&b.table, &b.text));
    Ok(folds)
}

/// What needs no server: text that is no single expression, a table that cannot be asked.
fn refused_unasked(text: &str, table: &QualifiedName, place: Option<&Place>) -> Option<Folded> {
    if let Err(fault) = syntax::single_expression(text) {
        return Some(Folded::Refused(fault.message));
    }
    if syntax::holds_subquery(text) {
        return Some(Folded::Refused(
            "cannot use subquery in index expression".to_owned(),
        ));
    }
    if let Some(parameter) = syntax::parameter(text) {
        return Some(Folded::Refused(format!(
            "there is no parameter {parameter}"
        )));
    }
    match place {
        None => Some(Folded::Unknown(format!("{table} does not exist"))),
        Some(place) if !matches!(place.kind, 'r' | 'p' | 'm' | 'f') => {
            Some(Folded::Unknown(format!("{table} is not a table")))
        }
        Some(place) if !place.readable => Some(Folded::Unknown(format!(
            "the role may not read {table}, which comparing expressions needs"
        ))),
        Some(_) => None,
    }
}

/// Expressions of one table that go into one query.
struct Batch<'a> {
    table: &'a QualifiedName,
    place: &'a Place,
    texts: Vec<&'a str>,
}

/// What the server made of a batch.
enum Asked {
    /// An answer for each text.
    Folded(Vec<Folded>),
    /// One of several texts is wrong: ask again in smaller parts.
    Halve,
}

impl Batch<'_> {
    async fn ask(&self, reader: &Reader<'_>) -> Result<Asked> {
        // A line break ends a comment at the end of a text.
        let list: Vec<String> = self
            .texts
            .iter()
            .map(|text| format!("({text}\n)"))
            .collect();
        let look = Look {
            what: format!("comparing expressions of {}", self.table),
            timeout_ms: TIMEOUT_MS,
            // Nothing is read, so a policy hides nothing; with this off the server would refuse instead.
            settings: format!(
                "set /* dbops */ local row_security = on; set /* dbops */ local search_path = {};",
                self.place.search_path()
            ),
            sql: format!(
                "explain (verbose, costs off, format json) select {} from only {} where false",
                list.join(", "),
                self.table.sql()
            ),
        };
        match look.rows(reader.tx, &[]).await? {
            Ok(rows) => {
                let row = rows.first().context("EXPLAIN gave no row")?;
                let plan: Value = get(row, "QUERY PLAN")?;
                self.read(&plan)
                    .with_context(|| format!("reading the plan for {}", self.table))
            }
            Err(error) => Ok(self.failed(&error)),
        }
    }

    fn read(&self, plan: &Value) -> Result<Asked> {
        let plan = plan
            .get(0)
            .and_then(|statement| statement.get("Plan"))
            .context("the plan has no node")?;
        let printed: Vec<&str> = plan
            .get("Output")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let wrong = match forbidden(plan) {
            // `t.*` stands for several columns.
            None if printed.len() != self.texts.len() => {
                Some("row expansion via \"*\" is not supported here".to_owned())
            }
            wrong => wrong,
        };
        Ok(match wrong {
            Some(wrong) if self.texts.len() == 1 => Asked::Folded(vec![Folded::Refused(wrong)]),
            Some(_) => Asked::Halve,
            None => Asked::Folded(printed.iter().map(|text| self.folded(text)).collect()),
        })
    }

    fn folded(&self, printed: &str) -> Folded {
        let text = syntax::without_relation(printed, &self.table.name);
        match syntax::system_column(&text) {
            Some(_) => {
                Folded::Refused("index creation on system columns is not supported".to_owned())
            }
            None => Folded::Text(text),
        }
    }

    fn failed(&self, error: &DbError) -> Asked {
        let unknown =
            |why: &str| Asked::Folded(vec![Folded::Unknown(why.to_owned()); self.texts.len()]);
        match *error.code() {
            SqlState::LOCK_NOT_AVAILABLE | SqlState::T_R_DEADLOCK_DETECTED => {
                unknown("a lock on the table was not free")
            }
            SqlState::QUERY_CANCELED => unknown(error.message()),
            _ if self.texts.len() > 1 => Asked::Halve,
            SqlState::INSUFFICIENT_PRIVILEGE => unknown(error.message()),
            _ => Asked::Folded(vec![Folded::Refused(error.message().to_owned())]),
        }
    }

    fn folds(&self, folded: Vec<Folded>) -> impl Iterator<Item = Fold> {
        self.texts.iter().zip(folded).map(|(text, folded)| Fold {
            table: self.table.clone(),
            text: (*text).to_owned(),
            folded,
        })
    }

    fn halves(&self) -> impl Iterator<Item = Self> {
        let (left, right) = self.texts.split_at(self.texts.len() / 2);
        [left, right].into_iter().map(|texts| Self {
            table: self.table,
            place: self.place,
            texts: texts.to_vec(),
        })
    }
}

/// What an expression may hold and an index may not shows as a node of its own above the empty result.
fn forbidden(plan: &Value) -> Option<String> {
    let found = match plan.get("Node Type").and_then(Value::as_str)? {
        "ProjectSet" => "set-returning",
        "WindowAgg" => "window",
        "Aggregate" => "aggregate",
        _ => {
            // A policy's own subqueries hang below the result in other places.
            return plan
                .get("Plans")
                .and_then(Value::as_array)?
                .iter()
                .filter(|node| {
                    node.get("Parent Relationship").and_then(Value::as_str) == Some("Outer")
                })
                .find_map(forbidden);
        }
    };
    Some(format!(
        "{found} functions are not allowed in index expressions"
    ))
}

/// Appends the collations that each source text names, with the schema that the server finds them in.
async fn add_collations(
    reader: &Reader<'_>,
    folds: &mut [Fold],
    places: &HashMap<QualifiedName, Place>,
) -> Result<()> {
    let named: Vec<Vec<ObjectName>> = folds
        .iter()
        .map(|fold| syntax::collations(&fold.text))
        .collect();
    let names: BTreeSet<&str> = named.iter().flatten().map(|of| of.name.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = names.into_iter().collect();
    let known: BTreeSet<(String, String)> = reader
        .list(&sql::COLLATIONS, &[&names], |row| {
            Ok((get(row, "schema_name")?, get(row, "name")?))
        })
        .await
        .context("looking up collations")?
        .into_iter()
        .collect();
    for (fold, named) in folds.iter_mut().zip(named) {
        let (Folded::Text(text), false) = (&mut fold.folded, named.is_empty()) else {
            continue;
        };
        let own = places.get(&fold.table).map(|place| place.schema.as_str());
        let mut full: Vec<String> = named
            .iter()
            .map(|name| in_full(name, own, &known))
            .collect();
        // BETWEEN is written out as two comparisons with the same left side.
        full.dedup();
        text.push_str(&format!(" collate ({})", full.join(", ")));
    }
    Ok(())
}

fn in_full(name: &ObjectName, own: Option<&str>, known: &BTreeSet<(String, String)>) -> String {
    let schema = name.schema.clone().or_else(|| {
        [Some("pg_catalog"), own, Some("public")]
            .into_iter()
            .flatten()
            .map(str::to_owned)
            .find(|schema| known.contains(&(schema.clone(), name.name.clone())))
    });
    ObjectName {
        schema,
        name: name.name.clone(),
    }
    .to_string()
}
