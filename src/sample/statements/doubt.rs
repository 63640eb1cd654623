//! What makes the difference of two readings less than the truth. Pure.

use super::model::Snapshot;
use super::notes::is_older;

/// Why more may have happened than an entry's figures say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// The entry was removed and made again: what it counted before is lost.
    Recreated,
    /// Its fastest and its slowest execution both are among few new ones: it may have been removed and made again, and
    /// then more was executed than the difference says.
    Implausible,
    /// It was not there before, and entries were thrown away meanwhile: it may have been one of them.
    NewAmidEvictions,
    /// Entries of one role and database that are hidden, together; those thrown away diminish the sum.
    Hidden,
}

/// Why the difference of two readings as a whole is doubtful.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum WindowDoubt {
    /// The readings are of different clusters.
    OtherServer,
    /// The readings are of different nodes of a cluster: each counts for itself.
    OtherNode,
    /// The later reading is not later.
    Backwards,
    /// Extensions before 1.9 do not tell nested statements apart, later ones do: the entries do not match.
    OtherIdentity {
        /// Version of the extension at the earlier reading.
        from: String,
        /// At the later.
        to: String,
    },
    /// Entries of different databases were read.
    OtherScope,
    /// All statistics were reset in between.
    Reset,
    /// The server crashed in between, and lost all entries.
    Crash,
    /// The server was restarted in between, and did not keep its entries.
    NotSaved,
    /// The server was restarted in between, and kept its entries.
    Restart,
    /// Different roles read: entries that one of them does not see are new, or gone, for the other.
    OtherRole {
        /// The role of the earlier reading.
        from: String,
        /// Of the later.
        to: String,
    },
    /// Entries were thrown away for want of room.
    Evicted {
        /// How often; each time at least ten entries, and a twentieth of all.
        times: i64,
    },
    /// Whether entries were thrown away cannot be seen, and there is hardly room.
    EvictionsUnknown,
    /// The extension was updated.
    Extension {
        /// Version at the earlier reading.
        from: String,
        /// At the later.
        to: String,
    },
    /// A setting that decides what is counted was changed.
    Setting {
        /// Its name.
        name: String,
        /// Its value at the earlier reading.
        from: Option<String>,
        /// At the later.
        to: Option<String>,
    },
}

impl WindowDoubt {
    /// Whether there is nothing to compare.
    pub fn forbids(&self) -> bool {
        matches!(
            self,
            Self::OtherServer
                | Self::OtherNode
                | Self::Backwards
                | Self::OtherIdentity { .. }
                | Self::OtherScope
        )
    }

    /// Returns it in words, one sentence without a full stop.
    pub fn words(&self) -> String {
        match self {
            Self::OtherServer => "the readings are of different clusters".to_owned(),
            Self::OtherNode => "the readings are of different nodes, each of which counts for itself".to_owned(),
            Self::Backwards => "the later reading is not later than the earlier one".to_owned(),
            Self::OtherIdentity { from, to } => format!("version {from} of the extension does not tell nested statements apart, version {to} does"),
            Self::OtherScope => "entries of different databases were read".to_owned(),
            Self::Reset => "all statistics were reset in between: what was counted before that is lost".to_owned(),
            Self::Crash => "the server crashed in between: what was counted before that is lost".to_owned(),
            Self::NotSaved => "the server was restarted in between with pg_stat_statements.save off: what was counted before that is lost".to_owned(),
            Self::Restart => "the server was restarted in between".to_owned(),
            Self::OtherRole { from, to } => format!("{from} read first and {to} later: they may see different entries"),
            Self::Evicted { times } => format!("entries were thrown away {times} times in between, because pg_stat_statements.max was reached"),
            Self::EvictionsUnknown => "pg_stat_statements.max is almost reached, and this version of the extension does not count the entries that are thrown away".to_owned(),
            Self::Extension { from, to } => format!("the extension was updated from {from} to {to}"),
            Self::Setting { name, from, to } => format!(
                "{name} was changed from {} to {}",
                from.as_deref().unwrap_or("unknown"),
                to.as_deref().unwrap_or("unknown")
            ),
        }
    }
}

/// Settings that decide what is counted.
const DECIDING: &[&str] = &[
    "compute_query_id",
    "pg_stat_statements.max",
    "pg_stat_statements.track",
    "pg_stat_statements.track_planning",
    "pg_stat_statements.track_utility",
    "track_io_timing",
];

/// Returns the doubts that the two origins tell of, those that forbid a comparison first.
pub(super) fn between(before: &Snapshot, after: &Snapshot) -> Vec<WindowDoubt> {
    let (then, now) = (&before.origin, &after.origin);
    let mut doubts = Vec::new();
    let differ =
        |a: &Option<String>, b: &Option<String>| matches!((a, b), (Some(a), Some(b)) if a != b);
    if differ(&then.system_identifier, &now.system_identifier) {
        doubts.push(WindowDoubt::OtherServer);
    } else if !same_node(before, after) {
        doubts.push(WindowDoubt::OtherNode);
    }
    if now.taken_at <= then.taken_at {
        doubts.push(WindowDoubt::Backwards);
    }
    if then.one_database != now.one_database {
        doubts.push(WindowDoubt::OtherScope);
    }
    if then.extension != now.extension {
        let (from, to) = (then.extension.clone(), now.extension.clone());
        doubts.push(if is_older(&from, "1.9") == is_older(&to, "1.9") {
            WindowDoubt::Extension { from, to }
        } else {
            WindowDoubt::OtherIdentity { from, to }
        });
    }
    if then.role != now.role {
        doubts.push(WindowDoubt::OtherRole {
            from: then.role.clone(),
            to: now.role.clone(),
        });
    }
    if !same(then.started_at, now.started_at) {
        doubts.push(WindowDoubt::Restart);
    }
    match (then.dealloc, now.dealloc) {
        (Some(then), Some(now)) => {
            // It begins from zero when all entries go.
            let base = if same_reset(before, after) == Some(true) {
                then
            } else {
                0
            };
            if now > base {
                doubts.push(WindowDoubt::Evicted { times: now - base });
            }
        }
        _ => {
            let full = |one: &Snapshot| {
                one.max_entries()
                    .is_some_and(|max| one.origin.entries as f64 >= 0.9 * max as f64)
            };
            if full(before) || full(after) {
                doubts.push(WindowDoubt::EvictionsUnknown);
            }
        }
    }
    for name in DECIDING {
        let (from, to) = (then.settings.get(*name), now.settings.get(*name));
        if from != to {
            doubts.push(WindowDoubt::Setting {
                name: (*name).to_owned(),
                from: from.cloned(),
                to: to.cloned(),
            });
        }
    }
    doubts
}

/// Instants are the server's own, to the microsecond: two servers do not share one.
pub(super) fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

fn same_reset(before: &Snapshot, after: &Snapshot) -> Option<bool> {
    Some(same(before.origin.stats_reset?, after.origin.stats_reset?))
}

/// One node keeps the instant of its start until it is restarted, and that of its statistics beyond.
fn same_node(before: &Snapshot, after: &Snapshot) -> bool {
    let (then, now) = (&before.origin, &after.origin);
    same(then.started_at, now.started_at)
        || same_reset(before, after) == Some(true)
        || (then.address == now.address
            && then.in_recovery == now.in_recovery
            && then.timeline == now.timeline)
}

/// Returns why all entries began from zero, where they did; `traces`: some entry shows that it did.
///
/// `pg_stat_statements_info.stats_reset` moves when all entries go, and only then. Without it, before extension 1.9, a
/// crash is told by the statistics of background writer and archiver, which are lost with it; these can be reset by
/// themselves too, so that an entry has to tell the same.
pub(super) fn emptied(before: &Snapshot, after: &Snapshot, traces: bool) -> Option<WindowDoubt> {
    let (then, now) = (&before.origin, &after.origin);
    let restarted = !same(then.started_at, now.started_at);
    let others_lost = !now.other_resets.is_empty()
        && now
            .other_resets
            .iter()
            .all(|one| !then.other_resets.iter().any(|old| same(*one, *old)));
    let unsaved = restarted
        && then
            .settings
            .get("pg_stat_statements.save")
            .map(String::as_str)
            == Some("off");
    let emptied = match same_reset(before, after) {
        Some(same) => !same,
        None => traces && (others_lost || unsaved),
    };
    match (emptied, others_lost, unsaved) {
        (true, true, _) => Some(WindowDoubt::Crash),
        (true, false, true) => Some(WindowDoubt::NotSaved),
        (true, false, false) => Some(WindowDoubt::Reset),
        (false, ..) => None,
    }
}
