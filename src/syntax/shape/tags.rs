//! Tags that frameworks write into comments: sqlcommenter's `key='value'` and marginalia's `key:value`.

use std::collections::BTreeMap;

use crate::syntax::mask::is_secret;
use crate::syntax::tokens::{Sort, pieces};

/// Reads the tags of all comments; the first of a key counts. Keys that differ with each request are left out.
pub fn tags(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for piece in pieces(text).filter(|piece| piece.sort == Sort::Comment && piece.closed) {
        let inner = match piece.text.strip_prefix("/*") {
            Some(block) => block.strip_suffix("*/").unwrap_or(block),
            None => piece.text.trim_start_matches('-'),
        };
        for (key, value) in pairs(inner) {
            let secret = is_secret(&format!("{key}={value}"));
            if !secret && !matches!(key.as_str(), "traceparent" | "tracestate") {
                found.entry(key).or_insert(value);
            }
        }
    }
    found
}

/// The pairs of one comment; a comment with anything else in it is no list of tags.
fn pairs(comment: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in split(comment.trim()) {
        let part = part.trim();
        let sign = part.find(['=', ':']);
        let Some((key, value)) = sign.and_then(|at| Some((part.get(..at)?, part.get(at + 1..)?)))
        else {
            return Vec::new();
        };
        let (key, value) = (decoded(key.trim()), value.trim());
        let named = !key.is_empty()
            && key.len() <= 64
            && key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        if !named || value.is_empty() || (value.contains(' ') && !value.starts_with('\'')) {
            return Vec::new();
        }
        let inner = value
            .strip_prefix('\'')
            .and_then(|rest| rest.strip_suffix('\''))
            .map(|inner| decoded(&inner.replace("\\'", "'")));
        found.push((key, inner.unwrap_or_else(|| value.to_owned())));
    }
    found
}

/// Splits at commas outside of quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            '\'' if !escaped => quoted = !quoted,
            ',' if !quoted => {
                parts.push(text.get(from..at).unwrap_or_default());
                from = at + 1;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}

/// `%20` and the like; what is no such code stays.
pub(in crate::syntax) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .filter(|code| first == b'%' && code.iter().all(u8::is_ascii_hexdigit))
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() {
            after.get(2..).unwrap_or_default()
        } else {
            after
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        tags(text)
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn tags_of_each_kind_are_read_anywhere() {
        for (text, expected) in [
            (
                "select 1 /*action='show',controller='users%20list',db_driver='django%3A5'*/",
                "action=show controller=users list db_driver=django:5",
            ),
            (
                "/*application:App,controller:users,action:index*/ select 1",
                "action=index application=App controller=users",
            ),
            ("select /* job:ImportJob */ 1", "job=ImportJob"),
            (
                "select 1 /*route='%2Fusers%2F%3Aid',traceparent='00-abc-def-01',tracestate='a=1'*/",
                "route=/users/:id",
            ),
            ("select 1 /*framework='a\\'b,c'*/", "framework=a'b,c"),
            ("select 1 -- job:Nightly", "job=Nightly"),
            ("/*a:1*/ select 1 /*a:2,b:3*/", "a=1 b=3"),
            ("select 1 /* a comment: with words */ /* , ... */", ""),
            ("select '/*a:1*/', $1 /*, ... */", ""),
            ("select 1 /*controller:us", ""),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
