//! The periods: where one begins in civil time. What a zone makes of it is the calendar's part.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
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

impl Period {
    /// Every period, from the shortest to the longest.
    pub const ALL: [Period; 6] = [
        Period::Hour,
        Period::Day,
        Period::Week,
        Period::Month,
        Period::Quarter,
        Period::Year,
    ];

    /// Returns the period's name as plan files write it.
    pub fn name(self) -> &'static str {
        match self {
            Period::Hour => "hour",
            Period::Day => "day",
            Period::Week => "week",
            Period::Month => "month",
            Period::Quarter => "quarter",
            Period::Year => "year",
        }
    }

    /// Returns the beginning of the period that contains a civil time.
    pub fn floor(self, civil: NaiveDateTime) -> NaiveDateTime {
        let date = civil.date();
        let day = |date: Option<NaiveDate>| {
            date.map_or(NaiveDateTime::MIN, |date| date.and_time(NaiveTime::MIN))
        };
        match self {
            Period::Hour => {
                let hour = NaiveTime::from_hms_opt(civil.hour(), 0, 0).unwrap_or(NaiveTime::MIN);
                date.and_time(hour)
            }
            Period::Day => day(Some(date)),
            Period::Week => {
                let since_monday = u64::from(date.weekday().num_days_from_monday());
                day(date.checked_sub_days(Days::new(since_monday)))
            }
            Period::Month => day(date.with_day(1)),
            Period::Quarter => day(NaiveDate::from_ymd_opt(
                date.year(),
                date.month0() / 3 * 3 + 1,
                1,
            )),
            Period::Year => day(NaiveDate::from_ymd_opt(date.year(), 1, 1)),
        }
    }

    /// Returns the beginning of the period after the one that contains `civil`; chrono's last
    /// moment after that.
    pub fn next(self, civil: NaiveDateTime) -> NaiveDateTime {
        let from = self.floor(civil);
        match self {
            Period::Hour => from.checked_add_signed(TimeDelta::hours(1)),
            Period::Day => from.checked_add_days(Days::new(1)),
            Period::Week => from.checked_add_days(Days::new(7)),
            Period::Month => from.checked_add_months(Months::new(1)),
            Period::Quarter => from.checked_add_months(Months::new(3)),
            Period::Year => from.checked_add_months(Months::new(12)),
        }
        .unwrap_or(NaiveDateTime::MAX)
    }

    /// Returns the beginning of the period before the one that contains `civil`; chrono's first
    /// moment before that.
    pub fn prev(self, civil: NaiveDateTime) -> NaiveDateTime {
        // The moment before a beginning lies in the period before it, whatever the lengths.
        self.floor(civil)
            .checked_sub_signed(TimeDelta::nanoseconds(1))
            .map_or(NaiveDateTime::MIN, |before| self.floor(before))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Period::ALL
            .into_iter()
            .find(|period| period.name() == text)
            .ok_or_else(|| format!("`{text}` is not one of hour, day, week, month, quarter, year"))
    }
}
