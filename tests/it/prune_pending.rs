//! Concurrent detaches: interrupted ones are completed first (research: P14 to P19).
#![expect(
    clippy::disallowed_methods,
    reason = "tests interrupt statements of their own"
)]

use anyhow::{Result, ensure};

use crate::common::{Ctx, Db, holds, outcome, same, tests};

tests!(
    Ends: a_pending_detach_is_completed_before_anything_else,
    a_starved_detach_goes_concurrently_and_finishes_when_the_reader_ends,
    a_concurrent_detach_out_of_time_says_that_it_is_pending_and_the_next_run_ends_it,
    a_concurrent_detach_that_never_began_leaves_no_mark,
    a_mark_on_a_partition_that_was_attached_again_is_taken_out,
    a_default_partition_forbids_the_concurrent_way,
    an_old_snapshot_defers_the_completion_and_is_named,
    a_pending_partition_is_listed_with_what_to_do,
);

/// Cancels a DETACH CONCURRENTLY while it waits for a reader; the detach stays pending.
pub(crate) async fn leave_pending(db: &Db, table: &str, partition: &str) -> Result<()> {
    let reader = db.connect().await?;
    reader
        .batch_execute(&format!("begin; select * from {table} limit 1"))
        .await?;
    let other = db.connect().await?;
    let cancelled = other
        .batch_execute("set statement_timeout = 300")
        .await
        .is_ok()
        && other
            .batch_execute(&format!(
                "alter table {table} detach partition {partition} concurrently"
            ))
            .await
            .is_err();
    ensure!(cancelled, "the detach of {partition} was not cancelled");
    reader.batch_execute("rollback").await?;
    let pending: bool = db
        .value(&format!(
            "select inhdetachpending from pg_inherits where inhrelid = '{partition}'::regclass"
        ))
        .await?;
    ensure!(pending);
    Ok(())
}

const TABLE: &str = "create table a (at date not null) partition by range (at);
    create table a_2025_10 partition of a for values from ('2025-10-01') to ('2025-11-01');
    create table a_2025_11 partition of a for values from ('2025-11-01') to ('2025-12-01');
    create table a_2026_02 partition of a for values from ('2026-02-01') to ('2026-03-01');
    insert into a values ('2025-10-02'), ('2025-11-02'), ('2026-02-02')";

const PLAN: &str = "partitions:\n  - { table: a, every: month, retain: 1 month }";

async fn pending_count(db: &Db) -> Result<i64> {
    db.value("select count(*) from pg_inherits i where to_jsonb(i) ->> 'inhdetachpending' = 'true'")
        .await
}

async fn a_pending_detach_is_completed_before_anything_else(ctx: &Ctx) -> Result<()> {
    if ctx.major < 14 {
        return Ok(());
    }
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    leave_pending(&db, "a", "a_2025_11").await?;
    ctx.plan(PLAN)?;
    let run = ctx.runs(&db, "partitions prune --output json", 0).await?;
    let steps = outcome(&run)?["steps"].clone();
    same(steps[0]["action"].clone(), "finalize-detach".into())?;
    same(steps[1]["action"].clone(), "detach-partition".into())?;
    same(db.children("a").await?, vec!["a_2026_02".to_owned()])?;
    same(pending_count(&db).await?, 0)?;
    ctx.runs(&db, "partitions prune --dry-run --exit-code", 0)
        .await?;
    Ok(())
}

async fn a_starved_detach_goes_concurrently_and_finishes_when_the_reader_ends(
    ctx: &Ctx,
) -> Result<()> {
    let db = ctx.db().await?;
    db.run(&format!("{TABLE}; drop table a_2025_11")).await?;
    ctx.plan(PLAN)?;
    let reader = db.connect().await?;
    reader.batch_execute("begin; select * from a").await?;
    let running = ctx
        .at(
            &db,
            crate::common::NOW,
            "partitions prune --output json --give-up-after 12s",
        )
        .spawn()
        .await?;
    if ctx.major >= 14 {
        crate::common::eventually("the detach is pending", async || {
            Ok(pending_count(&db).await? == 1)
        })
        .await?;
        // Readers and writers of the parent are not in its way.
        db.run("set lock_timeout = 500; select * from a; insert into a values ('2026-02-03'); reset lock_timeout").await?;
    }
    reader.batch_execute("commit").await?;
    let run = running.wait().await?.exits_with(0)?;
    same(db.children("a").await?, vec!["a_2026_02".to_owned()])?;
    same(pending_count(&db).await?, 0)?;
    let way = outcome(&run)?["steps"][0]["way"].clone();
    if ctx.major >= 14 {
        same(way, "concurrent".into())?;
    } else {
        ensure!(way == "short-wait" || way == "no-wait", "{way}");
    }
    let comment: String = db
        .value("select obj_description('a_2025_10'::regclass)")
        .await?;
    holds(&comment, &["[dbops:detached "])
}

async fn a_concurrent_detach_out_of_time_says_that_it_is_pending_and_the_next_run_ends_it(
    ctx: &Ctx,
) -> Result<()> {
    if ctx.major < 14 {
        return Ok(());
    }
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    let reader = db.connect().await?;
    reader
        .batch_execute("set application_name = 'long report'; begin; select * from a")
        .await?;
    let run = ctx
        .runs(&db, "partitions prune --output json --give-up-after 2s", 6)
        .await?;
    let report = outcome(&run)?;
    let steps = report["steps"].clone();
    holds(
        &steps[0].to_string(),
        &[
            "deferred",
            "long report",
            "pending",
            "the next prune completes it",
        ],
    )?;
    ensure!(
        !steps[0].to_string().contains("nothing was changed"),
        "{steps:#}"
    );
    // One is pending, and so the other one must not even be tried concurrently.
    same(pending_count(&db).await?, 1)?;
    ensure!(!steps[1].to_string().contains("55000"), "{steps:#}");
    reader.batch_execute("commit").await?;
    let run = ctx.runs(&db, "partitions prune --output json", 0).await?;
    same(
        outcome(&run)?["steps"][0]["action"].clone(),
        "finalize-detach".into(),
    )?;
    same(db.children("a").await?, vec!["a_2026_02".to_owned()])?;
    // Both keep their mark, so that a later prune drops them.
    let marked: i64 = db
        .value("select count(*) from pg_class where relname ~ '^a_2025' and obj_description(oid, 'pg_class') like '%[dbops:detached %'")
        .await?;
    same(marked, 2)
}

async fn a_concurrent_detach_that_never_began_leaves_no_mark(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(&format!(
        "{TABLE}; drop table a_2025_11; comment on table a_2025_10 is 'mine'"
    ))
    .await?;
    ctx.plan(PLAN)?;
    // The lock that a concurrent detach begins with is taken, by an ANALYZE for example.
    let other = db.connect().await?;
    other
        .batch_execute("begin; lock table only a in share update exclusive mode")
        .await?;
    let before = db.digest().await?;
    let run = ctx
        .runs(&db, "partitions prune --output json --give-up-after 2s", 6)
        .await?;
    same(
        outcome(&run)?["steps"][0]["status"].clone(),
        "deferred".into(),
    )?;
    same(
        db.value::<Option<String>>("select obj_description('a_2025_10'::regclass, 'pg_class')")
            .await?,
        Some("mine".to_owned()),
    )?;
    same(db.digest().await?, before)?;
    same(pending_count(&db).await?, 0)
}

async fn a_mark_on_a_partition_that_was_attached_again_is_taken_out(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(&format!("{TABLE}; comment on table a_2025_10 is 'mine'"))
        .await?;
    ctx.plan("partitions:\n  - { table: a, every: month, retain: 1 month, allow: [drops-data] }")?;
    ctx.runs(&db, "partitions prune", 0).await?;
    same(db.children("a").await?, vec!["a_2026_02".to_owned()])?;
    // Somebody wants October back, with its mark still on, and keeps more from now on.
    db.run(
        "alter table a attach partition a_2025_10 for values from ('2025-10-01') to ('2025-11-01')",
    )
    .await?;
    ctx.plan("partitions:\n  - { table: a, every: month, retain: 1 year, allow: [drops-data] }")?;
    ctx.runs(&db, "partitions prune", 0).await?;
    let comment = "select obj_description('a_2025_10'::regclass, 'pg_class')";
    same(
        db.value::<Option<String>>(comment).await?,
        Some("mine".to_owned()),
    )?;
    // Detached by hand to be kept, it is nobody's to drop.
    db.run("alter table a detach partition a_2025_10").await?;
    ctx.plan("partitions:\n  - { table: a, every: month, retain: 1 month, allow: [drops-data] }")?;
    ctx.at(&db, "2030-01-01T00:00:00Z", "partitions prune")
        .run()
        .await?;
    same(db.value::<i64>("select count(*) from a_2025_10").await?, 1)
}

async fn a_default_partition_forbids_the_concurrent_way(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(&format!(
        "{TABLE}; create table a_rest partition of a default"
    ))
    .await?;
    ctx.plan(PLAN)?;
    let reader = db.connect().await?;
    reader.batch_execute("begin; select * from a").await?;
    let run = ctx
        .runs(&db, "partitions prune --output json --give-up-after 1s", 6)
        .await?;
    same(
        outcome(&run)?["steps"][0]["way"].clone(),
        "short-wait".into(),
    )?;
    same(pending_count(&db).await?, 0)?;
    reader.batch_execute("commit").await?;
    ctx.runs(&db, "partitions prune", 0).await?;
    same(
        db.children("a").await?,
        ["a_2026_02", "a_rest"].map(str::to_owned).to_vec(),
    )
}

async fn an_old_snapshot_defers_the_completion_and_is_named(ctx: &Ctx) -> Result<()> {
    if ctx.major < 14 {
        return Ok(());
    }
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let old = db.connect().await?;
    old.batch_execute(
        "set application_name = 'old snapshot'; begin isolation level repeatable read; select 1",
    )
    .await?;
    leave_pending(&db, "a", "a_2025_11").await?;
    ctx.plan(PLAN)?;
    let run = ctx
        .runs(&db, "partitions prune --output json --give-up-after 1s", 6)
        .await?;
    let first = outcome(&run)?["steps"][0].clone();
    holds(
        &first.to_string(),
        &["finalize-detach", "deferred", "old snapshot"],
    )?;
    old.batch_execute("commit").await?;
    ctx.runs(&db, "partitions prune", 0).await?;
    same(db.children("a").await?, vec!["a_2026_02".to_owned()])
}

async fn a_pending_partition_is_listed_with_what_to_do(ctx: &Ctx) -> Result<()> {
    if ctx.major < 14 {
        return Ok(());
    }
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    leave_pending(&db, "a", "a_2026_02").await?;
    ctx.plan(PLAN)?;
    let run = ctx.runs(&db, "partitions list", 0).await?;
    holds(
        &run.stdout,
        &[
            "a_2026_02 is pending detach",
            "partitions prune",
            "inserts fail now",
        ],
    )?;
    let json = ctx
        .runs(&db, "partitions list --output json", 0)
        .await?
        .json()?;
    same(
        json["targets"][0]["tables"][0]["pending"][0].clone(),
        "public.a_2026_02".into(),
    )
}
