//! The partition key as a number line: every key type dbops manages, as ordered integers.
//!
//! A bound is compared, subtracted and printed here without any text of the session's TimeZone
//! or DateStyle taking part.

use serde::{Deserialize, Serialize};

/// How key values map to integers.
///
/// | axis | integer |
/// |---|---|
/// | `Date` | days since 1970-01-01 |
/// | `Timestamp` | microseconds of civil time since 1970-01-01 00:00 |
/// | `TimestampTz` | microseconds since 1970-01-01 00:00 UTC |
/// | `EpochS` … `EpochNs` | the column's own value |
/// | `UuidV7` | the uuid's 128 bits, shifted so that their order is that of signed integers |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// `date`.
    Date,
    /// `timestamp without time zone`.
    Timestamp,
    /// `timestamp with time zone`.
    TimestampTz,
    /// Seconds since the Unix epoch.
    EpochS,
    /// Milliseconds since the Unix epoch.
    EpochMs,
    /// Microseconds since the Unix epoch.
    EpochUs,
    /// Nanoseconds since the Unix epoch.
    EpochNs,
    /// `uuid` version 7.
    UuidV7,
}

/// One end of a range partition on its axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// `MINVALUE`.
    Min,
    /// A value on the axis; `-infinity` and `infinity` are the constants below.
    Value(i128),
    /// `MAXVALUE`.
    Max,
}

/// `-infinity` of date and timestamp types: after MINVALUE, before every finite value.
pub const NEG_INFINITY: i128 = i128::MIN / 2;
/// `infinity` of date and timestamp types: after every finite value, before MAXVALUE.
pub const INFINITY: i128 = i128::MAX / 2;
