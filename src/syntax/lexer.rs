//! SQL files as tokens: enough of PostgreSQL's lexical rules, and of psql's, to tell statements apart.

use super::create_index::Fault;
use super::scan::{self, Escapes};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword, a name without quotes, a number.
    Word,
    /// A name in double quotes.
    Quoted,
    /// A string, in quotes or between dollar signs.
    Text,
    /// One other character.
    Symbol,
    /// A psql command: a backslash and the rest of its line.
    Meta,
    /// A comment.
    Comment,
}

/// A token of a SQL file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// What it is.
    pub(super) kind: Kind,
    /// Its text as written.
    pub(super) text: &'a str,
    /// Where it begins, in bytes.
    pub(super) start: usize,
}

impl Token<'_> {
    /// Whether it is this keyword.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is this character.
    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    /// The byte after it.
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// What a string says.
    pub(super) fn value(&self) -> String {
        string_value(self.text)
    }
}

/// What a string in quotes, escaped or between dollar signs, says.
pub(super) fn string_value(text: &str) -> String {
    if let Some(rest) = text.strip_prefix('\'') {
        return rest.strip_suffix('\'').unwrap_or(rest).replace("''", "'");
    }
    if text.starts_with('$') {
        let tag = text
            .get(1..)
            .and_then(|rest| rest.find('$'))
            .map_or(0, |at| at + 2);
        return text
            .get(tag..text.len().saturating_sub(tag))
            .unwrap_or_default()
            .to_owned();
    }
    let inner = text
        .get(2..text.len().saturating_sub(1))
        .unwrap_or_default();
    let mut value = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                chars.next();
                value.push('\'');
            }
            '\\' => value.extend(chars.next().map(|escaped| match escaped {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            })),
            other => value.push(other),
        }
    }
    value
}

/// Reads tokens one after another.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Where the next token is looked for.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Passes over the data of a COPY: all lines up to one that says `\.`, or to the end.
    pub(super) fn skip_copy_data(&mut self) {
        // The data begin on the line after the statement.
        self.at = self.line_end(self.at);
        while self.at < self.text.len() {
            let end = self.line_end(self.at);
            let line = self.text.get(self.at..end).unwrap_or_default();
            self.at = end;
            if line.trim_end() == "\\." {
                return;
            }
        }
    }

    /// Returns the next token, comments included.
    pub(super) fn next(&mut self) -> Result<Option<Token<'a>>, Fault> {
        let rest = self.rest();
        self.at += rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
                .len();
        let (bytes, start) = (self.text.as_bytes(), self.at);
        let Some(first) = self.rest().chars().next() else {
            return Ok(None);
        };
        let next = bytes.get(start + 1);
        let string = |prefix, escapes| {
            scan::quoted_end(bytes, start + prefix, b'\'', escapes)
                .ok_or_else(|| self.open("this string", prefix))
        };
        let (kind, end) = match first {
            '-' if next == Some(&b'-') => (Kind::Comment, scan::line_end(bytes, start)),
            '/' if next == Some(&b'*') => (
                Kind::Comment,
                scan::comment_end(bytes, start).ok_or_else(|| self.open("this comment", 2))?,
            ),
            '\\' => (Kind::Meta, scan::line_end(bytes, start)),
            '\'' => (Kind::Text, string(1, Escapes::None)?),
            'e' | 'E' if next == Some(&b'\'') => (Kind::Text, string(2, Escapes::Backslash)?),
            '"' => (
                Kind::Quoted,
                scan::quoted_end(bytes, start + 1, b'"', Escapes::None)
                    .ok_or_else(|| self.open("this double quote", 1))?,
            ),
            '$' => match scan::dollar_tag(bytes, start) {
                Some(tag) => (
                    Kind::Text,
                    scan::dollar_end(bytes, start, tag)
                        .ok_or_else(|| self.open("this dollar quote", tag))?,
                ),
                None => (Kind::Symbol, start + 1),
            },
            _ if scan::is_word(bytes.get(start).copied().unwrap_or_default()) => {
                let rest = self.rest().bytes();
                let length = rest.take_while(|&byte| scan::is_word(byte) || byte == b'$');
                (Kind::Word, start + length.count())
            }
            _ => (Kind::Symbol, start + first.len_utf8()),
        };
        self.at = end;
        Ok(Some(Token {
            kind,
            text: self.text.get(start..end).unwrap_or_default(),
            start,
        }))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The byte after the line that `from` stands in.
    fn line_end(&self, from: usize) -> usize {
        (scan::line_end(self.text.as_bytes(), from) + 1).min(self.text.len())
    }

    fn open(&self, what: &str, length: usize) -> Fault {
        Fault {
            message: format!("{what} is not closed"),
            start: self.at,
            end: self.at + length,
        }
    }
}
