//! Indexes and the tables they stand on, as plain data: no client, no decisions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::Server;
use crate::ident::QualifiedName;

/// Everything read for the index commands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexCatalog {
    /// The server and the role dbops runs as.
    pub server: Server,
    /// Tables asked for and every partition below them, sorted by name; with their indexes.
    pub tables: Vec<IndexedTable>,
    /// Relations that hold a name that a plan declares or wants absent, and are not an index of a table in `tables`.
    pub others: Vec<NamedRelation>,
    /// CREATE INDEX and REINDEX in flight in this database, by whoever, sorted by pid.
    pub running: Vec<RunningBuild>,
    /// Operator classes of all access methods, sorted.
    pub opclasses: Vec<OperatorClass>,
    /// Names of tablespaces, sorted.
    pub tablespaces: Vec<String>,
    /// The database's own tablespace, which an index that names none is in.
    pub default_tablespace: String,
    /// The server's data directory, where the session is local to the server and the role may be told.
    pub data_directory: Option<String>,
    /// Bytes free where the data directory lies; `None`: not known from here.
    pub free_bytes: Option<i64>,
}

/// What a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableKind {
    /// An ordinary table.
    Table,
    /// A partitioned table.
    Partitioned,
    /// A materialized view.
    MaterializedView,
    /// A foreign table: cannot be indexed.
    Foreign,
    /// Something else that cannot be indexed: a view, a sequence …
    Other,
}

/// A table with its indexes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexedTable {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Its name.
    pub name: QualifiedName,
    /// What it is.
    pub kind: TableKind,
    /// Its owner.
    pub owner: String,
    /// Whether the role owns it, is a member of its owner or a superuser.
    pub owns: bool,
    /// Whether the role may create in the table's schema, which a new index needs.
    pub creates: bool,
    /// Whether the role may read the table, which comparing expressions needs.
    pub readable: bool,
    /// Whether it is temporary.
    pub temporary: bool,
    /// The partitioned table it is a partition of.
    pub parent: Option<QualifiedName>,
    /// Its direct partitions, sorted.
    pub partitions: Vec<QualifiedName>,
    /// Columns of its partition key, in order; an expression is `None`. Empty where it is not partitioned.
    pub partition_key: Vec<Option<String>>,
    /// `reltuples`; unknown (never analyzed) is `None`.
    pub rows_estimate: Option<i64>,
    /// Bytes of its main fork; of a partitioned table 0.
    pub bytes: i64,
    /// Columns in order, dropped ones left out.
    pub columns: Vec<TableColumn>,
    /// Its indexes, sorted by name; those of constraints, invalid ones and those being built included.
    pub indexes: Vec<LiveIndex>,
    /// Foreign keys of this table, sorted by name.
    pub foreign_keys: Vec<ChildForeignKey>,
    /// Writes since the statistics were reset.
    pub writes: TableWrites,
}

/// A column of a table that can be indexed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// `format_type`.
    pub type_name: String,
    /// Whether it is NOT NULL.
    pub not_null: bool,
    /// Name of its collation where it has one, with its schema.
    pub collation: Option<(String, String)>,
    /// `pg_stats.avg_width`; `None`: no statistics, or not readable. Else the type's width where it is fixed.
    pub width: Option<i32>,
    /// `pg_stats.n_distinct`: negative is a share of the rows.
    pub n_distinct: Option<f32>,
    /// `pg_stats.null_frac`.
    pub null_fraction: Option<f32>,
}

/// Writes to a table since the statistics were reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableWrites {
    /// `n_tup_ins`.
    pub inserts: i64,
    /// `n_tup_upd`.
    pub updates: i64,
    /// `n_tup_hot_upd`.
    pub hot_updates: i64,
    /// `n_tup_del`.
    pub deletes: i64,
}

/// A foreign key seen from the referencing (child) side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildForeignKey {
    /// Name of the constraint.
    pub name: String,
    /// The referenced table.
    pub references: QualifiedName,
    /// Referencing columns, in order.
    pub columns: Vec<String>,
}

/// An index as the server has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveIndex {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Its name.
    pub name: QualifiedName,
    /// `pg_get_indexdef` under an empty search_path, TimeZone UTC and DateStyle ISO. Says neither tablespace nor comment.
    pub definition: String,
    /// Key columns in order, as the catalog resolves them.
    pub keys: Vec<LiveKey>,
    /// Whether it belongs to a partitioned table (has no storage of its own).
    pub partitioned: bool,
    /// The partitioned index it is attached to.
    pub parent: Option<QualifiedName>,
    /// `indisvalid`: queries may use it.
    pub valid: bool,
    /// `indisready`: writes keep it up to date.
    pub ready: bool,
    /// `indislive`: not being dropped.
    pub live: bool,
    /// `indimmediate`: uniqueness is checked at once (not deferrable).
    pub immediate: bool,
    /// `indisclustered`.
    pub clustered: bool,
    /// `indisreplident`.
    pub replica_identity: bool,
    /// The constraint it enforces.
    pub constraint: Option<LiveConstraint>,
    /// Tables with a foreign key that relies on this index's uniqueness, sorted.
    pub referenced_by: Vec<QualifiedName>,
    /// Tablespace, where not the database's own.
    pub tablespace: Option<String>,
    /// Storage parameters, names in lower case.
    pub reloptions: BTreeMap<String, String>,
    /// Comment on the index.
    pub comment: Option<String>,
    /// Statistics targets by key position from 1, where set.
    pub statistics: BTreeMap<i16, i16>,
    /// Bytes of its main fork.
    pub bytes: i64,
    /// Scans since the statistics were reset; `None`: not collected (a partitioned index has none of its own).
    pub scans: Option<i64>,
    /// Whether an extension owns it.
    pub of_extension: bool,
}

/// One key column of a live index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveKey {
    /// The column; `None` for an expression.
    pub column: Option<String>,
    /// Schema and name of its operator class.
    pub opclass: (String, String),
    /// Schema and name of its collation, where its type has one.
    pub collation: Option<(String, String)>,
}

/// The constraint that an index enforces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveConstraint {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: LiveConstraintKind,
    /// Whether it is deferrable.
    pub deferrable: bool,
}

/// Kind of a constraint that an index enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LiveConstraintKind {
    /// PRIMARY KEY.
    Primary,
    /// UNIQUE.
    Unique,
    /// EXCLUDE.
    Exclusion,
}

/// A relation that holds a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedRelation {
    /// Its name.
    pub name: QualifiedName,
    /// What it is, in words: `table`, `index of public.other`, `view` …
    pub kind: String,
    /// The table it is an index of.
    pub index_of: Option<QualifiedName>,
}

/// A CREATE INDEX or REINDEX in flight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningBuild {
    /// Its backend.
    pub pid: i32,
    /// Its `application_name`; `None`: hidden from this role.
    pub application: Option<String>,
    /// Its role.
    pub role: Option<String>,
    /// The table (`relid`).
    pub table: QualifiedName,
    /// The index being built (`index_relid`), where the server tells; of REINDEX CONCURRENTLY the `_ccnew` one.
    pub index: Option<QualifiedName>,
    /// `CREATE INDEX CONCURRENTLY`, `REINDEX CONCURRENTLY` …
    pub command: String,
    /// `phase`.
    pub phase: String,
    /// Share of the current phase that is done, 0 to 1, where the server tells.
    pub done: Option<f64>,
    /// Since when the statement runs, in seconds.
    pub seconds: Option<f64>,
}

/// An operator class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OperatorClass {
    /// Access method.
    pub method: String,
    /// Its name.
    pub name: String,
    /// Its schema.
    pub schema: String,
    /// `format_type` of its input.
    pub type_name: String,
    /// Whether it is the default for its type.
    pub default: bool,
}

/// Questions that need more than the catalog, asked once the planner knows what it compares or builds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexQuestions {
    /// Expressions to bring to one form.
    pub folds: Vec<FoldQuestion>,
    /// Unique indexes whose keys may have duplicates.
    pub duplicates: Vec<DuplicateQuestion>,
    /// Unique indexes about to be dropped: whether recorded statements infer them as ON CONFLICT arbiter.
    pub arbiters: Vec<ArbiterQuestion>,
}

/// Expressions of one table that are to be brought to the form that the server's planner compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldQuestion {
    /// The table whose columns they name.
    pub table: QualifiedName,
    /// The texts: from plan files and from `pg_get_indexdef`.
    pub texts: Vec<String>,
}

/// Whether a unique index would find duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateQuestion {
    /// Name of the index.
    pub index: QualifiedName,
    /// The table.
    pub table: QualifiedName,
    /// SQL of each key: a quoted column or an expression in parentheses.
    pub keys: Vec<String>,
    /// Predicate.
    pub predicate: Option<String>,
    /// Whether NULLs count as equal.
    pub nulls_equal: bool,
}

/// Whether recorded statements have an ON CONFLICT clause with these columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArbiterQuestion {
    /// The index.
    pub index: QualifiedName,
    /// Its table.
    pub table: QualifiedName,
    /// Its key columns; an expression is `None`.
    pub columns: Vec<Option<String>>,
}

/// Answers to [`IndexQuestions`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexAnswers {
    /// Folded texts.
    pub folds: Vec<Fold>,
    /// What the duplicate probes found; an index not listed was not asked for.
    pub duplicates: Vec<Duplicates>,
    /// Statements with an ON CONFLICT clause that would infer a dropped index.
    pub arbiters: Vec<Arbiter>,
    /// Whether `pg_stat_statements` could be read for `arbiters`.
    pub statements_seen: bool,
}

/// One text in the form that the server's planner compares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fold {
    /// The table.
    pub table: QualifiedName,
    /// The text that was asked for.
    pub text: String,
    /// How it folds.
    pub folded: Folded,
}

/// How a text folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Folded {
    /// The planner's form: equal forms mean the same to it. Collation names in order are part of it.
    Text(String),
    /// The server refuses the text: message as it came.
    Refused(String),
    /// It could not be asked: no right to read the table, a lock that was not free.
    Unknown(String),
}

/// What a duplicate probe found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Duplicates {
    /// The index.
    pub index: QualifiedName,
    /// Up to five duplicated keys as the server prints them, with the number of rows of each; empty: none.
    /// `None`: the probe did not finish in its time or is not permitted.
    pub samples: Option<Vec<(String, i64)>>,
}

/// A recorded statement that needs an index about to be dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arbiter {
    /// The index.
    pub index: QualifiedName,
    /// `queryid` of the statement, as text.
    pub statement: String,
    /// How often it was called.
    pub calls: i64,
}
