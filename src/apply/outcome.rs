//! What running a changeset did, as plain data.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::changes::changeset::{Acquire, Action, Hazard, IndexChange, PartitionChange};
use crate::failure::Exit;
use crate::ident::QualifiedName;

/// The report of a run: one entry a step, in the changeset's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Number of the run in the history, where one was written.
    pub run: Option<i64>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// Steps in order.
    pub steps: Vec<StepOutcome>,
    /// Sum over the steps of what other sessions waited behind dbops.
    pub blocked: Blocked,
    /// Whether a signal ended it.
    pub interrupted: bool,
    /// What kept the history from being written, where something did.
    pub history_warning: Option<String>,
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepOutcome {
    /// The step's number in the changeset.
    pub id: u32,
    /// The table.
    pub table: QualifiedName,
    /// What the step does.
    pub action: Action,
    /// The same for people.
    pub summary: String,
    /// The partitions it is about.
    pub partitions: Vec<PartitionChange>,
    /// The index it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexChange>,
    /// How it ended.
    pub status: Status,
    /// The way that ran, or was tried last.
    pub way: Option<Acquire>,
    /// How often it was tried.
    pub attempts: u32,
    /// Milliseconds from the first attempt to the last one's begin: time spent on getting the locks.
    pub lock_wait_ms: u64,
    /// Milliseconds of the last attempt.
    pub duration_ms: u64,
    /// What other sessions waited behind this step.
    pub blocked: Blocked,
    /// Who kept dbops from its locks, where it was deferred.
    pub blockers: Vec<Blocker>,
    /// Hazards that were not allowed, where it was refused.
    pub refused_hazards: Vec<Hazard>,
    /// Why it was refused, failed or deferred.
    pub reason: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// What happened on the way, one sentence each: a build that was followed, a leftover that was dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It ran.
    Done,
    /// A hazard of it is not allowed; not tried.
    Refused,
    /// The lock budget was not enough; nothing was harmed.
    Deferred,
    /// The server refused a statement; the transaction was rolled back.
    Failed,
    /// A step that it needs did not succeed, or the run ended before it.
    Skipped,
    /// A signal ended it; the statement was cancelled.
    Interrupted,
}

impl Status {
    /// Returns the words used in reports and in the history.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Interrupted => "interrupted",
        }
    }
}

/// How far a concurrent build has come.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildProgress {
    /// `phase` of `pg_stat_progress_create_index`: `building index: scanning table` …
    pub phase: String,
    /// Share of the phase that is done, 0 to 1, where the server tells.
    pub done: Option<f64>,
    /// Estimated rest of the phase in seconds.
    pub rest_seconds: Option<f64>,
    /// Whom it waits for right now.
    pub waits_for: Vec<Blocker>,
}

/// What other sessions waited behind dbops, as the observer measured it.
///
/// During a concurrent build or drop of an index, which ordinary statements pass, these are the readers
/// and writers that wait for a lock on a table behind maintenance (ALTER TABLE …) that in turn waits for
/// the build. Such maintenance itself, which the build's own lock lets wait by nature, is named in the
/// step's remarks and not counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Blocked {
    /// Waits that were seen: a session that waits twice counts twice.
    pub count: u32,
    /// Those of them for a lock that writes (any above that of SELECT and SELECT FOR UPDATE).
    pub writers: u32,
    /// The longest single wait in milliseconds.
    pub longest_ms: f64,
    /// Samples taken; 0 means that nothing was measured.
    pub samples: u64,
    /// Longest time between two samples in milliseconds: a wait shorter than this can go unseen.
    pub resolution_ms: f64,
    /// The waits, longest first, at most twenty.
    pub waits: Vec<Wait>,
}

/// One session's wait behind dbops.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// Its process id on the server.
    pub pid: i32,
    /// Its `application_name`.
    pub application: Option<String>,
    /// `client backend`, `autovacuum worker` …
    pub backend_type: Option<String>,
    /// Lock mode it waited for, `RowExclusiveLock`.
    pub mode: String,
    /// How long it waited, in milliseconds.
    pub waited_ms: f64,
}

/// A session that kept dbops from a lock. No query text: it can hold secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blocker {
    /// Its process id on the server.
    pub pid: i32,
    /// The relation it holds, quoted where needed; `None` for a snapshot or a transaction that is waited for.
    pub relation: Option<String>,
    /// The mode it holds, `AccessShareLock`.
    pub mode: Option<String>,
    /// Its role.
    pub role: Option<String>,
    /// Its `application_name`.
    pub application: Option<String>,
    /// `active`, `idle in transaction` …; `None`: hidden from this role.
    pub state: Option<String>,
    /// `client backend`, `autovacuum worker` …
    pub backend_type: Option<String>,
    /// Age of its transaction in seconds.
    pub transaction_seconds: Option<f64>,
    /// Age of its current statement in seconds.
    pub query_seconds: Option<f64>,
    /// Why a concurrent build waits for it, in words: an old snapshot, writes to the table …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Blocked {
    /// Adds another measurement: counts add up, the longest wait stays.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.writers += other.writers;
        self.longest_ms = self.longest_ms.max(other.longest_ms);
        self.samples += other.samples;
        self.resolution_ms = self.resolution_ms.max(other.resolution_ms);
        self.waits.extend(other.waits.iter().cloned());
        self.waits
            .sort_by(|a, b| b.waited_ms.total_cmp(&a.waited_ms).then(a.pid.cmp(&b.pid)));
        self.waits.truncate(20);
    }
}

impl Outcome {
    /// Adds what came of the changeset that followed, whose steps are numbered on from `offset`.
    pub fn append(&mut self, next: Self, offset: u32) {
        self.run = self.run.or(next.run);
        self.finished_at = next.finished_at;
        self.interrupted |= next.interrupted;
        self.blocked.add(&next.blocked);
        self.steps
            .extend(next.steps.into_iter().map(|step| StepOutcome {
                id: step.id + offset,
                ..step
            }));
        self.history_warning = self.history_warning.take().or(next.history_warning);
    }

    /// Returns the exit code that the steps lead to.
    pub fn exit(&self) -> Exit {
        if self.interrupted {
            return Exit::Interrupted;
        }
        let of = |status| match status {
            Status::Done | Status::Skipped => Exit::Done,
            Status::Refused => Exit::Refused,
            Status::Deferred => Exit::Deferred,
            Status::Failed => Exit::PartWay,
            Status::Interrupted => Exit::Interrupted,
        };
        // Statistics that could not be gathered now, autovacuum gathers later.
        let counted = || {
            self.steps
                .iter()
                .filter(|step| step.action != Action::AnalyzeTable)
        };
        let worst = counted()
            .map(|step| of(step.status))
            .fold(Exit::Done, Exit::worst);
        let skipped = counted().any(|step| step.status == Status::Skipped);
        // A step is skipped after one that did not succeed, whose code counts; skipped without such a
        // one, the run itself was cut short: a connection was lost between two steps.
        if worst == Exit::Done && skipped {
            return Exit::PartWay;
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn exit_of(statuses: &[Status]) -> Exit {
        let step = |status: &Status| StepOutcome {
            id: 1,
            table: QualifiedName::new("public", "events"),
            action: Action::CreatePartitions,
            summary: String::new(),
            partitions: Vec::new(),
            index: None,
            status: *status,
            way: None,
            attempts: 1,
            lock_wait_ms: 0,
            duration_ms: 0,
            blocked: Blocked::default(),
            blockers: Vec::new(),
            refused_hazards: Vec::new(),
            reason: None,
            remedy: None,
            remarks: Vec::new(),
        };
        Outcome {
            run: None,
            started_at: DateTime::UNIX_EPOCH,
            finished_at: DateTime::UNIX_EPOCH,
            steps: statuses.iter().map(step).collect(),
            blocked: Blocked::default(),
            interrupted: false,
            history_warning: None,
        }
        .exit()
    }

    #[test]
    fn the_exit_code_is_that_of_what_most_needs_a_person() {
        use Status::{Deferred, Done, Failed, Refused, Skipped};
        assert_eq!(exit_of(&[Done, Done]), Exit::Done);
        assert_eq!(exit_of(&[Done, Deferred]), Exit::Deferred);
        assert_eq!(exit_of(&[Deferred, Refused]), Exit::Refused);
        assert_eq!(exit_of(&[Refused, Skipped]), Exit::Refused);
        assert_eq!(exit_of(&[Failed, Refused, Deferred]), Exit::PartWay);
        assert_eq!(exit_of(&[Done, Skipped]), Exit::PartWay);
    }
}
