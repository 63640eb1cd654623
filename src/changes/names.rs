//! Names of partitions: templates, and cutting to PostgreSQL's 63 bytes without losing the date.

use std::fmt::Write as _;

use chrono::{Datelike, NaiveDateTime, Timelike};
use sha2::{Digest, Sha256};

use super::period::Period;
use crate::ident::MAX_NAME_BYTES;

/// Bytes of `_` and the eight hexadecimal digits that stand for what was cut off.
const HASH_BYTES: usize = 9;

/// Returns the name template of a policy that has none.
pub fn default_template(period: Period) -> &'static str {
    match period {
        Period::Hour => "{table}_{YYYY}_{MM}_{DD}_{HH}",
        Period::Day => "{table}_{YYYY}_{MM}_{DD}",
        Period::Week => "{table}_{IYYY}_w{IW}",
        Period::Month => "{table}_{YYYY}_{MM}",
        Period::Quarter => "{table}_{YYYY}_q{Q}",
        Period::Year => "{table}_{YYYY}",
    }
}

/// Checks that a template gives each period of a table its own name.
///
/// # Errors
/// Says which token is unknown or missing, or what else makes names ambiguous or too long.
pub fn validate(template: &str, period: Period) -> Result<(), String> {
    let pieces = split(template)?;
    let has = |token: Token| pieces.contains(&Piece::Token(token));
    require_tokens(template, period, has)?;
    let tables = pieces
        .iter()
        .filter(|&piece| *piece == Piece::Token(Token::Table))
        .count();
    if tables > 1 {
        return Err(format!("`{template}` has `{{table}}` more than once"));
    }
    let beside_table = pieces.windows(2).any(|pair| match pair {
        [Piece::Token(left), Piece::Token(right)] => {
            *left == Token::Table || *right == Token::Table
        }
        _ => false,
    });
    if beside_table {
        return Err(format!(
            "`{template}` needs text between `{{table}}` and the date, such as `_`"
        ));
    }
    let literal: String = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Token(_) => None,
        })
        .collect();
    if literal.chars().any(char::is_control) {
        return Err("a name template cannot hold control characters".to_owned());
    }
    if tables == 0 && !literal.chars().any(char::is_alphabetic) {
        return Err(format!(
            "`{template}` gives every table the same names; begin it with `{{table}}_`"
        ));
    }
    let fixed: usize = pieces.iter().map(Piece::width).sum();
    let least_table = if tables == 0 { 0 } else { HASH_BYTES + 1 };
    if fixed + least_table > MAX_NAME_BYTES {
        return Err(format!(
            "`{template}` makes names of {} bytes or more; PostgreSQL keeps {MAX_NAME_BYTES}",
            fixed + least_table
        ));
    }
    Ok(())
}

/// Returns the name of the partition for the period that begins at `slot_civil`.
///
/// `remainder_from` is the beginning of a partition that covers only the rest of its period; its
/// name says so. A name over 63 bytes has its `{table}` part cut and marked with a hash of the
/// whole table name, so that the date stays. The same inputs always give the same name.
pub fn partition_name(
    template: &str,
    table: &str,
    slot_civil: NaiveDateTime,
    remainder_from: Option<NaiveDateTime>,
) -> String {
    let (mut head, mut tail) = (String::new(), String::new());
    let mut table_seen = false;
    // A template that `validate` refuses is taken literally rather than failed here.
    let pieces = split(template).unwrap_or_else(|_| vec![Piece::Text(template.to_owned())]);
    for piece in &pieces {
        let side = if table_seen { &mut tail } else { &mut head };
        match piece {
            Piece::Token(Token::Table) if !table_seen => table_seen = true,
            Piece::Token(Token::Table) => side.push_str(table),
            Piece::Token(token) => side.push_str(&token.text(slot_civil)),
            Piece::Text(text) => side.push_str(text),
        }
    }
    if let Some(from) = remainder_from {
        let side = if table_seen { &mut tail } else { &mut head };
        side.push_str(&remainder_suffix(from));
    }
    if table_seen {
        fit(&head, table, &tail)
    } else {
        fit("", &head, "")
    }
}

/// Returns the name of a sub-partition: the partition's name, `_`, and a suffix such as `h0`, cut
/// like `partition_name` where it would be over 63 bytes.
pub fn leaf_name(partition: &str, suffix: &str) -> String {
    let (name, date) = partition.split_at(date_at(partition));
    fit("", name, &format!("{date}_{suffix}"))
}

/// Returns a template as formats of the server's `to_char`: what stands before `{table}` (`None`: the
/// template has none) and what stands after it. An empty format is an empty text.
pub fn to_char_formats(template: &str) -> (Option<String>, String) {
    let (mut head, mut tail) = (None, String::new());
    for piece in split(template).unwrap_or_else(|_| vec![Piece::Text(template.to_owned())]) {
        match piece {
            Piece::Token(Token::Table) => head = Some(std::mem::take(&mut tail)),
            Piece::Token(token) => tail.push_str(token.to_char()),
            Piece::Text(text) => {
                let text = text.replace('\\', "\\\\").replace('"', "\\\"");
                tail.push_str(&format!("\"{text}\""));
            }
        }
    }
    (head, tail)
}

/// Joins the three parts, cutting the middle one to fit.
pub(super) fn fit(head: &str, middle: &str, tail: &str) -> String {
    let whole = format!("{head}{middle}{tail}");
    if whole.len() <= MAX_NAME_BYTES {
        return whole;
    }
    let kept = head.len() + tail.len() + HASH_BYTES;
    if kept < MAX_NAME_BYTES {
        let cut = cut_at(middle, MAX_NAME_BYTES - kept);
        return format!("{head}{cut}_{}{tail}", hash(middle));
    }
    // No room for the table at all: the hash then stands for everything, the end included.
    let cut = cut_at(&whole, MAX_NAME_BYTES - HASH_BYTES);
    format!("{cut}_{}", hash(&whole))
}

fn cut_at(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Eight hexadecimal digits that differ for different texts.
fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .take(4)
        .fold(String::new(), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        })
}

/// `_from_20260215`, with the time of day only as exact as it needs to be.
fn remainder_suffix(from: NaiveDateTime) -> String {
    let mut suffix = format!(
        "_from_{}{:02}{:02}",
        year_text(from),
        from.month(),
        from.day()
    );
    let micros = from.nanosecond() / 1_000;
    if from.num_seconds_from_midnight() != 0 || micros != 0 {
        let _ = write!(suffix, "t{:02}{:02}", from.hour(), from.minute());
    }
    if from.second() != 0 || micros != 0 {
        let _ = write!(suffix, "{:02}", from.second());
    }
    if micros != 0 {
        let _ = write!(suffix, "_{micros:06}");
    }
    suffix
}

/// Where the date at the end of a partition's name begins; its length where there is none.
fn date_at(partition: &str) -> usize {
    let mut at = partition.len();
    while let Some(underscore) = partition[..at].rfind('_') {
        let segment = &partition[underscore + 1..at];
        let dated = segment.bytes().any(|byte| byte.is_ascii_digit())
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b'w' | b'q' | b't'));
        if !dated && segment != "from" {
            break;
        }
        at = underscore;
    }
    at
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Table,
    Year,
    Month,
    Day,
    Hour,
    IsoYear,
    IsoWeek,
    Quarter,
    DayOfYear,
}

impl Token {
    const ALL: [(&'static str, Token); 9] = [
        ("table", Token::Table),
        ("YYYY", Token::Year),
        ("MM", Token::Month),
        ("DD", Token::Day),
        ("HH", Token::Hour),
        ("IYYY", Token::IsoYear),
        ("IW", Token::IsoWeek),
        ("Q", Token::Quarter),
        ("DDD", Token::DayOfYear),
    ];

    fn text(self, civil: NaiveDateTime) -> String {
        match self {
            Token::Table => String::new(),
            Token::Year => year_text(civil),
            Token::Month => format!("{:02}", civil.month()),
            Token::Day => format!("{:02}", civil.day()),
            Token::Hour => format!("{:02}", civil.hour()),
            Token::IsoYear => signed_year(civil.iso_week().year()),
            Token::IsoWeek => format!("{:02}", civil.iso_week().week()),
            Token::Quarter => (civil.month0() / 3 + 1).to_string(),
            Token::DayOfYear => format!("{:03}", civil.ordinal()),
        }
    }
}

impl Token {
    /// The pattern of the server's `to_char` that gives the same text.
    const fn to_char(self) -> &'static str {
        match self {
            Token::Table => "",
            Token::Year => "YYYY",
            Token::Month => "MM",
            Token::Day => "DD",
            Token::Hour => "HH24",
            Token::IsoYear => "IYYY",
            Token::IsoWeek => "IW",
            Token::Quarter => "Q",
            Token::DayOfYear => "DDD",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Token(Token),
}

impl Piece {
    /// Bytes it always takes.
    fn width(&self) -> usize {
        match self {
            Piece::Text(text) => text.len(),
            Piece::Token(Token::Table) => 0,
            Piece::Token(Token::Year | Token::IsoYear) => 4,
            Piece::Token(Token::DayOfYear) => 3,
            Piece::Token(Token::Quarter) => 1,
            Piece::Token(_) => 2,
        }
    }
}

fn year_text(civil: NaiveDateTime) -> String {
    signed_year(civil.year())
}

fn signed_year(year: i32) -> String {
    if year > 0 {
        format!("{year:04}")
    } else {
        format!("bc{:04}", 1 - year)
    }
}

fn split(template: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = template;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            text.push(c);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| format!("`{template}` has a `{{` that is not closed"))?;
            let token = Token::ALL
                .iter()
                .find(|(known, _)| *known == name)
                .map(|&(_, token)| token)
                .ok_or_else(|| unknown(template, name))?;
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Token(token));
            rest = after;
        } else if c == '}' {
            return Err(format!(
                "`{template}` has a `}}` that closes nothing; write `}}}}` for the character"
            ));
        } else {
            text.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

fn unknown(template: &str, name: &str) -> String {
    let known: Vec<String> = Token::ALL
        .iter()
        .map(|(known, _)| format!("{{{known}}}"))
        .collect();
    format!(
        "`{{{name}}}` in `{template}` is not a token; the tokens are {}",
        known.join(" ")
    )
}

/// Checks that the tokens tell every two periods apart.
fn require_tokens(
    template: &str,
    period: Period,
    has: impl Fn(Token) -> bool,
) -> Result<(), String> {
    let year = has(Token::Year);
    let month = year && has(Token::Month);
    let day = (month && has(Token::Day)) || (year && has(Token::DayOfYear));
    let (enough, wanted) = match period {
        Period::Year => (year, "{YYYY}"),
        Period::Quarter => (
            month || day || (year && has(Token::Quarter)),
            "{YYYY} and {Q}",
        ),
        Period::Month => (month || day, "{YYYY} and {MM}"),
        Period::Week => (
            day || (has(Token::IsoYear) && has(Token::IsoWeek)),
            "{IYYY} and {IW}",
        ),
        Period::Day => (day, "{YYYY}, {MM} and {DD}"),
        Period::Hour => (day && has(Token::Hour), "{YYYY}, {MM}, {DD} and {HH}"),
    };
    if enough {
        Ok(())
    } else {
        Err(format!(
            "`{template}` gives two {period}s the same name; it needs {wanted}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDate;
    use proptest::prelude::*;

    fn at(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDateTime {
        text.parse::<NaiveDate>()
            .unwrap()
            .and_hms_opt(0, 0, 0)
            .unwrap()
    }

    #[test]
    fn default_templates_are_valid_and_name_as_documented() {
        let names = Period::ALL.map(|period| {
            validate(default_template(period), period).unwrap();
            let civil = period.floor(at("2026-08-05T07:30:00"));
            partition_name(default_template(period), "events", civil, None)
        });
        assert_eq!(
            names,
            [
                "events_2026_08_05_07",
                "events_2026_08_05",
                "events_2026_w32",
                "events_2026_08",
                "events_2026_q3",
                "events_2026",
            ]
        );
    }

    #[test]
    fn weeks_are_named_by_their_iso_year() {
        for (monday, name) in [
            ("2020-12-28", "e_2020_w53"),
            ("2021-01-04", "e_2021_w01"),
            ("2024-12-30", "e_2025_w01"),
            ("2026-12-28", "e_2026_w53"),
        ] {
            let template = default_template(Period::Week);
            assert_eq!(partition_name(template, "e", day(monday), None), name);
        }
    }

    #[test]
    fn tokens_and_escapes_are_written_out() {
        let civil = day("2026-02-01");
        let name = |template: &str| partition_name(template, "t", civil, None);
        assert_eq!(name("{{{table}}}_{YYYY}{DDD}"), "{t}_2026032");
        assert_eq!(name("p{YYYY}{MM}{DD}"), "p20260201");
    }

    #[test]
    fn templates_that_cannot_tell_periods_apart_are_refused() {
        for (template, period, part) in [
            ("{table}_{YYYY}", Period::Month, "{MM}"),
            ("{table}_{MM}", Period::Month, "{YYYY}"),
            ("{table}_{IYYY}_{MM}", Period::Month, "{YYYY}"),
            ("{table}_{YYYY}_w{IW}", Period::Week, "{IYYY}"),
            ("{table}_{IYYY}", Period::Year, "{YYYY}"),
            ("{table}_{YYYY}_{DD}", Period::Day, "{MM}"),
            ("{table}_{YYYY}_{MM}_{DD}", Period::Hour, "{HH}"),
            ("{table}_{YYYY}_{IW}", Period::Quarter, "{Q}"),
            ("{table}_{YY}_{MM}", Period::Month, "not a token"),
            ("{table}_{YYYY", Period::Year, "not closed"),
            ("{table}}_{YYYY}", Period::Year, "closes nothing"),
            ("{table}{YYYY}", Period::Year, "needs text between"),
            ("{YYYY}{table}", Period::Year, "needs text between"),
            ("{table}_{table}_{YYYY}", Period::Year, "more than once"),
            ("{YYYY}_", Period::Year, "every table"),
            ("{table}\n{YYYY}", Period::Year, "control"),
        ] {
            let error = validate(template, period).unwrap_err();
            assert!(error.contains(part), "{template}: {error}");
        }
        for (template, period) in [
            ("{table}_{YYYY}{DDD}", Period::Day),
            ("{table}_{YYYY}_{MM}", Period::Quarter),
            ("{table}_{YYYY}_{MM}_{DD}", Period::Week),
            ("events_p{YYYY}_{MM}", Period::Month),
        ] {
            assert_eq!(validate(template, period), Ok(()));
        }
    }

    #[test]
    fn templates_too_long_for_63_bytes_are_refused() {
        let long = format!("{}_{{YYYY}}", "a".repeat(59));
        assert!(
            validate(&long, Period::Year)
                .unwrap_err()
                .contains("64 bytes")
        );
        assert_eq!(validate(&long[1..], Period::Year), Ok(()));
        let long = format!("{{table}}_{}_{{YYYY}}", "a".repeat(48));
        assert!(validate(&long, Period::Year).is_err());
    }

    #[test]
    fn remainders_say_where_they_begin() {
        let name = |from: NaiveDateTime| {
            partition_name("{table}_{YYYY}_{MM}", "e", day("2026-02-01"), Some(from))
        };
        assert_eq!(name(day("2026-02-15")), "e_2026_02_from_20260215");
        assert_eq!(
            name(at("2026-02-15T10:30:00")),
            "e_2026_02_from_20260215t1030"
        );
        assert_eq!(
            name(at("2026-02-15T10:30:05")),
            "e_2026_02_from_20260215t103005"
        );
        assert_eq!(
            name(at("2026-02-15T00:00:00.25")),
            "e_2026_02_from_20260215t000000_250000"
        );
    }

    #[test]
    fn long_tables_keep_the_date_and_do_not_collide() {
        let template = default_template(Period::Month);
        let first = "a".repeat(60) + "one";
        let second = "a".repeat(60) + "two";
        let name = |table: &str| partition_name(template, table, day("2026-02-01"), None);
        assert_eq!(name(&first).len(), 63);
        assert!(name(&first).ends_with("_2026_02"));
        assert_eq!(name(&first), name(&first));
        assert_ne!(name(&first), name(&second));
        // 55 bytes and `_2026_02` just fit.
        assert_eq!(name(&"b".repeat(55)), "b".repeat(55) + "_2026_02");
    }

    #[test]
    fn names_are_cut_between_characters() {
        let name = partition_name(
            default_template(Period::Day),
            &"дом".repeat(10),
            day("2026-02-01"),
            Some(at("2026-02-01T10:30:00")),
        );
        assert!(name.len() <= 63 && name.len() >= 62);
        assert!(name.ends_with("_2026_02_01_from_20260201t1030"));
    }

    #[test]
    fn leaves_keep_the_date_of_their_partition() {
        assert_eq!(leaf_name("events_2026_02", "h0"), "events_2026_02_h0");
        let partition = partition_name(
            default_template(Period::Month),
            &"a".repeat(63),
            day("2026-02-01"),
            Some(day("2026-02-15")),
        );
        let leaf = leaf_name(&partition, "default");
        assert_eq!(leaf.len(), 63);
        assert!(leaf.ends_with("_2026_02_from_20260215_default"), "{leaf}");
        assert_ne!(leaf, leaf_name(&partition, "default2"));
        assert_eq!(leaf_name(&"x".repeat(63), &"y".repeat(63)).len(), 63);
    }

    proptest! {
        #[test]
        fn names_fit_and_differ(
            table in "[a-z_é]{1,40}", other in "[a-z_é]{1,40}",
            days in 0_u64..10_000, remainder in any::<bool>(), suffix in "[a-z0-9]{1,12}",
        ) {
            let civil = day("2000-01-01") + chrono::Days::new(days);
            let from = remainder.then(|| civil + chrono::TimeDelta::microseconds(86_399_000_001));
            let template = default_template(Period::Day);
            let name = |table: &str, civil| partition_name(template, table, civil, from);
            let one = name(&table, civil);
            prop_assert!(one.len() <= MAX_NAME_BYTES);
            prop_assert!(leaf_name(&one, &suffix).len() <= MAX_NAME_BYTES);
            prop_assert_ne!(&one, &name(&table, civil + chrono::Days::new(1)));
            prop_assert_eq!(table == other, one == name(&other, civil));
            let dated = civil.format("_%Y_%m_%d").to_string();
            prop_assert!(one.contains(&dated));
        }
    }
}
