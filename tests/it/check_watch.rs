//! `dbops check --watch`: looks again and again, until it is told to end.

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Deserializer, Value};

use crate::common::{Ctx, tests};

tests!(
    Ends: what_is_mended_turns_good_and_the_end_is_130,
    without_a_terminal_looks_stand_below_each_other,
    what_cannot_be_watched_is_refused,
);

const PLAN: &str = r#"indexes:
  - { name: idx_events_kind, table: public.events, columns: [kind] }
rules:
  - { id: indexes, metric: index.state, expect: [converged] }
"#;

async fn what_is_mended_turns_good_and_the_end_is_130(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table events (kind text)").await?;
    ctx.plan(PLAN)?;
    let args = ["check", "--watch", "--every", "100ms", "-o", "json"];
    let mut watch = ctx.dbops().on(&db).args(args).spawn().await?;
    watch.prints("\"exit_code\": 1").await?;
    db.run("create index idx_events_kind on events (kind)")
        .await?;
    watch.prints("\"exit_code\": 0").await?;
    watch.signal(Signal::SIGINT)?;
    let run = watch.wait().await?.exits_with(130)?;
    let looks = Deserializer::from_str(&run.stdout).into_iter::<Value>();
    let looks = looks.collect::<Result<Vec<Value>, _>>()?;
    let codes: Vec<&Value> = looks.iter().map(|one| &one["exit_code"]).collect();
    ensure!(codes.first() == Some(&&Value::from(1)), "{codes:?}");
    ensure!(codes.last() == Some(&&Value::from(0)), "{codes:?}");
    ensure!(looks.iter().all(|one| one["format"] == "dbops.check/1"));
    Ok(())
}

async fn without_a_terminal_looks_stand_below_each_other(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table events (kind text)").await?;
    ctx.plan(PLAN)?;
    let args = ["check", "--watch", "--every", "100ms"];
    let mut watch = ctx.dbops().on(&db).args(args).spawn().await?;
    watch.prints("missing").await?;
    db.run("create index idx_events_kind on events (kind)")
        .await?;
    watch.prints("ends\n2 ok\n").await?;
    watch.signal(Signal::SIGTERM)?;
    let run = watch.wait().await?.exits_with(130)?;
    ensure!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
    let heads = run.stdout.matches("every 100ms; Ctrl-C ends\n").count();
    ensure!(heads >= 2, "{}", run.stdout);
    Ok(())
}

async fn what_cannot_be_watched_is_refused(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    for (args, said) in [
        (["--every", "10ms"].as_slice(), "at least 100ms"),
        (&["--burst", "2x1s"], "--burst"),
        (&["--from", "snapshot.json"], "--from"),
        (&["--explain", "indexes"], "--explain"),
        (&["--textfile", "dbops.prom"], "--textfile"),
        (&["--exit-profile", "nagios"], "--exit-profile"),
        (&["-o", "junit"], "cannot print junit"),
        (&["--as-of", "2026-01-01T00:00:00Z"], "--as-of"),
    ] {
        let args = ["check", "--watch"].iter().chain(args).copied();
        let run = ctx.dbops().on(&db).args(args).run().await?.exits_with(2)?;
        ensure!(run.stderr.contains(said), "{}", run.stderr);
    }
    let alone = ["check", "--every", "1s"];
    let run = ctx.dbops().on(&db).args(alone).run().await?.exits_with(2)?;
    ensure!(run.stderr.contains("--watch"), "{}", run.stderr);
    Ok(())
}
