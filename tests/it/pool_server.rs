//! `pool status` on servers that are full, limited, busy, or closed to the role.
#![expect(
    clippy::disallowed_methods,
    reason = "tests prepare their servers with statements of their own"
)]

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio_postgres::{Client, NoTls};

use crate::common::{Ctx, Stopped, eventually, tests};

tests!(
    Ends: a_full_server_is_told_with_and_without_a_way_in,
    the_tightest_wall_is_named_and_parallel_workers_are_not_counted,
    ages_and_churn_are_those_of_the_sessions,
    a_role_without_the_privilege_is_told_the_grant,
    a_server_that_hangs_is_told_in_time_and_the_wait_can_be_interrupted,
);

/// Logs in as a role; the error is the SQLSTATE.
pub(crate) async fn login(url: &str) -> Result<Result<Client, String>> {
    let config: tokio_postgres::Config = url.parse()?;
    match config.connect(NoTls).await {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            Ok(Ok(client))
        }
        Err(error) => match error.code() {
            Some(code) => Ok(Err(code.code().to_owned())),
            None => bail!("{error:?}"),
        },
    }
}

async fn status(ctx: &Ctx, url: &str, more: &[&str], code: i32) -> Result<Value> {
    let run = ctx
        .dbops()
        .env("DATABASE_URL", url)
        .args(["pool", "status", "-o", "json"])
        .args(more.iter().copied())
        .run()
        .await?;
    let report = run.exits_with(code)?.json()?;
    ensure!(report["format"] == "dbops.pool/1", "{report:#}");
    Ok(report["targets"][0].clone())
}

fn codes(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().into_iter().flatten();
    findings.filter_map(|one| one["code"].as_str()).collect()
}

/// The server's wall of this kind and name.
fn wall<'a>(report: &'a Value, kind: &str, name: &str) -> Result<&'a Value> {
    report["nodes"][0]["server"]["capacity"]["walls"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|wall| wall["kind"] == kind && wall["name"] == name)
        .with_context(|| format!("no wall {kind} {name} in {report:#}"))
}

async fn a_full_server_is_told_with_and_without_a_way_in(ctx: &Ctx) -> Result<()> {
    let mut builder = ctx
        .private_cluster()?
        .config("max_connections", "12")
        .config("superuser_reserved_connections", "3");
    if ctx.major >= 16 {
        builder = builder.config("reserved_connections", "2");
    }
    let cluster = builder.start().await?;
    let admin = cluster.connect("postgres").await?;
    admin
        .batch_execute("create role app login; create role mon login in role pg_monitor;")
        .await?;
    let app = cluster.url_as("app", None, "postgres");
    let mut clients = Vec::new();
    let refused = loop {
        match login(&app).await? {
            Ok(client) => clients.push(client),
            Err(code) => break code,
        }
        ensure!(clients.len() < 12, "nobody is refused");
    };
    ensure!(refused == "53300", "{refused}");

    // The superuser's session of this test takes a slot as well: it is one of the eaters.
    let report = status(ctx, &cluster.url(), &[], 0).await?;
    let server = wall(&report, "server", "")?;
    let effective = if ctx.major >= 16 { 7 } else { 9 };
    ensure!(server["limit"] == effective, "{server:#}");
    ensure!(server["used"] == clients.len() + 1, "{server:#}");
    ensure!(server["used"] == effective, "{server:#}");
    ensure!(server["percent"] == 100.0, "{server:#}");
    ensure!(server["eaters"][0]["role"] == "app", "{server:#}");
    ensure!(codes(&report) == ["exhausted"], "{report:#}");
    ensure!(report["worst"] == "critical", "{report:#}");
    ensure!(report["first_wall"]["kind"] == "server", "{report:#}");
    let others = &report["nodes"][0]["server"]["sessions"]["others"];
    ensure!(others["checkpointer"] == 1, "{others:#}");
    status(ctx, &cluster.url(), &["--fail-on", "critical"], 1).await?;

    // A monitoring role is refused too, and that is the measurement.
    let mon = cluster.url_as("mon", None, "postgres");
    let report = status(ctx, &mon, &[], 0).await?;
    ensure!(codes(&report) == ["exhausted"], "{report:#}");
    ensure!(report["nodes"][0]["unknown"] == "exhausted", "{report:#}");
    ensure!(report["first_wall"].is_null(), "{report:#}");
    let fix = report["findings"][0]["fix"].as_str().unwrap_or_default();
    ensure!(fix.contains("pg_use_reserved_connections"), "{fix}");
    // The word of older plans and scripts is still known.
    for word in ["warning", "warn"] {
        status(ctx, &mon, &["--fail-on", word], 1).await?;
    }

    if ctx.major >= 16 {
        admin
            .batch_execute("grant pg_use_reserved_connections to mon")
            .await?;
        let report = status(ctx, &mon, &[], 0).await?;
        ensure!(
            wall(&report, "server", "")?["percent"] == 100.0,
            "{report:#}"
        );
    }
    drop(clients);

    // Limits of roles and databases are refused with the same SQLSTATE.
    admin
        .batch_execute("create role one login connection limit 1 in role pg_monitor")
        .await?;
    let one = cluster.url_as("one", None, "postgres");
    eventually("a slot is free", async || Ok(login(&app).await?.is_ok())).await?;
    let held = login(&one).await?;
    ensure!(held.is_ok());
    let report = status(ctx, &one, &[], 0).await?;
    ensure!(codes(&report) == ["exhausted"], "{report:#}");
    Ok(())
}

async fn the_tightest_wall_is_named_and_parallel_workers_are_not_counted(ctx: &Ctx) -> Result<()> {
    let cluster = ctx
        .private_cluster()?
        .config("max_connections", "40")
        .config("max_parallel_workers_per_gather", "4")
        .config("max_parallel_workers", "8")
        .start()
        .await?;
    let admin = cluster.connect("postgres").await?;
    admin
        .batch_execute(
            "create role app login connection limit 2;
             create table public.t as select g from generate_series(1, 20000) as g;
             alter table public.t set (parallel_workers = 4); grant select on public.t to app;",
        )
        .await?;
    let client = login(&cluster.url_as("app", None, "postgres")).await?;
    let Ok(client) = client else {
        bail!("refused");
    };
    client
        .batch_execute("set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0")
        .await?;
    let busy = async {
        let asked =
            client.simple_query("select count(pg_sleep(0.01)) from public.t where g % 2 = 0");
        // It is cancelled below.
        let _ = asked.await;
        Ok::<_, anyhow::Error>(())
    };
    let looks = async {
        eventually("workers run", async || {
            let row = admin
                .query_one(
                    "select count(*) from pg_stat_activity where backend_type = 'parallel worker' and usename = 'app'",
                    &[],
                )
                .await?;
            Ok(row.get::<_, i64>(0) >= 2)
        })
        .await?;
        let report = status(ctx, &cluster.url(), &[], 0).await?;
        let app = wall(&report, "role", "app")?;
        ensure!(app["used"] == 1 && app["limit"] == 2, "{app:#}");
        ensure!(report["first_wall"]["kind"] == "role", "{report:#}");
        for (sql, kind, name) in [
            ("alter role app connection limit 9", "role", "app"),
            (
                "alter database postgres connection limit 3",
                "database",
                "postgres",
            ),
            ("alter database postgres connection limit -1", "role", "app"),
            ("alter role app connection limit -1", "server", ""),
        ] {
            admin.batch_execute(sql).await?;
            let report = status(ctx, &cluster.url(), &[], 0).await?;
            let first = &report["first_wall"];
            ensure!(
                first["kind"] == kind && first["name"] == name,
                "{sql}: {first:#}"
            );
        }
        admin
            .batch_execute("select pg_cancel_backend(pid) from pg_stat_activity where usename = 'app' and state = 'active'")
            .await?;
        Ok(())
    };
    tokio::try_join!(busy, looks)?;
    Ok(())
}

async fn ages_and_churn_are_those_of_the_sessions(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let idle = db.connect().await?;
    idle.batch_execute("begin; select 1").await?;
    let pid: i32 = idle.query_one("select pg_backend_pid()", &[]).await?.get(0);
    eventually("the transaction is older than a second", async || {
        db.value(&format!(
            "select clock_timestamp() - xact_start > interval '1 s' from pg_stat_activity where pid = {pid}"
        ))
        .await
    })
    .await?;
    // It works again and is idle from now on: its transaction is old, its idleness is not.
    idle.batch_execute("select 2").await?;
    let report = status(ctx, &db.url, &[], 0).await?;
    let listed = report["nodes"][0]["server"]["sessions"]["idle_in_transaction"]
        .as_array()
        .context("no list")?;
    let mine = listed
        .iter()
        .find(|one| one["pid"] == pid)
        .context("not listed")?;
    let age = |key: &str| mine[key].as_f64().unwrap_or_default();
    ensure!(age("transaction_s") > 1.0, "{mine:#}");
    ensure!(age("idle_s") + 0.9 < age("transaction_s"), "{mine:#}");

    let killed: bool = db
        .value(&format!("select pg_terminate_backend({pid})"))
        .await?;
    ensure!(killed);
    if ctx.major < 14 {
        let report = status(ctx, &db.url, &[], 0).await?;
        ensure!(
            report["nodes"][0]["server"]["churn"].is_null(),
            "{report:#}"
        );
        let unknown = &report["not_known"][0];
        ensure!(unknown["reason"] == "unsupported_version", "{report:#}");
        return Ok(());
    }
    eventually("the killed session is counted", async || {
        let report = status(ctx, &db.url, &[], 0).await?;
        let churn = &report["nodes"][0]["server"]["churn"][&db.name];
        Ok(churn["killed"] == 1 && churn["sessions"].as_i64() >= Some(2))
    })
    .await
}

async fn a_role_without_the_privilege_is_told_the_grant(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let role = format!("blind_{}", db.name);
    db.run(&format!("create role {role} login")).await?;
    let url = db.cluster.url_as(&role, None, &db.name);
    let report = status(ctx, &url, &[], 0).await;
    let text = ctx
        .dbops()
        .env("DATABASE_URL", &url)
        .args(["pool", "status"])
        .run()
        .await;
    db.run(&format!("drop role {role}")).await?;
    let report = report?;
    ensure!(wall(&report, "server", "")?["used"].is_null(), "{report:#}");
    ensure!(
        report["nodes"][0]["server"]["sessions"].is_null(),
        "{report:#}"
    );
    ensure!(
        report["not_known"][0]["reason"] == "no_privilege",
        "{report:#}"
    );
    ensure!(report["first_wall"].is_null(), "{report:#}");
    let text = text?.exits_with(0)?.stdout;
    ensure!(text.contains("grant pg_monitor"), "{text}");
    for line in text.lines() {
        ensure!(line.chars().count() <= 80, "too wide: {line}");
    }
    Ok(())
}

async fn a_server_that_hangs_is_told_in_time_and_the_wait_can_be_interrupted(
    ctx: &Ctx,
) -> Result<()> {
    let cluster = ctx.private_cluster()?.start().await?;
    let plan = format!(
        "version: 1\ntargets:\n  main:\n    primary: {{ url: \"{}\" }}\n    app_pools:\n      - {{ name: api, db_role: app, max: 5 }}\n",
        cluster.url()
    );
    std::fs::write(ctx.dir().join("dbops.yaml"), plan)?;
    let stopped = Stopped::server(&cluster)?;
    let pool = |args: &[&str]| ctx.dbops().args(["pool"]).args(args);
    for command in ["status", "sessions"] {
        let args = [command, "-o", "json", "--node-timeout", "300ms"];
        let report = pool(&args).run().await?.exits_with(2)?.json()?;
        let node = &report["targets"][0]["nodes"][0];
        ensure!(node["unknown"] == "not_connected", "{report:#}");
        let text = report.to_string();
        ensure!(text.contains("no answer within 0.3 s"), "{report:#}");
    }
    let budget = ["budget", "--node-timeout", "300ms"];
    pool(&budget).run().await?.exits_with(3)?;
    for command in ["status", "sessions", "budget"] {
        let running = pool(&[command, "--node-timeout", "80s"]).spawn().await?;
        // It has begun to watch for signals before it connects, so what waits for an answer can be interrupted.
        let id = running.id()?;
        eventually("it is connected", async || {
            let sockets = std::fs::read_dir(format!("/proc/{id}/fd"))?;
            Ok(sockets
                .filter_map(|one| std::fs::read_link(one.ok()?.path()).ok())
                .any(|link| link.to_string_lossy().starts_with("socket:")))
        })
        .await?;
        running.signal(Signal::SIGINT)?;
        running.wait().await?.exits_with(130)?;
    }
    drop(stopped);
    Ok(())
}
