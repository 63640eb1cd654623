//! A first plan file, with a comment wherever a person has something to decide.

use std::fmt::Write as _;

use chrono::{NaiveDateTime, NaiveTime};
use chrono_tz::Tz;

use super::words::plural;
use crate::changes::names::default_template;
use crate::changes::starter::{Starter, StarterPolicy, StarterTable};
use crate::plan_file::{KeyEncoding, SubPartitions};

/// Returns the text of a plan file that loads.
pub fn yaml(starter: &Starter, database: &str) -> String {
    let mut out = format!(
        "# yaml-language-server: $schema=dbops.schema.json
#
# Made by dbops init from what is in database {}. Look it through, then:
#
#   dbops schema > dbops.schema.json    beside this file: editors complete and check it
#   dbops diff --plan FILE              shows what dbops would create; changes nothing
#   dbops partitions ensure --plan FILE creates it; never drops
#
# Nothing is ever removed by a policy without `retain`. To remove what has expired:
#
#     retain: 24 months    # prune takes partitions that lie wholly before now less this span
#     grace: 7 days        # and drops them this long after they were detached

version: 1

# How the server is reached, unless by DATABASE_URL or the PG* variables:
# targets:
#   main:
#     primary: {{ url_env: DATABASE_URL }}

partitions:
",
        scalar(database)
    );
    if starter.tables.is_empty() {
        out.push_str("  # No table of this database is partitioned by range.\n");
    }
    for (at, table) in starter.tables.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        entry(&mut out, table);
    }
    if !starter.left_out.is_empty() {
        out.push_str("\n# Left out:\n");
        for (table, why) in &starter.left_out {
            let _ = writeln!(out, "#   {}: {}", scalar(&table.to_string()), visible(why));
        }
    }
    out
}

fn entry(out: &mut String, table: &StarterTable) {
    let margin = if table.open.is_some() { "  # " } else { "  " };
    if let Some(why) = &table.open {
        let _ = writeln!(out, "  # Not declared: {}.", visible(why));
    }
    let mut line = |text: String| {
        let _ = writeln!(out, "{margin}{text}");
    };
    line(format!("- table: {}", scalar(&table.table.to_string())));
    match &table.policy {
        None => {
            line("  every: month  # a guess: hour, day, week, month, quarter or year".to_owned())
        }
        Some(policy) => lines(policy).into_iter().for_each(line),
    }
}

/// The lines of an entry after its first one.
fn lines(policy: &StarterPolicy) -> Vec<String> {
    let every = policy.every;
    let mut lines = vec![match policy.partitions {
        (_, 0) => format!("  every: {every}"),
        (all, odd) => format!(
            "  every: {every}  # {odd} of {} are not one {every}",
            plural(all, "partition")
        ),
    }];
    if let Some(key) = policy.key {
        lines.push(format!("  key: {}", encoding(key)));
    }
    if policy.time_zone != Tz::UTC {
        lines.push(format!("  time_zone: {}", policy.time_zone));
    }
    if let Some(zone) = policy.other_zone {
        lines.push(format!(
            "  # time_zone: {zone}  # the server's, which fits as well; without it periods and \"now\" are UTC"
        ));
    }
    let ready = match policy.ready {
        0 => format!("periods ready after the current {every}; none is now"),
        ready => format!("periods ready after the current {every}; {ready} now"),
    };
    lines.push(format!("  premake: {}  # {ready}", policy.premake));
    if let Some(name) = &policy.name {
        lines.push(format!("  name: {}", quoted(name)));
    } else if !policy.named {
        lines.push(format!(
            "  # name: {}  # the names of existing partitions follow no template; this is the default",
            quoted(default_template(every))
        ));
    }
    if let Some(schema) = &policy.schema {
        lines.push(format!("  schema: {}", quoted(schema)));
    }
    match &policy.sub {
        Some(SubPartitions::Hash { columns, modulus }) => {
            let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
            let columns = columns.join(", ");
            lines.push(format!(
                "  sub: {{ hash: {{ columns: [{columns}], modulus: {modulus} }} }}"
            ));
        }
        Some(SubPartitions::List { .. }) | None => {}
    }
    if let Some(start) = policy.start {
        let start = civil(start);
        lines.push(if policy.past_is_long {
            format!("  start: {start}  # many periods before it have no partition; none is created")
        } else {
            let past = plural(policy.past, "past period");
            format!("  # start: {start}  # leaves {past} without a partition; otherwise ensure creates them")
        });
    }
    lines
}

fn encoding(key: KeyEncoding) -> &'static str {
    match key {
        KeyEncoding::EpochS => "epoch-s",
        KeyEncoding::EpochMs => "epoch-ms",
        KeyEncoding::EpochUs => "epoch-us",
        KeyEncoding::EpochNs => "epoch-ns",
        KeyEncoding::UuidV7 => "uuid-v7",
    }
}

fn civil(at: NaiveDateTime) -> String {
    if at.time() == NaiveTime::MIN {
        at.format("%Y-%m-%d").to_string()
    } else {
        quoted(&at.format("%Y-%m-%d %H:%M:%S%.f").to_string())
    }
}

/// Writes a text bare where YAML cannot take it for anything else.
pub(super) fn scalar(text: &str) -> String {
    let bare = text.contains('.')
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '$'));
    if bare { text.to_owned() } else { quoted(text) }
}

/// Writes a text as a YAML scalar in double quotes.
pub(super) fn quoted(text: &str) -> String {
    let body = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", visible(&body))
}

/// Escapes what would break a line or is not allowed in YAML.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let unsafe_char = c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
        if unsafe_char {
            let _ = write!(out, "\\U{:08x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::period::Period;
    use crate::ident::QualifiedName;
    use crate::plan_file::{PlanFile, Source, parse};
    use proptest::prelude::*;

    fn policy() -> StarterPolicy {
        StarterPolicy {
            every: Period::Month,
            time_zone: Tz::UTC,
            other_zone: None,
            key: None,
            premake: 3,
            ready: 1,
            name: None,
            named: true,
            schema: None,
            sub: None,
            start: None,
            past: 0,
            past_is_long: false,
            partitions: (3, 0),
        }
    }

    fn loaded(text: &str) -> PlanFile {
        let source = Source {
            path: "plan.yaml".into(),
            text: text.to_owned(),
        };
        match parse(&[source]) {
            Ok(loaded) => loaded.plan,
            Err(problems) => panic!(
                "{}\n{text}",
                problems.render(crate::plan_file::Style::Plain)
            ),
        }
    }

    fn of(name: QualifiedName, open: Option<&str>, policy: Option<StarterPolicy>) -> Starter {
        Starter {
            tables: vec![StarterTable {
                table: name,
                open: open.map(str::to_owned),
                policy,
            }],
            left_out: Vec::new(),
        }
    }

    #[test]
    fn every_key_loads_back_as_it_was_meant() {
        let full = StarterPolicy {
            time_zone: Tz::Asia__Kolkata,
            other_zone: Some(Tz::Europe__Berlin),
            key: Some(KeyEncoding::EpochMs),
            premake: 7,
            name: Some("{table}_\"{YYYY}\\{MM}".to_owned()),
            schema: Some("no".to_owned()),
            sub: Some(SubPartitions::Hash {
                columns: vec!["null".to_owned(), "a, b".to_owned()],
                modulus: 4,
            }),
            start: "2026-01-01T06:30:00".parse().ok(),
            past: 101,
            past_is_long: true,
            partitions: (9, 2),
            ..policy()
        };
        let text = yaml(
            &of(QualifiedName::new("public", "e"), None, Some(full.clone())),
            "db",
        );
        let plan = loaded(&text);
        let read = &plan.partitions[0];
        assert_eq!((read.every, read.premake), (Period::Month, 7));
        assert_eq!((read.time_zone, read.key), (full.time_zone, full.key));
        assert_eq!((&read.name, &read.schema), (&full.name, &full.schema));
        assert_eq!((&read.sub, read.retain), (&full.sub, None));
        assert_eq!(read.start.as_deref(), Some("2026-01-01 06:30:00"));
        assert!(text.starts_with("# yaml-language-server: $schema="));
    }

    #[test]
    fn an_open_entry_is_a_comment_that_loads_once_it_is_taken_in() {
        let name = QualifiedName::new("public", "e");
        for policy in [None, Some(policy())] {
            let text = yaml(&of(name.clone(), Some("why\nnot: a line"), policy), "db");
            assert!(loaded(&text).partitions.is_empty());
            assert!(text.contains("  # Not declared: why\\U0000000anot: a line.\n"));
            let taken = text.replace("  # - ", "  - ").replace("  #   ", "    ");
            assert_eq!(loaded(&taken).partitions[0].table, name);
        }
    }

    #[test]
    fn a_database_without_partitioned_tables_gives_a_file_that_loads() {
        let starter = Starter {
            tables: Vec::new(),
            left_out: vec![(QualifiedName::new("public", "a\nb"), "list".to_owned())],
        };
        assert!(loaded(&yaml(&starter, "x\ny")).partitions.is_empty());
    }

    proptest! {
        #[test]
        fn any_name_loads_back(schema in "[^\0]{1,12}", name in "[^\0]{1,12}", database in "[^\0]{1,9}") {
            let name = QualifiedName::new(schema, name);
            let policy = Some(StarterPolicy { schema: Some(name.name.clone()), ..policy() });
            let text = yaml(&of(name.clone(), None, policy.clone()), &database);
            let plan = loaded(&text);
            prop_assert_eq!(&plan.partitions[0].table, &name);
            prop_assert_eq!(plan.partitions[0].schema.as_deref(), Some(name.name.as_str()));
            let text = yaml(&of(name, Some(&database), policy), &database);
            prop_assert!(loaded(&text).partitions.is_empty());
        }
    }
}
