//! Why something is not known: the closed list that replication, pool and rules share.

use serde::{Serialize, Serializer};

/// Why there is no figure. A missing figure is never zero, so each has a code for programs and a fix for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The node could not be reached, or did not answer in time.
    NotConnected,
    /// The node refused the login because its connection slots, or those of the role or database, are taken.
    Exhausted,
    /// The role may not see it.
    NoPrivilege,
    /// This version of the server does not have it.
    UnsupportedVersion,
    /// The server has taken no sample of it, or what it shows does not say.
    NoSample,
    /// The replica has replayed no commit since it started, so there is no commit time.
    NoCommitSeen,
    /// The threshold is finer than what could be measured.
    BelowResolution,
    /// What the server shows is older than what it is asked about.
    StaleSample,
    /// The clocks of two nodes differ by more than what is measured.
    ClockSkew,
    /// It would have to be declared in a plan file, and is not.
    NotDeclared,
    /// It can only be read on the machine of the server.
    NotLocal,
    /// There is no limit that it could be a part of, or the time until.
    NoLimit,
    /// There is no such figure of it: a primary is behind nobody, a lost slot keeps nothing.
    NotApplicable,
}

impl Reason {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 13] = [
        Self::NotConnected,
        Self::Exhausted,
        Self::NoPrivilege,
        Self::UnsupportedVersion,
        Self::NoSample,
        Self::NoCommitSeen,
        Self::BelowResolution,
        Self::StaleSample,
        Self::ClockSkew,
        Self::NotDeclared,
        Self::NotLocal,
        Self::NoLimit,
        Self::NotApplicable,
    ];

    /// Returns the word for programs; it never changes.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::Exhausted => "exhausted",
            Self::NoPrivilege => "no_privilege",
            Self::UnsupportedVersion => "unsupported_version",
            Self::NoSample => "no_sample",
            Self::NoCommitSeen => "no_commit_seen",
            Self::BelowResolution => "below_resolution",
            Self::StaleSample => "stale_sample",
            Self::ClockSkew => "clock_skew",
            Self::NotDeclared => "not_declared",
            Self::NotLocal => "not_local",
            Self::NoLimit => "no_limit",
            Self::NotApplicable => "not_applicable",
        }
    }

    /// Returns what to do about it, in one line.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::NotConnected => {
                "make the node reachable from here: its address, pg_hba.conf, and that it runs"
            }
            Self::Exhausted => {
                "free connections, or on 16 and newer: grant pg_use_reserved_connections to the role and set reserved_connections"
            }
            Self::NoPrivilege => "grant pg_monitor to the role that dbops connects as",
            Self::UnsupportedVersion => "use a server version that counts it",
            Self::NoSample => "measure again while there is traffic, or let dbops probe",
            Self::NoCommitSeen => {
                "commit something on the primary, or compare positions with the primary's"
            }
            Self::BelowResolution => {
                "measure closer to the servers, or set a threshold above the resolution shown"
            }
            Self::StaleSample => {
                "look at the node itself: it has stopped reporting; dbops probes it when it is declared"
            }
            Self::ClockSkew => "synchronise the clocks of the nodes",
            Self::NotDeclared => "declare it in the plan file",
            Self::NotLocal => "run dbops on the machine of the server, or hand the figure in",
            Self::NoLimit => {
                "nothing has to be done; max_slot_wal_keep_size limits slots, pool_size limits pools"
            }
            Self::NotApplicable => "nothing has to be done: there is no such figure of it",
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_differ_and_each_reason_has_a_fix() {
        let codes: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert!(
                reason
                    .code()
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '_')
            );
            assert!(!reason.fix().is_empty() && !reason.fix().ends_with('.'));
            assert_eq!(
                serde_json::to_string(&reason).unwrap(),
                format!("\"{}\"", reason.code())
            );
        }
    }
}
