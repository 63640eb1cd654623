//! A shape while it is filled: which table a column belongs to, and what a comparison counts as. Both readers use it.

use super::{ColumnUse, Equality, Shape, TableUse, Values};

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
    /// The statement itself.
    pub(super) const OWN: Self = Self {
        depth: 0,
        own: true,
    };
    /// The query of EXPLAIN, DECLARE and the like.
    pub(super) const HELD: Self = Self {
        depth: 1,
        own: false,
    };

    pub(super) fn inner(self) -> Self {
        Self {
            depth: self.depth + 1,
            own: false,
        }
    }
}

/// One side of a comparison.
pub(super) enum Side {
    Column(ColumnUse),
    /// Constants, parameters and what is made of them alone.
    Value,
    /// `any (…)` of such.
    Array,
    /// What stands behind IN, of such.
    List(Values),
    Other,
}

/// What compares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    In,
    Range,
    Other,
}

impl Comparison {
    /// What an operator asks.
    pub(super) fn of(operator: &str) -> Self {
        match operator {
            "=" => Self::Equal,
            "<" | ">" | "<=" | ">=" | "~~" | "~~*" | "~" | "~*" | "^@" => Self::Range,
            _ => Self::Other,
        }
    }
}

pub(super) struct Build {
    pub(super) shape: Shape,
    /// Where each table was named.
    pub(super) named: Vec<usize>,
    /// The tables seen by the query that is read, and those around it.
    pub(super) scopes: Vec<Scope>,
}

impl Build {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            named: Vec::new(),
            scopes: Vec::new(),
        }
    }

    /// Adds a table that the query names at this place of the text.
    pub(super) fn table(&mut self, at: usize, table: TableUse) {
        let index = self.shape.tables.len();
        self.named.push(at);
        self.shape.tables.push(table);
        if let Some(scope) = self.scopes.last_mut() {
            scope.tables.push(index);
        }
    }

    /// The query reads something that is no table.
    pub(super) fn derived(&mut self) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.derived = true;
        }
    }

    /// Which table a column belongs to, where it is certain.
    pub(super) fn table_of(&self, qualifier: Option<&str>, schema: Option<&str>) -> Option<usize> {
        let Some(qualifier) = qualifier else {
            let scope = self.scopes.last()?;
            return match scope.tables.as_slice() {
                [only] if !scope.derived => Some(*only),
                _ => None,
            };
        };
        self.scopes.iter().rev().find_map(|scope| {
            scope.tables.iter().copied().find(|&index| {
                self.shape
                    .tables
                    .get(index)
                    .is_some_and(|table| match (&table.alias, schema) {
                        (Some(alias), None) => alias == qualifier,
                        (None, None) => table.name == qualifier,
                        (None, Some(schema)) => {
                            table.name == qualifier && table.schema.as_deref() == Some(schema)
                        }
                        (Some(_), Some(_)) => false,
                    })
            })
        })
    }

    /// Adds one comparison.
    pub(super) fn compared(
        &mut self,
        comparison: Comparison,
        left: Side,
        right: Side,
        place: Place,
    ) {
        match (comparison, left, right) {
            (Comparison::In, Side::Column(column), Side::List(values)) => {
                self.equal(column, values, false, place);
            }
            (Comparison::In, ..) => self.other(place),
            (Comparison::Equal, Side::Column(one), Side::Column(other)) => {
                self.shape.joins.push((one, other));
            }
            (Comparison::Equal, Side::Column(column), Side::Value) => {
                self.equal(column, Values::One, false, place);
            }
            (Comparison::Equal, Side::Value, Side::Column(column)) => {
                self.equal(column, Values::One, true, place);
            }
            (Comparison::Equal, Side::Column(column), Side::Array) => {
                self.equal(column, Values::Array, false, place);
            }
            (Comparison::Range, Side::Column(column), Side::Value)
            | (Comparison::Range, Side::Value, Side::Column(column)) => {
                if place.own {
                    self.shape.ranges.push(column);
                }
            }
            // `$1 = $2` says nothing.
            (_, Side::Value, Side::Value) => {}
            _ => self.other(place),
        }
    }

    fn equal(&mut self, column: ColumnUse, values: Values, reversed: bool, place: Place) {
        if place.own {
            self.shape.equalities.push(Equality {
                column,
                values,
                reversed,
            });
        }
    }

    /// Adds a condition of another kind.
    pub(super) fn other(&mut self, place: Place) {
        if place.own {
            self.shape.other_conditions += 1;
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
