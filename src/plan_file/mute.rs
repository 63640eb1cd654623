//! The `mutes:` section: findings that are known and accepted until a day.

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Origin, scalars};

/// A finding that is accepted until a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mute {
    /// Id of the rule whose findings are meant.
    pub rule: String,
    /// Target whose findings are meant; omitted: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Fingerprint of the statement that is meant; omitted: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The last day it holds, in UTC: `2026-12-31`.
    pub until: Day,
    /// Why, and who looks after it.
    pub reason: String,
    /// Where the mute stands.
    #[serde(skip)]
    pub origin: Origin,
}

/// A day, as `2026-12-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub NaiveDate);

const WANTED: &str = "write year, month and day: 2026-12-31";

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = text.len() == 10;
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()
            .filter(|_| plain)
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a day; {WANTED}"))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

impl Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalars::from_text(deserializer, "a day", WANTED)
    }
}

impl JsonSchema for Day {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
            "description": "A day: 2026-12-31"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_read_back_what_they_print() {
        let day: Day = "2026-12-31".parse().unwrap();
        assert_eq!(day.to_string(), "2026-12-31");
        for text in [
            "2026-02-30",
            "2026-1-1",
            "31.12.2026",
            "",
            "2026-12-31T00:00",
        ] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }
}
