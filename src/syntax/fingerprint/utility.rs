//! Names and values of utility statements that are made up for each execution.

use crate::syntax::items::{Item, Kind};
use crate::syntax::words::Word;

/// Conceals what servers before 17 do not: names of savepoints, prepared statements and cursors, values of SET.
pub(super) fn fold(items: &mut Vec<Item<'_>>) {
    let word = |at: usize| items.get(at).map_or(Word::None, |item| item.word);
    let last = items.len().saturating_sub(1);
    let named = match word(0) {
        Word::Savepoint | Word::Execute | Word::Declare => 1,
        Word::Prepare if word(1) != Word::Transaction => 1,
        Word::Close if word(1) != Word::All => 1,
        Word::Release | Word::Fetch | Word::Move => last,
        Word::Deallocate if word(last) != Word::All => last,
        Word::Rollback | Word::Abort if items.iter().any(|item| item.word == Word::To) => last,
        Word::Set => return set(items),
        _ => return,
    };
    // The statement's own word is none of them.
    if let Some(item) = items.get_mut(named).filter(|_| named > 0) {
        item.conceal();
    }
}

fn set(items: &mut Vec<Item<'_>>) {
    let word = |at: usize| items.get(at).map_or(Word::None, |item| item.word);
    let first = match word(1) {
        Word::Session if word(2) == Word::Characteristics => return,
        Word::Session | Word::Local
            if !items
                .get(2)
                .is_some_and(|item| item.is_mark("=") || item.word == Word::To) =>
        {
            2
        }
        _ => 1,
    };
    let from = match word(first) {
        Word::Transaction | Word::Constraints => return,
        Word::Time | Word::Authorization => first + if word(first) == Word::Time { 2 } else { 1 },
        Word::Role => first + 1,
        _ => {
            let sign = items
                .iter()
                .take(first + 5)
                .position(|item| item.is_mark("=") || item.word == Word::To);
            match sign {
                Some(at) => at + 1,
                None => return,
            }
        }
    };
    // `=` and TO are the same; DEFAULT is no value.
    if let Some(sign) = items.get_mut(from - 1).filter(|item| item.is_mark("=")) {
        sign.kind = Kind::Name;
        sign.text = "to";
    }
    items.truncate(from + 1);
    if let Some(value) = items
        .get_mut(from)
        .filter(|item| item.word != Word::Default)
    {
        value.conceal();
    }
}
