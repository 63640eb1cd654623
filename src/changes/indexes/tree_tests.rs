//! Rules of the index planner on partitioned tables, one by one.

use super::testing::*;
use crate::catalog::index_model::*;

/// p with the leaf p1 and the level p2, which has the leaf p3.
fn tree(indexes: [Vec<LiveIndex>; 4]) -> Case {
    let [p, p1, p2, p3] = indexes;
    let part =
        |text: &str, indexes, kind, parent: Option<&str>, partitions: &[&str]| IndexedTable {
            kind,
            parent: parent.map(name),
            partitions: partitions.iter().map(|text| name(text)).collect(),
            partition_key: partitions
                .iter()
                .take(1)
                .map(|_| Some("a".to_owned()))
                .collect(),
            ..table(text, indexes)
        };
    Case::new(vec![
        part("p", p, TableKind::Partitioned, None, &["p1", "p2"]),
        part("p1", p1, TableKind::Table, Some("p"), &[]),
        part("p2", p2, TableKind::Partitioned, Some("p"), &["p3"]),
        part("p3", p3, TableKind::Table, Some("p2"), &[]),
    ])
}

fn level(sql: &str, parent: Option<&str>, valid: bool) -> LiveIndex {
    LiveIndex {
        partitioned: !sql.contains("on p1 ") && !sql.contains("on p3 "),
        parent: parent.map(name),
        valid,
        ..live(sql)
    }
}

fn whole(first: LiveIndex, valid: bool) -> Case {
    tree([
        vec![level("create index i on p using btree (a, b)", None, valid)],
        vec![first],
        vec![level(
            "create index i2 on p2 using btree (a, b)",
            Some("i"),
            true,
        )],
        vec![level(
            "create index i3 on p3 using btree (a, b)",
            Some("i2"),
            true,
        )],
    ])
    .declare("create index i on p (a, b)")
}

#[test]
fn a_tree_is_built_from_the_top_and_attached_as_it_goes() {
    let case = tree([vec![], vec![], vec![], vec![]]).declare("create index i on p (b)");
    let draft = case.plan();
    assert_eq!(
        words(&draft.steps),
        [
            "CreateParentIndex i",
            "CreateIndex p1_i",
            "AttachIndex p1_i",
            "CreateParentIndex p2_i",
            "AttachIndex p2_i",
            "CreateIndex p3_i",
            "AttachIndex p3_i"
        ]
    );
    assert!(draft.steps[0].ways[0].statements[0].contains("on only"));
    assert!(draft.steps[0].locks[0].only && draft.steps[0].locks[0].explicit);
}

#[test]
fn what_is_there_is_used_whatever_its_name() {
    let case = tree([
        vec![],
        vec![level("create index mine on p1 using btree (b)", None, true)],
        vec![],
        vec![],
    ])
    .declare("create index i on p (b)");
    assert_eq!(
        case.steps()[..2],
        ["CreateParentIndex i", "AttachIndex mine"]
    );
}

#[test]
fn a_whole_tree_needs_nothing_and_a_broken_one_is_mended() {
    let leaf = |sql: &str, valid| level(sql, Some("i"), valid);
    let good = "create index i1 on p1 using btree (a, b)";
    assert!(whole(leaf(good, true), true).steps().is_empty());
    // Attached while it was invalid.
    let broken = whole(leaf(good, false), false);
    assert_eq!(broken.steps(), ["ReindexIndex i1", "AttachIndex i1"]);
    // PostgreSQL 13 never looks again: only a new tree helps.
    let old = broken.on(130_023).steps();
    assert_eq!(
        old.first().map(String::as_str),
        Some("CreateParentIndex i_dbops_new")
    );
    assert_eq!(
        old[old.len() - 2..],
        ["SwapIndexes i", "DropParentIndex i_dbops_old"]
    );
    // All are valid, and the top was not looked at again.
    assert_eq!(whole(leaf(good, true), false).steps(), ["AttachIndex i1"]);
}

#[test]
fn a_leaf_that_is_sorted_otherwise_gets_a_new_tree() {
    let leaf = level(
        "create index i1 on p1 using btree (a, b desc)",
        Some("i"),
        true,
    );
    let case = whole(leaf, true);
    assert!(case.steps().contains(&"SwapIndexes i".to_owned()));
    assert!(case.notes().contains(&"tree-replaced".to_owned()));
    let parameters = level(
        "create index i1 on p1 using btree (a, b) with (fillfactor=70)",
        Some("i"),
        true,
    );
    assert_eq!(whole(parameters, true).steps(), ["AlterIndex i1"]);
}

#[test]
fn a_foreign_partition_is_left_out() {
    let mut case = tree([vec![], vec![], vec![], vec![]]).declare("create index i on p (b)");
    case.catalog.tables[3].kind = TableKind::Foreign;
    let draft = case.plan();
    assert_eq!(
        words(&draft.steps),
        ["CreateIndex p1_i", "CreateParentIndex i"]
    );
    assert!(draft.steps[1].locks.iter().any(|lock| !lock.explicit));
    case.declared = vec![declared("create unique index i on p (a)")];
    assert_eq!(case.codes(), ["unique-with-foreign-partition"]);
}

#[test]
fn a_unique_index_holds_the_partition_key() {
    let case = tree([vec![], vec![], vec![], vec![]]);
    let without = case.clone().declare("create unique index i on p (b)");
    assert_eq!(without.codes(), ["unique-without-partition-key"]);
    assert!(
        case.declare("create unique index i on p (b, a)")
            .codes()
            .is_empty()
    );
}

#[test]
fn a_tree_is_dropped_as_a_whole() {
    let case = whole(
        level("create index i1 on p1 using btree (a, b)", Some("i"), true),
        true,
    );
    let mut case = Case {
        declared: vec![],
        ..case
    }
    .without("i");
    let draft = case.plan();
    assert_eq!(words(&draft.steps), ["DropParentIndex i"]);
    assert_eq!(draft.steps[0].locks.len(), 4);
    assert_eq!(case.notes(), ["drop-locks-all-partitions"]);
    case.catalog.tables[1].indexes[0].replica_identity = true;
    assert_eq!(case.codes(), ["drop-guard-replica-identity"]);
}

#[test]
fn other_partitions_go_on_beside_a_running_build() {
    let mut case = tree([vec![], vec![], vec![], vec![]]).declare("create index i on p (b)");
    case.catalog.running.push(RunningBuild {
        pid: 7,
        application: None,
        role: None,
        table: name("p1"),
        index: None,
        command: "REINDEX CONCURRENTLY".to_owned(),
        phase: String::new(),
        done: None,
        seconds: None,
    });
    assert_eq!(
        case.steps(),
        [
            "AwaitBuild p1",
            "CreateParentIndex i",
            "CreateParentIndex p2_i",
            "AttachIndex p2_i",
            "CreateIndex p3_i",
            "AttachIndex p3_i"
        ]
    );
}

#[test]
fn builds_that_would_fill_the_disk_are_refused() {
    let mut case = Case::new(vec![table("t", vec![])]).declare("create index i on t (a)");
    case.catalog.free_bytes = Some(10 << 20);
    assert_eq!(case.codes(), ["disk-space"]);
    case.catalog.free_bytes = Some(10 << 30);
    assert!(case.codes().is_empty() && case.notes().is_empty());
}
