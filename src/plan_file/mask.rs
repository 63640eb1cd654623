//! Takes secrets out of source lines and messages before anybody sees them.

use std::ops::Range;

const HIDDEN: &str = "***";
/// Keys and parameters whose value is a secret, in lower case.
const SECRET_WORDS: [&str; 6] = ["password", "passwd", "passphrase", "pwd", "secret", "token"];

/// A text without its secrets, and the way from places in the original to places in it.
#[derive(Debug, Clone)]
pub(super) struct Masked {
    /// The text as it may be shown.
    pub(super) text: String,
    cuts: Vec<Range<usize>>,
}

impl Masked {
    /// Returns where a byte offset of the original lies in the masked text.
    pub(super) fn offset(&self, original: usize) -> usize {
        let (mut hidden, mut shown) = (0, 0);
        for cut in &self.cuts {
            if original <= cut.start {
                break;
            }
            if original < cut.end {
                return cut.start - hidden + shown + HIDDEN.len();
            }
            hidden += cut.len();
            shown += HIDDEN.len();
        }
        original - hidden + shown
    }
}

/// Masks passwords inside urls and values that follow a word such as `password`.
///
/// Rather hides too much than too little: a part that cannot be told from a password is hidden.
/// References such as `${NAME}` stay, they are no secret.
pub(super) fn mask(text: &str) -> Masked {
    let mut cuts = url_passwords(text);
    cuts.extend(named_secrets(text));
    cuts.sort_by_key(|cut| (cut.start, cut.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for cut in cuts {
        match merged.last_mut() {
            Some(last) if cut.start <= last.end => last.end = last.end.max(cut.end),
            _ => merged.push(cut),
        }
    }
    let mut shown = String::new();
    let mut at = 0;
    for cut in &merged {
        shown.push_str(text.get(at..cut.start).unwrap_or_default());
        shown.push_str(HIDDEN);
        at = cut.end;
    }
    shown.push_str(text.get(at..).unwrap_or_default());
    Masked {
        text: shown,
        cuts: merged,
    }
}

/// Masks a text of which only the text matters.
pub(super) fn masked(text: &str) -> String {
    mask(text).text
}

fn url_passwords(text: &str) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find("://")) {
        let start = at + found + 3;
        let rest = text.get(start..).unwrap_or_default();
        // A password may hold `/`, `@` or spaces that were not encoded, so the last `@` counts.
        let end = rest.find(['"', '\'']).unwrap_or(rest.len());
        let body = rest.get(..end).unwrap_or_default();
        if let Some(password) = password_of(body) {
            cuts.push(start + password.start..start + password.end);
        }
        at = start;
    }
    cuts
}

/// Returns where the password lies in what follows `://`.
pub(super) fn password_of(body: &str) -> Option<Range<usize>> {
    let colon = body.find(':')? + 1;
    let range = match body.rfind('@') {
        Some(last) if last >= colon => colon..last,
        Some(_) => return None,
        None => {
            let tail = body.get(colon..)?;
            let length = tail
                .find(['/', '?', ',', ' ', '}', '`'])
                .unwrap_or(tail.len());
            if tail.get(..length)?.chars().all(|c| c.is_ascii_digit()) {
                return None;
            }
            colon..colon + length
        }
    };
    let secret = body.get(range.clone())?;
    (!secret.is_empty() && !is_reference(secret)).then_some(range)
}

/// Whether the text is one `${NAME}` reference and nothing else.
pub(super) fn is_reference(text: &str) -> bool {
    text.strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|name| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
}

fn named_secrets(text: &str) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let mut cuts = Vec::new();
    for word in SECRET_WORDS {
        let mut at = 0;
        while let Some(found) = lower.get(at..).and_then(|rest| rest.find(word)) {
            at += found + word.len();
            if let Some(cut) = value_after(text, at) {
                cuts.push(cut);
            }
        }
    }
    cuts
}

/// Returns the value that a `:` or `=` introduces at `at`, if there is one.
fn value_after(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = text.get(at..)?;
    let gap = rest.trim_start_matches(['"', '\'', ' ', '\t']);
    let after = gap.strip_prefix([':', '='])?;
    let value = after.trim_start_matches([' ', '\t']);
    let start = text.len() - value.len();
    let length = match value.chars().next()? {
        quote @ ('"' | '\'') => {
            let inner = value.get(1..)?;
            return inner_range(start + 1, inner, inner.find(quote).unwrap_or(inner.len()));
        }
        '$' => value.find('}').map_or(value.len(), |end| end + 1),
        _ => value
            .find(['&', ',', '}', ' ', '"', '\'', '`'])
            .unwrap_or(value.len()),
    };
    inner_range(start, value, length)
}

fn inner_range(start: usize, value: &str, length: usize) -> Option<Range<usize>> {
    let secret = value.get(..length)?;
    (!secret.is_empty() && !is_reference(secret)).then_some(start..start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        for (text, shown) in [
            (
                "url: postgres://app:s3cret@db/x",
                "url: postgres://app:***@db/x",
            ),
            (
                "url: \"postgres://app:s3 c@r/et@db/x\"",
                "url: \"postgres://app:***@db/x\"",
            ),
            ("url: postgres://app:s3cret", "url: postgres://app:***"),
            ("url: postgres://db:5432/x", "url: postgres://db:5432/x"),
            (
                "url: postgres://app:${PW}@db/x",
                "url: postgres://app:${PW}@db/x",
            ),
            (
                "postgres://db/x?user=a&password=b%20c&z=1",
                "postgres://db/x?user=a&password=***&z=1",
            ),
            ("  password: hunter2", "  password: ***"),
            (
                "{ Password: 'hunter 2', x: 1 }",
                "{ Password: '***', x: 1 }",
            ),
            ("password_env: NAME", "password_env: NAME"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn places_after_a_secret_still_point_at_the_same_text() {
        let text = "a://b:longsecret@h, retian: x";
        let hidden = mask(text);
        let place = text.find("retian").unwrap();
        assert!(hidden.text[hidden.offset(place)..].starts_with("retian"));
        assert!(hidden.offset(8) <= hidden.text.len());
    }
}
