//! A statement as the tokens that count, constants recognised: what fingerprints and shapes are made of.

use super::tokens::{Piece, Sort, pieces};
use super::words::{Class, Word, lookup};

/// What a token counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name, its case folded.
    Name,
    /// A name that has to be quoted, as it is.
    Quoted,
    /// A name of a table alias: the how manieth.
    Alias(u16),
    /// A parameter or a constant.
    Constant,
    /// A number; a constant, unless it stands where only structure can.
    Number,
    /// An operator or a mark.
    Mark,
    /// The word AS before an alias, which can be left out.
    Silent,
}

/// A token that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// Where it begins, in bytes; of a quoted name its first letter.
    pub(super) start: usize,
    pub(super) word: Word,
    pub(super) class: Class,
    /// The query that it stands in; see [`super::fingerprint`].
    pub(super) scope: u16,
    /// Whether it is the name of a table and never that of an alias.
    pub(super) is_table: bool,
    /// Of `(` that is closed: where; see [`super::fingerprint`].
    pub(super) close: Option<u32>,
}

impl Item<'_> {
    /// Whether it is a constant of any form.
    pub(super) fn is_constant(&self) -> bool {
        matches!(self.kind, Kind::Constant | Kind::Number)
    }

    /// Whether it is this mark or operator.
    pub(super) fn is_mark(&self, text: &str) -> bool {
        self.kind == Kind::Mark && self.text == text
    }

    /// Whether it can be the name of a table or an alias without AS.
    pub(super) fn is_name(&self) -> bool {
        match self.kind {
            Kind::Quoted => true,
            Kind::Name => matches!(self.class, Class::Free | Class::Special),
            _ => false,
        }
    }

    /// Makes it a constant.
    pub(super) fn conceal(&mut self) {
        self.kind = Kind::Constant;
        self.word = Word::None;
    }

    /// Whether both count as the same.
    pub(super) fn same(&self, other: &Self) -> bool {
        if self.is_constant() && other.is_constant() {
            return true;
        }
        self.kind == other.kind
            && match self.kind {
                Kind::Name => self.text.eq_ignore_ascii_case(other.text),
                Kind::Alias(_) => true,
                _ => self.text == other.text,
            }
    }
}

/// A name as the server folds it.
pub(super) fn name_of(item: &Item<'_>) -> String {
    match item.kind {
        Kind::Quoted => unquoted(item.text),
        _ => item.text.to_ascii_lowercase(),
    }
}

/// A name as it is written, with its quotes if it has some, as the server folds it.
pub(super) fn folded(written: &str) -> String {
    match written.ends_with('"') {
        true => unquoted(written),
        false => written.to_ascii_lowercase(),
    }
}

fn unquoted(text: &str) -> String {
    let rest = text.trim_start_matches(['u', 'U', '&']);
    let rest = rest.strip_prefix('"').unwrap_or(rest);
    rest.strip_suffix('"').unwrap_or(rest).replace("\"\"", "\"")
}

/// Reads the tokens of a statement.
pub(super) fn read(text: &str) -> Vec<Item<'_>> {
    let mut items: Vec<Item<'_>> = Vec::with_capacity(text.len() / 4 + 4);
    for piece in pieces(text) {
        let Some(item) = item(&piece, &items) else {
            continue;
        };
        if item.kind == Kind::Number && signed(&items) {
            items.pop();
        }
        items.push(item);
    }
    while items.last().is_some_and(|item| item.is_mark(";")) {
        items.pop();
    }
    items
}

fn item<'a>(piece: &Piece<'a>, before: &[Item<'a>]) -> Option<Item<'a>> {
    let (mut word, mut class) = (Word::None, Class::Free);
    let (mut text, mut start) = (piece.text, piece.start);
    let kind = match piece.sort {
        Sort::Comment => return None,
        Sort::Text | Sort::Parameter => Kind::Constant,
        Sort::Number => Kind::Number,
        Sort::Operator | Sort::Mark => Kind::Mark,
        Sort::Word => {
            (word, class) = lookup(text);
            if is_value(word, before) {
                word = Word::None;
                Kind::Constant
            } else {
                Kind::Name
            }
        }
        Sort::Quoted => {
            let inner = text
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            match inner {
                // `"char"` is another type than `char`, and `"user"` a column.
                Some(inner) if is_plain(inner) && lookup(inner).1 == Class::Free => {
                    text = inner;
                    start += 1;
                    Kind::Name
                }
                _ => Kind::Quoted,
            }
        }
    };
    Some(Item {
        kind,
        text,
        start,
        word,
        class,
        scope: 0,
        is_table: false,
        close: None,
    })
}

/// Whether the server takes the word for a constant: not in `is true`, `is not null`, `not null`.
fn is_value(word: Word, before: &[Item<'_>]) -> bool {
    if !matches!(word, Word::True | Word::False | Word::Null) {
        return false;
    }
    let mut back = before.iter().rev().map(|item| item.word);
    match back.next() {
        Some(Word::Is | Word::Set) => false,
        Some(Word::Not) => word != Word::Null && back.next() != Some(Word::Is),
        _ => true,
    }
}

/// Whether a number that comes next has its sign before it, as in `= -1`; in `a - 1` it is a subtraction.
fn signed(before: &[Item<'_>]) -> bool {
    let mut back = before.iter().rev();
    if !back.next().is_some_and(|last| last.is_mark("-")) {
        return false;
    }
    let Some(first) = back.next() else {
        return true;
    };
    match first.kind {
        Kind::Mark => !matches!(first.text, ")" | "]" | "."),
        Kind::Name => matches!(
            first.word,
            Word::Select
                | Word::Where
                | Word::And
                | Word::Or
                | Word::Not
                | Word::On
                | Word::When
                | Word::Then
                | Word::Else
                | Word::Case
                | Word::Between
                | Word::Limit
                | Word::Offset
                | Word::By
                | Word::Having
                | Word::Default
                | Word::Returning
                | Word::Like
                | Word::Distinct
                | Word::Fetch
                | Word::Move
                | Word::Forward
                | Word::Backward
                | Word::Absolute
                | Word::Relative
        ),
        _ => false,
    }
}

/// Whether a quoted name means the same without its quotes.
fn is_plain(name: &str) -> bool {
    let starts = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte >= 0x80);
    starts
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase()
                || byte.is_ascii_digit()
                || matches!(byte, b'_' | b'$')
                || byte >= 0x80
        })
}
