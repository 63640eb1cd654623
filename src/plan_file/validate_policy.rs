//! Checks of one partition policy.

use std::collections::BTreeMap;

use super::diagnose::Diagnostic;
use super::policy::{self, Expire, PartitionPolicy, SubPartitions};
use super::validate::{Entry, lock_budget};
use crate::changes::names;
use crate::ident::MAX_NAME_BYTES;

const MAX_PREMAKE: u32 = 10_000;
const MAX_LEAVES: u32 = 1024;

/// Checks one policy.
pub(super) fn policy(entry: &Entry<'_>, policy: &PartitionPolicy, problems: &mut Vec<Diagnostic>) {
    folded_name(entry, &policy.table.to_string(), problems);
    calendar(entry, policy, problems);
    retention(entry, policy, problems);
    names(entry, policy, problems);
    if let Some(sub) = &policy.sub {
        sub_partitions(&entry.below("sub"), sub, problems);
    }
    if let Some(budget) = &policy.lock_budget {
        lock_budget(entry, budget, problems);
    }
}

/// Warns where a table name was folded to lower case.
pub(super) fn folded_name(entry: &Entry<'_>, read_as: &str, problems: &mut Vec<Diagnostic>) {
    let Some(written) = entry.written("table") else {
        return;
    };
    if !written.contains('"') && written.chars().any(char::is_uppercase) {
        let part = written.rsplit('.').next().unwrap_or_default();
        problems.push(
            entry
                .warning(
                    "table",
                    format!("`{written}` is read as `{read_as}`, as PostgreSQL folds names"),
                    "",
                )
                .help(format!(
                    "if the table's name has upper case letters, quote it as in SQL: \
                     public.\"{part}\", or '\"{part}\"' without a schema"
                )),
        );
    }
}

fn calendar(entry: &Entry<'_>, policy: &PartitionPolicy, problems: &mut Vec<Diagnostic>) {
    if policy.premake == 0 || policy.premake > MAX_PREMAKE {
        let label = format!("expected 1 to {MAX_PREMAKE}");
        problems.push(if policy.premake == 0 {
            entry
                .error("premake", "`premake` of 0 keeps no partition ready", &label)
                .help("rows of the next period would be refused until dbops runs again; write 1 or more")
        } else {
            entry
                .error("premake", format!("`premake` of {} is too many", policy.premake), &label)
                .help("every partition costs planning time and locks; use a longer `every`")
        });
    }
    if let Some(start) = &policy.start
        && let Err(message) = policy::parse_start(start)
    {
        problems.push(
            entry
                .error("start", format!("`start`: {message}"), "")
                .help(
                    "write a date or a timestamp in `time_zone`: 2026-01-01, or 2026-01-01 06:00",
                ),
        );
    }
}

fn retention(entry: &Entry<'_>, policy: &PartitionPolicy, problems: &mut Vec<Diagnostic>) {
    match policy.retain {
        Some(retain) if retain.count == 0 => problems.push(
            entry
                .error(
                    "retain",
                    "`retain` of 0 would prune every past partition",
                    "must be above 0",
                )
                .help("omit `retain` to keep everything"),
        ),
        _ => {}
    }
    let retains = entry.gives("retain");
    for key in ["expire", "grace"] {
        if entry.gives(key) && !retains && !entry.is_broken(key) {
            problems.push(
                entry
                    .key_error(
                        key,
                        format!("`{key}` without `retain` has no effect"),
                        "nothing expires here",
                    )
                    .help(format!(
                        "add `retain`, for example `retain: 24 months`, or remove `{key}`"
                    )),
            );
        }
    }
    match policy.expire {
        Expire::Archive => problems.push(
            entry
                .error(
                    "expire",
                    "`expire: archive` is not available in this version of dbops",
                    "cannot be carried out yet",
                )
                .help("use `expire: detach`, archive the detached table, and let prune drop it after `grace`"),
        ),
        Expire::Drop if entry.gives("grace") && !entry.is_broken("expire") => problems.push(
            entry
                .key_error(
                    "grace",
                    "`grace` has no effect with `expire: drop`",
                    "there is nothing to wait for",
                )
                .help("remove `grace`, or use `expire: detach` to keep the table for that time"),
        ),
        _ => {}
    }
}

fn names(entry: &Entry<'_>, policy: &PartitionPolicy, problems: &mut Vec<Diagnostic>) {
    if let Some(template) = &policy.name
        && let Err(message) = names::validate(template, policy.every)
    {
        let default = names::default_template(policy.every);
        problems.push(
            entry
                .error("name", format!("`name`: {message}"), "")
                .help(format!("the default for this `every` is `{default}`")),
        );
    }
    for (key, value) in [
        ("column", &policy.column),
        ("schema", &policy.schema),
        ("tablespace", &policy.tablespace),
    ] {
        if let Some(value) = value {
            identifier(entry, key, value, problems);
        }
    }
    storage_parameters(entry, &policy.with, problems);
}

/// Checks the names of storage parameters in `with`.
pub(super) fn storage_parameters(
    entry: &Entry<'_>,
    parameters: &BTreeMap<String, String>,
    problems: &mut Vec<Diagnostic>,
) {
    let with = entry.below("with");
    for parameter in parameters.keys() {
        let plain = !parameter.is_empty()
            && parameter
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.');
        if !plain {
            problems.push(
                with.key_error(
                    parameter,
                    format!("`{parameter}` is not the name of a storage parameter"),
                    "",
                )
                .help("write it as in SQL's WITH (…): `fillfactor: 90`"),
            );
        }
    }
}

/// Checks the name of a column, schema or tablespace, which is written as the catalog spells it.
pub(super) fn identifier(
    entry: &Entry<'_>,
    key: &str,
    value: &str,
    problems: &mut Vec<Diagnostic>,
) {
    if let Some(message) = identifier_fault(value) {
        problems.push(entry.error(key, format!("`{key}`: {message}"), ""));
    }
}

/// Says what is wrong with a name as the catalog spells it.
pub(super) fn identifier_fault(value: &str) -> Option<String> {
    if value.is_empty() {
        Some("a name cannot be empty".to_owned())
    } else if value.contains('\0') {
        Some("a name cannot hold a NUL byte".to_owned())
    } else if value.len() > MAX_NAME_BYTES {
        Some(format!(
            "`{value}` is {} bytes long; PostgreSQL keeps {MAX_NAME_BYTES}",
            value.len()
        ))
    } else {
        None
    }
}

fn sub_partitions(entry: &Entry<'_>, sub: &SubPartitions, problems: &mut Vec<Diagnostic>) {
    match sub {
        SubPartitions::Hash { columns, modulus } => {
            let hash = entry.below("hash");
            if !(2..=MAX_LEAVES).contains(modulus) {
                problems.push(
                    hash.error(
                        "modulus",
                        format!("`modulus` of {modulus} is out of range"),
                        &format!("expected 2 to {MAX_LEAVES}"),
                    )
                    .help("it is the number of leaves of each new partition, for example 8"),
                );
            }
            if columns.is_empty()
                && !hash.is_broken("columns")
                && hash.elements("columns").is_empty()
            {
                problems.push(
                    hash.error("columns", "`columns` names no column", "an empty list")
                        .help("name the columns to hash: `columns: [tenant_id]`"),
                );
            }
            for (column, at) in columns.iter().zip(hash.elements("columns")) {
                if let Some(message) = identifier_fault(column) {
                    problems.push(at.value_error(format!("`columns`: {message}"), ""));
                }
            }
        }
        SubPartitions::List { column, values, .. } => {
            let list = entry.below("list");
            identifier(&list, "column", column, problems);
            leaves(&list.below("values"), values, problems);
            if values.is_empty() && !list.is_broken("values") {
                problems.push(
                    list.error("values", "`values` names no leaf", "an empty mapping")
                        .help("write the values of each leaf: `values: { eu: [de, fr] }`"),
                );
            }
        }
    }
}

fn leaves(
    entry: &Entry<'_>,
    leaves: &BTreeMap<String, Vec<String>>,
    problems: &mut Vec<Diagnostic>,
) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (leaf, values) in leaves {
        if let Some(message) = identifier_fault(leaf) {
            problems.push(entry.key_error(leaf, format!("a leaf's name: {message}"), ""));
        }
        let places = entry.elements(leaf);
        if values.is_empty() && places.is_empty() && !entry.is_broken(leaf) {
            problems.push(entry.error(
                leaf,
                format!("the leaf `{leaf}` takes no value"),
                "an empty list",
            ));
        }
        for (value, at) in values.iter().zip(places) {
            if let Some(other) = seen.insert(value, leaf) {
                problems.push(
                    at.value_error(
                        format!("the value `{value}` is given twice"),
                        "given again here",
                    )
                    .help(format!(
                        "the leaf `{other}` takes it already; PostgreSQL refuses overlapping leaves"
                    )),
                );
            }
        }
    }
}
