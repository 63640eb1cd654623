//! `dbops init`: what is in a database as a plan file that loads and goes on as the database began.

use anyhow::{Context as _, Result, ensure};
use dbops::ident::QualifiedName;
use dbops::plan_file::{KeyEncoding, load};

use crate::common::{Ctx, tests};

tests!(SystemOnly: a_mixed_database_becomes_a_plan_that_goes_on_as_it_began,
    a_file_is_only_replaced_when_asked_to,
    a_database_without_partitioned_tables_gives_an_empty_plan);

/// Tables as people have them: names of three makers, a hostile one, keys of all kinds, odd ones.
const MIXED: &str = r#"
    create schema app;
    create schema parts;
    create table events (id bigint, at timestamptz not null) partition by range (at);
    create table events_p2026_01 partition of events for values from ('2026-01-01 00:00+00') to ('2026-02-01 00:00+00');
    create table events_p2026_02 partition of events for values from ('2026-02-01 00:00+00') to ('2026-03-01 00:00+00');
    create table events_p2026_03 partition of events for values from ('2026-03-01 00:00+00') to ('2026-04-01 00:00+00');
    create table events_default partition of events default;

    create table app."Po.st ""x"": #{a}" (at date not null) partition by range (at);
    create table parts."Po.st ""x"": #{a}-20260314" partition of app."Po.st ""x"": #{a}"
        for values from ('2026-03-14') to ('2026-03-15');
    create table parts."Po.st ""x"": #{a}-20260315" partition of app."Po.st ""x"": #{a}"
        for values from ('2026-03-15') to ('2026-03-16');

    create table clicks (ms bigint not null) partition by range (ms);
    create table clicks_y2026m03 partition of clicks for values from (1772323200000) to (1775001600000);

    create table messages (id uuid not null) partition by range (id);
    create table messages_2026_03_15 partition of messages
        for values from ('019ceeca-e400-7000-8000-000000000000') to ('019cf3f1-4000-7000-8000-000000000000');

    create table hashed (id int not null, at date not null) partition by range (at);
    create table hashed_2026 partition of hashed for values from ('2026-01-01') to ('2027-01-01') partition by hash (id);
    create table hashed_2026_h0 partition of hashed_2026 for values with (modulus 2, remainder 0);
    create table hashed_2026_h1 partition of hashed_2026 for values with (modulus 2, remainder 1);

    create table orders (id bigint not null) partition by range (id);
    create table orders_1 partition of orders for values from (0) to (1000000);
    create table "new
line" (at date not null) partition by range (at);
    create table regions (r text) partition by list (r);
"#;

async fn a_mixed_database_becomes_a_plan_that_goes_on_as_it_began(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(MIXED).await?;
    let now = ["--as-of", "2026-03-15T12:00:00Z"];
    let run = ctx.dbops().on(&db).args(["init"]).args(now).run().await?;
    let run = run.exits_with(0)?;
    ensure!(
        run.stderr.contains("2 tables are commented out"),
        "{}",
        run.stderr
    );
    let text = run.stdout;
    for expected in [
        "# yaml-language-server: $schema=",
        "  # - table: public.orders\n",
        "  # - table: \"public.\\\"new\\U0000000aline\\\"\"\n",
        "it may be a plain number",
        "#   public.regions: partitioned by list",
    ] {
        ensure!(text.contains(expected), "no `{expected}` in\n{text}");
    }
    let file = ctx.dir().join("starter.yaml");
    std::fs::write(&file, &text).context("writing the plan file")?;
    let plan = match load(&[file]) {
        Ok(loaded) => loaded.plan,
        Err(problems) => anyhow::bail!("{problems:?}\n{text}"),
    };
    let tables: Vec<&QualifiedName> = plan.partitions.iter().map(|policy| &policy.table).collect();
    let public = |name| QualifiedName::new("public", name);
    ensure!(
        tables
            == [
                &QualifiedName::new("app", "Po.st \"x\": #{a}"),
                &public("clicks"),
                &public("events"),
                &public("hashed"),
                &public("messages"),
            ],
        "{tables:?}"
    );
    let keys: Vec<_> = plan
        .partitions
        .iter()
        .filter_map(|policy| policy.key)
        .collect();
    ensure!(keys == [KeyEncoding::EpochMs, KeyEncoding::UuidV7]);

    let ensure_args = ["partitions", "ensure", "--plan", "starter.yaml"];
    let run = ctx
        .dbops()
        .on(&db)
        .args(ensure_args)
        .args(now)
        .args(["--dry-run", "-o", "sql"])
        .run()
        .await?;
    let sql = run.exits_with(0)?.stdout;
    for name in [
        "\"parts\".\"Po.st \"\"x\"\": #{a}-20260316\"",
        "\"parts\".\"Po.st \"\"x\"\": #{a}-20260318\"",
        "\"public\".\"clicks_y2026m04\"",
        "\"public\".\"events_p2026_04\"",
        "\"public\".\"hashed_2027_h1\"",
        "\"public\".\"messages_2026_03_16\"",
    ] {
        ensure!(sql.contains(name), "no {name} in\n{sql}");
    }
    // What was planned is what the server takes, and then nothing is left to do.
    let run = ctx
        .dbops()
        .on(&db)
        .args(ensure_args)
        .args(now)
        .run()
        .await?;
    run.exits_with(0)?;
    let again = ctx.dbops().on(&db).args(["init"]).args(now).run().await?;
    let again = again.exits_with(0)?.stdout;
    let declared = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.trim().starts_with('#'));
        lines
            .map(|line| line.split("  #").next().unwrap_or_default().to_owned())
            .collect()
    };
    ensure!(declared(&again) == declared(&text), "{again}");
    Ok(())
}

async fn a_file_is_only_replaced_when_asked_to(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(MIXED).await?;
    let file = ctx.dir().join("dbops.yaml");
    let init = |more: &[&str]| {
        let args = ["init", "--out", "dbops.yaml"];
        ctx.dbops().on(&db).args(args).args(more.to_vec()).run()
    };
    let run = init(&[]).await?.exits_with(0)?;
    ensure!(run.stdout.is_empty(), "{}", run.stdout);
    ensure!(
        run.stderr.contains("dbops diff --plan dbops.yaml"),
        "{}",
        run.stderr
    );
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, "version: 1\n")?;
    let run = init(&[]).await?.exits_with(2)?;
    ensure!(run.stderr.contains("exists already"), "{}", run.stderr);
    ensure!(std::fs::read_to_string(&file)? == "version: 1\n");
    init(&["--force"]).await?.exits_with(0)?;
    ensure!(std::fs::read_to_string(&file)? == text);
    let stray = ctx.dbops().on(&db).args(["init", "--force"]).run().await?;
    stray.exits_with(2)?;
    Ok(())
}

async fn a_database_without_partitioned_tables_gives_an_empty_plan(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let run = ctx
        .dbops()
        .on(&db)
        .args(["init"])
        .run()
        .await?
        .exits_with(0)?;
    let file = ctx.dir().join("empty.yaml");
    std::fs::write(&file, &run.stdout)?;
    let loaded = load(&[file]).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    ensure!(loaded.plan.partitions.is_empty());
    Ok(())
}
