//! Replication as it is shown, on real trees: streaming, cascading, delayed, paused, cut off, frozen, promoted.

#![expect(clippy::disallowed_methods, reason = "a test sets up what it tests")]

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use dbops::sandbox::Cluster;
use serde_json::Value;
use tokio_postgres::Client;

use crate::common::{Ctx, Dbops, Stopped, eventually, tests};

tests!(
    Ends: a_tree_tells_what_each_node_does_and_what_is_wrong,
    a_lost_slot_and_a_missing_synchronous_replica_are_critical,
    a_subscription_that_fails_is_critical_although_the_gap_is_small,
);

/// A primary, `menu` through a slot, and `olap` that receives from `menu`.
pub(crate) struct Tree<'a> {
    ctx: &'a Ctx,
    pub(crate) primary: Cluster,
    pub(crate) menu: Cluster,
    pub(crate) olap: Cluster,
    pub(crate) plan: PathBuf,
}

impl<'a> Tree<'a> {
    pub(crate) async fn start(ctx: &'a Ctx) -> Result<Self> {
        let primary = ctx.private_cluster()?.start().await?;
        // A server that asks often again finds its upstream soon.
        let soon = ("wal_retrieve_retry_interval", "100ms");
        let menu = primary.standby("menu").slot("menu");
        let menu = menu.config(soon.0, soon.1).start().await?;
        let olap = primary.standby("olap").through(&menu);
        let olap = olap.config(soon.0, soon.1).start().await?;
        let plan = ctx.dir().join("nodes.yaml");
        std::fs::write(
            &plan,
            format!(
                "version: 1\ntargets:\n  main:\n    primary: {{ url: \"{}\" }}\n    replicas:\n      \
                 - {{ name: menu, url: \"{}\", use: menu }}\n      - {{ name: olap, url: \"{}\", upstream: menu }}\n",
                primary.url(),
                menu.url(),
                olap.url()
            ),
        )?;
        Ok(Self {
            ctx,
            primary,
            menu,
            olap,
            plan,
        })
    }

    pub(crate) fn dbops(&self, args: &[&str]) -> Dbops {
        let dbops = self.ctx.dbops();
        dbops
            .args([
                "--plan".into(),
                self.plan.clone().into_os_string(),
                "replication".into(),
            ])
            .args(args)
    }

    /// The status of the target as JSON.
    pub(crate) async fn status(&self, more: &[&str]) -> Result<Value> {
        let args = [
            &[
                "status",
                "-o",
                "json",
                "--node-timeout",
                "10s",
                "--probe-timeout",
                "4s",
            ],
            more,
        ]
        .concat();
        status(self.dbops(&args)).await
    }

    pub(crate) async fn passive(&self) -> Result<Value> {
        let args = [
            "status",
            "-o",
            "json",
            "--node-timeout",
            "10s",
            "--no-probe",
        ];
        status(self.dbops(&args)).await
    }
}

pub(crate) async fn status(dbops: Dbops) -> Result<Value> {
    let run = dbops.run().await?.exits_with(0)?;
    let report = run.json()?;
    ensure!(report["format"] == "dbops.replication/1");
    report["targets"].get(0).cloned().context("no target")
}

pub(crate) fn node<'v>(target: &'v Value, name: &str) -> Result<&'v Value> {
    let all = target["nodes"].as_array().context("no nodes")?;
    let found = all.iter().find(|node| node["name"] == name);
    found.with_context(|| format!("no node {name} in {target:#}"))
}

/// Codes of the findings of one severity, in their order.
pub(crate) fn codes<'v>(target: &'v Value, severity: &str) -> Vec<&'v str> {
    let all = target["findings"].as_array().into_iter().flatten();
    all.filter(|finding| finding["severity"] == severity)
        .filter_map(|finding| finding["code"].as_str())
        .collect()
}

pub(crate) async fn run(client: &Client, sql: &str) -> Result<()> {
    client
        .batch_execute(sql)
        .await
        .with_context(|| format!("running {sql}"))
}

pub(crate) async fn set(cluster: &Cluster, name: &str, value: Option<&str>) -> Result<()> {
    let client = cluster.connect("postgres").await?;
    let sql = match value {
        Some(value) => format!("alter system set {name} = '{value}'"),
        None => format!("alter system reset {name}"),
    };
    run(&client, &sql).await?;
    run(&client, "select pg_reload_conf()").await
}

async fn a_tree_tells_what_each_node_does_and_what_is_wrong(ctx: &Ctx) -> Result<()> {
    let tree = Tree::start(ctx).await?;
    let writer = tree.primary.connect("postgres").await?;
    // What is not flushed yet is nothing that a replica could have.
    run(&writer, "set synchronous_commit = on").await?;
    fresh(&tree).await?;
    alone(&tree).await?;
    unprivileged(&tree, &writer).await?;
    delayed(&tree).await?;
    paused(&tree, &writer).await?;
    frozen(&tree, &writer).await?;
    cut_off(&tree, &writer).await?;
    promoted(&tree).await
}

/// Nothing was committed since the replicas started: no lag all the same, and no invented one.
async fn fresh(tree: &Tree<'_>) -> Result<()> {
    eventually("both replicas stream", async || {
        let seen = tree.passive().await?;
        Ok(node(&seen, "olap")?["state"]["value"] == "streaming"
            && node(&seen, "menu")?["state"]["value"] == "streaming")
    })
    .await?;
    let seen = tree.passive().await?;
    ensure!(codes(&seen, "critical").is_empty(), "{seen:#}");
    let olap = node(&seen, "olap")?;
    ensure!(
        olap["path"] == serde_json::json!(["primary", "menu", "olap"]),
        "{olap:#}"
    );
    ensure!(olap["gaps"]["replay"]["value"]["low"] == 0, "{olap:#}");
    ensure!(olap["lag"]["value"]["basis"] == "lsn_equal", "{olap:#}");
    ensure!(olap["lag"]["value"]["high_s"] == 0.0, "{olap:#}");
    let seen = tree.status(&[]).await?;
    for name in ["menu", "olap"] {
        let one = node(&seen, name)?;
        let lag = &one["lag"]["value"];
        ensure!(
            lag["basis"] == "probe" && lag["high_s"].is_number(),
            "{one:#}"
        );
        ensure!(
            one["timeline"]["value"] == 1 && one["sync"]["value"] == "async",
            "{one:#}"
        );
    }
    ensure!(node(&seen, "menu")?["slot"] == "menu");
    tree.dbops(&[
        "wait",
        "--max-lag",
        "20s",
        "--timeout",
        "60s",
        "--node-timeout",
        "10s",
    ])
    .run()
    .await?
    .exits_with(0)?;
    Ok(())
}

/// A replica that is asked alone says what it knows, and shows what receives from it.
async fn alone(tree: &Tree<'_>) -> Result<()> {
    let dbops = tree.ctx.dbops().args([
        "--database-url",
        &tree.menu.url(),
        "replication",
        "status",
        "-o",
        "json",
    ]);
    let seen = status(dbops).await?;
    let server = node(&seen, "server")?;
    ensure!(server["state"]["value"] == "streaming", "{server:#}");
    ensure!(server["lag"]["value"]["basis"] == "receiver", "{server:#}");
    ensure!(seen["probed"] == false && seen["passive_because"].is_string());
    let olap = node(&seen, "olap")?;
    ensure!(
        olap["declared"] == false && olap["state"]["value"] == "streaming",
        "{olap:#}"
    );
    Ok(())
}

/// Without pg_monitor nothing is known, which is neither fine nor broken.
async fn unprivileged(tree: &Tree<'_>, writer: &Client) -> Result<()> {
    run(writer, "create role plain login").await?;
    let url = tree.primary.url_as("plain", None, "postgres");
    let dbops = tree.ctx.dbops();
    let dbops = dbops.args(["--database-url", &url, "replication", "-o", "json"]);
    let seen = status(dbops).await?;
    let menu = node(&seen, "menu")?;
    for field in ["state", "lag", "sync", "reply_age_s"] {
        ensure!(menu[field]["reason"] == "no_privilege", "{field}: {menu:#}");
    }
    ensure!(
        menu["gaps"]["replay"]["reason"] == "no_privilege",
        "{menu:#}"
    );
    ensure!(codes(&seen, "critical").is_empty(), "{seen:#}");
    ensure!(codes(&seen, "warning") == ["no_privilege"], "{seen:#}");
    ensure!(seen["findings"][0]["fix"] == "grant pg_monitor to plain;");
    // No grant is needed for the probe.
    ensure!(seen["probed"] == true, "{seen:#}");
    Ok(())
}

/// A delay that is meant to be is measured, and told apart from what is beyond it.
async fn delayed(tree: &Tree<'_>) -> Result<()> {
    set(&tree.olap, "recovery_min_apply_delay", Some("1s")).await?;
    eventually("the delay counts", async || {
        let seen = tree.status(&[]).await?;
        let olap = node(&seen, "olap")?;
        Ok(olap["lag"]["value"]["low_s"].as_f64() >= Some(0.9)
            && olap["lag_beyond_delay"]["value"]["high_s"].as_f64()
                < olap["lag"]["value"]["high_s"].as_f64().map(|lag| lag - 0.9))
    })
    .await?;
    // A long one would cost everybody the whole of it: there the servers' own figures count.
    set(&tree.olap, "recovery_min_apply_delay", Some("5s")).await?;
    let short = ["--probe-timeout", "1s"];
    let args = [
        &["status", "-o", "json", "--node-timeout", "10s"][..],
        &short,
    ]
    .concat();
    eventually("it is not waited for", async || {
        let seen = status(tree.dbops(&args)).await?;
        let olap = node(&seen, "olap")?;
        Ok(olap["not_waited_for"] == "it is set to replay 5 s later"
            && olap["lag"]["value"]["basis"] != "probe"
            && node(&seen, "menu")?["lag"]["value"]["basis"] == "probe"
            && codes(&seen, "critical").is_empty())
    })
    .await?;
    let text = tree.dbops(&["status", short[0], short[1]]).run().await?;
    let text = text.exits_with(0)?.stdout;
    ensure!(
        text.contains("olap: the commit was not waited for"),
        "{text}"
    );
    set(&tree.olap, "recovery_min_apply_delay", None).await
}

/// Replay stands still: critical at once, and no figure from before.
async fn paused(tree: &Tree<'_>, writer: &Client) -> Result<()> {
    let replica = tree.menu.connect("postgres").await?;
    run(&replica, "select pg_wal_replay_pause()").await?;
    run(
        writer,
        "create table seen as select generate_series(1, 500) as n",
    )
    .await?;
    eventually("the gap is seen", async || {
        let seen = tree.status(&[]).await?;
        let menu = node(&seen, "menu")?;
        ensure!(menu["pause"]["value"] != "not paused", "{menu:#}");
        ensure!(
            menu["lag"]["value"].is_null() || menu["lag"]["value"]["high_s"] == 0.0,
            "{menu:#}"
        );
        Ok(codes(&seen, "critical").contains(&"replay_paused")
            && menu["lag"]["reason"] == "stale_sample")
    })
    .await?;
    let run_out = tree
        .dbops(&[
            "wait",
            "--node",
            "menu",
            "--max-lag",
            "300ms",
            "--timeout",
            "1s",
        ])
        .run()
        .await?
        .exits_with(1)?;
    ensure!(
        run_out.stdout.contains("menu  not caught up"),
        "{}",
        run_out.stdout
    );
    let failing = tree
        .dbops(&["status", "--fail-on", "critical"])
        .run()
        .await?;
    failing.exits_with(1)?;
    run(&replica, "select pg_wal_replay_resume()").await?;
    tree.dbops(&[
        "wait",
        "--max-lag",
        "20s",
        "--node-timeout",
        "10s",
        "--no-probe",
    ])
    .run()
    .await?
    .exits_with(0)?;
    Ok(())
}

/// The primary lists it as streaming for a minute; the probe finds it in one run.
async fn frozen(tree: &Tree<'_>, writer: &Client) -> Result<()> {
    let stopped = Stopped::server(&tree.menu)?;
    run(writer, "insert into seen select generate_series(1, 500)").await?;
    let listed: i64 = writer
        .query_one(
            "select count(*) from pg_stat_replication where state = 'streaming'",
            &[],
        )
        .await?
        .get(0);
    ensure!(listed == 1, "the primary lists {listed}");
    let short = ["--node-timeout", "1s", "--probe-timeout", "1s"];
    let args = [&["status", "-o", "json"][..], &short].concat();
    let seen = status(tree.dbops(&args)).await?;
    let menu = node(&seen, "menu")?;
    ensure!(menu["state"]["value"] == "frozen", "{menu:#}");
    ensure!(menu["lag"]["value"]["high_s"] != 0.0, "{menu:#}");
    let critical = codes(&seen, "critical");
    ensure!(
        critical.contains(&"frozen") && critical.contains(&"not_connected"),
        "{seen:#}"
    );
    drop(stopped);
    eventually("it streams again", async || {
        let seen = tree.status(&[]).await?;
        Ok(node(&seen, "menu")?["state"]["value"] == "streaming")
    })
    .await
}

/// The replica has replayed all that it has, which is not all that there is.
async fn cut_off(tree: &Tree<'_>, writer: &Client) -> Result<()> {
    set(
        &tree.menu,
        "primary_conninfo",
        Some("host=127.0.0.1 port=1"),
    )
    .await?;
    eventually("the sender has gone", async || {
        let row = writer
            .query_one("select count(*) from pg_stat_replication", &[])
            .await?;
        Ok(row.get::<_, i64>(0) == 0)
    })
    .await?;
    run(writer, "insert into seen select generate_series(1, 500)").await?;
    let seen = tree.status(&[]).await?;
    let menu = node(&seen, "menu")?;
    ensure!(menu["state"]["value"] == "not_streaming", "{menu:#}");
    ensure!(menu["lag"]["value"].is_null(), "{menu:#}");
    ensure!(
        menu["gaps"]["replay"]["value"]["low"].as_u64() > Some(10_000),
        "{menu:#}"
    );
    ensure!(
        codes(&seen, "critical").contains(&"not_streaming"),
        "{seen:#}"
    );
    ensure!(
        codes(&seen, "warning").contains(&"slot_inactive"),
        "{seen:#}"
    );
    set(&tree.menu, "primary_conninfo", None).await?;
    tree.dbops(&["wait", "--max-lag", "20s", "--node-timeout", "10s"])
        .run()
        .await?
        .exits_with(0)?;
    Ok(())
}

/// Promoted without fencing: two nodes take writes, and the one below follows the new timeline.
async fn promoted(tree: &Tree<'_>) -> Result<()> {
    let menu = tree.menu.connect("postgres").await?;
    run(&menu, "select pg_promote()").await?;
    eventually("olap follows the new timeline", async || {
        let seen = tree.passive().await?;
        Ok(node(&seen, "olap")?["timeline"]["value"] == 2)
    })
    .await?;
    let seen = tree.status(&[]).await?;
    ensure!(
        codes(&seen, "critical").first() == Some(&"split_brain"),
        "{seen:#}"
    );
    ensure!(node(&seen, "menu")?["role"] == "primary");
    ensure!(node(&seen, "menu")?["timeline"]["value"] == 2);
    ensure!(node(&seen, "primary")?["timeline"]["value"] == 1);
    // The functions of a standby keep their last values on a new primary; nothing is made of them.
    ensure!(node(&seen, "menu")?["lag"]["value"].is_null());
    ensure!(seen["probed"] == false, "it wrote to one of two primaries");
    Ok(())
}

async fn a_lost_slot_and_a_missing_synchronous_replica_are_critical(ctx: &Ctx) -> Result<()> {
    let primary = ctx
        .private_cluster()?
        .config("wal_keep_size", "0")
        .config("max_slot_wal_keep_size", "64MB")
        .config("max_wal_size", "32MB")
        .config("min_wal_size", "32MB")
        .start()
        .await?;
    let client = primary.connect("postgres").await?;
    run(
        &client,
        "select pg_create_physical_replication_slot('old', true)",
    )
    .await?;
    let slots = async || {
        let url = primary.url();
        let args = ["replication", "slots", "-o", "json", "--rate-over", "20ms"];
        let dbops = ctx.dbops().args(["--database-url", &url]).args(args);
        dbops.run().await?.exits_with(0)?.json()
    };
    let mut states = Vec::new();
    for _ in 0..12 {
        let seen = slots().await?;
        let slot = &seen["targets"][0]["nodes"][0]["slots"]["value"][0];
        let state = slot["state"].as_str().context("no state")?.to_owned();
        if states.last() != Some(&state) {
            states.push(state.clone());
        }
        if state == "lost" {
            ensure!(slot["retained_bytes"]["value"].is_null(), "{slot:#}");
            ensure!(slot["cause"] == "wal_removed", "{slot:#}");
            ensure!(
                seen["targets"][0]["findings"][0]["code"] == "slot_lost",
                "{seen:#}"
            );
            break;
        }
        ensure!(slot["retained_bytes"]["value"].is_u64(), "{slot:#}");
        run(
            &client,
            "select pg_logical_emit_message(false, 'fill', 'x')",
        )
        .await?;
        run(&client, "select pg_switch_wal()").await?;
        run(&client, "checkpoint").await?;
    }
    ensure!(
        states.first().is_some_and(|first| first == "inactive"),
        "{states:?}"
    );
    // It was said before it was too late.
    ensure!(states.iter().any(|state| state == "low"), "{states:?}");
    ensure!(
        states.last().is_some_and(|last| last == "lost"),
        "{states:?}"
    );

    // Commits wait for a replica that nobody is; the probe does not.
    set(
        &primary,
        "synchronous_standby_names",
        Some("FIRST 1 (ghost)"),
    )
    .await?;
    let waiter = primary.connect("postgres").await?;
    run(&waiter, "set synchronous_commit = on").await?;
    let waiting = tokio::spawn(async move { waiter.batch_execute("create table stuck ()").await });
    let seen = async || {
        let url = primary.url();
        status(
            ctx.dbops()
                .args(["--database-url", &url, "replication", "-o", "json"]),
        )
        .await
    };
    eventually("the commit waits", async || {
        Ok(node(&seen().await?, "server")?["sync_waiting"]["value"] == 1)
    })
    .await?;
    let now = seen().await?;
    ensure!(
        codes(&now, "critical").contains(&"sync_unsatisfied"),
        "{now:#}"
    );
    ensure!(now["probed"] == true, "{now:#}");
    set(&primary, "synchronous_standby_names", None).await?;
    waiting.await??;
    Ok(())
}

async fn a_subscription_that_fails_is_critical_although_the_gap_is_small(ctx: &Ctx) -> Result<()> {
    let server = ctx
        .private_cluster()?
        .config("wal_level", "logical")
        .config("wal_retrieve_retry_interval", "100ms")
        .start()
        .await?;
    let admin = server.connect("postgres").await?;
    for name in ["pub", "sub"] {
        run(&admin, &format!("create database {name}")).await?;
        let db = server.connect(name).await?;
        run(&db, "create table item (id int primary key)").await?;
    }
    let (publisher, subscriber) = (server.connect("pub").await?, server.connect("sub").await?);
    run(&publisher, "create publication p for table item").await?;
    // Within one server it would wait for its own transaction, so the slot is made apart.
    run(
        &publisher,
        "select pg_create_logical_replication_slot('s', 'pgoutput')",
    )
    .await?;
    let create = format!(
        "create subscription s connection '{}' publication p with (create_slot = false, copy_data = false)",
        server.url_for("pub")
    );
    run(&subscriber, &create).await?;
    let state = async || {
        let url = server.url();
        let dbops = ctx.dbops();
        let dbops = dbops.args(["--database-url", &url, "replication", "-o", "json"]);
        let seen = status(dbops).await?;
        let one = &node(&seen, "server")?["subscriptions"]["value"][0];
        Ok::<_, anyhow::Error>((one["state"].as_str().unwrap_or_default().to_owned(), seen))
    };
    eventually("it applies", async || Ok(state().await?.0 == "applying")).await?;
    // A subscription of another database may have its name; each is one row with its own process.
    run(&admin, "create database idle").await?;
    let idle = server.connect("idle").await?;
    let none =
        "create subscription s connection 'host=localhost' publication p with (connect = false)";
    run(&idle, none).await?;
    let (_, seen) = state().await?;
    let all = &node(&seen, "server")?["subscriptions"]["value"];
    let states: Vec<_> = (all.as_array().into_iter().flatten())
        .map(|one| (one["database"].as_str(), one["state"].as_str()))
        .collect();
    ensure!(
        states
            == [
                (Some("idle"), Some("disabled")),
                (Some("sub"), Some("applying"))
            ],
        "{states:?}"
    );
    run(&idle, "alter subscription s set (slot_name = none)").await?;
    run(&idle, "drop subscription s").await?;
    run(&subscriber, "insert into item values (1)").await?;
    run(&publisher, "insert into item values (1)").await?;
    let mut found = None;
    eventually("it fails", async || {
        let (word, seen) = state().await?;
        let failed = matches!(word.as_str(), "apply_failing" | "not_applying");
        found = failed.then_some(seen);
        Ok(failed)
    })
    .await?;
    let seen = found.context("nothing was seen")?;
    ensure!(
        codes(&seen, "critical").contains(&"apply_failing"),
        "{seen:#}"
    );
    run(&subscriber, "alter subscription s disable").await?;
    eventually(
        "it is disabled",
        async || Ok(state().await?.0 == "disabled"),
    )
    .await?;
    let (_, seen) = state().await?;
    ensure!(
        codes(&seen, "warning").contains(&"subscription_disabled"),
        "{seen:#}"
    );
    ensure!(
        !codes(&seen, "critical").contains(&"apply_failing"),
        "{seen:#}"
    );
    Ok(())
}
