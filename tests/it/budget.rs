//! The lock budget against sessions that are really there; two runs; signals.
#![expect(
    clippy::disallowed_methods,
    reason = "tests hold locks with statements of their own"
)]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::common::{Ctx, Db, NOW, eventually, holds, outcome, same, tests};

tests!(
    Ends: an_open_reader_and_writer_do_not_hinder_ensure,
    maintenance_on_the_parent_defers_ensure_and_is_named,
    a_blocker_that_leaves_lets_ensure_through,
    nobody_waits_behind_a_deferred_prune_longer_than_the_budget,
    a_writer_on_a_referenced_table_defers_only_what_needs_it,
    another_run_is_named_and_refused,
    an_interrupt_ends_a_waiting_run_with_a_complete_report,
    an_interrupt_cancels_a_concurrent_detach,
    a_terminated_writer_backend_is_reported_and_the_next_run_converges,
    ensure_passes_while_another_partition_is_read_exclusively,
);

const TABLE: &str = "create table a (id int not null, at date not null, primary key (id, at)) partition by range (at);
    create table a_2025_10 partition of a for values from ('2025-10-01') to ('2025-11-01');
    create table a_2026_02 partition of a for values from ('2026-02-01') to ('2026-03-01');
    create table b (at date not null) partition by range (at)";

const PLAN: &str = "partitions:\n  - { table: a, every: month, premake: 1, start: 2026-02-01, retain: 1 month }\n  \
    - { table: b, every: month, premake: 1 }";

async fn hold(db: &Db, name: &str, sql: &str) -> Result<tokio_postgres::Client> {
    let client = db.connect().await?;
    client
        .batch_execute(&format!("set application_name = '{name}'; begin; {sql}"))
        .await?;
    Ok(client)
}

fn step<'a>(outcome: &'a Value, table: &str) -> &'a Value {
    outcome["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|step| step["table"] == table)
        .unwrap_or(&Value::Null)
}

async fn an_open_reader_and_writer_do_not_hinder_ensure(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    let _reader = hold(&db, "reader", "select * from a").await?;
    let _writer = hold(&db, "writer", "insert into a values (1, '2026-02-02')").await?;
    let run = ctx.runs(&db, "partitions ensure --output json", 0).await?;
    same(
        step(&outcome(&run)?, "public.a")["attempts"].clone(),
        1.into(),
    )
}

async fn maintenance_on_the_parent_defers_ensure_and_is_named(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    for mode in ["share update exclusive", "access exclusive"] {
        let blocker = hold(
            &db,
            "night job",
            &format!("lock table only a in {mode} mode"),
        )
        .await?;
        let before = db.children("a").await.unwrap_or_default();
        let began = Instant::now();
        let run = ctx
            .runs(
                &db,
                "partitions ensure --give-up-after 1500ms --max-block 50ms",
                6,
            )
            .await?;
        ensure!(
            began.elapsed() < Duration::from_secs(12),
            "{:?}",
            began.elapsed()
        );
        holds(
            &run.stdout,
            &[
                "deferred",
                "night job",
                "pid ",
                "transaction open for",
                "public.a",
            ],
        )?;
        blocker.batch_execute("rollback").await?;
        if mode == "share update exclusive" {
            same(db.children("a").await?, before)?;
        }
        // The other table was served.
        same(db.children("b").await?.len(), 2)?;
    }
    let statuses = db.list("select status from dbops.run order by id").await?;
    same(statuses.last().cloned(), Some("deferred".to_owned()))?;
    ctx.ensures(&db, 0).await?;
    Ok(())
}

async fn a_blocker_that_leaves_lets_ensure_through(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    let blocker = hold(
        &db,
        "short job",
        "lock table only a in share update exclusive mode",
    )
    .await?;
    let running = ctx
        .at(&db, NOW, "partitions ensure --output json")
        .spawn()
        .await?;
    eventually("the step is being tried", async || {
        Ok(db.value::<i64>("select count(*) from pg_stat_activity where datname = current_database() and application_name like 'dbops%write%'").await? > 0)
    })
    .await?;
    blocker.batch_execute("commit").await?;
    let run = running.wait().await?.exits_with(0)?;
    same(outcome(&run)?["blocked"]["writers"].clone(), 0.into())
}

async fn nobody_waits_behind_a_deferred_prune_longer_than_the_budget(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(&format!(
        "{TABLE}; create table a_rest partition of a default"
    ))
    .await?;
    ctx.plan(PLAN)?;
    let reader = hold(&db, "long report", "select * from a").await?;
    let running = ctx
        .at(
            &db,
            NOW,
            "partitions prune a --output json --give-up-after 3s --max-block 100ms",
        )
        .spawn()
        .await?;
    // A writer all the while; its waits are the ones that the budget bounds.
    let writer = db.connect().await?;
    let mut longest = Duration::ZERO;
    let wait = running.wait();
    tokio::pin!(wait);
    let mut n = 10;
    let run = loop {
        n += 1;
        let insert = async {
            let began = Instant::now();
            writer
                .batch_execute(&format!("insert into a values ({n}, '2026-02-02')"))
                .await?;
            anyhow::Ok(began.elapsed())
        };
        tokio::select! {
            biased;
            run = &mut wait => break run?,
            waited = insert => longest = longest.max(waited?),
        }
        tokio::task::yield_now().await;
    };
    let run = run.exits_with(6)?;
    reader.batch_execute("commit").await?;
    let report = outcome(&run)?;
    holds(
        &report["steps"][0].to_string(),
        &["long report", "AccessShareLock"],
    )?;
    // The machine that runs the tests is slow; the server's own figure is the exact one.
    ensure!(
        longest < Duration::from_millis(600),
        "a writer waited {longest:?}: {report:#}"
    );
    let measured = report["blocked"]["longest_ms"].as_f64().unwrap_or(f64::MAX);
    ensure!(measured < 300.0, "{report:#}");
    same(db.children("a").await?.len(), 3)
}

async fn a_writer_on_a_referenced_table_defers_only_what_needs_it(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(&format!("{TABLE}; create table users (id int primary key); alter table a add foreign key (id) references users"))
        .await?;
    ctx.plan(PLAN)?;
    let _writer = hold(&db, "sign up", "insert into users values (1)").await?;
    let run = ctx
        .runs(&db, "partitions ensure --output json --give-up-after 1s", 6)
        .await?;
    let report = outcome(&run)?;
    holds(
        &step(&report, "public.a").to_string(),
        &["deferred", "sign up", "public.users", "RowExclusiveLock"],
    )?;
    same(step(&report, "public.b")["status"].clone(), "done".into())
}

async fn another_run_is_named_and_refused(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    let holder = db.connect().await?;
    holder
        .batch_execute(
            "set application_name = 'the other run'; select pg_advisory_lock(x'64626f70'::int, 1)",
        )
        .await?;
    for words in ["partitions ensure", "partitions prune"] {
        let run = ctx.runs(&db, words, 4).await?;
        holds(&run.stderr, &["the other run", "pid "])?;
        same(run.stdout, String::new())?;
    }
    // Looking is free.
    ctx.runs(&db, "partitions ensure --dry-run", 0).await?;
    drop(holder);
    eventually("the lock is free", async || {
        Ok(db.value::<i64>("select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())").await? == 0)
    })
    .await?;
    ctx.ensures(&db, 0).await?;
    // Nothing of a run is left behind.
    eventually("no session is left", async || {
        Ok(db.value::<i64>("select count(*) from pg_stat_activity where datname = current_database() and application_name like 'dbops%'").await? == 0)
    })
    .await
}

async fn an_interrupt_ends_a_waiting_run_with_a_complete_report(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    let _blocker = hold(
        &db,
        "night job",
        "lock table only a in share update exclusive mode",
    )
    .await?;
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        db.run("drop schema if exists dbops cascade").await?;
        let running = ctx
            .at(
                &db,
                NOW,
                "partitions ensure --output json --give-up-after 60s",
            )
            .spawn()
            .await?;
        eventually("the step has begun", async || {
            if !db
                .value::<bool>("select to_regclass('dbops.step') is not null")
                .await?
            {
                return Ok(false);
            }
            Ok(db
                .value::<i64>("select count(*) from dbops.step where status = 'running'")
                .await?
                == 1)
        })
        .await?;
        let sent = Instant::now();
        running.signal(signal)?;
        let run = running.wait().await?.exits_with(130)?;
        ensure!(
            sent.elapsed() < Duration::from_secs(5),
            "{:?}",
            sent.elapsed()
        );
        let report = outcome(&run)?;
        same(report["interrupted"].clone(), true.into())?;
        same(
            step(&report, "public.a")["status"].clone(),
            "interrupted".into(),
        )?;
        same(
            step(&report, "public.b")["status"].clone(),
            "skipped".into(),
        )?;
        same(
            db.list("select status from dbops.run union all (select status from dbops.step order by step_id)").await?,
            ["interrupted", "interrupted", "skipped"].map(str::to_owned).to_vec(),
        )?;
    }
    Ok(())
}

async fn an_interrupt_cancels_a_concurrent_detach(ctx: &Ctx) -> Result<()> {
    if ctx.major < 14 {
        return Ok(());
    }
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    let reader = hold(&db, "reader", "select * from a").await?;
    let running = ctx
        .at(
            &db,
            NOW,
            "partitions prune a --output json --give-up-after 6s",
        )
        .spawn()
        .await?;
    eventually("the detach is pending", async || {
        Ok(db.value::<i64>("select count(*) from pg_inherits i where to_jsonb(i) ->> 'inhdetachpending' = 'true'").await? == 1)
    })
    .await?;
    running.signal(Signal::SIGTERM)?;
    let run = running.wait().await?.exits_with(130)?;
    holds(
        &outcome(&run)?["steps"][0].to_string(),
        &["interrupted", "pending"],
    )?;
    eventually("the statement is gone", async || {
        Ok(db.value::<i64>("select count(*) from pg_stat_activity where datname = current_database() and application_name like 'dbops%'").await? == 0)
    })
    .await?;
    reader.batch_execute("commit").await?;
    ctx.runs(&db, "partitions prune a", 0).await?;
    same(db.children("a").await?, vec!["a_2026_02".to_owned()])
}

async fn a_terminated_writer_backend_is_reported_and_the_next_run_converges(
    ctx: &Ctx,
) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    let blocker = hold(
        &db,
        "night job",
        "lock table only a in share update exclusive mode",
    )
    .await?;
    let running = ctx
        .at(&db, NOW, "partitions ensure --output json")
        .spawn()
        .await?;
    eventually("the writer is there", async || {
        Ok(db
            .value::<i64>("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() \
                   and application_name like 'dbops%write%' and (query like '%lock table%' or query like '%rollback%')")
            .await? > 0)
    })
    .await?;
    let run = running.wait().await?.exits_with(5)?;
    let report = outcome(&run)?;
    holds(
        &step(&report, "public.a").to_string(),
        &["failed", "connection"],
    )?;
    same(
        step(&report, "public.b")["status"].clone(),
        "skipped".into(),
    )?;
    blocker.batch_execute("commit").await?;
    ctx.ensures(&db, 0).await?;
    same(db.children("b").await?.len(), 2)
}

async fn ensure_passes_while_another_partition_is_read_exclusively(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    let _holder = hold(
        &db,
        "rebuild",
        "lock table a_2026_02 in access exclusive mode",
    )
    .await?;
    ctx.runs(&db, "partitions ensure --give-up-after 5s", 0)
        .await?;
    Ok(())
}
