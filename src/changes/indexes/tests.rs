//! Rules of the index planner on single tables, one by one.

use super::testing::*;
use super::{State, basis_of, build_questions, survey};
use crate::catalog::index_model::*;
use crate::changes::changeset::{Acquire, Hazard};
use crate::plan_file::IndexConstraint;

const NONE: [&str; 0] = [];

#[test]
fn a_missing_index_is_built_concurrently() {
    let case = Case::new(vec![table("t", vec![])]).declare("create index i on t (a)");
    let draft = case.plan();
    assert_eq!(words(&draft.steps), ["CreateIndex i"]);
    let step = &draft.steps[0];
    assert_eq!(step.ways[0].acquire, Acquire::Concurrent);
    assert_eq!(
        step.ways[0].statements,
        [r#"create index concurrently "i" on "public"."t" using "btree" ("a")"#]
    );
    assert_eq!(
        step.ways[0].undo,
        [r#"drop index concurrently "public"."i""#]
    );
    assert!(step.ways[0].settings[0].starts_with("set search_path = pg_catalog, public"));
    assert!(step.index.as_ref().unwrap().bytes.unwrap() > 10_000_000);
}

#[test]
fn what_is_as_declared_is_left_alone() {
    for (declared, is) in [
        (
            "create index i on t (a)",
            "create index i on t using btree (a)",
        ),
        (
            "create index i on t (a int4_ops, b desc)",
            "create index i on t using btree (a, b desc)",
        ),
        (
            "create index i on t ((a + b)) where (c = 1)",
            "create index i on t using btree (((a + b))) where (c = 1)",
        ),
        (
            "create unique index i on t (a) include (b) with (fillfactor = 70)",
            "create unique index i on t using btree (a) include (b) with (fillfactor='70')",
        ),
        (
            "create index i on t using gin (a) with (fastupdate = off)",
            "create index i on t using gin (a) with (fastupdate='false')",
        ),
    ] {
        let case = Case::new(vec![table("t", vec![live(is)])]).declare(declared);
        assert_eq!(case.steps(), NONE, "{declared}");
        assert_eq!(case.codes(), NONE);
        let rows = survey(case.inputs(), &case.folded());
        assert_eq!(rows[0].state, State::Converged, "{rows:?}");
    }
}

#[test]
fn every_structural_difference_replaces_and_the_old_name_serves_until_the_swap() {
    for is in [
        "create index i on t using hash (a)",
        "create unique index i on t using btree (a)",
        "create index i on t using btree (b)",
        "create index i on t using btree (a, b)",
        "create index i on t using btree (a desc)",
        "create index i on t using btree (a nulls first)",
        "create index i on t using btree (a text_pattern_ops)",
        "create index i on t using btree (a collate \"C\")",
        "create index i on t using btree (a) include (b)",
        "create index i on t using btree (a) where (b = 1)",
        "create index i on t using btree (abs(a))",
    ] {
        let case = Case::new(vec![table("t", vec![live(is)])]).declare("create index i on t (a)");
        assert_eq!(
            case.steps(),
            [
                "CreateIndex i_dbops_new",
                "SwapIndexes i",
                "DropIndex i_dbops_old"
            ],
            "{is}"
        );
        let draft = case.plan();
        assert_eq!(draft.steps[1].after, Some(1));
        assert_eq!(draft.steps[2].after, Some(1));
        // What is dropped in the end is what bears the name now, and the swap looks at it again.
        let oid = case.catalog.tables[0].indexes[0].oid;
        assert_eq!(draft.steps[0].index.as_ref().unwrap().oid, None);
        assert_eq!(draft.steps[2].index.as_ref().unwrap().oid, Some(oid));
        let guard = format!("indexrelid = {oid} and not indisreplident and not indisclustered");
        assert!(draft.steps[1].ways[0].statements[2].contains(&guard));
        assert!(draft.steps[2].hazards.is_empty());
        let rows = survey(case.inputs(), &case.folded());
        assert_eq!(rows[0].state, State::Differs);
        assert!(!rows[0].details.is_empty());
    }
}

#[test]
fn what_alter_index_can_do_is_not_built_anew() {
    let mut is = live("create index i on t using btree (a) with (deduplicate_items = off)");
    is.comment = Some("old".to_owned());
    let mut case = Case::new(vec![table("t", vec![is])])
        .declare("create index i on t (a) with (fillfactor = 70)");
    case.declared[0].comment = Some("it's new".to_owned());
    let draft = case.plan();
    assert_eq!(words(&draft.steps), ["AlterIndex i"]);
    assert_eq!(
        draft.steps[0].ways[0].statements,
        [
            r#"alter index "public"."i" set ("fillfactor" = '70')"#,
            r#"alter index "public"."i" reset ("deduplicate_items")"#,
            r#"comment on index "public"."i" is 'it''s new'"#,
        ]
    );
}

#[test]
fn an_equivalent_index_under_another_name_is_renamed_or_adopted() {
    let other = live("create index j on t using btree (a)");
    let case = Case::new(vec![table("t", vec![other.clone()])]).declare("create index i on t (a)");
    assert_eq!(case.steps(), ["RenameIndex i"]);
    // A name that is declared itself stays where it is.
    let both = case.clone().declare("create index j on t (a)");
    assert_eq!(both.steps(), ["CreateIndex i"]);
    // Renaming is dropping for a name that should go.
    let gone = case.without("j");
    assert_eq!(gone.steps(), ["RenameIndex i"]);
    let mut key = live("create unique index t_pkey on t using btree (a)");
    key.constraint = constraint("t_pkey", LiveConstraintKind::Primary);
    let case = Case::new(vec![table("t", vec![key])]).declare("create unique index i on t (a)");
    assert_eq!(case.steps(), NONE);
    assert_eq!(case.notes(), ["adopted"]);
}

#[test]
fn a_tablespace_alone_moves_the_index() {
    let is = live("create index i on t using btree (a)");
    let case =
        Case::new(vec![table("t", vec![is])]).declare("create index i on t (a) tablespace fast");
    let draft = case.plan();
    assert_eq!(words(&draft.steps), ["ReindexIndex i"]);
    assert_eq!(
        draft.steps[0].ways[0].statements,
        [r#"reindex (concurrently, tablespace "fast") index "public"."i""#]
    );
    assert_eq!(
        case.on(130_023).steps(),
        [
            "CreateIndex i_dbops_new",
            "SwapIndexes i",
            "DropIndex i_dbops_old"
        ]
    );
}

#[test]
fn a_text_that_cannot_be_compared_rebuilds_nothing() {
    let is = live("create index i on t using btree (a) where (b = 1)");
    let mut case =
        Case::new(vec![table("t", vec![is])]).declare("create index i on t (a) where b in (1)");
    case.answers.folds = ["b in (1)", "b = 1"]
        .into_iter()
        .map(|text| Fold {
            table: name("t"),
            text: text.to_owned(),
            folded: Folded::Unknown("permission denied".to_owned()),
        })
        .collect();
    assert_eq!(case.steps(), NONE);
    assert_eq!(case.notes(), ["unverified"]);
    assert_eq!(
        survey(case.inputs(), &case.answers)[0].state,
        State::Unverified
    );
    case.answers.folds[0].folded = Folded::Refused("column \"b\" does not exist".to_owned());
    assert_eq!(case.codes(), ["expression-refused"]);
}

#[test]
fn leftovers_of_interrupted_runs_are_put_to_use_or_dropped() {
    let valid = "create index i on t using btree (b)";
    let finished = live("create index i_dbops_new on t using btree (a)");
    let mut broken = finished.clone();
    broken.valid = false;
    let mut old = live("create index i_dbops_old on t using btree (c)");
    old.comment = Some(crate::changes::indexes::alterations::REPLACED.to_owned());
    let plan = |indexes: Vec<LiveIndex>| {
        Case::new(vec![table("t", indexes)])
            .declare("create index i on t (a)")
            .steps()
    };
    assert_eq!(
        plan(vec![live(valid), finished.clone()]),
        ["SwapIndexes i", "DropIndex i_dbops_old"]
    );
    assert_eq!(
        plan(vec![live(valid), broken.clone()]),
        [
            "DropIndex i_dbops_new",
            "CreateIndex i_dbops_new",
            "SwapIndexes i",
            "DropIndex i_dbops_old"
        ]
    );
    assert_eq!(
        plan(vec![
            live("create index i on t using btree (a)"),
            old.clone()
        ]),
        ["DropIndex i_dbops_old"]
    );
    assert_eq!(plan(vec![finished]), ["RenameIndex i"]);
    assert_eq!(
        plan(vec![broken]),
        ["CreateIndex i", "DropIndex i_dbops_new"]
    );
    let mut dead = live("create index i on t using btree (a)");
    dead.valid = false;
    assert_eq!(plan(vec![dead.clone()]), ["DropIndex i", "CreateIndex i"]);
    let mut debris = live("create index x_ccnew1 on t using btree (e)");
    debris.valid = false;
    assert_eq!(
        plan(vec![dead, debris]).last().unwrap(),
        "DropIndex x_ccnew1"
    );
}

#[test]
fn nothing_is_done_beside_a_running_build() {
    let mut building = live("create index i on t using btree (a)");
    building.valid = false;
    let mut case = Case::new(vec![table("t", vec![building]), table("u", vec![])])
        .declare("create index i on t (a)")
        .declare("create index j on t (b)")
        .declare("create index k on u (b)");
    case.catalog.running.push(RunningBuild {
        pid: 4711,
        application: None,
        role: None,
        table: name("t"),
        index: Some(name("i")),
        command: "CREATE INDEX CONCURRENTLY".to_owned(),
        phase: "building index".to_owned(),
        done: None,
        seconds: None,
    });
    let draft = case.plan();
    assert_eq!(words(&draft.steps), ["AwaitBuild i", "CreateIndex k"]);
    assert_eq!(draft.steps[0].index.as_ref().unwrap().follows, Some(4711));
    assert!(draft.steps[0].ways.is_empty());
    assert_eq!(
        survey(case.inputs(), &case.folded())[0].state,
        State::Building
    );
}

#[test]
fn a_primary_key_comes_without_a_scan_under_a_strong_lock() {
    let mut case =
        Case::new(vec![table("t", vec![])]).declare("create unique index t_pkey on t (a, b)");
    case.declared[0].constraint = Some(IndexConstraint::Primary);
    case.catalog.tables[0].columns[1].not_null = true;
    assert_eq!(
        case.steps(),
        [
            "CreateIndex t_pkey",
            "SetNotNull t_pkey",
            "SetNotNull t_pkey",
            "SetNotNull t_pkey",
            "AddConstraint t_pkey"
        ]
    );
    let draft = case.plan();
    assert!(draft.steps[2].ways[0].statements[0].contains("validate constraint"));
    assert!(!draft.steps[3].ways[0].statements[0].contains("\"b\""));
    case.declared[0].spec.keys[0].desc = true;
    assert_eq!(case.codes(), ["constraint-not-possible"]);
}

#[test]
fn duplicates_are_asked_for_and_refused() {
    let mut case =
        Case::new(vec![table("t", vec![])]).declare("create unique index i on t (a, lower(b))");
    let questions = build_questions(case.inputs(), &case.folded());
    assert_eq!(questions.duplicates[0].keys, ["\"a\"", "(lower(b))"]);
    case.answers.duplicates = vec![Duplicates {
        index: name("i"),
        samples: Some(vec![("(1, x)".to_owned(), 3)]),
    }];
    let draft = case.plan();
    assert!(draft.steps.is_empty());
    assert_eq!(draft.refusals[0].code, "duplicate-keys");
    assert!(draft.refusals[0].message.contains("(1, x) (3 rows)"));
    case.answers.duplicates[0].samples = None;
    assert_eq!(case.steps(), ["CreateIndex i", "AnalyzeTable i"]);
    assert_eq!(case.notes(), ["duplicates-unknown"]);
}

#[test]
fn impossible_declarations_are_refused_before_any_ddl() {
    let case = || {
        Case::new(vec![
            table("t", vec![live("create index taken on t using btree (a)")]),
            table("u", vec![]),
        ])
    };
    for (sql, code) in [
        ("create index i on missing (a)", "table-missing"),
        ("create index i on t (z)", "unknown-column"),
        ("create index taken on u (a)", "name-taken"),
        ("create index u on t (a)", "name-taken"),
        (
            "create index i on t (a) tablespace nowhere",
            "unknown-tablespace",
        ),
        ("create index i on t using rum (a)", "unknown-method"),
        ("create index i on t (a nope_ops)", "unknown-opclass"),
        (
            "create index i on t using gin (a desc)",
            "order-not-supported",
        ),
        (
            "create unique index i on t using hash (a)",
            "unique-not-supported",
        ),
    ] {
        assert_eq!(case().declare(sql).codes(), [code], "{sql}");
    }
    let old = case().declare("create unique index i on t (a) nulls not distinct");
    assert_eq!(old.on(140_023).codes(), ["needs-version"]);
    let unsafe_minor = case().declare("create index i on t (b)").on(140_003);
    assert_eq!(unsafe_minor.codes(), ["unsafe-minor"]);
    assert_eq!(unsafe_minor.steps(), NONE);
    let both = case().declare("create index i on t (b)").without("i");
    assert_eq!(both.codes(), ["declared-and-absent"]);
    let mut foreign = case().declare("create index i on u (a)");
    foreign.catalog.tables[1].owns = false;
    assert_eq!(foreign.codes(), ["missing-privilege"]);
    let mut fine = case().declare("create index taken on t (a)");
    fine.catalog.tables[0].owns = false;
    assert_eq!(
        fine.codes(),
        NONE,
        "nothing is to be done, so no right is needed"
    );
}

#[test]
fn drops_are_hazards_and_guarded() {
    let plain = live("create index i on t using btree (a)");
    let mut case = Case::new(vec![table("t", vec![plain.clone()])]).without("i");
    let draft = case.plan();
    assert_eq!(words(&draft.steps), ["DropIndex i"]);
    assert_eq!(draft.steps[0].hazards, [Hazard::DropsIndex]);
    assert!(draft.steps[0].allowed_by_plan.is_empty());
    case.absent[0].allow = vec![Hazard::DropsIndex];
    assert_eq!(case.plan().steps[0].allowed_by_plan, [Hazard::DropsIndex]);
    assert_eq!(
        Case::new(vec![table("t", vec![])]).without("i").steps(),
        NONE
    );

    let guard = |change: &dyn Fn(&mut LiveIndex)| {
        let mut index = live("create unique index i on t using btree (a)");
        change(&mut index);
        Case::new(vec![table("t", vec![index])])
            .without("i")
            .codes()
    };
    assert_eq!(
        guard(&|index| index.replica_identity = true),
        ["drop-guard-replica-identity"]
    );
    assert_eq!(
        guard(&|index| index.clustered = true),
        ["drop-guard-clustered"]
    );
    assert_eq!(
        guard(&|index| index.of_extension = true),
        ["drop-guard-extension"]
    );
    assert_eq!(
        guard(&|index| index.parent = Some(name("p_i"))),
        ["drop-guard-attached"]
    );
    assert_eq!(
        guard(&|index| index.referenced_by = vec![name("o")]),
        ["drop-guard-referenced"]
    );
    assert_eq!(
        guard(&|index| index.constraint = constraint("i", LiveConstraintKind::Exclusion)),
        ["drop-guard-constraint"]
    );
    assert_eq!(guard(&|_| {}), NONE);

    let mut matview = table(
        "t",
        vec![live("create unique index i on t using btree (a)")],
    );
    matview.kind = TableKind::MaterializedView;
    assert_eq!(
        Case::new(vec![matview]).without("i").codes(),
        ["drop-guard-refresh"]
    );
}

#[test]
fn the_only_index_of_a_foreign_key_is_kept_until_another_is_built() {
    let mut child = table("t", vec![live("create index i on t using btree (b, a, c)")]);
    child.foreign_keys.push(ChildForeignKey {
        name: "fk".to_owned(),
        references: name("parent"),
        columns: vec!["a".to_owned(), "b".to_owned()],
    });
    let case = Case::new(vec![child.clone()]).without("i");
    assert_eq!(case.codes(), ["drop-guard-foreign-key"]);
    let partial = case
        .clone()
        .declare("create index j on t (a, b) where c = 1");
    assert_eq!(partial.codes(), ["drop-guard-foreign-key"]);
    let replaced = case.clone().declare("create index j on t (a, b)");
    let draft = replaced.plan();
    assert_eq!(words(&draft.steps), ["CreateIndex j", "DropIndex i"]);
    assert_eq!(draft.steps[1].after, Some(1));
    child
        .indexes
        .push(live("create index k on t using btree (a, b)"));
    assert_eq!(Case::new(vec![child]).without("i").codes(), NONE);
}

#[test]
fn an_arbiter_of_a_recorded_statement_is_kept() {
    let unique = live("create unique index i on t using btree (a)");
    let mut case = Case::new(vec![table("t", vec![unique.clone()])]).without("i");
    assert_eq!(
        build_questions(case.inputs(), &case.folded()).arbiters[0].columns,
        [Some("a".to_owned())]
    );
    assert_eq!(case.notes(), ["arbiters-unknown"]);
    case.answers.statements_seen = true;
    assert_eq!(case.steps(), ["DropIndex i"]);
    case.answers.arbiters = vec![Arbiter {
        index: name("i"),
        statement: "42".to_owned(),
        calls: 7,
    }];
    assert_eq!(case.codes(), ["drop-guard-arbiter"]);
    // Made not unique by its declaration: the same.
    let mut case = Case {
        answers: case.answers.clone(),
        ..Case::new(vec![table("t", vec![unique])])
    };
    case = case.declare("create index i on t (a)");
    assert_eq!(case.codes(), ["drop-guard-arbiter"]);
}

#[test]
fn a_replacement_keeps_what_hangs_on_the_old_index() {
    let mut old = live("create index i on t using btree (abs(a), b)");
    old.comment = Some("why".to_owned());
    old.clustered = true;
    old.statistics.insert(1, 500);
    let case =
        Case::new(vec![table("t", vec![old.clone()])]).declare("create index i on t (abs(a), c)");
    let draft = case.plan();
    let swap = &draft.steps[1].ways[0].statements;
    assert!(swap.iter().any(|sql| sql.contains("is 'why'")), "{swap:?}");
    assert!(
        swap.iter()
            .any(|sql| sql.contains("alter column 1 set statistics 500"))
    );
    assert!(swap.iter().any(|sql| sql.contains("cluster on \"i\"")));
    old.replica_identity = true;
    let case = Case::new(vec![table("t", vec![old])]).declare("create index i on t (c)");
    assert_eq!(case.codes(), ["replace-replica-identity"]);
}

#[test]
fn plain_indexes_come_before_partial_ones_and_drops_last() {
    let case = Case::new(vec![
        table("a", vec![live("create index x on a using btree (e)")]),
        table("b", vec![]),
    ])
    .without("x")
    .declare("create index i on a (abs(a))")
    .declare("create index j on a (b) where c = 1")
    .declare("create index k on b (a)")
    .declare("create index l on a (c, d)");
    assert_eq!(
        case.steps(),
        [
            "CreateIndex l",
            "CreateIndex k",
            "CreateIndex i",
            "AnalyzeTable i",
            "CreateIndex j",
            "DropIndex x"
        ]
    );
}

#[test]
fn the_basis_changes_with_the_structure_alone() {
    let before = Case::new(vec![table(
        "t",
        vec![live("create index i on t using btree (a)")],
    )]);
    let mut after = before.clone();
    after.catalog.tables[0].rows_estimate = None;
    after.catalog.tables[0].indexes[0].scans = Some(9);
    after.catalog.tables[0].indexes[0].bytes = 1;
    let basis = |case: &Case| basis_of(&case.catalog, &name("t"));
    assert_eq!(basis(&before), basis(&after));
    after.catalog.tables[0].indexes[0].valid = false;
    assert_ne!(basis(&before).fingerprint, basis(&after).fingerprint);
}
