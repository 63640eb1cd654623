//! Scenes in which other tools are wrong about replication, on real servers.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dbops::sandbox::Cluster;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::common::{Ctx, eventually, tests};
use crate::replication::{node, run, status};

tests!(
    Ends: under_load_no_lag_is_invented_and_gaps_are_intervals,
    a_standby_that_an_archive_feeds_is_behind_in_bytes,
    slots_that_are_lost_tell_why_and_no_bytes,
    feedback_is_held_by_the_slot_and_cancelled_queries_are_counted,
);

/// The target of a primary and a replica `menu`, as JSON.
async fn seen(ctx: &Ctx, primary: &Cluster, menu: &Cluster, more: &[&str]) -> Result<Value> {
    let plan = format!(
        "version: 1\ntargets:\n  main:\n    primary: {{ url: \"{}\" }}\n    replicas:\n      - {{ name: menu, url: \"{}\" }}\n",
        primary.url(),
        menu.url()
    );
    std::fs::write(ctx.dir().join("dbops.yaml"), plan)?;
    let args = [
        "replication",
        "status",
        "-o",
        "json",
        "--node-timeout",
        "10s",
    ];
    status(ctx.dbops().args(args).args(more.iter().copied())).await
}

/// Writes WAL that holds no commit, until it is dropped.
struct Load(JoinHandle<()>);

impl Load {
    async fn on(cluster: &Cluster) -> Result<Self> {
        let client = cluster.connect("postgres").await?;
        let emit = "select pg_logical_emit_message(false, 'load', repeat('x', 20000)) from generate_series(1, 20)";
        Ok(Self(tokio::spawn(async move {
            while client.query(emit, &[]).await.is_ok() {}
        })))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The age of the last commit grows all the time; what is missing are positions that the next reading has.
async fn under_load_no_lag_is_invented_and_gaps_are_intervals(ctx: &Ctx) -> Result<()> {
    let primary = ctx.private_cluster()?.start().await?;
    let menu = primary.standby("menu").start().await?;
    let writer = primary.connect("postgres").await?;
    run(&writer, "create table last_commit ()").await?;
    let began = Instant::now();
    let load = Load::on(&primary).await?;
    let mut intervals = 0;
    let mut samples = 0;
    while samples < 20 || began.elapsed() < Duration::from_secs(3) {
        let seen = seen(ctx, &primary, &menu, &["--no-probe"]).await?;
        let one = node(&seen, "menu")?;
        let lag = &one["lag"];
        ensure!(
            lag["value"]["low_s"].as_f64() <= Some(1.0)
                && lag["value"]["high_s"].as_f64() <= Some(1.0),
            "the last commit is {:?} old: {one:#}",
            began.elapsed()
        );
        ensure!(lag["value"]["basis"] != "commit_time", "{one:#}");
        // What the primary wrote while the nodes were asked is as much as a gap can be wrong.
        let gap = &one["gaps"]["replay"]["value"];
        let (low, high) = (gap["low"].as_u64(), gap["high"].as_u64());
        let (low, high) = low.zip(high).context("no gap")?;
        let cut = seen["cut_bytes"].as_u64().context("no cut")?;
        ensure!(low <= high && high - low <= cut, "{cut}: {gap:#}");
        intervals += u32::from(low < high);
        // One machine has one clock; more apart than the reading may be wrong would be wrong.
        let clock = |key: &str| one[key]["value"].as_f64().context("no clock");
        let (offset, error) = (clock("clock_offset_s")?, clock("clock_error_s")?);
        ensure!(offset.abs() <= error, "{offset} s by {error} s");
        samples += 1;
    }
    ensure!(intervals > 0, "no reading was interrupted by WAL");
    let probed = seen(ctx, &primary, &menu, &["--probe-timeout", "10s"]).await?;
    ensure!(
        node(&probed, "menu")?["lag"]["value"]["basis"] == "probe",
        "{probed:#}"
    );
    drop(load);
    Ok(())
}

async fn a_standby_that_an_archive_feeds_is_behind_in_bytes(ctx: &Ctx) -> Result<()> {
    // Commands of a server run in its data folder.
    let primary = ctx
        .private_cluster()?
        .config("archive_mode", "on")
        .config("archive_command", "cp %p archived_%f")
        .start()
        .await?;
    let restore = format!("cp {}/archived_%f %p", primary.data().display());
    let menu = primary
        .standby("menu")
        .config("primary_conninfo", "")
        .config("restore_command", restore)
        .config("wal_retrieve_retry_interval", "100ms")
        .start()
        .await?;
    let writer = primary.connect("postgres").await?;
    // What is not flushed yet is nothing that a replica could lack.
    run(&writer, "set synchronous_commit = on").await?;
    run(
        &writer,
        "create table much as select generate_series(1, 2000)",
    )
    .await?;
    run(&writer, "select pg_switch_wal()").await?;
    run(
        &writer,
        "create table more as select generate_series(1, 2000)",
    )
    .await?;
    let passive = async || {
        let seen = seen(ctx, &primary, &menu, &["--no-probe"]).await?;
        Ok::<_, anyhow::Error>(node(&seen, "menu")?.clone())
    };
    eventually("the archived part is replayed", async || {
        let one = passive().await?;
        let gap = one["gaps"]["replay"]["value"]["low"].as_u64();
        Ok(gap.is_some_and(|gap| gap < 16 << 20))
    })
    .await?;
    let one = passive().await?;
    ensure!(
        one["state"]["value"] == "archive" && one["receiver"]["value"] == "none",
        "{one:#}"
    );
    ensure!(
        one["gaps"]["replay"]["value"]["low"].as_u64() > Some(50_000),
        "{one:#}"
    );
    // Neither the age of a commit nor nothing: no server shows how late it is.
    ensure!(one["lag"]["reason"] == "no_sample", "{one:#}");
    // A commit shows it once its segment is archived.
    let probed = seen(ctx, &primary, &menu, &["--probe-timeout", "300ms"]).await?;
    let lag = &node(&probed, "menu")?["lag"]["value"];
    ensure!(
        lag["basis"] == "probe" && lag["high_s"].is_null(),
        "{probed:#}"
    );
    ensure!(lag["low_s"].as_f64() >= Some(0.3), "{probed:#}");
    Ok(())
}

async fn slots_that_are_lost_tell_why_and_no_bytes(ctx: &Ctx) -> Result<()> {
    let mut builder = ctx
        .private_cluster()?
        .config("wal_level", "logical")
        .config("wal_keep_size", "0")
        .config("max_slot_wal_keep_size", "32MB")
        .config("max_wal_size", "32MB")
        .config("min_wal_size", "32MB");
    if ctx.major >= 18 {
        builder = builder.config("idle_replication_slot_timeout", "1s");
    }
    let primary = builder.start().await?;
    let client = primary.connect("postgres").await?;
    let slot = async |name: &str| {
        let url = primary.url();
        let args = ["replication", "slots", "-o", "json", "--rate-over", "20ms"];
        let dbops = ctx.dbops().args(["--database-url", &url]).args(args);
        let report = dbops.run().await?.exits_with(0)?.json()?;
        let all = report["targets"][0]["nodes"][0]["slots"]["value"].clone();
        let all: Vec<Value> = serde_json::from_value(all)?;
        let found = all.into_iter().find(|one| one["name"] == name);
        found.with_context(|| format!("no slot {name}: {report:#}"))
    };
    let lost = |slot: &Value, cause: &str| {
        ensure!(
            slot["state"] == "lost" && slot["cause"] == cause,
            "{slot:#}"
        );
        for figure in ["retained_bytes", "unconfirmed_bytes", "safe_bytes"] {
            ensure!(
                slot[figure]["reason"] == "not_applicable",
                "{figure}: {slot:#}"
            );
        }
        Ok(())
    };
    if ctx.major >= 18 {
        // Acts at a checkpoint alone, and keeps the position, by which what is kept would only grow.
        run(
            &client,
            "select pg_create_physical_replication_slot('idle', true)",
        )
        .await?;
        eventually("it was idle for too long", async || {
            run(&client, "checkpoint").await?;
            Ok(slot("idle").await?["state"] == "lost")
        })
        .await?;
        lost(&slot("idle").await?, "idle_timeout")?;
        run(
            &client,
            "alter system set idle_replication_slot_timeout = 0",
        )
        .await?;
        run(&client, "select pg_reload_conf()").await?;
        eventually("the limit is off", async || {
            let row = client
                .query_one("show idle_replication_slot_timeout", &[])
                .await?;
            Ok(row.get::<_, String>(0) == "0")
        })
        .await?;
    }
    // Version 16 calls a logical slot conflicting although WAL was removed.
    run(
        &client,
        "select pg_create_logical_replication_slot('decoded', 'pgoutput')",
    )
    .await?;
    let fresh = slot("decoded").await?;
    ensure!(
        fresh["kind"] == "logical" && fresh["state"] != "lost",
        "{fresh:#}"
    );
    let age = &fresh["inactive_s"];
    if ctx.major >= 17 {
        ensure!(age["value"].as_f64() >= Some(0.0), "{fresh:#}");
    } else {
        ensure!(age["reason"] == "unsupported_version", "{fresh:#}");
    }
    let mut found = fresh;
    for _ in 0..12 {
        run(
            &client,
            "select pg_logical_emit_message(false, 'fill', 'x')",
        )
        .await?;
        run(&client, "select pg_switch_wal()").await?;
        run(&client, "checkpoint").await?;
        found = slot("decoded").await?;
        if found["state"] == "lost" {
            break;
        }
    }
    lost(&found, "wal_removed")
}

async fn feedback_is_held_by_the_slot_and_cancelled_queries_are_counted(ctx: &Ctx) -> Result<()> {
    let primary = ctx.private_cluster()?.start().await?;
    let menu = primary
        .standby("menu")
        .slot("menu")
        .config("hot_standby_feedback", "on")
        .config("wal_receiver_status_interval", "1s")
        .config("max_standby_streaming_delay", "0")
        .start()
        .await?;
    let writer = primary.connect("postgres").await?;
    run(
        &writer,
        "create table item as select generate_series(1, 1000) as n",
    )
    .await?;
    let reader = menu.connect("postgres").await?;
    let snapshot = "begin isolation level repeatable read; select count(*) from item";
    eventually("the table is on the replica", async || {
        let there = run(&reader, snapshot).await;
        if there.is_err() {
            run(&reader, "rollback").await?;
        }
        Ok(there.is_ok())
    })
    .await?;
    run(&writer, "delete from item where n < 500").await?;
    eventually("the slot holds what the replica reads", async || {
        let seen = seen(ctx, &primary, &menu, &["--no-probe"]).await?;
        let held = node(&seen, "primary")?["holders"]["value"].clone();
        let all = held.as_array().into_iter().flatten();
        let by = |one: &&Value| one["kind"] == "slot" && one["name"] == "menu";
        ensure!(
            node(&seen, "menu")?["feedback"]["value"] == true,
            "{seen:#}"
        );
        Ok(all.filter(by).any(|one| one["xids"].as_i64() >= Some(1)))
    })
    .await?;
    run(&reader, "rollback").await?;

    // Without feedback, replay removes what the replica reads, and cancels it.
    let replica = menu.connect("postgres").await?;
    run(&replica, "alter system set hot_standby_feedback = off").await?;
    run(&replica, "select pg_reload_conf()").await?;
    eventually("nothing is held any more", async || {
        let held = "select from pg_replication_slots where xmin is not null";
        Ok(writer.query(held, &[]).await?.is_empty())
    })
    .await?;
    let counted = async || {
        let seen = seen(ctx, &primary, &menu, &["--no-probe"]).await?;
        Ok::<_, anyhow::Error>(node(&seen, "menu")?["conflicts"]["value"].clone())
    };
    let before = counted().await?;
    ensure!(before["snapshot"] == 0, "{before:#}");
    ensure!(
        before["logical_slot"].is_null() == (ctx.major < 16),
        "{before:#}"
    );
    eventually("a query was cancelled", async || {
        run(&reader, snapshot).await?;
        run(
            &writer,
            "delete from item where n = (select min(n) from item)",
        )
        .await?;
        run(&writer, "vacuum item").await?;
        let cancelled = eventually("replay is in its way", async || {
            Ok(run(&reader, "select count(*) from item").await.is_err())
        })
        .await;
        let _ = run(&reader, "rollback").await;
        Ok(cancelled.is_ok())
    })
    .await?;
    eventually("it is counted by its kind", async || {
        Ok(counted().await?["snapshot"].as_i64() >= Some(1))
    })
    .await
}
