//! The name template that existing partitions follow: candidates are cut out of their names and
//! proved by rendering every name again.

use chrono::NaiveDateTime;

use crate::changes::names::{default_template, partition_name, validate};
use crate::changes::period::Period;

/// Names that candidates are cut out of; every candidate is then tried on all names.
const SAMPLES: usize = 3;

/// What the names of existing partitions show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recognised {
    /// The template; `None`: at least two thirds of the names follow none that dbops knows.
    pub(super) template: Option<String>,
    /// How many names follow it.
    pub(super) following: usize,
}

/// Finds the template that most of the names follow: at least two thirds. The default one wins
/// over others that fit as many.
///
/// `named` holds names with the civil beginning of their period, oldest first.
pub(super) fn recognise(
    table: &str,
    period: Period,
    named: &[(&str, NaiveDateTime)],
) -> Recognised {
    let mut best = (default_template(period).to_owned(), 0);
    let newest = named.iter().rev().take(SAMPLES);
    let cut = newest.flat_map(|&(name, civil)| candidates(table, period, name, civil));
    for template in std::iter::once(best.0.clone()).chain(cut) {
        if validate(&template, period).is_err() {
            continue;
        }
        let following = named
            .iter()
            .filter(|&&(name, civil)| partition_name(&template, table, civil, None) == name)
            .count();
        if following > best.1 {
            best = (template, following);
        }
    }
    let enough = best.1 > 0 && best.1 * 3 >= named.len() * 2;
    Recognised {
        template: enough.then_some(best.0),
        following: best.1,
    }
}

/// Cuts the date out of a name in every form it may have, the longest first: `20260101` is a date
/// before it is a month with `01` behind it.
fn candidates(table: &str, period: Period, name: &str, civil: NaiveDateTime) -> Vec<String> {
    forms(period)
        .into_iter()
        .filter_map(|form| {
            let date = partition_name(&form, "", civil, None);
            let at = name.rfind(&date)?;
            let (head, tail) = (&name[..at], &name[at + date.len()..]);
            Some(match (with_table(head, table), with_table(tail, table)) {
                (Some(head), _) => format!("{head}{form}{}", escaped(tail)),
                (None, Some(tail)) => format!("{}{form}{tail}", escaped(head)),
                (None, None) => format!("{}{form}{}", escaped(head), escaped(tail)),
            })
        })
        .collect()
}

fn with_table(text: &str, table: &str) -> Option<String> {
    let at = text.find(table).filter(|_| !table.is_empty())?;
    let (head, tail) = (&text[..at], &text[at + table.len()..]);
    Some(format!("{}{{table}}{}", escaped(head), escaped(tail)))
}

fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// The forms of a date that tell the periods of one length apart.
fn forms(period: Period) -> Vec<String> {
    // A part of a date, and the letter that some put before it.
    const YEAR: (&str, &str) = ("{YYYY}", "");
    const MONTH: (&str, &str) = ("{MM}", "m");
    const DAY: (&str, &str) = ("{DD}", "d");
    const LETTERS: [fn(&str) -> String; 3] = [
        |letter| letter.to_owned(),
        |letter| letter.to_uppercase(),
        |_| String::new(),
    ];
    let date = vec![YEAR, MONTH, DAY];
    let orders: Vec<Vec<(&str, &str)>> = match period {
        Period::Hour => vec![vec![YEAR, MONTH, DAY, ("{HH}", "h")]],
        Period::Day => vec![date, vec![DAY, MONTH, YEAR], vec![YEAR, ("{DDD}", "d")]],
        Period::Week => vec![date, vec![("{IYYY}", ""), ("{IW}", "w")]],
        Period::Month => vec![date, vec![YEAR, MONTH], vec![MONTH, YEAR]],
        Period::Quarter => vec![date, vec![YEAR, MONTH], vec![YEAR, ("{Q}", "q")]],
        Period::Year => vec![date, vec![YEAR, MONTH], vec![YEAR]],
    };
    let mut forms = Vec::new();
    for parts in orders {
        for separator in ["_", "-", "", "."] {
            for letters in LETTERS {
                let parts: Vec<String> = parts
                    .iter()
                    .map(|(token, letter)| format!("{}{token}", letters(letter)))
                    .collect();
                forms.push(parts.join(separator));
                // A time is often set apart from its date: 20260101_07.
                if let [date @ .., hour] = parts.as_slice()
                    && period == Period::Hour
                {
                    for between in ["_", "-", "t", "T", "_t"] {
                        forms.push(format!("{}{between}{hour}", date.join(separator)));
                    }
                }
            }
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    fn of(table: &str, period: Period, names: &[(&str, &str)]) -> Option<String> {
        let named: Vec<_> = names
            .iter()
            .map(|&(name, civil)| (name, at(civil)))
            .collect();
        recognise(table, period, &named).template
    }

    #[test]
    fn templates_in_use_are_recognised() {
        for (period, names, template) in [
            (
                Period::Month,
                ["e_2026_01", "e_2026_02"],
                "{table}_{YYYY}_{MM}",
            ),
            (
                Period::Month,
                ["e_p2026_01", "e_p2026_02"],
                "{table}_p{YYYY}_{MM}",
            ),
            (
                Period::Month,
                ["e_y2026m01", "e_y2026m02"],
                "{table}_y{YYYY}m{MM}",
            ),
            (
                Period::Month,
                ["e_202601", "e_202602"],
                "{table}_{YYYY}{MM}",
            ),
            (
                Period::Month,
                ["e_20260101", "e_20260201"],
                "{table}_{YYYY}{MM}{DD}",
            ),
            (
                Period::Month,
                ["e-01-2026", "e-02-2026"],
                "{table}-{MM}-{YYYY}",
            ),
            (
                Period::Month,
                ["p202601_e", "p202602_e"],
                "p{YYYY}{MM}_{table}",
            ),
            (
                Period::Month,
                ["arch2026M01", "arch2026M02"],
                "arch{YYYY}M{MM}",
            ),
            (
                Period::Month,
                ["e_{2026_01}", "e_{2026_02}"],
                "{table}_{{{YYYY}_{MM}}}",
            ),
        ] {
            let named = [
                (names[0], "2026-01-01T00:00:00"),
                (names[1], "2026-02-01T00:00:00"),
            ];
            assert_eq!(of("e", period, &named).as_deref(), Some(template));
        }
        for (period, name, civil, template) in [
            (
                Period::Week,
                "e_2026w53",
                "2026-12-28T00:00:00",
                "{table}_{IYYY}w{IW}",
            ),
            (
                Period::Week,
                "e_p2026_12_28",
                "2026-12-28T00:00:00",
                "{table}_p{YYYY}_{MM}_{DD}",
            ),
            (
                Period::Quarter,
                "e_p2026q2",
                "2026-04-01T00:00:00",
                "{table}_p{YYYY}q{Q}",
            ),
            (
                Period::Year,
                "e_y2026",
                "2026-01-01T00:00:00",
                "{table}_y{YYYY}",
            ),
            (
                Period::Day,
                "e_p20260102",
                "2026-01-02T00:00:00",
                "{table}_p{YYYY}{MM}{DD}",
            ),
            (
                Period::Hour,
                "e_p2026_01_02_0700",
                "2026-01-02T07:00:00",
                "{table}_p{YYYY}_{MM}_{DD}_{HH}00",
            ),
            (
                Period::Hour,
                "e_20260102_07",
                "2026-01-02T07:00:00",
                "{table}_{YYYY}{MM}{DD}_{HH}",
            ),
        ] {
            assert_eq!(of("e", period, &[(name, civil)]).as_deref(), Some(template));
        }
    }

    #[test]
    fn names_without_a_date_or_with_another_one_are_not() {
        let named = [
            ("e_1", "2026-01-01T00:00:00"),
            ("e_2", "2026-02-01T00:00:00"),
        ];
        assert_eq!(of("e", Period::Month, &named), None);
        let shifted = [
            ("e_2026_02", "2026-01-01T00:00:00"),
            ("e_2026_03", "2026-02-01T00:00:00"),
        ];
        assert_eq!(of("e", Period::Month, &shifted), None);
        // Nothing that tells one table's partitions from another's.
        assert_eq!(
            of("e", Period::Month, &[("2026_01", "2026-01-01T00:00:00")]),
            None
        );
        assert_eq!(of("e", Period::Month, &[]), None);
    }

    #[test]
    fn two_thirds_of_the_names_decide() {
        let mut named = vec![
            ("e_p2026_01", "2026-01-01T00:00:00"),
            ("e_p2026_02", "2026-02-01T00:00:00"),
            ("march", "2026-03-01T00:00:00"),
        ];
        let template = Some("{table}_p{YYYY}_{MM}".to_owned());
        assert_eq!(of("e", Period::Month, &named), template);
        named.push(("april", "2026-04-01T00:00:00"));
        assert_eq!(of("e", Period::Month, &named), None);
    }

    #[test]
    fn names_cut_to_63_bytes_follow_the_default() {
        let table = "t".repeat(63);
        let civil = at("2026-01-01T00:00:00");
        let name = partition_name(default_template(Period::Month), &table, civil, None);
        let found = recognise(&table, Period::Month, &[(&name, civil)]);
        assert_eq!(found.template.as_deref(), Some("{table}_{YYYY}_{MM}"));
    }

    proptest! {
        #[test]
        fn whatever_is_recognised_renders_the_names(
            table in "\\PC{1,12}", head in "\\PC{0,6}", tail in "\\PC{0,6}", days in 0_u64..9_000,
        ) {
            let civil = Period::Month.floor(at("2001-01-01T00:00:00") + chrono::Days::new(days));
            let name = format!("{head}{table}_{}{tail}", civil.format("%Y%m"));
            if let Some(template) = recognise(&table, Period::Month, &[(&name, civil)]).template {
                prop_assert_eq!(validate(&template, Period::Month), Ok(()));
                prop_assert_eq!(partition_name(&template, &table, civil, None), name);
            }
        }
    }
}
