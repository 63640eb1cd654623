//! The calendar: where a period begins and ends and what it is called. The only file that knows one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Length of a partition.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// One hour.
    Hour,
    /// One civil day.
    Day,
    /// One ISO week, Monday to Sunday.
    Week,
    /// One civil month.
    Month,
    /// Three civil months, beginning in January, April, July or October.
    Quarter,
    /// One civil year.
    Year,
}
