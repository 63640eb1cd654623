//! Index builds in flight, from what the server shows of other sessions.

use anyhow::Result;
use tokio_postgres::Row;

use super::index_list::optional_name;
use super::index_model::RunningBuild;
use super::rows::get;
use crate::ident::QualifiedName;

/// What is shown where the server hides the text of a statement.
const HIDDEN: &str = "hidden from this role";

/// Returns the build that a session is busy with; `None`: it only holds a lock that a build takes too.
pub(super) fn build(row: &Row) -> Result<Option<RunningBuild>> {
    let shown: Option<String> = get(row, "command")?;
    let state: Option<String> = get(row, "state")?;
    let query: Option<String> = get(row, "query")?;
    let in_text = query
        .as_deref()
        .filter(|_| state.as_deref() == Some("active"))
        .and_then(command);
    let suspicious = state.is_none() && get::<bool>(row, "has_invalid")?;
    let command = match shown.or(in_text) {
        Some(command) => command,
        None if get(row, "in_progress")? || suspicious => HIDDEN.to_owned(),
        None => return Ok(None),
    };
    let phase: Option<String> = get(row, "phase")?;
    let waits = get::<Option<bool>>(row, "granted")? == Some(false);
    Ok(Some(RunningBuild {
        pid: get(row, "pid")?,
        application: get(row, "application")?,
        role: get(row, "role")?,
        table: QualifiedName {
            schema: get(row, "table_schema")?,
            name: get(row, "table_name")?,
        },
        index: optional_name(row, "index")?,
        command,
        phase: match phase {
            Some(phase) => phase,
            None if waits => "waiting for the table's lock".to_owned(),
            None => "no progress shown".to_owned(),
        },
        done: get(row, "done")?,
        seconds: get(row, "seconds")?,
    }))
}

/// Returns the index command in a statement's text, as the server names it in its progress.
fn command(text: &str) -> Option<String> {
    let words: Vec<String> = text
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .map(str::to_uppercase)
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    (0..words.len()).find_map(|at| match words.get(at..)? {
        ["CREATE", "UNIQUE", "INDEX", rest @ ..] | ["CREATE", "INDEX", rest @ ..] => {
            Some(named("CREATE INDEX", rest.first() == Some(&"CONCURRENTLY")))
        }
        ["REINDEX", rest @ ..] => Some(named("REINDEX", rest.contains(&"CONCURRENTLY"))),
        ["DROP", "INDEX", "CONCURRENTLY", ..] => Some(named("DROP INDEX", true)),
        _ => None,
    })
}

fn named(command: &str, concurrently: bool) -> String {
    if concurrently {
        format!("{command} CONCURRENTLY")
    } else {
        command.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_commands_are_found_in_texts() {
        for (text, found) in [
            (
                "create index concurrently i on t (a)",
                "CREATE INDEX CONCURRENTLY",
            ),
            (
                "/* deploy 7 */ CREATE UNIQUE INDEX i ON t (a)",
                "CREATE INDEX",
            ),
            (
                "set x = 1; reindex (verbose, concurrently) table t",
                "REINDEX CONCURRENTLY",
            ),
            ("reindex\n  index \"I\"", "REINDEX"),
            (
                "drop index concurrently if exists i",
                "DROP INDEX CONCURRENTLY",
            ),
        ] {
            assert_eq!(command(text).as_deref(), Some(found), "{text}");
        }
        for text in [
            "vacuum t",
            "drop index i",
            "alter table t add column reindexed int",
            "",
        ] {
            assert_eq!(command(text), None, "{text}");
        }
    }
}
