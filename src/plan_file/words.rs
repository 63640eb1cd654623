//! Words for what the readers of YAML report: what is wrong, what was expected, what to do.

use super::diagnose::{Diagnostic, Spot};
use super::document::Document;
use super::position::{Path, Place, Step, Unreadable};
use super::read::{Fault, FaultKind, list};
use super::suggest::nearest;

/// Words that people bring from elsewhere, and what they are called here.
const SYNONYMS: [(&str, &str); 18] = [
    ("hourly", "hour"),
    ("daily", "day"),
    ("weekly", "week"),
    ("monthly", "month"),
    ("quarterly", "quarter"),
    ("yearly", "year"),
    ("annual", "year"),
    ("interval", "every"),
    ("period", "every"),
    ("retention", "retain"),
    ("parent_table", "table"),
    ("control", "column"),
    ("delete", "drop"),
    ("where_clause", "where"),
    ("using", "method"),
    ("timezone", "time_zone"),
    ("ahead", "premake"),
    ("warning", "warn"),
];

/// Words a fault of the types.
pub(super) fn fault(document: &Document, fault: &Fault) -> Diagnostic {
    let path = &fault.path;
    match &fault.kind {
        FaultKind::UnknownKey { key, known } => unknown_key(document, path, key, known),
        FaultKind::UnknownChoice { word, known } if last_key(path) == Some(word) => {
            // The choice was written as the key of a mapping: `sub: { range: … }`.
            let holder = parent(path);
            with_help(
                Diagnostic::error(format!("`{word}` is not a choice for {}", name_of(&holder)))
                    .spot(document.spot_key(path, &format!("expected one of {}", list(known)))),
                meant(word, known),
            )
        }
        FaultKind::UnknownChoice { word, known } => with_help(
            Diagnostic::error(format!("`{word}` is not a choice for {}", name_of(path)))
                .spot(document.spot(path, &format!("expected one of {}", list(known)))),
            meant(word, known),
        ),
        FaultKind::MissingKey { key } => {
            let diagnostic = Diagnostic::error(format!("`{key}` is missing{}", inside(path)))
                .spot(document.spot_first(path, &format!("no `{key}` in this entry")));
            match example(key) {
                Some(example) => diagnostic.help(format!("add it, for example `{key}: {example}`")),
                None => diagnostic,
            }
        }
        FaultKind::WrongType { found, expected } => {
            let diagnostic = Diagnostic::error(format!("{} takes {expected}", name_of(path)))
                .spot(document.spot(path, &format!("found {found}")));
            let key = last_key(path).unwrap_or_default();
            if found == "a mapping" && expected == "text" {
                diagnostic.help("put quotes around text that begins with `{`: \"{table}_{YYYY}\"")
            } else if let Some(example) = example(key) {
                diagnostic.help(format!("write for example `{key}: {example}`"))
            } else {
                diagnostic
            }
        }
        FaultKind::NoValue => Diagnostic::error(format!("{} has no value", name_of(path)))
            .spot(document.spot_key(path, "a value is missing"))
            .help("give it a value, or remove the key"),
        FaultKind::Other(text) => {
            let (what, help) = split_help(text);
            with_help(
                Diagnostic::error(format!("{}: {what}", name_of(path)))
                    .spot(document.spot(path, "")),
                help,
            )
        }
    }
}

fn with_help(diagnostic: Diagnostic, help: Option<impl AsRef<str>>) -> Diagnostic {
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

fn parent(path: &Path) -> Path {
    let above = path.0.len().saturating_sub(1);
    Path(path.0.iter().take(above).cloned().collect())
}

fn unknown_key(document: &Document, path: &Path, key: &str, known: &[&str]) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("unknown key `{key}`{}", inside(&parent(path))))
        .spot(document.spot_key(path, "not known here"));
    let lower = key.to_lowercase();
    let secret = ["password", "passwd", "pwd", "secret", "token"]
        .iter()
        .any(|word| lower.contains(word));
    if secret && matches!(path.0.first(), Some(Step::Key(section)) if section == "targets") {
        return diagnostic.help(
            "plan files hold no secrets; name an environment variable with `url_env`, or a \
             section of pg_service.conf with `service`",
        );
    }
    diagnostic
        .help(meant(key, known).unwrap_or_else(|| format!("keys known here: {}", list(known))))
}

/// Returns the known word that a person most likely meant.
pub(super) fn meant_word<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_lowercase();
    SYNONYMS
        .iter()
        .filter(|(other, _)| *other == lower)
        .find_map(|(_, here)| known.iter().find(|word| *word == here).copied())
        .or_else(|| nearest(word, known.iter().copied()))
}

fn meant(word: &str, known: &[&str]) -> Option<String> {
    meant_word(word, known).map(|found| format!("did you mean `{found}`?"))
}

fn last_key(path: &Path) -> Option<&str> {
    path.0.iter().rev().find_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) => None,
    })
}

/// Names what a path leads to: the key, or "an entry of `columns`".
fn name_of(path: &Path) -> String {
    match (path.0.last(), last_key(path)) {
        (Some(Step::Key(key)), _) => format!("`{key}`"),
        (Some(Step::Index(_)), Some(key)) => format!("an entry of `{key}`"),
        _ => "the plan file".to_owned(),
    }
}

fn inside(path: &Path) -> String {
    if path.0.is_empty() {
        String::new()
    } else {
        format!(" in `{path}`")
    }
}

/// Takes "what is wrong; what to do" apart, as the `FromStr` of the types words it.
fn split_help(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once("; ") {
        Some((what, help))
            if ["write ", "use ", "did you mean ", "remove ", "names "]
                .iter()
                .any(|verb| help.starts_with(verb)) =>
        {
            (what, Some(help))
        }
        _ => (text, None),
    }
}

fn example(key: &str) -> Option<&'static str> {
    Some(match key {
        "version" => "1",
        "table" => "public.events",
        "every" => "month",
        "premake" => "3",
        "retain" => "24 months",
        "grace" => "7 days",
        "time_zone" => "Europe/Berlin",
        "name" => "main",
        "column" => "created_at",
        "columns" => "[tenant_id, created_at]",
        "start" => "2026-01-01",
        "modulus" => "8",
        "max_block" => "100ms",
        "apply_delay" => "5s",
        "upstream" => "primary",
        "labels" => "{ team: data }",
        "give_up_after" => "60s",
        "primary" => "{ url_env: DATABASE_URL }",
        "values" => "{ eu: [de, fr], us: [us] }",
        "id" => "repl.lag",
        "metric" => "replica.visible_lag",
        "warn" | "critical" | "clear" => "\"> 100ms\"",
        "for" => "60s",
        "unique" | "default" | "nulls_not_distinct" => "true",
        "include" => "[status]",
        "match" => "{ use: analytics }",
        "allow" => "[drops-data]",
        "all" => "[repl.streaming, repl.lag]",
        "group" => "replica",
        "never_empty" => "{ group: replica, keep: 1 }",
        _ => return None,
    })
}

/// Words a syntax error that has no tree of places.
pub(super) fn syntax(file: &str, text: &str, unreadable: Unreadable) -> Diagnostic {
    let Unreadable {
        place,
        message,
        help,
    } = unreadable;
    match help {
        Some(help) => Diagnostic::error(message)
            .spot(Spot::new(file, text, place, "here"))
            .help(help),
        None => explain(file, text, place, &message),
    }
}

/// Words an error of the YAML reader itself.
pub(super) fn yaml(file: &str, text: &str, error: &serde_yaml::Error) -> Diagnostic {
    let place = error.location().map_or(
        Place {
            line: 1,
            start: 0,
            end: usize::MAX,
        },
        |at| Place {
            line: at.line(),
            start: at.column().saturating_sub(1),
            end: at.column(),
        },
    );
    let message = error.to_string();
    let message = message
        .split_once(" at line ")
        .map_or(message.as_str(), |(what, _)| what);
    if message.contains("repetition limit") {
        return Diagnostic::error("the aliases of this file repeat too much")
            .spot(Spot::new(file, text, place, ""))
            .help("use aliases of short values only");
    }
    explain(file, text, place, message)
}

fn explain(file: &str, text: &str, place: Place, message: &str) -> Diagnostic {
    // The parser often notices a line or more after the cause, so the lines before are looked at.
    let first = place.line.saturating_sub(3);
    let near = text
        .lines()
        .enumerate()
        .skip(first)
        .take(place.line + 1 - first);
    let mut cause = None;
    for (at, line) in near {
        if let Some((column, help)) = usual_cause(line) {
            let place = Place {
                line: at + 1,
                start: column,
                end: column + 1,
            };
            cause = Some((place, help));
        }
    }
    match cause {
        Some((place, help)) => Diagnostic::error("this is not YAML")
            .spot(Spot::new(file, text, place, message))
            .help(help),
        None => Diagnostic::error("this is not YAML")
            .spot(Spot::new(file, text, place, message))
            .help("look at the indentation, the quotes and the brackets of this line and the one before"),
    }
}

/// Returns the column and the advice for what most often breaks a line of YAML.
fn usual_cause(line: &str) -> Option<(usize, &'static str)> {
    let indent = line.len() - line.trim_start().len();
    if let Some(tab) = line.get(..indent)?.find('\t') {
        return Some((tab, "indent with spaces; YAML allows no tabs there"));
    }
    let colon = line.find(": ")?;
    let value = line.get(colon + 2..)?;
    let column = line
        .get(..line.len() - value.trim_start().len())?
        .chars()
        .count();
    let value = value.trim();
    let mut chars = value.chars();
    match (chars.next()?, chars.next()) {
        ('>', Some(next)) if next != '-' && next != '+' => Some((
            column,
            "put quotes around text that begins with `>`: \"> 100ms\"",
        )),
        ('{', _) if !value.ends_with('}') || value.contains("}_") => Some((
            column,
            "put quotes around text that begins with `{`: \"{table}_{YYYY}\"",
        )),
        ('%' | '@' | '`', _) => Some((
            column,
            "put quotes around text that begins with this character",
        )),
        _ => None,
    }
}
