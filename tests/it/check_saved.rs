//! Figures that are handed in, stages of growth, and snapshots that are judged without a server.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::common::{Ctx, tests};

tests!(
    Ends: a_snapshot_is_judged_by_other_rules_without_a_server,
    handed_in_figures_and_stages_give_advice_that_fails_only_when_asked,
);

fn finding<'a>(report: &'a Value, rule: &str) -> Result<&'a Value> {
    let mut all = report["findings"].as_array().into_iter().flatten();
    all.find(|one| one["id"] == rule)
        .with_context(|| format!("no finding of `{rule}` in {report:#}"))
}

async fn a_snapshot_is_judged_by_other_rules_without_a_server(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table item (id int primary key, secret text)")
        .await?;
    db.run("insert into item values (1, 'hunter2-literal')")
        .await?;
    ctx.plan("rules:\n  - { id: size, metric: database.size, critical: \"> 1000GB\" }\n")?;
    let now = "2027-03-10T10:00:00Z";
    let taken = ctx
        .at(&db, now, "snapshot -o s.json --burst 2x1s")
        .run()
        .await?
        .exits_with(0)?;
    ensure!(taken.stdout.contains("in 2 looks"), "{}", taken.stdout);
    let text = std::fs::read_to_string(ctx.dir().join("s.json"))?;
    let saved: Value = serde_json::from_str(&text)?;
    ensure!(saved["format"] == "dbops.snapshot/1", "{saved:#}");
    ensure!(!text.contains("hunter2"), "a literal is in the snapshot");
    // Other rules, another day, no server: what was saved is judged as of then.
    ctx.plan(
        r#"rules:
  - { id: size, metric: database.size, scope: { database: DB }, critical: "> 1B" }
  - { id: invalid, metric: index.invalid, warn: "> 0" }
  - { id: peak, metric: conn.peak, warn: "> 10000" }
  - { id: users, metric: app.users, warn: "> 300" }
mutes:
  - { rule: invalid, until: 2027-03-10, reason: "over the day after" }
"#
        .replace("DB", &db.name)
        .as_str(),
    )?;
    let judge = |words: &str| {
        let words = format!("check --from s.json -o json {words}");
        ctx.dbops().args(
            words
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    };
    let judged = judge("").run().await?.exits_with(1)?.json()?;
    ensure!(
        finding(&judged, "size")?["status"] == "critical",
        "{judged:#}"
    );
    ensure!(finding(&judged, "invalid")?["status"] == "ok", "{judged:#}");
    ensure!(finding(&judged, "peak")?["status"] == "ok", "{judged:#}");
    ensure!(
        judged["measured_at"] == "2027-03-10T10:00:00+00:00",
        "{judged:#}"
    );
    let users = finding(&judged, "users")?;
    ensure!(
        users["status"] == "unknown" && users["reason"] == "no_sample",
        "{users}"
    );
    // The same rules on the server say the same of what does not move.
    let live = ctx
        .at(&db, now, "check -o json")
        .run()
        .await?
        .exits_with(1)?
        .json()?;
    for rule in ["size", "invalid", "users"] {
        let status = |report| -> Result<Value> { Ok(finding(report, rule)?["status"].clone()) };
        ensure!(status(&live)? == status(&judged)?, "{rule}");
    }
    // A metric that the snapshot has not is unknown, and a newer format is refused.
    let older = text.replace("\"index.invalid\"", "\"index.unheard-of\"");
    std::fs::write(ctx.dir().join("s.json"), older)?;
    let judged = judge("").run().await?.json()?;
    ensure!(
        finding(&judged, "invalid")?["status"] == "unknown",
        "{judged:#}"
    );
    std::fs::write(
        ctx.dir().join("s.json"),
        text.replace("snapshot/1", "snapshot/2"),
    )?;
    let refused = judge("").run().await?.exits_with(2)?;
    ensure!(
        refused.stderr.contains("dbops.snapshot/1"),
        "{}",
        refused.stderr
    );
    judge("--state x").run().await?.exits_with(2)?;
    Ok(())
}

async fn handed_in_figures_and_stages_give_advice_that_fails_only_when_asked(
    ctx: &Ctx,
) -> Result<()> {
    let db = ctx.db().await?;
    ctx.plan(
        r#"rules:
  - { id: p95, metric: http.p95, warn: "> 500ms", critical: "> 1s" }
stages:
  levels:
    - { id: 1, name: MVP, app.users: "50..300" }
    - { id: 2, name: growth, app.users: "300..1500", asks: [connection pooler] }
  advance:
    to_2: { any: ["http.p95 > 500ms", "database.size > 1000GB for 7d", "http.requests > 40"] }
"#,
    )?;
    let input = |p95: &str| {
        format!(
            r#"{{"format": "dbops.input/1", "metrics": [
                {{"metric": "http.p95", "value": "{p95}", "measured_at": "2027-03-10T10:00:00Z"}},
                {{"metric": "app.users", "value": 120, "measured_at": "2027-03-10T10:00:00Z"}}]}}"#
        )
    };
    let check =
        |at: &str, words: &str| ctx.at(&db, at, &format!("check --input input.json {words}"));
    let now = "2027-03-10T10:00:10Z";
    std::fs::write(ctx.dir().join("input.json"), input("200ms"))?;
    let calm = check(now, "-o json --stages fail")
        .run()
        .await?
        .exits_with(0)?
        .json()?;
    ensure!(finding(&calm, "p95")?["value"] == 0.2, "{calm:#}");
    let stage = &calm["stages"][0];
    ensure!(
        stage["stage"] == "1" && stage["next"]["due"] == false,
        "{stage:#}"
    );
    let states: Vec<&Value> = stage["next"]["signals"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| &one["state"])
        .collect();
    ensure!(states == ["not-met", "not-met", "unknown"], "{stage:#}");
    std::fs::write(ctx.dir().join("input.json"), input("700ms"))?;
    let table = check(now, "").run().await?.exits_with(0)?.stdout;
    for expected in [
        "default is in stage 1 (MVP): app.users 120",
        "stage 2 (growth) is due",
        "met: http.p95 > 500ms: 700 ms now",
        "unknown: http.requests > 40: no_sample",
        "--input FILE",
        "it asks for: connection pooler",
    ] {
        ensure!(table.contains(expected), "{expected} is not in {table}");
    }
    let markdown = check(now, "-o markdown").run().await?.stdout;
    ensure!(markdown.contains("- met: http.p95"), "{markdown}");
    let html = check(now, "-o html").run().await?.stdout;
    ensure!(html.contains("<li>met: http.p95"), "{html}");
    let failed = check(now, "-o json --stages fail")
        .run()
        .await?
        .exits_with(1)?
        .json()?;
    ensure!(failed["status"] == "critical", "{failed:#}");
    // A minute later the figures are old, and nothing else is known.
    let late = check("2027-03-10T10:02:00Z", "-o json")
        .run()
        .await?
        .exits_with(3)?
        .json()?;
    let one = finding(&late, "p95")?;
    ensure!(one["reason"] == "stale_sample", "{one}");
    ensure!(late["stages"][0]["stage"].is_null(), "{late:#}");
    std::fs::write(ctx.dir().join("input.json"), "{}")?;
    let refused = check(now, "").run().await?.exits_with(2)?;
    ensure!(
        refused.stderr.contains("input.json: "),
        "{}",
        refused.stderr
    );
    Ok(())
}
