//! What cannot be served: each case its own code, what, where and what to do; others still served.
#![expect(
    clippy::disallowed_methods,
    reason = "a test prepares a server of its own with statements of its own"
)]

use anyhow::{Result, ensure};

use crate::common::{Ctx, holds, refusal, same, tests};

tests!(
    Ends: a_taken_name_is_named_with_what_holds_it,
    an_empty_orphan_is_adopted_and_one_with_rows_is_not,
    a_default_partition_with_rows_of_the_range_is_counted,
    rows_at_infinity_in_default_stop_nothing,
    a_table_that_is_not_partitioned_is_told_what_its_primary_key_must_become,
    other_strategies_and_keys_are_told_apart,
    a_missing_privilege_names_the_statement_that_gives_it,
    a_role_that_may_not_create_in_the_schema_is_told_so,
    a_standby_has_nothing_to_do,
    absurd_gaps_are_refused_before_a_thousand_partitions,
    a_detached_table_under_the_name_is_offered_back,
);

async fn a_taken_name_is_named_with_what_holds_it(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let mut plan = "partitions:\n".to_owned();
    let takers = [
        ("v", "create view v_2026_03 as select 1", "view"),
        ("s", "create sequence s_2026_03", "sequence"),
        (
            "m",
            "create materialized view m_2026_03 as select 1",
            "materialized view",
        ),
        (
            "i",
            "create table i_x (a int); create index i_2026_03 on i_x (a)",
            "index",
        ),
        ("o", "create table o_2026_03 (other text)", "other columns"),
        ("y", "create type y_2026_03 as (a int)", "type"),
        ("e", "create domain e_2026_03 as int", "domain"),
        (
            "p",
            "create table p_other (at date not null) partition by range (at); \
               create table p_2026_03 partition of p_other for values from ('2020-01-01') to ('2021-01-01')",
            "partition of",
        ),
    ];
    for (table, taker, _) in takers {
        db.run(&format!(
            "create table {table} (at date not null) partition by range (at); {taker}"
        ))
        .await?;
        plan.push_str(&format!(
            "  - {{ table: {table}, every: month, premake: 2 }}\n"
        ));
    }
    ctx.plan(&plan)?;
    let run = ctx.runs(&db, "partitions ensure --output json", 4).await?;
    let refusals = crate::common::changeset(&run)?["refusals"].clone();
    for (table, _, kind) in takers {
        let found = refusals
            .as_array()
            .into_iter()
            .flatten()
            .find(|refusal| refusal["table"] == format!("public.{table}"));
        let text = found.map(ToString::to_string).unwrap_or_default();
        holds(
            &text,
            &[
                "name-taken",
                kind,
                &format!("{table}_2026_03"),
                "2026-03-01",
                "dbops.yaml",
            ],
        )?;
        same(db.children(table).await?.len(), 2)?;
    }
    Ok(())
}

async fn an_empty_orphan_is_adopted_and_one_with_rows_is_not(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table a (id bigint, at date not null, primary key (id, at)) partition by range (at); \
         create table a_2026_02 (like a including all); \
         create table b (id bigint, at date not null) partition by range (at); \
         create table b_2026_02 (like b); insert into b_2026_02 values (1, '2026-02-02')",
    )
    .await?;
    ctx.plan("partitions:\n  - { table: a, every: month, premake: 1 }\n  - { table: b, every: month, premake: 1 }")?;
    let run = ctx.runs(&db, "partitions ensure --output json", 4).await?;
    same(db.children("a").await?.len(), 2)?;
    same(db.children("b").await?.len(), 1)?;
    let refused = refusal(&run, "name-taken")?;
    holds(
        &refused.to_string(),
        &["public.b_2026_02", "holds rows", "attach it"],
    )
}

async fn a_default_partition_with_rows_of_the_range_is_counted(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table a (at timestamptz not null) partition by range (at); create table a_rest partition of a default; \
         insert into a select '2026-03-02 10:00:00+00'::timestamptz + n * interval '1 hour' from generate_series(0, 41) n; \
         insert into a values ('2030-01-01')",
    )
    .await?;
    ctx.plan("partitions:\n  - { table: a, every: month, premake: 2 }")?;
    let run = ctx.runs(&db, "partitions ensure --output json", 4).await?;
    let refused = refusal(&run, "default-holds-rows")?;
    holds(
        &refused.to_string(),
        &[
            "42 rows",
            "2026-03-02 10:00:00+00",
            "2026-03-04 03:00:00+00",
            "public.a_rest",
            "\"line\":3",
        ],
    )?;
    // The months without such rows are there.
    same(
        db.children("a").await?,
        ["a_2026_02", "a_2026_04", "a_rest"]
            .map(str::to_owned)
            .to_vec(),
    )
}

async fn rows_at_infinity_in_default_stop_nothing(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table a (at timestamptz not null) partition by range (at); create table a_rest partition of a default; \
         insert into a values ('infinity'), ('-infinity')",
    )
    .await?;
    ctx.plan("partitions:\n  - { table: a, every: month, premake: 2 }")?;
    ctx.ensures(&db, 0).await?;
    same(db.children("a").await?.len(), 4)
}

async fn a_table_that_is_not_partitioned_is_told_what_its_primary_key_must_become(
    ctx: &Ctx,
) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table messages (id uuid primary key, timestamp timestamp not null); \
         create table fine (at date not null) partition by range (at)",
    )
    .await?;
    ctx.plan(
        "partitions:\n  - { table: messages, every: month }\n  - { table: fine, every: month }",
    )?;
    let run = ctx.ensures(&db, 4).await?;
    holds(
        &run.stdout,
        &[
            "not-partitioned",
            "messages_pkey",
            "PRIMARY KEY (id, timestamp)",
            "PARTITION BY RANGE (timestamp)",
            "dbops.yaml:3",
        ],
    )?;
    same(db.children("fine").await?.len(), 4)
}

async fn other_strategies_and_keys_are_told_apart(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let cases = [
        (
            "l",
            "create table l (at date) partition by list (at)",
            "",
            "not-range",
            "LIST",
        ),
        (
            "h",
            "create table h (at date) partition by hash (at)",
            "",
            "not-range",
            "HASH",
        ),
        (
            "x",
            "create table x (at timestamptz) partition by range (date_trunc('day', at at time zone 'UTC'))",
            "",
            "expression-key",
            "date_trunc",
        ),
        (
            "t",
            "create table t (at text) partition by range (at)",
            "",
            "key-type",
            "text",
        ),
        (
            "n",
            "create table n (at numeric) partition by range (at)",
            "",
            "key-type",
            "numeric",
        ),
        (
            "b",
            "create table b (at bigint) partition by range (at)",
            "",
            "key-type",
            "epoch-ms",
        ),
        (
            "d",
            "create table d (at date) partition by range (at)",
            ", key: epoch-s",
            "key-type",
            "take out",
        ),
        (
            "u",
            "create table u (at uuid) partition by range (at)",
            "",
            "key-type",
            "uuid-v7",
        ),
        (
            "c",
            "create table c (at date, be date) partition by range (at)",
            ", column: be",
            "other-column",
            "expects be",
        ),
        (
            "v",
            "create view v as select 1",
            "",
            "not-partitioned",
            "view",
        ),
        ("gone", "select", "", "table-not-found", "capitals"),
        (
            "hd",
            "create table hd (at date) partition by range (at)",
            ", every: hour",
            "impossible-period",
            "hour",
        ),
        (
            "ob",
            "create table ob (at date, n int) partition by range (at, n); \
                create table ob1 partition of ob for values from ('2026-01-01', 5) to ('2026-02-01', 7)",
            "",
            "unreadable-bound",
            "more than the first",
        ),
    ];
    let mut plan = "partitions:\n  - { table: fine, every: month }\n".to_owned();
    db.run("create table fine (at date) partition by range (at)")
        .await?;
    for (table, sql, extra, ..) in cases {
        db.run(sql).await?;
        let every = if extra.contains("every") {
            ""
        } else {
            ", every: month"
        };
        plan.push_str(&format!("  - {{ table: {table}{every}{extra} }}\n"));
    }
    ctx.plan(&plan)?;
    for command in [
        "partitions ensure --output json",
        "partitions prune --output json",
    ] {
        let run = ctx.runs(&db, command, 4).await?;
        let refusals = crate::common::changeset(&run)?["refusals"].clone();
        let refusals = refusals.as_array().cloned().unwrap_or_default();
        for (at, (table, _, _, code, words)) in cases.iter().enumerate() {
            let found = refusals
                .iter()
                .find(|refusal| refusal["table"] == format!("public.{table}"));
            let text = found.map(ToString::to_string).unwrap_or_default();
            holds(&text, &[code, words, &format!("\"line\":{}", at + 4)])?;
        }
        same(refusals.len(), cases.len())?;
    }
    same(db.children("fine").await?.len(), 4)
}

async fn a_missing_privilege_names_the_statement_that_gives_it(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let pid: i32 = db.value("select pg_backend_pid()").await?;
    let (owner, role) = (format!("mp_owner_{pid}"), format!("mp_role_{pid}"));
    db.run(&format!(
        "create role {owner}; create role {role} login; grant all on schema public to {owner}, {role}; \
         create table mine (at date) partition by range (at); alter table mine owner to {role}; \
         create table a (at date) partition by range (at); alter table a owner to {owner}"
    ))
    .await?;
    ctx.plan("partitions:\n  - { table: a, every: month }\n  - { table: mine, every: month }")?;
    let url = db.cluster.url_as(&role, None, &db.name);
    let run = ctx
        .at(&db, crate::common::NOW, "partitions ensure")
        .env("DATABASE_URL", &url)
        .run()
        .await?
        .exits_with(4)?;
    holds(
        &run.stdout,
        &[
            "missing-privilege",
            &role,
            &format!("grant \"{owner}\" to \"{role}\";"),
        ],
    )?;
    same(db.children("mine").await?.len(), 4)?;
    // The statement that the refusal gives is enough.
    db.run(&format!("grant {owner} to {role}")).await?;
    ctx.at(&db, crate::common::NOW, "partitions ensure")
        .env("DATABASE_URL", &url)
        .run()
        .await?
        .exits_with(0)?;
    same(db.children("a").await?.len(), 4)?;
    same(
        db.list("select distinct relowner::regrole::text from pg_class where relname ~ '^a_2026'")
            .await?,
        vec![owner],
    )
}

async fn a_role_that_may_not_create_in_the_schema_is_told_so(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let pid: i32 = db.value("select pg_backend_pid()").await?;
    let role = format!("ns_role_{pid}");
    db.run(&format!(
        "create role {role} login; create schema shut; create table shut.a (at date) partition by range (at); \
         alter table shut.a owner to {role}; grant usage on schema shut to {role}"
    ))
    .await?;
    ctx.plan("partitions:\n  - { table: shut.a, every: month }")?;
    let url = db.cluster.url_as(&role, None, &db.name);
    let run = ctx
        .at(&db, crate::common::NOW, "partitions ensure")
        .env("DATABASE_URL", &url)
        .run()
        .await?
        .exits_with(4)?;
    holds(
        &run.stdout,
        &[
            "missing-privilege",
            "grant usage, create on schema \"shut\"",
        ],
    )?;
    db.run(&format!("grant usage, create on schema shut to {role}"))
        .await?;
    ctx.at(&db, crate::common::NOW, "partitions ensure")
        .env("DATABASE_URL", &url)
        .run()
        .await?
        .exits_with(0)?;
    same(db.children("shut.a").await?.len(), 4)
}

async fn a_standby_has_nothing_to_do(ctx: &Ctx) -> Result<()> {
    let primary = ctx.private_cluster()?.start().await?;
    let client = primary.connect("postgres").await?;
    client
        .batch_execute("create table a (at date) partition by range (at)")
        .await?;
    let standby = primary.standby("idle").start().await?;
    ctx.plan("partitions:\n  - { table: a, every: month, retain: 1 month }")?;
    for words in [
        "partitions ensure",
        "partitions prune",
        "diff",
        "partitions ensure --output json",
        "partitions list",
    ] {
        let run = ctx
            .dbops()
            .env("DATABASE_URL", standby.url_for("postgres"))
            .args(words.split(' '))
            .run()
            .await?
            .exits_with(0)?;
        if !words.contains("list") {
            holds(&run.stdout, &["standby"])?;
        }
    }
    Ok(())
}

async fn absurd_gaps_are_refused_before_a_thousand_partitions(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table a (at timestamptz) partition by range (at); \
         create table a_epoch partition of a for values from ('1970-01-01 00:00:00+00') to ('1970-01-02 00:00:00+00')",
    )
    .await?;
    ctx.plan("partitions:\n  - { table: a, every: day }")?;
    let run = ctx.ensures(&db, 4).await?;
    holds(&run.stdout, &["too-many-partitions", "1000", "start:"])?;
    // With a start the present is served.
    ctx.plan("partitions:\n  - { table: a, every: day, start: 2026-02-01 }")?;
    ctx.ensures(&db, 0).await?;
    ensure!(db.children("a").await?.len() == 14);
    Ok(())
}

async fn a_detached_table_under_the_name_is_offered_back(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table a (at date not null) partition by range (at)")
        .await?;
    ctx.plan("partitions:\n  - { table: a, every: month, start: 2025-11-01, premake: 1 }")?;
    ctx.ensures(&db, 0).await?;
    db.run("insert into a values ('2025-11-03')").await?;
    ctx.plan("partitions:\n  - { table: a, every: month, retain: 2 months }")?;
    ctx.runs(&db, "partitions prune", 0).await?;
    ctx.plan("partitions:\n  - { table: a, every: month, start: 2025-11-01, premake: 1 }")?;
    let run = ctx.runs(&db, "partitions ensure --output json", 4).await?;
    let refused = refusal(&run, "name-taken")?;
    let remedy = refused["remedy"][0].as_str().unwrap_or_default();
    let sql = remedy
        .split_once(": ")
        .map(|(_, sql)| sql)
        .unwrap_or_default()
        .to_owned();
    db.run(&sql).await?;
    same(
        db.value::<i64>("select count(*) from a where at = '2025-11-03'")
            .await?,
        1,
    )?;
    ctx.ensures(&db, 0).await?;
    Ok(())
}
