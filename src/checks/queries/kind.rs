//! What kind of statement a text is, in words, and which statements only prepare for others.

use crate::syntax::shape::StatementKind;
pub use crate::syntax::shape::kind;

/// Whether a statement only prepares for others: transaction control, settings of the session. It is shown apart,
/// so that hundreds of thousands of `BEGIN` do not stand between statements that do something.
pub fn is_noise(text: &str) -> bool {
    match kind(text) {
        StatementKind::Transaction => true,
        StatementKind::Utility => {
            let word = first_word(text);
            [
                "set",
                "reset",
                "show",
                "discard",
                "deallocate",
                "listen",
                "unlisten",
            ]
            .iter()
            .any(|noise| word.eq_ignore_ascii_case(noise))
        }
        _ => false,
    }
}

/// The first word past comments.
fn first_word(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let end = if rest.starts_with("/*") {
            rest.find("*/").map(|at| at + 2)
        } else if rest.starts_with("--") {
            rest.find('\n').map(|at| at + 1)
        } else {
            break;
        };
        rest = end.and_then(|end| rest.get(end..)).unwrap_or_default();
        rest = rest.trim_start();
    }
    let end = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

/// The kind in a word, as scopes name it.
pub fn word(kind: StatementKind) -> &'static str {
    match kind {
        StatementKind::Select => "select",
        StatementKind::Insert => "insert",
        StatementKind::Update => "update",
        StatementKind::Delete => "delete",
        StatementKind::Merge => "merge",
        StatementKind::Transaction => "transaction",
        StatementKind::Utility => "utility",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_seen_past_comments_and_parentheses() {
        for (text, expected) in [
            ("select 1", "select"),
            ("/* route:a */ SELECT 1", "select"),
            ("-- x\n(select 1) union select 2", "select"),
            (
                "with a as (insert into t values ($1) returning *) select * from a",
                "select",
            ),
            (
                "with a as (select 'x) update') update t set b = $1",
                "update",
            ),
            ("with \"delete\" as (select 1) delete from t", "delete"),
            ("BEGIN", "transaction"),
            ("RELEASE SAVEPOINT $1", "transaction"),
            ("release s1", "transaction"),
            ("rollback to savepoint s1", "transaction"),
            ("PREPARE TRANSACTION $1", "transaction"),
            ("PREPARE a AS SELECT 1", "utility"),
            ("VACUUM t", "utility"),
            ("", "utility"),
            ("$1", "utility"),
        ] {
            assert_eq!(word(kind(text)), expected, "{text}");
        }
        assert!(is_noise("COMMIT") && is_noise("/* a */ set search_path = $1"));
        assert!(!is_noise("copy t to stdout") && !is_noise("select set"));
    }
}
