//! Slots: what they keep, how much room is left, and when it ends.

use serde::Serialize;

use crate::checks::known::Known;
use crate::checks::reason::Reason;
use crate::sample::replication::model::{Facts, Slot};
use crate::sample::replication::rate::WalRate;

/// A slot that could lose what it keeps within this many seconds of WAL, or two segments, is low.
const LOW_S: f64 = 60.0;

/// How a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotState {
    /// It keeps what it must.
    Ok,
    /// Nobody uses it; it keeps WAL all the same.
    Inactive,
    /// It will soon pass the limit.
    Low,
    /// It has passed the limit: the next checkpoint may remove what it keeps.
    Unreserved,
    /// It lost what it was to keep; nothing brings it back.
    Lost,
}

impl SlotState {
    /// Returns the word, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Inactive => "inactive",
            Self::Low => "low",
            Self::Unreserved => "unreserved",
            Self::Lost => "lost",
        }
    }
}

/// A slot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlotView {
    /// Its name.
    pub name: String,
    /// `physical`, `logical`.
    pub kind: String,
    /// Database of a logical one.
    pub database: Option<String>,
    /// Output plugin of a logical one.
    pub plugin: Option<String>,
    /// How it is.
    pub state: SlotState,
    /// `wal_status` of the server.
    pub wal_status: Known<String>,
    /// Whether it is in use.
    pub active: bool,
    /// Whether it ends with its session.
    pub temporary: bool,
    /// Bytes of WAL that it keeps; of a lost one none are told.
    pub retained_bytes: Known<u64>,
    /// Bytes that a logical receiver has not confirmed.
    pub unconfirmed_bytes: Known<u64>,
    /// Whether the server limits what slots keep.
    pub limited: bool,
    /// Bytes of WAL until it may be lost.
    pub safe_bytes: Known<i64>,
    /// Seconds until then at the rate at which WAL is written now.
    pub time_to_loss_s: Known<f64>,
    /// How fast WAL is written; `None`: not measured.
    #[serde(skip)]
    pub wal_rate: Option<WalRate>,
    /// Seconds since it was used last; what counts as that differs between 17 and 18 once it is invalidated.
    pub inactive_s: Known<f64>,
    /// Why it was invalidated.
    pub cause: Option<String>,
    /// Age of the xmin that it holds, in transactions.
    pub xmin_age: Option<i32>,
    /// The same of catalogs.
    pub catalog_xmin_age: Option<i32>,
    /// Whether standbys keep it too.
    pub failover: Known<bool>,
    /// Whether it came from the primary.
    pub synced: Known<bool>,
}

/// Returns the slots of a node, with how fast its cluster writes WAL.
pub fn slots(facts: &Facts, wal_rate: Option<WalRate>) -> Vec<SlotView> {
    facts
        .slots
        .iter()
        .map(|slot| view(slot, facts, wal_rate))
        .collect()
}

fn view(slot: &Slot, facts: &Facts, wal_rate: Option<WalRate>) -> SlotView {
    let lost = is_lost(slot);
    let limited = facts.node.slot_keep_mb >= 0;
    let end = facts.position.end();
    let behind = |lsn| Known::from_option(Option::zip(lsn, end), Reason::NoSample);
    let safe_bytes = match slot.safe_bytes {
        _ if lost => Known::Unknown(Reason::NotApplicable),
        safe if limited => Known::from_option(safe, Reason::NoSample),
        _ => Known::Unknown(Reason::NoLimit),
    };
    SlotView {
        name: slot.name.clone(),
        kind: slot.kind.clone(),
        database: slot.database.clone(),
        plugin: slot.plugin.clone(),
        state: state(slot, lost, facts.node.segment_bytes, wal_rate),
        wal_status: Known::from_option(slot.wal_status.clone(), Reason::NoSample),
        active: slot.active,
        temporary: slot.temporary,
        retained_bytes: if lost {
            Known::Unknown(Reason::NotApplicable)
        } else {
            behind(slot.restart).map(|(lsn, end)| lsn.behind(end))
        },
        unconfirmed_bytes: if lost {
            Known::Unknown(Reason::NotApplicable)
        } else {
            behind(slot.confirmed).map(|(lsn, end)| lsn.behind(end))
        },
        limited,
        safe_bytes,
        time_to_loss_s: match (safe_bytes, wal_rate) {
            (Known::Unknown(reason), _) => Known::Unknown(reason),
            (Known::Value(safe), Some(rate)) if rate.bytes > 0 => {
                Known::Value(safe.max(0) as f64 / rate.per_s())
            }
            _ => Known::Unknown(Reason::NoSample),
        },
        wal_rate,
        inactive_s: Known::from_option(
            slot.inactive_s,
            if facts.node.version_num >= 170_000 {
                Reason::NoSample
            } else {
                Reason::UnsupportedVersion
            },
        ),
        cause: lost.then(|| cause(slot, facts)),
        xmin_age: slot.xmin_age,
        catalog_xmin_age: slot.catalog_xmin_age,
        failover: Known::from_option(slot.failover, Reason::UnsupportedVersion),
        synced: Known::from_option(slot.synced, Reason::UnsupportedVersion),
    }
}

fn is_lost(slot: &Slot) -> bool {
    slot.wal_status.as_deref() == Some("lost")
        || slot.invalidation.is_some()
        || slot.conflicting == Some(true)
}

fn state(slot: &Slot, lost: bool, segment_bytes: i64, wal_rate: Option<WalRate>) -> SlotState {
    if lost {
        return SlotState::Lost;
    }
    if slot.wal_status.as_deref() == Some("unreserved") {
        return SlotState::Unreserved;
    }
    let a_minute = wal_rate.map_or(0.0, |rate| rate.per_s() * LOW_S);
    let low = (2 * segment_bytes) as f64;
    if slot
        .safe_bytes
        .is_some_and(|safe| (safe as f64) < low.max(a_minute))
    {
        return SlotState::Low;
    }
    if slot.active || slot.temporary || slot.synced == Some(true) {
        SlotState::Ok
    } else {
        SlotState::Inactive
    }
}

/// Servers tell it from 17. Version 16 calls a logical slot conflicting even where WAL was removed; on a primary there
/// is no recovery to be in conflict with, so it can be nothing else there.
fn cause(slot: &Slot, facts: &Facts) -> String {
    match &slot.invalidation {
        Some(reason) => reason.clone(),
        None if slot.conflicting == Some(true) && facts.position.in_recovery => {
            "conflict_with_recovery".to_owned()
        }
        None => "wal_removed".to_owned(),
    }
}
