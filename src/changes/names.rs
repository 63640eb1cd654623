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

/// Returns the name of a sub-partition: the partition's name and a suffix such as `_h0`, cut like
/// `partition_name` where it would be over 63 bytes.
pub fn leaf_name(partition: &str, suffix: &str) -> String {
    let (name, date) = partition.split_at(date_at(partition));
    fit("", name, &format!("{date}{suffix}"))
}

/// Joins the three parts, cutting the middle one to fit.
fn fit(head: &str, middle: &str, tail: &str) -> String {
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
