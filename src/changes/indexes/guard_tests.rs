//! What keeps an index from being dropped or replaced, and what its successor takes over, one by one.

use super::build_questions;
use super::testing::*;
use crate::catalog::index_model::*;

const NONE: [&str; 0] = [];

#[test]
fn an_arbiter_with_an_expression_is_asked_for_too() {
    let unique = live("create unique index i on t using btree (abs(a), b)");
    let case = Case::new(vec![table("t", vec![unique])]).without("i");
    assert_eq!(
        build_questions(case.inputs(), &case.folded()).arbiters[0].columns,
        [None, Some("b".to_owned())]
    );
}

#[test]
fn what_the_same_run_replaces_stays_for_nothing_that_its_successor_does_not_serve() {
    let child = |indexes| {
        let mut child = table("t", indexes);
        child.foreign_keys.push(ChildForeignKey {
            name: "fk".to_owned(),
            references: name("parent"),
            columns: vec!["a".to_owned()],
        });
        child
    };
    let i = live("create index i on t using btree (a)");
    let k = live("create index k on t using btree (a, b)");
    // k serves the key now, and not any more once it is as declared.
    let case = Case::new(vec![child(vec![i.clone(), k])]).without("i");
    assert_eq!(case.codes(), NONE);
    let replaced = case.declare("create index k on t (b)");
    assert_eq!(
        replaced.codes(),
        ["drop-guard-foreign-key", "drop-guard-foreign-key"]
    );
    // A replacement is a drop too.
    let case = Case::new(vec![child(vec![i])]).declare("create index i on t (b)");
    assert_eq!(case.codes(), ["drop-guard-foreign-key"]);
    let case = case.declare("create index j on t (a)");
    assert_eq!(
        case.steps(),
        [
            "CreateIndex j",
            "CreateIndex i_dbops_new",
            "SwapIndexes i",
            "DropIndex i_dbops_old"
        ]
    );
    assert_eq!(case.plan().steps[1].after, Some(1));

    let view = |sql: &str| {
        let mut view = table(
            "t",
            vec![live("create unique index i on t using btree (a)")],
        );
        view.kind = TableKind::MaterializedView;
        Case::new(vec![view]).declare(sql)
    };
    let partial = view("create unique index i on t (a) where b = 1");
    assert!(partial.codes().contains(&"drop-guard-refresh".to_owned()));
    assert_eq!(view("create unique index i on t (b)").codes(), NONE);
}

#[test]
fn nothing_goes_whose_successor_is_refused() {
    let mut child = table("t", vec![live("create index i on t using btree (a)")]);
    child.foreign_keys.push(ChildForeignKey {
        name: "fk".to_owned(),
        references: name("parent"),
        columns: vec!["a".to_owned()],
    });
    let mut case = Case::new(vec![child])
        .without("i")
        .declare("create index j on t (a, z)");
    assert_eq!(case.steps(), NONE);
    assert_eq!(case.codes(), ["successor-refused", "unknown-column"]);
    // Held back for another session's build, it only waits.
    case.declared = vec![declared("create index j on t (a, b)")];
    case.catalog.running.push(RunningBuild {
        pid: 7,
        application: None,
        role: None,
        table: name("t"),
        index: None,
        command: "CREATE INDEX CONCURRENTLY".to_owned(),
        phase: String::new(),
        done: None,
        seconds: None,
    });
    assert_eq!(case.codes(), NONE);
    assert_eq!(case.steps(), ["AwaitBuild t"]);
}

#[test]
fn a_leftover_that_something_relies_on_is_kept() {
    let is = live("create index i on t using btree (a)");
    let mut old = live("create unique index i_dbops_old on t using btree (c)");
    old.comment = Some(crate::changes::indexes::alterations::REPLACED.to_owned());
    let plan = |old: &LiveIndex| Case::new(vec![table("t", vec![is.clone(), old.clone()])]);
    old.replica_identity = true;
    let case = plan(&old);
    let declared = case.clone().declare("create index i on t (a)");
    assert_eq!(declared.codes(), ["drop-guard-replica-identity"]);
    let replaced = case.clone().declare("create index i on t (b)");
    assert_eq!(replaced.codes(), ["drop-guard-replica-identity"]);
    assert_eq!(replaced.steps(), NONE);
    let absent = case.without("i");
    assert_eq!(absent.codes(), ["drop-guard-replica-identity"]);
    old.replica_identity = false;
    old.referenced_by = vec![name("o")];
    assert_eq!(
        plan(&old).declare("create index i on t (a)").codes(),
        ["drop-guard-referenced"]
    );
}

#[test]
fn what_is_said_of_a_dead_index_is_said_of_its_repair() {
    let mut dead = live("create index i on t using btree (abs(a), b)");
    dead.valid = false;
    dead.comment = Some("why".to_owned());
    dead.statistics.insert(1, 500);
    let said = |case: &Case, at: usize| {
        let sql = case.plan().steps[at].ways[0].statements.join("; ");
        assert!(sql.contains("is 'why'"), "{sql}");
        assert!(sql.contains("alter column 1 set statistics 500"), "{sql}");
    };
    let case =
        Case::new(vec![table("t", vec![dead.clone()])]).declare("create index i on t (abs(a), b)");
    assert_eq!(
        case.steps(),
        [
            "DropIndex i",
            "CreateIndex i",
            "AlterIndex i",
            "AnalyzeTable i"
        ]
    );
    said(&case, 2);
    let dropped = case.plan().steps[0].index.clone().unwrap();
    assert!(dropped.invalid && dropped.oid.is_some());
    let finished = live("create index i_dbops_new on t using btree (abs(a), b)");
    let case = Case::new(vec![table("t", vec![dead, finished])])
        .declare("create index i on t (abs(a), b)");
    assert_eq!(
        case.steps(),
        [
            "DropIndex i",
            "RenameIndex i",
            "AlterIndex i",
            "AnalyzeTable i"
        ]
    );
    said(&case, 2);
}

#[test]
fn every_new_expression_is_analyzed_for_itself() {
    let case = Case::new(vec![table("t", vec![])])
        .declare("create index i on t (abs(a))")
        .declare("create index j on t (abs(b))");
    assert_eq!(
        case.steps(),
        [
            "CreateIndex i",
            "AnalyzeTable i",
            "CreateIndex j",
            "AnalyzeTable j"
        ]
    );
}

#[test]
fn only_what_carries_the_mark_or_is_invalid_counts_as_a_leftover() {
    let is = live("create index i on t using btree (a)");
    let theirs = live("create index i_dbops_old on t using btree (c)");
    let case = Case::new(vec![table("t", vec![is.clone(), theirs.clone()])]);
    assert_eq!(
        case.clone().declare("create index i on t (a)").steps(),
        NONE
    );
    assert_eq!(case.clone().without("i").steps(), ["DropIndex i"]);
    let replaced = case.declare("create index i on t (b)");
    assert_eq!(replaced.codes(), ["name-taken"]);
    assert_eq!(replaced.steps(), NONE);
    let theirs = live("create unique index i_dbops_new on t using btree (c)");
    let case = Case::new(vec![table("t", vec![is, theirs])]);
    assert_eq!(
        case.clone().declare("create index i on t (a)").steps(),
        NONE
    );
    assert_eq!(
        case.declare("create index i on t (b)").codes(),
        ["name-taken"]
    );
}

#[test]
fn a_replacement_that_stops_enforcing_uniqueness_asks_for_consent() {
    let unique = live("create unique index i on t using btree (a)");
    let case = Case::new(vec![table("t", vec![unique])]);
    let draft = case.clone().declare("create index i on t (a)").plan();
    assert_eq!(
        draft.steps[0].hazards,
        [crate::changes::changeset::Hazard::DropsIndex]
    );
    let kept = case.declare("create unique index i on t (b)").plan();
    assert!(kept.steps.iter().all(|step| step.hazards.is_empty()));
}

#[test]
fn nothing_is_dropped_beside_a_declared_index_that_is_refused() {
    let old = live("create index old on t using btree (a)");
    let case = Case::new(vec![table("t", vec![old])]).without("old");
    assert_eq!(case.steps(), ["DropIndex old"]);
    let beside = case.declare("create index i on t (nowhere)");
    assert_eq!(beside.steps(), NONE);
    assert_eq!(beside.codes().len(), 2, "{:?}", beside.codes());
}
