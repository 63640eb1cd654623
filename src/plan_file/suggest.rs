//! "Did you mean": the nearest known word to one that a person typed.

/// Returns the known word nearest to `typed`, where one is near enough to be meant.
pub(super) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let length = typed.chars().count();
    if length > 64 {
        return None;
    }
    known
        .into_iter()
        .map(|word| {
            // Of equally near words the one with the same beginning is meant.
            let other_start = word.chars().next() != typed.chars().next();
            (distance(&typed, &word.to_lowercase()), other_start, word)
        })
        .filter(|&(distance, _, word)| distance <= (length.max(word.len()) / 3).max(1))
        .min()
        .map(|(_, _, word)| word)
}

/// Edit distance with swaps of neighbours counted as one (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let mut cost = (at(&row, j) + usize::from(x != y))
                .min(at(&row, j + 1) + 1)
                .min(at(&next, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let known = ["retain", "premake", "time_zone", "table"];
        assert_eq!(nearest("retian", known), Some("retain"));
        assert_eq!(nearest("Premake", known), Some("premake"));
        assert_eq!(nearest("timezone", known), Some("time_zone"));
        assert_eq!(nearest("tables", known), Some("table"));
        assert_eq!(nearest("dsc", ["asc", "desc"]), Some("desc"));
        assert_eq!(nearest("xyzzy", known), None);
        assert_eq!(nearest("", known), None);
    }
}
