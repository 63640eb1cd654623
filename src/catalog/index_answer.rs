//! Follow-up questions of the index planner, asked once it knows what it compares or builds.
//!
//! Each look is bounded: a savepoint around it, short time-outs in it, "unknown" when it did not finish.
//! It takes ACCESS SHARE on what it looks at, and leaves the transaction as it was.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::join;
use tokio_postgres::error::DbError;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Transaction};

use super::index_model::{Duplicates, IndexAnswers, IndexQuestions};
use super::rows::{Reader, get, letter};
use super::{index_arbiters, index_duplicates, index_fold, server};
use crate::ident::{QualifiedName, quote_ident};
use crate::sql::indexes as sql;

/// How long a look may wait for a lock, in milliseconds; longer means somebody rebuilds the table.
const LOCK_TIMEOUT_MS: u32 = 200;

/// How long all looks for duplicates may take together; what is not reached is unknown.
const PROBES_WITHIN: Duration = Duration::from_secs(10);

/// Answers the questions in the transaction that [`super::indexes::read`] used.
///
/// # Errors
/// Names what was being looked at. A look that is not permitted or does not finish in its time is no
/// error: its answer is unknown.
pub async fn answer(tx: &Transaction<'_>, questions: &IndexQuestions) -> Result<IndexAnswers> {
    let (_, reader) = server::read(tx).await?;
    let places = places(&reader, questions)
        .await
        .context("looking up the tables of indexes")?;
    let mut answers = IndexAnswers {
        folds: index_fold::fold(&reader, &questions.folds, &places).await?,
        ..IndexAnswers::default()
    };
    let began = Instant::now();
    for question in &questions.duplicates {
        // The transaction's snapshot holds up everybody's concurrent builds and VACUUM meanwhile.
        let found = if began.elapsed() < PROBES_WITHIN {
            index_duplicates::probe(tx, question, places.get(&question.table)).await?
        } else {
            Duplicates {
                index: question.index.clone(),
                samples: None,
            }
        };
        answers.duplicates.push(found);
    }
    (answers.arbiters, answers.statements_seen) =
        index_arbiters::find(&reader, &questions.arbiters).await?;
    Ok(answers)
}

/// What must be known of a table before it is looked into.
pub(super) struct Place {
    /// `pg_class.relkind`.
    pub(super) kind: char,
    /// Whether the role may read any of it.
    pub(super) readable: bool,
    /// The schema in which names in expressions are looked up: that of the root of the partition tree,
    /// because a partition's index says what its parent's says.
    pub(super) schema: String,
}

impl Place {
    /// Under which names in plan files are looked up, and under which indexes are built.
    pub(super) fn search_path(&self) -> String {
        format!("pg_catalog, {}, public", quote_ident(&self.schema))
    }

    /// The table alone where it holds rows itself, with all partitions where it does not.
    pub(super) fn only(&self) -> &'static str {
        if self.kind == 'p' { "" } else { "only " }
    }
}

async fn places(
    reader: &Reader<'_>,
    questions: &IndexQuestions,
) -> Result<HashMap<QualifiedName, Place>> {
    let folds = questions.folds.iter().map(|question| &question.table);
    let probes = questions.duplicates.iter().map(|question| &question.table);
    let mut tables: Vec<&QualifiedName> = folds.chain(probes).collect();
    tables.sort();
    tables.dedup();
    if tables.is_empty() {
        return Ok(HashMap::new());
    }
    let schemas: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let found = reader
        .list(&sql::ROOTS, &[&schemas, &names], |row| {
            let position: i64 = get(row, "position")?;
            let table = usize::try_from(position - 1)
                .ok()
                .and_then(|at| tables.get(at).copied())
                .context("the server answered a name that was not asked for")?;
            let root: Option<String> = get(row, "root_schema")?;
            let place = Place {
                kind: letter(get(row, "kind")?),
                readable: get(row, "readable")?,
                schema: root.unwrap_or_else(|| table.schema.clone()),
            };
            Ok((table.clone(), place))
        })
        .await?;
    Ok(found.into_iter().collect())
}

/// One bounded look.
pub(super) struct Look {
    /// What is looked at, for errors.
    pub(super) what: String,
    /// How long it may take, in milliseconds.
    pub(super) timeout_ms: u32,
    /// Further settings, as `set local` statements that each end with a semicolon.
    pub(super) settings: String,
    /// The query.
    pub(super) sql: String,
}

impl Look {
    /// Runs the look; the inner error is the server's own, and leaves the transaction usable.
    ///
    /// All of it is sent at once: several looks polled together take one round trip.
    pub(super) async fn rows(
        &self,
        tx: &Transaction<'_>,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Result<Vec<Row>, DbError>> {
        let prepare = format!(
            "savepoint /* dbops */ dbops_look;
             set /* dbops */ local statement_timeout = {};
             set /* dbops */ local lock_timeout = {LOCK_TIMEOUT_MS};
             {}",
            self.timeout_ms, self.settings
        );
        let (prepared, rows, restored) = join!(
            tx.batch_execute(&prepare),
            tx.query_typed(&self.sql, params),
            // Takes the settings back too.
            tx.batch_execute("rollback to savepoint /* dbops */ dbops_look; release savepoint /* dbops */ dbops_look"),
        );
        let what = || self.what.clone();
        prepared.with_context(what)?;
        restored.with_context(what)?;
        match rows {
            Ok(rows) => Ok(Ok(rows)),
            Err(error) => match error.as_db_error() {
                Some(refused) => Ok(Err(refused.clone())),
                None => Err(error).with_context(what),
            },
        }
    }
}
