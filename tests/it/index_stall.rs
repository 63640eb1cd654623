//! Nobody's reads and writes wait behind a build or a drop of an index longer than the budget.
#![expect(
    clippy::disallowed_methods,
    reason = "tests hold locks and snapshots with statements of their own"
)]

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dbops::apply::{Outcome, Status};
use dbops::changes::changeset::Action;

use crate::common::builds::{concurrent, create, drop_index, patience};
use crate::common::{Ctx, Db, eventually, holds, same, tests};

tests!(
    Ends: a_build_makes_way_for_maintenance_that_stops_writers,
    a_build_that_makes_way_again_and_again_is_deferred,
    maintenance_that_stops_nobody_lets_the_build_go_on,
    a_drop_waits_before_it_is_sent_and_leaves_the_index_valid,
    a_drop_that_is_cut_is_reported_and_finished_by_the_next_run,
    an_interrupt_leaves_nothing_of_a_build,
    an_interrupt_leaves_nothing_of_a_rebuild,
    a_writer_is_not_stopped_by_builds_and_drops,
);

const TABLE: &str = "create table t (id int, a int); insert into t select i, i from generate_series(1, 500) i; \
    create table other (id int); insert into other select generate_series(1, 10)";
const SNAPSHOT: &str =
    "set transaction isolation level repeatable read; select count(*) from other";

/// Waits until our build on `t` waits for open transactions.
async fn build_waits(db: &Db) -> Result<()> {
    eventually("the build waits", async || {
        db.value::<bool>(
            "select exists (select from pg_stat_activity where datname = current_database() and application_name like 'dbops% write' \
             and wait_event = 'virtualxid' and state = 'active')",
        )
        .await
    })
    .await
}

async fn a_build_makes_way_for_maintenance_that_stops_writers(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let holder = db.holding("report", SNAPSHOT).await?;
    let migration = db.connect().await?;
    migration
        .batch_execute("set application_name = 'migration'")
        .await?;
    let writer = db.connect().await?;
    let run = ctx.builds(&db, vec![create(1, "t", "t_a", "a")]);
    let others = async {
        build_waits(&db).await?;
        let began = Instant::now();
        let alter = async {
            migration
                .batch_execute("alter table t add column b int")
                .await
                .context("altering the table")
        };
        let write = async {
            eventually("the migration queues", async || {
                db.value::<bool>("select exists (select from pg_locks where not granted and locktype = 'relation' and mode = 'AccessExclusiveLock' and relation = 't'::regclass)").await
            })
            .await
            .or_else(|error| if began.elapsed() > Duration::from_secs(25) { Err(error) } else { Ok(()) })?;
            let sent = Instant::now();
            writer.batch_execute("insert into t values (0, 0)").await?;
            anyhow::Ok(sent.elapsed())
        };
        let (altered, waited) = tokio::join!(alter, write);
        altered?;
        holder.batch_execute("commit").await?;
        waited
    };
    let (outcome, waited) = tokio::join!(run, others);
    let (outcome, waited) = (outcome?, waited?);
    let step = &outcome.steps[0];
    same(step.status, Status::Done)?;
    ensure!(step.attempts >= 2, "{step:#?}");
    holds(
        &step.remarks.join("\n"),
        &["made way", "application `migration`", "dropped"],
    )?;
    ensure!(waited < Duration::from_secs(2), "{waited:?} {step:#?}");
    ensure!(step.blocked.writers >= 1, "{step:#?}");
    ensure!(
        step.blocked.longest_ms < 600.0 && step.blocked.longest_ms > 20.0,
        "{step:#?}"
    );
    same(db.indexes("t").await?, vec!["t_a".to_owned()])
}

async fn a_build_that_makes_way_again_and_again_is_deferred(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let _holder = db.holding("report", SNAPSHOT).await?;
    let migration = db.connect().await?;
    migration
        .batch_execute("set application_name = 'migration'")
        .await?;
    let writer = db.connect().await?;
    let alters = async {
        loop {
            if migration
                .batch_execute("alter table t add column if not exists b int")
                .await
                .is_err()
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let writes = async {
        loop {
            if writer
                .batch_execute("insert into t values (0, 0)")
                .await
                .is_err()
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let run = ctx.builds(&db, patience(vec![create(1, "t", "t_a", "a")], 6_000));
    let outcome = tokio::select! {
        outcome = run => outcome?,
        () = alters => anyhow::bail!("the migration failed"),
        () = writes => anyhow::bail!("the writer failed"),
    };
    let step = &outcome.steps[0];
    same(step.status, Status::Deferred)?;
    holds(
        step.reason.as_deref().unwrap_or_default(),
        &["application `migration`", "made way"],
    )?;
    same(db.indexes("t").await?, Vec::new())
}

async fn maintenance_that_stops_nobody_lets_the_build_go_on(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let holder = db.holding("report", SNAPSHOT).await?;
    let other = db.connect().await?;
    let run = ctx.builds(&db, vec![create(1, "t", "t_a", "a")]);
    let others = async {
        build_waits(&db).await?;
        let analyze = async {
            // It holds a snapshot while it queues, so the build and it may wait for each other.
            match other
                .batch_execute("set application_name = 'by hand'; analyze t")
                .await
            {
                Err(error) if error.code().is_some_and(|code| code.code() == "40P01") => Ok(()),
                other => other.context("analyzing"),
            }
        };
        let free = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            // As many writers as like pass meanwhile.
            db.run("insert into t values (1, 1)").await?;
            holder.batch_execute("commit").await?;
            anyhow::Ok(())
        };
        let (analyzed, freed) = tokio::join!(analyze, free);
        freed?;
        analyzed
    };
    let (outcome, others) = tokio::join!(run, others);
    others?;
    let step = &outcome?.steps[0];
    same(step.status, Status::Done)?;
    ensure!(
        !step
            .remarks
            .iter()
            .any(|remark| remark.contains("made way")),
        "{step:#?}"
    );
    same(step.blocked.count, 0)?;
    holds(
        &step.remarks.join("\n"),
        &["application `by hand`", "ShareUpdateExclusiveLock"],
    )?;
    same(db.indexes("t").await?, vec!["t_a".to_owned()])
}

async fn a_drop_waits_before_it_is_sent_and_leaves_the_index_valid(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run("create index t_a on t (a)").await?;
    let reader = db.holding("idle reader", "select * from t limit 1").await?;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let outcome = ctx
        .builds(&db, patience(vec![drop_index(1, "t", "t_a")], 700))
        .await?;
    let step = &outcome.steps[0];
    same((step.status, step.attempts), (Status::Deferred, 0))?;
    holds(&format!("{:?}", step.blockers), &["idle reader"])?;
    same(db.indexes("t").await?, vec!["t_a".to_owned()])?;
    let run = ctx.builds(&db, vec![drop_index(1, "t", "t_a")]);
    let free = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        reader.batch_execute("commit").await
    };
    let (outcome, freed) = tokio::join!(run, free);
    freed?;
    same(outcome?.steps[0].status, Status::Done)?;
    same(db.indexes("t").await?, Vec::new())
}

async fn a_drop_that_is_cut_is_reported_and_finished_by_the_next_run(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run("create index t_a on t (a)").await?;
    let reader = db.connect().await?;
    let run = ctx.builds(&db, patience(vec![drop_index(1, "t", "t_a")], 1_500));
    // A transaction too young to be waited for beforehand, which then goes on.
    let read = async {
        loop {
            reader
                .batch_execute("begin; select * from t limit 1")
                .await?;
            let sent = db
                .value::<bool>(
                    "select exists (select from pg_stat_activity where datname = current_database() and query like 'drop index%' and wait_event = 'virtualxid')",
                )
                .await?;
            if sent {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
            let sent = db
                .value::<bool>(
                    "select exists (select from pg_stat_activity where datname = current_database() and query like 'drop index%' and wait_event = 'virtualxid')",
                )
                .await?;
            if sent {
                return Ok(());
            }
            reader.batch_execute("commit").await?;
        }
    };
    let outcome = {
        tokio::pin!(run);
        tokio::select! {
            outcome = &mut run => outcome?,
            seen = read => {
                seen?;
                run.await?
            }
        }
    };
    let step = &outcome.steps[0];
    if step.status == Status::Done {
        // The reader never met it.
        return same(db.indexes("t").await?, Vec::new());
    }
    same(step.status, Status::Deferred)?;
    holds(&step.remarks.join("\n"), &["public.t_a is half-dropped"])?;
    same(db.indexes("t").await?, vec!["t_a invalid".to_owned()])?;
    reader.batch_execute("commit").await?;
    let outcome = ctx.builds(&db, vec![drop_index(1, "t", "t_a")]).await?;
    same(outcome.steps[0].status, Status::Done)?;
    same(db.indexes("t").await?, Vec::new())
}

/// Runs a step that is held up, and interrupts it.
async fn interrupted(ctx: &Ctx, db: &Db, step: dbops::changes::changeset::Step) -> Result<Outcome> {
    let _holder = db.holding("report", SNAPSHOT).await?;
    let run = ctx.build(db, vec![step]);
    let interrupter = run.interrupter();
    let signal = async {
        build_waits(db).await?;
        // Long enough for the watcher to look.
        tokio::time::sleep(Duration::from_millis(300)).await;
        interrupter.send(true)?;
        anyhow::Ok(Instant::now())
    };
    let (outcome, sent) = tokio::join!(run.run(), signal);
    let took = sent?.elapsed();
    ensure!(took < Duration::from_secs(8), "{took:?}");
    let outcome = outcome?;
    same(outcome.steps[0].status, Status::Interrupted)?;
    same(outcome.exit(), dbops::failure::Exit::Interrupted)?;
    Ok(outcome)
}

async fn an_interrupt_leaves_nothing_of_a_build(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let outcome = interrupted(ctx, &db, create(1, "t", "t_a", "a")).await?;
    holds(
        &outcome.steps[0].remarks.join("\n"),
        &["public.t_a", "dropped"],
    )?;
    same(db.indexes("t").await?, Vec::new())
}

async fn an_interrupt_leaves_nothing_of_a_rebuild(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run("create index t_a on t (a); create index t_a_ccnew on t (id)")
        .await?;
    let step = concurrent(
        1,
        Action::ReindexIndex,
        "t",
        "t_a",
        "reindex index concurrently public.t_a",
    );
    let outcome = interrupted(ctx, &db, step).await?;
    holds(
        &outcome.steps[0].remarks.join("\n"),
        &["t_a_ccnew1", "dropped"],
    )?;
    same(
        db.indexes("t").await?,
        vec!["t_a".to_owned(), "t_a_ccnew".to_owned()],
    )
}

async fn a_writer_is_not_stopped_by_builds_and_drops(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run("insert into t select i, i from generate_series(1, 20000) i")
        .await?;
    let _reader = db.holding("idle reader", "select * from other").await?;
    let writer = db.connect().await?;
    let mut longest = Duration::ZERO;
    let mut count = 0;
    let writes = async {
        loop {
            let began = Instant::now();
            if writer
                .batch_execute("insert into t values (0, 0); update t set a = a + 1 where id = 17")
                .await
                .is_err()
            {
                break;
            }
            longest = longest.max(began.elapsed());
            count += 1;
            tokio::task::yield_now().await;
        }
    };
    let steps = vec![
        create(1, "t", "t_a", "a"),
        create(2, "t", "t_id", "id"),
        concurrent(
            3,
            Action::ReindexIndex,
            "t",
            "t_a",
            "reindex index concurrently public.t_a",
        ),
        drop_index(4, "t", "t_a"),
    ];
    let outcome = tokio::select! {
        outcome = ctx.builds(&db, steps) => outcome?,
        () = writes => anyhow::bail!("the writer failed"),
    };
    ensure!(
        outcome.steps.iter().all(|step| step.status == Status::Done),
        "{outcome:#?}"
    );
    same(outcome.blocked.count, 0)?;
    ensure!(
        count > 20 && longest < Duration::from_secs(2),
        "{longest:?} {count}"
    );
    Ok(())
}
