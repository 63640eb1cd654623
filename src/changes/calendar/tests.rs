//! The calendar over thirty years, six periods and seven zones whose clocks do odd things.

use std::collections::BTreeSet;

use chrono::{NaiveDate, TimeZone};
use proptest::prelude::*;

use super::*;
use crate::changes::names::{default_template, partition_name};

/// Midnight DST (Sao Paulo), half an hour of DST (Lord Howe), offsets of 30 and 45 minutes, and a
/// day that did not exist (Apia, 2011-12-30).
const ZONES: [Tz; 7] = [
    Tz::America__New_York,
    Tz::Europe__Berlin,
    Tz::Australia__Lord_Howe,
    Tz::Asia__Kolkata,
    Tz::Pacific__Chatham,
    Tz::America__Sao_Paulo,
    Tz::Pacific__Apia,
];

fn at(year: i32, month: u32, day: u32, hour: u32, minute: u32) -> NaiveDateTime {
    NaiveDate::from_ymd_opt(year, month, day)
        .unwrap()
        .and_hms_opt(hour, minute, 0)
        .unwrap()
}

fn day(year: i32, month: u32, day: u32) -> NaiveDateTime {
    at(year, month, day, 0, 0)
}

fn instants(period: Period, zone: Tz) -> Calendar {
    Calendar {
        period,
        axis: Axis::TimestampTz,
        zone,
    }
}

fn tz(text: &str) -> i128 {
    Axis::TimestampTz.parse(text).unwrap()
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn span(count: u32, unit: SpanUnit) -> CalendarSpan {
    CalendarSpan { count, unit }
}

/// Walks the slots of `[from, to)` and checks what must hold for every two of them.
fn check_chain(calendar: Calendar, from: NaiveDateTime, to: NaiveDateTime) -> usize {
    let (from, to) = (
        calendar.axis.of_civil(from, calendar.zone),
        calendar.axis.of_civil(to, calendar.zone),
    );
    let template = default_template(calendar.period);
    let mut last: Option<(Slot, String)> = None;
    let mut count = 0;
    for slot in calendar.slots(from, to) {
        let name = partition_name(template, "events", slot.civil, None);
        assert!(slot.from < slot.to, "{calendar:?} {slot:?} is empty");
        assert_eq!(calendar.period.floor(slot.civil), slot.civil);
        if let Some((before, name_before)) = &last {
            assert_eq!(before.to, slot.from, "{calendar:?} {before:?} {slot:?}");
            assert_eq!(calendar.prev(&slot), Some(*before));
            assert!(*name_before < name, "{name_before} is not before {name}");
        } else {
            assert!(slot.from <= from);
        }
        last = Some((slot, name));
        count += 1;
    }
    assert!(last.is_some_and(|(slot, _)| slot.to >= to));
    count
}

#[test]
fn neighbours_touch_and_names_sort_for_thirty_years_in_every_zone() {
    for zone in ZONES {
        for period in Period::ALL {
            let years = if period == Period::Hour { 1 } else { 30 };
            // The hours of 2011: every zone here but Kolkata moved its clock in it.
            let first = if period == Period::Hour { 2011 } else { 2000 };
            check_chain(
                instants(period, zone),
                day(first, 1, 1),
                day(first + years, 1, 2),
            );
        }
    }
}

#[test]
fn every_axis_has_the_same_chain_of_months() {
    for axis in [
        Axis::Date,
        Axis::Timestamp,
        Axis::EpochS,
        Axis::EpochMs,
        Axis::EpochUs,
        Axis::EpochNs,
        Axis::UuidV7,
    ] {
        let calendar = Calendar {
            period: Period::Month,
            axis,
            zone: Tz::America__New_York,
        };
        // 240 successive months, each from its own anchor: no drift.
        assert_eq!(check_chain(calendar, day(2010, 1, 1), day(2030, 1, 1)), 240);
        for slot in calendar.slots(
            axis.of_civil(day(2010, 1, 1), calendar.zone),
            axis.of_civil(day(2030, 1, 1), calendar.zone),
        ) {
            assert_eq!(axis.civil(slot.from, calendar.zone), Some(slot.civil));
        }
    }
}

#[test]
fn every_day_of_thirty_years_lies_in_its_slot() {
    for (offset, zone) in ZONES.into_iter().enumerate() {
        let calendars = Period::ALL.map(|period| instants(period, zone));
        let start = utc("2000-01-01T00:00:00Z");
        for days in 0..10_958_i64 {
            // Another time of day on each day, and in each zone.
            let minutes = days * 1440 + (days * 397 + offset as i64 * 211) % 1440;
            let value = Axis::TimestampTz.of_instant(start + TimeDelta::minutes(minutes), Tz::UTC);
            // The periods take turns; the chains above leave nothing between two slots.
            let calendar = &calendars[(days % 6) as usize];
            let slot = calendar.slot_at(value).unwrap();
            assert!(
                slot.from <= value && value < slot.to,
                "{calendar:?} {slot:?} does not contain {}",
                Axis::TimestampTz.literal(value)
            );
        }
    }
}

/// What `of_civil` means, found without the zone library's idea of gaps: the first instant whose
/// local time is not before the civil time.
#[test]
fn civil_times_near_every_change_of_the_clock_map_to_the_first_instant_not_before() {
    const QUARTER: i64 = 900;
    const REACH: i64 = 50 * 3600;
    let offset_at = |zone: Tz, seconds: i64| {
        let utc = DateTime::from_timestamp(seconds, 0).unwrap().naive_utc();
        let local = Utc
            .from_utc_datetime(&utc)
            .with_timezone(&zone)
            .naive_local();
        (local - utc).num_seconds()
    };
    let mut changes = 0;
    for zone in ZONES {
        let first = day(2005, 1, 1).and_utc().timestamp();
        for days in 0..(9 * 365) {
            let midnight = first + days * 86_400;
            if offset_at(zone, midnight) == offset_at(zone, midnight + 86_400) {
                continue;
            }
            changes += 1;
            let instants: Vec<(i64, i64)> = (-REACH / QUARTER..(86_400 + REACH) / QUARTER)
                .map(|step| midnight + step * QUARTER)
                .map(|seconds| (seconds, seconds + offset_at(zone, seconds)))
                .collect();
            for step in 0..96 {
                let local = midnight + offset_at(zone, midnight) + step * QUARTER;
                let (expected, _) = *instants.iter().find(|(_, seen)| *seen >= local).unwrap();
                let civil = DateTime::from_timestamp(local, 0).unwrap().naive_utc();
                assert_eq!(
                    Axis::EpochS.of_civil(civil, zone),
                    i128::from(expected),
                    "{civil} in {zone}"
                );
            }
        }
    }
    assert!(
        changes > 80,
        "only {changes} changes of the clock were seen"
    );
}

#[test]
fn months_of_a_zone_begin_at_its_midnight() {
    let slot = instants(Period::Month, Tz::America__New_York)
        .slot_at(tz("2026-03-15 10:00:00+00"))
        .unwrap();
    assert_eq!(slot.civil, day(2026, 3, 1));
    assert_eq!(slot.from, tz("2026-03-01 05:00:00+00"));
    assert_eq!(slot.to, tz("2026-04-01 04:00:00+00"));
}

#[test]
fn a_repeated_hour_is_one_slot_and_a_skipped_hour_is_none() {
    let hours = instants(Period::Hour, Tz::America__New_York);
    let repeated = hours.slot_at(tz("2026-11-01 06:30:00+00")).unwrap();
    assert_eq!(repeated.civil, at(2026, 11, 1, 1, 0));
    assert_eq!(repeated.to - repeated.from, 2 * 3_600_000_000);

    let before = hours.slot_at(tz("2026-03-08 06:30:00+00")).unwrap();
    let after = hours.next(&before).unwrap();
    assert_eq!(before.civil, at(2026, 3, 8, 1, 0));
    assert_eq!(after.civil, at(2026, 3, 8, 3, 0));
    assert_eq!(before.to, after.from);
}

#[test]
fn a_day_that_begins_in_a_gap_begins_at_the_change_of_the_clock() {
    let slot = instants(Period::Day, Tz::America__Sao_Paulo)
        .slot_at(tz("2018-11-04 12:00:00+00"))
        .unwrap();
    assert_eq!(slot.civil, day(2018, 11, 4));
    assert_eq!(slot.from, tz("2018-11-04 03:00:00+00"));
    assert_eq!(slot.to - slot.from, 23 * 3_600_000_000);
}

#[test]
fn the_day_that_apia_skipped_has_no_slot() {
    let days = instants(Period::Day, Tz::Pacific__Apia);
    let before = days.slot_at(tz("2011-12-30 09:59:59+00")).unwrap();
    let after = days.next(&before).unwrap();
    assert_eq!(before.civil, day(2011, 12, 29));
    assert_eq!(after.civil, day(2011, 12, 31));
    assert_eq!(after.from, tz("2011-12-30 10:00:00+00"));
    assert_eq!(days.prev(&after), Some(before));
}

#[test]
fn a_second_pass_over_midnight_stays_in_one_slot() {
    // Toronto put its clock back at 00:01 until 2006: 23:01 to 00:01 happened twice.
    let days = instants(Period::Day, Tz::America__Toronto);
    for minute in 0..240 {
        let value = tz("2005-10-30 03:00:00+00") + minute * 60_000_000;
        let slot = days.slot_at(value).unwrap();
        assert!(slot.from <= value && value < slot.to);
    }
    let st_johns = instants(Period::Day, Tz::America__St_Johns);
    let first_midnight = tz("2006-10-29 02:30:00+00");
    let second_pass = tz("2006-10-29 02:45:00+00");
    let slot = st_johns.slot_at(second_pass).unwrap();
    assert_eq!(slot.civil, day(2006, 10, 29));
    assert_eq!(slot.from, first_midnight);
}

#[test]
fn infinite_and_unreachable_values_have_no_slot() {
    for period in Period::ALL {
        for axis in [Axis::Timestamp, Axis::TimestampTz] {
            let calendar = Calendar {
                period,
                axis,
                zone: Tz::Europe__Berlin,
            };
            assert_eq!(calendar.slot_at(crate::changes::key::INFINITY), None);
            assert_eq!(calendar.slot_at(crate::changes::key::NEG_INFINITY), None);
            assert_eq!(
                calendar.slot_at(axis.of_civil(NaiveDateTime::MAX, Tz::UTC)),
                None
            );
        }
        for value in [i128::MIN, i128::MAX] {
            let calendar = Calendar {
                period,
                axis: Axis::UuidV7,
                zone: Tz::Europe__Berlin,
            };
            assert_eq!(calendar.slot_at(value), None);
        }
    }
}

#[test]
fn slots_are_those_that_overlap() {
    let months = instants(Period::Month, Tz::UTC);
    let civil = |from: &str, to: &str| -> Vec<NaiveDateTime> {
        months
            .slots(tz(from), tz(to))
            .map(|slot| slot.civil)
            .collect()
    };
    assert_eq!(
        civil("2026-01-31 23:59:59+00", "2026-03-01 00:00:00+00"),
        [day(2026, 1, 1), day(2026, 2, 1)]
    );
    assert_eq!(
        civil("2026-02-01 00:00:00+00", "2026-02-01 00:00:00.000001+00"),
        [day(2026, 2, 1)]
    );
    assert!(civil("2026-02-01 00:00:00+00", "2026-02-01 00:00:00+00").is_empty());
    assert!(civil("2026-02-01 00:00:00+00", "2026-01-01 00:00:00+00").is_empty());
}

#[test]
fn hours_of_a_date_key_are_refused() {
    let mut calendar = Calendar {
        period: Period::Hour,
        axis: Axis::Date,
        zone: Tz::UTC,
    };
    assert!(calendar.check().unwrap_err().contains("every: day"));
    calendar.period = Period::Day;
    assert_eq!(calendar.check(), Ok(()));
}

#[test]
fn a_month_before_the_31st_of_march_is_the_last_of_february() {
    let calendar = instants(Period::Day, Tz::Europe__Berlin);
    let cut = |now: &str, count, unit| {
        let value = calendar.minus(utc(now), span(count, unit));
        Axis::TimestampTz.literal(value)
    };
    assert_eq!(
        cut("2026-03-31T10:00:00Z", 1, SpanUnit::Month),
        "2026-02-28 11:00:00+00"
    );
    assert_eq!(
        cut("2024-05-31T10:00:00Z", 1, SpanUnit::Quarter),
        "2024-02-29 11:00:00+00"
    );
    assert_eq!(
        cut("2024-02-29T12:00:00Z", 1, SpanUnit::Year),
        "2023-02-28 12:00:00+00"
    );
    // A civil day over the change of the clock is 23 hours long; 24 hours are 24 hours.
    assert_eq!(
        cut("2026-03-29T10:00:00Z", 1, SpanUnit::Day),
        "2026-03-28 11:00:00+00"
    );
    assert_eq!(
        cut("2026-03-29T10:00:00Z", 24, SpanUnit::Hour),
        "2026-03-28 10:00:00+00"
    );
    assert_eq!(
        cut("2026-03-29T10:00:00Z", 2, SpanUnit::Week),
        "2026-03-15 11:00:00+00"
    );
}

#[test]
fn a_cut_off_never_passes_the_moment_it_stands_for() {
    let dates = Calendar {
        period: Period::Day,
        axis: Axis::Date,
        zone: Tz::Pacific__Auckland,
    };
    // 14:00 UTC on the 15th is already the 16th in Auckland; its rows of the 14th from 03:00 on
    // are younger than two days.
    let cut = dates.minus(utc("2026-02-15T14:00:00Z"), span(2, SpanUnit::Day));
    assert_eq!(Axis::Date.literal(cut), "2026-02-14");

    let civil = Calendar {
        period: Period::Hour,
        axis: Axis::Timestamp,
        zone: Tz::America__New_York,
    };
    // 01:30 EST less one hour is 01:30 EDT; a civil key may read 00:30.
    let cut = civil.minus(utc("2026-11-01T06:30:00Z"), span(1, SpanUnit::Hour));
    assert_eq!(Axis::Timestamp.literal(cut), "2026-11-01 00:30:00");
}

#[test]
fn an_endless_span_expires_nothing() {
    for axis in [Axis::Date, Axis::TimestampTz, Axis::EpochMs, Axis::UuidV7] {
        let calendar = Calendar {
            period: Period::Year,
            axis,
            zone: Tz::UTC,
        };
        for unit in [SpanUnit::Day, SpanUnit::Month, SpanUnit::Year] {
            let cut = calendar.minus(utc("2026-02-15T14:00:00Z"), span(u32::MAX, unit));
            assert!(cut < axis.of_civil(day(1971, 1, 1), Tz::UTC));
        }
    }
}

#[test]
fn existing_ranges_are_recognised_with_their_zone() {
    let ranges = |calendar: Calendar, from, to| -> Vec<(i128, i128)> {
        calendar
            .slots(
                calendar.axis.of_civil(from, calendar.zone),
                calendar.axis.of_civil(to, calendar.zone),
            )
            .map(|slot| (slot.from, slot.to))
            .collect()
    };
    for period in Period::ALL {
        for zone in [Tz::UTC, Tz::America__New_York] {
            let (from, to) = if period == Period::Hour {
                (day(2026, 10, 31), day(2026, 11, 3))
            } else {
                (day(2025, 1, 1), day(2027, 1, 1))
            };
            let seen = ranges(instants(period, zone), from, to);
            assert_eq!(
                recognise(Axis::TimestampTz, &[Tz::America__New_York], &seen),
                Some((period, zone)),
                "{period} in {zone}"
            );
        }
    }
    let months = instants(Period::Month, Tz::UTC);
    let mut mixed = ranges(months, day(2026, 1, 1), day(2026, 4, 1));
    mixed.push((tz("2020-01-01 00:00:00+00"), tz("2026-01-01 00:00:00+00")));
    assert_eq!(
        recognise(Axis::TimestampTz, &[], &mixed),
        Some((Period::Month, Tz::UTC))
    );
    mixed.push((tz("2010-01-01 00:00:00+00"), tz("2010-03-01 00:00:00+00")));
    assert_eq!(recognise(Axis::TimestampTz, &[], &mixed), None);
    assert_eq!(recognise(Axis::TimestampTz, &[], &[]), None);
    let dates = [(Axis::Date.parse("2026-01-05").unwrap(), 0)].map(|(from, _)| (from, from + 1));
    assert_eq!(
        recognise(Axis::Date, &[Tz::Asia__Kolkata], &dates),
        Some((Period::Day, Tz::UTC))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_instant_lies_in_its_slot(
        seconds in -2_000_000_000_i64..5_000_000_000,
        zone in proptest::sample::select(chrono_tz::TZ_VARIANTS.as_slice()),
        period in proptest::sample::select(Period::ALL.as_slice()),
    ) {
        let calendar = instants(period, zone);
        let value = i128::from(seconds) * 1_000_000;
        let slot = calendar.slot_at(value).unwrap();
        prop_assert!(slot.from <= value && value < slot.to);
        let next = calendar.next(&slot).unwrap();
        prop_assert_eq!(slot.to, next.from);
        prop_assert_eq!(calendar.prev(&next), Some(slot));
        prop_assert_eq!(calendar.slot_at(slot.from), Some(slot));
        prop_assert_eq!(calendar.slot_at(slot.to - 1), Some(slot));
    }

    #[test]
    fn any_uuid_lies_in_its_slot(millis in 1_i128 << 40..1 << 46, low in any::<u64>(), period in
        proptest::sample::select(Period::ALL.as_slice()))
    {
        let calendar = Calendar { period, axis: Axis::UuidV7, zone: Tz::Europe__Berlin };
        let text = format!("{millis:012x}");
        let uuid = format!("{}-{}-4fff-{:04x}-{:012x}", &text[..8], &text[8..], low >> 48, low & 0xffff_ffff_ffff);
        let value = Axis::UuidV7.parse(&uuid).unwrap();
        let slot = calendar.slot_at(value).unwrap();
        prop_assert!(slot.from <= value && value < slot.to);
    }
}

#[test]
fn names_of_slots_differ() {
    for zone in ZONES {
        let hours = instants(Period::Hour, zone);
        let from = Axis::TimestampTz.of_civil(day(2011, 12, 25), zone);
        let names: Vec<String> = hours
            .slots(from, from + 10 * 86_400_000_000)
            .map(|slot| partition_name(default_template(Period::Hour), "e", slot.civil, None))
            .collect();
        let distinct: BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }
}
