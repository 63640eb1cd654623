//! The mark that a detached table carries in its comment: whose it was and when it may be dropped.
//!
//! A comment travels with the table through renames, dumps and restores and is written in the same
//! transaction as the detach, so that it cannot be lost or left behind; it needs no schema of dbops
//! in the database.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ident::{QualifiedName, quote_literal};

/// How a mark begins inside a comment; what stands before it is the comment's own text.
pub const PREFIX: &str = "[dbops:detached ";

/// What dbops remembers about a partition that it detached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The table it was a partition of.
    pub parent: QualifiedName,
    /// The first key column.
    pub column: String,
    /// Lower bound it had, as a literal; `MINVALUE` possible.
    pub from: String,
    /// Upper bound it had, as a literal.
    pub to: String,
    /// When the detach was decided.
    pub detached_at: DateTime<Utc>,
    /// From when on a prune may drop it.
    pub drop_after: DateTime<Utc>,
}

/// Returns the comment with the mark at its end; an older mark is replaced.
///
/// The mark is the JSON of [`Mark`] between [`PREFIX`] and `]`, on a line of its own.
pub fn write(comment: Option<&str>, mark: &Mark) -> String {
    let json = serde_json::to_string(mark).unwrap_or_default();
    match strip(comment.unwrap_or_default()).trim_end() {
        "" => format!("{PREFIX}{json}]"),
        own => format!("{own}\n{PREFIX}{json}]"),
    }
}

/// Reads the mark of a comment; `None` where there is none or it cannot be read.
pub fn read(comment: &str) -> Option<Mark> {
    let at = comment.rfind(PREFIX)?;
    let json = comment[at + PREFIX.len()..].trim_end().strip_suffix(']')?;
    serde_json::from_str(json).ok()
}

/// Returns the comment's own text without the mark.
pub fn strip(comment: &str) -> &str {
    comment
        .rfind(PREFIX)
        .map_or(comment, |at| comment[..at].trim_end())
}

/// Returns what COMMENT ON takes to leave a comment without its mark: its own text, or `null`.
pub(super) fn own_literal(comment: Option<&str>) -> String {
    match strip(comment.unwrap_or_default()).trim_end() {
        "" => "null".to_owned(),
        own => quote_literal(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mark() -> Mark {
        Mark {
            parent: QualifiedName::new("app", "Odd \"name\"]"),
            column: "created_at".to_owned(),
            from: "2026-02-01 00:00:00+00".to_owned(),
            to: "2026-03-01 00:00:00+00".to_owned(),
            detached_at: DateTime::UNIX_EPOCH,
            drop_after: DateTime::UNIX_EPOCH,
        }
    }

    proptest! {
        #[test]
        fn a_mark_reads_back_and_keeps_the_comment(own in ".{0,80}") {
            prop_assume!(!own.contains(PREFIX));
            let comment = write(Some(&own), &mark());
            prop_assert_eq!(read(&comment), Some(mark()));
            prop_assert_eq!(strip(&comment), own.trim_end());
            prop_assert_eq!(write(Some(&comment), &mark()), comment);
        }
    }

    #[test]
    fn other_comments_hold_no_mark() {
        for comment in [
            "",
            "plain",
            "[dbops:detached ",
            "[dbops:detached {}]",
            "[dbops:detached not json]",
        ] {
            assert_eq!(read(comment), None, "{comment}");
        }
    }
}
