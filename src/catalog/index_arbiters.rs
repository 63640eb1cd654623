//! Recorded statements that infer a unique index by ON CONFLICT.

use std::collections::BTreeSet;

use anyhow::Result;

use super::index_answer::Look;
use super::index_model::{Arbiter, ArbiterQuestion};
use super::rows::{Reader, get};
use crate::ident::quote_ident;
use crate::sql::indexes as sql;
use crate::syntax::{ConflictTarget, OnConflict, on_conflict};

/// How long reading the statements may take, in milliseconds.
const TIMEOUT_MS: u32 = 3_000;

/// Returns statements that need the indexes asked for, and whether all of this database could be seen.
pub(super) async fn find(
    reader: &Reader<'_>,
    questions: &[ArbiterQuestion],
) -> Result<(Vec<Arbiter>, bool)> {
    if questions.is_empty() {
        return Ok((Vec::new(), false));
    }
    let schemas: Vec<String> = reader
        .list(&sql::STATEMENT_SCHEMA, &[], |row| get(row, "schema_name"))
        .await?;
    let Some(schema) = schemas.first() else {
        return Ok((Vec::new(), false));
    };
    let look = Look {
        what: "reading recorded statements".to_owned(),
        timeout_ms: TIMEOUT_MS,
        settings: String::new(),
        // A statement of another role, with its text hidden, has no queryid either.
        sql: format!(
            "select s.queryid::pg_catalog.text as queryid, s.calls, s.query
             from {}.pg_stat_statements as s
             inner join pg_catalog.pg_database as d on d.oid = s.dbid
             where
                d.datname = pg_catalog.current_database()
                and (s.queryid is null or s.query ~* 'on\\s+conflict')
             order by s.queryid, s.userid",
            quote_ident(schema)
        ),
    };
    // Not loaded, not permitted, too slow: nothing is known.
    let Ok(rows) = look.rows(reader.tx, &[]).await? else {
        return Ok((Vec::new(), false));
    };
    let mut found = Vec::new();
    let mut all_seen = true;
    for row in &rows {
        let Some(statement) = get::<Option<String>>(row, "queryid")? else {
            all_seen = false;
            continue;
        };
        let calls: i64 = get(row, "calls")?;
        let clauses = on_conflict(get(row, "query")?);
        found.extend(
            questions
                .iter()
                .filter(|question| clauses.iter().any(|clause| needs(clause, question)))
                .map(|question| Arbiter {
                    index: question.index.clone(),
                    statement: statement.clone(),
                    calls,
                }),
        );
    }
    found.sort_by(|a, b| (&a.index, &a.statement, a.calls).cmp(&(&b.index, &b.statement, b.calls)));
    Ok((found, all_seen))
}

/// A table without a schema may be any of that name: what its session's search_path was is not recorded.
fn needs(clause: &OnConflict, question: &ArbiterQuestion) -> bool {
    let schema_fits = clause
        .table
        .schema
        .as_ref()
        .is_none_or(|schema| *schema == question.table.schema);
    schema_fits
        && clause.table.name == question.table.name
        && match &clause.target {
            // A constraint is named as its index.
            ConflictTarget::Constraint(name) => *name == question.index.name,
            ConflictTarget::Columns(columns) => {
                let named: BTreeSet<Option<&str>> = columns.iter().map(Option::as_deref).collect();
                // The server compares sets too; which expression one is cannot be told from here.
                let keys: BTreeSet<Option<&str>> =
                    question.columns.iter().map(Option::as_deref).collect();
                named == keys
            }
        }
}
