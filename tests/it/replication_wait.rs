//! `replication wait` while the primary changes, and with nodes that are not of one cluster.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::common::{Ctx, eventually, tests};
use crate::replication::{Tree, run};

tests!(
    Ends: a_wait_goes_on_after_a_failover,
    what_is_not_of_the_cluster_never_catches_up,
    a_role_that_may_not_write_compares_positions,
);

/// The replica of this name in the result of a wait.
fn waited<'v>(report: &'v Value, name: &str) -> Result<&'v Value> {
    let all = report["nodes"].as_array().into_iter().flatten();
    let mut found = all.filter(|one| one["node"] == name);
    found
        .next()
        .with_context(|| format!("no {name} in {report:#}"))
}

async fn a_wait_goes_on_after_a_failover(ctx: &Ctx) -> Result<()> {
    let mut tree = Tree::start(ctx).await?;
    let menu = tree.menu.connect("postgres").await?;
    let olap = tree.olap.connect("postgres").await?;
    let wait = [
        "wait",
        "--max-lag",
        "1s",
        "--node-timeout",
        "10s",
        "-o",
        "json",
    ];
    tree.dbops(&wait).run().await?.exits_with(0)?;
    run(&olap, "select pg_wal_replay_pause()").await?;
    let waiting = tree
        .dbops(&[&wait[..], &["--timeout", "80s"]].concat())
        .spawn()
        .await?;
    // The other one cannot, so that the wait goes on.
    let done = "select count(*) from pg_stat_activity
        where application_name like 'dbops%' and query like 'do /* dbops */%' and state = 'idle'";
    eventually("the wait has seen menu catch up", async || {
        Ok(menu.query_one(done, &[]).await?.get::<_, i64>(0) > 0)
    })
    .await?;
    tree.primary.stop();
    run(&menu, "select pg_promote()").await?;
    run(&olap, "select pg_wal_replay_resume()").await?;
    let report = waiting.wait().await?.exits_with(0)?.json()?;
    let last = waited(&report, "olap")?;
    ensure!(
        last["caught_up"] == true && last["basis"] == "probe",
        "{report:#}"
    );

    // From now on it is the primary, and nothing that could follow one.
    let late = [&wait[..], &["--timeout", "1500ms"]].concat();
    let report = tree.dbops(&late).run().await?.exits_with(1)?.json()?;
    let promoted = waited(&report, "menu")?;
    let reason = promoted["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("it was promoted"), "{report:#}");
    ensure!(waited(&report, "olap")?["caught_up"] == true, "{report:#}");
    Ok(())
}

async fn what_is_not_of_the_cluster_never_catches_up(ctx: &Ctx) -> Result<()> {
    let (primary, other) = (ctx.private_cluster()?, ctx.private_cluster()?);
    let (primary, other) = (primary.start().await?, other.start().await?);
    let strange = other.standby("strange").start().await?;
    let mut plan = format!(
        "version: 1\ntargets:\n  main:\n    primary: {{ url: \"{}\" }}\n    replicas:\n",
        primary.url()
    );
    writeln!(
        plan,
        "      - {{ name: strange, url: \"{}\" }}",
        strange.url()
    )?;
    let file = ctx.dir().join("dbops.yaml");
    std::fs::write(&file, &plan)?;
    let ahead = other.connect("postgres").await?;
    run(
        &ahead,
        "create table much as select generate_series(1, 10000)",
    )
    .await?;
    let wait = async |more: &[&str]| {
        let args = ["replication", "wait", "-o", "json", "--timeout", "1500ms"];
        let args = ctx.dbops().args(args).args(more.iter().copied());
        args.run().await?.exits_with(1)?.json()
    };
    for more in [&[][..], &["--no-probe"]] {
        let report = wait(more).await?;
        let one = waited(&report, "strange")?;
        let reason = one["reason"].as_str().unwrap_or_default();
        ensure!(reason.contains("another cluster"), "{report:#}");
        ensure!(one["behind_bytes"].is_null(), "{report:#}");
    }
    let status = ctx.dbops().args(["replication", "status", "-o", "json"]);
    let report = status.run().await?.exits_with(0)?.json()?;
    let nodes = &report["targets"][0]["nodes"];
    ensure!(nodes[1]["lag"]["value"].is_null(), "{report:#}");
    ensure!(
        report["targets"][0]["findings"][0]["code"] == "different_clusters",
        "{report:#}"
    );

    // Two that take writes: nothing is written to either.
    writeln!(plan, "      - {{ name: other, url: \"{}\" }}", other.url())?;
    std::fs::write(&file, &plan)?;
    let report = wait(&[]).await?;
    let reason = waited(&report, "other")?["reason"]
        .as_str()
        .unwrap_or_default();
    ensure!(
        reason.contains("several primaries answered (primary, other)"),
        "{report:#}"
    );
    Ok(())
}

async fn a_role_that_may_not_write_compares_positions(ctx: &Ctx) -> Result<()> {
    let primary = ctx.private_cluster()?.start().await?;
    let menu = primary.standby("menu").start().await?;
    let admin = primary.connect("postgres").await?;
    run(
        &admin,
        "create role watch login in role pg_monitor;
         do $$ declare one regprocedure; begin
           for one in select oid from pg_proc where proname = 'pg_logical_emit_message' loop
             execute format('revoke execute on function %s from public', one);
           end loop;
         end $$",
    )
    .await?;
    let plan = format!(
        "version: 1\ntargets:\n  main:\n    primary: {{ url: \"{}\" }}\n    replicas:\n      - {{ name: menu, url: \"{}\" }}\n",
        primary.url_as("watch", None, "postgres"),
        menu.url_as("watch", None, "postgres")
    );
    std::fs::write(ctx.dir().join("dbops.yaml"), plan)?;
    eventually("the role is on the replica", async || {
        let client = menu.connect("postgres").await?;
        let found = client.query("select from pg_roles where rolname = 'watch'", &[]);
        Ok(found.await?.len() == 1)
    })
    .await?;
    let wait = [
        "replication",
        "wait",
        "--max-lag",
        "20s",
        "--node-timeout",
        "10s",
    ];
    let run = ctx.dbops().args(wait).run().await?.exits_with(0)?;
    ensure!(run.stderr.contains("SQLSTATE 42501"), "{}", run.stderr);
    ensure!(
        run.stderr.contains("positions are compared instead"),
        "{}",
        run.stderr
    );
    let text = "menu  caught up: it had replayed all that the primary had within ";
    ensure!(run.stdout.starts_with(text), "{}", run.stdout);
    Ok(())
}
