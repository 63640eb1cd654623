//! Advice on index plans that needs no server: only what is certain from the plan alone.

use super::PlanFile;
use super::diagnose::{Diagnostic, Spot};
use super::policy::SubPartitions;
use crate::ident::QualifiedName;
use crate::syntax::{DEFAULT_METHOD, IndexSpec, KeySpec, KeyTarget};

/// An index of the plan, with its place.
struct Planned<'a> {
    name: QualifiedName,
    spec: IndexSpec,
    /// Whether uniqueness or a constraint makes it more than a way to find rows.
    enforces: bool,
    spot: &'a Spot,
}

/// Returns what can be said against the index plans; `spots` has the place of each.
pub(super) fn lint(plan: &PlanFile, spots: &[Spot]) -> Vec<Diagnostic> {
    let indexes: Vec<Planned<'_>> = plan
        .indexes
        .iter()
        .zip(spots)
        .filter_map(|(entry, spot)| {
            let spec = entry.spec().ok()??;
            Some(Planned {
                name: QualifiedName::new(spec.table.schema.as_str(), spec.name.as_deref()?),
                enforces: spec.unique || entry.constraint.is_some(),
                spec,
                spot,
            })
        })
        .collect();
    let mut found = Vec::new();
    for (at, index) in indexes.iter().enumerate() {
        found.extend(redundant(at, index, &indexes));
        found.extend(lacks_partition_key(plan, index));
    }
    found
}

/// Warns of an index that another one of the plan makes superfluous.
fn redundant(at: usize, index: &Planned<'_>, all: &[Planned<'_>]) -> Option<Diagnostic> {
    let others = || {
        all.iter().enumerate().filter(move |(other_at, other)| {
            *other_at != at && other.spec.table == index.spec.table
        })
    };
    // Of two equal ones the later is superfluous, unless it alone enforces something.
    let twin = others().find(|(other_at, other)| {
        same(&index.spec, &other.spec)
            && (other.enforces, at) >= (index.enforces, *other_at)
            && (*other_at < at || other.enforces != index.enforces)
    });
    if let Some((_, twin)) = twin {
        return Some(
            Diagnostic::warning(format!(
                "the index `{}` is the same as `{}`",
                index.name, twin.name
            ))
            .spot(index.spot.relabelled("the same again"))
            .spot(
                twin.spot
                    .relabelled("this one serves every query that it serves"),
            )
            .help("remove one of the two: each costs every write to the table"),
        );
    }
    if index.enforces {
        return None;
    }
    // The shortest that covers it, so that a chain of prefixes names its next link.
    let (_, longer) = others()
        .filter(|(_, other)| is_prefix(&index.spec, &other.spec))
        .min_by_key(|(other_at, other)| (other.spec.keys.len(), *other_at))?;
    let (how, label) = if index.spec.keys.len() == longer.spec.keys.len() {
        ("has the columns of the unique", "the same columns again")
    } else {
        ("is a prefix of", "its columns begin the other one too")
    };
    Some(
        Diagnostic::warning(format!(
            "the index `{}` {how} `{}`",
            index.name, longer.name
        ))
        .spot(index.spot.relabelled(label))
        .spot(longer.spot.relabelled("this one serves every query that it serves"))
        .help(format!(
            "remove it, and add `absent: [{}]` where it exists; keep it if it is measured to be worth its writes",
            index.name
        )),
    )
}

/// Whether two indexes of one table differ in name only.
fn same(a: &IndexSpec, b: &IndexSpec) -> bool {
    a.method == b.method
        && a.keys == b.keys
        && a.include == b.include
        && a.predicate == b.predicate
        && a.unique == b.unique
        && a.nulls_not_distinct == b.nulls_not_distinct
}

/// Whether `longer` begins with the keys of `short`, so that it finds the same rows in the same order.
///
/// A btree is read from either end, so an order that is reversed in every key is the same order.
fn is_prefix(short: &IndexSpec, longer: &IndexSpec) -> bool {
    let both_btree = short.method == DEFAULT_METHOD && longer.method == DEFAULT_METHOD;
    if !both_btree
        || short.predicate != longer.predicate
        || short.keys.len() > longer.keys.len()
        || short.keys.len() == longer.keys.len() && !longer.unique
        || !short.with.is_empty() && short.with != longer.with
    {
        return false;
    }
    // An included column saves the visit to the table; the longer index must hold it too.
    let held = |column: &String| {
        longer.include.contains(column) || longer.key_columns().any(|name| name == column)
    };
    if !short.include.iter().all(held) {
        return false;
    }
    let pairs = || short.keys.iter().zip(&longer.keys);
    let apart = |key: &KeySpec| {
        (
            key.target.clone(),
            key.collate.clone(),
            key.opclass.clone(),
            key.opclass_options.clone(),
        )
    };
    pairs().all(|(a, b)| apart(a) == apart(b))
        && (pairs().all(|(a, b)| a.desc == b.desc && a.nulls_first == b.nulls_first)
            || short.keys.len() < longer.keys.len()
                && pairs().all(|(a, b)| a.desc != b.desc && a.nulls_first != b.nulls_first))
}

/// Warns of a unique index without the key that the plan's own partition policy gives its table.
fn lacks_partition_key(plan: &PlanFile, index: &Planned<'_>) -> Option<Diagnostic> {
    if !index.spec.unique {
        return None;
    }
    let policy = plan
        .partitions
        .iter()
        .find(|policy| policy.table == index.spec.table)?;
    let mut needed: Vec<&str> = policy.column.as_deref().into_iter().collect();
    // Leaves below a partition ask for their own key as well.
    match &policy.sub {
        Some(SubPartitions::Hash { columns, .. }) => {
            needed.extend(columns.iter().map(String::as_str));
        }
        Some(SubPartitions::List { column, .. }) => needed.push(column),
        None => {}
    }
    let missing: Vec<String> = needed
        .into_iter()
        .filter(|column| {
            !index
                .spec
                .keys
                .iter()
                .any(|key| matches!(&key.target, KeyTarget::Column(name) if name == column))
        })
        .map(|column| format!("`{column}`"))
        .collect();
    if missing.is_empty() {
        return None;
    }
    Some(
        Diagnostic::warning(format!(
            "the unique index `{}` lacks the partition key {} of `{}`",
            index.name,
            missing.join(", "),
            index.spec.table
        ))
        .spot(
            index
                .spot
                .relabelled("PostgreSQL refuses it on a partitioned table"),
        )
        .help(format!(
            "add {} to `columns`: uniqueness is checked within one partition only",
            missing.join(", ")
        )),
    )
}

#[cfg(test)]
mod tests {
    use crate::plan_file::{Source, parse};

    fn lint(entries: &[&str]) -> Vec<String> {
        let text = format!(
            "version: 1\npartitions:\n  - {{ table: parted, every: month, column: at, sub: {{ hash: {{ columns: [tenant], modulus: 2 }} }} }}\nindexes:\n  - {}\n",
            entries.join("\n  - ")
        );
        let source = Source {
            path: "plan.yaml".into(),
            text,
        };
        let loaded = parse(&[source]).unwrap_or_else(|problems| panic!("{problems}"));
        loaded
            .lint_indexes()
            .iter()
            .map(|found| {
                assert!(found.spots[0].origin.line > 4);
                found.message.clone()
            })
            .collect()
    }

    #[test]
    fn a_prefix_is_named_once_with_the_shortest_that_covers_it() {
        assert_eq!(
            lint(&[
                "{ name: abc, table: t, columns: [a, b, c] }",
                "{ name: a, table: t, columns: [a] }",
                "sql: create index ab on t (a, b)",
            ]),
            [
                "the index `public.a` is a prefix of `public.ab`",
                "the index `public.ab` is a prefix of `public.abc`",
            ]
        );
    }

    #[test]
    fn an_order_read_backwards_is_the_same_order() {
        assert_eq!(
            lint(&[
                "sql: create index short on t (a, b desc)",
                "sql: create index long on t (a desc, b, c)",
            ])
            .len(),
            1
        );
        for (short, long) in [
            ("(a, b)", "(a, b desc, c)"),
            ("(a nulls first)", "(a, b)"),
            ("(a)", "(a desc nulls last, b)"),
            ("(a) where x", "(a, b)"),
            ("(a)", "(a, b) where x"),
            ("(a) include (z)", "(a, b)"),
            ("(a collate \"C\")", "(a, b)"),
            ("(a text_pattern_ops)", "(a, b)"),
            ("using hash (a)", "(a, b)"),
            ("using gin (a)", "using gin (a, b)"),
            ("(a)", "(a desc)"),
            ("(lower(a))", "(a, b)"),
        ] {
            let entries = [
                format!("sql: create index short on t {short}"),
                format!("sql: create index long on t {long}"),
            ];
            let found = lint(&[&entries[0], &entries[1]]);
            assert!(found.is_empty(), "{entries:?} {found:?}");
        }
    }

    #[test]
    fn what_enforces_something_is_not_superfluous() {
        assert!(
            lint(&[
                "{ name: u, table: t, columns: [a], unique: true }",
                "{ name: l, table: t, columns: [a, b] }",
            ])
            .is_empty()
        );
        assert_eq!(
            lint(&[
                "{ name: p, table: t, columns: [a] }",
                "{ name: u, table: t, columns: [a], unique: true }",
            ]),
            ["the index `public.p` has the columns of the unique `public.u`"]
        );
        assert_eq!(
            lint(&[
                "{ name: one, table: t, columns: [{ expr: lower(a) }] }",
                "{ name: two, table: t, columns: [{ expr: (lower(a)) }] }",
                "{ name: other, table: u, columns: [{ expr: lower(a) }] }",
            ]),
            ["the index `public.two` is the same as `public.one`"]
        );
    }

    #[test]
    fn a_unique_index_lacks_a_partition_key() {
        assert_eq!(
            lint(&[
                "{ name: u, table: parted, columns: [id, at], unique: true }",
                "{ name: v, table: parted, columns: [id, at, tenant], unique: true }",
            ]),
            ["the unique index `public.u` lacks the partition key `tenant` of `public.parted`"]
        );
    }
}
