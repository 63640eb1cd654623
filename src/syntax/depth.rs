//! Keeps texts from the parser that its stack cannot hold: it calls itself for each level of the tree, and a stack that
//! overflows ends the process.

use super::items::{self, Item, Kind};
use super::words::Word;

/// How deep parentheses may nest.
const MOST_NESTED: usize = 128;

/// How many operators, joins and set operations a text may have, and how many of them side by side: each is a level of
/// the tree, and the parser's stack is finite. In a thread of 2 MiB it ends at 7 200 and 1 200 in a debug build, at
/// 2 400 where joins have no condition, which are nested to the right.
const MOST_LINKS: usize = 3_000;
const MOST_SIDE_BY_SIDE: usize = 128;
const MOST_BARE_JOINS: usize = 500;

/// Returns where a text gets deeper than the parser's stack can hold, in bytes.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut links, mut run, mut path, mut bare) = (0_usize, 0_usize, 0, 0, 0);
    let mut behind_dot = false;
    for item in &items::read(text) {
        if item.is_mark(";") {
            // The next statement begins at the root again.
            (depth, links, run, path, bare) = (0, 0, 0, 0, 0);
            continue;
        }
        let closes = item.is_mark(")") || item.is_mark("]");
        if item.is_mark("(") || item.is_mark("[") || item.word == Word::Case {
            depth += 1;
        } else if closes || item.word == Word::End {
            depth = depth.saturating_sub(1);
        }
        let dot = item.is_mark(".");
        let link = is_link(item);
        links += usize::from(link);
        run = if link { run + 1 } else { 0 };
        // `a.b.c`: names stand between the dots.
        path = match (dot, behind_dot) {
            (true, _) => path + 1,
            (false, true) => path,
            (false, false) => 0,
        };
        behind_dot = dot;
        bare += usize::from(matches!(item.word, Word::Cross | Word::Natural));
        if depth > MOST_NESTED
            || links > MOST_LINKS
            || run.max(path) > MOST_SIDE_BY_SIDE
            || bare > MOST_BARE_JOINS
        {
            return Some(item.start);
        }
    }
    None
}

/// Whether a token makes a level of the tree that no parenthesis shows.
fn is_link(item: &Item<'_>) -> bool {
    match item.kind {
        Kind::Mark => !["(", ")", "]", ",", "."].contains(&item.text),
        Kind::Name => {
            matches!(
                item.word,
                Word::And
                    | Word::Or
                    | Word::Not
                    | Word::Is
                    | Word::In
                    | Word::Like
                    | Word::Join
                    | Word::Union
                    | Word::Intersect
                    | Word::Except
            ) || ["collate", "escape", "at"]
                .iter()
                .any(|word| word.eq_ignore_ascii_case(item.text))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::on_conflict;
    use crate::syntax::statement::statements;

    #[test]
    fn what_would_exhaust_the_stack_is_refused_where_it_gets_too_deep() {
        let text = format!("select 1 from t where {}true", "not ".repeat(50_000));
        let fault = statements(&text).expect_err("too deep");
        assert!(fault.message.contains("chain of operators"), "{fault:?}");
        assert!(
            fault.start > 20 && fault.start < 22 + 4 * 200,
            "{}",
            fault.start
        );
        let insert = format!(
            "insert into t values ({}true) on conflict (a) do nothing",
            "not ".repeat(50_000)
        );
        assert!(on_conflict(&insert).is_empty());
    }

    #[test]
    fn many_statements_are_not_deep() {
        let text = "select a + 1 from t where a = $1 and b = $2;".repeat(2_000);
        assert_eq!(too_deep(&text), None);
        assert_eq!(statements(&text).map(|all| all.len()), Ok(2_000));
    }
}
