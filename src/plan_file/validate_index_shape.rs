//! Checks of what an index is, however it was written: what PostgreSQL refuses on every server.

use super::diagnose::Diagnostic;
use super::index_plan::{IndexConstraint, IndexPlan};
use super::suggest::nearest;
use super::validate::Entry;
use crate::syntax::{DEFAULT_METHOD, IndexSpec, KeySpec, KeyTarget};

/// What an access method of PostgreSQL itself can do (`amcanorder` and its like); btree can do it all.
/// An extension's method may be able to do anything, so it is not here.
struct Method {
    name: &'static str,
    several_keys: bool,
    includes: bool,
}

const METHODS: [Method; 5] = [
    method("hash", false, false),
    method("gist", true, true),
    method("spgist", false, true),
    method("gin", true, false),
    method("brin", true, false),
];

const fn method(name: &'static str, several_keys: bool, includes: bool) -> Method {
    Method {
        name,
        several_keys,
        includes,
    }
}

/// Names that a mistyped access method may have been meant for.
const KNOWN_METHODS: [&str; 13] = [
    "btree", "hash", "gist", "spgist", "gin", "brin", "bloom", "rum", "hnsw", "ivfflat",
    "pgroonga", "bm25", "diskann",
];

/// `INDEX_MAX_KEYS` of a server as it is commonly built.
const MAX_COLUMNS: usize = 32;
/// Longest statistics target.
const MAX_STATISTICS: i16 = 10_000;

/// Checks the index that an entry declares.
pub(super) fn shape(
    entry: &Entry<'_>,
    index: &IndexPlan,
    spec: &IndexSpec,
    problems: &mut Vec<Diagnostic>,
) {
    let place = Place {
        entry,
        sql: index.sql.is_some(),
    };
    if spec.name.as_deref() == Some(spec.table.name.as_str()) {
        problems.push(
            place
                .error(
                    "name",
                    format!("the index is named as its table, `{}`", spec.table.name),
                )
                .help("tables and indexes of a schema share their names; give the index another"),
        );
    }
    if spec.keys.len() + spec.include.len() > MAX_COLUMNS {
        problems.push(place.error(
            "columns",
            format!("an index has at most {MAX_COLUMNS} columns, those of `include` counted"),
        ));
    }
    method_limits(&place, spec, problems);
    constraint(&place, index, spec, problems);
    statistics(&place, index, spec, problems);
}

/// Where a problem is shown: at its key, or at the statement that says it all.
struct Place<'a> {
    entry: &'a Entry<'a>,
    sql: bool,
}

impl Place<'_> {
    fn error(&self, key: &str, message: impl AsRef<str>) -> Diagnostic {
        self.entry.error(self.key(key), message, "")
    }

    /// An error at one key column, counted from 0, and at a key of its mapping.
    fn key_error(&self, at: usize, key: &str, message: impl AsRef<str>) -> Diagnostic {
        match self.entry.elements("columns").get(at) {
            Some(element) if !self.sql && element.gives(key) => element.key_error(key, message, ""),
            Some(element) if !self.sql => element.value_error(message, ""),
            _ => self.error("columns", message),
        }
    }

    fn key<'k>(&self, key: &'k str) -> &'k str {
        if self.sql { "sql" } else { key }
    }
}

fn method_limits(place: &Place<'_>, spec: &IndexSpec, problems: &mut Vec<Diagnostic>) {
    let name = spec.method.as_str();
    let Some(method) = METHODS.iter().find(|method| method.name == name) else {
        if !KNOWN_METHODS.contains(&name)
            && let Some(meant) = nearest(name, KNOWN_METHODS)
        {
            problems.push(
                place
                    .entry
                    .warning(
                        place.key("using"),
                        format!("PostgreSQL has no access method `{name}`; an extension may"),
                        "",
                    )
                    .help(format!("did you mean `{meant}`?")),
            );
        }
        return;
    };
    if spec.unique {
        problems.push(
            place
                .error("unique", format!("`{name}` indexes cannot be unique"))
                .help("use `btree`"),
        );
    }
    if !method.several_keys && spec.keys.len() > 1 {
        problems.push(
            place
                .error("columns", format!("`{name}` indexes have one key column"))
                .help("make one index for each column, or use `btree`"),
        );
    }
    if !method.includes && !spec.include.is_empty() {
        problems.push(place.error(
            "include",
            format!("`{name}` indexes have no included columns"),
        ));
    }
    for (at, key) in spec.keys.iter().enumerate() {
        if key.desc || key.nulls_first {
            let word = if key.desc { "desc" } else { "nulls" };
            problems.push(
                place
                    .key_error(at, word, format!("`{name}` indexes are not sorted"))
                    .help(format!("remove `{word}`")),
            );
        }
    }
}

/// What ADD CONSTRAINT … USING INDEX refuses.
fn constraint(
    place: &Place<'_>,
    index: &IndexPlan,
    spec: &IndexSpec,
    problems: &mut Vec<Diagnostic>,
) {
    let Some(constraint) = index.constraint else {
        return;
    };
    let helped = |problem: Diagnostic| {
        problem.help("remove `constraint`: the index alone enforces the same")
    };
    if spec.method != DEFAULT_METHOD {
        problems.push(helped(
            place.error("using", "a constraint needs a `btree` index"),
        ));
    } else if !spec.unique {
        problems.push(
            place
                .entry
                .key_error("constraint", "a constraint needs a unique index", "")
                .help("add `unique: true`"),
        );
    }
    if spec.predicate.is_some() {
        problems.push(helped(
            place.error("where", "a constraint cannot hold for some rows only"),
        ));
    }
    if constraint == IndexConstraint::Primary && spec.nulls_not_distinct {
        problems.push(
            place
                .error("nulls_not_distinct", "a primary key has no NULLs")
                .help("remove `nulls_not_distinct`"),
        );
    }
    for (at, key) in spec.keys.iter().enumerate() {
        if matches!(key.target, KeyTarget::Expression(_)) {
            problems.push(helped(place.key_error(
                at,
                "expr",
                "a constraint takes columns, not expressions",
            )));
        }
        if let Some(word) = unsorted(key) {
            problems.push(helped(place.key_error(
                at,
                word,
                "a constraint takes its columns in default order",
            )));
        }
    }
}

fn unsorted(key: &KeySpec) -> Option<&'static str> {
    if key.desc {
        Some("desc")
    } else if key.nulls_first {
        Some("nulls")
    } else {
        None
    }
}

fn statistics(
    place: &Place<'_>,
    index: &IndexPlan,
    spec: &IndexSpec,
    problems: &mut Vec<Diagnostic>,
) {
    for (position, target) in index.statistics_targets() {
        let at = usize::try_from(position)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let error = |message: String| {
            if place.sql {
                let below = place.entry.below("statistics");
                below.key_error(&position.to_string(), message, "")
            } else {
                place.key_error(at, "statistics", message)
            }
        };
        match spec.keys.get(at).map(|key| &key.target) {
            None => problems.push(error(format!(
                "the index has {} key column{}, and this is of number {position}",
                spec.keys.len(),
                if spec.keys.len() == 1 { "" } else { "s" },
            ))),
            Some(KeyTarget::Column(name)) => problems.push(
                error(format!(
                    "`{name}` is a column, whose statistics are its table's"
                ))
                .help("only an expression has statistics of its own in an index"),
            ),
            Some(KeyTarget::Expression(_)) if !(-1..=MAX_STATISTICS).contains(&target) => {
                problems.push(
                    error(format!("a statistics target of {target} is out of range")).help(
                        format!("it is 0 to {MAX_STATISTICS}; -1 is the server's default"),
                    ),
                );
            }
            Some(KeyTarget::Expression(_)) => {}
        }
    }
}
