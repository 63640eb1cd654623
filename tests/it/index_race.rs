//! Builds beside open transactions, beside builds of others, and beside each other.
#![expect(
    clippy::disallowed_methods,
    reason = "tests hold locks and snapshots with statements of their own"
)]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dbops::apply::exclusive::{Area, take_within};
use dbops::apply::{Status, blockers_forecast};
use dbops::changes::changeset::Action;
use dbops::conn::Purpose;

use crate::common::builds::{bare, create, give_up, patience, public, session};
use crate::common::{Ctx, Db, eventually, holds, same, tests};

tests!(
    Ends: those_who_hold_a_build_up_are_foreseen_and_no_others,
    a_build_waits_for_those_foreseen_and_for_no_others,
    a_build_ends_soon_after_the_snapshot_that_it_waited_for,
    a_build_without_patience_names_who_held_it_up_and_leaves_nothing,
    a_build_of_another_session_survives,
    a_build_of_another_session_is_followed_to_its_end,
    a_build_that_is_followed_too_long_goes_on,
    two_runs_at_once_take_turns,
    idle_sessions_of_a_run_hold_no_snapshot,
    progress_is_told_with_its_share,
    a_run_whose_lock_is_lost_begins_no_further_step,
);

const TABLE: &str = "create table t (id int, a int); insert into t select i, i from generate_series(1, 500) i; \
    create table other (id int); insert into other select generate_series(1, 10)";

/// What others do, each with whether it holds up a build on `t`.
const OTHERS: &[(&str, &str, bool)] = &[
    (
        "repeatable read",
        "set transaction isolation level repeatable read; select count(*) from other",
        true,
    ),
    ("reader of the table", "select count(*) from t", false),
    (
        "writer of another table",
        "insert into other values (1)",
        false,
    ),
    ("writer of the table", "insert into t values (0, 0)", true),
    (
        "open cursor",
        "declare c cursor for select * from other; fetch 1 from c",
        true,
    ),
];

/// Sessions that do more than a simple statement in a transaction.
async fn holding_by_protocol(
    db: &Db,
) -> Result<(
    tokio_postgres::Client,
    tokio::task::JoinHandle<()>,
    tokio_postgres::Client,
)> {
    // An extended-protocol query leaves its portal, and with it its snapshot, until the transaction ends.
    let portal = db.holding("extended protocol", "select").await?;
    let statement = portal.prepare("select id from other").await?;
    drop(portal.query(&statement, &[]).await?);
    let holder = db
        .holding("holder of a key", "select pg_advisory_lock(42)")
        .await?;
    let waiting = db.connect().await?;
    waiting
        .batch_execute("set application_name = 'waits for a key'")
        .await?;
    let task = tokio::spawn(async move {
        let _ = waiting.batch_execute("select pg_advisory_lock(42)").await;
    });
    eventually("the key is waited for", async || {
        db.value::<bool>("select exists (select from pg_stat_activity where application_name = 'waits for a key' and wait_event_type = 'Lock' and datname = current_database())")
            .await
    })
    .await?;
    Ok((portal, task, holder))
}

async fn those_who_hold_a_build_up_are_foreseen_and_no_others(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let mut holders = Vec::new();
    for (name, sql, _) in OTHERS {
        holders.push(db.holding(name, sql).await?);
    }
    let (_portal, task, _key) = holding_by_protocol(&db).await?;
    for (gid, table) in [("wrote it", "t"), ("wrote another", "other")] {
        db.run(&format!(
            "begin; insert into {table} values (1); prepare transaction '{gid} {}'",
            db.name
        ))
        .await?;
    }
    // Nobody to name: sessions without a transaction.
    let _idle = db.connect().await?;

    let reader = session(&db, Purpose::Read).await?;
    let forecast = blockers_forecast(&*reader, &[public("t")]).await?;
    for gid in ["wrote it", "wrote another"] {
        db.run(&format!("rollback prepared '{gid} {}'", db.name))
            .await?;
    }
    task.abort();

    let names = |side: &[dbops::apply::Blocker]| {
        let mut names: Vec<String> = side
            .iter()
            .filter(|blocker| blocker.pid != 0)
            .filter(|blocker| blocker.backend_type.as_deref() == Some("client backend"))
            .map(|blocker| blocker.application.clone().unwrap_or_default())
            .collect();
        names.sort();
        names
    };
    let mut wanted: Vec<&str> = OTHERS
        .iter()
        .filter(|(_, _, blocks)| *blocks)
        .map(|(name, ..)| *name)
        .chain(["extended protocol", "waits for a key"])
        .collect();
    wanted.sort_unstable();
    same(
        names(&forecast.blocking),
        wanted.iter().map(|&name| name.to_owned()).collect(),
    )?;
    same(
        names(&forecast.harmless),
        [
            "holder of a key",
            "reader of the table",
            "writer of another table",
        ]
        .map(str::to_owned)
        .to_vec(),
    )?;
    let prepared = |side: &[dbops::apply::Blocker]| {
        let found = side.iter().filter(|blocker| blocker.pid == 0);
        found
            .map(|blocker| blocker.why.clone().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n")
    };
    holds(
        &prepared(&forecast.blocking),
        &["`wrote it ", "ROLLBACK PREPARED"],
    )?;
    holds(&prepared(&forecast.harmless), &["`wrote another "])?;
    for blocker in &forecast.blocking {
        ensure!(blocker.why.is_some(), "{blocker:#?}");
    }
    Ok(())
}

async fn a_build_waits_for_those_foreseen_and_for_no_others(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    for (at, (name, sql, blocks)) in OTHERS.iter().enumerate() {
        let holder = db.holding(name, sql).await?;
        let index = format!("t_{at}");
        let steps = patience(vec![create(1, "t", &index, "a")], 700);
        let outcome = ctx.builds(&db, steps).await?;
        let step = &outcome.steps[0];
        if *blocks {
            same((*name, step.status), (*name, Status::Deferred))?;
            let named: Vec<_> = step
                .blockers
                .iter()
                .filter_map(|blocker| blocker.application.as_deref())
                .collect();
            same(named, vec![*name])?;
            ensure!(
                !db.indexes("t")
                    .await?
                    .iter()
                    .any(|name| name.starts_with(&index)),
                "{name} left something: {step:#?}"
            );
        } else {
            ensure!(step.status == Status::Done, "{name}: {step:#?}");
        }
        holder.batch_execute("rollback").await?;
    }
    db.run(&format!(
        "begin; insert into t values (1); prepare transaction '{}'",
        db.name
    ))
    .await?;
    let steps = patience(vec![create(1, "t", "t_p", "a")], 700);
    let outcome = ctx.builds(&db, steps).await?;
    db.run(&format!("rollback prepared '{}'", db.name)).await?;
    let step = &outcome.steps[0];
    same(step.status, Status::Deferred)?;
    holds(
        step.blockers
            .first()
            .and_then(|blocker| blocker.why.as_deref())
            .unwrap_or_default(),
        &["prepared transaction", &db.name],
    )
}

async fn a_build_ends_soon_after_the_snapshot_that_it_waited_for(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let (gone, _task) = db
        .holding_for("report", OTHERS[0].1, Duration::from_secs(2))
        .await?;
    let build = ctx.build(&db, vec![create(1, "t", "t_a", "a")]);
    let told = build.told.clone();
    let outcome = build.run().await?;
    let since = Instant::now().saturating_duration_since(gone);
    same(outcome.steps[0].status, Status::Done)?;
    ensure!(
        since < Duration::from_secs(3),
        "{since:?} after it had gone"
    );
    same(outcome.steps[0].attempts, 1)?;
    // While it waited, it said for whom.
    let told = told.all();
    ensure!(
        told.iter().any(|progress| progress
            .waits_for
            .iter()
            .any(|blocker| blocker.application.as_deref() == Some("report"))),
        "{told:#?}"
    );
    same(db.indexes("t").await?, vec!["t_a".to_owned()])
}

async fn a_build_without_patience_names_who_held_it_up_and_leaves_nothing(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let _a = db.holding("report a", OTHERS[0].1).await?;
    let _b = db.holding("report b", OTHERS[0].1).await?;
    let began = Instant::now();
    let steps = patience(vec![create(1, "t", "t_a", "a")], 1000);
    let outcome = ctx.builds(&db, steps).await?;
    let took = began.elapsed();
    let step = &outcome.steps[0];
    same(step.status, Status::Deferred)?;
    // One clock for all of them, not one for each.
    ensure!(took < Duration::from_secs(6), "{took:?}");
    ensure!(took > Duration::from_millis(900), "{took:?}");
    let named = format!("{:?}", step.blockers);
    holds(&named, &["report a", "report b", "snapshot"])?;
    holds(step.reason.as_deref().unwrap_or_default(), &["1s"])?;
    holds(&step.remarks.join("\n"), &["public.t_a", "dropped"])?;
    same(db.indexes("t").await?, Vec::new())?;
    same(outcome.exit(), dbops::failure::Exit::Deferred)
}

/// Begins a build that is held in its last wait until the session returned first has ended.
async fn foreign_build(
    db: &Db,
) -> Result<(
    tokio_postgres::Client,
    i32,
    tokio::task::JoinHandle<Result<(), tokio_postgres::Error>>,
)> {
    let holder = db.holding("report", OTHERS[0].1).await?;
    let builder = db.connect().await?;
    builder
        .batch_execute("set application_name = 'somebody else'")
        .await?;
    let pid: i32 = builder
        .query_one("select pg_backend_pid()", &[])
        .await?
        .get(0);
    let build = tokio::spawn(async move {
        builder
            .batch_execute("create index concurrently theirs on public.t (a)")
            .await
    });
    eventually("the other build waits", async || {
        db.value::<bool>(&format!(
            "select exists (select from pg_stat_progress_create_index where pid = {pid} and phase like 'waiting for old%')"
        ))
        .await
    })
    .await?;
    Ok((holder, pid, build))
}

async fn a_build_of_another_session_survives(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let (holder, _, build) = foreign_build(&db).await?;
    for at in 0..4 {
        let steps = match at % 2 {
            0 => vec![create(1, "t", "ours", "id")],
            _ => vec![crate::common::builds::drop_index(1, "t", "theirs")],
        };
        let steps = give_up(patience(steps, 400), 400);
        let outcome = ctx.builds(&db, steps).await?;
        let step = &outcome.steps[0];
        same(step.status, Status::Deferred)?;
        holds(&format!("{:?}", step.blockers), &["somebody else"])?;
    }
    // With patience ours follows theirs.
    let ours = ctx.build(&db, vec![create(1, "t", "ours", "id")]);
    let told = ours.told.clone();
    let free = async {
        eventually("ours follows theirs", async || Ok(!told.all().is_empty())).await?;
        anyhow::Ok(holder.batch_execute("commit").await?)
    };
    let (outcome, freed) = tokio::join!(ours.run(), free);
    freed?;
    build.await??;
    let outcome = outcome?;
    let step = &outcome.steps[0];
    same(step.status, Status::Done)?;
    holds(
        &step.remarks.join("\n"),
        &["waited for the build", "somebody else"],
    )?;
    same(
        db.indexes("t").await?,
        vec!["ours".to_owned(), "theirs".to_owned()],
    )
}

async fn a_build_of_another_session_is_followed_to_its_end(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let (holder, pid, build) = foreign_build(&db).await?;
    let mut step = bare(1, Action::AwaitBuild, "t", "theirs");
    if let Some(index) = &mut step.index {
        index.follows = Some(pid);
    }
    let run = ctx.build(&db, vec![step]);
    let told = run.told.clone();
    let free = async {
        eventually("it is followed", async || {
            Ok(told
                .all()
                .iter()
                .any(|progress| progress.phase.starts_with("waiting for old")))
        })
        .await?;
        anyhow::Ok(holder.batch_execute("commit").await?)
    };
    let (outcome, freed) = tokio::join!(run.run(), free);
    freed?;
    build.await??;
    let step = &outcome?.steps[0];
    same(step.status, Status::Done)?;
    holds(
        &step.remarks.join("\n"),
        &[&pid.to_string(), "somebody else", "public.theirs is valid"],
    )?;
    ensure!(
        told.all()
            .iter()
            .any(|progress| progress.phase.starts_with("waiting for old")),
        "{:#?}",
        told.all()
    );
    Ok(())
}

async fn a_build_that_is_followed_too_long_goes_on(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let (holder, pid, build) = foreign_build(&db).await?;
    let mut step = bare(1, Action::AwaitBuild, "t", "theirs");
    if let Some(index) = &mut step.index {
        index.follows = Some(pid);
    }
    let outcome = ctx.builds(&db, patience(vec![step], 300)).await?;
    same(outcome.steps[0].status, Status::Deferred)?;
    holder.batch_execute("commit").await?;
    build.await??;
    same(db.indexes("t").await?, vec!["theirs".to_owned()])
}

async fn two_runs_at_once_take_turns(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    let before: i64 = db.value(deadlocks).await?;
    for round in 0..6 {
        let index = format!("t_{round}");
        let one = ctx.builds(&db, vec![create(1, "t", &index, "a")]);
        let two = ctx.builds(&db, vec![create(1, "t", &index, "a")]);
        let (one, two) = tokio::join!(one, two);
        let statuses = [one?.steps[0].status, two?.steps[0].status];
        // The second finds what the first made; the command computes again and has nothing to do.
        ensure!(
            statuses.contains(&Status::Done) && statuses.contains(&Status::Failed),
            "{statuses:?}"
        );
    }
    same(db.indexes("t").await?.len(), 6)?;
    same(db.value::<i64>(deadlocks).await?, before)?;
    // Who waits for the turn is idle in between and holds no snapshot.
    let held = session(&db, Purpose::Lock).await?;
    take_within(&held, Area::Indexes, Duration::ZERO).await?;
    let waiting = session(&db, Purpose::Lock).await?;
    let pid = waiting.backend_pid();
    let wait = take_within(&waiting, Area::Indexes, Duration::from_secs(30));
    let look = async {
        let mut seen = 0;
        for _ in 0..60 {
            let xmin: Option<bool> = db
                .value(&format!(
                    "select backend_xmin is not null from pg_stat_activity where pid = {pid} and state = 'idle' \
                     union all select null limit 1"
                ))
                .await?;
            ensure!(xmin != Some(true), "a waiting run holds a snapshot");
            seen += i32::from(xmin == Some(false));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(held);
        anyhow::Ok(seen)
    };
    let (waited, seen) = tokio::join!(wait, look);
    waited?;
    ensure!(seen? > 30);
    Ok(())
}

async fn idle_sessions_of_a_run_hold_no_snapshot(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let holder = db.holding("report", OTHERS[0].1).await?;
    let run = ctx.builds(&db, vec![create(1, "t", "t_a", "a")]);
    let look = async {
        eventually("the build waits", async || {
            db.value::<bool>(
                "select exists (select from pg_stat_progress_create_index p where phase like 'waiting for old%' and datname = current_database())",
            )
            .await
        })
        .await?;
        let mut idle = 0;
        for _ in 0..100 {
            let rows = db
                .rows(
                    "select application_name from pg_stat_activity where datname = current_database() \
                     and application_name like 'dbops%' and state <> 'active' and backend_xmin is not null",
                )
                .await?;
            ensure!(rows.is_empty(), "idle with a snapshot: {rows:?}");
            idle += db
                .value::<i64>(
                    "select count(*) from pg_stat_activity where datname = current_database() \
                     and application_name like 'dbops%' and state = 'idle'",
                )
                .await?;
        }
        holder.batch_execute("commit").await?;
        anyhow::Ok(idle)
    };
    let (outcome, idle) = tokio::join!(run, look);
    ensure!(idle? >= 100);
    same(outcome?.steps[0].status, Status::Done)
}

async fn progress_is_told_with_its_share(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run(
        "create function slow(int) returns int immutable language plpgsql as $$ begin perform pg_sleep(0.003); return $1; end $$",
    )
    .await?;
    let run = ctx.build(&db, vec![create(1, "t", "t_slow", "public.slow(a)")]);
    let told = run.told.clone();
    let outcome = run.run().await?;
    same(outcome.steps[0].status, Status::Done)?;
    let told = told.all();
    ensure!(
        told.iter()
            .any(|progress| progress.phase.starts_with("building index")),
        "{told:#?}"
    );
    ensure!(
        told.iter()
            .filter_map(|progress| progress.done)
            .all(|done| (0.0..=1.0).contains(&done)),
        "{told:#?}"
    );
    Ok(())
}

async fn a_run_whose_lock_is_lost_begins_no_further_step(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let holder = db.holding("report", OTHERS[0].1).await?;
    let run = ctx.builds(
        &db,
        vec![
            create(1, "t", "t_a", "a"),
            create(2, "other", "other_id", "id"),
        ],
    );
    let cut = async {
        eventually("the build waits", async || {
            db.value::<bool>(
                "select exists (select from pg_stat_progress_create_index where phase like 'waiting for old%' and datname = current_database())",
            )
            .await
        })
        .await?;
        db.run(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'dbops% lock'",
        )
        .await?;
        holder.batch_execute("commit").await?;
        anyhow::Ok(())
    };
    let (outcome, cut) = tokio::join!(run, cut);
    cut?;
    let outcome = outcome?;
    same(
        [outcome.steps[0].status, outcome.steps[1].status],
        [Status::Done, Status::Skipped],
    )?;
    holds(
        outcome.steps[1].reason.as_deref().unwrap_or_default(),
        &["advisory lock"],
    )?;
    same(outcome.exit(), dbops::failure::Exit::PartWay)
}
