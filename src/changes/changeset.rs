//! The changeset: ordered steps as plain data. What is shown is this value, and what runs is this value.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ident::QualifiedName;
use crate::plan_file::{LockBudget, Origin};

/// The version of the saved form; `dbops apply` refuses any other.
pub const FORMAT: &str = "dbops.changeset/1";

/// Ordered steps that lead from the catalog to the plan files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changeset {
    /// Always [`FORMAT`].
    pub format: String,
    /// The command that made it: `partitions ensure`.
    pub command: String,
    /// Name of the target in the plan file; `default` without one.
    pub target: String,
    /// Database the steps belong to.
    pub database: String,
    /// `server_version_num` of the server it was made from.
    pub server_version_num: i32,
    /// The instant used as now.
    pub as_of: DateTime<Utc>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on `dbops apply` refuses it.
    pub expires_at: DateTime<Utc>,
    /// Structural facts of each table that has a step, sorted; never statistics.
    pub basis: Vec<Basis>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Declared tables, or parts of them, that cannot be served as they are.
    pub refusals: Vec<Refusal>,
    /// Facts worth a person's eye that stop nothing.
    pub notes: Vec<Note>,
}

impl Changeset {
    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Adds the steps of a changeset that follows this one, numbered on; the refusals and notes are
    /// those of both, each once.
    pub fn append(&mut self, next: Self) {
        let offset = self.last_id();
        self.steps.extend(next.steps.into_iter().map(|step| Step {
            id: step.id + offset,
            after: step.after.map(|after| after + offset),
            ..step
        }));
        for refusal in next.refusals {
            if !self.refusals.contains(&refusal) {
                self.refusals.push(refusal);
            }
        }
        for note in next.notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        for basis in next.basis {
            if !self.basis.contains(&basis) {
                self.basis.push(basis);
            }
        }
        self.expires_at = self.expires_at.min(next.expires_at);
    }

    /// Returns the number of the last step; 0 without one.
    pub fn last_id(&self) -> u32 {
        self.steps.iter().map(|step| step.id).max().unwrap_or(0)
    }
}

/// The structure a table had when its steps were computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// Which of the table's facts these are.
    #[serde(default)]
    pub subject: Subject,
    /// The table.
    pub table: QualifiedName,
    /// SHA-256 of the facts, hexadecimal.
    pub fingerprint: String,
    /// One fact a line, sorted, so that a stale changeset can be refused with the difference.
    pub facts: Vec<String>,
}

/// What facts of a table are about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// Its partitions and what new ones follow.
    #[default]
    Partitions,
    /// Its indexes.
    Indexes,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Create partitions and attach them.
    CreatePartitions,
    /// Attach an empty table of the right name and shape that an interrupted run left behind.
    AdoptOrphan,
    /// Complete a concurrent detach that was interrupted.
    FinalizeDetach,
    /// Detach a partition; its table and rows stay.
    DetachPartition,
    /// Take the mark of an earlier detach out of an attached partition's comment.
    RemoveMark,
    /// Drop a detached partition and its rows.
    DropPartition,
    /// Build an index concurrently.
    CreateIndex,
    /// Create a partitioned table's index without those of its partitions; invalid until all are attached.
    CreateParentIndex,
    /// Attach a partition's index to the partitioned index.
    AttachIndex,
    /// Rebuild an index concurrently: an invalid one, or into another tablespace.
    ReindexIndex,
    /// Rename an index.
    RenameIndex,
    /// Set comment, storage parameters or statistics targets of an index.
    AlterIndex,
    /// Give a rebuilt index the name of the one it replaces.
    SwapIndexes,
    /// Drop an index concurrently.
    DropIndex,
    /// Drop a partitioned table's index with those of its partitions.
    DropParentIndex,
    /// Make columns NOT NULL without a long lock, for a primary key.
    SetNotNull,
    /// Turn a unique index into a constraint.
    AddConstraint,
    /// Gather statistics of a new expression.
    AnalyzeTable,
    /// Wait for another session's build on the table; what is left to do is computed again afterwards.
    AwaitBuild,
}

impl Action {
    /// Whether the step belongs to `dbops indexes`.
    pub const fn is_of_indexes(self) -> bool {
        !matches!(
            self,
            Self::CreatePartitions
                | Self::AdoptOrphan
                | Self::FinalizeDetach
                | Self::DetachPartition
                | Self::RemoveMark
                | Self::DropPartition
        )
    }
}

/// A named danger of a step that must be allowed by name.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Hazard {
    /// Rows are lost for good.
    DropsData,
    /// Foreign keys stop being enforced on the detached table because of a fault in this server's minor version.
    LosesForeignKey,
    /// An index that queries may use, or that enforces uniqueness, is dropped.
    DropsIndex,
}

impl Hazard {
    /// Every hazard.
    pub const ALL: [Self; 3] = [Self::DropsData, Self::LosesForeignKey, Self::DropsIndex];

    /// Returns the name used in plan files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DropsData => "drops-data",
            Self::LosesForeignKey => "loses-foreign-key",
            Self::DropsIndex => "drops-index",
        }
    }
}

impl std::str::FromStr for Hazard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|hazard| hazard.name() == text)
            .ok_or_else(|| {
                format!(
                    "there is no hazard `{text}`; known: {}",
                    Self::ALL.map(Self::name).join(", ")
                )
            })
    }
}

/// One statement or one short transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Number of the step, from 1.
    pub id: u32,
    /// The table whose policy asked for it.
    pub table: QualifiedName,
    /// Steps of the same chain stop when one of them does not succeed: the drop of a partition whose
    /// detach was deferred is not tried.
    pub after: Option<u32>,
    /// What it does.
    pub action: Action,
    /// The same in one line for people.
    pub summary: String,
    /// The partitions it creates, detaches or drops.
    pub partitions: Vec<PartitionChange>,
    /// The index it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexChange>,
    /// Locks it takes, in the order in which they are taken.
    pub locks: Vec<Lock>,
    /// Dangers that must be allowed by name.
    pub hazards: Vec<Hazard>,
    /// Those of `hazards` that the plan file allows already.
    pub allowed_by_plan: Vec<Hazard>,
    /// Budget for other sessions' waits.
    pub budget: LockBudget,
    /// How it is run: the first way that gets its locks is the one that runs.
    pub ways: Vec<Way>,
}

/// A partition that a step is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartitionChange {
    /// The partition.
    pub name: QualifiedName,
    /// Lower bound as the server writes it, inclusive; `MINVALUE` possible.
    pub from: String,
    /// Upper bound as the server writes it, exclusive; `MAXVALUE` possible.
    pub to: String,
    /// Estimated rows, where known.
    pub rows_estimate: Option<i64>,
    /// Size on disk with indexes and TOAST, where known.
    pub bytes: Option<i64>,
}

/// The index that a step is about, and what it costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexChange {
    /// The index; of a build under another name that other name.
    pub name: QualifiedName,
    /// The table it stands on: of a partition's index the partition, while the step's table is the declared one.
    pub table: QualifiedName,
    /// Estimated rows that a build reads.
    pub rows_estimate: Option<i64>,
    /// Estimated bytes of a new index; measured bytes of one that is there.
    pub bytes: Option<i64>,
    /// What the index costs updates of the table, in words, where it costs HOT updates.
    pub hot_cost: Option<String>,
    /// Backend whose build the step waits for.
    pub follows: Option<i32>,
    /// `pg_class.oid` of the index that was planned for, where it is there already. A rename keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oid: Option<u32>,
    /// Whether that index was invalid.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub invalid: bool,
}

/// A table-level lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The relation locked.
    pub relation: QualifiedName,
    /// The mode.
    pub mode: LockMode,
    /// Why: `parent`.
    pub why: String,
    /// Whether the relation's own partitions are left out (LOCK TABLE ONLY).
    pub only: bool,
    /// Whether dbops takes it by LOCK before the statements; otherwise a statement takes it (the role may
    /// lack the right to LOCK), and `lock_timeout` bounds the wait.
    pub explicit: bool,
}

/// Table-level lock modes that dbops takes, weakest first.
///
/// Source: <https://www.postgresql.org/docs/current/explicit-locking.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LockMode {
    /// Reading.
    AccessShare,
    /// Maintenance that lets rows be written.
    ShareUpdateExclusive,
    /// Blocks writers; several at a time.
    Share,
    /// Blocks writers.
    ShareRowExclusive,
    /// Blocks everybody.
    AccessExclusive,
}

impl LockMode {
    /// Returns the words of the LOCK statement: `ACCESS EXCLUSIVE`.
    pub const fn sql(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }
}

/// One way to run a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// How the locks are got.
    pub acquire: Acquire,
    /// `SET` statements for the session before a concurrent statement; dbops resets them afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
    /// When this way is taken, in words.
    pub when: String,
    /// Statements run before, each in a transaction of its own, safe to repeat; empty unless `acquire` is `concurrent`.
    pub prepare: Vec<String>,
    /// The statements, without BEGIN and COMMIT.
    pub statements: Vec<String>,
    /// Statements that take back what `prepare` did, run in one transaction when the statements did not
    /// succeed and left nothing behind.
    pub undo: Vec<String>,
}

/// How a way gets its locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acquire {
    /// One transaction; `LOCK … NOWAIT` polled with jitter, which queues nobody.
    NoWait,
    /// One transaction; a short `lock_timeout` below the budget and below `deadlock_timeout`, with pauses.
    ShortWait,
    /// A statement that cannot run in a transaction (CONCURRENTLY, FINALIZE); a client-side clock cancels it.
    Concurrent,
}

/// Why a declared table, or one partition of it, cannot be served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Kebab-case code: `name-taken`, `default-holds-rows`, `not-partitioned` …
    pub code: String,
    /// The declared table.
    pub table: QualifiedName,
    /// The partition or other relation at fault.
    pub relation: Option<QualifiedName>,
    /// What is wrong, one sentence.
    pub message: String,
    /// What to do, one line each; SQL where SQL is the answer.
    pub remedy: Vec<String>,
    /// Where the policy stands.
    pub origin: Origin,
}

/// A fact worth a person's eye that stops nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Kebab-case code.
    pub code: String,
    /// The declared table.
    pub table: QualifiedName,
    /// One sentence.
    pub message: String,
}
