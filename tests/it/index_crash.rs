//! Whatever ends a build half-way, the next run gets to the end of it.
#![expect(
    clippy::disallowed_methods,
    reason = "tests end sessions and hold snapshots with statements of their own"
)]

use std::time::Duration;

use anyhow::{Result, ensure};
use dbops::apply::Status;
use dbops::changes::changeset::Action;

use crate::common::builds::{bare, concurrent, create, drop_index};
use crate::common::{Ctx, Db, eventually, holds, same, tests};

tests!(
    Ends: a_build_whose_client_is_gone_is_followed,
    a_build_whose_backend_is_ended_is_repaired,
    a_rebuild_whose_backend_is_ended_is_repaired,
    a_connection_that_is_lost_leaves_the_rest_to_the_others,
);

const TABLE: &str = "create table t (id int, a int); insert into t select i, i from generate_series(1, 300) i; \
    create table other (id int); \
    create function slow(int) returns int immutable language plpgsql as $$ begin perform pg_sleep(0.001); return $1; end $$";
const SNAPSHOT: &str =
    "set transaction isolation level repeatable read; select count(*) from other";

async fn building(db: &Db) -> Result<i32> {
    let mut pid = 0;
    eventually("the build has begun", async || {
        let found = db
            .list("select pid::text from pg_stat_progress_create_index where datname = current_database() and command like '%CONCURRENTLY'")
            .await?;
        pid = match found.first() {
            Some(text) => text.parse()?,
            None => 0,
        };
        Ok(pid != 0)
    })
    .await?;
    Ok(pid)
}

async fn a_build_whose_client_is_gone_is_followed(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let holder = db.holding("report", SNAPSHOT).await?;
    let pid = {
        let run = ctx.builds(&db, vec![create(1, "t", "t_a", "a")]);
        tokio::select! {
            outcome = run => anyhow::bail!("it ended: {outcome:?}"),
            pid = building(&db) => pid?,
        }
    };
    // The client is gone; its backend goes on, and the lock of its run is free.
    let mut step = bare(1, Action::AwaitBuild, "t", "t_a");
    if let Some(index) = &mut step.index {
        index.follows = Some(pid);
    }
    let run = ctx.build(&db, vec![step]);
    let told = run.told.clone();
    let free = async {
        eventually("it is followed", async || Ok(!told.all().is_empty())).await?;
        anyhow::Ok(holder.batch_execute("commit").await?)
    };
    let (outcome, freed) = tokio::join!(run.run(), free);
    freed?;
    let outcome = outcome?;
    same(outcome.steps[0].status, Status::Done)?;
    holds(
        &outcome.steps[0].remarks.join("\n"),
        &["public.t_a is valid"],
    )?;
    same(db.indexes("t").await?, vec!["t_a".to_owned()])
}

/// Ends the backend of a run of one step after so long; returns whether it was in time.
async fn cut(
    ctx: &Ctx,
    db: &Db,
    step: dbops::changes::changeset::Step,
    after: Duration,
) -> Result<bool> {
    let run = ctx.builds(db, vec![step]);
    let end = async {
        let pid = building(db).await?;
        tokio::time::sleep(after).await;
        db.run(&format!("select pg_terminate_backend({pid})")).await
    };
    let (outcome, ended) = tokio::join!(run, end);
    ended?;
    let step = &outcome?.steps[0];
    if step.status == Status::Done {
        return Ok(false);
    }
    same(step.status, Status::Failed)?;
    holds(step.reason.as_deref().unwrap_or_default(), &["connection"])?;
    ensure!(step.remedy.is_some(), "{step:#?}");
    Ok(true)
}

fn reindex(index: &str) -> dbops::changes::changeset::Step {
    concurrent(
        1,
        Action::ReindexIndex,
        "t",
        index,
        &format!("reindex index concurrently public.{index}"),
    )
}

async fn a_build_whose_backend_is_ended_is_repaired(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let mut cuts = 0;
    for wait in [0, 60, 150, 320] {
        let step = create(1, "t", "t_a", "public.slow(a)");
        cuts += i32::from(cut(ctx, &db, step, Duration::from_millis(wait)).await?);
        // What the planner makes of what is there.
        let steps = match db.indexes("t").await?.first().map(String::as_str) {
            None => vec![create(1, "t", "t_a", "public.slow(a)")],
            Some("t_a") => Vec::new(),
            Some(_) => vec![reindex("t_a")],
        };
        let outcome = ctx.builds(&db, steps).await?;
        same(outcome.exit(), dbops::failure::Exit::Done)?;
        same(db.indexes("t").await?, vec!["t_a".to_owned()])?;
        db.run("drop index t_a").await?;
    }
    ensure!(cuts > 0);
    Ok(())
}

async fn a_rebuild_whose_backend_is_ended_is_repaired(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run("create index t_a on t (slow(a))").await?;
    for wait in [0, 200] {
        cut(ctx, &db, reindex("t_a"), Duration::from_millis(wait)).await?;
        let leftovers: Vec<String> = db
            .indexes("t")
            .await?
            .into_iter()
            .filter_map(|name| Some(name.strip_suffix(" invalid")?.to_owned()))
            .collect();
        let steps = leftovers.iter().enumerate().map(|(at, name)| {
            let id = u32::try_from(at).unwrap_or_default() + 1;
            drop_index(id, "t", name)
        });
        let outcome = ctx.builds(&db, steps.collect()).await?;
        same(outcome.exit(), dbops::failure::Exit::Done)?;
        same(db.indexes("t").await?, vec!["t_a".to_owned()])?;
    }
    Ok(())
}

async fn a_connection_that_is_lost_leaves_the_rest_to_the_others(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let tables = ["u_1", "u_2", "u_3"];
    let mut steps = vec![create(1, "t", "t_a", "public.slow(a)")];
    for (id, table) in (2..).zip(tables) {
        db.run(&format!("create table {table} (id int)")).await?;
        steps.push(create(id, table, &format!("{table}_id"), "id"));
    }
    let run = ctx.build(&db, steps).jobs(2).run();
    let end = async {
        eventually("the long build has begun", async || {
            let ended = db
                .list("select pg_terminate_backend(pid)::text from pg_stat_progress_create_index where datname = current_database() and relid = 't'::regclass")
                .await?;
            Ok(!ended.is_empty())
        })
        .await
    };
    let (outcome, ended) = tokio::join!(run, end);
    ended?;
    let outcome = outcome?;
    let statuses: Vec<Status> = outcome.steps.iter().map(|step| step.status).collect();
    same(
        statuses,
        vec![Status::Failed, Status::Done, Status::Done, Status::Done],
    )
}
