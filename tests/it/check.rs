//! `dbops check` against real servers: what it finds, what it does not know, and what it exits with.

use std::net::TcpListener;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::common::{Ctx, Db, Dbops, tests};

tests!(
    Ends: a_server_as_declared_is_green_and_what_breaks_is_found,
    what_cannot_be_measured_is_never_good,
    findings_wait_for_their_time_in_a_state_file,
    a_target_that_hangs_delays_no_other,
    ages_sizes_and_archiving_are_those_of_the_server,
    stored_readings_tell_slower_statements_and_loops,
    replicas_and_slots_are_judged_and_one_that_is_down_is_one_cause,
);

const PLAN: &str = r#"partitions:
  - { table: public.events, every: month, premake: 2, retain: 12 months }
indexes:
  - { name: idx_events_kind, table: public.events, columns: [kind] }
rules:
  - { id: indexes, metric: index.state, expect: [converged] }
  - { id: invalid, metric: index.invalid, warn: "> 0" }
  - { id: runway, metric: partition.runway, warn: "< 40d", critical: "< 5d" }
  - { id: gaps, metric: partition.gaps, warn: "> 0" }
  - { id: expired, metric: partition.expired, warn: "> 0" }
  - { id: slots, metric: index.state, scope: { index: "no_*" }, expect: [converged] }
"#;

const NOW: &str = "2027-03-10";

async fn shop(ctx: &Ctx) -> Result<Db> {
    let db = ctx.db().await?;
    db.run("create table events (at timestamptz not null, kind text) partition by range (at)")
        .await?;
    ctx.plan(PLAN)?;
    ctx.at(&db, NOW, "partitions ensure")
        .run()
        .await?
        .exits_with(0)?;
    ctx.at(&db, NOW, "indexes apply")
        .run()
        .await?
        .exits_with(0)?;
    Ok(db)
}

fn findings<'a>(report: &'a Value, rule: &str) -> Vec<&'a Value> {
    let all = report["findings"].as_array().into_iter().flatten();
    all.filter(|one| one["id"] == rule).collect()
}

fn finding<'a>(report: &'a Value, rule: &str) -> Result<&'a Value> {
    findings(report, rule)
        .first()
        .copied()
        .with_context(|| format!("no finding of `{rule}` in {report:#}"))
}

async fn a_server_as_declared_is_green_and_what_breaks_is_found(ctx: &Ctx) -> Result<()> {
    let db = shop(ctx).await?;
    let check = |now: &str, words: &str| -> Dbops { ctx.at(&db, now, &format!("check {words}")) };
    let green = check(NOW, "-o json").run().await?.exits_with(0)?.json()?;
    ensure!(
        green["format"] == "dbops.check/1" && green["status"] == "ok",
        "{green:#}"
    );
    ensure!(
        finding(&green, "indexes")?["state"] == "converged",
        "{green:#}"
    );
    ensure!(finding(&green, "node.up")?["state"] == "up", "{green:#}");
    ensure!(green["idle"][0] == "slots", "{green:#}");
    // March to May are covered: 83 days from the tenth of March.
    let runway = finding(&green, "runway")?;
    ensure!(
        runway["value"].as_f64() == Some(83.0 * 86_400.0),
        "{runway}"
    );
    ensure!(finding(&green, "expired")?["value"] == 0.0, "{green:#}");
    // The dates pass, nobody makes partitions, and somebody drops an index.
    db.run("drop index idx_events_kind").await?;
    let late = "2027-05-29";
    let red = check(late, "-o json").run().await?.exits_with(1)?.json()?;
    ensure!(red["status"] == "critical", "{red:#}");
    ensure!(finding(&red, "runway")?["status"] == "critical", "{red:#}");
    let index = finding(&red, "indexes")?;
    ensure!(
        index["state"] == "missing" && index["status"] == "critical",
        "{index}"
    );
    ensure!(index["policy"]["line"] == 7, "{index}");
    // Two months later the tables are past, and a year later they are past what is kept.
    let over = check("2028-06-10", "-o json")
        .run()
        .await?
        .exits_with(1)?
        .json()?;
    ensure!(finding(&over, "runway")?["value"] == 0.0, "{over:#}");
    let expired = finding(&over, "expired")?;
    ensure!(expired["value"].as_f64() >= Some(2.0), "{expired}");
    ensure!(
        expired["basis"]
            .as_str()
            .is_some_and(|text| text.contains("events_2027_03")),
        "{expired}"
    );
    // A role that may only look counts the same: nothing may be taken away by it, and nothing is.
    let role = format!("{}_watch", db.name);
    db.run(&format!(
        "create role \"{role}\" login; grant pg_monitor to \"{role}\""
    ))
    .await?;
    let seen = check(
        "2028-06-10",
        &format!("-o json --rule expired --user {role}"),
    )
    .run()
    .await?
    .json()?;
    ensure!(
        finding(&seen, "expired")?["value"] == expired["value"],
        "{seen:#}"
    );
    // Exit codes: warnings alone pass unless asked; Nagios has numbers of its own.
    let warned = "2027-04-25";
    db.run("create index idx_events_kind on events (kind)")
        .await?;
    check(warned, "").run().await?.exits_with(0)?;
    check(warned, "--fail-on warning")
        .run()
        .await?
        .exits_with(1)?;
    let nagios = check(warned, "--exit-profile nagios -o nagios")
        .run()
        .await?
        .exits_with(1)?;
    ensure!(
        nagios.stdout.starts_with("DBOPS WARNING - 1 warning, "),
        "{}",
        nagios.stdout
    );
    ensure!(
        nagios.stdout.contains("'runway default: "),
        "{}",
        nagios.stdout
    );
    let late = check(late, "--exit-profile nagios -o nagios")
        .run()
        .await?
        .exits_with(2)?;
    ensure!(
        late.stdout.starts_with("DBOPS CRITICAL - 1 critical, "),
        "{}",
        late.stdout
    );
    let explained = check(warned, "--explain runway public.events")
        .run()
        .await?
        .exits_with(0)?;
    for expected in [
        "partition.runway",
        "limits: warn < 40d, critical < 5d (dbops.yaml:9:7)",
    ] {
        ensure!(explained.stdout.contains(expected), "{}", explained.stdout);
    }
    check(warned, "--explain runway nowhere")
        .run()
        .await?
        .exits_with(2)?;
    check(warned, "--rule runaway").run().await?.exits_with(2)?;
    // Nothing was written by any of it.
    let schemas: i64 = db
        .value("select count(*) from pg_namespace where nspname = 'dbops'")
        .await?;
    let runs: i64 = db.value("select count(*) from dbops.run").await?;
    ensure!(schemas == 1 && runs == 2, "{schemas} schemas, {runs} runs");
    Ok(())
}

async fn what_cannot_be_measured_is_never_good(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let role = format!("{}_plain", db.name);
    db.run(&format!("create role \"{role}\" login")).await?;
    ctx.plan(
        r#"partitions:
  - { table: public.nowhere, every: month, premake: 2 }
rules:
  - { id: runway, metric: partition.runway, critical: "< 1d" }
  - { id: mean, metric: query.mean_time, critical: "> 1h" }
  - { id: wal, metric: wal.size, critical: "> 100GB" }
"#,
    )?;
    // No table, no extension, no right to list the WAL folder: three unknown figures, each with its reason.
    let run = ctx
        .dbops()
        .on(&db)
        .args(["check", "-o", "json", "--user", &role])
        .run()
        .await?
        .exits_with(3)?;
    let report = run.json()?;
    ensure!(report["status"] == "unknown", "{report:#}");
    for (rule, reason) in [
        ("runway", "no_sample"),
        ("mean", "no_sample"),
        ("wal", "no_privilege"),
    ] {
        let one = finding(&report, rule)?;
        ensure!(
            one["status"] == "unknown" && one["reason"] == reason,
            "{one}"
        );
        ensure!(one["value"].is_null() && one["fix"].is_string(), "{one}");
    }
    let check = |words: &str| {
        ctx.dbops()
            .on(&db)
            .args(["check", "--user", &role])
            .args(words.split_whitespace())
    };
    check("--exit-profile nagios").run().await?.exits_with(3)?;
    check("--fail-on unknown").run().await?.exits_with(1)?;
    let metrics = check("-o openmetrics").run().await?.exits_with(3)?.stdout;
    ensure!(
        metrics.contains("metric=\"wal.size\"") && metrics.contains("} NaN"),
        "{metrics}"
    );
    // A server that is not there is one cause, and everything else is skipped, not green.
    let down = |words: &str| {
        ctx.dbops()
            .args(["check", "--host", "127.0.0.1", "--port", "1"])
            .args(words.split_whitespace())
    };
    let report = down("-o json").run().await?.exits_with(1)?.json()?;
    ensure!(
        finding(&report, "node.up")?["state"] == "down",
        "{report:#}"
    );
    ensure!(
        report["counts"]["skipped"] == 3 && report["counts"]["ok"] == 0,
        "{report:#}"
    );
    down("--exit-profile nagios").run().await?.exits_with(2)?;
    // A mistake in the plan is UNKNOWN for Nagios, with its reason in the line.
    ctx.plan("rules:\n  - { id: a, metric: wal.sice, warn: \"> 1\" }\n")?;
    let run = down("--exit-profile nagios").run().await?.exits_with(3)?;
    ensure!(run.stdout.starts_with("DBOPS UNKNOWN - "), "{}", run.stdout);
    down("").run().await?.exits_with(2)?;
    Ok(())
}

async fn findings_wait_for_their_time_in_a_state_file(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    ctx.plan(
        r#"defaults: { every: 1min }
rules:
  - { id: size, metric: database.size, scope: { database: DB }, critical: "> 1B", for: 2m }
  - { id: many, metric: database.size, scope: { database: DB }, warn: "> 1B", samples: { need: 3, of: 3 } }
"#
        .replace("DB", &db.name)
        .as_str(),
    )?;
    let check = |at: &str, words: &str| ctx.at(&db, at, &format!("check -o json {words}"));
    let mut seen = Vec::new();
    for minute in ["00", "01", "02", "09"] {
        let at = format!("2027-03-10T10:{minute}:00Z");
        let report = check(&at, "--state check.state").run().await?.json()?;
        let status = |rule: &str| -> Result<String> {
            Ok(finding(&report, rule)?["status"]
                .as_str()
                .unwrap_or_default()
                .to_owned())
        };
        seen.push((status("size")?, status("many")?));
    }
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    ensure!(
        seen == [
            pair("pending", "pending"),
            pair("pending", "pending"),
            pair("critical", "warning"),
            // Nobody looked for seven minutes.
            pair("pending", "pending"),
        ],
        "{seen:?}"
    );
    // A damaged file is started over and told; a burst needs none.
    std::fs::write(ctx.dir().join("check.state"), "{ damaged")?;
    let run = check(NOW, "--state check.state")
        .run()
        .await?
        .exits_with(0)?;
    ensure!(run.stderr.contains("started over"), "{}", run.stderr);
    let report = ctx
        .dbops()
        .on(&db)
        .args(["check", "-o", "json", "--burst", "3x10ms"])
        .run()
        .await?
        .json()?;
    ensure!(
        finding(&report, "many")?["status"] == "warning",
        "{report:#}"
    );
    check(NOW, "--pending fail").run().await?.exits_with(1)?;
    let textfile = ctx.dir().join("dbops.prom");
    check(NOW, "--textfile dbops.prom")
        .run()
        .await?
        .exits_with(0)?;
    let text = std::fs::read_to_string(textfile)?;
    ensure!(
        text.contains("dbops_check_status{rule=\"size\"") && text.ends_with("# EOF\n"),
        "{text}"
    );
    let rest: Vec<_> = std::fs::read_dir(ctx.dir())?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".tmp"))
        .collect();
    ensure!(rest.is_empty(), "{rest:?}");
    Ok(())
}

async fn a_target_that_hangs_delays_no_other(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let port = silent.local_addr()?.port();
    ctx.plan(&format!(
        r#"targets:
  good: {{ primary: {{ url_env: GOOD }} }}
  hung: {{ primary: {{ url: "postgres://nobody@127.0.0.1:{port}/x" }} }}
  gone: {{ primary: {{ url: "postgres://nobody@127.0.0.1:1/x" }} }}
rules:
  - {{ id: xid, metric: xid.age, critical: "> 2000000000" }}
"#
    ))?;
    let run = ctx
        .dbops()
        .env("GOOD", &db.url)
        .args(["check", "--target", "all", "--timeout", "2s", "-o", "json"])
        .run()
        .await?
        .exits_with(1)?;
    let report = run.json()?;
    let state = |target: &str| {
        let all = findings(&report, "node.up");
        let found = all
            .into_iter()
            .find(|one| one["labels"]["target"] == target);
        found.map(|one| one["state"].clone())
    };
    ensure!(state("good") == Some("up".into()), "{report:#}");
    ensure!(state("hung") == Some("down".into()), "{report:#}");
    ensure!(state("gone") == Some("down".into()), "{report:#}");
    let good = findings(&report, "xid");
    ensure!(
        good.iter()
            .any(|one| one["labels"]["target"] == "good" && one["status"] == "ok"),
        "{report:#}"
    );
    ensure!(report["counts"]["skipped"] == 2, "{report:#}");
    Ok(())
}

async fn ages_sizes_and_archiving_are_those_of_the_server(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    ctx.plan(
        &format!(
            r#"rules:
  - {{ id: xid, metric: xid.age, critical: "> 2000000000" }}
  - {{ id: size, metric: database.size, scope: {{ database: {} }}, critical: "> 1TB" }}
  - {{ id: wal, metric: wal.size, critical: "> 1TB" }}
  - {{ id: archive, metric: archive.state, expect: [off] }}
"#,
            db.name
        )
        .replace("1TB", "1000GB"),
    )?;
    let report = ctx
        .dbops()
        .on(&db)
        .args(["check", "-o", "json"])
        .run()
        .await?
        .exits_with(0)?
        .json()?;
    let databases: i64 = db.value("select count(*) from pg_database").await?;
    // Other tests make and drop databases meanwhile.
    ensure!(
        !findings(&report, "xid").is_empty() && databases > 0,
        "{report:#}"
    );
    let size = finding(&report, "size")?["value"]
        .as_f64()
        .context("no size")?;
    let now: i64 = db
        .value("select pg_database_size(current_database())")
        .await?;
    ensure!((size / now as f64 - 1.0).abs() < 0.2, "{size} and {now}");
    ensure!(
        finding(&report, "wal")?["value"].as_f64() >= Some(16_777_216.0),
        "{report:#}"
    );
    ensure!(finding(&report, "archive")?["state"] == "off", "{report:#}");
    Ok(())
}

async fn stored_readings_tell_slower_statements_and_loops(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create extension pg_stat_statements;
         create table posts (id bigint primary key);
         create table comments (id bigint primary key, post_id bigint not null references posts);
         insert into posts select generate_series(1, 40);
         insert into comments select n, n from generate_series(1, 40) as n",
    )
    .await?;
    ctx.plan(
        r#"rules:
  - { id: slower, metric: query.regression, critical: "> 50%" }
  - { id: loops, metric: query.n_plus_one_score, warn: ">= 1" }
"#,
    )?;
    let check = async || -> Result<Value> {
        let run = ctx
            .dbops()
            .on(&db)
            .args(["check", "-o", "json"])
            .run()
            .await?;
        run.json()
    };
    let snapshot = async || -> Result<()> {
        let args = ["queries", "snapshot", "--only-database", &db.name];
        ctx.dbops().on(&db).args(args).run().await?.exits_with(0)?;
        Ok(())
    };
    let none = check().await?;
    for rule in ["slower", "loops"] {
        let one = finding(&none, rule)?;
        ensure!(
            one["status"] == "unknown" && one["reason"] == "no_sample",
            "{one}"
        );
    }
    let client = db.connect().await?;
    let list = client
        .prepare("select id from posts order by id limit $1")
        .await?;
    let one = client
        .prepare("select id from comments where post_id = $1")
        .await?;
    let nap = client.prepare("select pg_sleep($1)").await?;
    for round in 0..8 {
        for _ in 0..(round % 3 + 1) {
            for row in client.query(&list, &[&20_i64]).await? {
                client.query(&one, &[&row.get::<_, i64>(0)]).await?;
            }
        }
        let seconds = if round == 7 { 0.02_f64 } else { 0.002 };
        for _ in 0..40 {
            client.query(&nap, &[&seconds]).await?;
        }
        snapshot().await?;
    }
    let report = check().await?;
    let slower = findings(&report, "slower");
    ensure!(
        slower.len() == 1,
        "only what is broken is listed: {report:#}"
    );
    ensure!(
        slower[0]["labels"]["text"]
            .as_str()
            .is_some_and(|text| text.contains("pg_sleep"))
            && slower[0]["value"].as_f64() > Some(200.0)
            && slower[0]["status"] == "critical",
        "{report:#}"
    );
    ensure!(report["counts"]["ok"].as_u64() > Some(1), "{report:#}");
    let loops = findings(&report, "loops");
    ensure!(
        loops.iter().any(|one| one["labels"]["text"]
            .as_str()
            .is_some_and(|text| text.contains("from comments"))
            && one["status"] == "warning"
            && one["value"].as_f64() >= Some(1.0)),
        "{report:#}"
    );
    Ok(())
}

async fn replicas_and_slots_are_judged_and_one_that_is_down_is_one_cause(ctx: &Ctx) -> Result<()> {
    let primary = ctx.private_cluster()?.start().await?;
    let mut menu = primary.standby("menu").slot("menu").start().await?;
    ctx.plan(&format!(
        r#"targets:
  main:
    primary: {{ url: "{}" }}
    replicas: [{{ name: menu, url: "{}", use: menu }}]
    poolers: [{{ name: pgb, kind: pgbouncer, url: "postgres://nobody@127.0.0.1:1/pgbouncer" }}]
rules:
  - {{ id: lag, metric: replica.visible_lag, scope: {{ role: replica }}, critical: "> 60s" }}
  - {{ id: state, metric: replica.state, expect: [streaming] }}
  - {{ id: slots, metric: slot.wal_status, expect: [reserved, extended] }}
  - {{ id: kept, metric: slot.retained_bytes, critical: "> 100GB" }}
  - {{ id: used, metric: conn.effective_used, critical: ">= 100%" }}
  - {{ id: up, metric: node.up, scope: {{ role: primary }}, expect: [up] }}
  - {{ id: node.up, metric: node.up, scope: {{ role: "!pooler" }}, expect: [up] }}
  - {{ id: poolers, metric: node.up, scope: {{ role: pooler }}, expect: [up], level: warn }}
  - {{ id: waiting, metric: pool.waiting, warn: "> 0" }}
  - {{ id: wal, metric: wal.size, scope: {{ node: primary, role: primary }}, critical: "> 1000GB" }}
  - {{ id: of-slots, metric: slot.retained_bytes, scope: {{ node: primary, role: primary }}, critical: "> 1000GB" }}
"#,
        primary.url(),
        menu.url()
    ))?;
    let check = |words: &str| {
        let words = ["check", "-o", "json"]
            .into_iter()
            .chain(words.split_whitespace());
        ctx.dbops()
            .args(words.map(str::to_owned).collect::<Vec<_>>())
    };
    // The pooler is not there: that is told, and what it alone could tell is skipped, not green.
    let green = check("").run().await?.exits_with(1)?.json()?;
    ensure!(
        finding(&green, "poolers")?["status"] == "warning",
        "{green:#}"
    );
    let waiting = finding(&green, "waiting")?;
    ensure!(
        waiting["status"] == "skipped" && waiting["labels"]["pooler"] == "pgb",
        "{waiting}"
    );
    // A rule on node.up with a scope leaves the others to the one that is always there.
    let any = findings(&green, "node.up.any");
    ensure!(
        any.len() == 3 && any[0]["labels"]["node"] == "pgb" && any[0]["status"] == "critical",
        "{green:#}"
    );
    let lag = finding(&green, "lag")?;
    ensure!(
        lag["status"] == "ok" && lag["basis"] == "probe",
        "{green:#}"
    );
    ensure!(
        lag["labels"]["use"] == "menu" && lag["resolution"].is_number(),
        "{lag}"
    );
    ensure!(
        finding(&green, "state")?["state"] == "streaming",
        "{green:#}"
    );
    ensure!(
        finding(&green, "slots")?["labels"]["slot"] == "menu",
        "{green:#}"
    );
    ensure!(findings(&green, "used").len() == 2, "{green:#}");
    // Every family knows the primary by one name and role.
    for rule in ["up", "wal", "of-slots"] {
        ensure!(finding(&green, rule)?["status"] == "ok", "{green:#}");
    }
    ensure!(
        green["idle"].as_array().is_some_and(Vec::is_empty),
        "{green:#}"
    );
    // Nothing is written: the servers' own figures, and never a zero that nobody measured.
    let passive = check("--no-probe --rule lag").run().await?.json()?;
    ensure!(finding(&passive, "lag")?["basis"] != "probe", "{passive:#}");
    menu.stop();
    let red = check("").run().await?.exits_with(1)?.json()?;
    let up: Vec<_> = findings(&red, "node.up");
    let of = |node: &str| {
        up.iter()
            .find(|one| one["labels"]["node"] == node)
            .map(|one| one["state"].clone())
    };
    ensure!(
        of("menu") == Some("down".into()) && of("primary") == Some("up".into()),
        "{red:#}"
    );
    let lag = finding(&red, "lag")?;
    ensure!(
        lag["status"] == "skipped" && lag["value"].is_null(),
        "{lag}"
    );
    // Slots of the primary are known, those of the replica are not.
    let slots = findings(&red, "slots");
    let status = |node: &str| {
        let found = slots.iter().find(|one| one["labels"]["node"] == node);
        found.map(|one| one["status"].clone())
    };
    ensure!(status("primary") == Some("ok".into()), "{red:#}");
    ensure!(status("menu") == Some("skipped".into()), "{red:#}");
    // The primary is down as well: one cause for each rule, told once.
    let mut primary = primary;
    primary.stop();
    let dark = check("").run().await?.exits_with(1)?.json()?;
    ensure!(finding(&dark, "up")?["status"] == "critical", "{dark:#}");
    for (rule, times) in [("wal", 1), ("slots", 2), ("state", 1), ("used", 2)] {
        let all = findings(&dark, rule);
        let skipped = all.iter().all(|one| one["status"] == "skipped");
        ensure!(all.len() == times && skipped, "{rule}: {dark:#}");
    }
    ensure!(dark["counts"]["ok"] == 0, "{dark:#}");
    // What is wrong in the plan or the environment is no node that is down.
    ctx.plan("targets: { main: { primary: { url_env: NOT_SET_ANYWHERE } } }")?;
    let run = check("").run().await?.exits_with(2)?;
    ensure!(run.stderr.contains("NOT_SET_ANYWHERE"), "{}", run.stderr);
    Ok(())
}
