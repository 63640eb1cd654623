//! Plan files: YAML that says what should be, read into plain types with the place of each entry.
//!
//! Does not know a server; everything here works offline.

pub mod app_pool;
pub mod attestation;
pub mod diagnose;
mod document;
mod index_lint;
mod index_parts;
pub mod index_plan;
pub mod load;
mod mask;
pub mod metric;
pub mod mute;
pub mod policy;
mod position;
mod read;
pub mod ready;
pub mod rule;
mod scalars;
mod schema;
pub mod span;
pub mod stages;
mod suggest;
pub mod target;
mod union;
mod validate;
mod validate_index;
mod validate_index_shape;
mod validate_over;
mod validate_policy;
mod validate_rule;
mod validate_stages;
mod validate_target;
mod within;
mod words;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use app_pool::AppPool;
pub use attestation::Attestation;
pub use diagnose::{Diagnostic, Diagnostics, Severity, Style};
pub use index_plan::{BuildSettings, IndexColumn, IndexConstraint, IndexKey, IndexPlan, Nulls};
pub use load::{Loaded, Source, load, parse};
pub use mute::{Day, Mute};
pub use policy::{Expire, KeyEncoding, PartitionPolicy, SubPartitions};
pub use ready::{NeverEmpty, ReadyGroup};
pub use rule::{Defaults, Rule, Threshold};
pub use schema::json_schema;
pub use span::{CalendarSpan, Millis, SpanUnit};
pub use stages::Stages;
pub use target::{Target, TargetNode};

/// Where an entry stands: path as given, line and column from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The plan file's path as the user named it or as found below the folder named.
    pub file: String,
    /// Line, from 1; 0 where unknown.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The union of all plan files named: what should be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// Format of the file; always 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u32,
    /// Database clusters by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, Target>,
    /// How long another session may wait behind dbops; partition policies may narrow it.
    #[serde(default, skip_serializing_if = "LockBudget::is_default")]
    pub lock_budget: LockBudget,
    /// Partition policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<PartitionPolicy>,
    /// Indexes that should be there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<IndexPlan>,
    /// What all rules share.
    #[serde(default, skip_serializing_if = "Defaults::is_default")]
    pub defaults: Defaults,
    /// Thresholds by metric.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Findings that are known and accepted until a day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mutes: Vec<Mute>,
    /// What people vouch for, because no server can tell it: that a restore was tried, and how long it took.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestations: Vec<Attestation>,
    /// Stages of growth: which one a system is in, and when the next is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<Stages>,
    /// Groups of nodes by the name that a balancer asks for, and the rules that must hold for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ready: BTreeMap<String, ReadyGroup>,
}

/// The lock budget: how long other sessions may wait behind dbops, and how long dbops tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LockBudget {
    /// Longest time that any other session may wait behind one attempt (default 100ms).
    pub max_block: Millis,
    /// Time after which a step that could not get its locks is deferred (default 60s).
    pub give_up_after: Millis,
    /// How long a concurrent build or drop of an index waits for other sessions' open transactions, or for
    /// another session's build on the same table; this wait blocks nobody's reads or writes (default 30min).
    pub patience: Millis,
}

impl LockBudget {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for LockBudget {
    fn default() -> Self {
        Self {
            max_block: Millis(100),
            give_up_after: Millis(60_000),
            patience: Millis(30 * 60_000),
        }
    }
}
