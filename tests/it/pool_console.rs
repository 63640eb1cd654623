//! `pool status` on a real PgBouncer: why its pools wait.
#![expect(
    clippy::disallowed_methods,
    reason = "the console and the clients of a pooler are asked as people ask them"
)]

use anyhow::{Context as _, Result, bail, ensure};
use dbops::sandbox::{Cluster, PgBouncer, PgBouncerBuilder};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use crate::common::{Ctx, eventually, tests};

tests!(
    Ends: a_full_pool_and_its_free_servers_are_told_by_user,
    a_pause_is_told_from_a_backend_that_is_down,
    limits_of_databases_users_and_clients_are_named,
    the_plan_file_names_poolers_and_a_lost_node_is_told,
);

fn builder<'a>(ctx: &Ctx, cluster: &'a Cluster) -> Result<PgBouncerBuilder<'a>> {
    let builder = PgBouncer::builder(ctx.pgbouncer()?, cluster);
    Ok(builder.user("app", "").user("plain", ""))
}

async fn cluster(ctx: &Ctx) -> Result<Cluster> {
    let cluster = ctx.private_cluster()?.start().await?;
    let admin = cluster.connect("postgres").await?;
    admin
        .batch_execute("create role app login; create role plain login")
        .await?;
    Ok(cluster)
}

/// A client of the pooler.
async fn client(pool: &PgBouncer, user: &str, database: &str) -> Result<Client> {
    let port = pool.port();
    let config: tokio_postgres::Config =
        format!("host=127.0.0.1 port={port} user={user} dbname={database}").parse()?;
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A client that asks for something and may wait for it for ever.
fn asks(pool: &PgBouncer, user: &str, database: &str, sql: &'static str) -> JoinHandle<()> {
    let port = pool.port();
    let text = format!("host=127.0.0.1 port={port} user={user} dbname={database}");
    tokio::spawn(async move {
        let Ok(config) = text.parse::<tokio_postgres::Config>() else {
            return;
        };
        if let Ok((client, connection)) = config.connect(NoTls).await {
            tokio::spawn(connection);
            let _ = client.simple_query(sql).await;
        }
    })
}

/// A client in a transaction: it keeps its server.
async fn holds(pool: &PgBouncer, user: &str, database: &str) -> Result<Client> {
    let client = client(pool, user, database).await?;
    client.batch_execute("begin; select 1").await?;
    Ok(client)
}

async fn console(pool: &PgBouncer, sql: &str) -> Result<()> {
    let console = client(pool, "postgres", "pgbouncer").await?;
    console.simple_query(sql).await?;
    Ok(())
}

async fn status(ctx: &Ctx, pool: &PgBouncer) -> Result<Value> {
    let run = ctx
        .dbops()
        .env("DATABASE_URL", pool.admin_url())
        // The console refuses `options`, and must not be asked with them.
        .args(["pool", "status", "-o", "json"])
        .run()
        .await?;
    Ok(run.exits_with(0)?.json()?["targets"][0].clone())
}

fn pool<'a>(report: &'a Value, user: &str, database: &str) -> Result<&'a Value> {
    report["nodes"][0]["pooler"]["pools"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|one| one["user"] == user && one["database"] == database)
        .with_context(|| format!("no pool {user}@{database} in {report:#}"))
}

/// Waits until a pool has clients waiting for this reason, and returns the report.
async fn waits(
    ctx: &Ctx,
    bouncer: &PgBouncer,
    user: &str,
    database: &str,
    cause: &str,
) -> Result<Value> {
    let mut last = Value::Null;
    let found = eventually(cause, async || {
        last = status(ctx, bouncer).await?;
        Ok(pool(&last, user, database).is_ok_and(|one| one["waits"]["cause"] == cause))
    })
    .await;
    match found {
        Ok(()) => Ok(last),
        Err(error) => bail!("{error}: {last:#}"),
    }
}

async fn a_full_pool_and_its_free_servers_are_told_by_user(ctx: &Ctx) -> Result<()> {
    let cluster = cluster(ctx).await?;
    let bouncer = builder(ctx, &cluster)?
        .database("shop", "dbname=postgres pool_size=2")
        .database("held", "dbname=postgres pool_size=1 pool_mode=session")
        .config("server_check_delay", "1")
        .start()
        .await?;
    let mut held = Vec::new();
    for user in ["app", "app", "plain", "plain"] {
        held.push(holds(&bouncer, user, "shop").await?);
    }
    let waiting = [1, 2].map(|_| asks(&bouncer, "app", "shop", "select 1"));
    let report = waits(ctx, &bouncer, "app", "shop", "saturated").await?;
    for user in ["app", "plain"] {
        let one = pool(&report, user, "shop")?;
        ensure!(one["percent"] == 100.0 && one["capacity"] == 2, "{one:#}");
        ensure!(one["mode"] == "transaction", "{one:#}");
    }
    ensure!(
        pool(&report, "plain", "shop")?["waits"].is_null(),
        "{report:#}"
    );
    ensure!(report["first_wall"]["kind"] == "pool", "{report:#}");
    eventually("somebody has waited for two seconds", async || {
        let report = status(ctx, &bouncer).await?;
        let waited = pool(&report, "app", "shop")?["maxwait_s"].as_f64();
        Ok(waited >= Some(2.0)
            && report["findings"][0]["severity"] == "critical"
            && report["findings"][0]["subject"] == "app@shop")
    })
    .await?;
    drop(held);
    for one in waiting {
        one.await?;
    }
    // What is idle for longer than server_check_delay is called used, and free all the same.
    eventually("a server is used", async || {
        let report = status(ctx, &bouncer).await?;
        let one = pool(&report, "app", "shop")?;
        Ok(one["used"].as_i64() >= Some(1) && one["busy"] == 0 && one["percent"] == 0.0)
    })
    .await?;

    let idle = client(&bouncer, "app", "held").await?;
    idle.simple_query("select 1").await?;
    let waiting = asks(&bouncer, "app", "held", "select 1");
    let report = waits(ctx, &bouncer, "app", "held", "saturated").await?;
    let one = pool(&report, "app", "held")?;
    ensure!(one["mode"] == "session", "{one:#}");
    let fix = one["waits"]["fix"].as_str().unwrap_or_default();
    ensure!(fix.contains("session mode"), "{fix}");
    drop(idle);
    waiting.await?;
    Ok(())
}

async fn a_pause_is_told_from_a_backend_that_is_down(ctx: &Ctx) -> Result<()> {
    let mut cluster = cluster(ctx).await?;
    let bouncer = builder(ctx, &cluster)?
        .database("shop", "dbname=postgres")
        // The last address that is given counts: nothing listens on port 1.
        .database("dead", "dbname=postgres host=127.0.0.1 port=1")
        .start()
        .await?;
    drop(client(&bouncer, "app", "shop").await?);
    // A client that logs in waits without a maxwait.
    let lost = asks(&bouncer, "app", "dead", "select 1");
    let report = waits(ctx, &bouncer, "app", "dead", "backend_unreachable").await?;
    ensure!(report["worst"] == "critical", "{report:#}");

    console(&bouncer, "pause shop").await?;
    let waiting = asks(&bouncer, "app", "shop", "select 1");
    let report = waits(ctx, &bouncer, "app", "shop", "paused").await?;
    let dead = &pool(&report, "app", "dead")?["waits"]["cause"];
    ensure!(dead == "backend_unreachable", "{report:#}");
    console(&bouncer, "resume shop").await?;
    waiting.await?;

    // Of a pause of everything, versions up to 1.18 show nothing but its effects.
    console(&bouncer, "pause").await?;
    let waiting = asks(&bouncer, "app", "shop", "select 1");
    waits(ctx, &bouncer, "app", "shop", "paused").await?;
    console(&bouncer, "resume").await?;
    waiting.await?;

    // A backend that was there and goes: who waits has a maxwait.
    cluster.stop();
    let waiting = asks(&bouncer, "app", "shop", "select 1");
    waits(ctx, &bouncer, "app", "shop", "backend_unreachable").await?;
    waiting.abort();
    lost.abort();
    Ok(())
}

async fn limits_of_databases_users_and_clients_are_named(ctx: &Ctx) -> Result<()> {
    let cluster = cluster(ctx).await?;
    let bouncer = builder(ctx, &cluster)?
        .database("shop", "dbname=postgres pool_size=5 max_db_connections=1")
        .database("one", "dbname=postgres pool_size=5")
        .database("two", "dbname=postgres pool_size=5")
        .config("max_user_connections", "2")
        .config("max_client_conn", "8")
        .start()
        .await?;
    let mut held = vec![holds(&bouncer, "plain", "shop").await?];
    let mut waiting = vec![asks(&bouncer, "app", "shop", "select 1")];
    let report = waits(ctx, &bouncer, "app", "shop", "database_limit").await?;
    ensure!(
        pool(&report, "app", "shop")?["bound"] == "max_db_connections",
        "{report:#}"
    );
    ensure!(
        pool(&report, "plain", "shop")?["percent"] == 100.0,
        "{report:#}"
    );

    for _ in 0..2 {
        held.push(holds(&bouncer, "app", "one").await?);
    }
    waiting.push(asks(&bouncer, "app", "two", "select 1"));
    waits(ctx, &bouncer, "app", "two", "user_limit").await?;

    // Idle clients fill the pooler; the console still answers, and does not count itself.
    while let Ok(client) = client(&bouncer, "plain", "one").await {
        held.push(client);
        ensure!(held.len() <= 8, "nobody is refused");
    }
    let report = status(ctx, &bouncer).await?;
    let pooler = &report["nodes"][0]["pooler"];
    ensure!(
        pooler["clients"] == 8 && pooler["max_clients"] == 8,
        "{pooler:#}"
    );
    ensure!(pooler["clients_percent"] == 100.0, "{pooler:#}");
    let findings = report["findings"].as_array().into_iter().flatten();
    let codes: Vec<_> = findings.filter_map(|one| one["code"].as_str()).collect();
    ensure!(codes.contains(&"client_limit"), "{codes:?}");
    // Clients that only sit there are no load.
    ensure!(pool(&report, "plain", "one")?["busy"] == 0, "{report:#}");
    drop(held);
    for one in waiting {
        one.await?;
    }
    Ok(())
}

async fn the_plan_file_names_poolers_and_a_lost_node_is_told(ctx: &Ctx) -> Result<()> {
    let cluster = cluster(ctx).await?;
    let bouncer = builder(ctx, &cluster)?.start().await?;
    drop(client(&bouncer, "app", "postgres").await?);
    let plan = "version: 1\ntargets:\n  main:\n    primary: {url_env: P}\n    replicas:\n      - {name: gone, url: \"postgresql://postgres@127.0.0.1:1/postgres\"}\n    poolers:\n      - {name: pgb, kind: pgbouncer, url_env: C, fronts: primary}\n";
    std::fs::write(ctx.dir().join("dbops.yaml"), plan)?;
    let dbops = || {
        ctx.dbops()
            .env("P", cluster.url())
            .env("C", bouncer.admin_url())
            // Meant for servers: a console refuses it.
            .env("PGOPTIONS", "-c statement_timeout=5s")
    };
    let run = dbops().args(["pool", "status", "-o", "json"]).run().await?;
    // One node of several is a finding, as it is in `replication`.
    let report = run.exits_with(0)?.json()?;
    let nodes = &report["targets"][0]["nodes"];
    let names: Vec<_> = (0..3).map(|at| nodes[at]["name"].as_str()).collect();
    ensure!(
        names == [Some("primary"), Some("gone"), Some("pgb")],
        "{report:#}"
    );
    ensure!(
        nodes[0]["server"]["capacity"]["effective"] == 97,
        "{report:#}"
    );
    ensure!(nodes[1]["unknown"] == "not_connected", "{report:#}");
    ensure!(
        nodes[2]["pooler"]["pools"][0]["user"] == "app",
        "{report:#}"
    );
    let fails = ["pool", "status", "--fail-on", "warning"];
    dbops().args(fails).run().await?.exits_with(1)?;
    for command in ["status", "sessions"] {
        let args = ["pool", command, "--node", "gone"];
        dbops().args(args).run().await?.exits_with(2)?;
    }
    let text = dbops().args(["pool", "sessions"]).run().await?;
    let text = text.exits_with(0)?.stdout;
    ensure!(text.contains("gone: sessions not known"), "{text}");
    ensure!(!text.contains("gone: 0 sessions"), "{text}");
    let run = dbops()
        .args(["pool", "status", "--node", "pgb"])
        .run()
        .await?;
    let text = run.exits_with(0)?.stdout;
    ensure!(text.contains("app@postgres"), "{text}");
    for line in text.lines() {
        ensure!(line.chars().count() <= 80, "too wide: {line}");
    }
    dbops()
        .args(["pool", "status", "--node", "nobody"])
        .run()
        .await?
        .exits_with(2)?;
    Ok(())
}
