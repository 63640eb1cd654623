//! Asks a pooler's console: one simple query each, with a time limit of our own.
//!
//! The console of PgBouncer knows neither the extended protocol nor several statements in one, nor time-outs.
//! Source: <https://www.pgbouncer.org/usage.html#admin-console>.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio_postgres::SimpleQueryMessage;

use super::session::Session;

/// What a SHOW command answered, by name of column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShowTable {
    /// Names of the columns, in the console's order.
    pub columns: Vec<String>,
    /// Texts as the console writes them.
    pub rows: Vec<Vec<Option<String>>>,
}

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks `show WHAT` of a console.
///
/// # Errors
/// The console does not know it, the role may not ask it, or it does not answer in time.
#[expect(clippy::disallowed_methods, reason = "the console knows nothing else")]
pub async fn show(console: &Session, what: &str) -> anyhow::Result<ShowTable> {
    let asked = format!("show {what}");
    let answer = tokio::time::timeout(PATIENCE, console.simple_query(&asked));
    let Ok(messages) = answer.await else {
        bail!("`{asked}`: no answer within {} s", PATIENCE.as_secs());
    };
    let mut table = ShowTable::default();
    for message in messages.with_context(|| format!("asking `{asked}`"))? {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                table.columns = columns.iter().map(|one| one.name().to_owned()).collect();
            }
            SimpleQueryMessage::Row(row) => table.rows.push(
                (0..row.len())
                    .map(|index| row.get(index).map(str::to_owned))
                    .collect(),
            ),
            _ => {}
        }
    }
    Ok(table)
}
