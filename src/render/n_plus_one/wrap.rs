//! Texts within the width of a terminal.

use crate::render::words::clean;

/// Appends a text, wrapped at the width, each line indented.
pub(super) fn put(out: &mut String, text: &str, indent: usize, width: usize) {
    let space = " ".repeat(indent);
    let room = width.saturating_sub(indent).max(20);
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let mut rest: Vec<char> = word.chars().collect();
        let needed = rest.len() + usize::from(used > 0);
        if used > 0 && used + needed > room {
            out.push_str(&format!("{space}{line}\n"));
            line.clear();
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        while rest.len() > room {
            let later = rest.split_off(room);
            out.push_str(&format!("{space}{}\n", rest.iter().collect::<String>()));
            rest = later;
        }
        used += rest.len();
        line.extend(rest);
    }
    if !line.is_empty() {
        out.push_str(&format!("{space}{line}\n"));
    }
}

/// A text with its middle left out where it is longer: what it reads and what it asks for stay.
pub(super) fn elided(text: &str, most: usize) -> String {
    let text = clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= most {
        return text;
    }
    let head = most / 3;
    let tail = most - head - 3;
    let first: String = letters.iter().take(head).collect();
    let last: String = letters.iter().skip(letters.len() - tail).collect();
    format!("{} … {}", first.trim_end(), last.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_terminal_and_nothing_is_lost() {
        let mut out = String::new();
        put(
            &mut out,
            &format!("select {} from t", "x".repeat(200)),
            4,
            40,
        );
        assert!(out.lines().all(|line| line.chars().count() <= 40), "{out}");
        let letters: String = out.split_whitespace().collect();
        assert_eq!(letters, format!("select{}fromt", "x".repeat(200)));
    }

    #[test]
    fn a_long_statement_keeps_its_beginning_and_its_condition() {
        let text = format!("SELECT {} FROM posts WHERE user_id = $1", "a, ".repeat(200));
        let short = elided(&text, 90);
        assert!(short.chars().count() <= 90);
        assert!(
            short.starts_with("SELECT a,") && short.ends_with("WHERE user_id = $1"),
            "{short}"
        );
    }
}
