//! `queries top`, `slow` and `compare` against real servers: what they count, find, plan and propose.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::common::{Ctx, Db, tests};

tests!(
    Ends: top_adds_up_what_is_one_statement,
    slow_finds_plans_and_proposes_what_apply_takes,
    compare_finds_what_became_slower,
    planning_runs_no_code_of_others_with_the_rights_of_a_superuser,
);

fn list<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    value[key].as_array().into_iter().flatten().collect()
}

async fn report(ctx: &Ctx, db: &Db, words: &[&str]) -> Result<Value> {
    let run = ctx
        .dbops()
        .on(db)
        .args(["queries"])
        .args(words.iter().copied())
        .args(["--only-database", &db.name, "-o", "json"])
        .run()
        .await?
        .exits_with(0)?;
    Ok(run.json()?["targets"][0].clone())
}

fn statement<'a>(report: &'a Value, text: &str) -> Result<&'a Value> {
    list(report, "statements")
        .into_iter()
        .find(|one| {
            one["text"]
                .as_str()
                .is_some_and(|found| found.contains(text))
        })
        .with_context(|| format!("no statement with `{text}`"))
}

async fn top_adds_up_what_is_one_statement(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create extension pg_stat_statements; create table t (id int primary key, name text)")
        .await?;
    db.run(
        "select y.name from t as y where y.id in (1, 2);
         select y.name from t as y where y.id in (1, 2, 3, 4);
         select x.name from t as x where x.id in (1, 2, 3);
         set work_mem = '1MB';
         select pg_sleep(0.05);
         create role dbops_secret_probe password 'do-not-show';
         drop role dbops_secret_probe",
    )
    .await?;
    // Its own statements must not be there, of an earlier run neither.
    report(ctx, &db, &["slow", "--explain", "5"]).await?;
    let top = report(ctx, &db, &["top", "--limit", "0"]).await?;
    let merged = statement(&top, ".id in")?;
    ensure!(merged["calls"] == 3.0, "{merged}");
    ensure!(
        list(merged, "queryids").iter().all(|id| id.is_string()),
        "{merged}"
    );
    let sleep = statement(&top, "pg_sleep")?;
    ensure!(sleep["p95_low_ms"].as_f64() >= Some(50.0), "{sleep}");
    ensure!(
        sleep["read_ms_per_call"].is_null(),
        "not measured is not 0: {sleep}"
    );
    ensure!(top["noise"]["statements"].as_u64() >= Some(1), "{top}");
    // A histogram that something else counted says more than moments can.
    let print = sleep["fingerprint"].as_str().context("no fingerprint")?;
    let file = ctx.dir().join("histograms.json");
    let write = |calls: &str| {
        let entry = format!(
            r#"{{"fingerprint": "{print}", "bounds_ms": [50, 60, 5000], "calls": {calls}}}"#
        );
        std::fs::write(
            &file,
            format!(r#"{{"format": "dbops.histograms/1", "statements": [{entry}]}}"#),
        )
    };
    write("[0, 99, 1, 0]")?;
    let path = file.to_str().context("no path")?;
    let words = ["top", "--limit", "0", "--histograms", path];
    let counted = report(ctx, &db, &words).await?;
    let sleep = statement(&counted, "pg_sleep")?;
    ensure!(
        sleep["p95_low_ms"] == 50.0 && sleep["p95_high_ms"] == 60.0,
        "{sleep}"
    );
    ensure!(sleep["p95_note"] == "from a histogram", "{sleep}");
    write("[1]")?;
    let refused = ctx.dbops().on(&db).args(["queries"]).args(words);
    let refused = refused.run().await?.exits_with(2)?;
    ensure!(
        refused.stderr.contains("histograms.json") && refused.stderr.contains("one number more"),
        "{}",
        refused.stderr
    );
    let texts = top.to_string();
    for word in [
        "do-not-show",
        "dbops */",
        "pg_stat_statements as s",
        "pg_catalog",
    ] {
        ensure!(!texts.contains(word), "`{word}` in {texts:.2000}");
    }
    let shares: f64 = list(&top, "statements")
        .iter()
        .filter_map(|one| one["time_share"].as_f64())
        .sum();
    ensure!(shares > 0.5 && shares <= 1.0 + 1e-9, "{shares}");
    for form in ["table", "markdown", "html"] {
        let run = ctx
            .dbops()
            .on(&db)
            .args(["queries", "top", "--only-database", &db.name, "-o", form])
            .run()
            .await?
            .exits_with(0)?;
        ensure!(run.stdout.contains("pg_sleep"), "{form}: {}", run.stdout);
        if form == "table" {
            let wide = run.stdout.lines().find(|line| line.chars().count() > 80);
            ensure!(wide.is_none(), "{wide:?}");
        }
    }
    Ok(())
}

async fn slow_finds_plans_and_proposes_what_apply_takes(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create extension pg_stat_statements;
         create table orders (id int primary key, user_id int, created_at timestamptz, note text);
         insert into orders select n, n % 500, now() - n * interval '1 min', repeat('x', 100)
           from generate_series(1, 20000) as n;
         create table small (a int);
         analyze;",
    )
    .await?;
    for user in 0..31 {
        db.run(&format!(
            "select note from orders where user_id = {user} order by created_at desc limit 5;
             select note from orders where id = {user};
             select * from small where a = {user};
             select count(*) from orders where created_at > now() - interval '{user} days'"
        ))
        .await?;
    }
    let plan = ctx.dir().join("proposed.yaml");
    let plan = plan.to_str().context("a path")?;
    let all = [
        "slow",
        "--mean",
        "0.0001ms",
        "--limit",
        "0",
        "--explain",
        "50",
    ];
    let mut words = all.to_vec();
    words.extend(["--write-plan", plan]);
    let slow = report(ctx, &db, &words).await?;
    let orders = statement(&slow, "where user_id =")?;
    ensure!(!list(orders, "broken").is_empty(), "{orders}");
    let planned = &orders["explained"]["plan"];
    ensure!(planned["seq_scans"][0]["table"] == "orders", "{orders}");
    let keys: BTreeSet<String> = list(&slow, "proposals")
        .iter()
        .map(|one| format!("{} {}", one["table"], one["keys"]))
        .collect();
    let expected = [
        r#""public.orders" ["created_at"]"#,
        r#""public.orders" ["user_id","created_at"]"#,
    ];
    ensure!(keys == expected.map(str::to_owned).into(), "{keys:?}");
    ctx.dbops()
        .args(["indexes", "apply", "--dry-run", "--offline", "--plan", plan])
        .run()
        .await?
        .exits_with(0)?;
    ctx.dbops()
        .on(&db)
        .args(["indexes", "apply", "--plan", plan])
        .run()
        .await?
        .exits_with(0)?;
    let again = report(ctx, &db, &all).await?;
    ensure!(
        list(&again, "proposals").is_empty(),
        "what is there is not proposed: {}",
        again["proposals"]
    );
    // A rule that is broken is exit code 1, one that is muted is not.
    let rules =
        "version: 1\nrules:\n  - { id: slow, metric: query.mean_time, warn: \"> 0.0001ms\" }\n";
    let with = async |more: &str| {
        std::fs::write(ctx.dir().join("dbops.yaml"), format!("{rules}{more}"))?;
        ctx.dbops()
            .on(&db)
            .args(["queries", "slow", "--exit-code", "--plan", "dbops.yaml"])
            .run()
            .await
    };
    with("").await?.exits_with(1)?;
    let muted =
        |until: &str| format!("mutes:\n  - {{ rule: slow, until: {until}, reason: known }}\n");
    with(&muted("2099-12-31")).await?.exits_with(0)?;
    let over = with(&muted("2020-12-31")).await?.exits_with(2)?;
    ensure!(over.stderr.contains("dbops.yaml:5:"), "{}", over.stderr);
    Ok(())
}

async fn compare_finds_what_became_slower(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create extension pg_stat_statements; create table t (id int)")
        .await?;
    let work = async |seconds: &str| -> Result<()> {
        for _ in 0..32 {
            db.run(&format!("select pg_sleep({seconds}), 'changed'"))
                .await?;
        }
        Ok(())
    };
    let keep = async |name: &str| -> Result<String> {
        let path = ctx.dir().join(name);
        let path = path.to_str().context("a path")?.to_owned();
        ctx.dbops()
            .on(&db)
            .args(["queries", "snapshot", "--file", &path])
            .args(["--only-database", &db.name])
            .run()
            .await?
            .exits_with(0)?;
        Ok(path)
    };
    work("0.002").await?;
    let before = keep("before.gz").await?;
    work("0.015").await?;
    db.run("select count(*) as newcomer from t").await?;
    let after = keep("after.gz").await?;
    let run = ctx
        .dbops()
        .args(["queries", "compare", &before, &after, "-o", "json"])
        .args(["--fail-on", "regression:200%"])
        .run()
        .await?
        .exits_with(1)?;
    let found = run.json()?;
    let changes = |text: &str| -> Vec<String> {
        list(&found, "changed")
            .into_iter()
            .filter(|one| {
                one["text"]
                    .as_str()
                    .is_some_and(|found| found.contains(text))
            })
            .flat_map(|one| list(one, "changes"))
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect()
    };
    let slower = "slower".to_owned();
    ensure!(changes("pg_sleep($1), $2").contains(&slower), "{found}");
    ensure!(changes("newcomer") == ["new"], "{found}");
    // The same the other way round compares life with life: it began later than it ended.
    ctx.dbops()
        .args(["queries", "compare", &after, &after])
        .run()
        .await?
        .exits_with(0)?;
    Ok(())
}

async fn planning_runs_no_code_of_others_with_the_rights_of_a_superuser(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let role = format!("{}_app", db.name);
    db.run(&format!(
        "create extension pg_stat_statements;
         create table probes (a int); grant select on probes to public;
         create role \"{role}\" login; grant pg_read_all_stats to \"{role}\";
         create function answer() returns int immutable language plpgsql as 'begin return 42; end'"
    ))
    .await?;
    db.run("select * from probes where a = answer()").await?;
    let words = [
        "slow",
        "--mean",
        "0.0001ms",
        "--min-calls",
        "1",
        "--limit",
        "0",
        "--explain",
        "50",
    ];
    let refused = |report: &Value| -> Result<Value> {
        Ok(statement(report, "from probes")?["explained"]["refused"].clone())
    };
    // A function of a superuser is as trusted as the role that asks.
    let own = report(ctx, &db, &words).await?;
    ensure!(refused(&own)?.is_null(), "{own}");
    db.run(&format!("alter function answer() owner to \"{role}\""))
        .await?;
    let foreign = report(ctx, &db, &words).await?;
    ensure!(refused(&foreign)? == "untrusted", "{foreign}");
    // A role that is no superuser has nothing to lose.
    let mut words = words.to_vec();
    words.extend(["--user", &role]);
    let plain = report(ctx, &db, &words).await?;
    ensure!(refused(&plain)?.is_null(), "{plain}");
    Ok(())
}
