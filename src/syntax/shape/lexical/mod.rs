//! Reads a statement by its tokens, clause by clause: what the grammar refuses, or what was cut off.

mod conditions;
mod writes;

use std::collections::BTreeSet;

use super::build::{Build, MOST_DEPTH, Place, Scope};
use super::{Shape, StatementKind, TableUse};
use crate::syntax::items::{Item, Kind, name_of};
use crate::syntax::words::Word;

/// Reads the statement that the tokens of a text are.
pub(super) fn read(text: &str, items: Vec<Item<'_>>, shape: Shape) -> Shape {
    let (from, place) = match shape.kind {
        StatementKind::Transaction => return shape,
        StatementKind::Utility => match inner_query(&items) {
            Some(from) => (from, Place::HELD),
            None => return shape,
        },
        _ => (0, Place::OWN),
    };
    let count = items.len();
    let mut reader = Reader::new(text, items, shape);
    reader.statement(from, count, place);
    reader.build.finish()
}

/// Where the query of EXPLAIN, DECLARE, CREATE … AS, PREPARE and COPY begins.
fn inner_query(items: &[Item<'_>]) -> Option<usize> {
    let first = items.first()?;
    let holds = matches!(
        first.word,
        Word::Declare | Word::Create | Word::Prepare | Word::Copy
    ) || first.text.eq_ignore_ascii_case("explain");
    items
        .iter()
        .enumerate()
        .skip(1)
        .find(|(at, item)| {
            let before = items.get(at - 1);
            let behind = before.is_some_and(|before| {
                matches!(
                    before.word,
                    Word::As | Word::For | Word::Analyze | Word::Verbose
                ) || before.is_mark("(")
                    || before.is_mark(")")
                    || before.text.eq_ignore_ascii_case("explain")
            });
            behind
                && matches!(
                    item.word,
                    Word::Select
                        | Word::With
                        | Word::Values
                        | Word::Insert
                        | Word::Update
                        | Word::Delete
                        | Word::Merge
                )
        })
        .filter(|_| holds)
        .map(|(at, _)| at)
}

/// A clause and the tokens behind its word.
#[derive(Clone, Copy)]
pub(super) struct Clause {
    pub(super) word: Word,
    pub(super) from: usize,
    pub(super) to: usize,
}

pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) items: Vec<Item<'a>>,
    /// Of each opening parenthesis or bracket: where it closes, or the end.
    pub(super) close: Vec<usize>,
    pub(super) build: Build,
    /// Names of WITH.
    with: BTreeSet<String>,
    /// Parentheses whose query has been read.
    pub(super) done: BTreeSet<usize>,
    /// How deep in parentheses of joins and conditions.
    pub(super) nested: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, items: Vec<Item<'a>>, shape: Shape) -> Self {
        let mut close = vec![items.len(); items.len()];
        let mut open = Vec::new();
        for (at, item) in items.iter().enumerate() {
            if item.is_mark("(") || item.is_mark("[") {
                open.push(at);
            } else if (item.is_mark(")") || item.is_mark("]"))
                && let Some(from) = open.pop()
                && let Some(entry) = close.get_mut(from)
            {
                *entry = at;
            }
        }
        Self {
            text,
            items,
            close,
            build: Build::new(shape),
            with: BTreeSet::new(),
            done: BTreeSet::new(),
            nested: 0,
        }
    }

    pub(super) fn word(&self, at: usize) -> Word {
        self.items.get(at).map_or(Word::None, |item| item.word)
    }

    pub(super) fn mark(&self, at: usize, text: &str) -> bool {
        self.items.get(at).is_some_and(|item| item.is_mark(text))
    }

    /// The token after this one, what is in its parentheses left out.
    pub(super) fn after(&self, at: usize) -> usize {
        if self.mark(at, "(") || self.mark(at, "[") {
            self.close.get(at).copied().unwrap_or(at).max(at) + 1
        } else {
            at + 1
        }
    }

    /// Whether a query opens at this parenthesis.
    pub(super) fn opens_query(&self, at: usize) -> bool {
        let mut inner = at;
        while inner < at + MOST_DEPTH && self.mark(inner, "(") {
            inner += 1;
        }
        inner > at
            && matches!(
                self.word(inner),
                Word::Select
                    | Word::With
                    | Word::Values
                    | Word::Insert
                    | Word::Update
                    | Word::Delete
                    | Word::Merge
            )
    }

    /// Reads one statement or query between two tokens.
    pub(super) fn statement(&mut self, mut at: usize, to: usize, place: Place) {
        if place.depth > MOST_DEPTH || at >= to {
            return;
        }
        if self.word(at) == Word::With {
            at = self.with(at + 1, to, place);
        }
        // `(select …) union …`, `(select …) limit 1`
        if self.mark(at, "(") {
            let end = self.close.get(at).copied().unwrap_or(to).min(to);
            self.done.insert(at);
            let set = self.ends_in_set(end + 1, to);
            self.statement(at + 1, end, if set { place.inner() } else { place });
            self.rest(end + 1, to, place);
            return;
        }
        self.build.scopes.push(Scope::default());
        let clauses = self.clauses(at, to);
        match self.word(at) {
            Word::Insert => self.insert(at, to, &clauses, place),
            Word::Update | Word::Delete | Word::Merge => self.change(at, to, &clauses, place),
            _ => self.select(at, to, &clauses, place),
        }
        self.build.scopes.pop();
    }

    /// Reads the names of WITH and their queries, and returns where the statement begins.
    fn with(&mut self, mut at: usize, to: usize, place: Place) -> usize {
        if self
            .items
            .get(at)
            .is_some_and(|item| item.text.eq_ignore_ascii_case("recursive"))
        {
            at += 1;
        }
        let mut bodies = Vec::new();
        loop {
            if let Some(item) = self.items.get(at).filter(|item| item.is_name()) {
                self.with.insert(name_of(item));
            }
            while at < to && !matches!(self.word(at), Word::As) {
                at = self.after(at);
            }
            while at < to && !self.mark(at, "(") {
                at += 1;
            }
            bodies.push(at);
            at = self.after(at);
            // SEARCH and CYCLE may follow.
            while at < to
                && !self.mark(at, ",")
                && !self.mark(at, "(")
                && !matches!(
                    self.word(at),
                    Word::Select
                        | Word::Insert
                        | Word::Update
                        | Word::Delete
                        | Word::Merge
                        | Word::Values
                )
            {
                at += 1;
            }
            if !self.mark(at, ",") {
                break;
            }
            at += 1;
        }
        for body in bodies {
            if body < to {
                self.done.insert(body);
                let end = self.close.get(body).copied().unwrap_or(to).min(to);
                self.statement(body + 1, end, place.inner());
            }
        }
        at.min(to)
    }

    fn ends_in_set(&self, at: usize, to: usize) -> bool {
        at < to && is_set(self.word(at))
    }

    /// What follows a query in parentheses.
    fn rest(&mut self, at: usize, to: usize, place: Place) {
        if at >= to {
            return;
        }
        if self.ends_in_set(at, to) {
            self.set_operation(at, to, place);
            return;
        }
        self.build.scopes.push(Scope::default());
        let clauses = self.clauses(at, to);
        self.tail(&clauses, place);
        self.build.scopes.pop();
    }

    /// The other parts of UNION and its like, one level however many there are; no condition of a part is one of the
    /// statement, what follows the last is.
    fn set_operation(&mut self, mut at: usize, to: usize, place: Place) {
        self.build.other(place);
        loop {
            at += 1;
            at += usize::from(matches!(self.word(at), Word::All | Word::Distinct));
            let clauses = self.clauses(at, to);
            let next = clauses.last().filter(|last| is_set(last.word));
            let end = next.map_or(to, |next| next.from - 1);
            self.statement(at, end, place.inner());
            if next.is_none() {
                let tail: Vec<Clause> = clauses
                    .into_iter()
                    .filter(|clause| clause.word != Word::Group)
                    .collect();
                self.build.scopes.push(Scope::default());
                self.tail(&tail, place);
                self.build.scopes.pop();
                return;
            }
            at = end;
        }
    }

    /// Takes a query apart at the words that begin clauses, what is in parentheses left out.
    fn clauses(&self, at: usize, to: usize) -> Vec<Clause> {
        let first = self.word(at);
        let mut found: Vec<Clause> = Vec::new();
        let mut here = at;
        let mut cases = 0_usize;
        while here < to {
            let before = here
                .checked_sub(1)
                .map_or(Word::None, |before| self.word(before));
            let word = self.word(here);
            match word {
                Word::Case => cases += 1,
                Word::End => cases = cases.saturating_sub(1),
                _ => {}
            }
            let seen = |word| found.iter().any(|clause| clause.word == word);
            let begins = match word {
                Word::Select | Word::Insert | Word::Update | Word::Delete | Word::Merge => {
                    here == at
                }
                Word::From => {
                    before != Word::Distinct && (first != Word::Delete || !seen(Word::From))
                }
                Word::Where => true,
                Word::Having | Word::Window | Word::Limit | Word::Offset | Word::Fetch => true,
                Word::Union | Word::Intersect | Word::Except => first != Word::Insert,
                Word::Group | Word::Order => {
                    self.word(here + 1) == Word::By && before != Word::Within
                }
                Word::For => matches!(
                    self.word(here + 1),
                    Word::Update | Word::Share | Word::No | Word::Key
                ),
                Word::Using => matches!(first, Word::Delete | Word::Merge) && !seen(Word::Using),
                Word::Set => first == Word::Update && !seen(Word::Set) && here > at,
                Word::Values => {
                    first == Word::Insert && before != Word::Default && !seen(Word::Values)
                        || here == at
                }
                Word::Conflict => first == Word::Insert && before == Word::On,
                Word::Returning => true,
                Word::When => first == Word::Merge && cases == 0 && !seen(Word::When),
                _ => false,
            };
            if begins && cases == 0 {
                if let Some(last) = found.last_mut() {
                    last.to = here;
                }
                let words = match word {
                    Word::Group | Word::Order => 2,
                    _ => 1,
                };
                found.push(Clause {
                    word,
                    from: here + words,
                    to,
                });
                if is_set(word) {
                    break;
                }
                here += words;
            } else {
                here = self.after(here);
            }
        }
        found
    }

    fn select(&mut self, at: usize, to: usize, clauses: &[Clause], place: Place) {
        let set = clauses.iter().find(|clause| is_set(clause.word));
        let own = if set.is_some() { place.inner() } else { place };
        if self.word(at) == Word::Table {
            self.table_list(at + 1, to, own, false);
        }
        self.query(clauses, own);
        if let Some(clause) = set {
            self.set_operation(clause.from - 1, clause.to, place);
        }
    }

    /// Reads the clauses that all statements share.
    pub(super) fn query(&mut self, clauses: &[Clause], place: Place) {
        let has = |word| clauses.iter().any(|clause| clause.word == word);
        for clause in clauses.iter().filter(|clause| clause.word == Word::From) {
            // `select count(*) from (select …) x` asks what is in the parentheses.
            let through = place.own && !has(Word::Where);
            self.table_list(clause.from, clause.to, place, through);
        }
        for clause in clauses {
            match clause.word {
                Word::Select => self.results(clause, place),
                Word::Where => self.conditions(clause.from, clause.to, place),
                Word::Having if place.own => self.build.shape.other_conditions += 1,
                _ => {}
            }
        }
        self.tail(clauses, place);
        for clause in clauses {
            if !is_set(clause.word) {
                self.sweep(clause.from, clause.to, place);
            }
        }
    }

    fn tail(&mut self, clauses: &[Clause], place: Place) {
        if !place.own {
            return;
        }
        for clause in clauses {
            match clause.word {
                Word::Limit | Word::Fetch => self.build.shape.limit = true,
                Word::Offset => self.build.shape.offset = true,
                Word::Group if place.depth == 0 => self.build.shape.grouped = true,
                Word::Order => {
                    for (from, to) in self.parts(clause.from, clause.to) {
                        let mut end = from;
                        while end < to
                            && !matches!(
                                self.word(end),
                                Word::Asc | Word::Desc | Word::Nulls | Word::Using
                            )
                        {
                            end += 1;
                        }
                        if let Some(column) = self.column(from, end) {
                            self.build.shape.sorts.push(column);
                        }
                    }
                }
                Word::For => {
                    self.build.shape.locks_rows = true;
                    self.build.shape.skips_locked |=
                        (clause.from..clause.to).any(|at| self.word(at) == Word::Skip);
                }
                Word::Returning => self.build.shape.returning = true,
                _ => {}
            }
        }
    }

    /// The list of results: DISTINCT and aggregates.
    fn results(&mut self, clause: &Clause, place: Place) {
        if place.depth > 0 || !place.own {
            return;
        }
        self.build.shape.distinct = self.word(clause.from) == Word::Distinct;
        let mut at = clause.from;
        while at < clause.to {
            if self.mark(at, "(") && self.opens_query(at) {
                at = self.after(at);
                continue;
            }
            let name = self.items.get(at).filter(|item| item.kind == Kind::Name);
            if let Some(name) = name.filter(|_| self.mark(at + 1, "(")) {
                let name = name.text.to_ascii_lowercase();
                let windowed = self.word(self.after(at + 1)) == Word::Over;
                if super::aggregates::is_aggregate(&name)
                    && !windowed
                    && !self.build.shape.aggregates.contains(&name)
                {
                    self.build.shape.aggregates.push(name);
                }
            }
            at += 1;
        }
    }

    /// Reads queries in parentheses that no clause has read.
    pub(super) fn sweep(&mut self, from: usize, to: usize, place: Place) {
        let mut at = from;
        while at < to {
            if self.mark(at, "(") && self.opens_query(at) {
                if self.done.insert(at) {
                    let end = self.close.get(at).copied().unwrap_or(to).min(to);
                    self.statement(at + 1, end, place.inner());
                }
                at = self.after(at);
            } else {
                at += 1;
            }
        }
    }

    /// Splits at commas outside of parentheses.
    pub(super) fn parts(&self, from: usize, to: usize) -> Vec<(usize, usize)> {
        let (mut found, mut start, mut at) = (Vec::new(), from, from);
        while at < to {
            if self.mark(at, ",") {
                found.push((start, at));
                start = at + 1;
            }
            at = self.after(at);
        }
        if start < to {
            found.push((start, to));
        }
        found
    }

    /// A table by its name, with its alias; returns the token after it.
    pub(super) fn table(&mut self, start: usize, to: usize, place: Place, needs_as: bool) -> usize {
        let mut parts = Vec::new();
        let mut at = start;
        while let Some(item) = self
            .items
            .get(at)
            .filter(|item| at < to && matches!(item.kind, Kind::Name | Kind::Quoted))
        {
            parts.push(name_of(item));
            at += 1;
            if !self.mark(at, ".") {
                break;
            }
            at += 1;
        }
        if self.mark(at, "*") {
            at += 1;
        }
        let function = self.mark(at, "(") && !needs_as;
        if function {
            at = self.after(at);
            if self.word(at) == Word::With {
                at += 2;
            }
        }
        let alias;
        (alias, at) = self.alias(at, to, needs_as);
        let name = parts.pop();
        let schema = parts.pop();
        let with = schema.is_none() && name.as_ref().is_some_and(|name| self.with.contains(name));
        match name.filter(|_| !function && !with) {
            Some(name) => {
                self.build.table(
                    start,
                    TableUse {
                        schema,
                        name,
                        alias,
                        written: false,
                        depth: place.depth,
                    },
                );
            }
            None => self.build.derived(),
        }
        at
    }

    /// An alias, and its list of columns.
    pub(super) fn alias(
        &self,
        mut at: usize,
        to: usize,
        needs_as: bool,
    ) -> (Option<String>, usize) {
        if at >= to {
            return (None, at);
        }
        let named = self.word(at) == Word::As;
        at += usize::from(named);
        let alias = self
            .items
            .get(at)
            .filter(|item| {
                at < to && item.is_name() && item.word != Word::Set && (named || !needs_as)
            })
            .map(name_of);
        at += usize::from(alias.is_some());
        if (alias.is_some() || named) && !needs_as && self.mark(at, "(") {
            at = self.after(at);
        }
        (alias, at.min(to))
    }
}

fn is_set(word: Word) -> bool {
    matches!(word, Word::Union | Word::Intersect | Word::Except)
}
