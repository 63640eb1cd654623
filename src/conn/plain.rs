//! Statements that the extended protocol cannot carry: texts with parameters that have no values.

use tokio_postgres::{SimpleQueryMessage, Transaction};

/// Runs one statement by the simple protocol and returns the first column of its rows.
///
/// `EXPLAIN (GENERIC_PLAN)` takes `$1` without a value only there. The protocol takes several statements at once, so
/// a text with a semicolon anywhere, in a comment or a constant too, is refused.
///
/// # Errors
/// The text holds a semicolon, or the server refuses.
pub async fn first_column(tx: &Transaction<'_>, sql: &str) -> anyhow::Result<Vec<String>> {
    anyhow::ensure!(!sql.contains(';'), "the statement holds a semicolon");
    let messages = tx.simple_query(sql).await?;
    Ok(messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect())
}
