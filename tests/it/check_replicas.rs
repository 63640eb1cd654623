//! `check` on replicas: those that may be missing, labels of their own, limits of roles on a node that is down.

#![expect(clippy::disallowed_methods, reason = "a test sets up what it tests")]

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::common::{Ctx, eventually, tests};

tests!(Ends: a_replica_that_may_be_missing_is_a_warning_and_its_labels_are_matched);

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
