//! Any text as tokens, fast and without refusing: what is cut off ends where the text ends.
//!
//! For texts of statistics views. SQL files, with psql's commands in them, are read by [`super::lexer`].

use super::scan::{self, Escapes, is_word};

/// What a piece of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// A keyword or a name without quotes.
    Word,
    /// A name in double quotes, also `U&"…"`.
    Quoted,
    /// A string of any form.
    Text,
    /// A number.
    Number,
    /// `$1`.
    Parameter,
    /// An operator, whole.
    Operator,
    /// `(`, `)`, `[`, `]`, `,`, `;`, `.`, `:`, `::` and what is none of the others.
    Mark,
    /// A comment.
    Comment,
}

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// What it is.
    pub(super) sort: Sort,
    /// As it was written.
    pub(super) text: &'a str,
    /// Where it begins, in bytes.
    pub(super) start: usize,
    /// Whether its end was there; a string that was cut off has none.
    pub(super) closed: bool,
}

/// Reads a text piece by piece, white space left out.
pub(super) struct Pieces<'a> {
    text: &'a str,
    at: usize,
}

/// Takes a text apart.
pub(super) fn pieces(text: &str) -> Pieces<'_> {
    Pieces { text, at: 0 }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|&byte| is_space(byte)) {
            self.at += 1;
        }
        let start = self.at;
        let first = *bytes.get(start)?;
        let (sort, end) = token(bytes, start, first);
        self.at = end.unwrap_or(bytes.len()).min(bytes.len());
        Some(Piece {
            sort,
            text: self.text.get(start..self.at).unwrap_or_default(),
            start,
            closed: end.is_some_and(|end| end <= bytes.len()),
        })
    }
}

/// What begins at `at` with `first`, and where it ends; `None`: not before the text does.
fn token(bytes: &[u8], at: usize, first: u8) -> (Sort, Option<usize>) {
    let ahead = |by: usize| bytes.get(at + by).copied();
    let string = |from, escapes| (Sort::Text, scan::quoted_end(bytes, from, b'\'', escapes));
    match first {
        b'\'' => string(at + 1, Escapes::None),
        b'"' => (
            Sort::Quoted,
            scan::quoted_end(bytes, at + 1, b'"', Escapes::None),
        ),
        b'e' | b'E' if ahead(1) == Some(b'\'') => string(at + 2, Escapes::Backslash),
        b'b' | b'B' | b'x' | b'X' | b'n' | b'N' if ahead(1) == Some(b'\'') => {
            string(at + 2, Escapes::None)
        }
        b'u' | b'U' if ahead(1) == Some(b'&') && ahead(2) == Some(b'\'') => {
            string(at + 3, Escapes::None)
        }
        b'u' | b'U' if ahead(1) == Some(b'&') && ahead(2) == Some(b'"') => (
            Sort::Quoted,
            scan::quoted_end(bytes, at + 3, b'"', Escapes::None),
        ),
        b'-' if ahead(1) == Some(b'-') => (Sort::Comment, Some(scan::line_end(bytes, at))),
        b'/' if ahead(1) == Some(b'*') => (Sort::Comment, scan::comment_end(bytes, at)),
        b'$' => match scan::dollar_tag(bytes, at) {
            Some(tag) => (Sort::Text, scan::dollar_end(bytes, at, tag)),
            None if ahead(1).is_some_and(|next| next.is_ascii_digit()) => (
                Sort::Parameter,
                Some(run(bytes, at + 1, |b| b.is_ascii_digit())),
            ),
            None => (Sort::Mark, Some(at + 1)),
        },
        b'0'..=b'9' => (Sort::Number, Some(number_end(bytes, at))),
        b'.' if ahead(1).is_some_and(|next| next.is_ascii_digit()) => {
            (Sort::Number, Some(number_end(bytes, at)))
        }
        b':' if ahead(1) == Some(b':') => (Sort::Mark, Some(at + 2)),
        _ if is_word(first) => (
            Sort::Word,
            Some(run(bytes, at, |byte| is_word(byte) || byte == b'$')),
        ),
        _ if is_operator(first) => (Sort::Operator, Some(operator_end(bytes, at))),
        _ => (Sort::Mark, Some(at + 1)),
    }
}

fn run(bytes: &[u8], at: usize, takes: impl Fn(u8) -> bool) -> usize {
    bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(|&byte| !takes(byte)))
        .map_or(bytes.len(), |length| at + length)
}

fn number_end(bytes: &[u8], at: usize) -> usize {
    let mut end = run(bytes, at, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_')
    });
    // `1e-5`: the sign belongs to the number; in `0xe-5` it does not.
    let hexadecimal = bytes.get(at + 1).is_some_and(|byte| byte | 32 == b'x');
    let exponent = bytes.get(end - 1).is_some_and(|byte| byte | 32 == b'e');
    if exponent
        && !hexadecimal
        && bytes
            .get(end)
            .is_some_and(|byte| matches!(byte, b'+' | b'-'))
    {
        end = run(bytes, end + 1, |byte| byte.is_ascii_digit());
    }
    end
}

fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}

/// An operator ends before a comment, and with `+` or `-` only if it has one of the marks that SQL does not know:
/// `a=-1` is `a = -1`.
fn operator_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while bytes.get(end).is_some_and(|&byte| is_operator(byte)) {
        let two = (bytes.get(end), bytes.get(end + 1));
        if matches!(two, (Some(b'-'), Some(b'-')) | (Some(b'/'), Some(b'*'))) {
            break;
        }
        end += 1;
    }
    let special = |byte: &u8| {
        matches!(
            byte,
            b'~' | b'!' | b'@' | b'#' | b'%' | b'^' | b'&' | b'|' | b'`' | b'?'
        )
    };
    let known = !bytes
        .get(at..end)
        .is_some_and(|text| text.iter().any(special));
    while known
        && end > at + 1
        && bytes
            .get(end - 1)
            .is_some_and(|byte| matches!(byte, b'+' | b'-'))
    {
        end -= 1;
    }
    end
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}
