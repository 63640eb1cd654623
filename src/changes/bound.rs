//! Partition bounds as `pg_get_expr(relpartbound)` prints them, read into data.

use super::key::{Axis, Bound};

/// A partition's bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundSpec {
    /// The DEFAULT partition.
    Default,
    /// A range; `from` is inside it, `to` is not.
    Range {
        /// Lower end, one datum a key column.
        from: Vec<BoundDatum>,
        /// Upper end, one datum a key column.
        to: Vec<BoundDatum>,
    },
    /// Any other bound (list, hash) or a text that could not be read, as it was printed.
    Other(String),
}

/// One column of a range's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundDatum {
    /// `MINVALUE`.
    Min,
    /// `MAXVALUE`.
    Max,
    /// A literal without its quotes.
    Value(String),
}

/// Reads a bound; what is neither DEFAULT nor a range comes back as `Other`.
pub fn parse_bound(text: &str) -> BoundSpec {
    let trimmed = text.trim();
    if trimmed.eq_ignore_ascii_case("DEFAULT") {
        return BoundSpec::Default;
    }
    let mut reader = Reader { rest: trimmed };
    match reader.range() {
        Some((from, to)) => BoundSpec::Range { from, to },
        None => BoundSpec::Other(text.to_owned()),
    }
}

/// Returns the range on the first key column.
///
/// # Errors
/// Says why the bound is not a range on the first key column alone: DEFAULT, list or hash, a
/// further column with a value, or a value that is not of the axis.
pub fn range_on(axis: Axis, spec: &BoundSpec) -> Result<(Bound, Bound), String> {
    match spec {
        BoundSpec::Default => Err("the DEFAULT partition has no range".to_owned()),
        BoundSpec::Other(text) => Err(format!("`{text}` is not a range bound")),
        BoundSpec::Range { from, to } => {
            let range = (end_on(axis, from)?, end_on(axis, to)?);
            if range.0 < range.1 {
                Ok(range)
            } else {
                Err(format!(
                    "the range from {} to {} is empty on the first key column",
                    ends(from),
                    ends(to)
                ))
            }
        }
    }
}

/// Reads one end. With MINVALUE in every further column it is the value itself, with MAXVALUE the
/// next value, because both ends compare whole rows and every type managed is discrete.
fn end_on(axis: Axis, end: &[BoundDatum]) -> Result<Bound, String> {
    let Some((first, further)) = end.split_first() else {
        return Err("the bound has no column".to_owned());
    };
    let value = match first {
        BoundDatum::Min => return Ok(Bound::Min),
        BoundDatum::Max => return Ok(Bound::Max),
        BoundDatum::Value(text) => axis.parse(text)?,
    };
    // The first MINVALUE or MAXVALUE decides: no row differs after it.
    match further.first() {
        None | Some(BoundDatum::Min) => Ok(Bound::Value(value)),
        Some(BoundDatum::Max) => axis.successor(value).map(Bound::Value).ok_or_else(|| {
            format!(
                "no value of the first key column follows that of {}",
                ends(end)
            )
        }),
        Some(BoundDatum::Value(_)) => Err(format!(
            "the bound {} divides rows by more than the first key column",
            ends(end)
        )),
    }
}

fn ends(end: &[BoundDatum]) -> String {
    let data: Vec<&str> = end
        .iter()
        .map(|datum| match datum {
            BoundDatum::Min => "MINVALUE",
            BoundDatum::Max => "MAXVALUE",
            BoundDatum::Value(text) => text,
        })
        .collect();
    format!("({})", data.join(", "))
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn range(&mut self) -> Option<(Vec<BoundDatum>, Vec<BoundDatum>)> {
        for word in ["FOR", "VALUES", "FROM"] {
            self.word(word)?;
        }
        let from = self.tuple()?;
        self.word("TO")?;
        let to = self.tuple()?;
        (self.rest.trim().is_empty() && from.len() == to.len()).then_some((from, to))
    }

    fn tuple(&mut self) -> Option<Vec<BoundDatum>> {
        self.symbol('(')?;
        let mut data = Vec::new();
        loop {
            data.push(self.datum()?);
            if self.symbol(',').is_none() {
                self.symbol(')')?;
                return Some(data);
            }
        }
    }

    fn datum(&mut self) -> Option<BoundDatum> {
        self.rest = self.rest.trim_start();
        if let Some(rest) = self.rest.strip_prefix('\'') {
            return self.quoted(rest, Escapes::Plain);
        }
        if let Some(rest) = self.rest.strip_prefix("E'") {
            return self.quoted(rest, Escapes::Backslash);
        }
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_')))
            .unwrap_or(self.rest.len());
        let (bare, rest) = self.rest.split_at(end);
        self.rest = rest;
        match bare {
            "" | "NULL" => None,
            "MINVALUE" => Some(BoundDatum::Min),
            "MAXVALUE" => Some(BoundDatum::Max),
            _ => Some(BoundDatum::Value(bare.to_owned())),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Plain,
    Backslash,
}

impl<'a> Reader<'a> {
    fn word(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(word)?;
        Some(())
    }

    fn symbol(&mut self, symbol: char) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(symbol)?;
        Some(())
    }

    /// Reads up to the closing quote; the opening one is already taken off.
    fn quoted(&mut self, text: &'a str, escapes: Escapes) -> Option<BoundDatum> {
        let mut value = String::new();
        let mut chars = text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' if chars.peek().is_some_and(|&(_, next)| next == '\'') => {
                    chars.next();
                    value.push('\'');
                }
                '\'' => {
                    self.rest = &text[at + 1..];
                    return Some(BoundDatum::Value(value));
                }
                '\\' if escapes == Escapes::Backslash => match chars.next()?.1 {
                    escaped @ ('\\' | '\'') => value.push(escaped),
                    // Other escapes do not occur in bounds; the text is handed back unread.
                    _ => return None,
                },
                _ => value.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> BoundDatum {
        BoundDatum::Value(text.to_owned())
    }

    fn range(from: &[BoundDatum], to: &[BoundDatum]) -> BoundSpec {
        BoundSpec::Range {
            from: from.to_vec(),
            to: to.to_vec(),
        }
    }

    #[test]
    fn ranges_are_read_in_every_form_the_server_prints() {
        let cases = [
            (
                "FOR VALUES FROM ('2026-02-01 00:00:00+00') TO ('2026-03-01 00:00:00+00')",
                range(
                    &[value("2026-02-01 00:00:00+00")],
                    &[value("2026-03-01 00:00:00+00")],
                ),
            ),
            (
                "FOR VALUES FROM (MINVALUE) TO (MAXVALUE)",
                range(&[BoundDatum::Min], &[BoundDatum::Max]),
            ),
            (
                "FOR VALUES FROM (10, 'a', MINVALUE) TO ('-20', 'it''s, (x) \\ y', MAXVALUE)",
                range(
                    &[value("10"), value("a"), BoundDatum::Min],
                    &[value("-20"), value("it's, (x) \\ y"), BoundDatum::Max],
                ),
            ),
            (
                "FOR VALUES FROM (-5, 1.5) TO (E'a\\\\b\\'c', true)",
                range(
                    &[value("-5"), value("1.5")],
                    &[value("a\\b'c"), value("true")],
                ),
            ),
            (
                "FOR VALUES FROM ('MINVALUE') TO ('')",
                range(&[value("MINVALUE")], &[value("")]),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_bound(text), expected, "{text}");
        }
        assert_eq!(parse_bound("DEFAULT"), BoundSpec::Default);
    }

    #[test]
    fn what_is_not_a_range_is_handed_back_whole() {
        for text in [
            "FOR VALUES WITH (modulus 4, remainder 0)",
            "FOR VALUES IN ('eu', 'us', NULL)",
            "FOR VALUES FROM ('a') TO ('b",
            "FOR VALUES FROM ('a') TO ('b') AND MORE",
            "FOR VALUES FROM ('a', 'b') TO ('c')",
            "FOR VALUES FROM () TO ()",
            "FOR VALUES FROM ('a'::text) TO ('b'::text)",
            "FOR VALUES FROM (E'\\x41') TO ('b')",
            "FOR VALUES FROM (E'\\",
            "FOR VALUES FROM (NULL) TO (1)",
            "FOR VALUES FROM (é) TO (1)",
            "",
        ] {
            assert_eq!(parse_bound(text), BoundSpec::Other(text.to_owned()));
        }
    }

    #[test]
    fn further_columns_are_exact_only_at_their_ends() {
        let on = |from: &[BoundDatum], to: &[BoundDatum]| range_on(Axis::EpochS, &range(from, to));
        let (min, max) = (BoundDatum::Min, BoundDatum::Max);
        assert_eq!(
            on(&[value("10"), min.clone()], &[value("20"), min.clone()]),
            Ok((Bound::Value(10), Bound::Value(20)))
        );
        // Rows with 20 are inside an upper end of (20, MAXVALUE), so 21 is the exact end.
        assert_eq!(
            on(&[value("10"), max.clone()], &[value("20"), max.clone()]),
            Ok((Bound::Value(11), Bound::Value(21)))
        );
        assert_eq!(
            on(&[min.clone(), min.clone()], &[max.clone(), max.clone()]),
            Ok((Bound::Min, Bound::Max))
        );
        let error = on(&[value("10"), value("1")], &[value("20"), min]).unwrap_err();
        assert!(error.contains("(10, 1)"), "{error}");
        assert!(on(&[value("10"), max.clone()], &[value("11"), BoundDatum::Min]).is_err());
        assert!(
            range_on(
                Axis::Date,
                &range(
                    &[value("2026-01-01"), max.clone()],
                    &[value("infinity"), max]
                )
            )
            .is_err()
        );
    }

    #[test]
    fn bounds_that_are_no_range_say_so() {
        for (text, part) in [
            ("DEFAULT", "DEFAULT"),
            ("FOR VALUES IN (1)", "not a range"),
            ("FOR VALUES FROM ('x') TO ('y')", "`x` is not a date"),
        ] {
            let error = range_on(Axis::Date, &parse_bound(text)).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
