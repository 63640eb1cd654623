//! Lists of tables, joins and conditions of a query.

use super::Reader;
use crate::syntax::items::{Item, Kind, name_of};
use crate::syntax::shape::build::{Comparison, MOST_DEPTH, Place, Side};
use crate::syntax::shape::{ColumnUse, Values};
use crate::syntax::words::{Class, Word};

impl Reader<'_> {
    /// Reads a list of tables: FROM, USING, or the inside of a join's parentheses. `through`: a lone query in
    /// parentheses counts as the statement itself.
    pub(super) fn table_list(&mut self, from: usize, to: usize, place: Place, through: bool) {
        let mut at = from;
        while at < to {
            match self.word(at) {
                Word::Only | Word::Lateral => {
                    at += 1;
                    continue;
                }
                Word::Rows if self.word(at + 1) == Word::From => at += 2,
                _ => {}
            }
            let first = self.build.named.len();
            if self.mark(at, "(") {
                at = self.in_parentheses(at, to, place, through);
            } else {
                at = self.table(at, to, place, false);
            }
            if self.word(at) == Word::Tablesample {
                at = self.after(at + 2);
            }
            at = self.joins(at, to, first, place);
        }
    }

    /// A query or a join in parentheses; returns the token after its alias.
    fn in_parentheses(&mut self, at: usize, to: usize, place: Place, through: bool) -> usize {
        let end = self.close.get(at).copied().unwrap_or(to).min(to);
        if self.opens_query(at) {
            let next = self.alias(end + 1, to, false).1;
            let lone = through
                && next >= to
                && self
                    .build
                    .scopes
                    .last()
                    .is_none_or(|scope| scope.tables.is_empty() && !scope.derived);
            self.build.derived();
            if self.done.insert(at) {
                let inner = Place {
                    own: lone,
                    ..place.inner()
                };
                self.statement(at + 1, end, inner);
            }
            return next.max(end + 1);
        }
        self.nested += 1;
        if self.nested < MOST_DEPTH {
            self.table_list(at + 1, end, place, false);
        }
        self.nested -= 1;
        self.alias(end + 1, to, false).1.max(end + 1)
    }

    /// What follows a table: ON, USING, and the words up to the next table.
    fn joins(&mut self, mut at: usize, to: usize, first: usize, place: Place) -> usize {
        while at < to {
            match self.word(at) {
                Word::On => {
                    let end = self.join_end(at + 1, to);
                    self.conditions(at + 1, end, place);
                    self.sweep(at + 1, end, place);
                    at = end;
                }
                Word::Using if self.mark(at + 1, "(") => {
                    let end = self.close.get(at + 1).copied().unwrap_or(to).min(to);
                    self.using(at + 2, end, first);
                    at = self.alias(end + 1, to, false).1.max(end + 1);
                }
                Word::Join => return at + 1,
                _ if self.mark(at, ",") => return at + 1,
                _ => at = self.after(at),
            }
        }
        at
    }

    fn join_end(&self, from: usize, to: usize) -> usize {
        let mut at = from;
        while at < to && !self.mark(at, ",") && self.word(at) != Word::On {
            let join = match self.word(at) {
                Word::Join | Word::Inner | Word::Cross | Word::Natural | Word::Full => true,
                // `left(x, 1)` is a function.
                Word::Left | Word::Right => !self.mark(at + 1, "("),
                _ => false,
            };
            if join {
                break;
            }
            at = self.after(at);
        }
        at
    }

    /// The columns of JOIN … USING are in both tables.
    fn using(&mut self, from: usize, to: usize, first: usize) {
        let (here, before) = match self.build.scopes.last() {
            Some(scope) if !scope.derived => (
                scope.tables.last().copied().filter(|&table| table >= first),
                scope
                    .tables
                    .len()
                    .checked_sub(2)
                    .filter(|&at| at == 0)
                    .and_then(|at| scope.tables.get(at))
                    .copied(),
            ),
            _ => (None, None),
        };
        for (at, _) in self.parts(from, to) {
            if let Some(item) = self.items.get(at) {
                let name = name_of(item);
                let one = ColumnUse {
                    table: before,
                    name: name.clone(),
                };
                self.build
                    .shape
                    .joins
                    .push((one, ColumnUse { table: here, name }));
            }
        }
    }

    /// Takes conditions apart that AND joins.
    pub(super) fn conditions(&mut self, from: usize, to: usize, place: Place) {
        let (from, to) = self.bare(from, to);
        if from >= to {
            return;
        }
        self.nested += 1;
        if self.nested > MOST_DEPTH * 4 {
            self.build.other(place);
        } else {
            self.joined(from, to, place);
        }
        self.nested -= 1;
    }

    fn joined(&mut self, from: usize, to: usize, place: Place) {
        let (mut start, mut at, mut between, mut cases, mut or) =
            (from, from, false, 0_usize, false);
        let mut parts = Vec::new();
        while at < to {
            match self.word(at) {
                Word::Case => cases += 1,
                Word::End => cases = cases.saturating_sub(1),
                Word::Between => between = true,
                Word::And if cases > 0 => {}
                Word::And if between => between = false,
                Word::And => {
                    parts.push((start, at));
                    start = at + 1;
                }
                Word::Or if cases == 0 => or = true,
                _ => {}
            }
            at = self.after(at);
        }
        parts.push((start, to));
        if or {
            return self.build.other(place);
        }
        if let [(from, to)] = parts.as_slice() {
            return self.condition(*from, *to, place);
        }
        for (from, to) in parts {
            self.conditions(from, to, place);
        }
    }

    /// One condition.
    fn condition(&mut self, from: usize, to: usize, place: Place) {
        let Some((comparison, at, right)) = self.comparison(from, to) else {
            // `where true` says nothing.
            if !self.is_value(from, to) {
                self.build.other(place);
            }
            return;
        };
        let left = self.side(from, at);
        let right = match comparison {
            Comparison::In => self.list(right, to).map_or(Side::Other, Side::List),
            _ => self.side(right, to),
        };
        self.build.compared(comparison, left, right, place);
    }

    /// Finds what compares: where it stands and where its right side begins.
    fn comparison(&self, from: usize, to: usize) -> Option<(Comparison, usize, usize)> {
        let mut found = None;
        let mut at = from;
        while at < to {
            let item = self.items.get(at)?;
            let next = match item.word {
                Word::Operator if self.mark(at + 1, "(") => {
                    let close = self.close.get(at + 1).copied().unwrap_or(to).min(to);
                    let sign = self
                        .items
                        .get(close.checked_sub(1)?)
                        .map_or("", |item| item.text);
                    Some((Comparison::of(sign), close + 1))
                }
                Word::In => Some((Comparison::In, at + 1)),
                Word::Like | Word::Ilike | Word::Similar | Word::Between => {
                    Some((Comparison::Range, at + 1))
                }
                Word::Is | Word::Isnull | Word::Notnull | Word::Not | Word::Case | Word::Exists => {
                    Some((Comparison::Other, at + 1))
                }
                _ if item.kind == Kind::Mark && is_comparison(item.text) => {
                    Some((Comparison::of(item.text), at + 1))
                }
                _ => None,
            };
            match next {
                // NOT, or a second comparison: more than this room reads.
                Some(_) if found.is_some() => {
                    return found.map(|(_, at, right)| (Comparison::Other, at, right));
                }
                Some((comparison, right)) => {
                    found = Some((comparison, at, right));
                    at = right;
                }
                None => at = self.after(at),
            }
        }
        found
    }

    /// Takes parentheses off that are around everything.
    fn bare(&self, mut from: usize, mut to: usize) -> (usize, usize) {
        while from + 1 < to
            && self.mark(from, "(")
            && !self.opens_query(from)
            && self
                .close
                .get(from)
                .is_some_and(|&close| close + 1 == to || (close == self.items.len() && to == close))
        {
            // One that was cut off has no closing parenthesis.
            to = self.close.get(from).copied().unwrap_or(to).min(to);
            from += 1;
        }
        (from, to)
    }

    fn side(&self, from: usize, to: usize) -> Side {
        let (from, to) = self.bare(from, to);
        if let Some(column) = self.column(from, to) {
            return Side::Column(column);
        }
        if self.is_value(from, to) {
            return Side::Value;
        }
        let any = matches!(self.word(from), Word::Any | Word::Some) && self.mark(from + 1, "(");
        if any && self.after(from + 1) >= to && self.is_value(from + 2, to.saturating_sub(1)) {
            return Side::Array;
        }
        Side::Other
    }

    /// A column, a cast of it included.
    pub(super) fn column(&self, from: usize, to: usize) -> Option<ColumnUse> {
        let (from, to) = self.bare(from, to);
        let mut parts: Vec<&Item<'_>> = Vec::new();
        let mut at = from;
        loop {
            let item = self.items.get(at).filter(|_| at < to)?;
            let name = match item.kind {
                Kind::Quoted => true,
                // Behind a dot any word is a name.
                Kind::Name => !parts.is_empty() || (item.is_name() && item.word != Word::Row),
                _ => false,
            };
            if !name {
                return None;
            }
            parts.push(item);
            at += 1;
            if !(at < to && self.mark(at, ".")) {
                break;
            }
            at += 1;
        }
        while at < to && self.mark(at, "::") {
            at = self.type_end(at + 1, to);
        }
        if at < to {
            return None;
        }
        let name = name_of(parts.pop()?);
        let qualifier = parts.pop().map(name_of);
        let schema = parts.pop().map(name_of);
        Some(ColumnUse {
            table: self.build.table_of(qualifier.as_deref(), schema.as_deref()),
            name,
        })
    }

    /// The token after the name of a type.
    fn type_end(&self, mut at: usize, to: usize) -> usize {
        while at < to
            && self.items.get(at).is_some_and(|item| {
                matches!(item.kind, Kind::Name | Kind::Quoted) && item.class != Class::Reserved
                    || item.is_mark(".")
            })
        {
            at += 1;
        }
        while at < to && (self.mark(at, "(") || self.mark(at, "[")) {
            at = self.after(at);
        }
        at
    }

    /// Whether nothing in it is a column, and something is there.
    fn is_value(&self, from: usize, to: usize) -> bool {
        let mut at = from;
        while at < to {
            let Some(item) = self.items.get(at) else {
                return false;
            };
            if item.is_mark("::") {
                at = self.type_end(at + 1, to);
                continue;
            }
            let function = self.mark(at + 1, "(") && item.word != Word::In;
            let plain = match item.kind {
                Kind::Constant | Kind::Number => true,
                Kind::Mark => !self.mark(at, "(") || !self.opens_query(at),
                Kind::Name if function => {
                    !matches!(item.word, Word::Any | Word::All | Word::Some | Word::Exists)
                }
                // `interval $1 day`, `timestamp with time zone $1`, `current_date`.
                Kind::Name => {
                    let typed = self.items.get(at + 1).is_some_and(Item::is_constant);
                    let unit = at > from
                        && self.items.get(at - 1).is_some_and(Item::is_constant)
                        && ["year", "month", "day", "hour", "minute", "second"]
                            .iter()
                            .any(|unit| unit.eq_ignore_ascii_case(item.text));
                    let known = matches!(
                        item.word,
                        Word::CurrentDate
                            | Word::CurrentTime
                            | Word::CurrentTimestamp
                            | Word::CurrentUser
                            | Word::SessionUser
                            | Word::Localtime
                            | Word::Localtimestamp
                            | Word::Array
                            | Word::As
                            | Word::And
                            | Word::Symmetric
                    );
                    // The type of `cast(… as type)`.
                    let cast = at > from && self.word(at - 1) == Word::As;
                    typed || unit || known || cast
                }
                _ => false,
            };
            if !plain {
                return false;
            }
            at += 1;
        }
        from < to
    }

    /// The list behind IN, unless it is a query or has columns in it.
    fn list(&self, from: usize, to: usize) -> Option<Values> {
        if !self.mark(from, "(") || self.opens_query(from) || self.after(from) < to {
            return None;
        }
        let end = self.close.get(from).copied().unwrap_or(to).min(to);
        let parts = self.parts(from + 1, end);
        if parts.is_empty() || !parts.iter().all(|&(from, to)| self.is_value(from, to)) {
            return None;
        }
        // `$1 /*, ... */`, or a list that was cut off.
        let last = self.items.get(end.checked_sub(1)?)?;
        let closed = self.items.get(end);
        let folded = closed.is_none_or(|close| {
            let between = self.text.get(last.start + last.text.len()..close.start);
            between.is_some_and(|between| between.contains(", ..."))
        });
        Some(Values::List((!folded).then_some(parts.len())))
    }
}

fn is_comparison(text: &str) -> bool {
    matches!(
        text,
        "=" | "<"
            | ">"
            | "<="
            | ">="
            | "<>"
            | "!="
            | "~"
            | "~*"
            | "!~"
            | "!~*"
            | "~~"
            | "~~*"
            | "!~~"
            | "!~~*"
            | "@>"
            | "<@"
            | "&&"
            | "@@"
            | "?"
            | "?|"
            | "?&"
            | "^@"
    )
}
