//! The command looks again after each round: what it did is told whole, whatever comes after.
#![expect(
    clippy::disallowed_methods,
    reason = "tests hold locks with statements of their own"
)]

use anyhow::{Result, ensure};

use crate::common::{Ctx, eventually, holds, tests};

tests!(
    Ends: a_round_that_cannot_be_computed_hides_nothing_of_the_one_before,
    nothing_is_dropped_beside_a_build_that_failed,
);

const TABLE: &str =
    "create table t (id int, a int); insert into t select i, i from generate_series(1, 500) i";

async fn a_round_that_cannot_be_computed_hides_nothing_of_the_one_before(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run("create table u (a int); create index u_a on u (a)")
        .await?;
    ctx.plan(
        "indexes:
  - { name: t_a, table: t, columns: [a] }
  - { name: u_a, table: u, columns: [a] }
",
    )?;
    // The first round waits for this writer; meanwhile the table that is as declared is locked.
    let writer = db.connect().await?;
    writer
        .batch_execute("begin; insert into t values (0, 0)")
        .await?;
    let run = ctx
        .dbops()
        .on(&db)
        .args(["indexes", "apply"])
        .spawn()
        .await?;
    eventually("the run has begun", async || {
        db.value::<bool>(
            "select exists (select from pg_stat_activity where application_name like 'dbops write%' \
             and datname = current_database())",
        )
        .await
    })
    .await?;
    let locker = db.connect().await?;
    locker
        .batch_execute("begin; lock table u in access exclusive mode")
        .await?;
    writer.batch_execute("commit").await?;
    let run = run.wait().await?.exits_with(6)?;
    holds(
        &run.stdout,
        &[
            "done        build public.t_a",
            "1 done",
            "not looked at to the end",
            "holds ACCESS EXCLUSIVE on public.u",
        ],
    )?;
    locker.batch_execute("commit").await?;
    ctx.runs(&db, "indexes apply --dry-run --exit-code", 0)
        .await?;
    Ok(())
}

async fn nothing_is_dropped_beside_a_build_that_failed(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run("create index t_old on t (a)").await?;
    // The server finds out only when it comes to the row.
    ctx.plan(
        "indexes:
  - { name: t_new, table: t, columns: [a, { expr: 1 / (a - 250) }] }
  - { absent: [t_old], allow: [drops-index] }
",
    )?;
    let run = ctx.dbops().on(&db).args(["indexes", "apply"]).run().await?;
    let run = run.exits_with(5)?;
    ensure!(
        run.stdout.contains("skipped     drop public.t_old"),
        "{}",
        run.stdout
    );
    let kept: i64 = db
        .value("select count(*) from pg_index where indexrelid = 't_old'::regclass and indisvalid")
        .await?;
    ensure!(kept == 1, "it is gone");
    Ok(())
}
