//! When a job runs: a cron expression, checked, and what systemd writes for it.

use std::fmt;
use std::str::FromStr;

/// A cron expression of five fields, or one of `@hourly` … `@yearly`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    text: String,
    fields: Box<[Vec<Item>; 5]>,
}

/// One part of a field between commas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    /// First and last value; `None`: every value.
    range: Option<(u32, u32)>,
    step: u32,
}

struct FieldRule {
    name: &'static str,
    first: u32,
    last: u32,
    words: &'static [&'static str],
}

const RULES: [FieldRule; 5] = [
    FieldRule {
        name: "minute",
        first: 0,
        last: 59,
        words: &[],
    },
    FieldRule {
        name: "hour",
        first: 0,
        last: 23,
        words: &[],
    },
    FieldRule {
        name: "day of month",
        first: 1,
        last: 31,
        words: &[],
    },
    FieldRule {
        name: "month",
        first: 1,
        last: 12,
        words: &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    FieldRule {
        name: "day of week",
        first: 0,
        last: 7,
        words: &WEEKDAYS,
    },
];

const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const SHORT: [(&str, &str); 6] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
];

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let text = SHORT
            .iter()
            .find(|(short, _)| *short == text)
            .map_or(text, |(_, long)| long);
        let words: Vec<&str> = text.split_whitespace().collect();
        let Ok(words) = <[&str; 5]>::try_from(words.clone()) else {
            return Err(format!(
                "`{text}` has {} fields; write five, `minute hour day-of-month month day-of-week`, or @daily",
                words.len()
            ));
        };
        let mut fields = [const { Vec::new() }; 5];
        for ((word, rule), field) in words.iter().zip(&RULES).zip(&mut fields) {
            *field = word
                .split(',')
                .map(|part| item(part, rule))
                .collect::<Result<_, _>>()?;
        }
        Ok(Self {
            text: words.join(" "),
            fields: Box::new(fields),
        })
    }
}

/// Displays the five fields.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl When {
    /// Returns the calendar event that systemd has for it: `*-*-* 03:07:00`.
    ///
    /// # Errors
    /// Says that days of the month and of the week are both given: cron runs on either, systemd
    /// only where both meet.
    pub fn on_calendar(&self) -> Result<String, String> {
        let [minute, hour, day, month, weekday] = self.fields.as_ref();
        let weekdays = weekdays(weekday);
        let any_day = day.iter().any(|item| item.range.is_none());
        if weekdays.is_some() && !any_day {
            return Err(format!(
                "`{self}` gives days of the month and of the week; cron runs on either, systemd cannot say that"
            ));
        }
        let weekdays = weekdays.map_or(String::new(), |days| format!("{days} "));
        Ok(format!(
            "{weekdays}*-{}-{} {}:{}:00",
            systemd(month, 1),
            systemd(day, 1),
            systemd(hour, 0),
            systemd(minute, 0)
        ))
    }
}

fn item(part: &str, rule: &FieldRule) -> Result<Item, String> {
    let wrong = || {
        format!(
            "`{part}` is no {}: write *, a number from {} to {}, a range or a step such as */2",
            rule.name, rule.first, rule.last
        )
    };
    let number = |text: &str| -> Result<u32, String> {
        let lower = text.to_lowercase();
        if let Some(at) = rule.words.iter().position(|word| *word == lower) {
            return Ok(rule.first + u32::try_from(at).unwrap_or_default());
        }
        text.parse()
            .ok()
            .filter(|value| (rule.first..=rule.last).contains(value))
            .filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(wrong)
    };
    let (range, step) = match part.split_once('/') {
        None => (part, None),
        Some((range, step)) => {
            let step = step.parse::<u32>().ok().filter(|step| *step > 0);
            (range, Some(step.ok_or_else(wrong)?))
        }
    };
    let range = match range.split_once('-') {
        _ if range == "*" => None,
        Some((from, to)) => {
            let (from, to) = (number(from)?, number(to)?);
            if from > to {
                return Err(wrong());
            }
            Some((from, to))
        }
        None => {
            let from = number(range)?;
            Some((from, if step.is_some() { rule.last } else { from }))
        }
    };
    Ok(Item {
        range,
        step: step.unwrap_or(1),
    })
}

fn systemd(items: &[Item], first: u32) -> String {
    let parts: Vec<String> = items
        .iter()
        .map(|item| match (item.range, item.step) {
            (None, 1) => "*".to_owned(),
            (None, step) => format!("{first:02}/{step}"),
            (Some((from, to)), _) if from == to => format!("{from:02}"),
            (Some((from, to)), 1) => format!("{from:02}..{to:02}"),
            (Some((from, to)), step) => format!("{from:02}..{to:02}/{step}"),
        })
        .collect();
    if parts.iter().any(|part| part == "*") {
        return "*".to_owned();
    }
    parts.join(",")
}

/// The days named, Monday first; `None` where every day is meant.
fn weekdays(items: &[Item]) -> Option<String> {
    if items
        .iter()
        .any(|item| item.range.is_none() && item.step == 1)
    {
        return None;
    }
    let on = |day: usize| {
        items.iter().any(|item| {
            let (from, to) = item.range.unwrap_or((0, 6));
            (from..=to)
                .step_by(usize::try_from(item.step).unwrap_or(1))
                .any(|value| value % 7 == u32::try_from(day).unwrap_or_default())
        })
    };
    let days: Vec<String> = [1, 2, 3, 4, 5, 6, 0]
        .into_iter()
        .filter(|&day| on(day))
        .map(|day| {
            let (first, rest) = WEEKDAYS[day].split_at(1);
            first.to_uppercase() + rest
        })
        .collect();
    Some(days.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(text: &str) -> Result<String, String> {
        text.parse::<When>()?.on_calendar()
    }

    #[test]
    fn cron_expressions_become_calendar_events() {
        for (cron, event) in [
            ("7 3 * * *", "*-*-* 03:07:00"),
            ("@monthly", "*-*-01 00:00:00"),
            ("*/15 * * * *", "*-*-* *:00/15:00"),
            ("0 8-18/2 1,15 jan *", "*-01-01,15 08..18/2:00:00"),
            ("30 4 * * mon-fri", "Mon,Tue,Wed,Thu,Fri *-*-* 04:30:00"),
            ("30 4 * * 6,7", "Sat,Sun *-*-* 04:30:00"),
        ] {
            assert_eq!(calendar(cron).as_deref(), Ok(event), "{cron}");
        }
    }

    #[test]
    fn what_cron_or_systemd_cannot_say_is_refused() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "+1 * * * *",
            "a * * * *",
            "@reboot",
        ] {
            assert!(text.parse::<When>().is_err(), "{text:?} was accepted");
        }
        assert!(calendar("0 0 1 * mon").is_err());
    }
}
