//! `queries n-plus-one --from A..B`: stored readings in a row are windows, one difference says no more than possible.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::common::{Ctx, Run, tests};

tests!(Ends: stored_readings_between_two_are_windows);

async fn stored_readings_between_two_are_windows(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create extension pg_stat_statements;
        create table posts (id bigint primary key);
        create table comments (id bigint primary key, post_id bigint not null references posts);
        create index on comments (post_id);
        insert into posts select generate_series(1, 40);
        insert into comments select n, n from generate_series(1, 40) as n",
    )
    .await?;
    let client = db.connect().await?;
    let list = client
        .prepare("select id from posts order by id limit $1")
        .await?;
    let one = client
        .prepare("select id from comments where post_id = $1")
        .await?;
    let queries = async |words: &[&str]| -> Result<Run> {
        let dbops = ctx.dbops().on(&db).args(["queries"]);
        let only = ["--only-database", &db.name];
        dbops.args(words.iter().copied()).args(only).run().await
    };
    let mut rng = fastrand::Rng::with_seed(7);
    for number in 0..9 {
        let name = ["first", "second"].get(number).copied();
        let named: Vec<&str> = name.into_iter().flat_map(|name| ["--name", name]).collect();
        queries(&[&["snapshot"], &named[..]].concat())
            .await?
            .exits_with(0)?;
        for _ in 0..rng.u32(1..=4) {
            for row in client.query(&list, &[&20_i64]).await? {
                client.query(&one, &[&row.get::<_, i64>(0)]).await?;
            }
        }
    }
    let judge = async |span: &str, more: &[&str]| -> Result<Value> {
        let words = ["n-plus-one", "--from", span, "-o", "json", "--all"];
        let run = queries(&[&words[..], more].concat()).await?;
        run.exits_with(0)?.json()
    };
    // All of them: as many windows as the times of this machine allow, and the keys of the catalog.
    let all = judge("first..last", &[]).await?;
    let target = &all["targets"][0];
    ensure!(target["windows"]["recorded"] == 8, "{all:#}");
    ensure!(target["keys_read_from"][0] == db.name.as_str(), "{all:#}");
    let count = |name: &str| target["windows"][name].as_i64().unwrap_or(-1);
    ensure!(
        count("usable") + count("left_out") + count("joined") >= 8 && count("usable") >= 1,
        "{all:#}"
    );
    // Two readings are one difference: it is possible, and no check fails by it.
    let two = judge("1..second", &["--fail-on", "suspect"]).await?;
    let target = &two["targets"][0];
    ensure!(
        two["exit_code"] == 0 && target["windows"]["usable"] == 1,
        "{two:#}"
    );
    let found = target["suspects"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["table"] == "comments"));
    ensure!(
        found
            .is_some_and(|one| one["verdict"] == "possible" && one["calls"].as_f64() >= Some(20.0)),
        "{two:#}"
    );
    let words = ["n-plus-one", "--from", "first..second"];
    let text = queries(&words).await?.exits_with(0)?.stdout;
    ensure!(
        text.contains("verdicts stand on 1 window of")
            && text.contains("no verdict above `possible`"),
        "{text}"
    );
    for (span, why) in [
        ("second..first", "write the older one first"),
        ("first..nobody", "no reading with the name nobody"),
        (
            "2020-01-01T00:00:00Z..2020-01-02T00:00:00Z",
            "no reading is stored in this span",
        ),
    ] {
        let refused = queries(&["n-plus-one", "--from", span])
            .await?
            .exits_with(2)?;
        ensure!(refused.stderr.contains(why), "{span}: {}", refused.stderr);
    }
    Ok(())
}
