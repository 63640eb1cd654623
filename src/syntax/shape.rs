//! What a statement is and asks for: kind, tables, joins, conditions, limit, aggregates, tags.
//!
//! Made for texts of `pg_stat_statements`: constants are `$n`, the text may be cut off, and it may come from any
//! ORM. What the grammar does not take is read by its tokens, and [`Shape::parsed`] says so.

use std::collections::BTreeMap;

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
    /// Whether the grammar took it; otherwise it was read by its tokens.
    pub parsed: bool,
    /// Its kind.
    pub kind: StatementKind,
    /// Tables it names, in order, those of queries inside it too; names of WITH are left out.
    pub tables: Vec<TableUse>,
    /// Pairs of columns that are compared with each other for equality, in ON, USING or WHERE.
    pub joins: Vec<(ColumnUse, ColumnUse)>,
    /// Columns compared with values for equality, in WHERE or ON, joined by AND, of the statement itself.
    pub equalities: Vec<Equality>,
    /// Columns compared with values by `<`, `>`, BETWEEN, LIKE …
    pub ranges: Vec<ColumnUse>,
    /// Conditions that are none of these: OR, functions, sub-selects. Tautologies (`$1 = $2`) are not counted.
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
