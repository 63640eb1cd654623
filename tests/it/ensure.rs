//! `partitions ensure` end to end: what is created, under which name, with which bounds.

use anyhow::{Result, ensure};

use crate::common::{Ctx, NOW, changeset, holds, outcome, same, tests};

tests!(
    Ends: a_month_and_three_more_are_created_and_a_second_run_does_nothing,
    every_period_and_key_type_gets_exact_bounds,
    gaps_are_filled_and_half_covered_months_are_completed,
    partitions_with_other_names_are_recognised_by_their_bounds,
    sub_partitions_are_made_by_hash_and_by_list,
    a_key_of_two_columns_takes_ranges_of_the_first,
    long_names_keep_their_date_and_stay_apart,
    one_broken_table_of_twenty_leaves_nineteen_served,
    a_detached_pending_range_is_reported_and_other_months_are_created,
    exit_code_flag_tells_whether_there_is_a_difference,
    child_schema_template_tablespace_and_storage_follow_the_policy,
    only_the_named_tables_are_touched,
    a_minvalue_and_a_wide_partition_are_worked_around,
    tables_with_a_start_are_filled_from_there,
);

const EVENTS: &str =
    "create table events (id bigint, at timestamptz not null) partition by range (at)";
const MONTHLY: &str = "partitions:\n  - table: public.events\n    every: month";

async fn a_month_and_three_more_are_created_and_a_second_run_does_nothing(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(EVENTS).await?;
    ctx.plan(MONTHLY)?;
    ctx.ensures(&db, 0).await?;
    let wanted: Vec<String> = [("02", "03"), ("03", "04"), ("04", "05"), ("05", "06")]
        .iter()
        .map(|(from, to)| {
            format!(
                "events_2026_{from} FOR VALUES FROM ('2026-{from}-01 00:00:00+00') TO ('2026-{to}-01 00:00:00+00')"
            )
        })
        .collect();
    same(db.bounds("public.events").await?, wanted)?;
    // From now on no DDL may run at all.
    db.run(
        "create table ddl (tag text); create function note() returns event_trigger language plpgsql as \
         $$ begin insert into public.ddl values (tg_tag); end $$; \
         create event trigger spy on ddl_command_end execute function note()",
    )
    .await?;
    let before = db.digest().await?;
    let runs: i64 = db.value("select count(*) from dbops.run").await?;
    let again = ctx.runs(&db, "partitions ensure --output json", 0).await?;
    same(
        changeset(&again)?["steps"].as_array().map(Vec::len),
        Some(0),
    )?;
    ensure!(outcome(&again)?.is_null());
    same(db.digest().await?, before)?;
    same(db.value::<i64>("select count(*) from ddl").await?, 0)?;
    same(
        db.value::<i64>("select count(*) from dbops.run").await?,
        runs,
    )?;
    holds(&ctx.ensures(&db, 0).await?.stdout, &["nothing to do"])
}

async fn every_period_and_key_type_gets_exact_bounds(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let mut plan = "partitions:\n".to_owned();
    let cases = [
        (
            "d_hour",
            "timestamp",
            "hour",
            "",
            "('2026-02-10 12:00:00') TO ('2026-02-10 13:00:00')",
            "d_hour_2026_02_10_12",
        ),
        (
            "d_day",
            "date",
            "day",
            "",
            "('2026-02-10') TO ('2026-02-11')",
            "d_day_2026_02_10",
        ),
        (
            "d_week",
            "date",
            "week",
            "",
            "('2026-02-09') TO ('2026-02-16')",
            "d_week_2026_w07",
        ),
        (
            "d_month",
            "date",
            "month",
            "",
            "('2026-02-01') TO ('2026-03-01')",
            "d_month_2026_02",
        ),
        (
            "d_quarter",
            "timestamp(3)",
            "quarter",
            "",
            "('2026-01-01 00:00:00') TO ('2026-04-01 00:00:00')",
            "d_quarter_2026_q1",
        ),
        (
            "d_year",
            "timestamptz",
            "year",
            "",
            "('2026-01-01 00:00:00+00') TO ('2027-01-01 00:00:00+00')",
            "d_year_2026",
        ),
        (
            "d_s",
            "bigint",
            "month",
            "epoch-s",
            "('1769904000') TO ('1772323200')",
            "d_s_2026_02",
        ),
        (
            "d_i",
            "integer",
            "month",
            "epoch-s",
            "(1769904000) TO (1772323200)",
            "d_i_2026_02",
        ),
        (
            "d_ms",
            "bigint",
            "month",
            "epoch-ms",
            "('1769904000000') TO ('1772323200000')",
            "d_ms_2026_02",
        ),
        (
            "d_us",
            "bigint",
            "month",
            "epoch-us",
            "('1769904000000000') TO ('1772323200000000')",
            "d_us_2026_02",
        ),
        (
            "d_ns",
            "bigint",
            "month",
            "epoch-ns",
            "('1769904000000000000') TO ('1772323200000000000')",
            "d_ns_2026_02",
        ),
        (
            "d_uuid",
            "uuid",
            "month",
            "uuid-v7",
            "('019c167f-cc00-7000-8000-000000000000') TO ('019ca6b1-dc00-7000-8000-000000000000')",
            "d_uuid_2026_02",
        ),
        (
            "d_ny",
            "timestamptz",
            "day",
            "zone",
            "('2026-02-10 05:00:00+00') TO ('2026-02-11 05:00:00+00')",
            "d_ny_2026_02_10",
        ),
    ];
    for (table, type_name, every, key, ..) in cases {
        db.run(&format!(
            "create table {table} (k {type_name} not null) partition by range (k)"
        ))
        .await?;
        plan.push_str(&format!("  - table: {table}\n    every: {every}\n"));
        match key {
            "" => {}
            "zone" => plan.push_str("    time_zone: America/New_York\n"),
            key => plan.push_str(&format!("    key: {key}\n")),
        }
    }
    ctx.plan(&plan)?;
    ctx.ensures(&db, 0).await?;
    for (table, _, _, _, bound, name) in cases {
        let found = db.bounds(table).await?;
        same(found.len(), 4)?;
        let first = found.first().cloned().unwrap_or_default();
        let wanted = format!("{name} FOR VALUES FROM {bound}");
        // Bare or quoted numbers are the server's choice.
        same(first.replace('\'', ""), wanted.replace('\'', ""))?;
    }
    ctx.runs(&db, "diff --exit-code", 0).await?;
    // An insert finds its partition.
    db.run(
        "insert into d_uuid select '019c167f-cc00-7abc-8def-0123456789ab'; \
         insert into d_s values (1769904000), (1772323199)",
    )
    .await
}

async fn gaps_are_filled_and_half_covered_months_are_completed(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(&format!(
        "{EVENTS}; \
         create table old partition of events for values from ('2025-10-01 00:00:00+00') to ('2025-11-01 00:00:00+00'); \
         create table half partition of events for values from ('2025-12-01 00:00:00+00') to ('2025-12-11 06:30:00+00'); \
         create table tail partition of events for values from ('2026-01-20 00:00:00+00') to ('2026-02-03 00:00:00+00')"
    ))
    .await?;
    ctx.plan("partitions:\n  - { table: events, every: month, premake: 1 }")?;
    ctx.ensures(&db, 0).await?;
    let uncovered: i64 = db
        .value(
            "select count(*) from generate_series('2025-10-01 00:00:00+00'::timestamptz, '2026-03-31 23:59:00+00', '10 min') t \
             where not exists (select from pg_inherits i join pg_class c on c.oid = i.inhrelid where inhparent = 'events'::regclass \
               and t >= (regexp_match(pg_get_expr(relpartbound, c.oid), 'FROM \\(''(.*?)''\\)'))[1]::timestamptz \
               and t < (regexp_match(pg_get_expr(relpartbound, c.oid), 'TO \\(''(.*?)''\\)'))[1]::timestamptz)",
        )
        .await?;
    same(uncovered, 0)?;
    let bounds = db.bounds("events").await?.join("\n");
    holds(
        &bounds,
        &[
            "FROM ('2025-11-01 00:00:00+00') TO ('2025-12-01 00:00:00+00')",
            "FROM ('2025-12-11 06:30:00+00') TO ('2026-01-01 00:00:00+00')",
            "FROM ('2026-01-01 00:00:00+00') TO ('2026-01-20 00:00:00+00')",
            "FROM ('2026-02-03 00:00:00+00') TO ('2026-03-01 00:00:00+00')",
        ],
    )?;
    ctx.runs(&db, "diff --exit-code", 0).await?;
    Ok(())
}

async fn partitions_with_other_names_are_recognised_by_their_bounds(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(&format!(
        "{EVENTS}; \
         create table events_p2026_02 partition of events for values from ('2026-02-01 00:00:00+00') to ('2026-03-01 00:00:00+00'); \
         create table events_y2026m03 partition of events for values from ('2026-03-01 00:00:00+00') to ('2026-04-01 00:00:00+00'); \
         create table \"April 26\" partition of events for values from ('2026-04-01 02:00:00+02') to ('2026-05-01 02:00:00+02')"
    ))
    .await?;
    ctx.plan("partitions:\n  - { table: events, every: month, premake: 3 }")?;
    ctx.ensures(&db, 0).await?;
    same(
        db.children("events").await?,
        [
            "April 26",
            "events_2026_05",
            "events_p2026_02",
            "events_y2026m03",
        ]
        .map(str::to_owned)
        .to_vec(),
    )
}

async fn sub_partitions_are_made_by_hash_and_by_list(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table h (id bigint, at date not null, primary key (id, at)) partition by range (at); \
         create table l (id bigint, at date not null, region text, primary key (id, at, region)) partition by range (at); \
         create index on l (region); comment on table l is 'with regions'",
    )
    .await?;
    ctx.plan(
        "partitions:\n  - { table: h, every: month, premake: 1, sub: { hash: { columns: [id], modulus: 3 } } }\n  \
         - { table: l, every: month, premake: 1, sub: { list: { column: region, values: { eu: [de, at], us: [us] }, default: true } } }",
    )?;
    ctx.ensures(&db, 0).await?;
    same(
        db.children("h_2026_02").await?,
        ["h_2026_02_h0", "h_2026_02_h1", "h_2026_02_h2"]
            .map(str::to_owned)
            .to_vec(),
    )?;
    same(
        db.children("l_2026_02").await?,
        ["l_2026_02_default", "l_2026_02_eu", "l_2026_02_us"]
            .map(str::to_owned)
            .to_vec(),
    )?;
    db.run(
        "insert into h select n, date '2026-02-03' from generate_series(1, 50) n; \
         insert into l values (1, '2026-03-31', 'de'), (2, '2026-02-01', 'xx')",
    )
    .await?;
    same(
        db.value::<String>("select tableoid::regclass::text from l where id = 1")
            .await?,
        "l_2026_03_eu".to_owned(),
    )?;
    same(
        db.value::<Option<String>>("select obj_description('l_2026_02_us'::regclass)")
            .await?,
        Some("with regions".to_owned()),
    )?;
    let invalid: i64 = db
        .value("select count(*) from pg_index where not indisvalid or not indisready")
        .await?;
    same(invalid, 0)?;
    ctx.runs(&db, "diff --exit-code", 0).await?;
    Ok(())
}

async fn a_key_of_two_columns_takes_ranges_of_the_first(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table two (at timestamp not null, tenant int not null) partition by range (at, tenant); \
         create table two_jan partition of two for values from ('2026-01-01', minvalue) to ('2026-02-01', minvalue)",
    )
    .await?;
    ctx.plan("partitions:\n  - { table: two, every: month, premake: 1 }")?;
    ctx.ensures(&db, 0).await?;
    same(db.children("two").await?.len(), 3)?;
    db.run("insert into two values ('2026-02-01', -2147483648), ('2026-03-31 23:59:59.999999', 2147483647)")
        .await?;
    ctx.runs(&db, "diff --exit-code", 0).await?;
    Ok(())
}

async fn long_names_keep_their_date_and_stay_apart(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let stem = "a".repeat(60);
    let multibyte = "é".repeat(31);
    let tables = [
        format!("{stem}xyz"),
        format!("{stem}xyw"),
        format!("{multibyte}a"),
    ];
    let mut plan = "partitions:\n".to_owned();
    for table in &tables {
        db.run(&format!("create table \"{table}\" (id int, at date not null, primary key (id, at)) partition by range (at)"))
            .await?;
        plan.push_str(&format!(
            "  - {{ table: 'public.\"{table}\"', every: month, premake: 2 }}\n"
        ));
    }
    ctx.plan(&plan)?;
    ctx.ensures(&db, 0).await?;
    for table in &tables {
        let children = db.children(&format!("\"{table}\"")).await?;
        same(children.len(), 3)?;
        for (child, month) in children.iter().zip(["02", "03", "04"]) {
            ensure!(child.ends_with(&format!("_2026_{month}")), "{child}");
            ensure!(child.len() <= 63, "{child}");
        }
    }
    ctx.runs(&db, "diff --exit-code", 0).await?;
    Ok(())
}

async fn one_broken_table_of_twenty_leaves_nineteen_served(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let mut plan = "partitions:\n".to_owned();
    for n in 0..20 {
        db.run(&format!(
            "create table t{n:02} (at date not null) partition by range (at)"
        ))
        .await?;
        plan.push_str(&format!(
            "  - {{ table: t{n:02}, every: month, premake: 1 }}\n"
        ));
    }
    db.run("create table t07_rest partition of t07 default; insert into t07 values ('2026-03-05'), ('2026-03-09')")
        .await?;
    ctx.plan(&plan)?;
    let run = ctx.ensures(&db, 4).await?;
    holds(
        &run.stdout,
        &[
            "default-holds-rows",
            "t07_rest",
            "2 rows",
            "2026-03-05",
            "2026-03-09",
            "dbops.yaml:",
        ],
    )?;
    let served: i64 = db
        .value("select count(distinct inhparent) from pg_inherits i join pg_class c on c.oid = inhrelid where relname like '%_2026_03'")
        .await?;
    same(served, 19)?;
    // Its other month is created all the same.
    same(
        db.children("t07").await?,
        ["t07_2026_02", "t07_rest"].map(str::to_owned).to_vec(),
    )
}

async fn a_detached_pending_range_is_reported_and_other_months_are_created(
    ctx: &Ctx,
) -> Result<()> {
    if ctx.major < 14 {
        return Ok(());
    }
    let db = ctx.db().await?;
    db.run(&format!(
        "{EVENTS}; create table feb partition of events for values from ('2026-02-01 00:00:00+00') to ('2026-03-01 00:00:00+00')"
    ))
    .await?;
    crate::prune_pending::leave_pending(&db, "events", "feb").await?;
    ctx.plan(MONTHLY)?;
    let run = ctx.ensures(&db, 4).await?;
    holds(&run.stdout, &["detach-pending", "feb", "partitions prune"])?;
    same(db.children("events").await?.len(), 4)
}

async fn exit_code_flag_tells_whether_there_is_a_difference(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(EVENTS).await?;
    ctx.plan(MONTHLY)?;
    ctx.runs(&db, "diff", 0).await?;
    ctx.runs(&db, "diff --exit-code", 1).await?;
    ctx.runs(&db, "partitions ensure --dry-run --exit-code", 1)
        .await?;
    ctx.runs(&db, "partitions prune --dry-run --exit-code", 0)
        .await?;
    same(db.children("events").await?.len(), 0)
}

async fn child_schema_template_tablespace_and_storage_follow_the_policy(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(&format!("{EVENTS}; create schema parts")).await?;
    ctx.plan(
        "partitions:\n  - table: events\n    every: month\n    premake: 1\n    schema: parts\n    \
         name: 'Ev {YYYY}-{MM}'\n    with: { fillfactor: 70, toast.autovacuum_enabled: false }",
    )?;
    ctx.ensures(&db, 0).await?;
    same(
        db.list("select n.nspname || '.' || relname || array_to_string(c.reloptions, ',') from pg_class c \
                 join pg_namespace n on n.oid = relnamespace where relispartition order by 1")
            .await?,
        ["parts.Ev 2026-02fillfactor=70", "parts.Ev 2026-03fillfactor=70"].map(str::to_owned).to_vec(),
    )
}

async fn only_the_named_tables_are_touched(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table a (at date) partition by range (at); create table b (at date) partition by range (at)")
        .await?;
    ctx.plan("partitions:\n  - { table: a, every: year }\n  - { table: b, every: year }")?;
    ctx.runs(&db, "partitions ensure b", 0).await?;
    same(
        (db.children("a").await?.len(), db.children("b").await?.len()),
        (0, 4),
    )?;
    let run = ctx.runs(&db, "partitions ensure c", 2).await?;
    holds(&run.stderr, &["public.c", "public.a", "public.b"])
}

async fn a_minvalue_and_a_wide_partition_are_worked_around(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table m (at date not null) partition by range (at); \
         create table m_old partition of m for values from (minvalue) to ('2026-01-15'); \
         create table m_end partition of m for values from ('2026-04-10') to (maxvalue); \
         create table w (at date not null) partition by range (at); \
         create table w_wide partition of w for values from ('2020-01-01') to ('2026-02-20')",
    )
    .await?;
    ctx.plan(
        "partitions:\n  - { table: m, every: month }\n  - { table: w, every: month, premake: 1 }",
    )?;
    ctx.ensures(&db, 0).await?;
    let bounds = db.bounds("m").await?.join("\n");
    holds(
        &bounds,
        &[
            "FROM ('2026-01-15') TO ('2026-02-01')",
            "FROM ('2026-02-01') TO ('2026-03-01')",
            "FROM ('2026-03-01') TO ('2026-04-01')",
            "FROM ('2026-04-01') TO ('2026-04-10')",
        ],
    )?;
    holds(
        &db.bounds("w").await?.join("\n"),
        &[
            "FROM ('2026-02-20') TO ('2026-03-01')",
            "FROM ('2026-03-01') TO ('2026-04-01')",
        ],
    )?;
    ctx.runs(&db, "diff --exit-code", 0).await?;
    Ok(())
}

async fn tables_with_a_start_are_filled_from_there(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(EVENTS).await?;
    ctx.plan("partitions:\n  - { table: events, every: quarter, start: 2025-05-20, premake: 1 }")?;
    let run = ctx
        .at(&db, NOW, "partitions ensure")
        .run()
        .await?
        .exits_with(0)?;
    holds(&run.stdout, &["done"])?;
    let bounds = db.bounds("events").await?;
    let first = bounds
        .iter()
        .find(|bound| bound.contains("FROM ('2025-05-20"));
    ensure!(first.is_some(), "{bounds:?}");
    same(bounds.len(), 5)
}
