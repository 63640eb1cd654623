//! Steps on indexes run as they say, are looked at afterwards, and leave nothing behind.

use anyhow::{Context as _, Result, ensure};
use dbops::apply::{Outcome, Status};
use dbops::changes::changeset::Action;

use crate::common::builds::{concurrent, create, drop_index, short};
use crate::common::{Ctx, holds, same, tests};

tests!(
    Ends: an_index_is_built_renamed_and_dropped,
    a_duplicate_is_named_by_its_key_and_nothing_is_left,
    an_index_that_is_there_is_neither_built_nor_dropped,
    an_error_in_an_expression_leaves_nothing,
    settings_hold_for_the_build_alone,
    an_invalid_index_is_rebuilt,
    a_drop_of_nothing_is_done,
    a_drop_touches_only_an_index_of_its_table,
    a_drop_leaves_alone_what_was_repaired_or_replaced,
    a_tree_is_built_side_by_side_and_becomes_valid,
    statistics_that_cannot_be_gathered_fail_nothing,
    a_check_that_does_not_hold_is_taken_back,
);

const TABLE: &str = "create table t (id int not null, a int, b text); \
    insert into t select i, i % 100, 'b' || i from generate_series(1, 2000) i";

fn all_done(outcome: &Outcome) -> Result<()> {
    ensure!(
        outcome.steps.iter().all(|step| step.status == Status::Done),
        "{outcome:#?}"
    );
    Ok(())
}

async fn an_index_is_built_renamed_and_dropped(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let outcome = ctx
        .builds(
            &db,
            vec![
                create(1, "t", "t_a", "a"),
                create(2, "t", "t_b", "b desc"),
                short(
                    3,
                    Action::RenameIndex,
                    "t",
                    "t_a2",
                    &["alter index public.t_a rename to t_a2"],
                ),
                drop_index(4, "t", "t_b"),
            ],
        )
        .await?;
    all_done(&outcome)?;
    same(db.indexes("t").await?, vec!["t_a2".to_owned()])?;
    same(outcome.blocked.count, 0)?;
    ensure!(outcome.blocked.samples > 0, "{outcome:#?}");
    // The run is in the history, and its sessions are gone.
    same(
        db.list("select status from dbops.step order by step_id")
            .await?,
        vec!["done".to_owned(); 4],
    )
}

async fn a_duplicate_is_named_by_its_key_and_nothing_is_left(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run("insert into t values (77, 1, 'twice')").await?;
    let step = concurrent(
        1,
        Action::CreateIndex,
        "t",
        "t_id",
        "create unique index concurrently t_id on public.t (id)",
    );
    let outcome = ctx.builds_one(&db, step).await?;
    same(outcome.status, Status::Failed)?;
    holds(
        outcome.reason.as_deref().unwrap_or_default(),
        &["public.t_id cannot be unique", "(id)=(77)"],
    )?;
    holds(&outcome.remarks.join("\n"), &["public.t_id", "dropped"])?;
    same(db.indexes("t").await?, Vec::new())
}

async fn an_index_that_is_there_is_neither_built_nor_dropped(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    for state in ["true", "false"] {
        db.run("drop index if exists t_a; create index t_a on t (a)")
            .await?;
        db.run(&format!(
            "update pg_index set indisvalid = {state} where indexrelid = 't_a'::regclass"
        ))
        .await?;
        let before = db.value::<u32>("select 't_a'::regclass::oid").await?;
        let outcome = ctx.builds_one(&db, create(1, "t", "t_a", "b")).await?;
        same(outcome.status, Status::Failed)?;
        holds(
            outcome.reason.as_deref().unwrap_or_default(),
            &["public.t_a is there already"],
        )?;
        same(
            db.value::<u32>("select 't_a'::regclass::oid").await?,
            before,
        )?;
    }
    Ok(())
}

async fn an_error_in_an_expression_leaves_nothing(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    for (keys, word) in [
        ("(1 / (a - 50))", "division by zero"),
        ("nothing", "nothing"),
    ] {
        let outcome = ctx.builds_one(&db, create(1, "t", "t_x", keys)).await?;
        same(outcome.status, Status::Failed)?;
        holds(outcome.reason.as_deref().unwrap_or_default(), &[word])?;
        same(db.indexes("t").await?, Vec::new())?;
    }
    Ok(())
}

async fn settings_hold_for_the_build_alone(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run(
        "create schema other; create function other.f(int) returns text immutable language plpgsql \
         as $$ begin return current_setting('search_path') || ' ' || current_setting('maintenance_work_mem') \
         || ' ' || current_setting('lock_timeout'); end $$; create table s (a int); insert into s values (1)",
    )
    .await?;
    let mut first = concurrent(
        1,
        Action::CreateIndex,
        "s",
        "s_f",
        "create index concurrently s_f on public.s (other.f(a)) include (a) where other.f(a) <> ''",
    );
    // A build sees its settings; only 17 and later restrict the search path themselves.
    first.ways[0].settings = vec![
        "set search_path = pg_catalog, other".to_owned(),
        "set maintenance_work_mem = '33MB'".to_owned(),
    ];
    // The next one says what it sees by failing.
    db.run(
        "create function other.g(int) returns int immutable language plpgsql \
         as $$ begin raise exception 'saw <%> <%>', current_setting('maintenance_work_mem'), \
         (select reset_val from pg_settings where name = 'maintenance_work_mem'); end $$",
    )
    .await?;
    let second = concurrent(
        2,
        Action::CreateIndex,
        "s",
        "s_g",
        "create index concurrently s_g on public.s (other.g(a))",
    );
    let outcome = ctx.builds(&db, vec![first, second]).await?;
    let steps = &outcome.steps;
    ensure!(
        matches!(
            [steps[0].status, steps[1].status],
            [Status::Done, Status::Failed]
        ),
        "{outcome:#?}"
    );
    holds(
        steps[1].reason.as_deref().unwrap_or_default(),
        &["saw <64MB> <65536>"],
    )?;
    same(db.indexes("s").await?, vec!["s_f".to_owned()])
}

async fn an_invalid_index_is_rebuilt(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run("create index t_a on t (a); update pg_index set indisvalid = false where indexrelid = 't_a'::regclass")
        .await?;
    let step = concurrent(
        1,
        Action::ReindexIndex,
        "t",
        "t_a",
        "reindex index concurrently public.t_a",
    );
    let outcome = ctx.builds_one(&db, step).await?;
    same(outcome.status, Status::Done)?;
    same(db.indexes("t").await?, vec!["t_a".to_owned()])
}

async fn a_drop_of_nothing_is_done(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let outcome = ctx.builds_one(&db, drop_index(1, "t", "t_a")).await?;
    same(outcome.status, Status::Done)?;
    holds(
        &outcome.remarks.join("\n"),
        &["public.t_a was gone already"],
    )
}

async fn a_drop_touches_only_an_index_of_its_table(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run("create table u (a int); create index t_a on u (a)")
        .await?;
    let outcome = ctx.builds_one(&db, drop_index(1, "t", "t_a")).await?;
    same(outcome.status, Status::Failed)?;
    same(db.indexes("u").await?, vec!["t_a".to_owned()])
}

async fn a_drop_leaves_alone_what_was_repaired_or_replaced(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run("create unique index t_id on t (id)").await?;
    let oid: i64 = db.value("select 't_id'::regclass::oid::int8").await?;
    let planned = |oid: i64, invalid: bool| -> Result<_> {
        let mut step = drop_index(1, "t", "t_id");
        let change = step.index.as_mut().context("a step on an index")?;
        change.oid = Some(u32::try_from(oid)?);
        change.invalid = invalid;
        Ok(step)
    };
    let kept = |step| async {
        let outcome = ctx.builds_one(&db, step).await?;
        same(outcome.status, Status::Failed)?;
        holds(
            outcome.reason.as_deref().unwrap_or_default(),
            &["is not the index that was planned for any more"],
        )?;
        same(db.indexes("t").await?, vec!["t_id".to_owned()])
    };
    kept(planned(oid, true)?).await?;
    kept(planned(oid + 1, false)?).await?;
    db.run("alter table t replica identity using index t_id")
        .await?;
    kept(planned(oid, false)?).await?;
    db.run("alter table t replica identity default; create table o (id int references t (id))")
        .await?;
    kept(planned(oid, false)?).await?;
    db.run("drop table o").await?;
    let outcome = ctx.builds_one(&db, planned(oid, false)?).await?;
    same(outcome.status, Status::Done)
}

async fn a_tree_is_built_side_by_side_and_becomes_valid(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table p (id int, k int) partition by list (k)")
        .await?;
    let mut parent = short(
        1,
        Action::CreateParentIndex,
        "p",
        "p_id",
        &["create index p_id on only public.p (id)"],
    );
    parent.ways[0].acquire = dbops::changes::changeset::Acquire::NoWait;
    let mut steps = vec![parent];
    for n in 0..6_u32 {
        let leaf = format!("p_{n}");
        db.run(&format!(
            "create table {leaf} partition of p for values in ({n}); \
             insert into {leaf} select i, {n} from generate_series(1, 3000) i"
        ))
        .await?;
        let index = format!("{leaf}_id");
        let mut build = create(2 * n + 2, &leaf, &index, "id");
        build.table = crate::common::builds::public("p");
        build.after = Some(1);
        let mut attach = short(
            2 * n + 3,
            Action::AttachIndex,
            &leaf,
            &index,
            &[&format!(
                "alter index public.p_id attach partition public.{index}"
            )],
        );
        attach.table = crate::common::builds::public("p");
        attach.after = Some(build.id);
        steps.extend([build, attach]);
    }
    let outcome = ctx.build(&db, steps).jobs(2).run().await?;
    all_done(&outcome)?;
    same(outcome.steps.len(), 13)?;
    same(
        db.value::<bool>("select indisvalid from pg_index where indexrelid = 'p_id'::regclass")
            .await?,
        true,
    )?;
    // Two connections shared the work.
    let writers: i64 = db
        .value("select count(distinct started_at) from dbops.step")
        .await
        .context("reading the history")?;
    ensure!(writers > 1, "{writers}");
    Ok(())
}

async fn statistics_that_cannot_be_gathered_fail_nothing(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let analyze = |id| {
        let mut step = concurrent(id, Action::AnalyzeTable, "t", "", "analyze public.t");
        step.index = None;
        step
    };
    let outcome = ctx.builds(&db, vec![analyze(1)]).await?;
    all_done(&outcome)?;
    let _holder = db
        .holding("night job", "lock table t in share update exclusive mode")
        .await?;
    let mut step = analyze(1);
    step.budget.give_up_after = dbops::plan_file::Millis(300);
    let outcome = ctx.builds(&db, vec![step]).await?;
    same(outcome.steps[0].status, Status::Deferred)?;
    same(outcome.exit(), dbops::failure::Exit::Done)?;
    Ok(())
}

async fn a_check_that_does_not_hold_is_taken_back(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let steps = || {
        let mut add = short(
            1,
            Action::SetNotNull,
            "t",
            "t_pk",
            &["alter table public.t add constraint c check (a is not null) not valid"],
        );
        add.locks.clear();
        let mut validate = concurrent(
            2,
            Action::SetNotNull,
            "t",
            "t_pk",
            "alter table public.t validate constraint c",
        );
        validate.after = Some(1);
        validate.ways[0].undo = vec!["alter table public.t drop constraint if exists c".to_owned()];
        vec![add, validate]
    };
    let checks = "select count(*) from pg_constraint where conrelid = 't'::regclass and contype = 'c' and convalidated";
    let outcome = ctx.builds(&db, steps()).await?;
    all_done(&outcome)?;
    same(db.value::<i64>(checks).await?, 1)?;
    db.run("alter table t drop constraint c; insert into t values (1, null)")
        .await?;
    let outcome = ctx.builds(&db, steps()).await?;
    same(outcome.steps[1].status, Status::Failed)?;
    holds(
        outcome.steps[1].reason.as_deref().unwrap_or_default(),
        &["violated"],
    )?;
    same(
        db.value::<i64>(
            "select count(*) from pg_constraint where conrelid = 't'::regclass and contype = 'c'",
        )
        .await?,
        0,
    )
}
