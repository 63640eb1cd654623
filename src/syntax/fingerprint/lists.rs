//! Writes the tokens, each list of constants as one.

use crate::syntax::items::{Item, Kind};
use crate::syntax::words::{Class, Word};

/// Returns the tokens as bytes; `size` is about how many there will be.
pub(super) fn write(items: &[Item<'_>], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 64);
    write_into(items, 0, items.len(), MOST_DEPTH, &mut out);
    out
}

/// How deep in rows inside rows lists are looked for; no person nests them, but a text can.
const MOST_DEPTH: usize = 4;

fn write_into(items: &[Item<'_>], mut at: usize, end: usize, depth: usize, out: &mut Vec<u8>) {
    while let Some(item) = items.get(at).filter(|_| at < end) {
        one(item, out);
        at += 1;
        let opens = items
            .get(at)
            .is_some_and(|next| next.is_mark("(") || next.is_mark("["));
        if !opens || depth == 0 {
            continue;
        }
        match item.word {
            Word::In | Word::Array => {
                if let Some(end) = constants(items, at) {
                    out.extend_from_slice(b"\0(\0?\0)");
                    at = end;
                } else if item.word == Word::In {
                    // `(a, b) in ((1, 2), (3, 4))`
                    if let Some(open) = items.get(at) {
                        one(open, out);
                    }
                    at = rows(items, at + 1, depth - 1, out);
                }
            }
            Word::Values => at = rows(items, at, depth - 1, out),
            _ => {}
        }
    }
}

fn one(item: &Item<'_>, out: &mut Vec<u8>) {
    if item.kind == Kind::Silent {
        return;
    }
    out.push(0);
    match item.kind {
        Kind::Silent => {}
        Kind::Name => {
            let from = out.len();
            out.extend_from_slice(item.text.as_bytes());
            out.iter_mut().skip(from).for_each(u8::make_ascii_lowercase);
        }
        Kind::Constant => out.push(b'?'),
        // A byte that no text can begin a token with.
        Kind::Alias(number) => {
            out.push(1);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Kind::Quoted | Kind::Number | Kind::Mark => out.extend_from_slice(item.text.as_bytes()),
    }
}

/// Returns the item after a list of nothing but constants that opens at `at`.
///
/// PostgreSQL 18 writes a list, casts of its constants included, as `$1 /*, ... */`; so casts do not count.
fn constants(items: &[Item<'_>], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at = constant(items, at)?;
        let item = items.get(at)?;
        if item.is_mark(")") || item.is_mark("]") {
            return Some(at + 1);
        }
        if !item.is_mark(",") {
            return None;
        }
        at += 1;
    }
}

/// Returns the item after one constant: `$1`, `$1::int`, `cast($1 as int)`, `date $1`.
fn constant(items: &[Item<'_>], at: usize) -> Option<usize> {
    let first = items.get(at)?;
    if first.word == Word::Cast && items.get(at + 1)?.is_mark("(") {
        if !items.get(at + 2)?.is_constant() || items.get(at + 3)?.word != Word::As {
            return None;
        }
        let end = type_name(items, at + 4)?;
        return items.get(end)?.is_mark(")").then_some(end + 1);
    }
    let named_type = first.kind == Kind::Name && items.get(at + 1).is_some_and(Item::is_constant);
    let mut at = if first.is_constant() {
        at + 1
    } else if named_type && matches!(first.class, Class::Free | Class::Special) {
        at + 2
    } else {
        return None;
    };
    while items.get(at).is_some_and(|item| item.is_mark("::")) {
        at = type_name(items, at + 1)?;
    }
    Some(at)
}

/// Returns the item after the name of a type.
fn type_name(items: &[Item<'_>], mut at: usize) -> Option<usize> {
    let named = |at: usize| {
        items
            .get(at)
            .is_some_and(|item| matches!(item.kind, Kind::Name | Kind::Quoted))
    };
    if !named(at) {
        return None;
    }
    while named(at) && items.get(at).is_some_and(|item| item.word != Word::As) {
        at += 1;
        if items.get(at).is_some_and(|item| item.is_mark(".")) {
            at += 1;
        }
    }
    for (open, close) in [("(", ")"), ("[", "]"), ("[", "]")] {
        if items.get(at).is_some_and(|item| item.is_mark(open)) {
            at += 1;
            while items
                .get(at)
                .is_some_and(|item| item.is_constant() || item.is_mark(","))
            {
                at += 1;
            }
            if !items.get(at)?.is_mark(close) {
                return None;
            }
            at += 1;
        }
    }
    Some(at)
}

/// Writes rows in parentheses, one of those that are the same, and returns the item after them.
fn rows(items: &[Item<'_>], at: usize, depth: usize, out: &mut Vec<u8>) -> usize {
    let Some(end) = group(items, at) else {
        return at;
    };
    let mut kept = items.get(at..end).unwrap_or_default();
    write_into(items, at, end, depth, out);
    let mut at = end;
    while items.get(at).is_some_and(|item| item.is_mark(",")) {
        let Some(end) = group(items, at + 1) else {
            break;
        };
        let row = items.get(at + 1..end).unwrap_or_default();
        let same =
            row.len() == kept.len() && row.iter().zip(kept).all(|(one, other)| one.same(other));
        if !same {
            out.extend_from_slice(b"\0,");
            write_into(items, at + 1, end, depth, out);
            kept = row;
        }
        at = end;
    }
    at
}

/// Returns the item after the parenthesis that closes the one at `at`.
fn group(items: &[Item<'_>], at: usize) -> Option<usize> {
    let item = items.get(at).filter(|item| item.is_mark("("))?;
    usize::try_from(item.close?).ok().map(|close| close + 1)
}
