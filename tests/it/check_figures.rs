//! Figures that `dbops check` makes of several looks, of files, and of what people vouch for, on real servers.
#![expect(
    clippy::disallowed_methods,
    reason = "tests prepare their servers with statements of their own"
)]

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio_postgres::Client;

use crate::common::{Ctx, eventually, tests};

tests!(
    Ends: a_hit_ratio_needs_two_looks_and_begins_anew_after_a_reset,
    round_trips_disks_and_holders_are_measured_and_hidden_ones_are_unknown,
    what_people_vouch_for_has_an_age,
);

fn finding<'a>(report: &'a Value, rule: &str) -> Result<&'a Value> {
    let all = report["findings"].as_array().into_iter().flatten();
    all.clone()
        .find(|one| one["id"] == rule)
        .with_context(|| format!("no finding of `{rule}` in {report:#}"))
}

async fn run(client: &Client, sql: &str) -> Result<()> {
    client
        .batch_execute(sql)
        .await
        .with_context(|| format!("running: {sql}"))
}

async fn a_hit_ratio_needs_two_looks_and_begins_anew_after_a_reset(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table item (id int primary key, body text); insert into item select i, repeat('x', 500) from generate_series(1, 20000) as i")
        .await?;
    ctx.plan(
        r#"defaults: { every: 1m }
rules:
  - { id: cache, metric: cache.hit_ratio, critical: "< 1%", min_volume: 2000 blocks, window: 1h }
  - { id: lenient, metric: cache.hit_ratio, critical: "< 1%", min_volume: 9000000000 blocks, window: 1h, on_unknown: ok }
"#,
    )?;
    let mut second = 0;
    let mut look = async || -> Result<Value> {
        second += 10;
        let at = format!("2027-03-10T10:{:02}:{:02}Z", second / 60, second % 60);
        let words = "check -o json --state check.state";
        ctx.at(&db, &at, words).run().await?.json()
    };
    let first = look().await?;
    let cache = finding(&first, "cache")?;
    ensure!(
        cache["status"] == "unknown" && cache["reason"] == "no_sample",
        "{cache}"
    );
    ensure!(
        cache["fix"]
            .as_str()
            .is_some_and(|fix| fix.contains("--state")),
        "{cache}"
    );
    ensure!(cache["labels"]["database"] == db.name.as_str(), "{cache}");
    // A rule may say that too little traffic is no matter.
    ensure!(finding(&first, "lenient")?["status"] == "ok", "{first:#}");
    // Sessions report what they did when they end, to some versions a moment later.
    let read = async || -> Result<()> {
        let reader = db.connect().await?;
        for _ in 0..5 {
            run(&reader, "select count(*) from item where body like '%y%'").await?;
        }
        Ok(())
    };
    let mut seen = Value::Null;
    eventually("the blocks are counted", async || {
        read().await?;
        seen = look().await?;
        Ok(finding(&seen, "cache")?["status"] == "ok")
    })
    .await?;
    let cache = finding(&seen, "cache")?;
    let value = cache["value"].as_f64().context("a number")?;
    ensure!(value > 1.0 && value <= 100.0, "{cache}");
    ensure!(
        cache["basis"]
            .as_str()
            .is_some_and(|text| text.contains(" blocks in ")),
        "{cache}"
    );
    db.run("select pg_stat_reset()").await?;
    let mut why = String::new();
    eventually("the reset is seen", async || {
        let report = look().await?;
        let cache = finding(&report, "cache")?;
        why = cache["why"].as_str().unwrap_or_default().to_owned();
        Ok(why.contains("began anew"))
    })
    .await
    .with_context(|| why.clone())?;
    Ok(())
}

async fn round_trips_disks_and_holders_are_measured_and_hidden_ones_are_unknown(
    ctx: &Ctx,
) -> Result<()> {
    let server = ctx
        .private_cluster()?
        .config("max_prepared_transactions", "2")
        .start()
        .await?;
    let client = server.connect("postgres").await?;
    run(&client, "create role watch login; create table t (i int)").await?;
    let held = server.connect("postgres").await?;
    run(&held, "begin; insert into t values (1)").await?;
    run(
        &client,
        "begin; insert into t values (2); prepare transaction 'half'",
    )
    .await?;
    for _ in 0..10 {
        run(&client, "insert into t values (3)").await?;
    }
    ctx.plan(
        r#"rules:
  - { id: probe, metric: db.probe_p95, critical: "> 60s" }
  - { id: disk, metric: disk.used, critical: "> 100%" }
  - { id: sessions, metric: xmin.held_age, scope: { holder: session }, critical: "> 1000000" }
  - { id: prepared, metric: xmin.held_age, scope: { holder: prepared }, critical: "> 1000000" }
  - { id: slots, metric: xmin.held_age, scope: { holder: "slot*" }, critical: "> 1000000" }
  - { id: oldest, metric: prepared.oldest_age, critical: "> 100d" }
  - { id: idle, metric: conn.idle_age, critical: "> 100d" }
  - { id: peak, metric: conn.peak, critical: "> 1000" }
"#,
    )?;
    let check = |words: &str| {
        ctx.dbops()
            .args(["check", "-o", "json", "--database-url", &server.url()])
            .args(
                words
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>(),
            )
    };
    let all = check("").run().await?.exits_with(0)?.json()?;
    let probe = finding(&all, "probe")?;
    ensure!(
        probe["value"].as_f64() > Some(0.0) && probe["resolution"] == 0.001,
        "{probe}"
    );
    // Twenty round trips, or as many as fitted into their time.
    ensure!(
        probe["basis"]
            .as_str()
            .is_some_and(|text| text.starts_with("20 round trips since")),
        "{probe}"
    );
    let disks: Vec<&Value> = all["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| one["id"] == "disk")
        .collect();
    ensure!(
        disks.len() == 2 && disks[0]["labels"]["directory"] == "data",
        "{disks:?}"
    );
    for disk in disks {
        let value = disk["value"].as_f64().context("a number")?;
        ensure!(value > 0.0 && value <= 100.0, "{disk}");
    }
    for rule in ["sessions", "prepared"] {
        ensure!(
            finding(&all, rule)?["value"].as_f64() >= Some(10.0),
            "{all:#}"
        );
    }
    // Those of dbops see as much as the oldest one holds: they are not who holds it.
    ensure!(
        finding(&all, "sessions")?["basis"] != "dbops read",
        "{all:#}"
    );
    ensure!(finding(&all, "slots")?["value"] == 0.0, "{all:#}");
    ensure!(
        finding(&all, "oldest")?["basis"] == "1 prepared transactions",
        "{all:#}"
    );
    ensure!(
        finding(&all, "idle")?["value"].as_f64() >= Some(0.0),
        "{all:#}"
    );
    let peak = finding(&all, "peak")?;
    ensure!(
        peak["value"].as_f64() >= Some(2.0)
            && peak["basis"]
                .as_str()
                .is_some_and(|text| text.starts_with("highest of 1 looks")),
        "{peak}"
    );
    // What a plain role does not see is not zero.
    let plain = check("--user watch").run().await?.exits_with(3)?.json()?;
    for rule in ["sessions", "disk", "idle", "peak"] {
        let one = finding(&plain, rule)?;
        ensure!(
            one["status"] == "unknown" && one["reason"] == "no_privilege" && one["fix"].is_string(),
            "{one}"
        );
    }
    ensure!(
        finding(&plain, "prepared")?["value"].as_f64() >= Some(10.0),
        "{plain:#}"
    );
    run(&client, "rollback prepared 'half'").await?;
    let after = check("--rule oldest").run().await?.exits_with(0)?.json()?;
    ensure!(finding(&after, "oldest")?["value"] == 0.0, "{after:#}");
    Ok(())
}

async fn what_people_vouch_for_has_an_age(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let rules = "rules:\n  - { id: rto, attest: restore_drill, max_age: 30d, value: \"<= 30m\" }\n";
    let check = |at: &str, words: &str| ctx.at(&db, at, &format!("check {words}"));
    ctx.plan(rules)?;
    let none = check("2027-03-10", "-o json")
        .run()
        .await?
        .exits_with(3)?
        .json()?;
    let one = finding(&none, "rto")?;
    ensure!(
        one["reason"] == "not_declared"
            && one["fix"]
                .as_str()
                .is_some_and(|fix| fix.contains("attestations:")),
        "{one}"
    );
    ctx.plan(&format!(
        "{rules}attestations:\n  - {{ name: restore_drill, date: 2027-03-01, value: 24m, by: Kim }}\n"
    ))?;
    let fresh = check("2027-03-10", "-o json")
        .run()
        .await?
        .exits_with(0)?
        .json()?;
    ensure!(finding(&fresh, "rto")?["state"] == "fresh", "{fresh:#}");
    let old = check("2027-05-10", "-o json")
        .run()
        .await?
        .exits_with(1)?
        .json()?;
    let one = finding(&old, "rto")?;
    ensure!(
        one["state"] == "too-old" && one["status"] == "critical",
        "{one}"
    );
    ensure!(one["policy"]["line"] == 3, "{one}");
    let table = check("2027-05-10", "").run().await?.exits_with(1)?.stdout;
    ensure!(table.contains("by Kim, 70 days ago"), "{table}");
    Ok(())
}
