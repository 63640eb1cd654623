//! Indexes that no node of the target scans, and what else they may be there for.

use std::collections::BTreeMap;

use super::duplicate::Redundant;
use super::shape::Shapes;
use super::{Finding, Inputs, Kind, Planned, Verdict, drop_statement, foreign_key};
use crate::catalog::advise::NodeUsage;
use crate::catalog::index_model::{IndexedTable, LiveConstraintKind, LiveIndex};
use crate::ident::QualifiedName;

const DAY: f64 = 86_400.0;

pub(super) fn find(inputs: Inputs<'_>, shapes: &Shapes, redundant: &[Redundant]) -> Vec<Finding> {
    let tree = Tree::of(inputs);
    let mut found = Vec::new();
    for table in &inputs.catalog.tables {
        let mut of_table: Vec<(&LiveIndex, Finding)> = table
            .indexes
            .iter()
            .filter(|index| {
                index.valid && index.live && index.parent.is_none() && !index.of_extension
            })
            // Advised to be dropped already.
            .filter(|index| !advised(redundant, index))
            .filter_map(|index| Some((index, judge(inputs, table, index, &tree, redundant)?)))
            .collect();
        spare_foreign_keys(inputs, shapes, table, redundant, &mut of_table);
        found.extend(of_table.into_iter().map(|(_, finding)| finding));
    }
    found
}

fn advised(redundant: &[Redundant], index: &LiveIndex) -> bool {
    redundant
        .iter()
        .any(|one| one.oid == index.oid && one.finding.verdict == Verdict::Advice)
}

/// Indexes by the partitioned index that they are attached to.
struct Tree<'a> {
    children: BTreeMap<&'a QualifiedName, Vec<&'a LiveIndex>>,
}

impl<'a> Tree<'a> {
    fn of(inputs: Inputs<'a>) -> Self {
        let mut children: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for index in inputs.catalog.tables.iter().flat_map(|t| &t.indexes) {
            if let Some(parent) = &index.parent {
                children.entry(parent).or_default().push(index);
            }
        }
        Self { children }
    }

    /// The indexes with rows: the index itself, or those below a partitioned one.
    fn leaves(&self, index: &'a LiveIndex) -> Vec<&'a LiveIndex> {
        if !index.partitioned {
            return vec![index];
        }
        self.children
            .get(&index.name)
            .into_iter()
            .flatten()
            .flat_map(|child| self.leaves(child))
            .collect()
    }
}

/// What all nodes together say of one index.
#[derive(Default)]
struct Seen {
    scans: i64,
    /// Seconds since the last scan on any node, where all that scanned recorded it.
    last_scan_seconds: Option<f64>,
    /// A node scanned it and does not record when.
    undated: bool,
    /// Nodes that have no such index.
    lacking: Vec<String>,
}

fn seen(nodes: &[NodeUsage], leaves: &[&LiveIndex]) -> Seen {
    let mut seen = Seen::default();
    for node in nodes {
        for leaf in leaves {
            let Some(usage) = node.indexes.get(&leaf.name) else {
                seen.lacking.push(node.node.clone());
                continue;
            };
            seen.scans += usage.scans;
            match usage.last_scan_seconds {
                Some(ago) => {
                    let sooner = seen.last_scan_seconds.map_or(ago, |last| last.min(ago));
                    seen.last_scan_seconds = Some(sooner);
                }
                None => seen.undated |= usage.scans > 0,
            }
        }
    }
    seen.lacking.dedup();
    seen
}

fn judge<'a>(
    inputs: Inputs<'a>,
    table: &'a IndexedTable,
    index: &'a LiveIndex,
    tree: &Tree<'a>,
    redundant: &[Redundant],
) -> Option<Finding> {
    let mut leaves = tree.leaves(index);
    let bytes: i64 = leaves.iter().map(|leaf| leaf.bytes).sum();
    // What used an index that is advised to go will use this one.
    for one in redundant
        .iter()
        .filter(|one| one.covered_by == index.oid && one.finding.verdict == Verdict::Advice)
    {
        let covered = table.indexes.iter().find(|other| other.oid == one.oid);
        leaves.extend(covered.into_iter().flat_map(|other| tree.leaves(other)));
    }
    let seen = seen(inputs.nodes, &leaves);
    let long_unused = inputs.limits.unused_for_seconds.is_some_and(|limit| {
        !seen.undated && seen.last_scan_seconds.is_some_and(|ago| ago >= limit)
    });
    if seen.scans > 0 && !long_unused {
        return None;
    }
    let history = inputs
        .nodes
        .iter()
        .map(|node| node.stats_seconds)
        .fold(f64::INFINITY, f64::min);
    let how = match seen.last_scan_seconds.filter(|_| seen.scans > 0) {
        Some(ago) => format!("not scanned for {}", days(ago)),
        None => "never scanned".to_owned(),
    };
    let mut finding = Finding::new(
        Kind::Unused,
        Verdict::Advice,
        &table.name,
        format!("{} was {how}", index.name),
    )
    .of(&index.name)
    .because(index.definition.clone())
    .figure("bytes", bytes as f64)
    .figure("scans", seen.scans as f64);
    if history.is_finite() {
        finding = finding.figure("stats_age_days", history / DAY);
    }
    if let Some(ago) = seen.last_scan_seconds {
        finding = finding.figure("last_scan_days", ago / DAY);
    }
    for node in inputs.nodes {
        finding.evidence.push(format!(
            "{}: statistics reach back {}",
            node.node,
            days(node.stats_seconds)
        ));
    }
    let writes = table.writes.inserts + table.writes.updates + table.writes.deletes;
    if writes > 0 {
        finding = finding
            .because(format!("{writes} writes to {} since then", table.name))
            .figure("table_writes", writes as f64);
    }
    if let Some(purpose) = purpose(index) {
        finding.verdict = Verdict::Keep;
        finding.summary = format!("{} was {how}, but {purpose}", index.name);
        return Some(finding);
    }
    let enough = history >= inputs.limits.min_age_seconds || long_unused;
    let doubt = if !enough {
        Some(format!(
            "the statistics reach back {}, {} are needed to tell",
            days(history),
            days(inputs.limits.min_age_seconds)
        ))
    } else if let Some((node, reason)) = inputs.unreached.first() {
        Some(format!("{node} could not be asked: {reason}"))
    } else {
        seen.lacking
            .first()
            .map(|node| format!("{node} does not have it or does not count its scans"))
    };
    if let Some(doubt) = doubt {
        finding.verdict = Verdict::NotProven;
        finding.summary = format!("{} was {how}; not proven unused: {doubt}", index.name);
        return Some(finding);
    }
    finding = finding.because(
        "a server does not record when an index was built; one younger than the statistics had less time to be used",
    );
    if index.keys.iter().any(|key| key.column.is_none()) {
        finding = finding.because(
            "it has an expression, whose statistics the planner uses even where it does not scan the index",
        );
    }
    finding.frees_bytes = Some(bytes);
    finding.plan = Some(Planned::Absent(index.name.clone()));
    Some(finding.next(drop_statement(&index.name, index.partitioned)))
}

/// What an index is for beside being scanned.
fn purpose(index: &LiveIndex) -> Option<String> {
    if let Some(constraint) = &index.constraint {
        let kind = match constraint.kind {
            LiveConstraintKind::Primary => "PRIMARY KEY",
            LiveConstraintKind::Unique => "UNIQUE",
            LiveConstraintKind::Exclusion => "EXCLUDE",
        };
        Some(format!("it enforces {kind} ({})", constraint.name))
    } else if let Some(table) = index.referenced_by.first() {
        Some(format!("a foreign key of {table} relies on it"))
    } else if index.definition.starts_with("CREATE UNIQUE") {
        Some("it enforces uniqueness".to_owned())
    } else if index.replica_identity {
        Some("it is the table's replica identity".to_owned())
    } else if index.clustered {
        Some("the table is clustered on it".to_owned())
    } else {
        None
    }
}

/// Keeps one index for every foreign key that would be left without.
fn spare_foreign_keys(
    inputs: Inputs<'_>,
    shapes: &Shapes,
    table: &IndexedTable,
    redundant: &[Redundant],
    found: &mut [(&LiveIndex, Finding)],
) {
    for key in inputs
        .facts
        .foreign_keys
        .iter()
        .filter(|key| key.table_oid == table.oid)
    {
        let supporting: Vec<&LiveIndex> = table
            .indexes
            .iter()
            .filter(|index| !advised(redundant, index))
            .filter(|index| foreign_key::supports(shapes, table, index, &key.columns))
            .collect();
        let dropped = |index: &LiveIndex| {
            found
                .iter()
                .any(|(other, finding)| other.oid == index.oid && finding.plan.is_some())
        };
        if supporting.iter().any(|index| !dropped(index)) {
            continue;
        }
        let Some(spared) = supporting
            .iter()
            .min_by_key(|index| (index.bytes, &index.name))
        else {
            continue;
        };
        if let Some((_, finding)) = found.iter_mut().find(|(other, _)| other.oid == spared.oid) {
            finding.verdict = Verdict::Keep;
            finding.plan = None;
            finding.frees_bytes = None;
            finding.next.clear();
            finding.summary = format!(
                "{}, but no other index leads with the columns of the foreign key {}: deletes in {} look for rows by it",
                finding.summary, key.name, key.parent
            );
        }
    }
}

/// A length of time as evidence states it: `12 days`, `5 hours`.
pub(super) fn days(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "an unknown time".to_owned();
    }
    let plural = |count: f64, one: &str| {
        let count = count.floor();
        if count == 1.0 {
            format!("1 {one}")
        } else {
            format!("{count} {one}s")
        }
    };
    if seconds >= 2.0 * DAY {
        plural(seconds / DAY, "day")
    } else if seconds >= 7_200.0 {
        plural(seconds / 3_600.0, "hour")
    } else if seconds >= 120.0 {
        plural(seconds / 60.0, "minute")
    } else {
        plural(seconds.max(0.0), "second")
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, enforcing, index, name, table};
    use super::*;
    use crate::catalog::index_model::TableKind;

    fn idle(sql: &str) -> LiveIndex {
        LiveIndex {
            scans: Some(0),
            ..index(sql)
        }
    }

    fn one(verdict: Verdict) -> Vec<(Kind, Verdict, String)> {
        vec![(Kind::Unused, verdict, "i".to_owned())]
    }

    #[test]
    fn an_index_that_no_node_scans_is_unused() {
        let mut case = Case::indexes(vec![
            idle("create index i on t (a)"),
            index("create index j on t (b)"),
        ]);
        assert_eq!(case.verdicts(), one(Verdict::Advice));
        assert_eq!(case.findings()[0].frees_bytes, Some(1 << 20));
        let mut replica = case.node("menu");
        case.nodes.push(replica.clone());
        assert_eq!(case.verdicts(), one(Verdict::Advice));
        if let Some(usage) = replica.indexes.get_mut(&name("i")) {
            usage.scans = 1;
        }
        case.nodes[1] = replica;
        assert_eq!(case.verdicts(), []);
    }

    #[test]
    fn doubt_is_never_advice() {
        let case = || Case::indexes(vec![idle("create index i on t (a)")]);
        let mut short = case();
        short.nodes[0].stats_seconds = 29.0 * DAY;
        assert_eq!(short.verdicts(), one(Verdict::NotProven));
        let mut replica = case();
        let mut menu = replica.node("menu");
        menu.stats_seconds = DAY;
        replica.nodes.push(menu);
        assert_eq!(replica.verdicts(), one(Verdict::NotProven));
        let mut unreached = case();
        unreached.unreached = vec![("menu".to_owned(), "connection refused".to_owned())];
        assert_eq!(unreached.verdicts(), one(Verdict::NotProven));
        assert!(
            unreached.findings()[0]
                .summary
                .contains("menu could not be asked: connection refused")
        );
        let mut lacking = case();
        lacking.nodes[0].indexes.clear();
        assert_eq!(lacking.verdicts(), one(Verdict::NotProven));
    }

    #[test]
    fn long_ago_counts_where_it_was_asked_for_and_is_recorded() {
        let mut case = Case::indexes(vec![index("create index i on t (a)")]);
        let mut seen = |ago, limit: Option<f64>| {
            case.nodes[0]
                .indexes
                .get_mut(&name("i"))
                .unwrap()
                .last_scan_seconds = ago;
            case.limits.unused_for_seconds = limit;
            case.verdicts()
        };
        assert_eq!(seen(Some(50.0 * DAY), None), []);
        assert_eq!(seen(Some(50.0 * DAY), Some(60.0 * DAY)), []);
        assert_eq!(
            seen(Some(70.0 * DAY), Some(60.0 * DAY)),
            one(Verdict::Advice)
        );
        assert_eq!(seen(None, Some(60.0 * DAY)), []);
    }

    #[test]
    fn an_index_that_does_more_than_find_rows_is_kept() {
        let changes: [fn(LiveIndex) -> LiveIndex; 7] = [
            |i| enforcing(i, LiveConstraintKind::Primary),
            |i| enforcing(i, LiveConstraintKind::Unique),
            |i| enforcing(i, LiveConstraintKind::Exclusion),
            |i| LiveIndex {
                definition: i
                    .definition
                    .replace("INDEX", "UNIQUE INDEX")
                    .replace("index", "unique index")
                    .replacen("CREATE unique", "CREATE UNIQUE", 1),
                ..i
            },
            |i| LiveIndex {
                replica_identity: true,
                ..i
            },
            |i| LiveIndex {
                clustered: true,
                ..i
            },
            |i| LiveIndex {
                referenced_by: vec![name("child")],
                ..i
            },
        ];
        for change in changes {
            let case = Case::indexes(vec![change(idle("create index i on t (a)"))]);
            assert_eq!(case.verdicts(), one(Verdict::Keep));
            assert!(case.findings()[0].next.is_empty());
        }
        let gone: [fn(LiveIndex) -> LiveIndex; 1] = [|i| LiveIndex {
            of_extension: true,
            ..i
        }];
        for change in gone {
            assert_eq!(
                Case::indexes(vec![change(idle("create index i on t (a)"))]).verdicts(),
                []
            );
        }
    }

    #[test]
    fn one_index_stays_for_each_foreign_key() {
        let small = LiveIndex {
            bytes: 1 << 10,
            ..idle("create index i on t (a, b)")
        };
        let mut case = Case::indexes(vec![small, idle("create index j on t (a, c)")]);
        case.foreign_key("t", &["a"]);
        assert_eq!(
            case.verdicts(),
            [
                (Kind::Unused, Verdict::Advice, "j".to_owned()),
                (Kind::Unused, Verdict::Keep, "i".to_owned()),
            ]
        );
    }

    #[test]
    fn an_index_takes_over_the_scans_of_those_it_replaces() {
        let case = Case::indexes(vec![
            idle("create index i on t (a, b)"),
            index("create index j on t (a)"),
        ]);
        assert_eq!(
            case.verdicts(),
            [(Kind::RedundantPrefix, Verdict::Advice, "j".to_owned())]
        );
        let case = Case::indexes(vec![
            idle("create index i on t (a, b)"),
            idle("create index j on t (a)"),
        ]);
        assert_eq!(case.verdicts().len(), 2);
    }

    #[test]
    fn a_partitioned_index_has_the_scans_of_its_parts() {
        let mut parent = table("t");
        parent.kind = TableKind::Partitioned;
        parent.indexes = vec![LiveIndex {
            partitioned: true,
            scans: None,
            bytes: 0,
            ..index("create index i on t (a)")
        }];
        let leaf = |text: &str, scans| {
            let mut leaf = table(text);
            let sql = format!("create index {text}_i on {text} (a)");
            leaf.indexes = vec![LiveIndex {
                parent: Some(name("i")),
                scans: Some(scans),
                ..index(&sql)
            }];
            leaf
        };
        let case = Case::of(vec![parent.clone(), leaf("l1", 0), leaf("l2", 0)]);
        assert_eq!(case.verdicts(), one(Verdict::Advice));
        assert_eq!(case.findings()[0].frees_bytes, Some(2 << 20));
        let case = Case::of(vec![parent, leaf("l1", 0), leaf("l2", 3)]);
        assert_eq!(case.verdicts(), []);
    }
}
