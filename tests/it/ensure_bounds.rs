//! Bounds never depend on anybody's TimeZone or DateStyle (research: P25 to P32).

use anyhow::{Result, ensure};

use crate::common::{Ctx, Db, same, tests};

tests!(
    Ends: bounds_are_the_same_under_every_zone_and_date_style,
    zones_with_daylight_saving_cover_every_second_once,
    bounds_of_partitions_made_in_other_zones_are_read_back_exactly,
    two_hundred_and_forty_months_do_not_drift,
);

const ZONES: [&str; 8] = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Pacific/Chatham",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Etc/GMT+12",
];
const STYLES: [&str; 4] = ["ISO, DMY", "SQL, DMY", "German", "Postgres, MDY"];

async fn reset(db: &Db) -> Result<()> {
    db.run(
        "drop table if exists a, b, c; create table a (at timestamptz not null) partition by range (at); \
         create table b (at timestamp not null) partition by range (at); \
         create table c (at date not null) partition by range (at)",
    )
    .await
}

async fn bounds_are_the_same_under_every_zone_and_date_style(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let role = format!(
        "zones_{}",
        db.client
            .query_one("select pg_backend_pid()", &[])
            .await?
            .get::<_, i32>(0)
    );
    db.run(&format!("create role {role} login superuser"))
        .await?;
    ctx.plan(
        "partitions:\n  - { table: a, every: month, premake: 35, time_zone: Europe/Berlin }\n  \
         - { table: b, every: month, premake: 35 }\n  - { table: c, every: month, premake: 35 }",
    )?;
    let mut first: Option<Vec<String>> = None;
    for (n, zone) in ZONES.iter().enumerate() {
        for (m, style) in STYLES.iter().enumerate() {
            reset(&db).await?;
            let mut dbops = ctx.at(&db, "2026-02-28T23:30:00Z", "partitions ensure");
            match (n + m) % 4 {
                0 => db.run(&format!("alter role {role} set timezone = '{zone}'; alter role {role} set datestyle = '{style}'")).await?,
                1 => db.run(&format!(
                    "alter database \"{0}\" set timezone = '{zone}'; alter database \"{0}\" set datestyle = '{style}'", db.name)).await?,
                2 => {
                    let escaped = style.replace(' ', "\\ ");
                    dbops = dbops.env("PGOPTIONS", format!("-c timezone={zone} -c datestyle={escaped}"));
                }
                _ => dbops = dbops.env("PGTZ", *zone).env("PGDATESTYLE", *style).env("TZ", *zone),
            }
            let url = db.cluster.url_as(&role, None, &db.name);
            dbops.env("DATABASE_URL", url).run().await?.exits_with(0)?;
            let mut found = db.bounds("a").await?;
            found.extend(db.bounds("b").await?);
            found.extend(db.bounds("c").await?);
            same(found.len(), 108)?;
            match &first {
                None => first = Some(found),
                Some(first) => ensure!(*first == found, "{zone} {style}: {found:#?}"),
            }
        }
    }
    Ok(())
}

async fn zones_with_daylight_saving_cover_every_second_once(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    for (zone, now) in [
        ("Europe/Berlin", "2026-03-28T20:00:00Z"),
        ("Europe/Berlin", "2026-10-24T20:00:00Z"),
        ("America/New_York", "2025-03-08T20:00:00Z"),
        ("America/New_York", "2025-11-01T20:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T06:00:00Z"),
    ] {
        db.run(
            "drop table if exists h, d; create table h (at timestamptz not null) partition by range (at); \
             create table d (at timestamptz not null) partition by range (at)",
        )
        .await?;
        ctx.plan(&format!(
            "partitions:\n  - {{ table: h, every: hour, premake: 30, time_zone: {zone} }}\n  \
             - {{ table: d, every: day, premake: 3, time_zone: {zone} }}"
        ))?;
        ctx.at(&db, now, "partitions ensure")
            .run()
            .await?
            .exits_with(0)?;
        for table in ["h", "d"] {
            let seams: i64 = db
                .value(&format!(
                    "with b as (select (regexp_match(e, 'FROM \\(''(.*?)''\\)'))[1]::timestamptz f, \
                       (regexp_match(e, 'TO \\(''(.*?)''\\)'))[1]::timestamptz t from (select pg_get_expr(relpartbound, c.oid) e \
                       from pg_inherits join pg_class c on c.oid = inhrelid where inhparent = '{table}'::regclass) x) \
                     select count(*) from b where f <> (select min(f) from b) and not exists (select from b o where o.t = b.f)"
                ))
                .await?;
            same(seams, 0)?;
        }
        ctx.at(&db, now, "diff --exit-code")
            .run()
            .await?
            .exits_with(0)?;
    }
    Ok(())
}

async fn bounds_of_partitions_made_in_other_zones_are_read_back_exactly(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    // What pg_partman does when a set made in UTC is maintained from New York.
    db.run(
        "create table a (at timestamptz not null) partition by range (at); set timezone = 'UTC'; \
         create table p1 partition of a for values from ('2026-01-01') to ('2026-02-01'); set timezone = 'America/New_York'; \
         create table p2 partition of a for values from ('2026-02-28') to ('2026-03-28'); reset timezone",
    )
    .await?;
    ctx.plan("partitions:\n  - { table: a, every: month, premake: 2 }")?;
    ctx.ensures(&db, 0).await?;
    let bounds = db.bounds("a").await?.join("\n");
    crate::common::holds(
        &bounds,
        &[
            "FROM ('2026-02-01 00:00:00+00') TO ('2026-02-28 05:00:00+00')",
            "FROM ('2026-03-28 04:00:00+00') TO ('2026-04-01 00:00:00+00')",
        ],
    )?;
    ctx.runs(&db, "diff --exit-code", 0).await?;
    Ok(())
}

async fn two_hundred_and_forty_months_do_not_drift(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table c (at date not null) partition by range (at)")
        .await?;
    ctx.plan("partitions:\n  - { table: c, every: month, premake: 239 }")?;
    ctx.at(&db, "2024-01-31", "partitions ensure")
        .run()
        .await?
        .exits_with(0)?;
    let bounds = db.bounds("c").await?;
    same(bounds.len(), 240)?;
    for bound in &bounds {
        same(bound.matches("-01')").count(), 2)?;
    }
    Ok(())
}
