//! Looks for rows that a unique index would refuse, before a long build finds them.

use anyhow::Result;
use tokio_postgres::Transaction;

use super::index_answer::{Look, Place};
use super::index_model::{DuplicateQuestion, Duplicates};
use super::rows::get;
use crate::ident::{quote_if_needed, split_name};

/// How long one probe may take, in milliseconds.
const TIMEOUT_MS: u32 = 1_500;
/// How many keys are shown.
const SAMPLES: usize = 5;
/// A table of keys in memory is several times faster than sorting, which the server would choose for
/// many distinct keys and little memory; an index that has the order already is used as before.
const SETTINGS: &str = "set local work_mem = '128MB'; set local enable_sort = off;";

/// Looks for duplicates; unknown when it does not finish in its time or is not permitted.
pub(super) async fn probe(
    tx: &Transaction<'_>,
    question: &DuplicateQuestion,
    place: Option<&Place>,
) -> Result<Duplicates> {
    let samples = match place {
        Some(place) => {
            let look = Look {
                what: format!("looking for duplicates in {}", question.table),
                timeout_ms: TIMEOUT_MS,
                settings: format!(
                    "{SETTINGS} set local search_path = {};",
                    place.search_path()
                ),
                sql: query(question, place),
            };
            match look.rows(tx, &[]).await? {
                Ok(rows) => Some(
                    rows.iter()
                        .map(|row| {
                            let values: Vec<Option<String>> = get(row, "key")?;
                            Ok((shown(&question.keys, &values), get(row, "count")?))
                        })
                        .collect::<Result<Vec<(String, i64)>>>()?,
                ),
                Err(_) => None,
            }
        }
        None => None,
    };
    Ok(Duplicates {
        index: question.index.clone(),
        samples: samples.map(|mut samples| {
            samples.sort();
            samples
        }),
    })
}

/// Keys are evaluated once; keys with a NULL are left out afterwards, where few are left.
fn query(question: &DuplicateQuestion, place: &Place) -> String {
    let columns = 1..=question.keys.len();
    let list = |one: &dyn Fn(usize) -> String, between: &str| {
        columns.clone().map(one).collect::<Vec<_>>().join(between)
    };
    let keys: Vec<String> = question
        .keys
        .iter()
        .enumerate()
        .map(|(at, key)| format!("{key} as k{}", at + 1))
        .collect();
    let predicate = match &question.predicate {
        Some(predicate) => format!(" where ({predicate}\n)"),
        None => String::new(),
    };
    let distinct = if question.nulls_equal {
        String::new()
    } else {
        // `is not null` is false of a row with a NULL in it, which is a value like any other.
        format!(
            " where {}",
            list(
                &|at| format!("not (d.k{at} is not distinct from null)"),
                " and "
            )
        )
    };
    // `offset 0` keeps the server from moving the condition inwards, where it would cost every row.
    format!(
        "select d.count, array[{texts}] as key
         from (
            select pg_catalog.count(*) as count, {keys}
            from {only}{table}{predicate}
            group by {positions}
            having pg_catalog.count(*) > 1
            offset 0
         ) as d{distinct}
         limit {SAMPLES}",
        texts = list(&|at| format!("d.k{at}::pg_catalog.text"), ", "),
        keys = keys.join(", "),
        only = place.only(),
        table = question.table.sql(),
        positions = list(&|at| (at + 1).to_string(), ", "),
    )
}

/// `(a, lower(b)) = (1, x)`.
fn shown(keys: &[String], values: &[Option<String>]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| key_as_written(key)).collect();
    let values: Vec<&str> = values
        .iter()
        .map(|value| value.as_deref().unwrap_or("null"))
        .collect();
    format!("({}) = ({})", keys.join(", "), values.join(", "))
}

fn key_as_written(key: &str) -> String {
    if let Ok((None, column)) = split_name(key) {
        return quote_if_needed(&column);
    }
    key.strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or(key)
        .to_owned()
}
