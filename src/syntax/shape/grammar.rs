//! Gives a stored text to the grammar: only what its stack can hold, and in the form that the server was given.

use std::borrow::Cow;

use squawk_syntax::SourceFile;

use crate::syntax::create_index::parse;
use crate::syntax::items::{Item, Kind};
use crate::syntax::words::Word;

/// The longest text that is given to the grammar, in bytes, and how deep its parentheses may nest.
const MOST_BYTES: usize = 256 * 1024;
const MOST_NESTED: usize = 128;

/// How many operators, joins and set operations a text may have, and how many of them side by side: each is a level of
/// the tree, and the parser's stack is finite. In a thread of 2 MiB it ends at 7 200 and 1 200 in a debug build, at
/// 2 400 where joins have no condition, which are nested to the right.
const MOST_LINKS: usize = 3_000;
const MOST_SIDE_BY_SIDE: usize = 128;
const MOST_BARE_JOINS: usize = 500;

/// The syntax tree of the text, where the grammar takes the whole of it.
pub(super) fn tree(text: &str, items: &[Item<'_>]) -> Option<SourceFile> {
    let fits = text.len() <= MOST_BYTES && !items.is_empty() && is_shallow(items);
    fits.then(|| parse(&with_constants(text, items)).ok())
        .flatten()
}

fn is_shallow(items: &[Item<'_>]) -> bool {
    let (mut depth, mut links, mut run, mut path, mut bare) = (0_usize, 0_usize, 0, 0, 0);
    let mut behind_dot = false;
    for item in items {
        let closes = item.is_mark(")") || item.is_mark("]");
        if item.is_mark("(") || item.is_mark("[") || item.word == Word::Case {
            depth += 1;
        } else if closes || item.word == Word::End {
            depth = depth.saturating_sub(1);
        }
        let dot = item.is_mark(".");
        let link = is_link(item);
        links += usize::from(link);
        run = if link { run + 1 } else { 0 };
        // `a.b.c`: names stand between the dots.
        path = match (dot, behind_dot) {
            (true, _) => path + 1,
            (false, true) => path,
            (false, false) => 0,
        };
        behind_dot = dot;
        bare += usize::from(matches!(item.word, Word::Cross | Word::Natural));
        if depth > MOST_NESTED
            || links > MOST_LINKS
            || run.max(path) > MOST_SIDE_BY_SIDE
            || bare > MOST_BARE_JOINS
        {
            return false;
        }
    }
    true
}

/// Whether a token makes a level of the tree that no parenthesis shows.
fn is_link(item: &Item<'_>) -> bool {
    match item.kind {
        Kind::Mark => !["(", ")", "]", ",", "."].contains(&item.text),
        Kind::Name => {
            matches!(
                item.word,
                Word::And
                    | Word::Or
                    | Word::Not
                    | Word::Is
                    | Word::In
                    | Word::Like
                    | Word::Join
                    | Word::Union
                    | Word::Intersect
                    | Word::Except
            ) || ["collate", "escape", "at"]
                .iter()
                .any(|word| word.eq_ignore_ascii_case(item.text))
        }
        _ => false,
    }
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
