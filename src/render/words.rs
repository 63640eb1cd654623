//! Small things in words: sizes, times, counts, names that are safe on a terminal.

/// Returns the text with control characters escaped, so that a name from the database cannot move
/// the cursor, colour the terminal or turn the reading direction of what follows.
pub fn clean(text: &str) -> String {
    if !text.chars().any(is_treacherous) {
        return text.to_owned();
    }
    text.chars()
        .map(|c| {
            if is_treacherous(c) {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        })
        .collect()
}

/// Whether a character is not shown itself but changes how others are: controls other than line ends, and marks of
/// the reading direction (Unicode Standard Annex 9).
pub fn is_treacherous(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns a size in the largest binary unit that keeps it at or above one: `1.5 GiB`.
pub fn bytes(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// Returns a count with thousands apart: `1 234 567`.
pub fn count(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    if count < 0 { format!("-{text}") } else { text }
}

/// Returns `1 step`, `2 steps`.
pub fn plural(count: usize, one: &str) -> String {
    if count == 1 {
        format!("1 {one}")
    } else {
        format!("{count} {one}s")
    }
}

/// Returns `1 index`, `2 indexes`.
pub fn indexes(count: usize) -> String {
    match count {
        1 => "1 index".to_owned(),
        count => format!("{count} indexes"),
    }
}

/// Returns a length of time in seconds for people: `45 s`, `12 min`, `5 h`, `71 days`.
pub fn duration(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Returns milliseconds for people: `0 ms`, `8.4 ms`, `120 ms`, `3.2 s`.
pub fn millis(ms: f64) -> String {
    if ms >= 1_000.0 {
        format!("{:.1} s", ms / 1_000.0)
    } else if ms > 0.0 && ms < 10.0 {
        format!("{ms:.1} ms")
    } else {
        format!("{ms:.0} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_units_that_people_read() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1_536 << 20), "1.5 GiB");
        assert_eq!(count(-1_234_567), "-1 234 567");
        assert_eq!(count(999), "999");
        assert_eq!(plural(1, "step"), "1 step");
        assert_eq!(duration(71 * 86_400), "71 days");
        assert_eq!(millis(8.44), "8.4 ms");
    }

    #[test]
    fn names_cannot_command_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
    }
}
