//! What is known of the nodes of a tree, as it is shown.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::findings::Finding;
use super::lag::{Gap, Lag};
use super::slots::SlotView;
use super::state::State;
use super::sync_names::Wanted;
use crate::checks::known::Known;
use crate::checks::reason::Reason;
use crate::sample::replication::lsn::Lsn;
use crate::sample::replication::model::{Conflicts, Holder, Silence};

/// The whole tree of one target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tree {
    /// Upstreams before those that receive from them.
    pub nodes: Vec<Node>,
    /// Everything that is wrong or cannot be told, worst first.
    pub findings: Vec<Finding>,
    /// Bytes of WAL that the primary wrote while the nodes were asked; `None`: no primary answered.
    pub cut_bytes: Option<u64>,
    /// Seconds that this took.
    pub cut_s: Option<f64>,
    /// The replica that positions are compared with because no primary answered.
    pub compared_with: Option<String>,
    /// Whether a commit was made and waited for.
    pub probed: bool,
    /// Why not.
    pub passive_because: Option<String>,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    /// Its name: as declared, or its `application_name`.
    pub name: String,
    /// Names from the top of the tree down to this one.
    pub path: Vec<String>,
    /// Whether it is declared, or only seen by its upstream.
    pub declared: bool,
    /// Whether it must be there.
    pub required: bool,
    /// `primary`, `replica`, `logical`, `backup`.
    pub role: &'static str,
    /// In which state it is.
    pub state: Known<State>,
    /// `async`, `potential`, `sync`, `quorum`.
    pub sync: Known<String>,
    /// Server version.
    pub version: Known<String>,
    /// Why it did not answer.
    #[serde(serialize_with = "in_words")]
    pub silence: Option<Silence>,
    /// Timeline.
    pub timeline: Known<u32>,
    /// Positions.
    pub positions: Positions,
    /// The same as bytes behind the primary.
    pub gaps: Gaps,
    /// How long a commit takes to be visible there.
    pub lag: Known<Lag>,
    /// Why the probe was not waited for there although there was one: its lag is the servers' own figure.
    pub not_waited_for: Option<String>,
    /// The same without the delay that is declared, or set on the server.
    pub lag_beyond_delay: Known<Lag>,
    /// `recovery_min_apply_delay`, or what is declared, in seconds.
    pub apply_delay_s: Known<f64>,
    /// Whether replay is paused: `not paused`, `pause requested`, `paused`.
    pub pause: Known<String>,
    /// Status of the process that receives.
    pub receiver: Known<String>,
    /// Age of the last message that it got, in seconds.
    pub message_age_s: Known<f64>,
    /// Age of the last reply that its upstream got, in seconds, as far as the clocks are known.
    pub reply_age_s: Known<f64>,
    /// What its clock is ahead of the primary's, in seconds.
    pub clock_offset_s: Known<f64>,
    /// By how much this may be wrong.
    pub clock_error_s: Known<f64>,
    /// Slot by which it receives.
    pub slot: Option<String>,
    /// `hot_standby_feedback`.
    pub feedback: Known<bool>,
    /// Queries that replay cancelled.
    pub conflicts: Known<Conflicts>,
    /// What holds back xmin on it, oldest first.
    pub holders: Known<Vec<Holder>>,
    /// Its slots.
    pub slots: Known<Vec<SlotView>>,
    /// What it applies.
    pub subscriptions: Known<Vec<SubscriptionView>>,
    /// What its `synchronous_standby_names` asks for.
    pub synchronous: Known<Option<Wanted>>,
    /// Sessions that wait for synchronous replicas.
    pub sync_waiting: Known<i64>,
    /// Labels for rules.
    pub labels: BTreeMap<String, String>,
}

/// Positions of a replica.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Positions {
    /// Sent to it.
    pub sent: Known<Lsn>,
    /// Written there.
    pub write: Known<Lsn>,
    /// Flushed there.
    pub flush: Known<Lsn>,
    /// Replayed there; of a primary: its own end.
    pub replay: Known<Lsn>,
}

/// Bytes behind the primary.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gaps {
    /// Not sent.
    pub sent: Known<Gap>,
    /// Not written.
    pub write: Known<Gap>,
    /// Not flushed.
    pub flush: Known<Gap>,
    /// Not replayed.
    pub replay: Known<Gap>,
}

/// A subscription and how it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubscriptionView {
    /// Its name.
    pub name: String,
    /// Its database.
    pub database: String,
    /// `applying`, `disabled`, `apply_failing`, `not_applying`.
    pub state: &'static str,
    /// Received.
    pub received: Option<Lsn>,
    /// Age of the last message, in seconds.
    pub message_age_s: Option<f64>,
    /// Times that applying failed.
    pub apply_errors: Known<i64>,
    /// Times that a first copy failed.
    pub sync_errors: Known<i64>,
    /// Conflicts.
    pub conflicts: Known<i64>,
}

impl Node {
    /// A node of which nothing is known yet.
    pub(super) fn blank() -> Self {
        fn unknown<T>() -> Known<T> {
            Known::Unknown(Reason::NotDeclared)
        }
        Self {
            name: String::new(),
            path: Vec::new(),
            declared: false,
            required: false,
            role: "replica",
            state: unknown(),
            sync: unknown(),
            version: unknown(),
            silence: None,
            timeline: unknown(),
            positions: Positions {
                sent: unknown(),
                write: unknown(),
                flush: unknown(),
                replay: unknown(),
            },
            gaps: Gaps {
                sent: unknown(),
                write: unknown(),
                flush: unknown(),
                replay: unknown(),
            },
            lag: unknown(),
            not_waited_for: None,
            lag_beyond_delay: unknown(),
            apply_delay_s: unknown(),
            pause: unknown(),
            receiver: unknown(),
            message_age_s: unknown(),
            reply_age_s: unknown(),
            clock_offset_s: unknown(),
            clock_error_s: unknown(),
            slot: None,
            feedback: unknown(),
            conflicts: unknown(),
            holders: unknown(),
            slots: unknown(),
            subscriptions: unknown(),
            synchronous: unknown(),
            sync_waiting: unknown(),
            labels: BTreeMap::new(),
        }
    }
}

fn in_words<S: Serializer>(silence: &Option<Silence>, serializer: S) -> Result<S::Ok, S::Error> {
    let message = silence.as_ref().map(|silence| &silence.message);
    message.serialize(serializer)
}
