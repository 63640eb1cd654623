//! `partitions list`: what stands, managed or not.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::common::{Ctx, Run, holds, same, tests};

tests!(
    Ends: every_partitioned_table_is_listed_with_its_facts,
    the_runway_says_from_when_on_inserts_fail,
    gaps_default_rows_and_detached_tables_are_shown,
    periods_are_recognised_without_a_policy,
    without_a_plan_file_everything_is_listed,
    a_role_without_rights_still_sees_the_bounds,
);

fn table<'a>(json: &'a Value, name: &str) -> Result<&'a Value> {
    json["targets"][0]["tables"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|table| table["table"] == format!("public.{name}"))
        .with_context(|| format!("{name} is not in {json:#}"))
}

async fn json(ctx: &Ctx, db: &crate::common::Db) -> Result<Value> {
    ctx.runs(db, "partitions list --output json", 0)
        .await?
        .json()
}

async fn every_partitioned_table_is_listed_with_its_facts(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table managed (at timestamptz not null) partition by range (at); \
         create table wild (at date not null) partition by range (at); \
         create table wild_p2026_01 partition of wild for values from ('2026-01-01') to ('2026-02-01'); \
         create table wild_p2026_02 partition of wild for values from ('2026-02-01') to ('2026-03-01'); \
         create table by_list (kind text) partition by list (kind); create table by_list_a partition of by_list for values in ('a'); \
         create table by_hash (id int) partition by hash (id); \
         create table expr (at timestamp) partition by range (date_trunc('month', at)); \
         create table plain (id int)",
    )
    .await?;
    ctx.plan("partitions:\n  - { table: managed, every: week, time_zone: Europe/Berlin }")?;
    ctx.ensures(&db, 0).await?;
    db.run("insert into wild select d::date from generate_series(1, 250), unnest(array['2026-01-05', '2026-02-05']) d; analyze")
        .await?;
    let json = json(ctx, &db).await?;
    same(
        json["targets"][0]["tables"].as_array().map(Vec::len),
        Some(5),
    )?;
    let managed = table(&json, "managed")?;
    same(managed["period"].clone(), "week".into())?;
    same(managed["time_zone"].clone(), "Europe/Berlin".into())?;
    same(managed["partitions"].as_array().map(Vec::len), Some(4))?;
    same(managed["oldest"].clone(), "2026-02-08 23:00:00+00".into())?;
    same(managed["newest"].clone(), "2026-03-08 23:00:00+00".into())?;
    holds(&managed["policy"].to_string(), &["dbops.yaml"])?;
    let wild = table(&json, "wild")?;
    same(wild["period"].clone(), "month".into())?;
    ensure!(
        wild["policy"].is_null() && wild["time_zone"].is_null(),
        "{wild:#}"
    );
    same(wild["rows_estimate"].clone(), 500.into())?;
    ensure!(wild["bytes"].as_i64() > Some(8_000), "{wild:#}");
    same(wild["partitions"][0]["from"].clone(), "2026-01-01".into())?;
    let text = ctx.runs(&db, "partitions list", 0).await?.stdout;
    holds(
        &text,
        &[
            "public.managed",
            "by list",
            "by hash",
            "not recognised",
            "week in Europe/Berlin",
            "~500",
            "public.wild: no policy",
        ],
    )?;
    let one: Run = ctx
        .runs(&db, "partitions list wild --partitions", 0)
        .await?;
    holds(&one.stdout, &["wild_p2026_01", "2026-01-01", "2026-02-01"])?;
    ensure!(!one.stdout.contains("managed"));
    holds(
        &ctx.runs(&db, "partitions list gone", 0).await?.stderr,
        &["no partitioned table public.gone"],
    )
}

async fn the_runway_says_from_when_on_inserts_fail(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table a (at timestamptz not null) partition by range (at); \
         create table a1 partition of a for values from ('2026-02-01 00:00:00+00') to ('2026-03-01 00:00:00+00'); \
         create table a3 partition of a for values from ('2026-04-01 00:00:00+00') to ('2026-05-01 00:00:00+00'); \
         create table late (at date not null) partition by range (at); \
         create table late1 partition of late for values from ('2025-01-01') to ('2026-02-01'); \
         create table ever (at date not null) partition by range (at); \
         create table ever1 partition of ever for values from ('2025-01-01') to (maxvalue); \
         create table soft (at date not null) partition by range (at); create table soft_rest partition of soft default",
    )
    .await?;
    ctx.plan("partitions: []").ok();
    std::fs::remove_file(ctx.dir().join("dbops.yaml")).ok();
    let json = json(ctx, &db).await?;
    let runway = |name: &str| table(&json, name).map(|table| table["runway"].clone());
    // The gap in March counts, not the end of April.
    same(
        runway("a")?["until_instant"].clone(),
        "2026-03-01T00:00:00Z".into(),
    )?;
    same(
        runway("a")?["seconds"].clone(),
        (18 * 86_400 + 43_200).into(),
    )?;
    same(runway("late")?["seconds"].clone(), 0.into())?;
    ensure!(runway("ever")?["until"].is_null());
    same(runway("soft")?["falls_into_default"].clone(), true.into())?;
    let text = ctx.runs(&db, "partitions list", 0).await?.stdout;
    holds(
        &text,
        &[
            "public.a: inserts fail from 2026-03-01",
            "public.late: inserts fail now",
            "public.soft: rows fall into DEFAULT",
            "endless",
            "1 gap",
        ],
    )
}

async fn gaps_default_rows_and_detached_tables_are_shown(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table a (at date not null) partition by range (at); \
         create table a1 partition of a for values from ('2025-10-01') to ('2025-11-01'); \
         create table a2 partition of a for values from ('2026-01-01') to ('2026-03-01'); \
         create table a_rest partition of a default; insert into a values ('2024-07-01'), ('2027-01-01'), ('2026-01-01')",
    )
    .await?;
    ctx.plan("partitions:\n  - { table: a, every: month, retain: 2 months }")?;
    let before = json(ctx, &db).await?;
    same(
        table(&before, "a")?["gaps"].clone(),
        serde_json::json!([{"from": "2025-11-01", "to": "2026-01-01"}]),
    )?;
    let default_rows = table(&before, "a")?["default_rows"].clone();
    same(default_rows["count"].clone(), 2.into())?;
    same(default_rows["min"].clone(), "2024-07-01".into())?;
    ctx.runs(&db, "partitions prune", 0).await?;
    let after = json(ctx, &db).await?;
    same(
        table(&after, "a")?["detached"][0]["name"].clone(),
        "public.a1".into(),
    )?;
    let text = ctx.runs(&db, "partitions list", 0).await?.stdout;
    holds(
        &text,
        &[
            "DEFAULT holds 2 rows from 2024-07-01 to 2027-01-01",
            "a1 is detached and may be dropped from 2026-02-17",
        ],
    )
}

async fn periods_are_recognised_without_a_policy(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let cases = [
        ("hours", "timestamp", "hour"),
        ("days", "date", "day"),
        ("weeks", "date", "week"),
        ("months", "timestamptz", "month"),
        ("quarters", "date", "quarter"),
        ("years", "date", "year"),
    ];
    let mut plan = "partitions:\n".to_owned();
    for (name, type_name, every) in cases {
        db.run(&format!(
            "create table {name} (at {type_name} not null) partition by range (at)"
        ))
        .await?;
        plan.push_str(&format!(
            "  - {{ table: {name}, every: {every}, premake: 6 }}\n"
        ));
    }
    ctx.plan(&plan)?;
    ctx.ensures(&db, 0).await?;
    std::fs::remove_file(ctx.dir().join("dbops.yaml"))?;
    let json = json(ctx, &db).await?;
    for (name, _, every) in cases {
        same(table(&json, name)?["period"].clone(), every.into())?;
    }
    Ok(())
}

async fn without_a_plan_file_everything_is_listed(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let empty = ctx.runs(&db, "partitions list", 0).await?;
    holds(&empty.stdout, &["no partitioned tables"])?;
    db.run("create table a (at date) partition by range (at)")
        .await?;
    holds(
        &ctx.runs(&db, "partitions list", 0).await?.stdout,
        &["public.a", "none"],
    )?;
    holds(
        &ctx.runs(&db, "partitions ensure", 2).await?.stderr,
        &["dbops.yaml"],
    )
}

async fn a_role_without_rights_still_sees_the_bounds(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let pid: i32 = db.value("select pg_backend_pid()").await?;
    db.run(&format!(
        "create role li_{pid} login; create schema hidden; create table hidden.a (at date) partition by range (at); \
         create table hidden.a_rest partition of hidden.a default; insert into hidden.a values ('2026-01-01')"
    ))
    .await?;
    let url = db.cluster.url_as(&format!("li_{pid}"), None, &db.name);
    let run = ctx
        .at(&db, crate::common::NOW, "partitions list")
        .env("DATABASE_URL", url)
        .run()
        .await?
        .exits_with(0)?;
    // What could not be counted is not called empty.
    holds(&run.stdout, &["hidden.a", "their number was not measured"])
}
