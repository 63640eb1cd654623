//! Follow-up questions about rows and names, asked once the planner knows what it wants.
//!
//! Unlike [`super::read`] this looks into tables, so each look is bounded: a savepoint around it, a
//! short time-out in it, and "unknown" when it did not finish. It takes ACCESS SHARE on what it looks at.

use std::collections::HashMap;

use anyhow::{Context, Result};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Transaction};

use super::model::{
    Answers, DefaultQuestion, DefaultRows, NameQuestion, Questions, ReferencedQuestion,
    ReferencedRows, TakenName,
};
use super::rows::{Reader, get};
use super::server;
use crate::changes::mark;
use crate::ident::{QualifiedName, quote_ident};
use crate::sql;

/// How long one count may take, in milliseconds.
const COUNT_TIMEOUT_MS: u32 = 5_000;
/// How long a look at a table's first row may take, in milliseconds.
const PEEK_TIMEOUT_MS: u32 = 1_000;
/// How long a look may wait for a lock, in milliseconds; longer means somebody rebuilds the table.
const LOCK_TIMEOUT_MS: u32 = 200;

/// Answers the questions in the transaction that [`super::read`] used.
///
/// # Errors
/// Names what was being looked at. A look that is not permitted or does not finish in its time is no
/// error: its answer is unknown.
pub async fn answer(tx: &Transaction<'_>, questions: &Questions) -> Result<Answers> {
    let mut answers = Answers::default();
    if !questions.names.is_empty() {
        let (_, reader) = server::read(tx).await?;
        answers.taken = taken(&reader, &questions.names)
            .await
            .context("looking for names that are taken")?;
    }
    for group in by_default(&questions.default_ranges) {
        answers.default_rows.extend(default_rows(tx, &group).await?);
    }
    for question in &questions.referenced {
        answers.referenced.extend(referenced(tx, question).await?);
    }
    Ok(answers)
}

/// Names are asked for in one query; only what could be adopted is looked into.
async fn taken(reader: &Reader<'_>, questions: &[NameQuestion]) -> Result<Vec<TakenName>> {
    let schemas: Vec<&str> = questions.iter().map(|q| q.name.schema.as_str()).collect();
    let names: Vec<&str> = questions.iter().map(|q| q.name.name.as_str()).collect();
    let tables: Vec<u32> = questions.iter().map(|q| q.table_oid).collect();
    let mut taken = reader
        .list(
            &sql::NAMES,
            &[&schemas, &names, &tables, &mark::PREFIX],
            |row| {
                let position: i64 = get(row, "position")?;
                let question = usize::try_from(position - 1)
                    .ok()
                    .and_then(|at| questions.get(at))
                    .context("the server answered a question that was not asked")?;
                Ok(TakenName {
                    name: question.name.clone(),
                    oid: get(row, "oid")?,
                    kind: get(row, "kind")?,
                    same_columns: get(row, "same_columns")?,
                    empty: None,
                    owned: get(row, "owned")?,
                    mark: get(row, "mark")?,
                })
            },
        )
        .await?;
    for name in taken.iter_mut().filter(|name| name.same_columns) {
        name.empty = holds_rows(reader.tx, &name.name).await?.map(|rows| !rows);
    }
    Ok(taken)
}

/// Groups ranges by DEFAULT partition, in the order of the questions.
fn by_default(questions: &[DefaultQuestion]) -> Vec<Vec<&DefaultQuestion>> {
    let mut groups: Vec<Vec<&DefaultQuestion>> = Vec::new();
    let mut at: HashMap<&QualifiedName, usize> = HashMap::new();
    for question in questions {
        let index = *at.entry(&question.default).or_insert(groups.len());
        match groups.get_mut(index) {
            Some(group) => group.push(question),
            None => groups.push(vec![question]),
        }
    }
    groups
}

/// Counts the rows of each range in one DEFAULT partition; an empty one costs one look.
async fn default_rows(
    tx: &Transaction<'_>,
    questions: &[&DefaultQuestion],
) -> Result<Vec<DefaultRows>> {
    let Some(first) = questions.first() else {
        return Ok(Vec::new());
    };
    if holds_rows(tx, &first.default).await? == Some(false) {
        return Ok(Vec::new());
    }
    let froms: Vec<Option<&str>> = questions.iter().map(|q| q.from.as_deref()).collect();
    let tos: Vec<Option<&str>> = questions.iter().map(|q| q.to.as_deref()).collect();
    let look = Look {
        what: format!("counting rows in {}", first.default),
        timeout_ms: COUNT_TIMEOUT_MS,
        sql: count_ranges(questions, first),
    };
    let params: [(&(dyn ToSql + Sync), Type); 2] =
        [(&froms, Type::TEXT_ARRAY), (&tos, Type::TEXT_ARRAY)];
    let counted = look.rows(tx, &params).await?;
    let answer = |question: &DefaultQuestion| DefaultRows {
        table: question.table.clone(),
        from: question.from.clone(),
        to: question.to.clone(),
        count: None,
        min: None,
        max: None,
    };
    let Some(rows) = counted else {
        return Ok(questions.iter().map(|question| answer(question)).collect());
    };
    rows.iter()
        .map(|row| {
            let position: i64 = get(row, "position")?;
            let question = usize::try_from(position - 1)
                .ok()
                .and_then(|at| questions.get(at))
                .context("the server answered a range that was not asked for")?;
            Ok(DefaultRows {
                count: Some(get(row, "count")?),
                min: get(row, "min")?,
                max: get(row, "max")?,
                ..answer(question)
            })
        })
        .collect()
}

/// One statement for all ranges: one pass over the table, or over the part of its index between the
/// lowest and the highest bound.
fn count_ranges(questions: &[&DefaultQuestion], question: &DefaultQuestion) -> String {
    let column = quote_ident(&question.column);
    // `format_type`'s own text, which the server quotes where it must.
    let type_name = &question.type_name;
    // Before PostgreSQL 18 uuid has no min() and max(); its text sorts as it does.
    let extreme = |function: &str| match type_name.as_str() {
        "uuid" => {
            format!("pg_catalog.{function}(d.{column}::pg_catalog.text collate pg_catalog.\"C\")")
        }
        _ => format!("pg_catalog.{function}(d.{column})::pg_catalog.text"),
    };
    // An index can be used only where every range has that end.
    let mut within = String::new();
    if questions.iter().all(|question| question.from.is_some()) {
        within.push_str(&format!(
            " and d.{column} >= (select r.low from asked as r order by r.low limit 1)"
        ));
    }
    if questions.iter().all(|question| question.to.is_some()) {
        within.push_str(&format!(
            " and d.{column} < (select r.high from asked as r order by r.high desc limit 1)"
        ));
    }
    format!(
        "with asked as materialized (
            select r.position, r.low::{type_name} as low, r.high::{type_name} as high
            from rows from (
                pg_catalog.unnest($1::pg_catalog.text[]),
                pg_catalog.unnest($2::pg_catalog.text[])
            ) with ordinality as r (low, high, position)
        )
        select
            r.position,
            pg_catalog.count(*) as count,
            {min} as min,
            {max} as max
        from {default} as d
        inner join asked as r
            on (r.low is null or d.{column} >= r.low) and (r.high is null or d.{column} < r.high)
        where
            d.{column} is not null{within}
        group by r.position
        order by r.position",
        min = extreme("min"),
        max = extreme("max"),
        default = question.default.sql(),
    )
}

/// Counts the rows of another table that point into a partition; `None` for none.
async fn referenced(
    tx: &Transaction<'_>,
    question: &ReferencedQuestion,
) -> Result<Option<ReferencedRows>> {
    let key = &question.foreign_key;
    let pairs: Vec<String> = key
        .columns
        .iter()
        .zip(&key.referenced_columns)
        .map(|(from, to)| format!("f.{} = p.{}", quote_ident(from), quote_ident(to)))
        .collect();
    let look = Look {
        what: format!(
            "counting rows of {} that point into {}",
            key.table, question.partition
        ),
        timeout_ms: COUNT_TIMEOUT_MS,
        sql: format!(
            "select pg_catalog.count(*) as count from {} as f where exists (select 1 from {} as p where {})",
            key.table.sql(),
            question.partition.sql(),
            pairs.join(" and "),
        ),
    };
    let count: Option<i64> = match look.rows(tx, &[]).await? {
        Some(rows) => rows.first().map(|row| get(row, "count")).transpose()?,
        None => None,
    };
    Ok((count != Some(0)).then(|| ReferencedRows {
        partition: question.partition.clone(),
        foreign_key: key.name.clone(),
        table: key.table.clone(),
        count,
    }))
}

/// Whether a table holds a row; `None`: could not be seen in time or is not permitted.
async fn holds_rows(tx: &Transaction<'_>, table: &QualifiedName) -> Result<Option<bool>> {
    let look = Look {
        what: format!("looking for a row in {table}"),
        timeout_ms: PEEK_TIMEOUT_MS,
        sql: format!(
            "select exists (select 1 from {} limit 1) as found",
            table.sql()
        ),
    };
    match look.rows(tx, &[]).await? {
        Some(rows) => rows.first().map(|row| get(row, "found")).transpose(),
        None => Ok(None),
    }
}

/// One bounded look into user tables.
struct Look {
    what: String,
    timeout_ms: u32,
    sql: String,
}

impl Look {
    /// Runs the look inside a savepoint; `None` when the server refused or cancelled it.
    ///
    /// `row_security` is off so that rows hidden by a policy make an unknown, never a wrong "empty".
    async fn rows(
        &self,
        tx: &Transaction<'_>,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Option<Vec<Row>>> {
        let prepare = format!(
            "savepoint /* dbops */ dbops_look;
             set /* dbops */ local statement_timeout = {};
             set /* dbops */ local lock_timeout = {LOCK_TIMEOUT_MS};
             set /* dbops */ local row_security = off",
            self.timeout_ms
        );
        tx.batch_execute(&prepare)
            .await
            .with_context(|| self.what.clone())?;
        let rows = match tx.query_typed(&self.sql, params).await {
            Ok(rows) => Some(rows),
            Err(error) if error.as_db_error().is_some() && !error.is_closed() => None,
            Err(error) => return Err(error).with_context(|| self.what.clone()),
        };
        // Takes the settings back too.
        tx.batch_execute("rollback to savepoint /* dbops */ dbops_look; release savepoint /* dbops */ dbops_look")
            .await
            .with_context(|| self.what.clone())?;
        Ok(rows)
    }
}
