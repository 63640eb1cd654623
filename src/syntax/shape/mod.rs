//! What a statement is and asks for: kind, tables, joins, conditions, limit, aggregates, tags.
//!
//! Made for texts of `pg_stat_statements`: constants are `$n`, the text may be cut off, and it may come from any
//! ORM. They are read by their tokens, clause by clause, so that what the grammar refuses is read like what it takes;
//! [`Shape::parsed`] says which it was.

mod aggregates;
mod conditions;
mod kind;
mod reader;
mod tags;
mod writes;

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::items::{self, Item, Kind};
use super::words::Word;
use reader::{Place, Reader};

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
    /// Pairs of columns that are compared with each other for equality, in ON, USING or WHERE.
    pub joins: Vec<(ColumnUse, ColumnUse)>,
    /// Columns compared with values for equality, in WHERE or ON, joined by AND, of the statement itself; those of
    /// `select count(*) from (select … where …)`, where nothing else is asked, too.
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

/// The longest text that is given to the grammar, and how deep its parentheses may nest: the parser's stack is finite.
const MOST_BYTES: usize = 256 * 1024;
const MOST_NESTED: usize = 128;

/// Reads what a statement is and asks for. Never fails: what is not understood is not in the shape.
pub fn read(text: &str) -> Shape {
    let items = items::read(text);
    let count = items.len();
    let kind = kind(text);
    let mut shape = Shape {
        parsed: takes(text, &items),
        kind,
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
        foreign_key_check: checks_key(&items),
        tags: tags(text),
    };
    let query = match kind {
        StatementKind::Transaction => return shape,
        StatementKind::Utility => inner_query(&items),
        _ => Some(0),
    };
    let Some(from) = query else {
        return shape;
    };
    let place = match kind {
        StatementKind::Utility => Place {
            depth: 1,
            own: false,
        },
        _ => Place {
            depth: 0,
            own: true,
        },
    };
    shape.kind = kind;
    let mut reader = Reader::new(text, items, shape);
    reader.statement(from, count, place);
    reader.finish()
}

/// Whether the grammar takes the text.
fn takes(text: &str, items: &[Item<'_>]) -> bool {
    let mut depth = 0_usize;
    let deep = items.iter().any(|item| {
        if item.is_mark("(") || item.is_mark("[") || item.word == Word::Case {
            depth += 1;
        } else if item.is_mark(")") || item.is_mark("]") {
            depth = depth.saturating_sub(1);
        }
        depth > MOST_NESTED
    });
    let fits = !deep && text.len() <= MOST_BYTES && !items.is_empty();
    fits && super::create_index::parse(&with_constants(text, items)).is_ok()
}

/// The server stores `interval $1`, `extract($1 from x)`, `savepoint $1` and `set x to $1`, which its own grammar does
/// not take back; they are made what they were.
fn with_constants<'a>(text: &'a str, items: &[Item<'_>]) -> Cow<'a, str> {
    const TYPES: &[&str] = &[
        "bool",
        "box",
        "circle",
        "date",
        "interval",
        "json",
        "jsonb",
        "point",
        "polygon",
        "time",
        "timestamp",
        "timestamptz",
        "uuid",
        "zone",
    ];
    let named = items.first().is_some_and(|first| {
        matches!(
            first.word,
            Word::Set
                | Word::Savepoint
                | Word::Release
                | Word::Rollback
                | Word::Deallocate
                | Word::Alter
        )
    });
    let mut out = String::new();
    let mut kept = 0;
    for (at, value) in items.iter().enumerate().skip(1) {
        if !value.text.starts_with('$') || value.kind != Kind::Constant {
            continue;
        }
        let before = |by: usize| at.checked_sub(by).and_then(|at| items.get(at));
        let typed = before(1).is_some_and(|name| {
            name.kind == Kind::Name
                && TYPES
                    .iter()
                    .any(|word| word.eq_ignore_ascii_case(name.text))
        });
        let field = before(2).is_some_and(|name| name.word == Word::Extract);
        let made = match (named, typed, field) {
            (true, ..) => "x",
            (_, true, _) => "'1'",
            (.., true) => "year",
            _ => continue,
        };
        out.push_str(text.get(kept..value.start).unwrap_or_default());
        out.push_str(made);
        kept = value.start + value.text.len();
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(out)
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
