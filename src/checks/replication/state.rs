//! In which state a replica is: by what it says itself, and by what its upstream says of it.

use serde::Serialize;

use crate::checks::known::Known;
use crate::checks::reason::Reason;
use crate::sample::replication::model::{Facts, Sender, Silence, SilenceKind};

/// A receiver hears of its sender at least every half `wal_sender_timeout`, 30 s by default.
pub const SILENT_AFTER_S: f64 = 35.0;

/// What a node is doing as a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is a primary.
    Primary,
    /// It receives as the upstream writes.
    Streaming,
    /// It receives and is behind.
    Catchup,
    /// It begins to receive.
    Startup,
    /// It is about to end.
    Stopping,
    /// It is fed by `restore_command`.
    Archive,
    /// It says that it receives and has heard nothing for long.
    Silent,
    /// It is listed as streaming and does not confirm what it is sent.
    Frozen,
    /// It receives nothing.
    NotStreaming,
}

impl State {
    /// Returns the word, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Streaming => "streaming",
            Self::Catchup => "catchup",
            Self::Startup => "startup",
            Self::Stopping => "stopping",
            Self::Archive => "archive",
            Self::Silent => "silent",
            Self::Frozen => "frozen",
            Self::NotStreaming => "not_streaming",
        }
    }

    /// Whether what it shows of positions can still move.
    pub const fn receives(self) -> bool {
        matches!(self, Self::Streaming | Self::Catchup | Self::Archive)
    }
}

/// What is known of one node.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// What it said.
    pub facts: Result<&'a Facts, &'a Silence>,
    /// What its sender shows.
    pub sender: Option<&'a Sender>,
    /// Whether an upstream was asked that would list it; `None`: none was.
    pub upstream_asked: Option<UpstreamAsked>,
    /// Whether it confirmed the probe; `None`: there was none, or it was not meant to.
    pub confirmed: Option<bool>,
    /// Whether the replica's own connection saw the probe.
    pub replayed_probe: bool,
    /// How often it reports at least, in seconds.
    pub interval_s: f64,
    /// What its clock is ahead, in seconds; `None`: not known.
    pub offset_s: Option<f64>,
}

/// What the role may see on an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamAsked {
    /// Every receiver.
    Everything,
    /// Every receiver, and one of them may be this one by another name.
    OthersToo,
    /// Only that there are some.
    PidsOnly,
}

/// Decides.
pub fn state(inputs: Inputs<'_>) -> Known<State> {
    match inputs.facts {
        Ok(facts) if !facts.position.in_recovery => Known::Value(State::Primary),
        Ok(facts) => by_itself(facts, inputs),
        Err(silence) => match inputs.sender {
            Some(sender) => by_sender(sender, inputs),
            None if inputs.upstream_asked == Some(UpstreamAsked::Everything) => {
                Known::Value(State::NotStreaming)
            }
            None => Known::Unknown(reason(silence)),
        },
    }
}

fn by_itself(facts: &Facts, inputs: Inputs<'_>) -> Known<State> {
    let Some(receiver) = &facts.receiver else {
        // Streaming with an archive to fall back on is not the same as being fed by one.
        return Known::Value(
            if facts.node.restores && facts.position.received.is_none() {
                State::Archive
            } else {
                State::NotStreaming
            },
        );
    };
    let Some(status) = receiver.status.as_deref() else {
        return Known::Unknown(Reason::NoPrivilege);
    };
    match status {
        "streaming" => {}
        "stopping" => return Known::Value(State::Stopping),
        _ => return Known::Value(State::Startup),
    }
    if inputs.confirmed == Some(false) && !inputs.replayed_probe {
        return Known::Value(State::Frozen);
    }
    if receiver
        .message_age_s
        .is_some_and(|age| age > SILENT_AFTER_S)
    {
        return Known::Value(State::Silent);
    }
    match inputs.sender {
        Some(sender) if sender.state.is_some() => by_sender(sender, inputs),
        _ => Known::Value(State::Streaming),
    }
}

fn by_sender(sender: &Sender, inputs: Inputs<'_>) -> Known<State> {
    let Some(state) = sender.state.as_deref() else {
        return Known::Unknown(Reason::NoPrivilege);
    };
    Known::Value(match state {
        "streaming" if inputs.confirmed == Some(false) && !inputs.replayed_probe => State::Frozen,
        // Also of one that answers: its receiver is a process of its own, and what it heard last is not what it misses.
        "streaming" => match is_overdue(sender, inputs) {
            Some(true) => State::Frozen,
            Some(false) => State::Streaming,
            None => return Known::Unknown(Reason::StaleSample),
        },
        "catchup" => State::Catchup,
        "stopping" => State::Stopping,
        _ => State::Startup,
    })
}

/// Whether WAL was sent that it has not confirmed, and it has missed two of its reports. `None`: that looks so, and its
/// clock, by which the age of its last report counts, may as well be behind.
fn is_overdue(sender: &Sender, inputs: Inputs<'_>) -> Option<bool> {
    let moved = sender
        .sent
        .zip(sender.replayed)
        .is_some_and(|(sent, replayed)| replayed < sent);
    // One that is set to report never is silent without being overdue.
    let reports = inputs.interval_s > 0.0;
    if !moved || !reports || inputs.confirmed == Some(true) || inputs.replayed_probe {
        return Some(false);
    }
    let age = sender
        .reply_age_s
        .map(|age| age + inputs.offset_s.unwrap_or_default());
    if age.is_none_or(|age| age <= 2.0 * inputs.interval_s + 1.0) {
        return Some(false);
    }
    inputs.offset_s.map(|_| true)
}

/// Returns the reason that a silent node gives to everything that only it could say.
pub const fn reason(silence: &Silence) -> Reason {
    match silence.kind {
        SilenceKind::NotConnected | SilenceKind::NoAnswer => Reason::NotConnected,
        SilenceKind::Refused => Reason::NoSample,
        SilenceKind::Exhausted => Reason::Exhausted,
        SilenceKind::NoPrivilege => Reason::NoPrivilege,
    }
}
