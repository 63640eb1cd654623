//! `partitions prune`: what goes, what stays, and what stops a drop (research: P33 to P35).

use anyhow::{Result, ensure};

use crate::common::{Ctx, Db, NOW, changeset, holds, outcome, refusal, same, tests};

tests!(
    Ends: only_what_lies_wholly_before_the_limit_is_detached,
    boundary_traps_lose_no_row_that_is_young_enough,
    the_future_the_default_and_the_last_partition_stay,
    a_detached_table_is_dropped_after_its_grace_time_and_not_before,
    rows_inserted_late_into_a_detached_table_stop_its_drop,
    dropping_needs_the_hazard_to_be_allowed,
    expire_drop_without_permission_detaches_nothing,
    rows_that_point_into_a_partition_keep_it,
    a_foreign_key_without_rows_in_the_partition_does_not_keep_it,
    a_view_on_a_detached_table_keeps_it,
    a_comment_of_ones_own_survives_the_mark,
    a_renamed_or_moved_detached_table_is_still_found,
    a_broken_table_does_not_stop_others_from_being_pruned,
    a_table_with_foreign_keys_out_is_detached_and_dropped,
    sub_partitioned_months_go_with_their_leaves,
    a_table_without_retain_is_never_pruned,
);

/// A month each from October 2025 to March 2026, with a row a day.
async fn months(ctx: &Ctx, db: &Db, table: &str) -> Result<()> {
    db.run(&format!("create table if not exists {table} (id bigint generated always as identity, at date not null) partition by range (at)"))
        .await?;
    ctx.plan(&format!(
        "partitions:\n  - {{ table: {table}, every: month, start: 2025-10-01, premake: 1 }}"
    ))?;
    ctx.ensures(db, 0).await?;
    db.run(&format!(
        "insert into {table} (at) select generate_series(date '2025-10-01', '2026-03-31', '1 day')"
    ))
    .await
}

async fn only_what_lies_wholly_before_the_limit_is_detached(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    months(ctx, &db, "a").await?;
    ctx.plan("partitions:\n  - { table: a, every: month, premake: 1, retain: 2 months }")?;
    let run = ctx.runs(&db, "partitions prune --output json", 0).await?;
    // Now is 10 February; rows from 10 December on are kept.
    same(
        db.children("a").await?,
        ["a_2025_12", "a_2026_01", "a_2026_02", "a_2026_03"]
            .map(str::to_owned)
            .to_vec(),
    )?;
    same(db.value::<i64>("select count(*) from a_2025_10").await?, 31)?;
    let comment: String = db
        .value("select obj_description('a_2025_11'::regclass)")
        .await?;
    holds(
        &comment,
        &["[dbops:detached ", "public.a", "2025-11-01", "2025-12-01"],
    )?;
    same(outcome(&run)?["steps"][0]["way"].clone(), "no-wait".into())?;
    ctx.runs(&db, "partitions prune --dry-run --exit-code", 0)
        .await?;
    ctx.runs(&db, "diff --exit-code", 0).await?;
    Ok(())
}

async fn boundary_traps_lose_no_row_that_is_young_enough(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    // Bounds of hand-made partitions; the limit is 2025-08-10.
    let traps = [
        ("wide", "('2020-01-01') to ('2026-01-15')"),
        ("min", "(minvalue) to ('2025-08-11')"),
        ("odd", "('2025-07-17') to ('2025-08-23')"),
        ("quarter", "('2025-07-01') to ('2025-10-01')"),
        ("exact", "('2025-07-01') to ('2025-08-11')"),
        ("inf", "('-infinity') to ('2025-08-12')"),
    ];
    let mut plan = "partitions:\n".to_owned();
    for (name, bound) in traps {
        db.run(&format!(
            "create table {name} (at date not null) partition by range (at); \
             create table {name}_p partition of {name} for values from {bound}; \
             create table {name}_now partition of {name} for values from ('2026-02-01') to ('2026-03-01'); \
             insert into {name} select least((regexp_match(pg_get_expr(relpartbound, oid), 'TO \\(''(.*?)''\\)'))[1]::date - 1, '2026-01-14') \
               from pg_class where relname = '{name}_p'"
        ))
        .await?;
        plan.push_str(&format!("  - {{ table: {name}, every: month, retain: 6 months, expire: drop, allow: [drops-data] }}\n"));
    }
    db.run(
        "create table ends (at date not null) partition by range (at); \
         create table ends_max partition of ends for values from ('2020-01-01') to (maxvalue); insert into ends values ('2020-02-02')",
    )
    .await?;
    plan.push_str(
        "  - { table: ends, every: month, retain: 6 months, expire: drop, allow: [drops-data] }\n",
    );
    ctx.plan(&plan)?;
    ctx.runs(&db, "partitions prune", 0).await?;
    for (name, _) in traps {
        same(
            db.value::<i64>(&format!("select count(*) from {name}"))
                .await?,
            1,
        )?;
    }
    same(db.value::<i64>("select count(*) from ends").await?, 1)?;
    // A day later one of them lies wholly before the limit; its lower end is on the grid.
    ctx.at(&db, "2026-02-11", "partitions prune")
        .run()
        .await?
        .exits_with(0)?;
    same(db.children("exact").await?, vec!["exact_now".to_owned()])?;
    same(db.children("odd").await?.len(), 2)
}

async fn the_future_the_default_and_the_last_partition_stay(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table f (at date not null) partition by range (at); \
         create table f_2030 partition of f for values from ('2030-01-01') to ('2030-02-01'); \
         create table f_rest partition of f default; insert into f values ('1999-01-01'); \
         create table l (at date not null) partition by range (at); \
         create table l_2020_01 partition of l for values from ('2020-01-01') to ('2020-02-01'); \
         create table l_2020_02 partition of l for values from ('2020-02-01') to ('2020-03-01'); \
         create table hand (at date not null) partition by range (at); \
         create table hand_a partition of hand for values from ('2020-01-03') to ('2020-01-09'); \
         create table hand_b partition of hand for values from ('2026-02-01') to ('2026-03-01')",
    )
    .await?;
    ctx.plan(
        "partitions:\n  - { table: f, every: month, retain: 1 month }\n  - { table: l, every: month, retain: 1 month }\n  \
         - { table: hand, every: month, retain: 1 month }",
    )?;
    let run = ctx.runs(&db, "partitions prune", 0).await?;
    same(db.children("f").await?.len(), 2)?;
    same(db.children("l").await?, vec!["l_2020_02".to_owned()])?;
    same(db.children("hand").await?.len(), 2)?;
    holds(
        &run.stdout,
        &["last-partition", "l_2020_02", "not-on-grid", "hand_a"],
    )
}

async fn a_detached_table_is_dropped_after_its_grace_time_and_not_before(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    months(ctx, &db, "a").await?;
    ctx.plan("partitions:\n  - { table: a, every: month, retain: 3 months, grace: 7 days }")?;
    ctx.runs(&db, "partitions prune", 0).await?;
    ctx.at(
        &db,
        "2026-02-17T11:59:59Z",
        "partitions prune --allow drops-data",
    )
    .run()
    .await?
    .exits_with(0)?;
    ensure!(
        db.value::<bool>("select to_regclass('a_2025_10') is not null")
            .await?
    );
    ctx.at(
        &db,
        "2026-02-17T12:00:00Z",
        "partitions prune --allow drops-data",
    )
    .run()
    .await?
    .exits_with(0)?;
    ensure!(
        db.value::<bool>("select to_regclass('a_2025_10') is null")
            .await?
    );
    Ok(())
}

async fn rows_inserted_late_into_a_detached_table_stop_its_drop(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    months(ctx, &db, "a").await?;
    ctx.plan("partitions:\n  - { table: a, every: month, retain: 3 months, grace: 1 day, allow: [drops-data] }")?;
    ctx.runs(&db, "partitions prune", 0).await?;
    db.run("insert into a_2025_10 (at) overriding system value values ('2026-02-09')")
        .await
        .or_else(|_| Ok::<_, anyhow::Error>(()))?;
    db.run("alter table a_2025_10 alter id drop identity if exists")
        .await?;
    db.run("alter table a_2025_10 alter id drop not null; insert into a_2025_10 (at) select '2026-02-09' where not exists (select from a_2025_10 where at = '2026-02-09')").await?;
    let run = ctx
        .at(&db, "2026-03-01", "partitions prune")
        .run()
        .await?
        .exits_with(5)?;
    holds(
        &run.stdout,
        &["a_2025_10", "younger than the retention limit"],
    )?;
    same(db.value::<i64>("select count(*) from a_2025_10").await?, 32)
}

async fn dropping_needs_the_hazard_to_be_allowed(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    months(ctx, &db, "a").await?;
    ctx.plan("partitions:\n  - { table: a, every: month, retain: 3 months, grace: 1 day }")?;
    ctx.runs(&db, "partitions prune", 0).await?;
    let run = ctx
        .at(&db, "2026-02-12", "partitions prune")
        .run()
        .await?
        .exits_with(4)?;
    holds(
        &run.stdout,
        &["drops-data", "--allow drops-data", "allow: [drops-data]"],
    )?;
    ensure!(
        db.value::<bool>("select to_regclass('a_2025_10') is not null")
            .await?
    );
    ctx.at(&db, "2026-02-12", "partitions prune --allow drops-data")
        .run()
        .await?
        .exits_with(0)?;
    ensure!(
        db.value::<bool>("select to_regclass('a_2025_10') is null")
            .await?
    );
    Ok(())
}

async fn expire_drop_without_permission_detaches_nothing(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    months(ctx, &db, "a").await?;
    ctx.plan("partitions:\n  - { table: a, every: month, retain: 3 months, expire: drop }")?;
    let before = db.digest().await?;
    let run = ctx.runs(&db, "partitions prune", 4).await?;
    holds(&run.stdout, &["drops-data"])?;
    same(db.digest().await?, before)?;
    ctx.runs(&db, "partitions prune --allow drops-data", 0)
        .await?;
    same(db.children("a").await?.len(), 5)?;
    ensure!(
        db.value::<bool>("select to_regclass('a_2025_10') is null")
            .await?
    );
    Ok(())
}

const REFERENCED: &str = "
    create table p (id int not null, at date not null, primary key (id, at)) partition by range (at);
    create table p_2025_10 partition of p for values from ('2025-10-01') to ('2025-11-01');
    create table p_2025_11 partition of p for values from ('2025-11-01') to ('2025-12-01');
    create table p_2026_02 partition of p for values from ('2026-02-01') to ('2026-03-01');
    insert into p values (1, '2025-10-10'), (2, '2025-11-10'), (3, '2026-02-01');
    create table c (p_id int, p_at date, foreign key (p_id, p_at) references p);
    insert into c values (1, '2025-10-10'), (3, '2026-02-01')";

async fn rows_that_point_into_a_partition_keep_it(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(REFERENCED).await?;
    ctx.plan("partitions:\n  - { table: p, every: month, retain: 1 month }")?;
    let run = ctx.runs(&db, "partitions prune --output json", 4).await?;
    let refused = refusal(&run, "referenced")?;
    holds(
        &refused.to_string(),
        &["public.p_2025_10", "public.c", "c_p_id_p_at_fkey", "1 row"],
    )?;
    same(
        db.children("p").await?,
        ["p_2025_10", "p_2026_02"].map(str::to_owned).to_vec(),
    )?;
    db.run("delete from c where p_id = 1").await?;
    ctx.runs(&db, "partitions prune", 0).await?;
    same(db.children("p").await?, vec!["p_2026_02".to_owned()])
}

async fn a_foreign_key_without_rows_in_the_partition_does_not_keep_it(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(&format!("{REFERENCED}; delete from c where p_id = 1"))
        .await?;
    ctx.plan("partitions:\n  - { table: p, every: month, retain: 1 month, expire: drop, allow: [drops-data] }")?;
    ctx.runs(&db, "partitions prune", 0).await?;
    same(db.children("p").await?, vec!["p_2026_02".to_owned()])?;
    // What is left is still enforced.
    ensure!(
        db.run("insert into c values (9, '2026-02-01')")
            .await
            .is_err()
    );
    Ok(())
}

async fn a_view_on_a_detached_table_keeps_it(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    months(ctx, &db, "a").await?;
    db.run("create view old as select * from a_2025_10").await?;
    ctx.plan("partitions:\n  - { table: a, every: month, retain: 3 months, grace: 1 day, allow: [drops-data] }")?;
    ctx.runs(&db, "partitions prune", 0).await?;
    let run = ctx
        .at(&db, "2026-02-12", "partitions prune")
        .run()
        .await?
        .exits_with(4)?;
    holds(&run.stdout, &["has-dependents", "a_2025_10", "old"])?;
    db.run("drop view old").await?;
    ctx.at(&db, "2026-02-12", "partitions prune")
        .run()
        .await?
        .exits_with(0)?;
    Ok(())
}

async fn a_comment_of_ones_own_survives_the_mark(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    months(ctx, &db, "a").await?;
    db.run("comment on table a_2025_10 is E'owner: team blue\\nit''s old'")
        .await?;
    ctx.plan("partitions:\n  - { table: a, every: month, retain: 3 months }")?;
    ctx.runs(&db, "partitions prune", 0).await?;
    let comment: String = db
        .value("select obj_description('a_2025_10'::regclass)")
        .await?;
    ensure!(
        comment.starts_with("owner: team blue\nit's old\n[dbops:detached "),
        "{comment}"
    );
    Ok(())
}

async fn a_renamed_or_moved_detached_table_is_still_found(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    months(ctx, &db, "a").await?;
    ctx.plan("partitions:\n  - { table: a, every: month, retain: 2 months, grace: 1 day, allow: [drops-data] }")?;
    ctx.runs(&db, "partitions prune", 0).await?;
    db.run("create schema attic; alter table a_2025_10 set schema attic; alter table a_2025_11 rename to \"Old One\"").await?;
    ctx.at(&db, "2026-02-12", "partitions prune")
        .run()
        .await?
        .exits_with(0)?;
    ensure!(
        db.value::<bool>(
            "select to_regclass('attic.a_2025_10') is null and to_regclass('\"Old One\"') is null"
        )
        .await?
    );
    Ok(())
}

async fn a_broken_table_does_not_stop_others_from_being_pruned(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    months(ctx, &db, "a").await?;
    db.run("create table broken (at text) partition by range (at)")
        .await?;
    ctx.plan(
        "partitions:\n  - { table: broken, every: month, retain: 1 month }\n  - { table: a, every: month, retain: 2 months }",
    )?;
    ctx.runs(&db, "partitions prune", 4).await?;
    same(db.children("a").await?.len(), 4)
}

async fn a_table_with_foreign_keys_out_is_detached_and_dropped(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create table users (id int primary key); insert into users values (1); \
         create table a (user_id int references users, at date not null) partition by range (at); \
         create table a_2025_10 partition of a for values from ('2025-10-01') to ('2025-11-01'); \
         create table a_2026_02 partition of a for values from ('2026-02-01') to ('2026-03-01'); \
         create table a_rest partition of a default; insert into a values (1, '2025-10-02')",
    )
    .await?;
    ctx.plan("partitions:\n  - { table: a, every: month, retain: 1 month, expire: drop, allow: [drops-data] }")?;
    let run = ctx.runs(&db, "partitions prune --output json", 0).await?;
    same(changeset(&run)?["steps"].as_array().map(Vec::len), Some(2))?;
    ensure!(
        db.value::<bool>("select to_regclass('a_2025_10') is null")
            .await?
    );
    Ok(())
}

async fn sub_partitioned_months_go_with_their_leaves(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table h (id bigint, at date not null) partition by range (at)")
        .await?;
    let sub = "sub: { hash: { columns: [id], modulus: 2 } }";
    ctx.plan(&format!(
        "partitions:\n  - {{ table: h, every: month, start: 2025-12-01, premake: 1, {sub} }}"
    ))?;
    ctx.ensures(&db, 0).await?;
    db.run("insert into h values (1, '2025-12-03'), (2, '2025-12-04'), (3, '2025-12-05')")
        .await?;
    ctx.plan(&format!("partitions:\n  - {{ table: h, every: month, retain: 1 month, grace: 1 day, allow: [drops-data], {sub} }}"))?;
    ctx.runs(&db, "partitions prune", 0).await?;
    same(db.value::<i64>("select count(*) from h_2025_12").await?, 3)?;
    // A late row in a leaf stops the drop of the whole.
    db.run("create table spare as select * from h_2025_12; insert into h_2025_12 values (9, '2026-02-09')").await?;
    ctx.at(&db, "2026-02-20", "partitions prune")
        .run()
        .await?
        .exits_with(5)?;
    db.run("delete from h_2025_12 where id = 9").await?;
    ctx.at(&db, "2026-02-20", "partitions prune")
        .run()
        .await?
        .exits_with(0)?;
    ensure!(
        db.value::<bool>(
            "select to_regclass('h_2025_12') is null and to_regclass('h_2025_12_h0') is null"
        )
        .await?
    );
    Ok(())
}

async fn a_table_without_retain_is_never_pruned(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    months(ctx, &db, "a").await?;
    let run = ctx
        .at(&db, "2126-01-01", "partitions prune")
        .run()
        .await?
        .exits_with(0)?;
    holds(&run.stdout, &["nothing to do"])?;
    same(db.children("a").await?.len(), 6)?;
    holds(
        &ctx.at(&db, NOW, "partitions prune")
            .run()
            .await?
            .exits_with(0)?
            .stdout,
        &["nothing to do"],
    )
}
