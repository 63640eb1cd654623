//! Texts of statements without what must not be seen: passwords, connection strings, keys.
//!
//! The server stores utility statements as they were sent: `ALTER ROLE … PASSWORD 'x'`, `CREATE SUBSCRIPTION …
//! CONNECTION '…'`, options of user mappings, `SET app.key = 'x'`. The rule is simple on purpose: outside of queries no
//! string is shown, whatever stands before it.

use std::borrow::Cow;

use super::shape::{StatementKind, decoded};
use super::tokens::{Piece, Sort, pieces};
use super::words::{Word, lookup};

/// What stands for a string.
const HIDDEN: &str = "'***'";

/// Returns the text with every string that may be a secret as `'***'`.
///
/// In SELECT, INSERT, UPDATE, DELETE, MERGE and transaction control strings stay, because the server has made
/// parameters of constants there; those that look like a connection string or a credential go all the same, in comments
/// too. In anything else all strings go, except in SET and SHOW of a few settings that are known to hold none. What was
/// cut off in the middle of a string goes to its end.
pub fn mask(text: &str) -> Cow<'_, str> {
    let known = is_query(text);
    if known && is_plain(text) {
        return Cow::Borrowed(text);
    }
    masked(text, known)
}

fn masked(text: &str, known: bool) -> Cow<'_, str> {
    let harmless = !known && is_harmless(text);
    let mut out = String::new();
    let mut kept = 0;
    let mut assigned = Assigned::default();
    for piece in pieces(text) {
        let value = !known && !harmless && assigned.takes(&piece);
        let hidden = match piece.sort {
            // SET takes words and numbers without quotes.
            Sort::Word | Sort::Number | Sort::Quoted if value => Some(HIDDEN),
            Sort::Text if !piece.closed => Some(HIDDEN),
            Sort::Text if known || harmless => is_secret(piece.text).then_some(HIDDEN),
            Sort::Text => Some(HIDDEN),
            Sort::Comment if is_secret(piece.text) || is_secret(&decoded(piece.text)) => {
                Some("/* *** */")
            }
            // Behind a quote that was opened, nothing is what it seems.
            Sort::Quoted if !piece.closed => Some(HIDDEN),
            Sort::Comment if !piece.closed && !known => Some("/* *** */"),
            // A comment can hold a whole statement, or the half of one.
            Sort::Comment if !known && piece.text.contains(['\'', '$']) => Some("/* *** */"),
            _ => None,
        };
        if let Some(hidden) = hidden {
            out.push_str(text.get(kept..piece.start).unwrap_or_default());
            // `'a'E'b'` must not become one string, nor `e"b` one of another kind.
            if out.ends_with(|c: char| {
                c == '\'' || c == '_' || c == '$' || c.is_ascii_alphanumeric() || !c.is_ascii()
            }) {
                out.push(' ');
            }
            out.push_str(hidden);
            // A comment of one line ends before the line feed, so nothing joins it.
            kept = end(&piece);
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether a text has nothing in it that could begin a string, a quoted name or a comment: most that the server keeps.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let next_to = |first: u8, second: fn(&u8) -> bool| {
        let mut pairs = bytes.windows(2);
        pairs.any(|pair| matches!(pair, [a, b] if *a == first && second(b)))
    };
    !bytes.contains(&b'\'')
        && !bytes.contains(&b'"')
        && !bytes.ends_with(b"$")
        && !next_to(b'-', |b| *b == b'-')
        && !next_to(b'/', |b| *b == b'*')
        && !next_to(b'$', |b| !b.is_ascii_digit())
}

/// Returns an expression as EXPLAIN prints it with every string as `'***'`: a generic plan holds what the statement's
/// text holds, and views and policies bring strings of their own.
pub fn mask_expression(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut kept = 0;
    for piece in pieces(text).filter(|piece| piece.sort == Sort::Text) {
        out.push_str(text.get(kept..piece.start).unwrap_or_default());
        out.push_str(HIDDEN);
        kept = end(&piece);
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    out
}

fn end(piece: &Piece<'_>) -> usize {
    piece.start + piece.text.len()
}

/// Whether the server stores the statement with parameters for its constants. What EXPLAIN,
/// COPY and CALL hold is stored as it was sent on some majors; they are none.
fn is_query(text: &str) -> bool {
    matches!(
        super::shape::kind(text),
        StatementKind::Select
            | StatementKind::Insert
            | StatementKind::Update
            | StatementKind::Delete
            | StatementKind::Merge
            | StatementKind::Transaction
    ) && one_statement(text)
}

/// Whether nothing follows a semicolon: the text of several statements is that of the first that begins it.
fn one_statement(text: &str) -> bool {
    let mut ended = false;
    for piece in pieces(text) {
        match piece.sort {
            Sort::Comment => {}
            Sort::Mark if piece.text == ";" => ended = true,
            _ if ended => return false,
            _ => {}
        }
    }
    true
}

/// SET of what cannot be a secret.
fn is_harmless(text: &str) -> bool {
    const SETTINGS: &[&str] = &[
        "application_name",
        "bytea_output",
        "client_encoding",
        "client_min_messages",
        "datestyle",
        "default_transaction_isolation",
        "extra_float_digits",
        "idle_in_transaction_session_timeout",
        "intervalstyle",
        "jit",
        "lock_timeout",
        "search_path",
        "standard_conforming_strings",
        "statement_timeout",
        "synchronous_commit",
        "timezone",
        "transaction_timeout",
        "work_mem",
    ];
    let mut words = pieces(text).filter(|piece| piece.sort != Sort::Comment);
    let is_set = words
        .next()
        .is_some_and(|first| first.sort == Sort::Word && lookup(first.text).0 == Word::Set);
    let mut name = words.next();
    let scope = |piece: &Piece<'_>| matches!(lookup(piece.text).0, Word::Session | Word::Local);
    if name.as_ref().is_some_and(scope) {
        name = words.next();
    }
    let Some(name) = name.filter(|name| is_set && name.sort == Sort::Word) else {
        return false;
    };
    let sign = words.next();
    let value = |sign: &Piece<'_>| sign.text == "=" || lookup(sign.text).0 == Word::To;
    let known = SETTINGS
        .iter()
        .any(|setting| setting.eq_ignore_ascii_case(name.text))
        && sign.as_ref().is_some_and(value);
    let zone = lookup(name.text).0 == Word::Time
        && sign.is_some_and(|sign| lookup(sign.text).0 == Word::Zone);
    (known || zone) && one_statement(text)
}

/// Tells the values of settings: what stands behind `SET name =` or `SET name TO`, to the end of the statement.
#[derive(Default)]
struct Assigned {
    set: bool,
    value: bool,
}

impl Assigned {
    fn takes(&mut self, piece: &Piece<'_>) -> bool {
        let is = |word: &str| piece.sort == Sort::Word && piece.text.eq_ignore_ascii_case(word);
        if piece.text == ";" {
            *self = Self::default();
            return false;
        }
        if self.value {
            return true;
        }
        self.value = self.set && (piece.text == "=" || is("to"));
        self.set |= is("set");
        false
    }
}

/// Whether a string or a comment looks like a credential: `password=…`, `user:secret@host`, a private key.
pub(super) fn is_secret(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let named = [
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "secret",
        "token",
        "api_key",
        "apikey",
        "access_key",
    ]
    .iter()
    .any(|name| {
        lower.match_indices(name).any(|(at, _)| {
            let rest = lower.get(at + name.len()..).unwrap_or_default();
            rest.trim_start_matches(['"', '\'', ' ', '\\'])
                .starts_with(['=', ':'])
                || rest.trim_start().starts_with(['\''])
        })
    });
    let url = lower.match_indices("://").any(|(at, _)| {
        let rest = lower.get(at + 3..).unwrap_or_default();
        let host = rest
            .split(['/', ' ', '?', '\'', '"'])
            .next()
            .unwrap_or_default();
        host.contains('@')
    });
    named
        || url
        || lower.contains("-----begin")
        || lower.contains("scram-sha-256$")
        || lower.contains("bearer ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_of_utility_statements_are_hidden() {
        for (text, shown) in [
            (
                "ALTER ROLE bob ENCRYPTED PASSWORD 'hunter2' VALID UNTIL 'infinity'",
                "ALTER ROLE bob ENCRYPTED PASSWORD '***' VALID UNTIL '***'",
            ),
            (
                "create user bob password E'hunt\\'er2'",
                "create user bob password '***'",
            ),
            (
                "create user bob password U&'hunter2'",
                "create user bob password '***'",
            ),
            (
                "create user bob password $x$hunter2$x$;",
                "create user bob password '***';",
            ),
            (
                "alter user bob password 'hunter",
                "alter user bob password '***'",
            ),
            (
                "alter user bob password $$hunter",
                "alter user bob password '***'",
            ),
            (
                "alter user bob password \"hunter",
                "alter user bob password '***'",
            ),
            (
                "create subscription s connection 'host=a password=hunter2' publication p",
                "create subscription s connection '***' publication p",
            ),
            (
                "create user mapping for a server s options (user 'a', password 'hunter2')",
                "create user mapping for a server s options (user '***', password '***')",
            ),
            ("set app.key = 'hunter2'", "set app.key = '***'"),
            (
                "set search_path = 'a'; alter user bob password 'hunter2'",
                "set search_path = '***'; alter user bob password '***'",
            ),
            (
                "copy t to program 'curl -u bob:hunter2'",
                "copy t to program '***'",
            ),
            (
                "alter role bob /* 'hunter2' */ login",
                "alter role bob /* *** */ login",
            ),
            (
                "select dblink($1); alter user bob password 'hunter2'",
                "select dblink($1); alter user bob password '***'",
            ),
            (
                "select * from dblink('host=a password=hunter2', 'select 1')",
                "select * from dblink('***', 'select 1')",
            ),
            (
                "select 1 /* postgres://bob:hunter2@db/app */",
                "select 1 /* *** */",
            ),
            (
                "explain select * from t where a = 'hunter2'",
                "explain select * from t where a = '***'",
            ),
            (
                "do $$ begin execute 'alter user bob password ''hunter2'''; end $$",
                "do '***'",
            ),
        ] {
            assert_eq!(mask(text), shown);
            assert!(!mask(text).contains("hunter"));
        }
    }

    #[test]
    fn harmless_texts_stay() {
        for text in [
            "select * from t where a = $1 /* action='show' */",
            "set search_path = 'a', 'b'",
            "SET LOCAL statement_timeout TO '5s'",
            "set time zone 'UTC'",
            "begin",
            "create table t (a int)",
            "insert into t (password) values ($1)",
            "select x'ff', 'a' from \"T\"",
        ] {
            assert!(matches!(mask(text), Cow::Borrowed(_)), "{text}");
        }
    }

    proptest! {
        /// What is not looked at closely holds nothing that would be hidden.
        #[test]
        fn plain_queries_hold_nothing_to_hide(text in "(select|insert into t values|with x as) [a-z0-9$' \"/*.(),=-]{0,40}") {
            if is_plain(&text) {
                prop_assert_eq!(masked(&text, true), Cow::Borrowed(&text));
            }
        }

        #[test]
        fn no_literal_survives_outside_of_queries(
            lead in "(alter role a|create subscription s|set app\\.x =|comment on table t is|copy t from|explain select|call f\\(|do|notify x,|)",
            parts in proptest::collection::vec((0..6_usize, "(password|connection|,|options \\(|=|-- c\n|/\\* d \\*/|;|\\)|\"q\")"), 1..6),
            cut: bool,
        ) {
            let mut text = lead;
            for (form, between) in &parts {
                text.push_str(&format!(" {between} "));
                text.push_str(match form {
                    0 => "'s3cr3t'",
                    1 => "E'\\'s3cr3t'",
                    2 => "U&'s3cr3t'",
                    3 => "$$s3cr3t$$",
                    4 => "$a$'s3cr3t$$$a$",
                    _ => "'''s3cr3t'''",
                });
            }
            if cut {
                text.truncate(text.len() - 1);
            }
            prop_assert!(!mask(&text).contains("s3cr3t"), "{} -> {}", text, mask(&text));
        }

        #[test]
        fn any_text_can_be_masked_twice(text in "\\PC{0,60}") {
            let once = mask(&text).into_owned();
            prop_assert_eq!(mask(&once).into_owned(), once.clone());
        }
    }
}
