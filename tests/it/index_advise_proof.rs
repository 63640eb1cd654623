//! `indexes advise` with more than one server, and with HypoPG and pgstattuple to prove things by.
#![expect(
    clippy::disallowed_methods,
    reason = "tests prepare their databases and hold transactions open"
)]

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::common::{Ctx, Db, eventually, tests};

tests!(
    SystemOnly: usage_on_a_standby_counts,
    hypopg_proves_what_the_planner_would_use,
    without_hypopg_nothing_is_proven,
    bloat_is_estimated_then_measured,
);

fn findings<'a>(report: &'a Value, kind: &str) -> Vec<&'a Value> {
    let findings = report["targets"][0]["findings"].as_array();
    findings
        .into_iter()
        .flatten()
        .filter(|one| one["kind"] == kind)
        .collect()
}

async fn usage_on_a_standby_counts(ctx: &Ctx) -> Result<()> {
    let primary = ctx.private_cluster()?.start().await?;
    let standby = primary.standby("menu").start().await?;
    let client = primary.connect("postgres").await?;
    client
        .batch_execute(
            "create table t (a int, b int);
             insert into t select n, n from generate_series(1, 100) as n;
             create index t_a on t (a);
             create index t_b on t (b);",
        )
        .await?;
    std::fs::write(
        ctx.dir().join("dbops.yaml"),
        "version: 1\ntargets:\n  main:\n    primary: {url_env: PRIMARY}\n    replicas:\n      - {name: menu, url_env: MENU}\n",
    )?;
    let advise = async |menu: &str| -> Result<(Value, String)> {
        let run = ctx
            .dbops()
            .env("PRIMARY", primary.url())
            .env("MENU", menu)
            .args(["indexes", "advise", "-o", "json", "--min-age", "0"])
            .run()
            .await?
            .exits_with(0)?;
        Ok((run.json()?, run.stderr))
    };
    let reader = standby.connect("postgres").await?;
    eventually("the standby has the indexes", async || {
        let row = reader
            .query_one("select to_regclass('t_b') is not null", &[])
            .await?;
        Ok(row.try_get(0)?)
    })
    .await?;
    reader
        .batch_execute(
            "set enable_seqscan = off; set enable_bitmapscan = off; select from t where a = 5",
        )
        .await?;
    eventually("the scan is counted", async || {
        reader.batch_execute("select 1").await?;
        let sql = "select idx_scan > 0 from pg_stat_user_indexes where indexrelname = 't_a'";
        Ok(reader.query_one(sql, &[]).await?.try_get(0)?)
    })
    .await?;
    let (report, _) = advise(&standby.url()).await?;
    let unused = findings(&report, "unused");
    ensure!(
        unused.len() == 1 && unused[0]["index"] == "public.t_b" && unused[0]["verdict"] == "advice",
        "{report:#}"
    );
    ensure!(
        report["targets"][0]["nodes"][1]["node"] == "menu",
        "{report:#}"
    );
    // A replica that does not answer proves nothing.
    let (report, stderr) =
        advise("postgres://postgres@127.0.0.1:1/postgres?connect_timeout=2").await?;
    let unused = findings(&report, "unused");
    ensure!(
        unused.len() == 2 && unused.iter().all(|one| one["verdict"] == "not-proven"),
        "{report:#}"
    );
    ensure!(
        report["targets"][0]["unreached"][0]["node"] == "menu",
        "{report:#}"
    );
    ensure!(
        stderr.contains("replica menu could not be asked"),
        "{stderr}"
    );
    Ok(())
}

const TABLES: &str = "
    create table orders (id int primary key, customer int not null, status text, at timestamptz, note text);
    insert into orders select n, n % 5000, 's' || n % 9, now() - n * interval '1 minute', repeat('x', 60)
        from generate_series(1, 50000) as n;
    create table customers (id int primary key, email text);
    insert into customers select n, 'c' || n || '@example.org' from generate_series(1, 5000) as n;
    analyze orders, customers;";

async fn statement(ctx: &Ctx, db: &Db, sql: &str) -> Result<Value> {
    let run = ctx
        .dbops()
        .on(db)
        .args(["indexes", "advise", "-o", "json", "--for-statement", sql])
        .run()
        .await?
        .exits_with(0)?;
    let report = run.json()?;
    let found = findings(&report, "statement");
    ensure!(found.len() == 1, "{report:#}");
    Ok(found[0].clone())
}

async fn hypopg_proves_what_the_planner_would_use(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLES).await?;
    db.run("create schema helpers; create extension hypopg schema helpers")
        .await?;
    for (sql, keys) in [
        ("select * from orders where customer = 7", "(\"customer\")"),
        (
            "select * from orders where customer = $1 order by at desc limit 1",
            "(\"customer\"",
        ),
        (
            "update orders set note = 'y' where customer = $1 and status = $2",
            "(\"customer\"",
        ),
        ("select * from orders order by at desc limit 10", "(\"at\")"),
        (
            "delete from public.customers where lower(email) = 'c7@example.org'",
            "((lower(email)))",
        ),
        (
            "select o.id from customers as c join orders as o on o.customer = c.id where c.id = $1",
            "(\"customer\")",
        ),
    ] {
        let found = statement(ctx, &db, sql).await?;
        ensure!(found["verdict"] == "advice", "{sql}: {found:#}");
        let step = found["next"][0].as_str().unwrap_or_default();
        ensure!(step.contains(keys), "{sql}: {step}");
        let figure = |name: &str| found["figures"][name].as_f64().unwrap_or(-1.0);
        ensure!(
            figure("cost_after") < 0.9 * figure("cost_before"),
            "{found:#}"
        );
        ensure!(figure("index_bytes") > 8_000.0, "{found:#}");
    }
    for sql in [
        "select * from orders where status <> 's1' and customer > 0",
        "select * from orders where id = 5",
        "select count(*) from orders where status = 's1' or customer = 4",
    ] {
        let found = statement(ctx, &db, sql).await?;
        ensure!(found["verdict"] == "keep", "{sql}: {found:#}");
    }
    // What the server does not plan is told, and the rest goes on.
    let found = statement(
        ctx,
        &db,
        "select * from orders where customer = 7 and nothing = 3",
    )
    .await?;
    ensure!(found["verdict"] == "not-proven", "{found:#}");
    ensure!(
        found["summary"]
            .as_str()
            .is_some_and(|text| text.contains("42703")),
        "{found:#}"
    );
    // Nothing was run, nothing stays.
    let indexes: i64 = db
        .value("select count(*) from pg_stat_user_indexes")
        .await?;
    let rows: i64 = db.value("select count(*) from customers").await?;
    ensure!((indexes, rows) == (2, 5000));
    // What was proven is what happens.
    let sql = "select * from orders where customer = 7";
    let found = statement(ctx, &db, sql).await?;
    db.run(found["next"][0].as_str().context("no statement")?)
        .await?;
    let found = statement(ctx, &db, sql).await?;
    ensure!(found["verdict"] == "keep", "{found:#}");
    Ok(())
}

async fn without_hypopg_nothing_is_proven(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLES).await?;
    let file = ctx.dir().join("statements.sql");
    std::fs::write(
        &file,
        "select * from orders where customer = 7;\n\nselect * from nowhere;\n",
    )?;
    let run = ctx
        .dbops()
        .on(&db)
        .args([
            "indexes",
            "advise",
            "--exit-code",
            "--for-statements",
            "statements.sql",
        ])
        .run()
        .await?
        .exits_with(0)?;
    ensure!(
        run.stdout.contains("not proven: HypoPG is not installed"),
        "{}",
        run.stdout
    );
    std::fs::write(&file, "select 1;\ndrop table orders;\n")?;
    let run = ctx
        .dbops()
        .on(&db)
        .args(["indexes", "advise", "--for-statements", "statements.sql"])
        .run()
        .await?
        .exits_with(2)?;
    ensure!(
        run.stderr
            .contains("statements.sql, line 2: not a SELECT, UPDATE or DELETE"),
        "{}",
        run.stderr
    );
    Ok(())
}

async fn bloat_is_estimated_then_measured(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table t (a bigint, b int);
         create index t_random on t (hashint8(a));
         insert into t select n, n % 7 from generate_series(1, 550000) as n;
         create index t_bloated on t (a);
         create index t_few on t (b);
         create index t_packed on t (b, a);",
    )
    .await?;
    db.run("vacuum (analyze) t").await?;
    let bloat = async |exact: &[&str]| -> Result<(Vec<Value>, String)> {
        let run = ctx
            .dbops()
            .on(&db)
            .args(["indexes", "advise", "-o", "json"])
            .args(exact)
            .run()
            .await?
            .exits_with(0)?;
        let report = run.json()?;
        let found = findings(&report, "bloat").into_iter().cloned().collect();
        Ok((found, run.stderr))
    };
    let (found, _) = bloat(&[]).await?;
    ensure!(found.is_empty(), "nothing was deleted: {found:#?}");
    db.run("delete from t where a % 4 <> 0").await?;
    db.run("vacuum (analyze) t").await?;
    db.run("reindex index t_random; reindex index t_packed")
        .await?;
    let (estimated, stderr) = bloat(&["--exact"]).await?;
    ensure!(stderr.contains("pgstattuple is not installed"), "{stderr}");
    db.run("create extension pgstattuple").await?;
    let (measured, stderr) = bloat(&["--exact"]).await?;
    ensure!(stderr.is_empty(), "{stderr}");
    let size = "select pg_relation_size('t_bloated')";
    let before: i64 = db.value(size).await?;
    db.run("reindex index concurrently t_bloated").await?;
    let truly = (before - db.value::<i64>(size).await?) as f64;
    for (found, word) in [(&estimated, "an estimate"), (&measured, "measured")] {
        ensure!(found.len() == 1, "{found:#?}");
        ensure!(found[0]["index"] == "public.t_bloated", "{found:#?}");
        ensure!(found[0]["verdict"] == "advice", "{found:#?}");
        let summary = found[0]["summary"].as_str().unwrap_or_default();
        ensure!(summary.contains(word), "{summary}");
        let freed = found[0]["frees_bytes"].as_f64().unwrap_or_default();
        ensure!(
            (0.8..1.2).contains(&(freed / truly)),
            "{word}: {freed}, freed {truly}"
        );
    }
    let (found, _) = bloat(&[]).await?;
    ensure!(found.is_empty(), "rebuilt: {found:#?}");
    Ok(())
}
