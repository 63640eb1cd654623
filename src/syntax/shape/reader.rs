//! Walks the clauses of a statement and of the queries inside it, by tokens.

use std::collections::BTreeSet;

use super::super::items::{Item, Kind, name_of};
use super::super::words::Word;
use super::{ColumnUse, Shape, TableUse, Values};

/// Queries nest less deep; what is deeper is not read.
pub(super) const MOST_DEPTH: usize = 40;

/// The tables that a query sees.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Indexes into the statement's tables.
    pub(super) tables: Vec<usize>,
    /// Whether it reads something besides tables: a query, a function, a name of WITH.
    pub(super) derived: bool,
}

/// How a query stands in the statement.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) depth: usize,
    /// Whether its conditions are those of the statement.
    pub(super) own: bool,
}

impl Place {
    pub(super) fn inner(self) -> Self {
        Self {
            depth: self.depth + 1,
            own: false,
        }
    }
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
    pub(super) shape: Shape,
    /// Where each table was named.
    pub(super) named: Vec<usize>,
    /// The tables seen by the query that is read, and those around it.
    pub(super) scopes: Vec<Scope>,
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
            shape,
            named: Vec::new(),
            scopes: Vec::new(),
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
        self.scopes.push(Scope::default());
        let clauses = self.clauses(at, to);
        match self.word(at) {
            Word::Insert => self.insert(at, to, &clauses, place),
            Word::Update | Word::Delete | Word::Merge => self.change(at, to, &clauses, place),
            _ => self.select(at, to, &clauses, place),
        }
        self.scopes.pop();
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
        at < to && matches!(self.word(at), Word::Union | Word::Intersect | Word::Except)
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
        self.scopes.push(Scope::default());
        let clauses = self.clauses(at, to);
        self.tail(&clauses, place);
        self.scopes.pop();
    }

    /// The other half of UNION; no condition of one half is one of the statement.
    fn set_operation(&mut self, at: usize, to: usize, place: Place) {
        if place.own {
            self.shape.other_conditions += 1;
        }
        let all = matches!(self.word(at + 1), Word::All | Word::Distinct);
        self.statement(at + 1 + usize::from(all), to, place.inner());
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
                Word::Values => first == Word::Insert && !seen(Word::Values) || here == at,
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
                if matches!(word, Word::Union | Word::Intersect | Word::Except) {
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
        let set = clauses
            .iter()
            .any(|clause| matches!(clause.word, Word::Union | Word::Intersect | Word::Except));
        let own = if set { place.inner() } else { place };
        if self.word(at) == Word::Table {
            self.table_list(at + 1, to, own, false);
        }
        self.query(clauses, own);
        if let Some(clause) = clauses
            .iter()
            .find(|clause| matches!(clause.word, Word::Union | Word::Intersect | Word::Except))
        {
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
                Word::Having if place.own => self.shape.other_conditions += 1,
                _ => {}
            }
        }
        self.tail(clauses, place);
        for clause in clauses {
            if !matches!(clause.word, Word::Union | Word::Intersect | Word::Except) {
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
                Word::Limit | Word::Fetch => self.shape.limit = true,
                Word::Offset => self.shape.offset = true,
                Word::Group if place.depth == 0 => self.shape.grouped = true,
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
                            self.shape.sorts.push(column);
                        }
                    }
                }
                Word::For => {
                    self.shape.locks_rows = true;
                    self.shape.skips_locked |=
                        (clause.from..clause.to).any(|at| self.word(at) == Word::Skip);
                }
                Word::Returning => self.shape.returning = true,
                _ => {}
            }
        }
    }

    /// The list of results: DISTINCT and aggregates.
    fn results(&mut self, clause: &Clause, place: Place) {
        if place.depth > 0 || !place.own {
            return;
        }
        self.shape.distinct = self.word(clause.from) == Word::Distinct;
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
                    && !self.shape.aggregates.contains(&name)
                {
                    self.shape.aggregates.push(name);
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
                let index = self.shape.tables.len();
                self.named.push(start);
                self.shape.tables.push(TableUse {
                    schema,
                    name,
                    alias,
                    written: false,
                    depth: place.depth,
                });
                if let Some(scope) = self.scopes.last_mut() {
                    scope.tables.push(index);
                }
            }
            None => self.derived(),
        }
        at
    }

    pub(super) fn derived(&mut self) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.derived = true;
        }
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

    /// Adds a condition that compares a column with values.
    pub(super) fn equal(
        &mut self,
        column: ColumnUse,
        values: Values,
        reversed: bool,
        place: Place,
    ) {
        if place.own {
            self.shape.equalities.push(super::Equality {
                column,
                values,
                reversed,
            });
        }
    }

    /// Puts the tables in the order in which they were named.
    pub(super) fn finish(mut self) -> Shape {
        let mut order: Vec<usize> = (0..self.named.len()).collect();
        order.sort_by_key(|&index| self.named.get(index).copied());
        let mut place = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            if let Some(entry) = place.get_mut(old) {
                *entry = new;
            }
        }
        let moved = |column: &mut ColumnUse| {
            column.table = column.table.and_then(|table| place.get(table).copied());
        };
        let shape = &mut self.shape;
        shape
            .equalities
            .iter_mut()
            .for_each(|one| moved(&mut one.column));
        shape.ranges.iter_mut().for_each(moved);
        shape.sorts.iter_mut().for_each(moved);
        for (one, other) in &mut shape.joins {
            moved(one);
            moved(other);
        }
        let tables = std::mem::take(&mut shape.tables);
        let mut sorted: Vec<(usize, TableUse)> = place.iter().copied().zip(tables).collect();
        sorted.sort_by_key(|(at, _)| *at);
        shape.tables = sorted.into_iter().map(|(_, table)| table).collect();
        self.shape
    }
}
