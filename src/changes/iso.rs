//! Dates and timestamps as the server writes them under DateStyle ISO: the whole range of
//! PostgreSQL, which is wider than chrono's, with ` BC` and years over 9999. Text only, no zone.

/// Microseconds of one day.
pub(super) const DAY_MICROS: i128 = 86_400_000_000;

/// What a text said: a civil day, the time of that day, and the offset from UTC if it named one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Days since 1970-01-01.
    pub days: i128,
    /// Microseconds since that day's midnight.
    pub micros: i128,
    /// Seconds east of UTC.
    pub offset: Option<i128>,
}

/// Reads `2026-02-01`, `2026-02-01 00:00:00.5+05:30`, `0044-03-15 BC`.
pub(super) fn parse(text: &str) -> Option<Stamp> {
    let (text, before_christ) = match text.strip_suffix(" BC") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (date, time) = match text.split_once([' ', 'T']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.splitn(3, '-');
    let year = number(parts.next()?, 4, 7)?;
    let month = number(parts.next()?, 2, 2)?;
    let day = number(parts.next()?, 2, 2)?;
    if year == 0 {
        return None;
    }
    let year = if before_christ { 1 - year } else { year };
    let days = days_from_civil(year, month, day);
    // A day that does not exist comes back as another one.
    if !(1..=12).contains(&month) || civil_from_days(days) != (year, month, day) {
        return None;
    }
    let (micros, offset) = match time {
        None => (0, None),
        Some(time) => time_of_day(time)?,
    };
    Some(Stamp {
        days,
        micros,
        offset,
    })
}

/// Writes a day as the server does: `2026-02-01`, `0044-03-15 BC`.
pub(super) fn date(days: i128) -> String {
    let (date, era) = date_and_era(days);
    format!("{date}{era}")
}

/// Writes microseconds since 1970-01-01 00:00 as the server does; `zone` is `+00` or empty.
pub(super) fn timestamp(micros: i128, zone: &str) -> String {
    let (date, era) = date_and_era(micros.div_euclid(DAY_MICROS));
    let of_day = micros.rem_euclid(DAY_MICROS);
    let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
    let fraction = match fraction {
        0 => String::new(),
        some => format!(".{some:06}").trim_end_matches('0').to_owned(),
    };
    format!(
        "{date} {:02}:{:02}:{:02}{fraction}{zone}{era}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn date_and_era(days: i128) -> (String, &'static str) {
    let (year, month, day) = civil_from_days(days);
    let (year, era) = if year > 0 {
        (year, "")
    } else {
        (1 - year, " BC")
    };
    (format!("{year:04}-{month:02}-{day:02}"), era)
}

/// Reads `00:00:00`, `00:00:00.25`, and an offset `+00`, `+05:30`, `-07:52:58` after it.
fn time_of_day(text: &str) -> Option<(i128, Option<i128>)> {
    let (clock, offset) = match text.find(['+', '-']) {
        Some(at) => {
            let (clock, offset) = text.split_at(at);
            (clock, Some(offset_seconds(offset)?))
        }
        None => (text, None),
    };
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, digits)) => {
            let read = number(digits, 1, 6)?;
            let scale = u32::try_from(6 - digits.len()).ok()?;
            (clock, read * 10_i128.pow(scale))
        }
        None => (clock, 0),
    };
    let mut parts = clock.split(':');
    let hour = number(parts.next()?, 2, 2).filter(|&hour| hour < 24)?;
    let minute = sixty(parts.next()?)?;
    let second = sixty(parts.next()?)?;
    if parts.next().is_some() {
        return None;
    }
    let seconds = (hour * 60 + minute) * 60 + second;
    Some((seconds * 1_000_000 + fraction, offset))
}

fn offset_seconds(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+')?),
    };
    let mut parts = digits.split(':');
    let hours = number(parts.next()?, 2, 2).filter(|&hours| hours < 24)?;
    let minutes = parts.next().map_or(Some(0), sixty)?;
    let seconds = parts.next().map_or(Some(0), sixty)?;
    match parts.next() {
        Some(_) => None,
        None => Some(sign * ((hours * 60 + minutes) * 60 + seconds)),
    }
}

fn sixty(text: &str) -> Option<i128> {
    number(text, 2, 2).filter(|&value| value < 60)
}

fn number(text: &str, least: usize, most: usize) -> Option<i128> {
    let well_formed =
        (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if well_formed { text.parse().ok() } else { None }
}

/// Days since 1970-01-01 of a proleptic Gregorian date; year 0 is 1 BC.
fn days_from_civil(year: i128, month: i128, day: i128) -> i128 {
    // The year begins in March here, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

/// The inverse of `days_from_civil`.
fn civil_from_days(days: i128) -> (i128, i128, i128) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    (year, month, day)
}
