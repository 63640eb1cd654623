//! The metrics that rules can name: unit, direction and what is measured.

use super::Millis;
use super::rule::Unit;

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Seconds.
    Time,
    /// Bytes.
    Size,
    /// Per cent, 0 to 100.
    Percent,
    /// A plain number.
    Count,
    /// One word of a few, held against `expect:`.
    State,
}

/// In which direction a metric is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worse {
    /// Above a threshold: `> 50ms`.
    Above,
    /// Below it: `< 99%`.
    Below,
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in `metric:`.
    pub name: &'static str,
    /// What kind of number it is.
    pub measure: Measure,
    /// In which direction it is worse.
    pub worse: Worse,
    /// What it is, for people.
    pub about: &'static str,
    /// Labels of what is measured, that a scope can name.
    pub labels: &'static [&'static str],
}

const fn new(
    name: &'static str,
    measure: Measure,
    worse: Worse,
    labels: &'static [&'static str],
    about: &'static str,
) -> Metric {
    Metric {
        name,
        measure,
        worse,
        about,
        labels,
    }
}

/// Labels of a statement that a scope can name, beside `tag:KEY`.
const QUERY: &[&str] = &["target", "database", "role", "kind", "text", "fingerprint"];
const TABLE: &[&str] = &["target", "database", "table"];
const INDEX: &[&str] = &["target", "database", "table", "index"];
const DATABASE: &[&str] = &["target", "database"];
const NODE: &[&str] = &["target", "node", "role", "use", "required"];
const SLOT: &[&str] = &["target", "node", "role", "use", "required", "slot", "kind"];
const SESSION_ROLE: &[&str] = &["target", "node", "role", "use", "required", "db_role"];
const SESSION_DATABASE: &[&str] = &["target", "node", "role", "use", "required", "database"];
const POOL: &[&str] = &["target", "pooler", "database", "db_role"];
const TARGET: &[&str] = &["target"];
const DISK: &[&str] = &["target", "node", "role", "use", "directory"];
const HOLDER: &[&str] = &["target", "node", "role", "use", "holder"];
const FOREIGN: &[&str] = &["target", "service"];
const ATTESTATION: &[&str] = &["target", "attestation"];

use Measure::{Count, Percent, Size, State, Time};
use Worse::{Above, Below};

/// Every metric, by family.
pub const METRICS: &[Metric] = &[
    new(
        "query.mean_time",
        Time,
        Above,
        QUERY,
        "mean execution of a statement",
    ),
    new(
        "query.max_time",
        Time,
        Above,
        QUERY,
        "longest execution of a statement",
    ),
    new(
        "query.p95_bound",
        Time,
        Above,
        QUERY,
        "95th percentile of the executions of a statement, as far as it can be proven",
    ),
    new(
        "query.share",
        Percent,
        Above,
        QUERY,
        "part of the time of all statements that one takes",
    ),
    new(
        "query.temp_bytes",
        Size,
        Above,
        QUERY,
        "temporary files that an execution writes",
    ),
    new(
        "query.cache_hit",
        Percent,
        Below,
        QUERY,
        "part of the blocks that a statement finds in the buffer cache",
    ),
    new(
        "query.n_plus_one_score",
        Count,
        Above,
        QUERY,
        "how much a statement looks like one of a loop, 0 to 100",
    ),
    new(
        "query.regression",
        Percent,
        Above,
        QUERY,
        "by how much a statement became slower between the last two stored readings",
    ),
    new(
        "node.up",
        State,
        Above,
        NODE,
        "whether a node can be connected to: up, down; late: it is, and does not answer in time; standby: a primary in recovery",
    ),
    new(
        "partition.runway",
        Time,
        Below,
        TABLE,
        "time from now that partitions cover without a gap",
    ),
    new(
        "partition.gaps",
        Count,
        Above,
        TABLE,
        "ranges between partitions that no partition takes",
    ),
    new(
        "partition.default_rows",
        Count,
        Above,
        TABLE,
        "rows in the DEFAULT partition",
    ),
    new(
        "partition.detach_pending",
        Count,
        Above,
        TABLE,
        "partitions whose detach was begun and not finished",
    ),
    new(
        "partition.expired",
        Count,
        Above,
        TABLE,
        "partitions past `retain` that are still attached",
    ),
    new(
        "index.state",
        State,
        Above,
        INDEX,
        "how a declared index stands: converged, missing, invalid, …",
    ),
    new(
        "index.invalid",
        Count,
        Above,
        DATABASE,
        "indexes that are invalid and that nobody builds now",
    ),
    new(
        "index.drift",
        Count,
        Above,
        DATABASE,
        "declared indexes that are not as the plan files say",
    ),
    new(
        "index.unused",
        Count,
        Above,
        DATABASE,
        "indexes that no node has scanned within `window`, the reach of their statistics",
    ),
    new(
        "xid.age",
        Count,
        Above,
        DATABASE,
        "transactions since the oldest unfrozen transaction id of a database",
    ),
    new(
        "mxid.age",
        Count,
        Above,
        DATABASE,
        "multixacts since the oldest one of a database",
    ),
    new(
        "database.size",
        Size,
        Above,
        DATABASE,
        "bytes of a database",
    ),
    new(
        "cache.hit_ratio",
        Percent,
        Below,
        SESSION_DATABASE,
        "part of the blocks that a database finds in the buffer cache, within `window`",
    ),
    new("wal.size", Size, Above, NODE, "bytes of the WAL folder"),
    new(
        "disk.used",
        Percent,
        Above,
        DISK,
        "part of the file system under the data directory, or under pg_wal, that is taken",
    ),
    new(
        "archive.oldest_unarchived_age",
        Time,
        Above,
        NODE,
        "age of the oldest WAL file that waits to be archived",
    ),
    new(
        "archive.state",
        State,
        Above,
        NODE,
        "how archiving stands: working, failing, off",
    ),
    new(
        "replica.visible_lag",
        Time,
        Above,
        NODE,
        "time from a commit on the primary until a replica shows it",
    ),
    new(
        "replica.byte_lag",
        Size,
        Above,
        NODE,
        "WAL that a replica has not replayed yet",
    ),
    new(
        "replica.state",
        State,
        Above,
        NODE,
        "state of a replica: streaming, catchup, paused, …",
    ),
    new(
        "replica.conflicts",
        Count,
        Above,
        NODE,
        "queries that replay cancelled on a replica, within `window`",
    ),
    new(
        "slot.retained_bytes",
        Size,
        Above,
        SLOT,
        "WAL that a replication slot keeps",
    ),
    new(
        "slot.time_to_loss",
        Time,
        Below,
        SLOT,
        "time until a slot loses WAL that it needs, at the rate since the last checkpoint",
    ),
    new(
        "slot.inactive_age",
        Time,
        Above,
        SLOT,
        "how long nobody has used a replication slot",
    ),
    new(
        "slot.wal_status",
        State,
        Above,
        SLOT,
        "what a slot's WAL is: reserved, extended, unreserved, lost",
    ),
    new(
        "xmin.held_age",
        Count,
        Above,
        HOLDER,
        "transactions for which a kind of holder keeps VACUUM from removing dead rows",
    ),
    new(
        "prepared.oldest_age",
        Time,
        Above,
        NODE,
        "how long the oldest prepared transaction has waited",
    ),
    new("conn.used", Count, Above, NODE, "sessions of clients"),
    new(
        "conn.peak",
        Count,
        Above,
        NODE,
        "most sessions of clients that were seen at once, within `window`",
    ),
    new(
        "conn.effective_used",
        Percent,
        Above,
        NODE,
        "part of the connections that ordinary roles can have",
    ),
    new(
        "conn.role_used",
        Percent,
        Above,
        SESSION_ROLE,
        "part of a role's connection limit",
    ),
    new(
        "conn.database_used",
        Percent,
        Above,
        SESSION_DATABASE,
        "part of a database's connection limit",
    ),
    new(
        "conn.idle_in_transaction_age",
        Time,
        Above,
        NODE,
        "how long the longest session is idle in its transaction",
    ),
    new(
        "conn.idle_age",
        Time,
        Above,
        NODE,
        "how long the longest session is idle outside of a transaction",
    ),
    new(
        "db.probe_p95",
        Time,
        Above,
        NODE,
        "95th percentile of the round trips of `select 1` from here, within `window`",
    ),
    new(
        "pool.maxwait",
        Time,
        Above,
        POOL,
        "how long the first client in a pooler's queue has waited",
    ),
    new(
        "pool.waiting",
        Count,
        Above,
        POOL,
        "clients that wait for a server connection",
    ),
    new(
        "pool.used",
        Percent,
        Above,
        POOL,
        "part of a pool's server connections that are in use",
    ),
    new(
        "budget.declared_over_capacity",
        Percent,
        Above,
        TARGET,
        "declared pools against the connections that there are",
    ),
    new(
        "attestation.state",
        State,
        Above,
        ATTESTATION,
        "what an attestation is worth: fresh, too-old, missed; for rules with `attest`",
    ),
    new(
        "http.p50",
        Time,
        Above,
        FOREIGN,
        "median response time of an application; handed in",
    ),
    new(
        "http.p95",
        Time,
        Above,
        FOREIGN,
        "95th percentile of its response times; handed in",
    ),
    new(
        "http.p99",
        Time,
        Above,
        FOREIGN,
        "99th percentile of its response times; handed in",
    ),
    new(
        "http.error_rate",
        Percent,
        Above,
        FOREIGN,
        "part of its requests that fail; handed in",
    ),
    new(
        "http.requests",
        Count,
        Above,
        FOREIGN,
        "requests a second; handed in",
    ),
    new(
        "http.uptime",
        Percent,
        Below,
        FOREIGN,
        "part of the time that it answers; handed in",
    ),
    new(
        "app.users",
        Count,
        Above,
        FOREIGN,
        "users at the same time; handed in",
    ),
    new(
        "backup.age",
        Time,
        Above,
        FOREIGN,
        "time since the last backup that can be restored; handed in",
    ),
];

/// How a figure over a stretch of time is made of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Growth of one counter in per cent of that of another.
    Ratio,
    /// Growth of a counter.
    Growth,
    /// The 95th percentile of all times.
    P95,
    /// The highest of levels.
    Highest,
}

/// The longest `window`, and the longest `for` of a signal: what is remembered for it is bounded.
pub const LONGEST_WINDOW: Millis = Millis(31 * 24 * 3_600_000);

impl Metric {
    /// How it is made of samples of a `window`; `None`: of one look alone.
    pub fn over(&self) -> Option<Over> {
        match self.name {
            "cache.hit_ratio" => Some(Over::Ratio),
            "replica.conflicts" => Some(Over::Growth),
            "db.probe_p95" => Some(Over::P95),
            "conn.peak" => Some(Over::Highest),
            _ => None,
        }
    }

    /// Whether a rule on it can say of which stretch of time the figure is to be.
    pub fn takes_window(&self) -> bool {
        self.over().is_some() || self.name == "index.unused"
    }

    /// The `window` of a rule that gives none.
    pub fn usual_window(&self) -> Millis {
        match self.over() {
            Some(Over::Highest) => Millis(24 * 3_600_000),
            // Reports of a month's end use what nothing else does.
            None if self.takes_window() => Millis(30 * 24 * 3_600_000),
            _ => Millis(5 * 60_000),
        }
    }

    /// The metric that is measured for it, where that is another one.
    pub fn source(&self) -> &'static str {
        match self.name {
            "conn.peak" => "conn.used",
            name => name,
        }
    }

    /// Whether no server tells it: it is handed in.
    pub fn is_foreign(&self) -> bool {
        self.labels == FOREIGN
    }

    /// Whether a scope can name a label.
    pub fn has_label(&self, label: &str) -> bool {
        self.labels.contains(&label) || (self.is_of_statements() && label.starts_with("tag:"))
    }

    /// Whether it is measured of nodes, which have the labels that the plan file gives them too.
    pub fn is_of_nodes(&self) -> bool {
        self.labels.contains(&"node")
    }

    /// Whether it is measured of each statement: of thousands.
    pub fn is_of_statements(&self) -> bool {
        self.name.starts_with("query.")
    }
}

/// Returns a metric by its name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

impl Measure {
    /// Whether a unit is one of this kind.
    pub fn takes(self, unit: Unit) -> bool {
        matches!(
            (self, unit),
            // A state has no threshold.
            (Self::Time, Unit::Time(_))
                | (Self::Size, Unit::Size(_))
                | (Self::Percent, Unit::Percent)
                | (Self::Count, Unit::Count)
        )
    }

    /// The base unit that figures are in: `s`, `B`, `%`, or none.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Time => "s",
            Self::Size => "B",
            Self::Percent => "%",
            Self::Count | Self::State => "",
        }
    }

    /// A threshold as it is written, for messages.
    pub fn example(self, worse: Worse) -> &'static str {
        match (self, worse) {
            (Self::Time, Worse::Above) => "> 50ms",
            (Self::Time, Worse::Below) => "< 50ms",
            (Self::Size, Worse::Above) => "> 1MiB",
            (Self::Size, Worse::Below) => "< 1MiB",
            (Self::Percent, Worse::Above) => "> 10%",
            (Self::Percent, Worse::Below) => "< 99%",
            (Self::Count, Worse::Above) => "> 50",
            (Self::Count, Worse::Below) => "< 50",
            (Self::State, _) => "expect: [up]",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_names_every_metric_with_its_unit_and_direction() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/check.md");
        let docs = std::fs::read_to_string(path).unwrap();
        for metric in METRICS {
            let is = match metric.measure {
                Measure::Time => "time",
                Measure::Size => "size",
                Measure::Percent => "%",
                Measure::Count => "number",
                Measure::State => "state",
            };
            let worse = match (metric.measure, metric.worse) {
                (Measure::State, _) => "other than `expect`",
                (_, Worse::Above) => "above",
                (_, Worse::Below) => "below",
            };
            let row = format!("| `{}` | {is} | {worse} | {} |", metric.name, metric.about);
            assert!(docs.contains(&row), "docs/check.md lacks: {row}");
            assert!(metric.labels.contains(&"target"));
        }
        let rows = docs
            .lines()
            .filter(|line| line.starts_with("| `") && line.split('|').count() == 6);
        assert_eq!(rows.count(), METRICS.len());
    }
}
