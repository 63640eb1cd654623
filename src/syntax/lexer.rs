//! SQL files as tokens: enough of PostgreSQL's lexical rules, and of psql's, to tell statements apart.

use super::create_index::Fault;

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
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(None);
        };
        let (kind, length) = if rest.starts_with("--") {
            (Kind::Comment, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (Kind::Comment, self.block_comment()?)
        } else if first == '\\' {
            (Kind::Meta, rest.find('\n').unwrap_or(rest.len()))
        } else if first == '\'' {
            (Kind::Text, self.string(1, Escapes::None)?)
        } else if rest.starts_with("e'") || rest.starts_with("E'") {
            (Kind::Text, self.string(2, Escapes::Backslash)?)
        } else if first == '"' {
            (Kind::Quoted, self.quoted()?)
        } else if let Some(tag) = dollar_tag(rest) {
            (Kind::Text, self.dollar(tag)?)
        } else if is_word(first) {
            let length = rest.find(|c| !is_word(c) && c != '$').unwrap_or(rest.len());
            (Kind::Word, length)
        } else {
            (Kind::Symbol, first.len_utf8())
        };
        let start = self.at;
        self.at += length;
        Ok(Some(Token {
            kind,
            text: self.text.get(start..self.at).unwrap_or_default(),
            start,
        }))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn line_end(&self, from: usize) -> usize {
        self.text
            .get(from..)
            .and_then(|rest| rest.find('\n'))
            .map_or(self.text.len(), |at| from + at + 1)
    }

    fn open(&self, what: &str, length: usize) -> Fault {
        Fault {
            message: format!("{what} is not closed"),
            start: self.at,
            end: self.at + length,
        }
    }

    /// Comments nest.
    fn block_comment(&self) -> Result<usize, Fault> {
        let rest = self.rest();
        let (mut depth, mut at) = (1, 2);
        while let Some(ahead) = rest.get(at..).filter(|ahead| !ahead.is_empty()) {
            let step = if ahead.starts_with("/*") {
                depth += 1;
                2
            } else if ahead.starts_with("*/") {
                depth -= 1;
                2
            } else {
                ahead.chars().next().map_or(1, char::len_utf8)
            };
            at += step;
            if depth == 0 {
                return Ok(at);
            }
        }
        Err(self.open("this comment", 2))
    }

    fn string(&self, prefix: usize, escapes: Escapes) -> Result<usize, Fault> {
        let rest = self.rest();
        let mut chars = rest.char_indices().skip(prefix).peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' if escapes == Escapes::Backslash => {
                    chars.next();
                }
                '\'' if chars.peek().is_some_and(|&(_, next)| next == '\'') => {
                    chars.next();
                }
                '\'' => return Ok(at + 1),
                _ => {}
            }
        }
        Err(self.open("this string", prefix))
    }

    fn quoted(&self) -> Result<usize, Fault> {
        self.rest()
            .get(1..)
            .and_then(|rest| rest.find('"'))
            .map(|at| at + 2)
            .ok_or_else(|| self.open("this double quote", 1))
    }

    fn dollar(&self, tag: &str) -> Result<usize, Fault> {
        self.rest()
            .get(tag.len()..)
            .and_then(|rest| rest.find(tag))
            .map(|at| at + 2 * tag.len())
            .ok_or_else(|| self.open("this dollar quote", tag.len()))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    None,
    Backslash,
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

/// Returns `$tag$` where the text begins with one; `$1` is a parameter.
fn dollar_tag(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('$')?;
    let end = inner.find('$')?;
    let tag = inner.get(..end)?;
    let is_tag = tag.chars().all(is_word) && !tag.starts_with(|c: char| c.is_ascii_digit());
    if is_tag { text.get(..end + 2) } else { None }
}
