//! The place of a few characters of a scalar's value in the YAML text it was read from.

use super::position::Place;

/// Finds where bytes `start..end` of `value` stand in `text`, whose scalar begins at `at`.
///
/// The value's characters other than blanks stand in the same order in the text, in every style of YAML:
/// plain, quoted, literal and folded blocks. Where an escape of a double-quoted text breaks that, `None`.
pub(super) fn within(
    text: &str,
    at: Place,
    value: &str,
    start: usize,
    end: usize,
) -> Option<Place> {
    let opening = text
        .lines()
        .nth(at.line.checked_sub(1)?)?
        .chars()
        .nth(at.start)?;
    let (from_line, from_column) = match opening {
        // A block's content begins on the line after its header.
        '|' | '>' => (at.line + 1, 0),
        '\'' | '"' => (at.line, at.start + 1),
        _ => (at.line, at.start),
    };
    let mut written = text
        .lines()
        .enumerate()
        .map(|(line, content)| (line + 1, content))
        .skip(from_line - 1)
        .flat_map(|(line, content)| {
            let skipped = if line == from_line { from_column } else { 0 };
            content
                .chars()
                .enumerate()
                .skip(skipped)
                .filter(|(_, c)| !c.is_whitespace())
                .map(move |(column, c)| (line, column, c))
        });
    let mut before = None;
    let mut first = None;
    let mut last = None;
    for (byte, c) in value.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        if first.is_some() && byte >= end {
            break;
        }
        let (line, column, found) = written.next()?;
        if found != c {
            return None;
        }
        if opening == '\'' && c == '\'' {
            // A quote within quotes is written twice.
            written.next();
        }
        if byte < start {
            before = Some((line, column));
        } else {
            first = first.or(Some((line, column)));
            last = Some((line, column));
        }
    }
    let place = |(line, start), end| Place { line, start, end };
    match (first, last) {
        (Some(first), Some(last)) if last.0 == first.0 => Some(place(first, last.1 + 1)),
        (Some(first), _) => Some(place(first, usize::MAX)),
        // What is missing at the end is missing after the last character.
        (None, _) => before.map(|(line, column)| place((line, column + 1), column + 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan_file::position::{Path, Positions};

    /// The place of the word `here` of the value under `a`.
    fn place(text: &str) -> Option<(usize, usize, usize)> {
        let (positions, _) = Positions::read(text).unwrap();
        let path = Path::default().key("a");
        let (value, _) = positions.scalar(&path).unwrap();
        let start = value.find("here").unwrap();
        let found = within(
            text,
            positions.value(&path).unwrap(),
            &value,
            start,
            start + 4,
        )?;
        Some((found.line, found.start, found.end))
    }

    #[test]
    fn every_style_of_yaml_is_followed() {
        for (text, wanted) in [
            ("a: x here y\n", (1, 5, 9)),
            ("a: 'it''s here'\n", (1, 10, 14)),
            ("a: \"é here\"\n", (1, 6, 10)),
            ("a: |\n  one\n\n  two here\n", (4, 6, 10)),
            ("a: |2- # why\n    one\n    here\n", (3, 4, 8)),
            ("a: >\n  one\n  two here\nb: 1\n", (3, 6, 10)),
            ("a: >-\n  one here\n  two\n", (2, 6, 10)),
            ("a: one\n  two here\n", (2, 6, 10)),
            ("x: 1\r\na: |\r\n  here\r\n", (3, 2, 6)),
        ] {
            assert_eq!(place(text), Some(wanted), "{text:?}");
        }
        assert_eq!(place("a: \"x\\ty\\x41 here\"\n"), None);
    }

    #[test]
    fn what_is_missing_at_the_end_stands_after_it() {
        let at = Place {
            line: 1,
            start: 3,
            end: 6,
        };
        let found = within("a: b +  # note\n", at, "b +", 3, 3).unwrap();
        assert_eq!((found.line, found.start), (1, 6));
    }
}
