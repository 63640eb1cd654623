//! What was read of the nodes, as plain data. `None` is what the server did not show; nothing is made zero.

use std::collections::BTreeMap;

use super::lsn::Lsn;
use super::rate::WalRate;

/// What a plan file, or the connection options, say of a node.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Declared {
    /// Name in reports.
    pub name: String,
    /// Whether it is declared as a replica.
    pub replica: bool,
    /// Node that it is to receive from.
    pub upstream: Option<String>,
    /// Its `application_name` at its upstream.
    pub app_name: Option<String>,
    /// Whether it must be there.
    pub required: bool,
    /// Delay that it is meant to keep, in milliseconds.
    pub apply_delay_ms: Option<i64>,
    /// Labels for rules.
    pub labels: BTreeMap<String, String>,
}

/// Why a node said nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// Of which kind.
    pub kind: SilenceKind,
    /// In words.
    pub message: String,
}

/// Kinds of silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SilenceKind {
    /// No connection, or it broke.
    NotConnected,
    /// It is connected, and did not answer in time.
    NoAnswer,
    /// It is connected, and refused what it was asked.
    Refused,
    /// The server refuses because connections are used up (SQLSTATE 53300).
    Exhausted,
    /// The role may not read it (SQLSTATE 42501).
    NoPrivilege,
}

impl Silence {
    /// Whether the server was connected to all the same.
    pub const fn is_connected(&self) -> bool {
        matches!(self.kind, SilenceKind::NoAnswer | SilenceKind::Refused)
    }
}

/// Where a server is and what its clock says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Its clock, in seconds since the epoch.
    pub clock: f64,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// What a primary has flushed.
    pub flushed: Option<Lsn>,
    /// What a standby has received; `None` too where it never streamed.
    pub received: Option<Lsn>,
    /// What a standby has replayed.
    pub replayed: Option<Lsn>,
}

impl Position {
    /// Returns the end of the WAL as this node knows it.
    pub fn end(&self) -> Option<Lsn> {
        self.flushed.max(self.received).max(self.replayed)
    }
}

/// One node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSample {
    /// What is declared of it.
    pub declared: Declared,
    /// What it said.
    pub facts: Result<Facts, Silence>,
}

/// What a node said.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Where it was, read at about the same time on all nodes.
    pub position: Position,
    /// Its clock against that of the primary, in seconds, and by how much this may be wrong.
    pub clock_offset: Option<(f64, f64)>,
    /// The server.
    pub node: NodeRow,
    /// Who receives from it.
    pub senders: Vec<Sender>,
    /// The process by which it receives.
    pub receiver: Option<Receiver>,
    /// Its slots.
    pub slots: Vec<Slot>,
    /// Subscriptions that it applies.
    pub subscriptions: Vec<Subscription>,
    /// Queries that replay cancelled; `None`: the server does not count.
    pub conflicts: Conflicts,
    /// What holds back xmin.
    pub holders: Vec<Holder>,
}

/// The server.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeRow {
    /// `server_version_num`.
    pub version_num: i32,
    /// `server_version`.
    pub version: String,
    /// The role that asked.
    pub role: String,
    /// Whether it sees the statistics of others.
    pub reads_all_stats: bool,
    /// The same on a primary and its physical replicas.
    pub system_identifier: String,
    /// Timeline of a primary.
    pub timeline: Option<u32>,
    /// Age of the last commit replayed, in seconds.
    pub commit_age_s: Option<f64>,
    /// Whether replay is paused, or is to be.
    pub paused: Option<bool>,
    /// `not paused`, `pause requested`, `paused`; from 14.
    pub pause_state: Option<String>,
    /// `wal_segment_size`, in bytes.
    pub segment_bytes: i64,
    /// `wal_receiver_status_interval`, in seconds.
    pub status_interval_s: i64,
    /// `recovery_min_apply_delay`, in milliseconds.
    pub apply_delay_ms: i64,
    /// Whether `restore_command` is set.
    pub restores: bool,
    /// `hot_standby_feedback`.
    pub feedback: bool,
    /// `synchronous_standby_names`.
    pub synchronous_names: String,
    /// `max_slot_wal_keep_size` in MiB; -1: no limit.
    pub slot_keep_mb: i64,
    /// Sessions that wait for a synchronous replica, as far as the role sees.
    pub sync_waiting: i64,
    /// For how long the first of them.
    pub sync_waiting_s: Option<f64>,
}

/// A row of `pg_stat_replication`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sender {
    /// Server process.
    pub pid: i32,
    /// Name that the receiver gives itself.
    pub application_name: Option<String>,
    /// Address of the receiver.
    pub client_address: Option<String>,
    /// `streaming`, `catchup`, `startup`, `backup`, `stopping`.
    pub state: Option<String>,
    /// Sent.
    pub sent: Option<Lsn>,
    /// Written there.
    pub written: Option<Lsn>,
    /// Flushed there.
    pub flushed: Option<Lsn>,
    /// Replayed there.
    pub replayed: Option<Lsn>,
    /// Time until written.
    pub write_lag_s: Option<f64>,
    /// Time until flushed.
    pub flush_lag_s: Option<f64>,
    /// Time until replayed.
    pub replay_lag_s: Option<f64>,
    /// Place among the synchronous ones; 0: none.
    pub sync_priority: Option<i32>,
    /// `async`, `potential`, `sync`, `quorum`.
    pub sync_state: Option<String>,
    /// Age of the last reply: this server's clock against the receiver's.
    pub reply_age_s: Option<f64>,
    /// Slot in use.
    pub slot_name: Option<String>,
    /// `physical`, `logical`.
    pub slot_type: Option<String>,
}

impl Sender {
    /// Whether it is a base backup, or a program that only stores WAL: neither is a replica.
    pub fn is_backup(&self) -> bool {
        self.state.as_deref() == Some("backup")
            || matches!(
                self.application_name.as_deref(),
                Some("pg_basebackup" | "pg_receivewal")
            )
    }

    /// Whether it decodes.
    pub fn is_logical(&self) -> bool {
        self.slot_type.as_deref() == Some("logical")
    }
}

/// The row of `pg_stat_wal_receiver`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Receiver {
    /// Server process.
    pub pid: Option<i32>,
    /// `streaming`, `waiting`, `starting`, `restarting`, `stopping`, `stopped`.
    pub status: Option<String>,
    /// Timeline received.
    pub timeline: Option<i32>,
    /// Flushed.
    pub flushed: Option<Lsn>,
    /// End of the sender's WAL as last heard.
    pub sender_end: Option<Lsn>,
    /// Age of the last message, in seconds, by the node's own clock.
    pub message_age_s: Option<f64>,
    /// Slot in use.
    pub slot_name: Option<String>,
    /// Where it receives from.
    pub sender_host: Option<String>,
    /// Its port.
    pub sender_port: Option<i32>,
    /// Name that it gives itself.
    pub application_name: Option<String>,
}

/// A replication slot.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// `physical`, `logical`.
    pub kind: String,
    /// Output plugin.
    pub plugin: Option<String>,
    /// Database of a logical one.
    pub database: Option<String>,
    /// Whether it ends with its session.
    pub temporary: bool,
    /// Whether it is in use.
    pub active: bool,
    /// By which server process.
    pub active_pid: Option<i32>,
    /// Age of the xmin that it holds, in transactions.
    pub xmin_age: Option<i32>,
    /// The same of catalogs.
    pub catalog_xmin_age: Option<i32>,
    /// From where WAL is kept.
    pub restart: Option<Lsn>,
    /// What the receiver of a logical one confirmed.
    pub confirmed: Option<Lsn>,
    /// `reserved`, `extended`, `unreserved`, `lost`; `None`: it keeps no WAL yet.
    pub wal_status: Option<String>,
    /// Bytes of WAL until it may be lost; `None`: no limit, or lost.
    pub safe_bytes: Option<i64>,
    /// Whether it was invalidated by a conflict with recovery; from 16.
    pub conflicting: Option<bool>,
    /// Since how many seconds it is not in use; from 17.
    pub inactive_s: Option<f64>,
    /// Why it was invalidated; from 17.
    pub invalidation: Option<String>,
    /// Whether standbys keep it too; from 17.
    pub failover: Option<bool>,
    /// Whether it came from the primary; from 17.
    pub synced: Option<bool>,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Subscription {
    /// Its name.
    pub name: String,
    /// Its database.
    pub database: String,
    /// Whether it is meant to run.
    pub enabled: bool,
    /// Its slot at the publisher.
    pub slot_name: Option<String>,
    /// The process that applies; `None`: there is none.
    pub pid: Option<i32>,
    /// Received.
    pub received: Option<Lsn>,
    /// Reported to the publisher.
    pub reported: Option<Lsn>,
    /// Age of the last message.
    pub message_age_s: Option<f64>,
    /// Times that applying failed; from 15.
    pub apply_errors: Option<i64>,
    /// Times that a first copy failed; from 15.
    pub sync_errors: Option<i64>,
    /// Conflicts; from 18.
    pub conflicts: Option<i64>,
}

/// Queries that replay cancelled, by what they were in the way of; of all databases.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct Conflicts {
    /// A tablespace that was dropped.
    pub tablespace: Option<i64>,
    /// A lock.
    pub lock: Option<i64>,
    /// Rows that were removed.
    pub snapshot: Option<i64>,
    /// A pinned buffer.
    pub bufferpin: Option<i64>,
    /// A deadlock.
    pub deadlock: Option<i64>,
    /// A logical slot; from 16.
    pub logical_slot: Option<i64>,
}

/// What holds back xmin.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct Holder {
    /// `slot`, `slot-catalog`, `replica`, `prepared`, `session`.
    pub kind: String,
    /// Name of the slot, replica, prepared transaction or application.
    pub name: Option<String>,
    /// Server process.
    pub pid: Option<i32>,
    /// By how many transactions.
    pub xids: Option<i32>,
    /// Since how many seconds, where it is counted.
    pub seconds: Option<f64>,
}

/// How a mark on the primary was seen elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub enum Followed {
    /// It was seen; the time from the mark to there lies between two.
    Seen {
        /// Not less, in seconds.
        low_s: f64,
        /// Not more.
        high_s: f64,
    },
    /// It was not seen in time.
    NotSeen {
        /// Seconds that it was waited for.
        after_s: f64,
    },
    /// It was not waited for: the replica is set to replay later than that.
    Delayed {
        /// By so many seconds.
        delay_s: f64,
    },
    /// It could not be looked for.
    Failed(String),
}

/// A commit that was made to be waited for.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Where its commit ends.
    pub lsn: Lsn,
    /// When the replicas that answered had replayed it, by node.
    pub replayed: BTreeMap<String, Followed>,
    /// Whether each receiver confirmed it, by the pid of its sender.
    pub confirmed: BTreeMap<i32, bool>,
}

/// The primary's position before and after all nodes were asked for theirs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Before.
    pub before: Lsn,
    /// After.
    pub after: Lsn,
    /// Seconds in between.
    pub seconds: f64,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// The nodes, as declared.
    pub nodes: Vec<NodeSample>,
    /// The primary's position around the others'; `None`: no primary answered.
    pub cut: Option<Cut>,
    /// WAL that the primary writes; `None`: not measured.
    pub wal_rate: Option<WalRate>,
    /// The probe; `None`: there was none.
    pub probe: Option<Probe>,
    /// Why there was none.
    pub passive_because: Option<String>,
}

impl Sample {
    /// Returns the one node that takes writes.
    ///
    /// # Errors
    /// None answered, or several: then nothing may be written to any.
    pub fn writer(&self) -> Result<(&str, &Facts), String> {
        let writers: Vec<((&str, &Facts), &str)> = (self.nodes.iter())
            .filter_map(|node| Some((node.declared.name.as_str(), node.facts.as_ref().ok()?)))
            .filter(|(_, facts)| !facts.position.in_recovery)
            .map(|(name, facts)| ((name, facts), name))
            .collect();
        only_writer(&writers)
    }
}

/// Returns the only one of the servers that take writes, each with its name.
///
/// # Errors
/// None answered, or several: then nothing may be written to any.
pub fn only_writer<T: Copy>(writers: &[(T, &str)]) -> Result<T, String> {
    match writers {
        [(one, _)] => Ok(*one),
        [] => Err("no primary answered, so there is nowhere to commit a probe".to_owned()),
        several => {
            let names: Vec<&str> = several.iter().map(|(_, name)| *name).collect();
            Err(format!(
                "several primaries answered ({}): nothing is written to any",
                names.join(", ")
            ))
        }
    }
}

impl Facts {
    /// Returns why this node cannot follow a primary; `None`: it can.
    pub fn cannot_follow(&self, primary: &Self) -> Option<&'static str> {
        if self.node.system_identifier != primary.node.system_identifier {
            Some("it is of another cluster than the primary")
        } else if !self.position.in_recovery {
            Some("it takes writes: it was promoted")
        } else {
            None
        }
    }
}
