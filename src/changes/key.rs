//! The partition key as a number line: every key type dbops manages, as ordered integers.
//!
//! A bound is compared, subtracted and printed here without any text of the session's TimeZone
//! or DateStyle taking part.

use chrono::{DateTime, Datelike, NaiveDateTime, Offset, TimeZone, Timelike, Utc};
use chrono_tz::{GapInfo, Tz};
use serde::{Deserialize, Serialize};

use super::{iso, uuid};
use crate::plan_file::KeyEncoding;

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

const NANOS_PER_SECOND: i128 = 1_000_000_000;
/// The earliest day PostgreSQL knows, 4714-11-24 BC.
const FIRST_DAY: i128 = -2_440_588;
/// The first day that `date` cannot hold, 5874898-01-01.
const DATE_END: i128 = 2_145_042_906;
/// The first microsecond that a timestamp cannot hold, 294277-01-01.
const TIMESTAMP_END: i128 = 9_224_318_016_000_000_000;
/// Years within which chrono's arithmetic and every zone offset are safe.
const CIVIL_YEARS: std::ops::RangeInclusive<i32> = -4_800..=260_000;

/// Which neighbour an instant between two axis values becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Down,
    Up,
}

impl Axis {
    /// Finds the axis of a key column from its type, as `format_type` prints it, and the plan
    /// file's `key`.
    ///
    /// # Errors
    /// Says which `key` the type needs, that it takes none, or that the type is not managed.
    pub fn for_column(type_name: &str, encoding: Option<KeyEncoding>) -> Result<Axis, String> {
        let calendar_axis = match without_precision(type_name).as_str() {
            "date" => Axis::Date,
            "timestamp without time zone" => Axis::Timestamp,
            "timestamp with time zone" => Axis::TimestampTz,
            "bigint" => return Axis::for_bigint(encoding),
            "integer" => return Axis::for_integer(encoding),
            "uuid" => return Axis::for_uuid(encoding),
            _ => {
                return Err(format!(
                    "a key of type `{type_name}` cannot be managed; date, timestamp, timestamptz, bigint, integer and uuid can"
                ));
            }
        };
        match encoding {
            None => Ok(calendar_axis),
            Some(encoding) => Err(format!(
                "a key of type `{type_name}` holds time already; take out `key: {}`",
                encoding_name(encoding)
            )),
        }
    }

    fn for_bigint(encoding: Option<KeyEncoding>) -> Result<Axis, String> {
        const CHOICES: &str =
            "write `key: epoch-s`, `key: epoch-ms`, `key: epoch-us` or `key: epoch-ns`";
        match encoding {
            Some(KeyEncoding::EpochS) => Ok(Axis::EpochS),
            Some(KeyEncoding::EpochMs) => Ok(Axis::EpochMs),
            Some(KeyEncoding::EpochUs) => Ok(Axis::EpochUs),
            Some(KeyEncoding::EpochNs) => Ok(Axis::EpochNs),
            Some(KeyEncoding::UuidV7) => Err(format!(
                "a key of type `bigint` cannot hold uuid-v7; {CHOICES}"
            )),
            None => Err(format!(
                "a key of type `bigint` does not say how it holds time; {CHOICES}"
            )),
        }
    }

    fn for_integer(encoding: Option<KeyEncoding>) -> Result<Axis, String> {
        match encoding {
            Some(KeyEncoding::EpochS) => Ok(Axis::EpochS),
            Some(other) => Err(format!(
                "a key of type `integer` cannot hold {}; write `key: epoch-s`",
                encoding_name(other)
            )),
            None => Err(
                "a key of type `integer` does not say how it holds time; write `key: epoch-s`"
                    .to_owned(),
            ),
        }
    }

    fn for_uuid(encoding: Option<KeyEncoding>) -> Result<Axis, String> {
        match encoding {
            Some(KeyEncoding::UuidV7) => Ok(Axis::UuidV7),
            Some(other) => Err(format!(
                "a key of type `uuid` cannot hold {}; write `key: uuid-v7`",
                encoding_name(other)
            )),
            None => Err(
                "a key of type `uuid` does not say how it holds time; write `key: uuid-v7`"
                    .to_owned(),
            ),
        }
    }

    /// Reads a bound or key value as the server prints it under TimeZone UTC and DateStyle ISO.
    ///
    /// # Errors
    /// Says that the text is no value of this axis. A timestamptz without an offset is refused,
    /// because it means another instant in each zone.
    pub fn parse(self, literal: &str) -> Result<i128, String> {
        let refuse = |wanted: &str| format!("`{literal}` is not {wanted}");
        match self {
            Axis::EpochS | Axis::EpochMs | Axis::EpochUs | Axis::EpochNs => literal
                .parse::<i64>()
                .map(i128::from)
                .map_err(|_| refuse("a whole number that bigint can hold")),
            Axis::UuidV7 => uuid::parse(literal).ok_or_else(|| refuse("a uuid")),
            _ if literal == "infinity" => Ok(INFINITY),
            _ if literal == "-infinity" => Ok(NEG_INFINITY),
            Axis::Date => match iso::parse(literal) {
                Some(stamp) if stamp.micros == 0 && stamp.offset.is_none() => Ok(stamp.days),
                _ => Err(refuse("a date such as 2026-02-01")),
            },
            Axis::Timestamp => match iso::parse(literal) {
                Some(stamp) if stamp.offset.is_none() => {
                    Ok(stamp.days * iso::DAY_MICROS + stamp.micros)
                }
                _ => Err(refuse(
                    "a timestamp without a zone, such as 2026-02-01 00:00:00",
                )),
            },
            Axis::TimestampTz => match iso::parse(literal) {
                Some(iso::Stamp {
                    days,
                    micros,
                    offset: Some(offset),
                }) => Ok(days * iso::DAY_MICROS + micros - offset * 1_000_000),
                _ => Err(refuse(
                    "a timestamp with an offset, such as 2026-02-01 00:00:00+00",
                )),
            },
        }
    }

    /// Writes a value as a literal, not quoted, that means the same under every TimeZone and
    /// DateStyle, and that is what the server itself prints under UTC and ISO.
    pub fn literal(self, value: i128) -> String {
        match self {
            Axis::EpochS | Axis::EpochMs | Axis::EpochUs | Axis::EpochNs => value.to_string(),
            Axis::UuidV7 => uuid::text(value),
            _ if value >= INFINITY => "infinity".to_owned(),
            _ if value <= NEG_INFINITY => "-infinity".to_owned(),
            Axis::Date => iso::date(value),
            Axis::Timestamp => iso::timestamp(value, ""),
            Axis::TimestampTz => iso::timestamp(value, "+00"),
        }
    }

    /// Returns the last axis value not after an instant; for `Date` and `Timestamp` that of the
    /// civil time in `zone`. Never later than the instant, so that a cut-off made of it is safe.
    pub fn of_instant(self, now: DateTime<Utc>, zone: Tz) -> i128 {
        let nanos = if self.is_civil() {
            nanos_of(now.with_timezone(&zone).naive_local())
        } else {
            nanos_of(now.naive_utc())
        };
        self.within_limits(self.steps(nanos, Round::Down))
    }

    /// Returns the first axis value not before a civil time of `zone`, within what the column's
    /// type can hold. `Date` and `Timestamp` are civil themselves and ignore the zone.
    ///
    /// A local time that occurs twice is the earlier instant; one that a change of the clock
    /// skipped is the instant of the change. So the order of civil times is kept.
    pub fn of_civil(self, civil: NaiveDateTime, zone: Tz) -> i128 {
        self.within_limits(self.civil_steps(civil, zone, Round::Up))
    }

    /// Like `of_civil` for a value that must not be later than the civil time: a cut-off.
    pub(super) fn not_after_civil(self, civil: NaiveDateTime, zone: Tz) -> i128 {
        self.within_limits(self.civil_steps(civil, zone, Round::Down))
    }

    /// Like `of_civil`, but `None` where the column's type cannot hold the value.
    pub(super) fn boundary(self, civil: NaiveDateTime, zone: Tz) -> Option<i128> {
        let steps = self.civil_steps(civil, zone, Round::Up);
        let (first, last) = self.step_limits();
        let holds = CIVIL_YEARS.contains(&civil.year()) && (first..=last).contains(&steps);
        holds.then(|| self.value_at(steps))
    }

    /// Returns the civil time of a value in `zone`; `None` for an infinite value and beyond the
    /// years that chrono can reckon with. Times under the microsecond of `epoch-ns` are kept.
    pub fn civil(self, value: i128, zone: Tz) -> Option<NaiveDateTime> {
        let nanos = self.nanos(value)?;
        let seconds = i64::try_from(nanos.div_euclid(NANOS_PER_SECOND)).ok()?;
        let fraction = u32::try_from(nanos.rem_euclid(NANOS_PER_SECOND)).ok()?;
        let utc = DateTime::from_timestamp(seconds, fraction)
            .filter(|utc| CIVIL_YEARS.contains(&utc.year()))?;
        Some(if self.is_civil() {
            utc.naive_utc()
        } else {
            utc.with_timezone(&zone).naive_local()
        })
    }

    /// Whether a value is neither infinite nor the end of the number line.
    pub fn is_finite(self, value: i128) -> bool {
        match self {
            Axis::Date | Axis::Timestamp | Axis::TimestampTz => {
                NEG_INFINITY < value && value < INFINITY
            }
            // The other types have no infinity, and the bits of a uuid reach past those constants.
            _ => i128::MIN < value && value < i128::MAX,
        }
    }

    /// Returns the type to cast a literal of this axis to.
    ///
    /// An `integer` column holds seconds too; its literals cast to bigint compare alike.
    pub fn sql_type(self) -> &'static str {
        match self {
            Axis::Date => "date",
            Axis::Timestamp => "timestamp without time zone",
            Axis::TimestampTz => "timestamp with time zone",
            Axis::EpochS | Axis::EpochMs | Axis::EpochUs | Axis::EpochNs => "bigint",
            Axis::UuidV7 => "uuid",
        }
    }

    /// Describes a value to a person: `2026-02-01`, `2026-02-01 00:00 UTC`,
    /// `2026-02-01 00:00 +05:30`, `1769904000 (2026-02-01 00:00 UTC)`.
    pub fn describe(self, value: i128, zone: Tz) -> String {
        let literal = self.literal(value);
        if self == Axis::Date {
            return literal;
        }
        let Some(civil) = self.civil(value, zone) else {
            return literal;
        };
        let clock = if civil.second() == 0 && civil.nanosecond() == 0 {
            "%Y-%m-%d %H:%M"
        } else {
            "%Y-%m-%d %H:%M:%S%.f"
        };
        let text = civil.format(clock).to_string();
        match self {
            Axis::Date | Axis::Timestamp => text,
            Axis::TimestampTz => format!("{text} {}", self.zone_text(value, zone)),
            _ => format!("{literal} ({text} {})", self.zone_text(value, zone)),
        }
    }

    /// The offset in force at a value, which tells the two passes of a repeated hour apart.
    fn zone_text(self, value: i128, zone: Tz) -> String {
        let (Some(utc), Some(local)) = (self.civil(value, Tz::UTC), self.civil(value, zone)) else {
            return String::new();
        };
        if zone == Tz::UTC {
            return "UTC".to_owned();
        }
        let east = (local - utc).num_seconds();
        let sign = if east < 0 { '-' } else { '+' };
        let minutes = east.abs() / 60;
        let seconds = match east.abs() % 60 {
            0 => String::new(),
            some => format!(":{some:02}"),
        };
        format!("{sign}{:02}:{:02}{seconds}", minutes / 60, minutes % 60)
    }

    /// Whether values are civil times, which no zone moves.
    pub(super) fn is_civil(self) -> bool {
        matches!(self, Axis::Date | Axis::Timestamp)
    }

    /// The value that no finite value precedes: a cut-off at which nothing is old enough.
    pub(super) fn lowest(self) -> i128 {
        match self {
            Axis::Date | Axis::Timestamp | Axis::TimestampTz => NEG_INFINITY,
            _ => self.value_at(self.step_limits().0),
        }
    }

    /// Returns the next value; every type managed is discrete, so nothing lies between.
    /// `None` after an infinite value and after the last.
    pub(super) fn successor(self, value: i128) -> Option<i128> {
        let (first, last) = match self {
            Axis::UuidV7 => (i128::MIN, i128::MAX),
            _ => self.step_limits(),
        };
        if (first..last).contains(&value) {
            value.checked_add(1)
        } else {
            None
        }
    }

    fn civil_steps(self, civil: NaiveDateTime, zone: Tz, round: Round) -> i128 {
        let civil_nanos = nanos_of(civil);
        let nanos = if self.is_civil() {
            civil_nanos
        } else {
            match zone.from_local_datetime(&civil).earliest() {
                Some(instant) => nanos_of(instant.naive_utc()),
                None => gap_end(civil, zone).map_or(civil_nanos, nanos_of),
            }
        };
        self.steps(nanos, round)
    }

    /// Nanoseconds of one step; a uuid steps by milliseconds where time is concerned.
    fn step_nanos(self) -> i128 {
        match self {
            Axis::Date => 86_400 * NANOS_PER_SECOND,
            Axis::Timestamp | Axis::TimestampTz | Axis::EpochUs => 1_000,
            Axis::EpochS => NANOS_PER_SECOND,
            Axis::EpochMs | Axis::UuidV7 => 1_000_000,
            Axis::EpochNs => 1,
        }
    }

    fn steps(self, nanos: i128, round: Round) -> i128 {
        let down = nanos.div_euclid(self.step_nanos());
        match round {
            Round::Up if nanos.rem_euclid(self.step_nanos()) != 0 => down + 1,
            _ => down,
        }
    }

    fn value_at(self, steps: i128) -> i128 {
        match self {
            Axis::UuidV7 => uuid::first_of(steps),
            _ => steps,
        }
    }

    fn within_limits(self, steps: i128) -> i128 {
        let (first, last) = self.step_limits();
        self.value_at(steps.clamp(first, last))
    }

    fn nanos(self, value: i128) -> Option<i128> {
        let steps = match self {
            Axis::UuidV7 => uuid::millis(value),
            _ => value,
        };
        steps.checked_mul(self.step_nanos())
    }

    /// The first and last step that the column's type can hold.
    fn step_limits(self) -> (i128, i128) {
        match self {
            Axis::Date => (FIRST_DAY, DATE_END - 1),
            Axis::Timestamp | Axis::TimestampTz => (FIRST_DAY * iso::DAY_MICROS, TIMESTAMP_END - 1),
            Axis::EpochS | Axis::EpochMs | Axis::EpochUs | Axis::EpochNs => {
                (i128::from(i64::MIN), i128::from(i64::MAX))
            }
            Axis::UuidV7 => (0, uuid::MILLIS - 1),
        }
    }
}

fn nanos_of(civil: NaiveDateTime) -> i128 {
    let utc = civil.and_utc();
    i128::from(utc.timestamp()) * NANOS_PER_SECOND + i128::from(utc.timestamp_subsec_nanos())
}

/// The instant at which the clock was put forward over `civil`.
fn gap_end(civil: NaiveDateTime, zone: Tz) -> Option<NaiveDateTime> {
    let gap = GapInfo::new(&civil, &zone)?;
    match (gap.end, gap.begin) {
        (Some(end), _) => Some(end.naive_utc()),
        (None, Some((begin, offset))) => begin.checked_sub_offset(offset.fix()),
        (None, None) => None,
    }
}

/// `timestamp(3) without time zone` is the same axis as `timestamp without time zone`.
fn without_precision(type_name: &str) -> String {
    match (type_name.find('('), type_name.find(')')) {
        (Some(open), Some(close)) if open < close => {
            format!("{}{}", &type_name[..open], &type_name[close + 1..])
        }
        _ => type_name.to_owned(),
    }
}

fn encoding_name(encoding: KeyEncoding) -> &'static str {
    match encoding {
        KeyEncoding::EpochS => "epoch-s",
        KeyEncoding::EpochMs => "epoch-ms",
        KeyEncoding::EpochUs => "epoch-us",
        KeyEncoding::EpochNs => "epoch-ns",
        KeyEncoding::UuidV7 => "uuid-v7",
    }
}

#[cfg(test)]
mod tests;
