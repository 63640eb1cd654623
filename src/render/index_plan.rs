//! Index plans as the YAML of a plan file: only what differs from the defaults, as a person would write it.

use std::fmt::Write as _;

use crate::changes::indexes::import::{Import, Imported};
use crate::plan_file::{IndexColumn, IndexConstraint, IndexKey, IndexPlan, Nulls};

/// Lists of columns that fit are written on one line of at most this many characters.
const MOST_CHARS: usize = 110;

/// Returns a plan file; `from` says where its indexes come from, for its first line.
pub fn yaml(import: &Import, from: &str) -> String {
    let mut out = format!(
        "# Made by dbops indexes import from {}. What it does not name is never touched.\nversion: 1\n",
        one_line(from)
    );
    let section = section(import);
    if section.is_empty() {
        out.push_str("# No index was found.\n");
    } else {
        out.push('\n');
        out.push_str(&section);
    }
    out
}

/// Returns the `indexes:` section alone; empty where there is nothing to say.
pub fn section(import: &Import) -> String {
    if import.indexes.is_empty() && import.absent.is_empty() {
        return String::new();
    }
    let mut out = "indexes:\n".to_owned();
    for index in &import.indexes {
        entry(&mut out, index);
    }
    if !import.absent.is_empty() {
        out.push_str("  - absent:\n");
        for name in &import.absent {
            let _ = writeln!(out, "      - {}", scalar(&name.to_string(), Within::Block));
        }
    }
    out
}

fn entry(out: &mut String, index: &Imported) {
    for comment in &index.comments {
        let _ = writeln!(out, "  # {}", one_line(comment));
    }
    for (at, line) in lines(&index.plan).iter().enumerate() {
        let margin = if at == 0 { "  - " } else { "    " };
        let _ = writeln!(out, "{margin}{line}");
    }
}

/// The lines of an entry, without its margin.
fn lines(plan: &IndexPlan) -> Vec<String> {
    let mut lines = Vec::new();
    let text = |lines: &mut Vec<String>, key: &str, value: &str| {
        lines.extend(pair(key, value));
    };
    if let Some(name) = &plan.name {
        text(&mut lines, "name", name);
    }
    if let Some(table) = &plan.table {
        text(&mut lines, "table", &table.to_string());
    }
    lines.extend(columns(&plan.columns));
    if let Some(method) = &plan.using {
        text(&mut lines, "using", method);
    }
    if plan.unique {
        lines.push("unique: true".to_owned());
    }
    if plan.nulls_not_distinct {
        lines.push("nulls_not_distinct: true".to_owned());
    }
    if !plan.include.is_empty() {
        let names = plan.include.iter().map(|name| scalar(name, Within::Flow));
        lines.push(format!(
            "include: [{}]",
            names.collect::<Vec<_>>().join(", ")
        ));
    }
    if let Some(predicate) = &plan.predicate {
        text(&mut lines, "where", predicate);
    }
    if !plan.with.is_empty() {
        let pairs = plan
            .with
            .iter()
            .map(|(name, value)| format!("{}: {}", scalar(name, Within::Flow), parameter(value)));
        lines.push(format!(
            "with: {{ {} }}",
            pairs.collect::<Vec<_>>().join(", ")
        ));
    }
    if let Some(tablespace) = &plan.tablespace {
        text(&mut lines, "tablespace", tablespace);
    }
    if let Some(constraint) = plan.constraint {
        lines.push(match constraint {
            IndexConstraint::Primary => "constraint: primary".to_owned(),
            IndexConstraint::Unique => "constraint: unique".to_owned(),
        });
    }
    if let Some(comment) = &plan.comment {
        text(&mut lines, "comment", comment);
    }
    lines
}

fn columns(columns: &[IndexColumn]) -> Vec<String> {
    let items: Vec<String> = columns.iter().map(flow_item).collect();
    let line = format!("columns: [{}]", items.join(", "));
    let has_block = |column: &IndexColumn| match column {
        IndexColumn::Key(key) => key.expr.as_deref().is_some_and(is_block),
        IndexColumn::Name(_) => false,
    };
    if line.chars().count() <= MOST_CHARS && !columns.iter().any(has_block) {
        return vec![line];
    }
    let mut lines = vec!["columns:".to_owned()];
    for (column, item) in columns.iter().zip(items) {
        match column {
            IndexColumn::Key(key) if has_block(column) => {
                for (at, line) in key_pairs(key).into_iter().flatten().enumerate() {
                    let margin = if at == 0 { "  - " } else { "    " };
                    lines.push(format!("{margin}{line}"));
                }
            }
            _ => lines.push(format!("  - {item}")),
        }
    }
    lines
}

fn flow_item(column: &IndexColumn) -> String {
    match column {
        IndexColumn::Name(name) => scalar(name, Within::Flow),
        IndexColumn::Key(key) => {
            let pairs: Vec<String> = key_values(key)
                .into_iter()
                .map(|(key, value)| format!("{key}: {}", value.flow()))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
    }
}

/// The pairs of a key as lines of a block.
fn key_pairs(key: &IndexKey) -> Vec<Vec<String>> {
    key_values(key)
        .into_iter()
        .map(|(key, value)| match value {
            Value::Text(text) => pair(key, text),
            Value::Word(word) => vec![format!("{key}: {word}")],
        })
        .collect()
}

enum Value<'a> {
    Text(&'a str),
    Word(String),
}

impl Value<'_> {
    fn flow(&self) -> String {
        match self {
            Self::Text(text) => scalar(text, Within::Flow),
            Self::Word(word) => word.clone(),
        }
    }
}

fn key_values(key: &IndexKey) -> Vec<(&'static str, Value<'_>)> {
    let mut values = Vec::new();
    for (name, text) in [
        ("column", &key.column),
        ("expr", &key.expr),
        ("collate", &key.collate),
        ("opclass", &key.opclass),
    ] {
        if let Some(text) = text {
            values.push((name, Value::Text(text)));
        }
    }
    if key.desc {
        values.push(("desc", Value::Word("true".to_owned())));
    }
    if let Some(nulls) = key.nulls {
        let word = match nulls {
            Nulls::First => "first",
            Nulls::Last => "last",
        };
        values.push(("nulls", Value::Word(word.to_owned())));
    }
    if let Some(target) = key.statistics {
        values.push(("statistics", Value::Word(target.to_string())));
    }
    values
}

/// `key: value`, a text of several lines as a literal block.
fn pair(key: &str, text: &str) -> Vec<String> {
    if !is_block(text) {
        return vec![format!("{key}: {}", scalar(text, Within::Block))];
    }
    let mut lines = vec![format!("{key}: |-")];
    lines.extend(text.split('\n').map(|line| {
        if line.is_empty() {
            String::new()
        } else {
            format!("  {line}")
        }
    }));
    lines
}

/// Whether a text is written as a literal block, which keeps its lines and every character in them.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.ends_with('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && text.chars().all(|c| c == '\n' || is_printable(c))
        && text
            .split('\n')
            .all(|line| line.is_empty() || !line.trim().is_empty())
}

/// Where a scalar stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Block,
    /// Between brackets or braces, where commas and brackets mean something.
    Flow,
}

/// A storage parameter: numbers and booleans as they are.
fn parameter(value: &str) -> String {
    let number = value
        .parse::<i64>()
        .is_ok_and(|number| number.to_string() == value);
    if number || matches!(value, "true" | "false") {
        value.to_owned()
    } else {
        scalar(value, Within::Flow)
    }
}

/// Writes a text as a YAML scalar: plain where every reader takes it for this text, else in quotes.
fn scalar(text: &str, within: Within) -> String {
    if is_plain(text, within) {
        text.to_owned()
    } else if text.chars().all(is_printable) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        let mut quoted = String::from("\"");
        for c in text.chars() {
            match c {
                '"' => quoted.push_str("\\\""),
                '\\' => quoted.push_str("\\\\"),
                '\n' => quoted.push_str("\\n"),
                '\t' => quoted.push_str("\\t"),
                c if is_printable(c) => quoted.push(c),
                c => {
                    let _ = write!(quoted, "\\U{:08x}", u32::from(c));
                }
            }
        }
        quoted.push('"');
        quoted
    }
}

fn is_plain(text: &str, within: Within) -> bool {
    // What YAML 1.1 or 1.2 reads as something else than text.
    const WORDS: [&str; 10] = [
        "true", "false", "yes", "no", "on", "off", "y", "n", "null", "none",
    ];
    let first = text.chars().next();
    let begins = first.is_some_and(|c| c.is_alphabetic() || c == '_' || c == '(');
    let allowed = |c: char| {
        c.is_alphanumeric()
            || matches!(
                c,
                ' ' | '_'
                    | '.'
                    | '('
                    | ')'
                    | '='
                    | '<'
                    | '>'
                    | '+'
                    | '-'
                    | '*'
                    | '/'
                    | '|'
                    | '$'
                    | '\''
                    | '"'
                    | '%'
            )
            || within == Within::Block && matches!(c, ',' | '[' | ']')
    };
    // `a::text`; a colon before a blank or at the end would make a key.
    let colons_are_doubled =
        within == Within::Block && text.replace("::", "").chars().all(|c| c != ':');
    begins
        && !text.ends_with(' ')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
        && !text.contains(":: ")
        && !text.ends_with("::")
        && (text.chars().all(allowed)
            || colons_are_doubled && text.chars().all(|c| c == ':' || allowed(c)))
}

fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{a0}' | '\u{85}')
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if is_printable(c) { c } else { ' ' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::indexes::import::{Wanted, from_script};
    use crate::ident::QualifiedName;
    use crate::plan_file::{Source, parse};
    use crate::syntax::{IndexSpec, KeySpec, KeyTarget, ObjectName, create_index, script};
    use proptest::prelude::*;

    fn read_back(import: &Import) -> Vec<IndexSpec> {
        let text = yaml(import, "a test");
        let source = Source {
            path: "plan.yaml".into(),
            text: text.clone(),
        };
        let loaded = parse(&[source]).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
        loaded
            .plan
            .indexes
            .iter()
            .map(|entry| entry.spec().unwrap().unwrap())
            .collect()
    }

    #[test]
    fn only_what_differs_from_the_defaults_is_written() {
        let sql = r#"
            -- newest first
            CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_a ON public."Post" USING btree ("tribeId", "createdAt" DESC);
            CREATE UNIQUE INDEX idx_b ON app.users (lower(email::text) text_pattern_ops) INCLUDE (id) WITH (fillfactor = 80) WHERE deleted_at IS NULL AND status = 'a: b';
            CREATE INDEX idx_c ON t USING gin (doc jsonb_path_ops, tags) WHERE a IN (1, 2)
              AND b; -- as the report asks
            COMMENT ON INDEX idx_c IS 'it''s
two lines';
        "#;
        let import = from_script(&script(sql), Wanted::default());
        assert_eq!(
            (import.notes.clone(), import.faults.clone()),
            (vec![], vec![])
        );
        assert_eq!(
            section(&import),
            r#"indexes:
  # newest first
  - name: idx_a
    table: public."Post"
    columns: [tribeId, { column: createdAt, desc: true }]
  - name: idx_b
    table: app.users
    columns: [{ expr: 'lower(email::text)', opclass: text_pattern_ops }]
    unique: true
    include: [id]
    where: 'deleted_at IS NULL AND status = ''a: b'''
    with: { fillfactor: 80 }
  # as the report asks
  - name: idx_c
    table: public.t
    columns: [{ column: doc, opclass: jsonb_path_ops }, tags]
    using: gin
    where: |-
      a IN (1, 2)
                    AND b
    comment: |-
      it's
      two lines
"#
        );
    }

    #[test]
    fn nothing_found_is_a_plan_file_too() {
        let text = yaml(&Import::default(), "x\ny.sql");
        let source = Source {
            path: "plan.yaml".into(),
            text,
        };
        assert_eq!(parse(&[source]).unwrap().plan.indexes, []);
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z_]{1,8}",
            "[^\0]{1,8}",
            prop::sample::select(vec![
                "on",
                "null",
                "y",
                "1",
                "1e3",
                "~",
                "- a",
                "a: b",
                "a #b",
                "x desc",
                "f(x)",
                "\"q\"",
                "é",
                " a ",
                "C",
                "a.b",
                "[a]",
                "{a}",
                "&a",
                "*a",
                "!a",
                "%a",
                "@a",
                "`a",
                "a,b",
                "'",
                "a'b",
                "\u{85}",
                "\u{feff}a",
                "a\nb",
                "--",
                "a::b",
                "a::",
                "::a"
            ])
            .prop_map(str::to_owned),
        ]
    }

    fn expression() -> impl Strategy<Value = String> {
        prop::sample::select(vec![
            "lower(a)",
            "a || ', ' || b",
            "(a ->> 'x: y')::int",
            "coalesce(\"A\", 'it''s')",
            "a +\n  b",
            "a = 'x\n\n  y'",
            "case when a then 1 else 2 end",
            "a[1]",
            "'{1,2}'::int[]",
            "a ~ '^[x]#\\\\'",
            "a\t+ b",
        ])
        .prop_map(str::to_owned)
    }

    fn object() -> impl Strategy<Value = ObjectName> {
        (proptest::option::of(name()), name())
            .prop_map(|(schema, name)| ObjectName { schema, name })
    }

    fn key() -> impl Strategy<Value = KeySpec> {
        (
            prop_oneof![
                name().prop_map(KeyTarget::Column),
                expression().prop_map(KeyTarget::Expression)
            ],
            proptest::option::of(object()),
            proptest::option::of(object()),
            proptest::collection::btree_map("[a-z_]{1,5}", "[^\0\n\r]{1,5}", 0..2),
            any::<(bool, bool)>(),
        )
            .prop_map(
                |(target, collate, opclass, options, (desc, nulls_first))| KeySpec {
                    target,
                    collate,
                    opclass_options: if opclass.is_some() {
                        options
                    } else {
                        Default::default()
                    },
                    opclass,
                    desc,
                    nulls_first,
                },
            )
    }

    prop_compose! {
        fn spec()(
            names in (name(), name(), name()),
            keys in proptest::collection::vec(key(), 1..4),
            include in proptest::collection::vec(name(), 0..3),
            predicate in proptest::option::of(expression()),
            with in proptest::collection::btree_map("[a-z_]{1,5}", "[^\0]{0,5}", 0..2),
            tablespace in proptest::option::of(name()),
            unique in any::<(bool, bool)>(),
        ) -> IndexSpec {
            IndexSpec {
                name: Some(format!("i{}", names.2)),
                table: QualifiedName::new(names.0, names.1),
                method: "btree".to_owned(),
                unique: unique.0,
                nulls_not_distinct: unique.0 && unique.1,
                keys, include, predicate, with, tablespace,
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_a_server_may_hold_reads_back(spec in spec()) {
            // Tables and indexes of a schema share their names.
            prop_assume!(spec.name.as_deref() != Some(spec.table.name.as_str()));
            let sql = spec.sql(crate::syntax::Build::Plain, &spec.table, spec.name.as_deref().unwrap());
            // A name that SQL itself cannot hold is no case.
            let Ok(found) = create_index(&sql) else { return Ok(()) };
            let import = Import {
                indexes: vec![Imported { plan: IndexPlan::of(&found.spec), comments: vec!["x\ny".to_owned()] }],
                ..Import::default()
            };
            prop_assert_eq!(read_back(&import), vec![found.spec]);
        }
    }
}
