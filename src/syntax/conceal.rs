//! Texts of statements as sessions sent them, with no literal left in them.

use super::mask::mask;
use super::tokens::{Sort, pieces};

/// Returns the text in one line with `?` for every string and number, and without comments: what
/// `pg_stat_activity` shows was not normalized by the server, so any literal may be somebody's data.
pub fn conceal(text: &str) -> String {
    // First what is secret by its place: SET takes words without quotes.
    let text = mask(text);
    let mut out = String::new();
    let mut end = 0;
    for piece in pieces(&text) {
        if piece.sort == Sort::Comment {
            end = piece.start + piece.text.len();
            continue;
        }
        // White space and comments both become one space.
        if !out.is_empty() && piece.start > end && !out.ends_with(' ') {
            out.push(' ');
        }
        match piece.sort {
            Sort::Text | Sort::Number => out.push('?'),
            // Behind a quote that was not closed anything may stand.
            Sort::Quoted if !piece.closed => out.push('?'),
            _ => out.push_str(piece.text),
        }
        end = piece.start + piece.text.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_literal_is_left() {
        for (text, expected) in [
            (
                "select * from t where name = 'Ann' and id in (17, 18)",
                "select * from t where name = ? and id in (?, ?)",
            ),
            (
                "update t\n set a = E'x\\'y',  b = $$z$$",
                "update t set a = ?, b = ?",
            ),
            ("select 1 /* for 'Ann' */ from t -- Ann", "select ? from t"),
            (
                "select \"Name\" from t where a = $1",
                "select \"Name\" from t where a = $1",
            ),
            ("insert into t values ('cut of", "insert into t values (?"),
            ("alter role a password 'geheim'", "alter role a password ?"),
            ("", ""),
        ] {
            assert_eq!(conceal(text), expected, "{text}");
        }
        assert!(!conceal("set app.key = geheim").contains("geheim"));
    }
}
