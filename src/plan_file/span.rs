//! Lengths of time as plan files write them: `24 months` by the calendar, `100ms` by the clock.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const SPAN_WANTED: &str = "write a count and a unit: `24 months`, `90 days`, `1 year`";
const MILLIS_WANTED: &str = "write a count and a unit: `100ms`, `60s`, `2m`, `1h`";

/// A unit of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpanUnit {
    /// 60 minutes.
    Hour,
    /// A civil day.
    Day,
    /// Seven civil days.
    Week,
    /// A civil month.
    Month,
    /// Three civil months.
    Quarter,
    /// Twelve civil months.
    Year,
}

/// A length in calendar units, `24 months`: how much of the calendar, not how many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalendarSpan {
    /// How many units; 0 only where the key's documentation says so.
    pub count: u32,
    /// The unit.
    pub unit: SpanUnit,
}

/// A length of clock time in milliseconds, written `100ms`, `60s`, `2m`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Serialize for CalendarSpan {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CalendarSpan {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::scalars::from_text(deserializer, "no unit", SPAN_WANTED)
    }
}

/// Displays the span as plan files write it: `24 months`, `1 day`.
impl fmt::Display for CalendarSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            SpanUnit::Hour => "hour",
            SpanUnit::Day => "day",
            SpanUnit::Week => "week",
            SpanUnit::Month => "month",
            SpanUnit::Quarter => "quarter",
            SpanUnit::Year => "year",
        };
        write!(
            f,
            "{} {unit}{}",
            self.count,
            if self.count == 1 { "" } else { "s" }
        )
    }
}

impl std::str::FromStr for CalendarSpan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = SPAN_WANTED;
        let text = text.trim();
        let digits = text.chars().take_while(char::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let count = count
            .parse()
            .map_err(|_| format!("`{text}` is not a length of time; {wanted}"))?;
        let unit = match unit.trim().to_ascii_lowercase().as_str() {
            "hour" | "hours" => SpanUnit::Hour,
            "day" | "days" => SpanUnit::Day,
            "week" | "weeks" => SpanUnit::Week,
            "month" | "months" => SpanUnit::Month,
            "quarter" | "quarters" => SpanUnit::Quarter,
            "year" | "years" => SpanUnit::Year,
            "" => return Err(format!("`{text}` has no unit; {wanted}")),
            other => {
                return Err(format!(
                    "`{other}` in `{text}` is not one of hour, day, week, month, quarter, year; {wanted}"
                ));
            }
        };
        Ok(Self { count, unit })
    }
}

impl JsonSchema for CalendarSpan {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CalendarSpan".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^\\s*[0-9]+\\s*(hour|day|week|month|quarter|year)s?\\s*$",
            "description": "A length in calendar units: 24 months, 90 days, 1 year"
        })
    }
}

impl Serialize for Millis {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::scalars::from_text(deserializer, "no unit", MILLIS_WANTED)
    }
}

/// Displays the time in the largest unit that keeps it exact: `100ms`, `60s`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms if ms > 86_400_000 && ms % 86_400_000 == 0 => write!(f, "{}d", ms / 86_400_000),
            ms if ms != 0 && ms % 3_600_000 == 0 => write!(f, "{}h", ms / 3_600_000),
            ms if ms != 0 && ms % 60_000 == 0 => write!(f, "{}m", ms / 60_000),
            ms if ms != 0 && ms % 1_000 == 0 => write!(f, "{}s", ms / 1_000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

impl std::str::FromStr for Millis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = MILLIS_WANTED;
        let text = text.trim();
        let digits = text.chars().take_while(char::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let count: u64 = count
            .parse()
            .map_err(|_| format!("`{text}` is not a time; {wanted}"))?;
        let factor = match unit.trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return Err(format!("`{text}` has no unit; {wanted}")),
            other => {
                return Err(format!(
                    "`{other}` in `{text}` is not one of ms, s, m, h, d; {wanted}"
                ));
            }
        };
        count
            .checked_mul(factor)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is too long"))
    }
}

impl JsonSchema for Millis {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Millis".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^\\s*[0-9]+\\s*(ms|s|m|min|h|d)\\s*$",
            "description": "A length of clock time: 100ms, 60s, 2m, 1h, 7d"
        })
    }
}
