//! The periods: where one begins in civil time. What a zone makes of it is the calendar's part.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Length of a partition.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDateTime {
        text.parse::<NaiveDate>().unwrap().and_time(NaiveTime::MIN)
    }

    #[test]
    fn every_day_of_thirty_years_lies_between_floor_and_next() {
        let mut civil = day("2000-01-01") + TimeDelta::minutes(13);
        while civil < day("2030-01-01") {
            for period in Period::ALL {
                let (floor, next) = (period.floor(civil), period.next(civil));
                assert!(floor <= civil && civil < next, "{civil} {period}");
                assert_eq!(period.floor(floor), floor);
                assert_eq!(period.floor(next), next);
                assert_eq!(period.prev(next), floor);
                assert_eq!(period.next(period.prev(civil)), floor);
            }
            civil += TimeDelta::minutes(1440 + 7);
        }
    }

    #[test]
    fn weeks_begin_on_monday_on_a_sunday_too() {
        assert_eq!(Period::Week.floor(day("2026-01-04")), day("2025-12-29"));
        assert_eq!(Period::Week.next(day("2026-01-04")), day("2026-01-05"));
        assert_eq!(Period::Week.floor(day("2021-01-03")), day("2020-12-28"));
    }

    #[test]
    fn quarters_step_from_the_31st_without_skipping_one() {
        assert_eq!(Period::Quarter.floor(day("2025-08-31")), day("2025-07-01"));
        assert_eq!(Period::Quarter.next(day("2025-08-31")), day("2025-10-01"));
        assert_eq!(Period::Quarter.prev(day("2025-05-31")), day("2025-01-01"));
        assert_eq!(Period::Quarter.next(day("2025-12-31")), day("2026-01-01"));
    }

    #[test]
    fn months_do_not_drift_from_the_31st() {
        let mut civil = day("2026-01-31");
        for count in 1..=240 {
            civil = Period::Month.next(civil);
            assert_eq!(civil.day(), 1);
            assert_eq!((civil.year() - 2026) * 12 + civil.month0() as i32, count);
        }
    }

    #[test]
    fn the_ends_of_chrono_do_not_panic() {
        for period in Period::ALL {
            assert_eq!(period.next(NaiveDateTime::MAX), NaiveDateTime::MAX);
            assert!(period.prev(NaiveDateTime::MIN) <= period.floor(NaiveDateTime::MIN));
        }
    }

    #[test]
    fn names_read_back_and_are_those_of_plan_files() {
        for period in Period::ALL {
            assert_eq!(period.name().parse(), Ok(period));
            assert_eq!(
                serde_json::to_value(period).unwrap(),
                serde_json::json!(period.to_string())
            );
        }
        assert!("fortnight".parse::<Period>().unwrap_err().contains("week"));
    }
}
