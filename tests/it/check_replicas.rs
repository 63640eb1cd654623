//! `check` on replicas: those that may be missing, labels of their own, limits of roles on a node that is down.

#![expect(clippy::disallowed_methods, reason = "a test sets up what it tests")]

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::common::{Ctx, eventually, tests};
use dbops::sandbox::Cluster;

tests!(
    Ends: a_replica_that_may_be_missing_is_a_warning_and_its_labels_are_matched,
    nodes_that_answer_late_are_late_and_what_they_did_not_tell_is_unknown,
    replicas_are_read_though_the_probe_fails_and_the_primary_is_busy,
    a_primary_in_recovery_is_told,
    an_index_is_unused_when_no_node_scans_it,
    the_rate_of_wal_is_that_since_the_last_checkpoint,
);

/// Findings of one rule.
fn findings<'v>(report: &'v Value, rule: &str) -> Vec<&'v Value> {
    let all = report["findings"].as_array().into_iter().flatten();
    all.filter(|one| one["id"] == rule).collect()
}

/// What a rule says of a node.
fn says<'v>(report: &'v Value, rule: &str, node: &str) -> Result<&'v Value> {
    let mut all = findings(report, rule).into_iter();
    let found = all.find(|one| one["labels"]["node"] == node);
    found.with_context(|| format!("{rule} says nothing of {node}: {report:#}"))
}

async fn a_replica_that_may_be_missing_is_a_warning_and_its_labels_are_matched(
    ctx: &Ctx,
) -> Result<()> {
    let primary = ctx.private_cluster()?.start().await?;
    let mut olap = primary.standby("olap").start().await?;
    let admin = primary.connect("postgres").await?;
    admin
        .batch_execute("create role app login connection limit 5")
        .await?;
    eventually("the role is on the replica", async || {
        let replica = olap.connect("postgres").await?;
        let found = replica.query("select from pg_roles where rolname = 'app'", &[]);
        Ok(found.await?.len() == 1)
    })
    .await?;
    // Rules stand in another file than the replica whose labels they name.
    let folder = ctx.dir().join("plans");
    std::fs::create_dir(&folder)?;
    std::fs::write(
        folder.join("targets.yaml"),
        format!(
            "version: 1\ntargets:\n  main:\n    primary: {{ url: \"{}\" }}\n    replicas:\n      - {{ name: olap, url: \"{}\", required: false, labels: {{ team: data }} }}\n",
            primary.url(),
            olap.url()
        ),
    )?;
    std::fs::write(
        folder.join("rules.yaml"),
        r#"version: 1
rules:
  - { id: up, metric: node.up, expect: [up] }
  - { id: state, metric: replica.state, scope: { team: data }, expect: [streaming] }
  - { id: lag, metric: replica.visible_lag, warn: "> 1ms", override: [{ match: { team: data }, warn: "> 60s" }] }
  - { id: used, metric: conn.used, scope: { team: data }, warn: "> 50" }
  - { id: roles, metric: conn.role_used, scope: { db_role: app }, warn: "> 80%" }
"#,
    )?;
    let check = async |code: i32| {
        let args = ["check", "-o", "json", "--timeout", "20s"];
        ctx.dbops().args(args).run().await?.exits_with(code)?.json()
    };
    let green = check(0).await?;
    let lag = says(&green, "lag", "olap")?;
    ensure!(
        lag["status"] == "ok" && lag["labels"]["team"] == "data",
        "{lag:#}"
    );
    for rule in ["state", "used", "roles"] {
        ensure!(says(&green, rule, "olap")?["status"] == "ok", "{green:#}");
    }
    ensure!(findings(&green, "used").len() == 1, "{green:#}");

    olap.stop();
    let down = check(3).await?;
    let up = says(&down, "up", "olap")?;
    ensure!(
        up["status"] == "warning" && up["state"] == "down",
        "{down:#}"
    );
    ensure!(says(&down, "up", "primary")?["status"] == "ok", "{down:#}");
    ensure!(down["counts"]["critical"] == 0, "{down:#}");
    // What limits it has is not known; that is no rule without anything to hold.
    ensure!(
        says(&down, "roles", "olap")?["status"] == "skipped",
        "{down:#}"
    );
    ensure!(
        says(&down, "roles", "primary")?["status"] == "ok",
        "{down:#}"
    );
    ensure!(
        down["idle"].as_array().is_some_and(Vec::is_empty),
        "{down:#}"
    );
    let status = ctx
        .dbops()
        .args(["pool", "status", "--fail-on", "critical"]);
    status.run().await?.exits_with(0)?;
    Ok(())
}

/// A primary and a standby with a plan file of them.
async fn pair(ctx: &Ctx, user: &str) -> Result<(Cluster, Cluster)> {
    let primary = ctx.private_cluster()?.start().await?;
    let olap = primary.standby("olap").start().await?;
    let of = |url: String| url.replacen("postgres://postgres@", &format!("postgres://{user}@"), 1);
    ctx.plan(&format!(
        r#"targets:
  main:
    primary: {{ url: "{}" }}
    replicas: [{{ name: olap, url: "{}" }}]
rules:
  - {{ id: up, metric: node.up, expect: [up] }}
  - {{ id: lag, metric: replica.visible_lag, warn: "> 60s" }}
  - {{ id: invalid, metric: index.invalid, warn: "> 0" }}
  - {{ id: runway, metric: partition.runway, warn: "< 7d" }}
"#,
        of(primary.url()),
        of(olap.url())
    ))?;
    Ok((primary, olap))
}

async fn nodes_that_answer_late_are_late_and_what_they_did_not_tell_is_unknown(
    ctx: &Ctx,
) -> Result<()> {
    let (primary, _olap) = pair(ctx, "postgres").await?;
    let admin = primary.connect("postgres").await?;
    // Whoever logs in does not read it, and whoever asks for subscriptions waits; standbys hold the lock, too.
    admin
        .batch_execute("begin; lock table pg_subscription in access exclusive mode")
        .await?;
    let args = ["check", "-o", "json", "--timeout", "8s"];
    let report = ctx.dbops().args(args).run().await?.exits_with(1)?.json()?;
    for node in ["primary", "olap"] {
        let up = says(&report, "up", node)?;
        ensure!(
            up["status"] == "critical" && up["state"] == "late",
            "{node}: {report:#}"
        );
    }
    for rule in ["invalid", "runway"] {
        let found = findings(&report, rule);
        ensure!(
            !found.is_empty() && found.iter().all(|one| one["status"] == "unknown"),
            "{rule}: {report:#}"
        );
    }
    ensure!(
        report["idle"].as_array().is_some_and(Vec::is_empty),
        "{report:#}"
    );
    Ok(())
}

async fn replicas_are_read_though_the_probe_fails_and_the_primary_is_busy(ctx: &Ctx) -> Result<()> {
    let (primary, _olap) = pair(ctx, "watcher").await?;
    let admin = primary.connect("postgres").await?;
    admin
        .batch_execute(
            "create role watcher login in role pg_monitor; \
             do $$ begin execute (select string_agg(format('revoke execute on function %s from public', oid::regprocedure), ';') \
                 from pg_proc where proname = 'pg_logical_emit_message'); end $$; \
             create table t (at timestamptz) partition by range (at)",
        )
        .await?;
    let look = async |timeout: &'static str| {
        let args = ["check", "-o", "json", "--timeout", timeout];
        ctx.dbops().args(args).run().await?.json()
    };
    eventually("the role is on the replica", async || {
        let up = look("20s").await?;
        Ok(says(&up, "up", "olap")?["status"] == "ok")
    })
    .await?;
    // The catalog of partitions waits for this until the time is over.
    admin
        .batch_execute("begin; lock table pg_partitioned_table in access exclusive mode")
        .await?;
    let report = look("5s").await?;
    ensure!(says(&report, "up", "olap")?["status"] == "ok", "{report:#}");
    ensure!(
        says(&report, "lag", "olap")?["status"] == "ok",
        "{report:#}"
    );
    ensure!(
        findings(&report, "runway")
            .iter()
            .any(|one| one["status"] == "unknown"),
        "{report:#}"
    );
    Ok(())
}

async fn a_primary_in_recovery_is_told(ctx: &Ctx) -> Result<()> {
    let primary = ctx.private_cluster()?.start().await?;
    let east = primary.standby("east").start().await?;
    let west = primary.standby("west").start().await?;
    ctx.plan(&format!(
        "targets:\n  main:\n    primary: {{ url: \"{}\" }}\n    replicas: [{{ name: west, url: \"{}\" }}]\n",
        east.url(),
        west.url()
    ))?;
    let report = ctx
        .dbops()
        .args(["check", "-o", "json"])
        .run()
        .await?
        .exits_with(1)?
        .json()?;
    let up = says(&report, "node.up", "primary")?;
    ensure!(
        up["status"] == "critical" && up["state"] == "standby",
        "{report:#}"
    );
    ensure!(
        says(&report, "node.up", "west")?["status"] == "ok",
        "{report:#}"
    );
    Ok(())
}

async fn an_index_is_unused_when_no_node_scans_it(ctx: &Ctx) -> Result<()> {
    let (primary, mut olap) = pair(ctx, "postgres").await?;
    let admin = primary.connect("postgres").await?;
    admin
        .batch_execute(
            "create table t (id bigint primary key, a int, b int); \
             create index t_idle on t (a); create index t_reports on t (b); \
             insert into t select n, n, n from generate_series(1, 100) as n",
        )
        .await?;
    eventually("the scan on the replica is counted", async || {
        let replica = olap.connect("postgres").await?;
        let there = "select from pg_class where relname = 't_reports'";
        if replica.query(there, &[]).await?.is_empty() {
            return Ok(false);
        }
        replica
            .batch_execute(
                "set enable_seqscan = off; set enable_bitmapscan = off; select from t where b = 5",
            )
            .await?;
        let counted =
            "select from pg_stat_user_indexes where indexrelname = 't_reports' and idx_scan > 0";
        Ok(!replica.query(counted, &[]).await?.is_empty())
    })
    .await?;
    let plan = ctx.dir().join("unused.yaml");
    let unused = async |window: &str| {
        let rule = format!(
            "version: 1\nrules: [{{ id: unused, metric: index.unused, warn: \"> 0\"{window} }}]\n"
        );
        std::fs::write(&plan, rule)?;
        let (targets, rules) = ("dbops.yaml", "unused.yaml");
        let args = [
            "check", "-o", "json", "--rule", "unused", "--plan", targets, "--plan", rules,
        ];
        let report = ctx.dbops().args(args).run().await?.json()?;
        let found = findings(&report, "unused");
        ensure!(found.len() == 1, "{report:#}");
        anyhow::Ok(found[0].clone())
    };
    eventually("the statistics reach back a second", async || {
        Ok(unused(", window: 1s").await?["status"] == "warning")
    })
    .await?;
    let found = unused(", window: 1s").await?;
    let basis = found["basis"].as_str().unwrap_or_default();
    ensure!(
        found["value"] == 1.0 && basis.contains("t_idle") && !basis.contains("t_reports"),
        "{found:#}"
    );
    let young = unused("").await?;
    ensure!(
        young["status"] == "unknown" && young["basis"].to_string().contains("30 days are needed"),
        "{young:#}"
    );
    olap.stop();
    let alone = unused(", window: 1s").await?;
    ensure!(
        alone["status"] == "unknown"
            && alone["basis"]
                .to_string()
                .contains("olap could not be asked"),
        "{alone:#}"
    );
    Ok(())
}

async fn the_rate_of_wal_is_that_since_the_last_checkpoint(ctx: &Ctx) -> Result<()> {
    let primary = ctx
        .private_cluster()?
        .config("max_slot_wal_keep_size", "64MB")
        .start()
        .await?;
    let admin = primary.connect("postgres").await?;
    admin
        .batch_execute(
            "create role watcher login in role pg_monitor; \
             select pg_create_physical_replication_slot('far', true)",
        )
        .await?;
    // Checkpoints are told by the second: of one that follows the start at once the start is what counts.
    admin.batch_execute("select pg_sleep(2)").await?;
    admin.batch_execute("checkpoint").await?;
    let url = primary
        .url()
        .replacen("postgres://postgres@", "postgres://watcher@", 1);
    ctx.plan(&format!(
        "targets: {{ main: {{ primary: {{ url: \"{url}\" }} }} }}\n\
         rules: [{{ id: loss, metric: slot.time_to_loss, warn: \"< 1s\" }}]"
    ))?;
    let loss = async || {
        let args = ["check", "-o", "json", "--no-probe"];
        let report = ctx.dbops().args(args).run().await?.exits_with(0)?.json()?;
        let found = findings(&report, "loss");
        ensure!(found.len() == 1, "{report:#}");
        anyhow::Ok(found[0].clone())
    };
    let basis = |found: &Value| found["basis"].as_str().unwrap_or_default().to_owned();
    let fresh = loss().await?;
    ensure!(basis(&fresh).ends_with(" of WAL in 1 s"), "{fresh:#}");

    admin
        .batch_execute("create table t as select repeat('x', 900) from generate_series(1, 5000)")
        .await?;
    let age = "select extract(epoch from clock_timestamp() - checkpoint_time)::float8, \
               pg_wal_lsn_diff(pg_current_wal_lsn(), redo_lsn)::float8 from pg_control_checkpoint()";
    eventually("the checkpoint is ten seconds old", async || {
        let row = admin.query_one(age, &[]).await?;
        Ok(row.get::<_, f64>(0) > 10.5)
    })
    .await?;
    let row = admin.query_one(age, &[]).await?;
    let (seconds, bytes): (f64, f64) = (row.get(0), row.get(1));
    let found = loss().await?;
    ensure!(
        basis(&found).ends_with("since the last checkpoint began"),
        "{found:#}"
    );
    let left = found["value"].as_f64().context("no figure")?;
    let safe = "select safe_wal_size::float8 from pg_replication_slots";
    let safe: f64 = admin.query_one(safe, &[]).await?.get(0);
    let expected = safe / (bytes / seconds);
    // The stretch went on between the two questions.
    ensure!(
        left > expected * 0.8 && left < expected * 2.0,
        "{expected}: {found:#}"
    );
    Ok(())
}
