//! The policies of the reference systems in `plans/`, on servers as they are meant to be: green, and no rule idle.

use anyhow::{Context as _, Result, ensure};
use dbops::sandbox::{Amount, System};
use serde_json::Value;

use crate::common::{Ctx, eventually, tests};

tests!(Ends: every_rule_of_the_reference_systems_is_judged_and_holds,);

/// What the plan files say of the day of the last restore drill is fresh then.
const NOW: &str = "2026-11-10T12:00:00Z";
const SOON: &str = "2026-11-10T12:00:50Z";

const INPUT: &str = r#"{"format": "dbops.input/1", "metrics": [
  {"metric": "http.p50", "value": "90ms", "measured_at": "2026-11-10T12:00:00Z"},
  {"metric": "http.p95", "value": "300ms", "measured_at": "2026-11-10T12:00:00Z"},
  {"metric": "http.p99", "value": "700ms", "measured_at": "2026-11-10T12:00:00Z"},
  {"metric": "http.error_rate", "value": "0.1%", "measured_at": "2026-11-10T12:00:00Z"},
  {"metric": "http.requests", "value": "0.1", "measured_at": "2026-11-10T12:00:00Z"},
  {"metric": "http.uptime", "value": "99.99%", "measured_at": "2026-11-10T12:00:00Z"},
  {"metric": "app.users", "value": "120", "measured_at": "2026-11-10T12:00:00Z"},
  {"metric": "backup.age", "value": "40m", "measured_at": "2026-11-10T12:00:00Z", "every": "1h"}
]}"#;

async fn every_rule_of_the_reference_systems_is_judged_and_holds(ctx: &Ctx) -> Result<()> {
    let primary = ctx
        .private_cluster()?
        .config("max_connections", "200")
        .config("shared_preload_libraries", "pg_stat_statements")
        .config("archive_mode", "on")
        .config("archive_command", "true")
        .start()
        .await?;
    let mut standbys = Vec::new();
    for name in ["one", "two", "three"] {
        standbys.push(
            primary
                .standby(name)
                .slot(name)
                .config("max_connections", "200")
                .start()
                .await?,
        );
    }
    std::fs::write(ctx.dir().join("input.json"), INPUT)?;
    let admin = primary.connect("postgres").await?;
    for system in System::all() {
        let name = system.name();
        admin.query(&format!("create database {name}"), &[]).await?;
        admin
            .query(&format!("create role {name}_app login"), &[])
            .await?;
        let client = primary.connect(name).await?;
        let amount = Amount {
            months: 3,
            rows: 2_000,
            end: Some("2026-11-10 12:00:00".to_owned()),
        };
        system.load(&client, &amount).await?;
        client
            .query("create extension pg_stat_statements", &[])
            .await?;
        let plan = concat!(env!("CARGO_MANIFEST_DIR"), "/plans/").to_owned() + name;
        let url = primary.url_for(name);
        let replica = |at: usize| standbys[at].url_for(name);
        let dbops = |now: &str, words: &str| {
            let all = format!("{words} --plan {plan} --as-of {now}");
            ctx.dbops()
                .env("DATABASE_URL", &url)
                .env("REPLICA_URL", replica(0))
                .env("REPLICA_EAST_URL", replica(0))
                .env("REPLICA_WEST_URL", replica(1))
                .env("REPLICA_MENU_URL", replica(0))
                .env("REPLICA_ANALYTICS_URL", replica(1))
                .env("REPLICA_ADMIN_URL", replica(2))
                .args(
                    all.split_whitespace()
                        .map(str::to_owned)
                        .collect::<Vec<_>>(),
                )
        };
        dbops(NOW, "partitions ensure").run().await?.exits_with(0)?;
        dbops(NOW, "indexes apply").run().await?.exits_with(0)?;
        client
            .query("select pg_stat_statements_reset()", &[])
            .await?;
        for _ in 0..4 {
            // So often that the statement has figures.
            for _ in 0..50 {
                client.query("select count(*) from pg_class", &[]).await?;
            }
            dbops(NOW, "queries snapshot").run().await?.exits_with(0)?;
        }
        let words = format!("check -o json --input input.json --state {name}.state");
        dbops(NOW, &words).run().await?;
        let mut seen = Value::Null;
        // A standby that was just made may still catch up.
        eventually(&format!("{name} is green"), async || {
            seen = dbops(SOON, &words).run().await?.json()?;
            let of = |status: &str| seen["counts"][status].as_u64();
            Ok(of("critical") == Some(0) && of("unknown") == Some(0) && of("skipped") == Some(0))
        })
        .await
        .with_context(|| {
            let all = seen["findings"].as_array().into_iter().flatten();
            let open: Vec<String> = all
                .filter(|one| one["status"] != "ok")
                .map(|one| {
                    format!(
                        "{} {} {}: {}",
                        one["status"], one["id"], one["labels"], one["why"]
                    )
                })
                .collect();
            open.join("\n")
        })?;
        ensure!(
            seen["idle"].as_array().is_some_and(Vec::is_empty),
            "{name}: {}",
            seen["idle"]
        );
        // The disk of this machine is not the system's, and a millisecond is too short to promise.
        let warned: Vec<&Value> = seen["findings"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one["status"] == "warning")
            .filter(|one| one["id"] != "storage" && one["id"] != "replica.lag.menu")
            .collect();
        ensure!(warned.is_empty(), "{name}: {warned:#?}");
        if ["agents", "rural24"].contains(&name) {
            let stage = &seen["stages"][0];
            ensure!(
                stage["stage"] == "1" && stage["next"]["due"] == false,
                "{stage:#}"
            );
            let unknown = stage["next"]["signals"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|one| one["state"] == "unknown");
            ensure!(unknown.count() == 0, "{stage:#}");
        }
    }
    Ok(())
}
