//! What kind of statement a text is, by its first words: for thousands of texts, where parsing each would take longer
//! than reading them.

use crate::syntax::shape::StatementKind;

/// Returns the kind of a statement.
pub fn kind(text: &str) -> StatementKind {
    let mut words = Words { rest: text };
    match words.next_word() {
        Some(word) => match word.to_ascii_lowercase().as_str() {
            "select" | "values" | "table" => StatementKind::Select,
            "insert" => StatementKind::Insert,
            "update" => StatementKind::Update,
            "delete" => StatementKind::Delete,
            "merge" => StatementKind::Merge,
            "with" => words.main_verb(),
            "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint"
            | "release" | "prepare"
                if word.len() != "prepare".len() || words.is_next("transaction") =>
            {
                StatementKind::Transaction
            }
            _ => StatementKind::Utility,
        },
        None => StatementKind::Utility,
    }
}

/// Whether a statement only prepares for others: transaction control, settings of the session. It is shown apart,
/// so that hundreds of thousands of `BEGIN` do not stand between statements that do something.
pub fn is_noise(text: &str) -> bool {
    if kind(text) == StatementKind::Transaction {
        return true;
    }
    let word = Words { rest: text }.next_word().unwrap_or_default();
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

/// Words of a text, past comments, quotes and parentheses.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn next_word(&mut self) -> Option<&'a str> {
        loop {
            self.skip_blank();
            let first = self.rest.chars().next()?;
            if first.is_alphabetic() || first == '_' {
                let end = self
                    .rest
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some(word);
            }
            if first != '(' {
                return None;
            }
            self.advance(1);
        }
    }

    fn is_next(&mut self, wanted: &str) -> bool {
        self.next_word()
            .is_some_and(|word| word.eq_ignore_ascii_case(wanted))
    }

    fn skip_blank(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            let end = if self.rest.starts_with("/*") {
                self.rest.find("*/").map(|at| at + 2)
            } else if self.rest.starts_with("--") {
                self.rest.find('\n').map(|at| at + 1)
            } else {
                return;
            };
            self.advance(end.unwrap_or(self.rest.len()));
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// The first verb outside parentheses: that of the statement below WITH.
    fn main_verb(&mut self) -> StatementKind {
        let mut depth = 0_usize;
        loop {
            self.skip_blank();
            let Some(first) = self.rest.chars().next() else {
                return StatementKind::Select;
            };
            match first {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                '\'' | '"' => {
                    self.advance(1);
                    let end = self.rest.find(first).unwrap_or(self.rest.len());
                    self.advance(end);
                }
                c if c.is_alphabetic() || c == '_' => {
                    let word = self.next_word().unwrap_or_default();
                    let found = match word.to_ascii_lowercase().as_str() {
                        _ if depth > 0 => None,
                        "select" => Some(StatementKind::Select),
                        "insert" => Some(StatementKind::Insert),
                        "update" => Some(StatementKind::Update),
                        "delete" => Some(StatementKind::Delete),
                        "merge" => Some(StatementKind::Merge),
                        _ => None,
                    };
                    if let Some(found) = found {
                        return found;
                    }
                    continue;
                }
                _ => {}
            }
            self.advance(first.len_utf8());
        }
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
            ("PREPARE TRANSACTION $1", "transaction"),
            ("PREPARE a AS SELECT 1", "utility"),
            ("VACUUM t", "utility"),
            ("", "utility"),
            ("$1", "utility"),
        ] {
            assert_eq!(word(kind(text)), expected, "{text}");
        }
        assert!(is_noise("COMMIT") && is_noise("set search_path = $1"));
        assert!(!is_noise("copy t to stdout") && !is_noise("select set"));
    }
}
