//! Key types as numbers: texts of the server, zones, and the ends of each type.

use chrono::NaiveDate;
use proptest::prelude::*;

use super::*;

const AXES: [Axis; 8] = [
    Axis::Date,
    Axis::Timestamp,
    Axis::TimestampTz,
    Axis::EpochS,
    Axis::EpochMs,
    Axis::EpochUs,
    Axis::EpochNs,
    Axis::UuidV7,
];

fn civil(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

#[test]
fn columns_map_to_axes_by_type_and_encoding() {
    let axis = |name: &str| Axis::for_column(name, None);
    assert_eq!(axis("date"), Ok(Axis::Date));
    assert_eq!(axis("timestamp without time zone"), Ok(Axis::Timestamp));
    assert_eq!(axis("timestamp(3) without time zone"), Ok(Axis::Timestamp));
    assert_eq!(axis("timestamp with time zone"), Ok(Axis::TimestampTz));
    assert_eq!(axis("timestamp(0) with time zone"), Ok(Axis::TimestampTz));
    for (encoding, expected) in [
        (KeyEncoding::EpochS, Axis::EpochS),
        (KeyEncoding::EpochMs, Axis::EpochMs),
        (KeyEncoding::EpochUs, Axis::EpochUs),
        (KeyEncoding::EpochNs, Axis::EpochNs),
    ] {
        assert_eq!(Axis::for_column("bigint", Some(encoding)), Ok(expected));
    }
    assert_eq!(
        Axis::for_column("integer", Some(KeyEncoding::EpochS)),
        Ok(Axis::EpochS)
    );
    assert_eq!(
        Axis::for_column("uuid", Some(KeyEncoding::UuidV7)),
        Ok(Axis::UuidV7)
    );
}

#[test]
fn columns_without_a_fitting_encoding_say_what_to_write() {
    for (name, encoding, part) in [
        ("bigint", None, "`key: epoch-ms`"),
        ("bigint", Some(KeyEncoding::UuidV7), "`key: epoch-ms`"),
        ("integer", None, "`key: epoch-s`"),
        (
            "integer",
            Some(KeyEncoding::EpochMs),
            "cannot hold epoch-ms",
        ),
        ("uuid", None, "`key: uuid-v7`"),
        ("uuid", Some(KeyEncoding::EpochS), "`key: uuid-v7`"),
        ("date", Some(KeyEncoding::EpochS), "take out `key: epoch-s`"),
        ("text", None, "type `text` cannot be managed"),
        ("smallint", Some(KeyEncoding::EpochS), "`smallint`"),
        ("numeric(10)", None, "`numeric(10)`"),
    ] {
        let error = Axis::for_column(name, encoding).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn texts_of_the_server_are_read_and_written_alike() {
    for (axis, text, value) in [
        (Axis::Date, "1970-01-01", 0),
        (Axis::Date, "2026-02-01", 20_485),
        (Axis::Date, "0001-12-31 BC", -719_163),
        (Axis::Date, "4714-11-24 BC", FIRST_DAY),
        (Axis::Date, "5874897-12-31", DATE_END - 1),
        (Axis::Date, "infinity", INFINITY),
        (Axis::Date, "-infinity", NEG_INFINITY),
        (
            Axis::Timestamp,
            "2026-02-01 00:00:00",
            1_769_904_000_000_000,
        ),
        (Axis::Timestamp, "1969-12-31 23:59:59.999999", -1),
        (
            Axis::Timestamp,
            "294276-12-31 23:59:59.999999",
            TIMESTAMP_END - 1,
        ),
        (
            Axis::TimestampTz,
            "2026-02-01 00:00:00+00",
            1_769_904_000_000_000,
        ),
        (
            Axis::TimestampTz,
            "2026-02-01 00:00:00.25+00",
            1_769_904_000_250_000,
        ),
        (
            Axis::TimestampTz,
            "10000-01-01 00:00:00+00",
            253_402_300_800_000_000,
        ),
        (
            Axis::TimestampTz,
            "0044-03-15 12:00:00+00 BC",
            -63_517_780_800_000_000,
        ),
        (Axis::TimestampTz, "infinity", INFINITY),
        (Axis::EpochMs, "-1769904000000", -1_769_904_000_000),
        (Axis::EpochNs, "9223372036854775807", i128::from(i64::MAX)),
        (
            Axis::UuidV7,
            "00000000-0000-0000-0000-000000000000",
            i128::MIN,
        ),
        (
            Axis::UuidV7,
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            i128::MAX,
        ),
    ] {
        assert_eq!(axis.parse(text), Ok(value), "{text}");
        assert_eq!(axis.literal(value), text);
    }
}

#[test]
fn offsets_of_other_zones_are_the_same_instant() {
    let expected = Axis::TimestampTz.parse("2026-02-01 00:00:00+00");
    for text in [
        "2026-02-01 05:30:00+05:30",
        "2026-01-31 19:00:00-05",
        "2026-02-01 13:45:00+13:45",
        "2026-01-31 16:07:02-07:52:58",
        "2026-02-01T00:00:00+00:00",
    ] {
        assert_eq!(Axis::TimestampTz.parse(text), expected, "{text}");
    }
}

#[test]
fn texts_that_are_not_exactly_a_value_are_refused() {
    for (axis, texts) in [
        (
            Axis::Date,
            &[
                "",
                "2026-02-30",
                "2025-02-29",
                "2026-13-01",
                "2026-00-01",
                "0000-01-01",
                "2026-02-01 10:00:00",
                "2026-02-01+00",
                "01.02.2026",
                "-2026-02-01",
                "26-02-01",
                "2026-2-1",
                "99999999-01-01",
                "Infinity",
            ][..],
        ),
        (
            Axis::Timestamp,
            &[
                "2026-02-01 00:00:00+00",
                "2026-02-01 24:00:00",
                "2026-02-01 00:60:00",
                "2026-02-01 00:00",
                "2026-02-01 00:00:00.",
                "2026-02-01 00:00:00.1234567",
            ],
        ),
        (
            Axis::TimestampTz,
            &[
                "2026-02-01 00:00:00",
                "2026-02-01",
                "2026-02-01 00:00:00 CET",
                "2026-02-01 00:00:00+",
                "2026-02-01 00:00:00+1:2:3:4",
            ],
        ),
        (
            Axis::EpochS,
            &["", "1.5", "infinity", "9223372036854775808", "1e3", " 1"],
        ),
        (
            Axis::UuidV7,
            &[
                "",
                "infinity",
                "0190163d80007000800000000000000",
                "0190163d-8000-7000-8000-00000000000g",
                "+190163d-8000-7000-8000-000000000000",
                "{0190163d-8000-7000-8000-000000000000}",
            ],
        ),
    ] {
        for text in texts {
            assert!(axis.parse(text).is_err(), "{axis:?} took {text:?}");
        }
    }
}

#[test]
fn uuid_boundaries_are_the_smallest_of_their_millisecond() {
    let boundary = Axis::UuidV7.of_civil(civil("2024-06-14T10:08:25.728"), Tz::UTC);
    let millis = Axis::EpochMs.of_civil(civil("2024-06-14T10:08:25.728"), Tz::UTC);
    assert_eq!(
        Axis::UuidV7.literal(boundary),
        format!(
            "{:08x}-{:04x}-7000-8000-000000000000",
            millis >> 16,
            millis & 0xffff
        )
    );
    let largest_before = Axis::UuidV7
        .parse(&format!(
            "{:08x}-{:04x}-7fff-bfff-ffffffffffff",
            (millis - 1) >> 16,
            (millis - 1) & 0xffff
        ))
        .unwrap();
    assert!(largest_before < boundary);
    assert_eq!(
        Axis::UuidV7.literal(Axis::UuidV7.of_civil(civil("1960-01-01T00:00:00"), Tz::UTC)),
        "00000000-0000-7000-8000-000000000000"
    );
}

#[test]
fn an_instant_is_never_rounded_past_itself_and_a_boundary_never_before() {
    let now: DateTime<Utc> = "2026-02-01T22:30:59.999999999Z".parse().unwrap();
    let text = |axis: Axis, zone| axis.literal(axis.of_instant(now, zone));
    assert_eq!(text(Axis::Date, Tz::UTC), "2026-02-01");
    assert_eq!(text(Axis::Date, Tz::Asia__Kolkata), "2026-02-02");
    assert_eq!(
        text(Axis::Timestamp, Tz::Asia__Kolkata),
        "2026-02-02 04:00:59.999999"
    );
    assert_eq!(
        text(Axis::TimestampTz, Tz::Asia__Kolkata),
        "2026-02-01 22:30:59.999999+00"
    );
    assert_eq!(text(Axis::EpochS, Tz::UTC), "1769985059");
    assert_eq!(text(Axis::EpochNs, Tz::UTC), "1769985059999999999");
    let boundary = |axis: Axis| axis.of_civil(civil("2026-02-01T22:30:59.999999999"), Tz::UTC);
    assert_eq!(boundary(Axis::EpochS), 1_769_985_060);
    assert_eq!(boundary(Axis::EpochMs), 1_769_985_060_000);
    assert_eq!(Axis::Date.literal(boundary(Axis::Date)), "2026-02-02");
}

#[test]
fn values_are_described_with_the_offset_of_their_zone() {
    let describe = |axis: Axis, text: &str, zone| axis.describe(axis.parse(text).unwrap(), zone);
    let berlin = Tz::Europe__Berlin;
    for (axis, text, zone, expected) in [
        (Axis::Date, "2026-02-01", berlin, "2026-02-01"),
        (
            Axis::Timestamp,
            "2026-02-01 00:00:00",
            berlin,
            "2026-02-01 00:00",
        ),
        (
            Axis::TimestampTz,
            "2026-02-01 00:00:00+00",
            Tz::UTC,
            "2026-02-01 00:00 UTC",
        ),
        (
            Axis::TimestampTz,
            "2026-06-30 22:00:00+00",
            berlin,
            "2026-07-01 00:00 +02:00",
        ),
        (
            Axis::TimestampTz,
            "2026-01-01 00:00:01.5+00",
            Tz::America__St_Johns,
            "2025-12-31 20:30:01.500 -03:30",
        ),
        (
            Axis::EpochS,
            "1769904000",
            Tz::UTC,
            "1769904000 (2026-02-01 00:00 UTC)",
        ),
        (Axis::TimestampTz, "infinity", berlin, "infinity"),
        (
            Axis::Timestamp,
            "294276-12-31 00:00:00",
            berlin,
            "294276-12-31 00:00:00",
        ),
    ] {
        assert_eq!(describe(axis, text, zone), expected);
    }
}

#[test]
fn every_day_the_server_knows_is_written_as_it_is_read() {
    // A stride that is prime meets every weekday, month and leap rule over the whole range.
    for days in (FIRST_DAY..DATE_END).step_by(35_993) {
        assert_eq!(Axis::Date.parse(&Axis::Date.literal(days)), Ok(days));
    }
    for days in -800_000..-700_000 {
        assert_eq!(Axis::Date.parse(&Axis::Date.literal(days)), Ok(days));
    }
}

#[test]
fn dates_agree_with_chrono() {
    let mut date = NaiveDate::from_ymd_opt(1896, 1, 1).unwrap();
    while date < NaiveDate::from_ymd_opt(2105, 1, 1).unwrap() {
        let value = Axis::Date.parse(&date.to_string()).unwrap();
        assert_eq!(Axis::Date.civil(value, Tz::UTC), date.and_hms_opt(0, 0, 0));
        date = date.succ_opt().unwrap();
    }
}

proptest! {
    #[test]
    fn literals_read_back(value in -210_866_803_200_000_000_i128..TIMESTAMP_END) {
        for axis in [Axis::Timestamp, Axis::TimestampTz] {
            prop_assert_eq!(axis.parse(&axis.literal(value)), Ok(value));
        }
    }

    #[test]
    fn uuid_literals_read_back_in_order(one in any::<i128>(), two in any::<i128>()) {
        let text = |value| Axis::UuidV7.literal(value);
        prop_assert_eq!(Axis::UuidV7.parse(&text(one)), Ok(one));
        prop_assert_eq!(one.cmp(&two), text(one).cmp(&text(two)));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,30}", digits in "[-0-9:. +BC]{0,30}") {
        for axis in AXES {
            for text in [&text, &digits] {
                if let Ok(value) = axis.parse(text) {
                    prop_assert_eq!(axis.parse(&axis.literal(value)), Ok(value));
                }
            }
        }
    }

    #[test]
    fn civil_times_keep_their_order(
        seconds in 0_i64..4_000_000_000, further in 0_i64..200_000,
        zone in proptest::sample::select(chrono_tz::TZ_VARIANTS.as_slice()),
    ) {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap().naive_utc();
        for axis in AXES {
            let (one, two) = (axis.of_civil(at(seconds), zone), axis.of_civil(at(seconds + further), zone));
            prop_assert!(one <= two);
        }
    }

    #[test]
    fn no_value_panics(value in any::<i128>(), zone in proptest::sample::select(chrono_tz::TZ_VARIANTS.as_slice())) {
        for axis in AXES {
            for value in [value, value >> 64, value >> 80] {
                let _ = axis.civil(value, zone);
                let _ = axis.describe(value, zone);
                let _ = axis.successor(value);
            }
        }
    }
}
