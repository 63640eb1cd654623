//! What a statement is and asks for: kind, tables, joins, conditions, limit, aggregates, tags.
//!
//! Made for texts of `pg_stat_statements`: constants are `$n`, the text may be cut off, and it may come from any
//! ORM. What the grammar takes is read from its syntax tree, the rest by its tokens; [`Shape::parsed`] says which it was.

mod aggregates;
mod build;
mod grammar;
mod kind;
mod lexical;
mod parsed;
mod tags;

use std::collections::BTreeMap;

use super::items::{self, Item};
use super::words::Word;

pub use kind::kind;
pub(super) use tags::decoded;
pub use tags::tags;

/// Kind of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatementKind {
    /// SELECT, VALUES or TABLE, also below WITH.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// MERGE.
    Merge,
    /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT …
    Transaction,
    /// Everything else: SET, COPY, DDL, VACUUM …
    Utility,
}

/// A table that a statement names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableUse {
    /// Its schema, where it was written.
    pub schema: Option<String>,
    /// Its name, as the server would fold it.
    pub name: String,
    /// Its alias.
    pub alias: Option<String>,
    /// Whether it is the target of INSERT, UPDATE, DELETE or MERGE.
    pub written: bool,
    /// How deep in queries inside queries it stands; 0: the statement itself.
    pub depth: usize,
}

/// A column that a statement names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnUse {
    /// Index into [`Shape::tables`], where it is certain.
    pub table: Option<usize>,
    /// Its name, as the server would fold it.
    pub name: String,
}

/// A condition that compares a column with values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equality {
    /// The column.
    pub column: ColumnUse,
    /// With what.
    pub values: Values,
    /// Whether the value was written before the column: `$1 = t.id`.
    pub reversed: bool,
}

/// What a column is compared with for equality.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// One parameter or constant.
    One,
    /// `IN (…)` with this many elements; from 18 on the server collapses a list to `$1 /*, ... */` and the number
    /// is not known.
    List(Option<usize>),
    /// `= ANY($1)`.
    Array,
}

/// What a statement is and asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Whether the grammar took the whole text; otherwise it was cut off or is of a form that the grammar does not know.
    pub parsed: bool,
    /// Its kind.
    pub kind: StatementKind,
    /// Tables it names, in order, those of queries inside it too; names of WITH are left out.
    pub tables: Vec<TableUse>,
    /// Pairs of columns that are compared with each other for equality, in ON, USING or WHERE, those of queries inside
    /// the statement too: `exists (select from s where s.t_id = t.id)` says how the tables belong together.
    pub joins: Vec<(ColumnUse, ColumnUse)>,
    /// Columns compared with values for equality, in WHERE or ON, joined by AND, of the statement itself.
    ///
    /// Where a query reads nothing but another one and has no WHERE, the inner one's are the statement's too, with its
    /// ranges, sorts and limit: `select count(*) from (select … where post_id = $1)` is how Prisma counts.
    pub equalities: Vec<Equality>,
    /// Columns compared with values by `<`, `>`, BETWEEN, LIKE …
    pub ranges: Vec<ColumnUse>,
    /// Conditions that are none of these: OR, functions, IS NULL, sub-selects, HAVING, and one for UNION and its like.
    /// Tautologies (`$1 = $2`) are not counted.
    pub other_conditions: usize,
    /// Columns it is sorted by; expressions are left out.
    pub sorts: Vec<ColumnUse>,
    /// Whether it has LIMIT or FETCH FIRST.
    pub limit: bool,
    /// Whether it has OFFSET.
    pub offset: bool,
    /// Aggregates of its result, in lower case: `count`, `sum`.
    pub aggregates: Vec<String>,
    /// Whether it has GROUP BY.
    pub grouped: bool,
    /// Whether it has DISTINCT.
    pub distinct: bool,
    /// Whether it locks rows: FOR UPDATE, FOR SHARE …
    pub locks_rows: bool,
    /// Whether it skips locked rows.
    pub skips_locked: bool,
    /// Rows of VALUES of an INSERT, where there are any.
    pub value_rows: Option<usize>,
    /// Columns set by UPDATE, named by INSERT.
    pub set_columns: Vec<String>,
    /// Whether it has RETURNING.
    pub returning: bool,
    /// Whether it has ON CONFLICT.
    pub on_conflict: bool,
    /// Whether the server issued it itself to check a foreign key.
    pub foreign_key_check: bool,
    /// Tags in comments, sqlcommenter's `key='value'` or marginalia's `key:value`: those of the first execution.
    pub tags: BTreeMap<String, String>,
}

/// Reads what a statement is and asks for. Never fails: what is not understood is not in the shape.
///
/// The grammar reads what it takes; the rest is read by its tokens, as [`skim`] does. The grammar costs about 35 us for
/// a text of 100 bytes and 100 us for one of 360, fifteen times as much as [`skim`]: where tens of thousands of
/// statements are to be read at once, and [`Shape::parsed`] does not matter, use that.
pub fn read(text: &str) -> Shape {
    let items = items::read(text);
    let mut shape = unread(text, &items);
    let tree = grammar::tree(text, &items);
    shape.parsed = tree.is_some();
    match tree.as_ref().and_then(parsed::only_statement) {
        Some(statement) => parsed::read(&statement, shape),
        None => lexical::read(text, items, shape),
    }
}

/// Reads a statement by its tokens alone; [`Shape::parsed`] is always false.
///
/// For tens of thousands of statements at once: it costs 2 to 3 us for a text of 100 bytes. It finds the same kind,
/// tables, joins, equalities and limit as [`read`] in everything that ORMs are known to write, and guesses where a
/// clause ends in what else there is; what is shown or judged singly is to be read with [`read`].
pub fn skim(text: &str) -> Shape {
    let items = items::read(text);
    let shape = unread(text, &items);
    lexical::read(text, items, shape)
}

/// What the first words, the comments and the operators say.
fn unread(text: &str, items: &[Item<'_>]) -> Shape {
    Shape {
        parsed: false,
        kind: kind(text),
        tables: Vec::new(),
        joins: Vec::new(),
        equalities: Vec::new(),
        ranges: Vec::new(),
        other_conditions: 0,
        sorts: Vec::new(),
        limit: false,
        offset: false,
        aggregates: Vec::new(),
        grouped: false,
        distinct: false,
        locks_rows: false,
        skips_locked: false,
        value_rows: None,
        set_columns: Vec::new(),
        returning: false,
        on_conflict: false,
        foreign_key_check: checks_key(items),
        tags: tags(text),
    }
}

/// The queries of the server's own triggers name `ONLY` tables and compare by `OPERATOR(pg_catalog.=)`; see
/// `src/backend/utils/adt/ri_triggers.c`. No ORM writes that.
fn checks_key(items: &[Item<'_>]) -> bool {
    let compares = items.windows(5).any(|five| {
        matches!(five, [word, open, schema, dot, sign]
            if word.word == Word::Operator && open.is_mark("(") && dot.is_mark(".")
                && schema.text.eq_ignore_ascii_case("pg_catalog") && sign.text == "=")
    });
    compares && items.iter().any(|item| item.word == Word::Only)
}

#[cfg(test)]
mod tests;
