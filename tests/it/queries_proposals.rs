//! `queries slow --explain --write-plan` on a reference system without its indexes, and what HypoPG says to proposals.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::common::{Ctx, Db, tests};

tests!(
    SystemOnly: a_load_gets_back_the_indexes_that_it_used,
    hypopg_drops_proposals_that_change_no_plan,
);

const SLOW: [&str; 9] = [
    "slow",
    "--mean",
    "0.0001ms",
    "--min-calls",
    "1",
    "--limit",
    "0",
    "--explain",
    "60",
];

async fn slow(ctx: &Ctx, db: &Db, more: &[&str]) -> Result<Value> {
    let run = ctx
        .dbops()
        .on(db)
        .args(["queries"])
        .args(SLOW)
        .args(["--only-database", &db.name, "-o", "json"])
        .args(more.iter().copied())
        .run()
        .await?
        .exits_with(0)?;
    Ok(run.json()?["targets"][0].clone())
}

fn proposals(report: &Value) -> Vec<String> {
    let mut all: Vec<String> = report["proposals"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            let keys = one["keys"].as_array().into_iter().flatten();
            let keys: Vec<&str> = keys.filter_map(Value::as_str).collect();
            format!(
                "{} ({})",
                one["table"].as_str().unwrap_or("?"),
                keys.join(", ")
            )
        })
        .collect();
    all.sort();
    all
}

/// Fills each statement of a load with the values that the first rows of its draw give.
async fn filled(db: &Db, load: &str) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for part in load.split("\n\n").filter(|part| part.contains("-- calls:")) {
        let draw = part.lines().find_map(|line| line.strip_prefix("-- draw: "));
        let text: Vec<&str> = part
            .lines()
            .filter(|line| !line.starts_with("--"))
            .collect();
        let text = text.join("\n");
        let Some(draw) = draw else {
            all.push(text);
            continue;
        };
        // Two values at most: what a load names.
        let sql = format!(
            "select string_agg(replace(replace($text${text}$text$, '$1', quote_literal(v.all[1])), \
             '$2', quote_nullable(v.all[2])), '') from (select array(select e.value from \
             json_each_text(row_to_json(d)) as e) as all from ({draw}) as d limit 4) as v"
        );
        all.push(db.value(&sql).await?);
    }
    Ok(all)
}

async fn a_load_gets_back_the_indexes_that_it_used(ctx: &Ctx) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/samples");
    let file = |name: &str| std::fs::read_to_string(root.join(name)).context(name.to_owned());
    let db = ctx.db().await?;
    db.run("create extension pg_stat_statements").await?;
    db.run(&file("cafeteria.sql")?).await?;
    let data = file("cafeteria_data.sql")?;
    db.run(&format!(
        "set dbops.sample_end = '2026-11-22'; set dbops.sample_months = '2'; set dbops.sample_rows = '20000'; {data}"
    ))
    .await?;
    let load = filled(&db, &file("cafeteria_load.sql")?).await?;
    db.run(&format!(
        "select pg_stat_statements_reset(0, (select oid from pg_database where datname = '{}'), 0)",
        db.name
    ))
    .await?;
    for statements in &load {
        db.run(statements)
            .await
            .with_context(|| statements.clone())?;
    }
    let plan = ctx.dir().join("proposed.yaml");
    let plan = plan.to_str().context("a path")?;
    let found = slow(ctx, &db, &["--write-plan", plan]).await?;
    // Eight of the nine declared ones: those of one column are the first keys of others. Nothing of the menu or the
    // users. The ninth serves a `COUNT($1)`, whose parameter has no type: it cannot be planned, and that is said.
    let expected = [
        "public.notifications (created_at)",
        "public.order_items (order_id)",
        "public.orders (created_at)",
        "public.orders (status)",
        "public.orders (user_id, status)",
        "public.transactions (user_id, created_at)",
    ];
    let mut proposed = proposals(&found);
    proposed.retain(|one| one != "public.notifications (user_id, is_read)");
    ensure!(proposed == expected, "{proposed:?}");
    ctx.dbops()
        .on(&db)
        .args(["indexes", "apply", "--plan", plan])
        .run()
        .await?
        .exits_with(0)?;
    db.run("analyze").await?;
    let again = slow(ctx, &db, &[]).await?;
    ensure!(proposals(&again).is_empty(), "{:?}", proposals(&again));
    Ok(())
}

async fn hypopg_drops_proposals_that_change_no_plan(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create extension pg_stat_statements; create schema helpers; create extension hypopg schema helpers;
         create table orders (id int primary key, user_id int, created_at timestamptz, note text);
         insert into orders select n, n % 500, now() - n * interval '1 min', repeat('x', 100)
           from generate_series(1, 20000) as n;
         analyze orders",
    )
    .await?;
    // A third of all rows by the planner's guess: it would not use an index of `note` for the last.
    db.run(
        "select note from orders where user_id = 7 order by created_at desc limit 5;
         select note from orders where user_id = 8;
         select count(note) from orders where note > 'a'",
    )
    .await?;
    let found = slow(ctx, &db, &[]).await?;
    ensure!(
        proposals(&found) == ["public.orders (user_id, created_at)"],
        "{found:#}"
    );
    ensure!(found["refused_proposals"] == 1, "{found:#}");
    let kept = &found["proposals"][0];
    ensure!(
        kept["statements"].as_array().map(Vec::len) == Some(2),
        "one index for both: {kept:#}"
    );
    let proven = &kept["proven"];
    ensure!(proven["by"] == "hypopg", "{kept:#}");
    let figure = |name: &str| proven[name].as_f64().unwrap_or(-1.0);
    ensure!(
        figure("cost_after") > 0.0 && figure("cost_after") < 0.5 * figure("cost_before"),
        "{kept:#}"
    );
    ensure!(figure("index_bytes") > 8_192.0, "{kept:#}");
    let run = ctx
        .dbops()
        .on(&db)
        .args(["queries"])
        .args(SLOW)
        .args(["--only-database", &db.name])
        .run()
        .await?
        .exits_with(0)?;
    let said: Vec<&str> = run.stdout.split_whitespace().collect();
    let said = said.join(" ");
    for words in [
        "proven by HypoPG: estimated cost",
        "1 index more would not be used by the planner",
    ] {
        ensure!(said.contains(words), "`{words}`: {said}");
    }
    let indexes: i64 = db
        .value("select count(*) from pg_stat_user_indexes")
        .await?;
    ensure!(indexes == 1, "nothing was built");
    Ok(())
}
