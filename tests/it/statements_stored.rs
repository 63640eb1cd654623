//! Readings in dbops's own schema and in files: stored, named, listed, read again, pruned; no secret with them.
#![expect(clippy::disallowed_methods, reason = "tests prepare their databases")]

use anyhow::{Context as _, Result, ensure};
use dbops::conn::begin_read;
use dbops::history::statements::{Which, load};
use dbops::sample::statements::file;
use dbops::sample::statements::read::Texts;

use crate::common::{Ctx, tests};
use crate::statements_read::{find, of, reading, session};

tests!(
    Every: readings_are_stored_named_listed_and_pruned,
    without_the_right_a_reading_is_refused_with_the_way_around,
    hidden_entries_are_counted_and_no_secret_is_kept,
);

async fn readings_are_stored_named_listed_and_pruned(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create extension pg_stat_statements; create table t (id int); select id from t where id = 1")
        .await?;
    let snapshot = async |args: &[&str]| {
        let only = ["queries", "snapshot", "--only-database", &db.name];
        let run = ctx.dbops().on(&db).args(only).args(args).run().await?;
        run.exits_with(0)
    };
    snapshot(&["--name", "main"]).await?;
    db.run("select id from t where id = 2").await?;
    snapshot(&[]).await?;
    let moved = snapshot(&["--name", "main"]).await?;
    ensure!(
        moved
            .stdout
            .contains("stored as 3, named main; 1 had the name before"),
        "{}",
        moved.stdout
    );

    let listed = snapshot(&["--list", "-o", "json"]).await?.json()?;
    ensure!(listed["format"] == "dbops.snapshots/1");
    let list = listed["targets"][0]["snapshots"]
        .as_array()
        .context("a list")?;
    let told: Vec<_> = list
        .iter()
        .map(|one| (one["id"].as_i64(), one["name"].as_str()))
        .collect();
    ensure!(
        told == [(Some(3), Some("main")), (Some(2), None), (Some(1), None)],
        "{told:?}"
    );
    let text = snapshot(&["--list"]).await?.stdout;
    ensure!(text.contains("main") && text.lines().count() == 4, "{text}");

    // What comes back is what was read, each text once.
    let mut reader = session(&db.url).await?;
    let tx = begin_read(&mut reader).await?;
    let first = load(&tx, &Which::Id(1), None).await?;
    let second = load(&tx, &Which::Id(2), Some("default")).await?;
    let last = load(&tx, &Which::Last, None).await?;
    let named = load(&tx, &Which::Name("main".to_owned()), None).await?;
    ensure!(last == named && last.origin.taken_at > second.origin.taken_at);
    let calls = |snapshot| -> Result<f64> {
        let entry = find(snapshot, "from t where id")?;
        entry
            .counters
            .get(dbops::sample::statements::column::Column::Calls)
            .context("calls")
    };
    ensure!(calls(&first)? == 1.0 && calls(&second)? == 2.0);
    let at = chrono::DateTime::from_timestamp_micros((second.origin.taken_at * 1e6) as i64 + 1)
        .context("an instant")?;
    ensure!(load(&tx, &Which::At(at), None).await? == second);
    let missing = load(&tx, &Which::Name("nobody".to_owned()), None).await;
    let missing = missing.err().context("it was there")?.to_string();
    ensure!(
        missing == "no reading with the name nobody is stored",
        "{missing}"
    );
    drop(tx);
    let doubled: i64 = db
        .value("select count(*) - count(distinct text) from dbops.statement_text")
        .await?;
    ensure!(doubled == 0);

    // A file of a stored reading is the reading.
    snapshot_of(ctx, &db, &["--stored", "2", "--file", "two.gz"]).await?;
    ensure!(file::load(&ctx.dir().join("two.gz"))? == [second]);

    // Old readings go, those with a name stay, and so do the texts that they have.
    db.run("update dbops.statement_snapshot set taken_at = taken_at - interval '2 days'; insert into dbops.statement_text values (gen_random_uuid(), 'nobody has it')").await?;
    let kept = snapshot(&["--keep", "1d"]).await?;
    ensure!(
        kept.stdout.contains("; 2 old readings removed"),
        "{}",
        kept.stdout
    );
    let left: Vec<i64> = db
        .value("select array_agg(id order by id) from dbops.statement_snapshot")
        .await?;
    ensure!(left == [3, 4], "{left:?}");
    let orphans: i64 = db
        .value("select count(*) from dbops.statement_text where text = 'nobody has it'")
        .await?;
    ensure!(orphans == 0);
    let mut reader = session(&db.url).await?;
    let tx = begin_read(&mut reader).await?;
    ensure!(find(&load(&tx, &Which::Id(3), None).await?, "from t where id").is_ok());
    Ok(())
}

async fn snapshot_of(ctx: &Ctx, db: &crate::common::Db, args: &[&str]) -> Result<()> {
    let run = ctx
        .dbops()
        .on(db)
        .args(["queries", "snapshot"])
        .args(args)
        .run()
        .await?;
    run.exits_with(0)?;
    Ok(())
}

async fn without_the_right_a_reading_is_refused_with_the_way_around(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let role = format!("{}_reader", db.name);
    db.run(&format!(
        "create extension pg_stat_statements; create role \"{role}\" login"
    ))
    .await?;
    let refused = ctx
        .dbops()
        .on(&db)
        .args(["queries", "snapshot", "--user", &role])
        .run()
        .await?;
    let refused = refused.exits_with(4)?;
    ensure!(refused.stderr.contains("--file PATH"), "{}", refused.stderr);
    ensure!(
        refused
            .stderr
            .contains(&format!("create schema dbops authorization {role}")),
        "{}",
        refused.stderr
    );
    // The way around works.
    let run = ctx
        .dbops()
        .on(&db)
        .args(["queries", "snapshot", "--user", &role, "--file", "mine.gz"])
        .run()
        .await?;
    run.exits_with(0)?;
    // So does the fix.
    db.run(&format!("create schema dbops authorization \"{role}\""))
        .await?;
    let run = ctx
        .dbops()
        .on(&db)
        .args(["queries", "snapshot", "--user", &role])
        .run()
        .await?;
    run.exits_with(0)?;
    db.run(&format!(
        "drop owned by \"{role}\" cascade; drop role \"{role}\""
    ))
    .await
}

async fn hidden_entries_are_counted_and_no_secret_is_kept(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let role = format!("{}_reader", db.name);
    let gone = format!("{}_gone", db.name);
    db.run(&format!(
        "create extension pg_stat_statements; create table t (id int); grant select on t to public;
         create role \"{role}\" login password 'open sesame'; create role \"{gone}\" login"
    ))
    .await?;
    let join = if db.url.contains('?') { '&' } else { '?' };
    let leaver = db.cluster.connect(&db.name).await?;
    leaver
        .batch_execute(&format!(
            "set role \"{gone}\"; select id from t where id = 7"
        ))
        .await?;
    drop(leaver);
    db.run(&format!("drop role \"{gone}\"")).await?;

    // A dropped role's entry stays, without a name.
    let all = reading(&db.url, &of(&db, Texts::All)).await?;
    let entry = find(&all, "from t where id")?;
    ensure!(
        !all.roles.contains_key(&entry.key.userid),
        "{:?}",
        all.roles
    );

    let url = format!("{}{join}user={role}", db.url);
    let seen = reading(&url, &of(&db, Texts::All)).await?;
    ensure!(seen.origin.hidden > 0 && seen.hidden_share() > 0.0);
    ensure!(
        seen.entries
            .iter()
            .all(|one| one.key.queryid.is_some() || one.text.is_none())
    );
    let text = seen.notes().first().context("a note")?.text.clone();
    ensure!(text.contains("hidden from"), "{text}");
    let total = |snapshot: &dbops::sample::statements::model::Snapshot| -> f64 {
        let calls = snapshot.entries.iter().map(|one| {
            one.counters
                .sum(dbops::sample::statements::column::Column::Calls)
        });
        calls.sum()
    };
    ensure!(
        total(&seen) >= total(&all),
        "hidden entries count in the totals"
    );

    // The server may keep the password; a file and the schema do not.
    snapshot_of(ctx, &db, &["--file", "all.gz"]).await?;
    let kept = file::load(&ctx.dir().join("all.gz"))?;
    let texts = kept[0].entries.iter().filter_map(|one| one.text.as_deref());
    ensure!(!texts.clone().any(|text| text.contains("sesame")));
    ensure!(
        texts
            .clone()
            .any(|text| text.contains("create role") && text.contains("***"))
    );
    snapshot_of(ctx, &db, &[]).await?;
    let secrets: i64 = db
        .value("select count(*) from dbops.statement_text where text like '%sesame%'")
        .await?;
    ensure!(secrets == 0);
    db.run(&format!("drop owned by \"{role}\"; drop role \"{role}\""))
        .await
}
