//! Indexes that another index of the same table makes needless: duplicates and leading keys.

use std::cmp::Reverse;

use super::shape::{Order, Shape, Shapes};
use super::{Finding, Inputs, Kind, Planned, Verdict, drop_statement};
use crate::catalog::index_model::{IndexedTable, LiveConstraintKind, LiveIndex};

/// An index that another one makes needless.
pub(super) struct Redundant {
    /// `oid` of the index.
    pub(super) oid: u32,
    /// `oid` of the index that serves in its place.
    pub(super) covered_by: u32,
    pub(super) finding: Finding,
}

pub(super) fn find(inputs: Inputs<'_>, shapes: &Shapes) -> Vec<Redundant> {
    inputs
        .catalog
        .tables
        .iter()
        .flat_map(|table| of_table(table, shapes))
        .collect()
}

fn of_table(table: &IndexedTable, shapes: &Shapes) -> Vec<Redundant> {
    let mut usable: Vec<(&LiveIndex, &Shape)> = table
        .indexes
        .iter()
        .filter(|index| index.valid && index.ready && index.live)
        .filter_map(|index| Some((index, shapes.get(index)?)))
        .collect();
    usable.sort_by_key(|(index, _)| rank(index));
    let needless = |at: usize| -> Vec<usize> {
        (0..usable.len())
            .filter(|&other| {
                other != at
                    && covers(usable[other], usable[at]).is_some()
                    // Of two that serve in each other's place the first one stays.
                    && (other < at || covers(usable[at], usable[other]).is_none())
            })
            .collect()
    };
    let all: Vec<Vec<usize>> = (0..usable.len()).map(needless).collect();
    let mut found = Vec::new();
    for (at, covering) in all.iter().enumerate() {
        let (index, _) = usable[at];
        // An index attached to a partitioned one goes and stays with that one.
        if index.parent.is_some() || index.of_extension {
            continue;
        }
        // One that stays itself is named, so that following all the advice leaves it there.
        let stays = |&&other: &&usize| all[other].is_empty() || bound(usable[other].0).is_some();
        let Some(&other) = covering.iter().find(stays).or(covering.first()) else {
            continue;
        };
        let Some(order) = covers(usable[other], usable[at]) else {
            continue;
        };
        found.push(Redundant {
            oid: index.oid,
            covered_by: usable[other].0.oid,
            finding: finding(table, usable[at], usable[other], order),
        });
    }
    found
}

/// Indexes that are more than a way to find rows stay before others; then the more used, then the older one.
fn rank(index: &LiveIndex) -> impl Ord + use<> {
    let constraint = match &index.constraint {
        Some(one) if one.kind == LiveConstraintKind::Primary => 2,
        Some(_) => 1,
        None => 0,
    };
    (
        Reverse(constraint),
        Reverse(!index.referenced_by.is_empty()),
        Reverse(index.replica_identity),
        Reverse(index.clustered),
        Reverse(index.of_extension),
        Reverse(index.parent.is_some()),
        Reverse(index.definition.starts_with("CREATE UNIQUE")),
        Reverse(index.scans.unwrap_or(0)),
        index.oid,
    )
}

/// Whether `by` serves wherever `what` does, and how its keys stand to it.
fn covers(by: (&LiveIndex, &Shape), what: (&LiveIndex, &Shape)) -> Option<Order> {
    let (by_index, by) = by;
    let (what_index, what) = what;
    let order = what.leads(by)?;
    if what.predicate != by.predicate || !what.included_in(by) {
        return None;
    }
    let enforces_the_same = by.unique
        && by.keys.len() == what.keys.len()
        && by.nulls_not_distinct == what.nulls_not_distinct
        && (by_index.immediate || !what_index.immediate);
    (!what.unique || enforces_the_same).then_some(order)
}

/// Why an index cannot simply be dropped.
fn bound(index: &LiveIndex) -> Option<String> {
    if let Some(constraint) = &index.constraint {
        Some(format!("it enforces the constraint {}", constraint.name))
    } else if let Some(table) = index.referenced_by.first() {
        Some(format!("a foreign key of {table} relies on it"))
    } else if index.replica_identity {
        Some("it is the table's replica identity".to_owned())
    } else if index.clustered {
        Some("the table is clustered on it".to_owned())
    } else {
        None
    }
}

fn finding(
    table: &IndexedTable,
    (index, shape): (&LiveIndex, &Shape),
    (other, other_shape): (&LiveIndex, &Shape),
    order: Order,
) -> Finding {
    let (kind, what) = if shape.keys.len() < other_shape.keys.len() {
        (Kind::RedundantPrefix, "its keys are the leading keys of")
    } else if order == Order::Reversed {
        (Kind::ReverseDuplicate, "it is, read backwards, the same as")
    } else if shape == other_shape {
        (Kind::Duplicate, "it is the same as")
    } else {
        (Kind::Duplicate, "it does nothing that is not done by")
    };
    let reason = bound(index);
    let verdict = if reason.is_some() {
        Verdict::Keep
    } else {
        Verdict::Advice
    };
    let mut finding = Finding::new(
        kind,
        verdict,
        &table.name,
        format!("{} is needless: {what} {}", index.name, other.name),
    )
    .of(&index.name)
    .because(index.definition.clone())
    .because(other.definition.clone())
    .figure("bytes", index.bytes as f64)
    .figure("covering_bytes", other.bytes as f64);
    if kind == Kind::RedundantPrefix && order == Order::Reversed {
        finding = finding.because(
            "all of its keys are sorted the other way round: the longer index is read backwards",
        );
    }
    if let (Some(scans), Some(of_other)) = (index.scans, other.scans) {
        finding = finding
            .because(format!(
                "{scans} scans of it since the statistics began, {of_other} of {}",
                other.name
            ))
            .figure("scans", scans as f64);
    }
    if let Some(reason) = reason {
        finding.summary = format!(
            "{} and {} do the same, but {reason}",
            index.name, other.name
        );
        return finding;
    }
    finding.frees_bytes = (!index.partitioned).then_some(index.bytes);
    finding.plan = Some(Planned::Absent(index.name.clone()));
    finding.next(drop_statement(&index.name, index.partitioned))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, enforcing, index, name, table};
    use super::*;
    use crate::catalog::index_model::{Fold, Folded, TableKind};

    /// What is advised of indexes on one table: kind and name.
    fn advised(sql: &[&str]) -> Vec<(Kind, String)> {
        let case = Case::indexes(sql.iter().map(|sql| index(sql)).collect());
        case.verdicts()
            .into_iter()
            .map(|(kind, verdict, name)| {
                assert_eq!(verdict, Verdict::Advice, "{name}");
                (kind, name)
            })
            .collect()
    }

    #[test]
    fn twins_and_leading_keys_are_found() {
        for (sql, kind) in [
            (
                ["create index x on t (a)", "create index y on t (a)"],
                Kind::Duplicate,
            ),
            (
                ["create index x on t (a, b)", "create index y on t (a, b)"],
                Kind::Duplicate,
            ),
            (
                ["create index x on t (a, b)", "create index y on t (a)"],
                Kind::RedundantPrefix,
            ),
            (
                ["create index x on t (a desc, b)", "create index y on t (a)"],
                Kind::RedundantPrefix,
            ),
            (
                ["create index x on t (a)", "create index y on t (a desc)"],
                Kind::ReverseDuplicate,
            ),
            (
                [
                    "create index x on t (a, b desc)",
                    "create index y on t (a desc, b)",
                ],
                Kind::ReverseDuplicate,
            ),
            (
                [
                    "create index x on t (a) include (b)",
                    "create index y on t (a)",
                ],
                Kind::Duplicate,
            ),
            (
                [
                    "create index x on t (a, b)",
                    "create index y on t (a) include (b)",
                ],
                Kind::RedundantPrefix,
            ),
            (
                ["create unique index x on t (a)", "create index y on t (a)"],
                Kind::Duplicate,
            ),
            (
                [
                    "create unique index x on t (a)",
                    "create unique index y on t (a)",
                ],
                Kind::Duplicate,
            ),
            (
                [
                    "create unique index x on t (a, b)",
                    "create index y on t (a)",
                ],
                Kind::RedundantPrefix,
            ),
            (
                [
                    "create index x on t (a) where (b > 1)",
                    "create index y on t (a) where (b > 1)",
                ],
                Kind::Duplicate,
            ),
            (
                [
                    "create index x on t (a, b) where (c > 1)",
                    "create index y on t (a) where (c > 1)",
                ],
                Kind::RedundantPrefix,
            ),
            (
                [
                    "create index x on t using hash (a)",
                    "create index y on t using hash (a)",
                ],
                Kind::Duplicate,
            ),
            (
                [
                    "create index x on t using gin (a, b)",
                    "create index y on t using gin (b, a)",
                ],
                Kind::Duplicate,
            ),
            (
                [
                    "create index x on t using brin (a)",
                    "create index y on t using brin (a)",
                ],
                Kind::Duplicate,
            ),
            (
                [
                    "create index x on t (lower(a), b)",
                    "create index y on t (lower(a))",
                ],
                Kind::RedundantPrefix,
            ),
        ] {
            assert_eq!(advised(&sql), [(kind, "y".to_owned())], "{sql:?}");
        }
    }

    #[test]
    fn what_only_looks_alike_is_not() {
        for sql in [
            [
                "create index x on t (a, b)",
                "create index y on t (a, b desc)",
            ],
            [
                "create index x on t (a)",
                "create index y on t (a nulls first)",
            ],
            [
                "create index x on t (a)",
                "create index y on t (a desc nulls last)",
            ],
            [
                "create index x on t (a, b)",
                "create index y on t (a desc, b)",
            ],
            ["create index x on t (a, b)", "create index y on t (b)"],
            ["create index x on t (a, b)", "create index y on t (b, a)"],
            [
                "create index x on t (a) include (b)",
                "create index y on t using hash (a)",
            ],
            [
                "create index x on t (a) include (b)",
                "create index y on t (a) include (c)",
            ],
            [
                "create index x on t (a, b) include (c)",
                "create index y on t (a) include (d)",
            ],
            [
                "create index x on t (a)",
                "create index y on t (a) where (b > 1)",
            ],
            [
                "create index x on t (a) where (b > 1)",
                "create index y on t (a) where (b > 2)",
            ],
            [
                "create index x on t (a)",
                "create index y on t (a text_pattern_ops)",
            ],
            [
                "create index x on t (a)",
                "create index y on t (a collate \"C\")",
            ],
            [
                "create index x on t (lower(a))",
                "create index y on t (upper(a))",
            ],
            [
                "create index x on t (a, b)",
                "create unique index y on t (a)",
            ],
            [
                "create unique index x on t (a)",
                "create unique index y on t (a) nulls not distinct",
            ],
            [
                "create index x on t using gin (a, b)",
                "create index y on t using gin (a)",
            ],
            [
                "create index x on t using gist (a, b)",
                "create index y on t using gist (b, a)",
            ],
            [
                "create index x on t using brin (a)",
                "create index y on t using brin (a) with (pages_per_range = 16)",
            ],
            [
                "create index x on t using gist (a gist_trgm_ops (siglen = 8))",
                "create index y on t using gist (a gist_trgm_ops (siglen = 16))",
            ],
        ] {
            assert_eq!(advised(&sql), [], "{sql:?}");
        }
    }

    #[test]
    fn of_twins_the_one_that_is_more_than_an_index_stays() {
        let twin = |change: fn(LiveIndex) -> LiveIndex| {
            let plain = index("create unique index x on t (a)");
            Case::indexes(vec![plain, change(index("create unique index y on t (a)"))]).verdicts()
        };
        let goes = [(Kind::Duplicate, Verdict::Advice, "x".to_owned())];
        assert_eq!(twin(|y| enforcing(y, LiveConstraintKind::Unique)), goes);
        assert_eq!(
            twin(|y| LiveIndex {
                referenced_by: vec![name("child")],
                ..y
            }),
            goes
        );
        assert_eq!(
            twin(|y| LiveIndex {
                replica_identity: true,
                ..y
            }),
            goes
        );
        assert_eq!(
            twin(|y| LiveIndex {
                clustered: true,
                ..y
            }),
            goes
        );
        assert_eq!(
            twin(|y| LiveIndex {
                scans: Some(9_000),
                ..y
            }),
            goes
        );
        assert_eq!(
            twin(|y| LiveIndex { valid: false, ..y })[0].0,
            Kind::Invalid
        );
        // A deferrable constraint is no arbiter of ON CONFLICT and does not check at once.
        assert_eq!(
            twin(|y| enforcing(
                LiveIndex {
                    immediate: false,
                    ..y
                },
                LiveConstraintKind::Unique
            )),
            [(Kind::Duplicate, Verdict::Keep, "y".to_owned())]
        );
    }

    #[test]
    fn two_constraints_are_told_and_kept() {
        let case = Case::indexes(vec![
            enforcing(
                index("create unique index t_pkey on t (a)"),
                LiveConstraintKind::Primary,
            ),
            enforcing(
                index("create unique index t_key on t (a)"),
                LiveConstraintKind::Unique,
            ),
        ]);
        assert_eq!(
            case.verdicts(),
            [(Kind::Duplicate, Verdict::Keep, "t_key".to_owned())]
        );
    }

    #[test]
    fn a_chain_names_an_index_that_stays() {
        let case = Case::indexes(vec![
            index("create index x on t (a)"),
            index("create index y on t (a, b)"),
            index("create index z on t (a, b, c)"),
        ]);
        let found = case.findings();
        assert_eq!(found.len(), 2);
        assert!(
            found.iter().all(|one| one.summary.ends_with("public.z")),
            "{found:#?}"
        );
    }

    #[test]
    fn folded_texts_are_compared_and_unfolded_ones_as_printed() {
        let mut case = Case::indexes(vec![
            index("create index x on t (a) where (b in (1, 2))"),
            index("create index y on t (a) where (b = any (array[1, 2]))"),
        ]);
        assert_eq!(case.verdicts(), []);
        case.folds = ["b in (1, 2)", "b = any (array[1, 2])"]
            .map(|text| Fold {
                table: name("t"),
                text: text.to_owned(),
                folded: Folded::Text("one form".to_owned()),
            })
            .to_vec();
        assert_eq!(case.verdicts().len(), 1);
        case.folds[0].folded = Folded::Unknown("locked".to_owned());
        assert_eq!(case.verdicts(), []);
    }

    #[test]
    fn parts_of_a_partitioned_index_are_left_to_their_parent() {
        let mut parent = table("t");
        parent.kind = TableKind::Partitioned;
        let partitioned = |sql: &str| LiveIndex {
            partitioned: true,
            scans: None,
            ..index(sql)
        };
        parent.indexes = vec![
            partitioned("create index x on t (a)"),
            partitioned("create index y on t (a, b)"),
        ];
        let mut leaf = table("leaf");
        let part = |sql: &str, of: &str| LiveIndex {
            parent: Some(name(of)),
            ..index(sql)
        };
        leaf.indexes = vec![
            part("create index lx on leaf (a)", "x"),
            part("create index ly on leaf (a, b)", "y"),
            index("create index own on leaf (a)"),
        ];
        let case = Case::of(vec![parent, leaf]);
        assert_eq!(
            case.verdicts(),
            [
                (Kind::RedundantPrefix, Verdict::Advice, "own".to_owned()),
                (Kind::RedundantPrefix, Verdict::Advice, "x".to_owned()),
            ]
        );
        assert!(!case.findings()[1].next[0].contains("concurrently"));
    }
}
