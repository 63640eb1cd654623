//! The kind of a statement by its first words.

use super::StatementKind;
use crate::syntax::tokens::{Sort, pieces};
use crate::syntax::words::{Word, lookup};

/// Returns the kind of a statement without parsing it; cheap enough for all entries of a server.
///
/// EXPLAIN, COPY, DECLARE, CREATE TABLE AS and PREPARE are utility statements whatever query they hold.
pub fn kind(text: &str) -> StatementKind {
    let mut depth = 0_usize;
    let mut with = false;
    let mut first = Word::None;
    for piece in pieces(text) {
        match piece.sort {
            Sort::Comment => continue,
            Sort::Mark if piece.text == "(" => {
                depth += usize::from(with);
                continue;
            }
            Sort::Mark if piece.text == ")" => {
                depth = depth.saturating_sub(1);
                continue;
            }
            Sort::Word => {}
            _ if with => continue,
            _ => return StatementKind::Utility,
        }
        let word = lookup(piece.text).0;
        if first == Word::Prepare {
            return match word {
                Word::Transaction => StatementKind::Transaction,
                _ => StatementKind::Utility,
            };
        }
        first = word;
        let found = match word {
            Word::With => {
                with = true;
                continue;
            }
            Word::Prepare if !with => continue,
            Word::Select | Word::Values | Word::Table => StatementKind::Select,
            Word::Insert => StatementKind::Insert,
            Word::Update => StatementKind::Update,
            Word::Delete => StatementKind::Delete,
            Word::Merge => StatementKind::Merge,
            _ if with => continue,
            Word::Begin
            | Word::Start
            | Word::Commit
            | Word::Rollback
            | Word::Abort
            | Word::End
            | Word::Savepoint
            | Word::Release => return StatementKind::Transaction,
            _ => return StatementKind::Utility,
        };
        if depth == 0 {
            return found;
        }
    }
    // What was cut off in its WITH is most likely a query.
    match with {
        true => StatementKind::Select,
        false => StatementKind::Utility,
    }
}
