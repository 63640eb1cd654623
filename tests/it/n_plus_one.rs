//! `dbops queries n-plus-one` on a real server: a loop amid honest traffic is found, the same work by one query is not.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio_postgres::Client;

use crate::common::{Ctx, Db, tests};

tests!(Ends: a_loop_is_found_and_its_fixed_version_is_quiet);

/// Tables as an application has them, and what every request of it asks for.
const TABLES: &str = "create extension pg_stat_statements;
    create table accounts (id bigint primary key, token text unique not null);
    create table posts (id bigint primary key, account_id bigint not null references accounts);
    create table comments (id bigint primary key, post_id bigint not null references posts);
    create index on comments (post_id);
    insert into accounts select n, 'token ' || n from generate_series(1, 100) as n;
    insert into posts select n, 1 + n % 100 from generate_series(1, 200) as n;
    insert into comments select n, 1 + n % 200 from generate_series(1, 400) as n";

#[derive(Clone, Copy, PartialEq)]
enum Listing {
    Looped,
    Fixed,
}

/// One application: it serves request after request until it is dropped.
async fn serve(client: &Client, listing: Listing, seed: u64) -> Result<()> {
    let token = client
        .prepare("select id from accounts where token = $1")
        .await?;
    let account = client
        .prepare("select id, token from accounts where id = $1")
        .await?;
    let post = client
        .prepare("select id, account_id from posts where id = $1")
        .await?;
    let posts = client
        .prepare("select id from posts order by id limit $1 offset $2")
        .await?;
    let one = client
        .prepare("select id, post_id from comments where post_id = $1")
        .await?;
    let all = client
        .prepare("select id, post_id from comments where post_id = any($1)")
        .await?;
    let mut rng = fastrand::Rng::with_seed(seed);
    loop {
        // Requests come at random, as those of people do; nothing is asserted about the time.
        tokio::time::sleep(Duration::from_millis(rng.u64(1..12))).await;
        let id = rng.i64(1..=100);
        client.query(&token, &[&format!("token {id}")]).await?;
        client.query(&account, &[&id]).await?;
        if rng.u32(..6) > 0 {
            client.query(&post, &[&rng.i64(1..=200)]).await?;
            client.query(&one, &[&rng.i64(1..=200)]).await?;
            continue;
        }
        let page = rng.i64(10..=20);
        let rows = client.query(&posts, &[&page, &rng.i64(0..100)]).await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        if listing == Listing::Fixed {
            client.query(&all, &[&ids]).await?;
            continue;
        }
        for id in ids {
            client.query(&one, &[&id]).await?;
        }
    }
}

/// Records while three processes of the application work; returns the report and the exit code wanted of it.
async fn record(ctx: &Ctx, db: &Db, listing: Listing, exit: i32) -> Result<Value> {
    let clients = [
        db.connect().await?,
        db.connect().await?,
        db.connect().await?,
    ];
    let [a, b, c] = &clients;
    let work = async {
        tokio::try_join!(
            serve(a, listing, 1),
            serve(b, listing, 2),
            serve(c, listing, 3)
        )
    };
    let name = db.name.clone();
    let watch = ctx
        .dbops()
        .on(db)
        .args([
            "queries",
            "n-plus-one",
            "--window",
            "200ms",
            "--windows",
            "20",
        ])
        .args([
            "--only-database",
            &name,
            "--fail-on",
            "suspect",
            "-o",
            "json",
        ])
        .run();
    let run = tokio::select! {
        ended = work => {
            ended?;
            anyhow::bail!("the application ended");
        }
        run = watch => run?,
    };
    let run = run.exits_with(exit)?;
    run.json()
}

async fn a_loop_is_found_and_its_fixed_version_is_quiet(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLES).await?;
    let report = record(ctx, &db, Listing::Looped, 1).await?;
    let suspects = report["targets"][0]["suspects"]
        .as_array()
        .context("suspects")?;
    ensure!(suspects.len() == 1, "{report:#}");
    let found = &suspects[0];
    ensure!(
        found["kind"] == "has-many" && found["table"] == "comments" && found["column"] == "post_id",
        "{found:#}"
    );
    ensure!(
        found["parent"]["foreign_key"] == "comments_post_id_fkey",
        "{found:#}"
    );
    let parent = found["parent"]["text"].as_str().context("a parent")?;
    ensure!(parent.contains("from posts order by id limit"), "{parent}");
    ensure!(found["avoidable_calls"].as_f64() > Some(20.0), "{found:#}");
    ensure!(
        found["terms"]
            .as_array()
            .is_some_and(|terms| !terms.is_empty()),
        "{found:#}"
    );
    let report = record(ctx, &db, Listing::Fixed, 0).await?;
    ensure!(
        report["targets"][0]["suspects"] == Value::Array(Vec::new()),
        "{report:#}"
    );
    Ok(())
}
