//! Dry runs touch nothing; saved changesets run as they were shown, or are refused with the difference.
#![expect(
    clippy::disallowed_methods,
    reason = "tests change their databases with statements of their own"
)]

use anyhow::{Result, ensure};

use crate::common::{Ctx, Db, NOW, changeset, holds, outcome, same, tests};

tests!(
    Ends: a_dry_run_touches_nothing,
    a_saved_changeset_runs_exactly_as_shown,
    a_stale_changeset_is_refused_with_the_difference,
    a_stale_prune_is_refused_with_the_difference,
    rows_and_statistics_do_not_make_a_changeset_stale,
    an_expired_an_edited_and_a_foreign_file_are_refused,
    a_changeset_of_another_role_is_refused,
    an_applied_prune_needs_its_hazards_allowed,
    the_sql_output_gives_the_same_catalog_in_psql,
);

const TABLE: &str = "create table a (id int not null, at date not null, body text, primary key (id, at)) partition by range (at);
    create table a_2025_10 partition of a for values from ('2025-10-01') to ('2025-11-01');
    create table a_2026_02 partition of a for values from ('2026-02-01') to ('2026-03-01');
    create table users (id int primary key)";
const PLAN: &str = "partitions:\n  - { table: a, every: month, premake: 2, start: 2026-02-01, retain: 1 month, expire: drop, allow: [drops-data] }";

async fn a_dry_run_touches_nothing(ctx: &Ctx) -> Result<()> {
    // A server of its own: nobody else uses transaction numbers there.
    let cluster = ctx
        .private_cluster()?
        .config("autovacuum", "off")
        .start()
        .await?;
    let client = cluster.connect("postgres").await?;
    client.batch_execute(TABLE).await?;
    client.batch_execute("select txid_current()").await?;
    let next = async || -> Result<(String, i64)> {
        let row = client
            .query_one("select pg_snapshot_xmax(pg_current_snapshot())::text, (select count(*) from pg_class)", &[])
            .await?;
        Ok((row.get(0), row.get(1)))
    };
    let before = next().await?;
    ctx.plan(PLAN)?;
    for words in [
        "partitions ensure --dry-run",
        "partitions prune --dry-run",
        "diff",
        "diff --output sql",
        "diff --output json",
        "partitions ensure --out saved.json",
        "partitions list",
        "history",
        "partitions list --partitions --output json",
    ] {
        ctx.dbops()
            .env("DATABASE_URL", cluster.url_for("postgres"))
            .args(["--as-of", NOW])
            .args(words.split(' '))
            .run()
            .await?
            .exits_with(0)?;
    }
    same(next().await?, before)?;
    ensure!(
        !ctx.dir().join(".local").exists(),
        "a dry run wrote a local history"
    );
    Ok(())
}

async fn save(ctx: &Ctx, db: &Db, verb: &str) -> Result<()> {
    ctx.runs(db, &format!("partitions {verb} --out saved.json"), 0)
        .await?;
    Ok(())
}

async fn a_saved_changeset_runs_exactly_as_shown(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    let shown = changeset(&ctx.runs(&db, "diff --output json", 0).await?)?;
    save(ctx, &db, "ensure").await?;
    let before = db.digest().await?;
    // The plan file may be gone by then.
    std::fs::remove_file(ctx.dir().join("dbops.yaml"))?;
    let run = ctx
        .dbops()
        .on(&db)
        .args(["apply", "saved.json", "--output", "json"])
        .run()
        .await?
        .exits_with(0)?;
    same(changeset(&run)?["steps"].clone(), shown["steps"].clone())?;
    same(outcome(&run)?["steps"][0]["status"].clone(), "done".into())?;
    ensure!(db.digest().await? != before);
    same(db.children("a").await?.len(), 4)?;
    // A second time it is stale.
    let run = ctx
        .dbops()
        .on(&db)
        .args(["apply", "saved.json"])
        .run()
        .await?
        .exits_with(4)?;
    holds(&run.stderr, &["stale", "+ partition public.a_2026_03"])
}

/// Changes between save and apply, and what the difference must show.
const MUTATIONS: [(&str, &str); 18] = [
    (
        "create table x partition of a for values from ('2026-03-01') to ('2026-04-01')",
        "+ partition public.x",
    ),
    ("drop table a_2025_10", "- partition public.a_2025_10"),
    (
        "alter table a_2025_10 rename to a_old",
        "+ partition public.a_old",
    ),
    (
        "alter table a detach partition a_2025_10",
        "- partition public.a_2025_10",
    ),
    (
        "alter table a detach partition a_2026_02; alter table a attach partition a_2026_02 for values from ('2026-02-01') to ('2026-02-20')",
        "2026-02-20",
    ),
    ("create table a_rest partition of a default", "DEFAULT"),
    ("alter table a add column extra int", "+ column"),
    (
        "alter table a alter column body type varchar(10)",
        "character varying(10)",
    ),
    ("alter table a drop column body", "- column"),
    ("alter table a alter column body set not null", "not null"),
    ("alter table a owner to pg_monitor", "+ owner pg_monitor"),
    ("grant select on a to public", "+ grant SELECT to PUBLIC"),
    (
        "alter table a add foreign key (id) references users",
        "+ foreign key",
    ),
    (
        "alter table a add constraint u unique (at, id)",
        "+ unique u",
    ),
    (
        "alter table a replica identity full",
        "+ replica identity full",
    ),
    ("alter table a enable row level security", "+ row security"),
    ("comment on table a is 'new'", "+ comment new"),
    (
        "drop table a cascade; create table a (id int not null, at date not null, body text, primary key (id, at)) partition by range (at); \
      create table a_2025_10 partition of a for values from ('2025-10-01') to ('2025-11-01'); \
      create table a_2026_02 partition of a for values from ('2026-02-01') to ('2026-03-01')",
        "oid",
    ),
];

async fn stale(ctx: &Ctx, verb: &str) -> Result<()> {
    let db = ctx.db().await?;
    ctx.plan(PLAN)?;
    let mut wrong = Vec::new();
    for (mutation, shows) in MUTATIONS {
        db.run(&format!("drop schema public cascade; create schema public; drop schema if exists dbops cascade; {TABLE}")).await?;
        save(ctx, &db, verb).await?;
        db.run(mutation).await?;
        let before = db.digest().await?;
        let run = ctx
            .dbops()
            .on(&db)
            .args(["apply", "saved.json"])
            .run()
            .await?;
        let refused = run.status.code() == Some(4)
            && run.stderr.contains("stale")
            && run.stderr.contains(shows)
            && db.digest().await? == before
            && db
                .value::<bool>("select to_regnamespace('dbops') is null")
                .await?;
        if !refused {
            wrong.push(format!(
                "{mutation}: {:?} {} {}",
                run.status.code(),
                run.stdout,
                run.stderr
            ));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} not refused:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

async fn a_stale_changeset_is_refused_with_the_difference(ctx: &Ctx) -> Result<()> {
    stale(ctx, "ensure").await
}

async fn a_stale_prune_is_refused_with_the_difference(ctx: &Ctx) -> Result<()> {
    stale(ctx, "prune").await
}

async fn rows_and_statistics_do_not_make_a_changeset_stale(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    save(ctx, &db, "ensure").await?;
    db.run("insert into a select n, '2026-02-03' from generate_series(1, 1000) n; analyze a; analyze a_2026_02").await?;
    ctx.dbops()
        .on(&db)
        .args(["apply", "saved.json"])
        .run()
        .await?
        .exits_with(0)?;
    Ok(())
}

async fn an_expired_an_edited_and_a_foreign_file_are_refused(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let other = ctx.db().await?;
    db.run(TABLE).await?;
    other.run(TABLE).await?;
    ctx.plan(PLAN)?;
    let apply = |db: &Db, file: &str| ctx.dbops().on(db).args(["apply", file]);
    save(ctx, &db, "ensure").await?;
    let run = apply(&other, "saved.json").run().await?.exits_with(4)?;
    holds(&run.stderr, &["belongs to database", &db.name])?;
    let text = std::fs::read_to_string(ctx.dir().join("saved.json"))?;
    std::fs::write(
        ctx.dir().join("edited.json"),
        text.replace("a_2026_03", "a_2026_99"),
    )?;
    let run = apply(&db, "edited.json").run().await?;
    ensure!(matches!(run.status.code(), Some(2 | 4)), "{run:?}");
    holds(&run.stderr, &["edited"])?;
    std::fs::write(
        ctx.dir().join("newer.json"),
        text.replace("dbops.changeset/1", "dbops.changeset/9"),
    )?;
    holds(
        &apply(&db, "newer.json").run().await?.exits_with(2)?.stderr,
        &["dbops.changeset/9"],
    )?;
    std::fs::write(ctx.dir().join("no.json"), "[]")?;
    holds(
        &apply(&db, "no.json").run().await?.exits_with(2)?.stderr,
        &["not a saved changeset"],
    )?;
    holds(
        &apply(&db, "gone.json").run().await?.exits_with(2)?.stderr,
        &["gone.json"],
    )?;
    ctx.runs(
        &db,
        "partitions ensure --out short.json --expires-in 1ms",
        0,
    )
    .await?;
    holds(
        &apply(&db, "short.json").run().await?.exits_with(4)?.stderr,
        &["expired at"],
    )?;
    same(db.children("a").await?.len(), 2)?;
    ensure!(
        db.value::<bool>("select to_regnamespace('dbops') is null")
            .await?
    );
    apply(&db, "saved.json").run().await?.exits_with(0)?;
    Ok(())
}

async fn a_changeset_of_another_role_is_refused(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    let role = format!("saver_{}", db.name);
    db.run(&format!("create role {role} superuser login"))
        .await?;
    ctx.plan(PLAN)?;
    save(ctx, &db, "ensure").await?;
    let before = db.digest().await?;
    // The owner of new tables and what default privileges give them would be the other role's.
    let run = ctx
        .dbops()
        .args(["apply", "saved.json", "--database-url"])
        .args([db.cluster.url_as(&role, db.cluster.password(), &db.name)])
        .run()
        .await;
    db.run(&format!("alter role {role} password null")).await?;
    let run = match run?.exits_with(4) {
        Ok(run) => run,
        Err(error) => return Err(error),
    };
    holds(&run.stderr, &["stale", &format!("+ run as {role}")])?;
    same(db.digest().await?, before)?;
    db.run(&format!("drop role {role}")).await
}

async fn an_applied_prune_needs_its_hazards_allowed(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(&PLAN.replace(", allow: [drops-data]", ""))?;
    save(ctx, &db, "prune").await?;
    ctx.dbops()
        .on(&db)
        .args(["apply", "saved.json"])
        .run()
        .await?
        .exits_with(4)?;
    same(db.children("a").await?.len(), 2)?;
    ctx.dbops()
        .on(&db)
        .args(["apply", "saved.json", "--allow", "drops-data"])
        .run()
        .await?
        .exits_with(0)?;
    same(db.children("a").await?.len(), 1)
}

async fn the_sql_output_gives_the_same_catalog_in_psql(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    db.run(crate::properties::RICH).await?;
    ctx.plan(
        "partitions:\n  - { table: a, every: month, premake: 2, retain: 1 month, expire: drop, allow: [drops-data] }\n  \
         - { table: rich, every: month, premake: 2 }\n  \
         - { table: \"public.\\\"O'Brien\\r\\n\\\\\\\\x\\\"\", every: month, premake: 1 }\n  \
         - { table: sub, every: month, premake: 1, sub: { hash: { columns: [id], modulus: 2 } } }",
    )?;
    db.run(
        "create table sub (id int, at date) partition by range (at); \
         create table \"O'Brien\r\n\\\\x\" (at date not null) partition by range (at)",
    )
    .await?;
    let mut db = db;
    for verb in ["ensure", "prune"] {
        let sql = ctx
            .runs(&db, &format!("partitions {verb} --output sql --dry-run"), 0)
            .await?
            .stdout;
        let (left, right) = db.copy().await?;
        let file = ctx.dir().join("out.sql");
        std::fs::write(&file, &sql)?;
        let psql = tokio::process::Command::new("psql")
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &right.url, "-f"])
            .arg(&file)
            .output()
            .await?;
        ensure!(
            psql.status.success(),
            "{}\n{sql}",
            String::from_utf8_lossy(&psql.stderr)
        );
        ctx.runs(&left, &format!("partitions {verb}"), 0).await?;
        same(right.digest().await?, left.digest().await?)?;
        let admin = left.cluster.connect("postgres").await?;
        admin
            .batch_execute(&format!("drop database \"{}\" with (force)", right.name))
            .await?;
        db = left;
    }
    Ok(())
}
