//! Gives a stored text to the grammar, in the form that the server was given.

use std::borrow::Cow;

use squawk_syntax::SourceFile;

use crate::syntax::create_index::parse;
use crate::syntax::items::{Item, Kind};
use crate::syntax::words::Word;

/// The longest text that is given to the grammar, in bytes: a parse takes time.
const MOST_BYTES: usize = 256 * 1024;

/// The syntax tree of the text, where the grammar takes the whole of it.
pub(super) fn tree(text: &str, items: &[Item<'_>]) -> Option<SourceFile> {
    let fits = text.len() <= MOST_BYTES && !items.is_empty();
    fits.then(|| parse(&with_constants(text, items)).ok())
        .flatten()
}

/// The server stores `interval $1`, `extract($1 from x)`, `savepoint $1` and `set x to $1`, which its own grammar does
/// not take back; they are made what they were.
fn with_constants<'a>(text: &'a str, items: &[Item<'_>]) -> Cow<'a, str> {
    const TYPES: &[&str] = &[
        "bool",
        "box",
        "circle",
        "date",
        "interval",
        "json",
        "jsonb",
        "point",
        "polygon",
        "time",
        "timestamp",
        "timestamptz",
        "uuid",
        "zone",
    ];
    let named = items.first().is_some_and(|first| {
        matches!(
            first.word,
            Word::Set
                | Word::Savepoint
                | Word::Release
                | Word::Rollback
                | Word::Deallocate
                | Word::Alter
        )
    });
    let mut out = String::new();
    let mut kept = 0;
    for (at, value) in items.iter().enumerate().skip(1) {
        if !value.text.starts_with('$') || value.kind != Kind::Constant {
            continue;
        }
        let before = |by: usize| at.checked_sub(by).and_then(|at| items.get(at));
        let typed = before(1).is_some_and(|name| {
            name.kind == Kind::Name
                && TYPES
                    .iter()
                    .any(|word| word.eq_ignore_ascii_case(name.text))
        });
        let field = before(2).is_some_and(|name| name.word == Word::Extract);
        let made = match (named, typed, field) {
            (true, ..) => "x",
            (_, true, _) => "'1'",
            (.., true) => "year",
            _ => continue,
        };
        out.push_str(text.get(kept..value.start).unwrap_or_default());
        out.push_str(made);
        kept = value.start + value.text.len();
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(out)
}
