//! The `partitions:` section: one policy a table.

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CalendarSpan, LockBudget, Origin, scalars};
use crate::changes::changeset::Hazard;
use crate::changes::period::Period;
use crate::ident::QualifiedName;

/// What the range partitions of one table should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartitionPolicy {
    /// The partitioned table: schema.table, quoted as in SQL where needed.
    pub table: QualifiedName,
    /// Length of a partition.
    pub every: Period,
    /// Periods to keep ready after the current one, 1 to 10000 (default 3).
    #[serde(default = "default_premake")]
    #[schemars(range(min = 1, max = 10_000))]
    pub premake: u32,
    /// How long rows are kept; partitions wholly older are pruned. Omitted: never pruned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain: Option<CalendarSpan>,
    /// What prune does with an expired partition.
    #[serde(default, skip_serializing_if = "is_default_expire")]
    pub expire: Expire,
    /// Time between detach and drop (default 7 days); only with `expire: detach`.
    #[serde(default = "default_grace", skip_serializing_if = "is_default_grace")]
    pub grace: CalendarSpan,
    /// IANA time zone in which periods begin, for `timestamptz`, epoch and uuid keys, and in which
    /// "now" is read for `date` and `timestamp` keys (default UTC).
    #[serde(default = "default_time_zone", deserialize_with = "scalars::time_zone")]
    #[schemars(with = "String")]
    pub time_zone: Tz,
    /// Name template of new partitions; the default follows the period, `{table}_{YYYY}_{MM}` for months.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How a bigint or uuid key holds time; date, timestamp and timestamptz keys need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyEncoding>,
    /// The key column expected; a check, and the name used in advice while the table is not partitioned yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// First instant to be covered (a date or a timestamp in `time_zone`); omitted: the oldest existing partition, else the current period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Schema of new partitions; omitted: that of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Tablespace of new partitions; omitted: that of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablespace: Option<String>,
    /// Storage parameters of new partitions (a partitioned table itself can hold none).
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "scalars::map"
    )]
    #[schemars(with = "BTreeMap<String, scalars::Scalar>")]
    pub with: BTreeMap<String, String>,
    /// Makes each new partition itself partitioned.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_mapping"
    )]
    pub sub: Option<SubPartitions>,
    /// Hazards this policy allows without naming them on the command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Hazard>,
    /// Lock budget of this table; omitted: that of the plan file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_budget: Option<LockBudget>,
    /// Where the policy stands.
    #[serde(skip)]
    pub origin: Origin,
}

/// Reads `start`: a date, or a timestamp without an offset, as civil time in the policy's `time_zone`.
///
/// # Errors
/// Says that the text is neither.
pub fn parse_start(text: &str) -> Result<NaiveDateTime, String> {
    let text = text.trim();
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Ok(date.and_time(NaiveTime::MIN));
    }
    let spaced = text.replacen('T', " ", 1);
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(&spaced, form).ok())
        .ok_or_else(|| format!("`{text}` is neither a date nor a timestamp without an offset"))
}

fn default_premake() -> u32 {
    3
}

fn default_grace() -> CalendarSpan {
    CalendarSpan {
        count: 7,
        unit: super::SpanUnit::Day,
    }
}

/// Writes a choice as a mapping of one key; `serde_yaml` would write a tag.
fn as_mapping<S: serde::Serializer>(
    sub: &Option<SubPartitions>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match sub {
        Some(sub) => serde_yaml::with::singleton_map::serialize(sub, serializer),
        None => serializer.serialize_none(),
    }
}

// Written out, the defaults of `expire` and `grace` would be refused where nothing expires.
fn is_default_expire(expire: &Expire) -> bool {
    *expire == Expire::default()
}

fn is_default_grace(grace: &CalendarSpan) -> bool {
    *grace == default_grace()
}

fn default_time_zone() -> Tz {
    Tz::UTC
}

/// What `prune` does with a partition that lies wholly before the retention limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expire {
    /// Detach it, keep the table for `grace`, then let a later prune drop it.
    #[default]
    Detach,
    /// Detach it and drop it in the same run.
    Drop,
    /// Archive it, verify the archive, then drop it.
    Archive,
}

/// How a bigint or uuid column holds time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyEncoding {
    /// bigint or integer: seconds since 1970-01-01 00:00 UTC.
    EpochS,
    /// bigint: milliseconds since 1970-01-01 00:00 UTC.
    EpochMs,
    /// bigint: microseconds since 1970-01-01 00:00 UTC.
    EpochUs,
    /// bigint: nanoseconds since 1970-01-01 00:00 UTC.
    EpochNs,
    /// uuid version 7 (RFC 9562): milliseconds since 1970-01-01 00:00 UTC in the first 48 bits.
    UuidV7,
}

/// How each new partition is partitioned again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SubPartitions {
    /// By hash of columns into `modulus` leaves, named with the suffixes `_h0`, `_h1` …
    Hash {
        /// Columns of the sub-partition key.
        #[schemars(length(min = 1))]
        columns: Vec<String>,
        /// Number of leaves, 2 to 1024.
        #[schemars(range(min = 2, max = 1024))]
        modulus: u32,
    },
    /// By list of one column's values; leaves are named by the map's keys.
    List {
        /// Column of the sub-partition key.
        column: String,
        /// Values of each leaf by the leaf's name suffix.
        #[serde(deserialize_with = "scalars::lists")]
        #[schemars(with = "BTreeMap<String, Vec<scalars::Scalar>>")]
        values: BTreeMap<String, Vec<String>>,
        /// Whether a DEFAULT leaf, suffix `_default`, takes all other values.
        #[serde(default)]
        default: bool,
    },
}
