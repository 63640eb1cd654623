//! Checks of one index plan.

use super::diagnose::Diagnostic;
use super::index_parts::PartFault;
use super::index_plan::{IndexColumn, IndexPlan};
use super::position::Step;
use super::suggest::nearest;
use super::validate::{Entry, lock_budget};
use super::validate_index_shape;
use super::validate_policy::{folded_name, identifier, identifier_fault, storage_parameters};
use crate::ident::quote_if_needed;
use crate::syntax::CreateIndex;

/// Keys that say what `sql` says too.
const PARTS: [&str; 10] = [
    "name",
    "table",
    "columns",
    "using",
    "unique",
    "nulls_not_distinct",
    "include",
    "where",
    "with",
    "tablespace",
];

/// Units of memory in postgresql.conf; a bare number is not taken, because nobody means kilobytes by it.
const MEMORY_UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
const MAX_PARALLEL_WORKERS: u16 = 1024;

/// Checks one index plan.
pub(super) fn index(entry: &Entry<'_>, index: &IndexPlan, problems: &mut Vec<Diagnostic>) {
    if entry.gives("absent") {
        absent(entry, index, problems);
    } else if entry.gives("sql") {
        from_sql(entry, index, problems);
    } else {
        from_parts(entry, index, problems);
    }
    settings(entry, index, problems);
    if let Ok(Some(spec)) = index.read_spec() {
        validate_index_shape::shape(entry, index, &spec, problems);
    }
}

/// Checks what is about the build and not about the index.
fn settings(entry: &Entry<'_>, index: &IndexPlan, problems: &mut Vec<Diagnostic>) {
    if let Some(budget) = &index.lock_budget {
        lock_budget(entry, budget, problems);
    }
    let build = entry.below("build");
    if let Some(text) = &index.build.maintenance_work_mem {
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text.get(number.len()..).unwrap_or_default();
        let number = number.trim();
        let counts = number.parse::<f64>().is_ok_and(|value| value > 0.0)
            && number
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
        if !counts || !MEMORY_UNITS.contains(&unit) {
            let help = match nearest(unit, MEMORY_UNITS) {
                Some(unit) if counts => format!("write `{number}{unit}`"),
                _ => "write a number and a unit of postgresql.conf, such as `512MB` or `2GB`"
                    .to_owned(),
            };
            problems.push(
                build
                    .error(
                        "maintenance_work_mem",
                        format!("`{text}` is not an amount of memory"),
                        "expected a number with B, kB, MB, GB or TB",
                    )
                    .help(help),
            );
        }
    }
    if index
        .build
        .parallel_workers
        .is_some_and(|workers| workers > MAX_PARALLEL_WORKERS)
    {
        problems.push(build.error(
            "parallel_workers",
            format!("a server takes at most {MAX_PARALLEL_WORKERS} parallel workers"),
            "",
        ));
    }
}

fn absent(entry: &Entry<'_>, index: &IndexPlan, problems: &mut Vec<Diagnostic>) {
    for key in PARTS
        .into_iter()
        .chain(["sql", "comment", "constraint", "build", "statistics"])
    {
        if entry.gives(key) {
            problems.push(
                entry
                    .key_error(
                        key,
                        format!("`{key}` beside `absent`: these indexes should not be there"),
                        "",
                    )
                    .help("write it as an entry of its own"),
            );
        }
    }
    if index.absent.is_empty() && !entry.is_broken("absent") && !entry.gives_items("absent") {
        problems.push(entry.error("absent", "`absent` names no index", "an empty list"));
    }
}

fn from_sql(entry: &Entry<'_>, index: &IndexPlan, problems: &mut Vec<Diagnostic>) {
    for key in PARTS {
        if entry.gives(key) {
            problems.push(
                entry
                    .key_error(
                        key,
                        format!("`{key}` beside `sql`: the statement says it already"),
                        "",
                    )
                    .help("keep `sql` alone, or write the index by its parts"),
            );
        }
    }
    match index.read_sql() {
        Some(Ok(found)) => statement(entry, &found, problems),
        Some(Err(fault)) => problems.push(
            placed(entry, fault).help("write `sql: CREATE INDEX name ON schema.table (column)`"),
        ),
        None => {}
    }
}

/// Checks what a statement says that a plan cannot mean.
fn statement(entry: &Entry<'_>, found: &CreateIndex, problems: &mut Vec<Diagnostic>) {
    let Some(name) = &found.spec.name else {
        problems.push(
            entry
                .error("sql", "this statement names no index", "")
                .help("name it: without a name dbops cannot tell whether it is there"),
        );
        return;
    };
    let schema = &found.spec.table.schema;
    if let Some(written) = &found.name_schema
        && written != schema
    {
        problems.push(
            entry
                .error(
                    "sql",
                    format!(
                        "the index is named in schema `{written}`, and its table is in `{schema}`"
                    ),
                    "",
                )
                .help(format!(
                    "an index lives in the schema of its table: write `{}`",
                    quote_if_needed(name)
                )),
        );
    }
}

/// A fault of a part of the entry, at its place.
fn placed(entry: &Entry<'_>, fault: PartFault) -> Diagnostic {
    let PartFault { part, fault } = fault;
    let message = match part.last() {
        Some(Step::Key(key)) => format!("`{key}`: {}", fault.message),
        _ => fault.message,
    };
    let place = fault.start..fault.end;
    if let [Step::Key(list), Step::Index(at), rest @ ..] = part.as_slice()
        && let Some(element) = entry.elements(list).get(*at)
    {
        return element.error_within(rest, message, place);
    }
    entry.error_within(&part, message, place)
}

fn from_parts(entry: &Entry<'_>, index: &IndexPlan, problems: &mut Vec<Diagnostic>) {
    let before = problems.len();
    for (key, missing) in [
        ("table", index.table.is_none()),
        ("name", index.name.is_none()),
        ("columns", !entry.gives("columns")),
    ] {
        if missing && !entry.is_broken(key) {
            let example = match key {
                "table" => "public.orders",
                "name" => "idx_orders_created_at",
                _ => "[created_at]",
            };
            problems.push(
                entry
                    .own_error(
                        format!("this index has no `{key}`"),
                        "needs `table`, `name` and `columns`, or `sql`",
                    )
                    .help(format!("add it, for example `{key}: {example}`")),
            );
        }
    }
    if let Some(table) = &index.table {
        folded_name(entry, &table.to_string(), problems);
    }
    for (key, value) in [
        ("name", &index.name),
        ("using", &index.using),
        ("tablespace", &index.tablespace),
    ] {
        if let Some(value) = value {
            identifier(entry, key, value, problems);
        }
    }
    if entry.gives("columns") && entry.elements("columns").is_empty() && !entry.is_broken("columns")
    {
        problems.push(entry.error("columns", "`columns` names no column", "an empty list"));
    }
    for (column, at) in index.columns.iter().zip(entry.elements("columns")) {
        self::column(&at, column, problems);
    }
    for (column, at) in index.include.iter().zip(entry.elements("include")) {
        if let Some(message) = identifier_fault(column) {
            problems.push(at.value_error(format!("`include`: {message}"), ""));
        }
    }
    if entry.gives("statistics") {
        problems.push(
            entry
                .key_error(
                    "statistics",
                    "`statistics` of the whole entry is for `sql`",
                    "",
                )
                .help("write it with the key: `{ expr: lower(email), statistics: 500 }`"),
        );
    }
    if index.nulls_not_distinct && !index.unique {
        problems.push(
            entry
                .key_error(
                    "nulls_not_distinct",
                    "`nulls_not_distinct` is for unique indexes",
                    "",
                )
                .help("add `unique: true`, or remove it"),
        );
    }
    if index
        .predicate
        .as_ref()
        .is_some_and(|sql| sql.trim().is_empty())
    {
        problems.push(
            entry
                .error("where", "`where` is empty", "")
                .help("remove it for an index of all rows"),
        );
    }
    storage_parameters(entry, &index.with, problems);
    if let Err(faults) = index.read_spec() {
        // What has no place of its own follows from a problem that was reported.
        problems.extend(
            faults
                .into_iter()
                .filter(|fault| problems.len() == before || !fault.part.is_empty())
                .map(|fault| placed(entry, fault))
                .collect::<Vec<_>>(),
        );
    }
}

fn column(at: &Entry<'_>, column: &IndexColumn, problems: &mut Vec<Diagnostic>) {
    match column {
        IndexColumn::Name(name) => {
            let lower = name.to_ascii_lowercase();
            let bare = lower
                .rsplit_once(' ')
                .filter(|(_, last)| matches!(*last, "asc" | "desc"))
                .map(|(bare, order)| (name.get(..bare.len()).unwrap_or(name), order));
            if let Some((bare, order)) = bare {
                problems.push(
                    at.value_error(format!("`{name}` is not the name of a column"), "")
                        .help(format!(
                            "write the order as a key: `{{ column: {bare}, desc: {} }}`",
                            order == "desc"
                        )),
                );
            } else if name.contains('(') {
                problems.push(
                    at.value_error(format!("`{name}` is not the name of a column"), "")
                        .help(format!("write an expression as `{{ expr: {name} }}`")),
                );
            } else if name.len() > 1 && name.starts_with('"') && name.ends_with('"') {
                problems.push(
                    at.value_error(
                        "a column is written as the catalog spells it, without quotes",
                        "",
                    )
                    .help(format!("write {}", name.trim_matches('"'))),
                );
            } else if let Some(message) = identifier_fault(name) {
                problems.push(at.value_error(format!("`columns`: {message}"), ""));
            }
        }
        IndexColumn::Key(key) => match (at.gives("column"), at.gives("expr")) {
            (true, true) => problems.push(
                at.key_error("expr", "`expr` beside `column`", "one of them is too many")
                    .help("keep exactly one of the two"),
            ),
            (false, false) => problems.push(
                at.own_error("this key has neither `column` nor `expr`", "")
                    .help("write for example `{ column: created_at, desc: true }`"),
            ),
            _ => {
                if let Some(name) = &key.column {
                    identifier(at, "column", name, problems);
                }
            }
        },
    }
}
