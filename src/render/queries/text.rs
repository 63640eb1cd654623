//! Long texts in narrow columns: folded at spaces, shortened in the middle.

use unicode_width::UnicodeWidthStr;

use crate::render::words::clean;

/// Returns a text in one line: white space runs become one space, control characters are escaped.
pub(super) fn one_line(text: &str) -> String {
    clean(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Folds a text at spaces to lines of at most `width` columns; longer words are cut.
pub(in crate::render) fn fold(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word = word.to_owned();
        while !word.is_empty() {
            let gap = usize::from(!line.is_empty());
            if line.width() + gap + word.width() <= width {
                if gap == 1 {
                    line.push(' ');
                }
                line.push_str(&word);
                word.clear();
            } else if word.width() <= width || !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            } else {
                let rest = split_off(&mut word, width);
                lines.push(std::mem::replace(&mut word, rest));
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Leaves at most `width` columns and returns the rest.
fn split_off(word: &mut String, width: usize) -> String {
    let mut taken = 0;
    let end = word
        .char_indices()
        .find(|(_, c)| {
            taken += unicode_width::UnicodeWidthChar::width(*c).unwrap_or(0);
            taken > width
        })
        .map_or(word.len(), |(at, _)| at)
        .max(word.chars().next().map_or(0, char::len_utf8));
    word.split_off(end)
}

/// Shortens a text to at most `most` columns: beginning and end stay, which is where statements differ.
pub(super) fn elide(text: &str, most: usize) -> String {
    const GAP: &str = " … ";
    if text.width() <= most {
        return text.to_owned();
    }
    let tail_room = most.saturating_sub(GAP.width()) / 3;
    let head_room = most.saturating_sub(GAP.width()) - tail_room;
    let mut head = text.to_owned();
    split_off(&mut head, head_room.max(1));
    let mut width = 0;
    let start = text
        .char_indices()
        .rev()
        .find(|(_, c)| {
            width += unicode_width::UnicodeWidthChar::width(*c).unwrap_or(0);
            width > tail_room
        })
        .map_or(0, |(at, c)| at + c.len_utf8());
    let tail = text.get(start..).unwrap_or_default();
    format!("{}{GAP}{}", head.trim_end(), tail.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fold_at_spaces_and_long_words_are_cut() {
        assert_eq!(fold("select a, b from t", 10), ["select a,", "b from t"]);
        assert_eq!(fold("abcdefghijklm x", 8), ["abcdefgh", "ijklm x"]);
        assert_eq!(fold("", 8), Vec::<String>::new());
        for line in fold(&"äöü漢字 ".repeat(50), 20) {
            assert!(line.width() <= 20, "{line}");
        }
    }

    #[test]
    fn beginning_and_end_stay() {
        let text = "select a, b, c from orders where user_id = $1 order by created_at desc";
        let short = elide(text, 40);
        assert!(short.width() <= 40, "{short}");
        assert!(
            short.starts_with("select a, b") && short.ends_with("at desc"),
            "{short}"
        );
        assert_eq!(elide("short", 40), "short");
        assert!(elide(&"漢".repeat(100), 41).width() <= 41);
    }
}
