//! Several queries of `sql/` in one statement: one round trip, one snapshot, and rows by name of column.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::conn::failure::server_error_in;
use crate::conn::{Session, begin_read};
use crate::sql::{self, Query};

/// A query and the values of its `$1`, `$2` …
pub struct Part {
    query: &'static Query,
    params: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Part {
    /// A query without values.
    pub fn of(query: &'static Query) -> Self {
        Self::with(query, Vec::new())
    }

    /// A query with its values, of the types that it states.
    pub fn with(query: &'static Query, params: Vec<Box<dyn ToSql + Sync + Send>>) -> Self {
        Self { query, params }
    }
}

/// A row, asked by the names of its columns.
#[derive(Debug, Clone)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Returns the value of a column.
    ///
    /// # Errors
    /// There is no such column, or it holds something else.
    pub fn get<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        let what = || format!("reading its column `{column}`");
        let value = self.0.get(column).context("it is not there");
        T::deserialize(value.with_context(what)?).with_context(what)
    }
}

/// What came back, by query.
#[derive(Debug, Default)]
pub struct Answers(BTreeMap<&'static str, Result<Vec<Fields>, Refused>>);

impl Answers {
    /// Returns the rows of a query, each read by `row`.
    ///
    /// # Errors
    /// The server refused it, or a row is not as it should be.
    pub fn rows<T>(&self, query: &Query, row: impl Fn(&Fields) -> Result<T>) -> Result<Vec<T>> {
        let what = || format!("reading `{}`", query.name);
        let rows = match self.0.get(query.name).context("it was not asked for") {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(refused)) => Err(refused.clone().into()),
            Err(error) => Err(error),
        };
        rows.with_context(what)?
            .iter()
            .map(row)
            .collect::<Result<_>>()
            .with_context(what)
    }
}

/// Why there are no rows: what asks the same must be told the same.
#[derive(Debug, Clone)]
pub struct Refused(Arc<anyhow::Error>);

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::error::Error::source(self) {
            Some(_) => f.write_str("the server refused"),
            None => write!(f, "{:#}", self.0),
        }
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .chain()
            .find(|cause| cause.is::<tokio_postgres::Error>())
    }
}

/// Reads all parts by one statement; where the server refuses that one, each by itself, so that what fails costs no other.
///
/// # Errors
/// The connection, or a statement that was cancelled: what remains would be late as well.
pub async fn read(session: &mut Session, parts: &[Part]) -> Result<Answers> {
    let version_num = session.server_version_num();
    let all: Vec<&Part> = parts.iter().collect();
    let refused = match ask(session, version_num, &all).await {
        Ok(answers) => return Ok(answers),
        Err(error) => error,
    };
    let code = server_error_in(&refused).map(|server| server.sqlstate);
    match code.as_deref() {
        // Cancelled, terminated, or no connection left.
        None => return Err(refused),
        Some(code) if code.starts_with("57") => return Err(refused),
        Some(_) => {}
    }
    let mut answers = Answers::default();
    if let [only] = all.as_slice() {
        answers.0.insert(only.query.name, Err(refused.into()));
        return Ok(answers);
    }
    for part in all {
        let alone = match ask(session, version_num, &[part]).await {
            Ok(mut alone) => alone.0.remove(part.query.name).unwrap_or(Ok(Vec::new())),
            Err(error) if server_error_in(&error).is_some() => Err(error.into()),
            Err(error) => return Err(error),
        };
        answers.0.insert(part.query.name, alone);
    }
    Ok(answers)
}

async fn ask(session: &mut Session, version_num: i32, parts: &[&Part]) -> Result<Answers> {
    if parts.is_empty() {
        return Ok(Answers::default());
    }
    let queries: Vec<&Query> = parts.iter().map(|part| part.query).collect();
    let text = statement(&queries, version_num);
    let params: Vec<(&(dyn ToSql + Sync), Type)> = parts
        .iter()
        .flat_map(|part| {
            let values = part.params.iter().map(|one| &**one as &(dyn ToSql + Sync));
            values.zip(part.query.params.iter().cloned())
        })
        .collect();
    // A statement alone has one snapshot and may not write: its session says so. In a shared pool there are no sessions.
    let rows = if session.keeps_settings() {
        session.query_typed(&text, &params).await
    } else {
        let tx = begin_read(session).await?;
        let rows = tx.query_typed(&text, &params).await;
        if rows.is_ok() {
            tx.commit().await.context("ending to read")?;
        }
        rows
    };
    let what = || match queries.as_slice() {
        [only] => format!("reading `{}`", only.name),
        several => format!("reading {} queries at once", several.len()),
    };
    let rows = rows.with_context(what)?;
    let row = rows.first().context("no answer").with_context(what)?;
    let mut answers = Answers::default();
    for (at, query) in queries.iter().enumerate() {
        answers
            .0
            .insert(query.name, parsed(row, at).map_err(Refused::from));
    }
    Ok(answers)
}

fn parsed(row: &Row, at: usize) -> Result<Vec<Fields>> {
    let Some(text) = row.try_get::<_, Option<&str>>(at)? else {
        return Ok(Vec::new());
    };
    let rows: Vec<Map<String, Value>> =
        serde_json::from_str(text).context("reading rows as JSON")?;
    Ok(rows.into_iter().map(Fields).collect())
}

/// The text: one row with a column for each query, which holds its rows in their order.
fn statement(queries: &[&Query], version_num: i32) -> String {
    let mut text = "select /* dbops */".to_owned();
    let mut values = 0;
    for (at, query) in queries.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let inner = shifted(plain(sql::pick(query, version_num)), values);
        values += query.params.len();
        let _ = write!(
            text,
            "{comma}\n(select pg_catalog.json_agg(q) from (\n{inner}\n) as q)::pg_catalog.text as {}",
            query.name
        );
    }
    text
}

/// A query without its comment and its semicolon.
fn plain(text: &str) -> &str {
    let mut rest = text.trim();
    while rest.starts_with("--") {
        rest = rest
            .split_once('\n')
            .map_or("", |(_, rest)| rest)
            .trim_start();
    }
    rest.trim_end_matches(';')
}

/// `$1` as `$1 + by`: values stand one behind the other. The queries hold no other `$`.
fn shifted(text: &str, by: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        let digits = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        let (number, behind) = after.split_at(digits);
        out.push_str(before);
        match number.parse::<usize>() {
            Ok(number) => {
                let _ = write!(out, "${}", number + by);
            }
            Err(_) => out.push('$'),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{health, pool, replication};

    #[test]
    fn values_of_several_queries_stand_one_behind_the_other() {
        let queries = [
            &pool::SESSIONS,
            &replication::NODE,
            &pool::ROLES,
            &health::DATABASES,
        ];
        let text = statement(&queries, 180_000);
        assert!(text.starts_with("select /* dbops */"));
        assert!(text.contains("when $1 and a.wait_event_type"), "{text}");
        assert!(text.contains("any($2)"), "{text}");
        let sizes = text.rfind("$3").unwrap();
        assert!(sizes > text.find("datfrozenxid").unwrap() && !text.contains("$4"));
        assert!(!text.contains("--") && !text.contains(';'), "{text}");
        for query in queries {
            assert!(text.contains(&format!("as {}", query.name)));
        }
    }

    #[test]
    fn numbers_are_moved_and_other_dollars_stay() {
        assert_eq!(shifted("$1 + $10 $ $$ x$", 2), "$3 + $12 $ $$ x$");
        assert_eq!(shifted("no value", 7), "no value");
    }

    #[test]
    fn columns_are_read_by_name_and_what_is_not_there_is_an_error() {
        let text = r#"{"n": 7, "f": 1.5, "t": "x", "none": null, "l": [1, 2]}"#;
        let row = Fields(serde_json::from_str(text).unwrap());
        assert_eq!(row.get::<i64>("n").unwrap(), 7);
        assert_eq!(row.get::<Option<f64>>("n").unwrap(), Some(7.0));
        assert_eq!(row.get::<f64>("f").unwrap(), 1.5);
        assert_eq!(row.get::<Option<String>>("none").unwrap(), None);
        assert_eq!(row.get::<Vec<i32>>("l").unwrap(), [1, 2]);
        assert!(row.get::<i64>("none").is_err());
        assert!(row.get::<Option<i64>>("gone").is_err());
        assert!(row.get::<i64>("t").is_err());
    }
}
