//! The doctor against real servers: a healthy one, one with everything wrong, a standby, a pooler.

use anyhow::{Context as _, Result, ensure};
use dbops::sandbox::PgBouncer;
use serde_json::Value;

use crate::common::{Ctx, tests};

tests!(
    Ends: a_healthy_database_has_no_problem_and_nothing_is_written,
    each_fault_is_found_with_its_fix,
    a_standby_is_examined_and_named,
    a_pooler_in_transaction_mode_is_a_problem,
    a_fix_that_is_run_makes_the_check_ok,
);

const TABLE: &str = "
    create table events (id bigint, at timestamptz not null, primary key (id, at)) partition by range (at);
    create table events_2026_01 partition of events for values from ('2026-01-01 00:00+00') to ('2026-02-01 00:00+00');
    analyze events;";

const PLAN: &str = "version: 1\npartitions:\n  - {table: public.events, every: month}\n";

fn plan(ctx: &Ctx, text: &str) -> Result<()> {
    std::fs::write(ctx.dir().join("dbops.yaml"), text).context("writing a plan file")
}

/// The states of the checks of one id.
fn states<'a>(report: &'a Value, id: &str) -> Vec<&'a str> {
    report["targets"][0]["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|check| check["id"] == id)
        .filter_map(|check| check["state"].as_str())
        .collect()
}

async fn a_healthy_database_has_no_problem_and_nothing_is_written(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    plan(ctx, PLAN)?;
    let run = ctx
        .dbops()
        .on(&db)
        .args(["doctor", "-o", "json"])
        .run()
        .await?;
    let report = run.exits_with(0)?.json()?;
    ensure!(report["format"] == "dbops.doctor/1");
    for id in [
        "server-version",
        "primary",
        "writable",
        "pooler",
        "owns-tables",
        "creates-in-schemas",
        "history",
        "sees-other-sessions",
        "lock-budget",
        "lock-table",
        "partition-pruning",
        "connections",
        "time-outs",
        "time-zone",
        "pg-partman",
        "declared-tables",
        "undeclared-tables",
        "default-partitions",
        "invalid-indexes",
        "pending-detaches",
    ] {
        ensure!(states(&report, id) == ["ok"], "{id}: {report:#}");
    }
    let analyzed = if ctx.major < 14 { "unknown" } else { "ok" };
    ensure!(states(&report, "analyzed") == [analyzed], "{report:#}");
    let schemas: i64 = db
        .value("select count(*) from pg_namespace where nspname = 'dbops'")
        .await?;
    ensure!(schemas == 0, "doctor wrote something");
    Ok(())
}

async fn each_fault_is_found_with_its_fix(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.private_cluster()?.start().await?;
    let admin = cluster.connect("postgres").await?;
    for statement in [
        "create role weak login",
        "alter role weak set default_transaction_read_only = on",
        "alter role weak set enable_partition_pruning = off",
        "alter role weak set statement_timeout = '7s'",
        "revoke create on schema public from public",
        "create table events (id bigint, at timestamptz not null, primary key (id, at)) partition by range (at)",
        "create table events_default partition of events default",
        "insert into events values (1, '2026-01-15')",
        "grant select on events, events_default to weak",
        "update pg_index set indisvalid = false where indexrelid = 'events_default_pkey'::regclass",
        "create table messages (id bigint primary key, at timestamptz not null)",
        "create table other (at date not null) partition by range (at)",
    ] {
        admin.query(statement, &[]).await.context(statement)?;
    }
    plan(
        ctx,
        "version: 1\nlock_budget: {max_block: 2s}\npartitions:\n\
         \x20 - {table: public.events, every: month}\n\
         \x20 - {table: public.messages, every: month, column: at}\n\
         \x20 - {table: public.nowhere, every: month}\n",
    )?;
    let url = cluster.url_as("weak", None, "postgres");
    let doctor = |args: &[&str]| {
        ctx.dbops()
            .env("DATABASE_URL", url.clone())
            .args(args.to_vec())
            .run()
    };
    let run = doctor(&["doctor", "--output", "json"]).await?;
    let report = run.exits_with(1)?.json()?;
    for (id, expected) in [
        ("writable", &["problem"][..]),
        ("owns-tables", &["problem"]),
        ("creates-in-schemas", &["problem"]),
        ("history", &["warning"]),
        ("sees-other-sessions", &["warning"]),
        ("lock-budget", &["warning"]),
        ("partition-pruning", &["warning"]),
        ("declared-tables", &["problem", "problem"]),
        ("undeclared-tables", &["warning"]),
        ("default-partitions", &["warning"]),
        ("invalid-indexes", &["warning"]),
    ] {
        ensure!(states(&report, id) == expected, "{id}: {report:#}");
    }
    let text = doctor(&["doctor"]).await?.exits_with(1)?.stdout;
    for expected in [
        "fix: grant \"postgres\" to \"weak\";",
        "fix: grant create on schema \"public\" to \"weak\";",
        "statement_timeout 7000 ms; dbops sets its own",
        "primary key (\"id\", \"at\"), partition by range (\"at\")",
        "public.nowhere (dbops.yaml:6:6) does not exist",
        "no policy for public.other",
        "holds 1 rows",
        "fix: reindex index concurrently \"public\".\"events_default_pkey\";",
        "fix: alter role \"weak\" set default_transaction_read_only = off;",
    ] {
        ensure!(text.contains(expected), "no `{expected}` in:\n{text}");
    }
    Ok(())
}

async fn a_standby_is_examined_and_named(ctx: &Ctx) -> Result<()> {
    let primary = ctx.private_cluster()?.start().await?;
    let standby = primary.standby("menu").start().await?;
    let run = ctx
        .dbops()
        .env("DATABASE_URL", standby.url())
        .args(["doctor", "-o", "json"])
        .run()
        .await?;
    let report = run.exits_with(0)?.json()?;
    ensure!(states(&report, "primary") == ["warning"], "{report:#}");
    Ok(())
}

async fn a_pooler_in_transaction_mode_is_a_problem(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.private_cluster()?.start().await?;
    let pool = PgBouncer::builder(ctx.pgbouncer()?, &cluster)
        .start()
        .await?;
    let run = ctx
        .dbops()
        .env("DATABASE_URL", pool.url_for("postgres"))
        .args(["doctor", "-o", "json"])
        .run()
        .await?;
    let report = run.exits_with(1)?.json()?;
    ensure!(states(&report, "pooler") == ["problem"], "{report:#}");
    Ok(())
}

async fn a_fix_that_is_run_makes_the_check_ok(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run(
        "create table fresh (at date not null) partition by range (at);
         create table fresh_2026 partition of fresh for values from ('2026-01-01') to ('2027-01-01');
         update pg_index set indisvalid = false where indexrelid = 'events_2026_01_pkey'::regclass",
    )
    .await?;
    plan(ctx, PLAN)?;
    let ids = ["invalid-indexes", "analyzed"];
    let report = async || {
        let run = ctx
            .dbops()
            .on(&db)
            .args(["doctor", "-o", "json"])
            .run()
            .await?;
        run.exits_with(0)?.json()
    };
    let before = report().await?;
    for check in before["targets"][0]["checks"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let state = check["state"].as_str();
        if ids.iter().any(|id| check["id"] == *id) && state == Some("warning") {
            for fix in check["fix"].as_array().into_iter().flatten() {
                db.run(fix.as_str().context("a fix is no text")?).await?;
            }
        }
    }
    let after = report().await?;
    ensure!(
        states(&before, "invalid-indexes") == ["warning"],
        "{before:#}"
    );
    ensure!(states(&after, "invalid-indexes") == ["ok"], "{after:#}");
    let analyzed = if ctx.major < 14 { "unknown" } else { "ok" };
    ensure!(states(&after, "analyzed") == [analyzed], "{after:#}");
    Ok(())
}
