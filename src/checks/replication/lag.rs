//! How far a replica is behind, in bytes and in time, and what that rests on.
//!
//! Two traps are kept out: on an idle primary the age of the last commit grows without any lag, and a replica that
//! is cut off or frozen shows equal positions of what it has, or the last figure that it sent.

use serde::Serialize;

use super::state::State;
use crate::checks::known::Known;
use crate::checks::reason::Reason;
use crate::sample::replication::lsn::Lsn;
use crate::sample::replication::model::{Cut, Facts, Followed, Sender};

/// Bytes between two positions that were not read at the same instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Not less.
    pub low: u64,
    /// Not more.
    pub high: u64,
}

/// What a time rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// A commit was made and waited for.
    Probe,
    /// `replay_lag` of the sender.
    Column,
    /// Positions are equal, so there is nothing to be behind by.
    LsnEqual,
    /// The replica alone was asked: it has replayed all that it last heard of.
    Receiver,
    /// The age of the last commit replayed: not more than that.
    CommitTime,
}

impl Basis {
    /// Returns it in words, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Column => "column",
            Self::LsnEqual => "lsn_equal",
            Self::Receiver => "receiver",
            Self::CommitTime => "commit_time",
        }
    }
}

/// A lag in time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Lag {
    /// Not less, in seconds.
    pub low_s: f64,
    /// Not more, in seconds; `None`: it was not waited for any longer.
    pub high_s: Option<f64>,
    /// What it rests on.
    pub basis: Basis,
    /// How coarse it is: what is finer than this many seconds cannot be told.
    pub resolution_s: f64,
}

impl Lag {
    fn none(basis: Basis, resolution_s: f64) -> Self {
        Self {
            low_s: 0.0,
            high_s: Some(0.0),
            basis,
            resolution_s,
        }
    }

    /// Returns it without a delay that is meant to be.
    #[must_use]
    pub fn beyond(self, delay_s: f64) -> Self {
        Self {
            low_s: (self.low_s - delay_s).max(0.0),
            high_s: self.high_s.map(|high| (high - delay_s).max(0.0)),
            ..self
        }
    }
}

/// What is known of one replica.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// What it said.
    pub facts: Option<&'a Facts>,
    /// What its sender shows.
    pub sender: Option<&'a Sender>,
    /// The primary's position.
    pub cut: Option<Cut>,
    /// How the probe was seen there.
    pub followed: Option<&'a Followed>,
    /// In which state it is.
    pub state: &'a Known<State>,
    /// `wal_receiver_status_interval`, in seconds: how often a replica that only replays reports.
    pub interval_s: f64,
    /// What the clock of the replica is ahead, in seconds; `None`: not known.
    pub offset_s: Option<f64>,
}

/// Returns the bytes from a position to the end of the primary's WAL.
pub fn gap(to: Option<Lsn>, cut: Option<Cut>, otherwise: Reason) -> Known<Gap> {
    match (to, cut) {
        (Some(lsn), Some(cut)) => Known::Value(Gap {
            low: lsn.behind(cut.before),
            high: lsn.behind(cut.after),
        }),
        (None, _) => Known::Unknown(otherwise),
        (_, None) => Known::Unknown(Reason::NotConnected),
    }
}

/// Returns how long a commit takes to be visible on the replica.
pub fn visible(inputs: Inputs<'_>) -> Known<Lag> {
    match inputs.followed {
        Some(Followed::Seen { low_s, high_s }) => Known::Value(Lag {
            low_s: *low_s,
            high_s: Some(*high_s),
            basis: Basis::Probe,
            resolution_s: high_s - low_s,
        }),
        Some(Followed::NotSeen { after_s }) => Known::Value(Lag {
            low_s: *after_s,
            high_s: None,
            basis: Basis::Probe,
            resolution_s: 0.0,
        }),
        Some(Followed::Failed(_) | Followed::Delayed { .. }) | None => passive(inputs),
    }
}

fn passive(inputs: Inputs<'_>) -> Known<Lag> {
    let receives = match inputs.state {
        Known::Value(state) => state.receives(),
        Known::Unknown(reason) => return Known::Unknown(*reason),
    };
    match (inputs.facts, inputs.cut) {
        (Some(facts), Some(cut)) => {
            let Some(replayed) = facts.position.replayed else {
                return Known::Unknown(Reason::NoSample);
            };
            if !receives {
                return Known::Unknown(Reason::NoSample);
            }
            if replayed >= cut.before {
                return Known::Value(Lag::none(Basis::LsnEqual, cut.seconds));
            }
            if facts.node.paused == Some(true) {
                return Known::Unknown(Reason::StaleSample);
            }
            inputs
                .sender
                .map_or(Known::Unknown(Reason::NoSample), |sender| {
                    column(sender, &inputs)
                })
        }
        (Some(facts), None) => alone(facts, receives),
        (None, Some(cut)) => {
            let Some(sender) = inputs.sender.filter(|_| receives) else {
                return Known::Unknown(Reason::NotConnected);
            };
            let age = match reply_age(sender, &inputs) {
                Ok(age) => age,
                Err(reason) => return Known::Unknown(reason),
            };
            match (sender.replayed, age) {
                (Some(replayed), Some(age)) if replayed >= cut.before => {
                    Known::Value(Lag::none(Basis::LsnEqual, age.max(cut.seconds)))
                }
                _ => column(sender, &inputs),
            }
        }
        (None, None) => Known::Unknown(Reason::NotConnected),
    }
}

/// The column moves only with the replies of the replica, which come every interval when replay is all that moves.
fn column(sender: &Sender, inputs: &Inputs<'_>) -> Known<Lag> {
    if let Err(reason) = reply_age(sender, inputs) {
        return Known::Unknown(reason);
    }
    Known::from_option(sender.replay_lag_s, Reason::NoSample).map(|lag_s| Lag {
        low_s: lag_s,
        high_s: Some(lag_s),
        basis: Basis::Column,
        resolution_s: inputs.interval_s,
    })
}

/// Returns the age of the last reply where that is fit to be believed: a replica that has nothing to do reports every
/// interval, so twice that is too long; and where its clock is not known, a reply from the future is no reply of now.
fn reply_age(sender: &Sender, inputs: &Inputs<'_>) -> Result<Option<f64>, Reason> {
    let age = (sender.reply_age_s).map(|age| age + inputs.offset_s.unwrap_or_default());
    match age {
        Some(age) if age > 2.0 * inputs.interval_s + 1.0 => Err(Reason::StaleSample),
        Some(age) if age < -SKEW_S && inputs.offset_s.is_none() => Err(Reason::ClockSkew),
        age => Ok(age),
    }
}

/// Clocks that are kept by NTP are closer than this many seconds.
const SKEW_S: f64 = 1.0;

/// A replica that is asked alone knows what it last heard of its sender, and nothing since.
fn alone(facts: &Facts, receives: bool) -> Known<Lag> {
    let Some(replayed) = facts.position.replayed else {
        return Known::Unknown(Reason::NoSample);
    };
    let heard = facts
        .receiver
        .as_ref()
        .filter(|_| receives)
        .and_then(|receiver| Some((receiver.sender_end?, receiver.message_age_s?)));
    if let Some((end, age)) = heard
        && replayed >= end
        && facts.position.received.is_none_or(|lsn| replayed >= lsn)
    {
        return Known::Value(Lag::none(Basis::Receiver, age.max(0.0)));
    }
    if !receives {
        return Known::Unknown(Reason::NoSample);
    }
    // What is missing was committed after the last commit that was replayed.
    Known::from_option(facts.node.commit_age_s, Reason::NoCommitSeen).map(|age| Lag {
        low_s: 0.0,
        high_s: Some(age.max(0.0)),
        basis: Basis::CommitTime,
        resolution_s: age.max(0.0),
    })
}
