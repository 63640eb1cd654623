//! What `synchronous_standby_names` asks for.

use serde::Serialize;

/// How many replicas a commit waits for, and of which.
///
/// Source: <https://www.postgresql.org/docs/18/runtime-config-replication.html#GUC-SYNCHRONOUS-STANDBY-NAMES>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// Whether any of them will do, instead of the first.
    pub any: bool,
    /// How many.
    pub count: usize,
    /// Their application names; `*` is any.
    pub names: Vec<String>,
}

/// Reads the parameter; `None`: commits wait for nobody, or it is not understood.
pub fn parse(text: &str) -> Option<Wanted> {
    let words = words(text)?;
    let (any, words) = match words.split_first() {
        Some((Word::Bare(word), rest))
            if starts_count(rest) && word.eq_ignore_ascii_case("any") =>
        {
            (true, rest)
        }
        Some((Word::Bare(word), rest))
            if starts_count(rest) && word.eq_ignore_ascii_case("first") =>
        {
            (false, rest)
        }
        _ => (false, words.as_slice()),
    };
    let (count, names) = match words {
        [
            Word::Bare(count),
            Word::Sign('('),
            names @ ..,
            Word::Sign(')'),
        ] => (count.parse().ok()?, names),
        names => (1, names),
    };
    let names: Vec<String> = names
        .iter()
        .filter_map(|word| match word {
            Word::Bare(name) | Word::Quoted(name) => Some(name.clone()),
            Word::Sign(_) => None,
        })
        .collect();
    (!names.is_empty()).then_some(Wanted { any, count, names })
}

enum Word {
    Bare(String),
    Quoted(String),
    Sign(char),
}

fn starts_count(words: &[Word]) -> bool {
    matches!(words, [Word::Bare(count), Word::Sign('('), ..] if count.bytes().all(|b| b.is_ascii_digit()))
}

fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&c) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
        } else if matches!(c, '(' | ')' | ',') {
            chars.next();
            words.push(Word::Sign(c));
        } else if c == '"' {
            chars.next();
            let mut name = String::new();
            loop {
                match chars.next()? {
                    '"' if chars.peek() == Some(&'"') => {
                        chars.next();
                        name.push('"');
                    }
                    '"' => break,
                    other => name.push(other),
                }
            }
            words.push(Word::Quoted(name));
        } else {
            let mut name = String::new();
            while let Some(&c) = chars.peek() {
                if c.is_whitespace() || matches!(c, '(' | ')' | ',' | '"') {
                    break;
                }
                name.push(c);
                chars.next();
            }
            words.push(Word::Bare(name));
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let wanted = |any, count, names: &[&str]| {
            Some(Wanted {
                any,
                count,
                names: names.iter().map(|&name| name.to_owned()).collect(),
            })
        };
        for (text, expected) in [
            ("", None),
            (" ", None),
            ("a", wanted(false, 1, &["a"])),
            ("*", wanted(false, 1, &["*"])),
            ("a, b", wanted(false, 1, &["a", "b"])),
            ("2 (a, b, c)", wanted(false, 2, &["a", "b", "c"])),
            ("FIRST 2 (a,\"b c\")", wanted(false, 2, &["a", "b c"])),
            ("any 1 (a, \"x\"\"y\")", wanted(true, 1, &["a", "x\"y"])),
            ("any", wanted(false, 1, &["any"])),
            ("first, any", wanted(false, 1, &["first", "any"])),
            ("\"a", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
