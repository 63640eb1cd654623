//! Where strings, quoted names and comments of SQL end: the lexical rules that both lexers share.
//!
//! See <https://www.postgresql.org/docs/current/sql-syntax-lexical.html>. All positions are bytes and lie between
//! characters when they begin there, because whatever ends a token is ASCII.

/// Whether a backslash takes the next character's meaning away: in `E'…'`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// Only a doubled quote stands for itself.
    None,
    /// A backslash escapes too.
    Backslash,
}

/// Returns the byte after what is quoted, `at` being the first byte behind the opening quote; `None`: not closed.
pub(super) fn quoted_end(text: &[u8], mut at: usize, quote: u8, escapes: Escapes) -> Option<usize> {
    while let Some(&byte) = text.get(at) {
        if byte == quote {
            if text.get(at + 1) != Some(&quote) {
                return Some(at + 1);
            }
            at += 2;
        } else if byte == b'\\' && escapes == Escapes::Backslash {
            at += 2;
        } else {
            at += 1;
        }
    }
    None
}

/// Returns the byte after a block comment that begins at `at`; comments nest. `None`: not closed.
pub(super) fn comment_end(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    while let Some(&byte) = text.get(at) {
        match (byte, text.get(at + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (b'*', Some(b'/')) => {
                depth = depth.saturating_sub(1);
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
    None
}

/// Returns the end of the line that `at` stands in, its line feed left out.
pub(super) fn line_end(text: &[u8], at: usize) -> usize {
    text.get(at..)
        .and_then(|rest| rest.iter().position(|&byte| byte == b'\n'))
        .map_or(text.len(), |length| at + length)
}

/// Returns the length of the `$tag$` that begins at `at`; `$1` is a parameter and none.
pub(super) fn dollar_tag(text: &[u8], at: usize) -> Option<usize> {
    let inner = text.get(at + 1..)?;
    let length = inner.iter().position(|&byte| !is_word(byte))?;
    let digit = inner.first().is_some_and(u8::is_ascii_digit);
    (inner.get(length) == Some(&b'$') && !digit).then_some(length + 2)
}

/// Returns the byte after a dollar-quoted string that begins at `at` with a tag this long; `None`: not closed.
pub(super) fn dollar_end(text: &[u8], at: usize, tag: usize) -> Option<usize> {
    let open = text.get(at..at + tag)?;
    let mut from = at + tag;
    loop {
        from += text.get(from..)?.iter().position(|&byte| byte == b'$')?;
        if text.get(from..)?.starts_with(open) {
            return Some(from + tag);
        }
        from += 1;
    }
}

/// Whether a byte can stand in a name; a dollar sign can too, but not begin it.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
