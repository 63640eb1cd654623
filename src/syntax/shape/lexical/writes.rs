//! What INSERT, UPDATE, DELETE and MERGE write.

use super::{Clause, Reader};
use crate::syntax::items::{Kind, name_of};
use crate::syntax::shape::build::Place;
use crate::syntax::words::Word;

impl Reader<'_> {
    pub(super) fn insert(&mut self, at: usize, to: usize, clauses: &[Clause], place: Place) {
        let mut here = self.target(at + 2, to, place, true);
        if self.mark(here, "(") && !self.opens_query(here) {
            let end = self.close.get(here).copied().unwrap_or(to).min(to);
            for (from, _) in self.parts(here + 1, end) {
                self.set_column(from, place);
            }
            here = end + 1;
        }
        for clause in clauses {
            match clause.word {
                Word::Values if place.depth == 0 => {
                    self.build.shape.value_rows = Some(self.rows(clause.from, clause.to));
                }
                Word::Conflict if place.own => self.build.shape.on_conflict = true,
                Word::Returning if place.own => self.build.shape.returning = true,
                _ => {}
            }
        }
        // INSERT … SELECT is a query of its own.
        let conflict = clauses
            .iter()
            .find(|clause| matches!(clause.word, Word::Conflict | Word::Returning));
        let end = conflict.map_or(to, |clause| clause.from - 1);
        let end = if self.word(end.saturating_sub(1)) == Word::On {
            end - 1
        } else {
            end
        };
        let query = (here..end).find(|&at| {
            self.mark(at, "(") && self.opens_query(at)
                || matches!(self.word(at), Word::Select | Word::With | Word::Table)
        });
        let values = clauses
            .iter()
            .find(|clause| clause.word == Word::Values)
            .map(|clause| clause.from);
        if let Some(query) = query.filter(|&query| values.is_none_or(|values| query < values)) {
            self.statement(query, end, place.inner());
        }
        self.sweep(here, to, place);
    }

    /// Counts rows of VALUES.
    fn rows(&self, from: usize, to: usize) -> usize {
        self.parts(from, to)
            .iter()
            .filter(|(at, _)| self.mark(*at, "("))
            .count()
    }

    /// UPDATE, DELETE and MERGE.
    pub(super) fn change(&mut self, at: usize, to: usize, clauses: &[Clause], place: Place) {
        let kind = self.word(at);
        let first = if kind == Word::Update { at + 1 } else { at + 2 };
        self.target(first, to, place, false);
        for clause in clauses {
            match clause.word {
                Word::Using => self.table_list(clause.from, clause.to, place, false),
                Word::Set => {
                    for (from, end) in self.parts(clause.from, clause.to) {
                        if self.mark(from, "(") {
                            let close = self.close.get(from).copied().unwrap_or(end).min(end);
                            for (from, _) in self.parts(from + 1, close) {
                                self.set_column(from, place);
                            }
                        } else {
                            self.set_column(from, place);
                        }
                    }
                }
                _ => {}
            }
        }
        // The FROM of a DELETE has its target.
        let rest: Vec<Clause> = clauses
            .iter()
            .filter(|clause| kind != Word::Delete || clause.word != Word::From)
            .copied()
            .collect();
        self.query(&rest, place);
    }

    fn set_column(&mut self, at: usize, place: Place) {
        if let Some(item) = self.items.get(at).filter(|_| place.depth == 0)
            && matches!(item.kind, Kind::Name | Kind::Quoted)
        {
            self.build.shape.set_columns.push(name_of(item));
        }
    }

    /// The table that a statement writes; returns the token after it and its alias.
    fn target(&mut self, mut at: usize, to: usize, place: Place, needs_as: bool) -> usize {
        if self.word(at) == Word::Only {
            at += 1;
        }
        let at = self.table(at, to, place, needs_as);
        if let Some(table) = self.build.shape.tables.last_mut() {
            table.written = true;
        }
        at
    }
}
