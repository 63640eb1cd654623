//! The catalog as plain data: no client, no decisions.

use serde::{Deserialize, Serialize};

use crate::ident::QualifiedName;

/// Everything read for one command.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// The server and the role dbops runs as.
    pub server: Server,
    /// Partitioned tables, sorted by name; sub-partitioned children are entries of their own.
    pub tables: Vec<PartitionedTable>,
    /// Relations asked for by name that exist and are not partitioned tables.
    pub others: Vec<OtherRelation>,
    /// Tables that dbops detached and that carry its mark (see `changes::mark`), sorted by name.
    pub detached: Vec<DetachedTable>,
    /// What `ALTER DEFAULT PRIVILEGES` would give a table that dbops creates, by schema.
    pub default_grants: Vec<DefaultGrant>,
}

/// The server and the role dbops runs as.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// `server_version_num`, 150018 for 15.18.
    pub version_num: i32,
    /// `server_version`, `15.18 (Debian …)`.
    pub version: String,
    /// The database.
    pub database: String,
    /// `current_user`.
    pub role: String,
    /// Whether the role is a superuser.
    pub superuser: bool,
    /// Whether the server is in recovery (a standby).
    pub in_recovery: bool,
    /// `default_transaction_read_only` as the role would get it.
    pub default_read_only: bool,
    /// `TimeZone` as the role would get it, before dbops sets UTC for itself.
    pub time_zone: String,
    /// `deadlock_timeout` in milliseconds.
    pub deadlock_timeout_ms: i64,
    /// `max_locks_per_transaction`.
    pub max_locks_per_transaction: i64,
    /// Database encoding, `UTF8`.
    pub encoding: String,
}

/// Partitioning strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// `PARTITION BY RANGE`.
    Range,
    /// `PARTITION BY LIST`.
    List,
    /// `PARTITION BY HASH`.
    Hash,
    /// A letter this version of dbops does not know.
    Other(char),
}

/// A partitioned table and its partitions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartitionedTable {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Its name.
    pub name: QualifiedName,
    /// Its owner.
    pub owner: String,
    /// The table it is itself a partition of.
    pub parent: Option<QualifiedName>,
    /// Strategy.
    pub strategy: Strategy,
    /// Key columns in order.
    pub key: Vec<KeyColumn>,
    /// Partitions sorted by name, DEFAULT and pending ones included.
    pub partitions: Vec<Partition>,
    /// Columns in order, dropped ones left out.
    pub columns: Vec<Column>,
    /// Primary key, unique and exclusion constraints and unique indexes.
    pub uniques: Vec<Unique>,
    /// Foreign keys from this table, sorted; `table` is the referenced table.
    pub foreign_keys_out: Vec<ForeignKey>,
    /// Foreign keys to this table, sorted; `table` is the referencing table.
    pub foreign_keys_in: Vec<ForeignKey>,
    /// What a new partition must follow.
    pub properties: Properties,
    /// What the role may do.
    pub rights: Rights,
}

/// One column of a partition key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyColumn {
    /// The column; `None` for an expression.
    pub column: Option<String>,
    /// `pg_get_partkeydef`'s text of this key part where it is an expression.
    pub expression: Option<String>,
    /// `format_type` of the key part: `timestamp with time zone`, `date`, `bigint`, `uuid` …
    pub type_name: String,
}

/// What a partition is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionKind {
    /// An ordinary table.
    Table,
    /// Itself partitioned.
    Partitioned,
    /// A foreign table.
    Foreign,
    /// A letter this version of dbops does not know.
    Other(char),
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Its name.
    pub name: QualifiedName,
    /// What it is.
    pub kind: PartitionKind,
    /// `pg_get_expr(relpartbound)` under TimeZone UTC, DateStyle ISO: `FOR VALUES FROM (…) TO (…)` or `DEFAULT`.
    pub bound: String,
    /// `pg_inherits.inhdetachpending` (14 and later): a concurrent detach was interrupted.
    pub detach_pending: bool,
    /// `reltuples`; unknown (never analyzed) is `None`.
    pub rows_estimate: Option<i64>,
    /// `pg_total_relation_size`, only when sizes were asked for.
    pub bytes: Option<i64>,
    /// The table's comment, dbops's mark included where it carries one.
    pub comment: Option<String>,
}

/// A column of a partitioned table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// `format_type`.
    pub type_name: String,
    /// Whether it is NOT NULL.
    pub not_null: bool,
    /// `attidentity`: `a`, `d`, or empty.
    pub identity: String,
    /// `attstattarget` where set.
    pub statistics_target: Option<i32>,
    /// `attoptions`, `n_distinct=-0.5`.
    pub options: Vec<String>,
}

/// A uniqueness rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unique {
    /// Name of the constraint or index.
    pub name: String,
    /// Whether it is the primary key.
    pub primary: bool,
    /// Its columns; an expression is `None`.
    pub columns: Vec<Option<String>>,
}

/// A foreign key seen from one side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Name of the constraint.
    pub name: String,
    /// The table on the other side.
    pub table: QualifiedName,
    /// Whether the table on the other side is partitioned.
    pub partitioned: bool,
    /// Whether the role may take a strong lock on the table on the other side (UPDATE, DELETE, TRUNCATE or,
    /// from 17 on, MAINTAIN on it): without it LOCK is refused and only `lock_timeout` bounds the wait.
    pub lockable: bool,
    /// Columns of the referencing side, in order.
    pub columns: Vec<String>,
    /// Columns of the referenced side, in the same order.
    pub referenced_columns: Vec<String>,
}

/// What a new partition must follow and neither LIKE nor ATTACH copies (P36 to P38).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Properties {
    /// Tablespace, where not the database's own.
    pub tablespace: Option<String>,
    /// Access method (17 and later), where set on the parent.
    pub access_method: Option<String>,
    /// `relreplident`.
    pub replica_identity: ReplicaIdentity,
    /// `relrowsecurity`.
    pub row_security: bool,
    /// `relforcerowsecurity`.
    pub force_row_security: bool,
    /// Row security policies, sorted by name.
    pub row_policies: Vec<RowPolicy>,
    /// Comment on the table.
    pub comment: Option<String>,
    /// Grants on the table and its columns, the owner's own included, sorted; by `aclexplode`, so that
    /// privileges of newer servers (MAINTAIN) are followed. `None`: `relacl` is null, the built-in defaults hold.
    pub grants: Option<Vec<Grant>>,
    /// Whether the table is UNLOGGED.
    pub unlogged: bool,
}

/// `relreplident` of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplicaIdentity {
    /// The primary key.
    #[default]
    Default,
    /// The whole row.
    Full,
    /// Nothing.
    Nothing,
    /// An index of the parent, by name.
    Index(QualifiedName),
    /// A letter this version of dbops does not know.
    Other(char),
}

/// One grant; `grantee` `None` is PUBLIC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// Column, for a column privilege.
    pub column: Option<String>,
    /// The role; `None` is PUBLIC.
    pub grantee: Option<String>,
    /// `SELECT`, `INSERT` … as `aclexplode` spells it.
    pub privilege: String,
    /// WITH GRANT OPTION.
    pub grantable: bool,
}

/// A grant that a table created in a schema would get by `ALTER DEFAULT PRIVILEGES`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DefaultGrant {
    /// The schema; `None`: in every schema.
    pub schema: Option<String>,
    /// The grant.
    pub grant: Grant,
}

/// A row security policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowPolicy {
    /// Its name.
    pub name: String,
    /// PERMISSIVE (true) or RESTRICTIVE.
    pub permissive: bool,
    /// Command: `ALL`, `SELECT`, `INSERT`, `UPDATE`, `DELETE`.
    pub command: String,
    /// Roles; `None` among them is PUBLIC.
    pub roles: Vec<Option<String>>,
    /// USING expression.
    pub using: Option<String>,
    /// WITH CHECK expression.
    pub check: Option<String>,
}

/// What the role may do with a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// Whether the role owns the table, is a member of its owner or a superuser.
    pub owns: bool,
    /// Schemas in which the role may create, among those asked for.
    pub creates_in: Vec<String>,
}

/// A relation that was asked for and is not a partitioned table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OtherRelation {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Its name.
    pub name: QualifiedName,
    /// What it is, in words: `table`, `view`, `foreign table`, `materialized view` …
    pub kind: String,
    /// Columns, for the advice.
    pub columns: Vec<Column>,
    /// Primary key and unique constraints, for the advice.
    pub uniques: Vec<Unique>,
}

/// A table that carries dbops's mark and is attached to nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetachedTable {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Its name.
    pub name: QualifiedName,
    /// Its comment, the mark included.
    pub mark: String,
    /// Whether the role may drop it.
    pub owned: bool,
    /// `reltuples`, where known.
    pub rows_estimate: Option<i64>,
    /// `pg_total_relation_size`.
    pub bytes: Option<i64>,
    /// Foreign keys from this table; `table` is the referenced table.
    pub foreign_keys_out: Vec<ForeignKey>,
    /// Foreign keys to this table.
    pub foreign_keys_in: Vec<ForeignKey>,
    /// Other objects that depend on it (views …), in words; a drop would be refused by the server.
    pub dependents: Vec<String>,
}

/// Questions whose answers the planner needs once it knows what it wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    /// Names that new partitions would take.
    pub names: Vec<NameQuestion>,
    /// Ranges that new partitions would take from a DEFAULT partition.
    pub default_ranges: Vec<DefaultQuestion>,
    /// Partitions whose detach is wanted while other tables reference the parent.
    pub referenced: Vec<ReferencedQuestion>,
}

/// Whether a name is free, and what holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameQuestion {
    /// The partitioned table.
    pub table: QualifiedName,
    /// `oid` of that table.
    pub table_oid: u32,
    /// The name wanted.
    pub name: QualifiedName,
}

/// How many rows of a range sit in DEFAULT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultQuestion {
    /// The partitioned table.
    pub table: QualifiedName,
    /// Its DEFAULT partition.
    pub default: QualifiedName,
    /// Key column.
    pub column: String,
    /// `format_type` of the key column.
    pub type_name: String,
    /// Lower bound, a literal the server reads the same under any setting; `None`: MINVALUE.
    pub from: Option<String>,
    /// Upper bound; `None`: MAXVALUE.
    pub to: Option<String>,
}

/// Whether other tables' rows point into a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferencedQuestion {
    /// The partition.
    pub partition: QualifiedName,
    /// The foreign key to its parent; `table` is the referencing table.
    pub foreign_key: ForeignKey,
}

/// Answers to [`Questions`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// Names that are taken; a name not listed is free.
    pub taken: Vec<TakenName>,
    /// Ranges of DEFAULT partitions that hold rows, or could not be counted.
    pub default_rows: Vec<DefaultRows>,
    /// Partitions that other tables' rows point into.
    pub referenced: Vec<ReferencedRows>,
}

/// A name that is taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TakenName {
    /// The name.
    pub name: QualifiedName,
    /// `pg_class.oid` or `pg_type.oid`.
    pub oid: u32,
    /// What holds it, in words: `table`, `partition of public.other`, `view`, `index`, `type` …
    pub kind: String,
    /// Whether it is an ordinary, unattached table with the columns (name, type, NOT NULL) of the table it was asked for.
    pub same_columns: bool,
    /// Whether it holds no row; `None` where that was not looked at or could not be.
    pub empty: Option<bool>,
    /// Whether the role owns it.
    pub owned: bool,
    /// Its comment, where it carries dbops's mark.
    pub mark: Option<String>,
}

/// Rows of a wanted range in a DEFAULT partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DefaultRows {
    /// The partitioned table.
    pub table: QualifiedName,
    /// Lower bound asked for.
    pub from: Option<String>,
    /// Upper bound asked for.
    pub to: Option<String>,
    /// How many; `None`: the count did not finish in its time, at least one exists or is possible.
    pub count: Option<i64>,
    /// Smallest key, as the server prints it.
    pub min: Option<String>,
    /// Largest key.
    pub max: Option<String>,
}

/// Rows of another table that point into a partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReferencedRows {
    /// The partition.
    pub partition: QualifiedName,
    /// The foreign key's name.
    pub foreign_key: String,
    /// The referencing table.
    pub table: QualifiedName,
    /// How many rows; `None`: not countable in time or not readable by the role.
    pub count: Option<i64>,
}
