//! `pool sessions` and `pool budget` on real servers and a real PgBouncer.
#![expect(
    clippy::disallowed_methods,
    reason = "tests prepare their servers with statements of their own"
)]

use anyhow::{Context as _, Result, ensure};
use dbops::sandbox::PgBouncer;
use serde_json::Value;

use crate::common::{Ctx, eventually, tests};

tests!(
    Ends: who_waits_for_whom_is_a_tree_without_literals,
    a_budget_is_held_against_the_capacity_before_deployment,
    rules_hold_connections_and_pools_and_a_full_server_breaks_them,
);

async fn pid(client: &tokio_postgres::Client) -> Result<i32> {
    Ok(client
        .query_one("select pg_backend_pid()", &[])
        .await?
        .get(0))
}

async fn who_waits_for_whom_is_a_tree_without_literals(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table t (id int primary key, who text); insert into t values (1, 'x'), (2, 'y')",
    )
    .await?;
    let (root, middle, leaf) = (
        db.connect().await?,
        db.connect().await?,
        db.connect().await?,
    );
    let pids = [pid(&root).await?, pid(&middle).await?, pid(&leaf).await?];
    root.batch_execute("begin; update t set who = 'geheim 4711' where id = 1")
        .await?;
    middle
        .batch_execute("begin; update t set who = 'geheim' where id = 2")
        .await?;
    let waits = async {
        // Both are cancelled below.
        let _ = tokio::join!(
            middle.batch_execute("update t set who = 'geheim' where id = 1"),
            leaf.batch_execute("update t set who = 'geheim' where id = 2"),
        );
        Ok::<_, anyhow::Error>(())
    };
    let looks = async {
        eventually("two sessions wait", async || {
            db.value(&format!(
                "select count(*) = 2 from pg_stat_activity where wait_event_type = 'Lock' and datname = '{}'",
                db.name
            ))
            .await
        })
        .await?;
        let sessions = |output: &'static str| {
            let command = ctx.dbops().on(&db);
            command.args(["pool", "sessions", "--limit", "0", "-o", output])
        };
        let run = sessions("json").run().await?.exits_with(0)?;
        ensure!(!run.stdout.contains("geheim"), "{}", run.stdout);
        let report = run.json()?;
        let node = &report["targets"][0]["nodes"][0];
        let branches: Vec<(u64, i64)> = node["blockers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| Some((one["depth"].as_u64()?, one["pid"].as_i64()?)))
            .filter(|(_, pid)| pids.iter().any(|mine| i64::from(*mine) == *pid))
            .collect();
        let expected: Vec<(u64, i64)> = (0..3).zip(pids.map(i64::from)).collect();
        ensure!(branches == expected, "{node:#}");
        let mine = node["sessions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|one| one["pid"] == pids[1])
            .context("not listed")?;
        ensure!(mine["blocked_by"][0] == pids[0], "{mine:#}");
        ensure!(
            mine["statement"] == "update t set who = ? where id = ?",
            "{mine:#}"
        );
        ensure!(mine["transaction_s"].is_number(), "{mine:#}");
        let text = sessions("table").run().await?.exits_with(0)?.stdout;
        ensure!(
            text.contains("holds up 2") && !text.contains("geheim"),
            "{text}"
        );
        for line in text.lines() {
            ensure!(line.chars().count() <= 80, "too wide: {line}");
        }
        for pid in pids {
            db.value::<bool>(&format!("select pg_terminate_backend({pid})"))
                .await?;
        }
        Ok(())
    };
    tokio::try_join!(waits, looks)?;
    Ok(())
}

async fn a_budget_is_held_against_the_capacity_before_deployment(ctx: &Ctx) -> Result<()> {
    let cluster = ctx
        .private_cluster()?
        .config("max_connections", "50")
        .start()
        .await?;
    let admin = cluster.connect("postgres").await?;
    admin
        .batch_execute("create role app login; create role jobs login connection limit 5")
        .await?;
    let bouncer = PgBouncer::builder(ctx.pgbouncer()?, &cluster)
        .user("app", "")
        .database("shop", "dbname=postgres pool_size=20")
        .start()
        .await?;
    let budget = async |instances: u32, jobs: u32, more: &[&str], code: i32| -> Result<Value> {
        let plan = format!(
            "version: 1\ntargets:\n  main:\n    primary: {{url_env: P}}\n    poolers:\n      - {{name: pgb, kind: pgbouncer, url_env: C, fronts: primary}}\n    app_pools:\n      - {{name: api, db_role: app, database: shop, through: pgb, instances: 10, max: 9}}\n      - {{name: web, db_role: web, instances: {instances}, min: 1, max: 5}}\n      - {{name: jobs, db_role: jobs, max: {jobs}}}\n"
        );
        std::fs::write(ctx.dir().join("dbops.yaml"), plan)?;
        let run = ctx
            .dbops()
            .env("P", cluster.url())
            .env("C", bouncer.admin_url())
            .args(["pool", "budget", "-o", "json"])
            .args(more.iter().copied())
            .run()
            .await?;
        Ok(run.exits_with(code)?.json()?["targets"][0].clone())
    };
    // 47 for ordinary roles: 20 servers of the pooler, 4 x 5, 5.
    let fits = budget(4, 5, &["--cores", "4"], 0).await?;
    ensure!(fits["capacity"] == 47 && fits["declared"] == 45, "{fits:#}");
    ensure!(fits["advice"]["connections"] == 9, "{fits:#}");
    ensure!(fits["over"] == false, "{fits:#}");
    // The superuser's session of this test is somebody else's.
    ensure!(fits["others_now"] == 1, "{fits:#}");
    let over = budget(5, 5, &[], 1).await?;
    ensure!(over["declared"] == 50 && over["over"] == true, "{over:#}");
    // The role's own limit is a wall although the server has room.
    let role = budget(1, 6, &[], 1).await?;
    ensure!(role["percent"].as_f64() < Some(100.0), "{role:#}");
    // Without any server, a pooler counts as its clients at most: that may fit, or not be known.
    budget(1, 5, &["--capacity", "200"], 0).await?;
    budget(1, 5, &["--capacity", "50"], 3).await?;
    budget(1, 5, &["--capacity", "9"], 1).await?;
    Ok(())
}

async fn rules_hold_connections_and_pools_and_a_full_server_breaks_them(ctx: &Ctx) -> Result<()> {
    let cluster = ctx
        .private_cluster()?
        .config("max_connections", "6")
        .start()
        .await?;
    let admin = cluster.connect("postgres").await?;
    admin
        .batch_execute("create role app login; create role mon login in role pg_monitor")
        .await?;
    let bouncer = PgBouncer::builder(ctx.pgbouncer()?, &cluster)
        .user("app", "")
        .database("shop", "dbname=postgres pool_size=2")
        .start()
        .await?;
    let url = bouncer.url_for("shop").replace("postgres@", "app@");
    let held = super::pool_server::login(&url).await?;
    let Ok(held) = held else {
        anyhow::bail!("refused");
    };
    held.batch_execute("begin; select 1").await?;
    let plan = "version: 1\ntargets:\n  main:\n    primary: {url_env: P}\n    poolers:\n      - {name: pgb, kind: pgbouncer, url_env: C, fronts: primary}\n    app_pools:\n      - {name: api, db_role: app, max: 2}\nrules:\n  - {id: used, metric: conn.effective_used, warn: \"> 70%\", critical: \"> 90%\"}\n  - {id: pool, metric: pool.used, warn: \"> 10%\"}\n  - {id: sum, metric: budget.declared_over_capacity, critical: \"> 100%\"}\n  - {id: idle, metric: conn.idle_in_transaction_age, critical: \"> 1h\"}\n";
    std::fs::write(ctx.dir().join("dbops.yaml"), plan)?;
    let check = async |url: String, code: i32| -> Result<Value> {
        let run = ctx
            .dbops()
            .env("P", url)
            .env("C", bouncer.admin_url())
            .args(["check", "-o", "json"])
            .run()
            .await?;
        run.exits_with(code)?.json()
    };
    let status = |report: &Value, id: &str| {
        let all = report["findings"].as_array().into_iter().flatten();
        let mut found = all.filter(|one| one["id"] == id);
        found.next().map(|one| one["status"].clone())
    };
    // Three for ordinary roles: the superuser of this test, the pool's server, and dbops, which does not count.
    let report = check(cluster.url(), 1).await?;
    ensure!(
        status(&report, "pool") == Some("warning".into()),
        "{report:#}"
    );
    ensure!(
        status(&report, "sum") == Some("critical".into()),
        "{report:#}"
    );
    // The session of that run may still be leaving.
    let mut third = None;
    eventually("the third slot is free", async || {
        let url = cluster.url_as("app", None, "postgres");
        third = super::pool_server::login(&url).await?.ok();
        Ok(third.is_some())
    })
    .await?;
    // The monitoring role is refused: that breaks the rule, and what it cannot see is not known.
    let report = check(cluster.url_as("mon", None, "postgres"), 1).await?;
    ensure!(
        status(&report, "used") == Some("critical".into()),
        "{report:#}"
    );
    ensure!(
        status(&report, "idle") == Some("unknown".into()),
        "{report:#}"
    );
    ensure!(
        status(&report, "pool") == Some("warning".into()),
        "{report:#}"
    );
    Ok(())
}
