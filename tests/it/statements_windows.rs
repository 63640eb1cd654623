//! Recording windows: what ran in each of them, no text read twice, and readings that survive what servers do.
#![expect(clippy::disallowed_methods, reason = "tests prepare their servers")]

use std::ops::ControlFlow;

use anyhow::{Context as _, Result, ensure};
use dbops::sample::statements::column::Column;
use dbops::sample::statements::delta::difference;
use dbops::sample::statements::doubt::{Doubt, WindowDoubt};
use dbops::sample::statements::file;
use dbops::sample::statements::model::Snapshot;
use dbops::sample::statements::notes::About;
use dbops::sample::statements::read::{Databases, Texts};
use dbops::sample::statements::recording::Recording;
use dbops::sample::statements::windows::{Length, Wanted, record};

use crate::common::{Ctx, eventually, tests};
use crate::statements_read::{find, of, reading, session};

tests!(
    Every: windows_hold_what_ran_in_them,
    resets_of_one_entry_are_told,
    a_killed_backend_loses_everything_and_is_told,
    a_lost_connection_keeps_the_windows_so_far,
    nested_statements_are_kept_apart_or_said_to_be_merged,
);

async fn windows_hold_what_ran_in_them(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create extension pg_stat_statements; create table t (id int); select id from t where id = 0;
         create table window_0 (); create table window_1 (); create table window_2 ()")
        .await?;
    let mut session = session(&db.url).await?;
    let wanted = Wanted {
        windows: 6,
        length: Length::Seconds(0.2),
        databases: Databases::One(db.name.clone()),
    };
    // Statements are sent while the recording waits, as many as there are windows behind.
    let (tell, told) = tokio::sync::watch::channel(0_u32);
    let working = async {
        let mut told = told.clone();
        for window in 0..3_u32 {
            told.wait_for(|seen| *seen > window).await?;
            for _ in 0..=window {
                db.run("select id from t where id = 5").await?;
            }
            db.run(&format!("select from window_{window}")).await?;
        }
        anyhow::Ok(())
    };
    let recording = async {
        let recorded = record(&mut session, &wanted, std::future::pending(), |recording| {
            let _ = tell.send(u32::try_from(recording.windows.len()).unwrap_or(u32::MAX));
            ControlFlow::Continue(())
        });
        recorded.await.map_err(anyhow::Error::from)
    };
    let (recording, worked) = tokio::join!(recording, working);
    let recording = recording?;
    worked?;
    ensure!(recording.windows.len() == 6 && recording.usable() == 6);
    ensure!(!recording.interrupted);
    ensure!(recording.round_trip_ms.is_some_and(|trip| trip > 0.0));
    let calls = |text: &str| -> Vec<f64> {
        let statement = recording
            .statements
            .iter()
            .position(|one| one.text.as_deref().is_some_and(|one| one.contains(text)));
        recording
            .windows
            .iter()
            .map(|window| {
                let ran = window.activities.iter();
                let mut ran = ran.filter(|one| Some(one.statement) == statement);
                ran.next().map_or(0.0, |one| one.calls)
            })
            .collect()
    };
    let looked_up = calls("from t where id");
    ensure!(looked_up.iter().sum::<f64>() == 6.0, "{looked_up:?}");
    for window in 0..3 {
        let name = format!("from window_{window}");
        let found = calls(&name);
        ensure!(found.iter().sum::<f64>() == 1.0, "{name}: {found:?}");
    }
    for statement in &recording.statements {
        let text = statement.text.as_deref().context("a text")?;
        ensure!(
            !text.contains("/* dbops */")
                || recording.windows.iter().all(|window| {
                    window
                        .activities
                        .iter()
                        .all(|one| recording.statements.get(one.statement) != Some(statement))
                }),
            "dbops's own: {text}"
        );
    }
    let total = recording.total();
    ensure!(total.doubts.is_empty(), "{:?}", total.doubts);
    let change = total.changes.iter().find(|change| {
        let text = recording.last.entries[change.after].text.as_deref();
        text.is_some_and(|text| text.contains("from t where id"))
    });
    let counters = &change.context("in the total")?.counters;
    ensure!(counters.get(Column::Calls) == Some(6.0));
    ensure!(counters.get(Column::SharedBlksDirtied).is_some());

    // The command writes the same to a file.
    let path = ctx.dir().join("windows.gz");
    let run = ctx
        .dbops()
        .on(&db)
        .args([
            "queries",
            "snapshot",
            "--windows",
            "2",
            "--window",
            "0.2s",
            "--file",
            "windows.gz",
        ])
        .run()
        .await?;
    run.exits_with(0)?;
    let readings = file::load(&path)?;
    ensure!(readings.len() == 3, "{} readings", readings.len());
    let loaded = Recording::of_readings(&readings).context("readings")?;
    ensure!(loaded.windows.len() == 2 && loaded.usable() == 2);
    Ok(())
}

async fn resets_of_one_entry_are_told(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create extension pg_stat_statements; create table one (); create table two (); create table three ()")
        .await?;
    for text in ["select from one", "select from two", "select from three"] {
        db.run(text).await?;
        db.run(text).await?;
    }
    let options = of(&db, Texts::All);
    let before = reading(&db.url, &options).await?;
    let of_one = |text: &str| {
        format!(
            "(select oid from pg_roles where rolname = current_user), \
             (select oid from pg_database where datname = current_database()), \
             (select queryid from pg_stat_statements as s join pg_database as d on d.oid = s.dbid \
              where datname = current_database() and query = 'select from {text}')"
        )
    };
    db.run(&format!(
        "select pg_stat_statements_reset({})",
        of_one("one")
    ))
    .await?;
    if ctx.major >= 17 {
        db.run(&format!(
            "select pg_stat_statements_reset({}, true)",
            of_one("two")
        ))
        .await?;
    }
    for text in ["select from one", "select from two", "select from three"] {
        db.run(text).await?;
    }
    let after = reading(&db.url, &options).await?;
    let found = difference(&before, &after);
    let change = |text: &str| -> Result<_> {
        let key = find(&after, text)?.key;
        let mut changes = found.changes.iter();
        changes.find(|change| change.key == key).context("a change")
    };
    let one = change("select from one")?;
    ensure!(one.doubt == Some(Doubt::Recreated), "{one:?}");
    ensure!(one.counters.get(Column::Calls) == Some(1.0));
    let two = change("select from two")?;
    ensure!(
        two.doubt.is_none() && two.counters.get(Column::Calls) == Some(1.0),
        "{two:?}"
    );
    let three = change("select from three")?;
    ensure!(three.doubt.is_none() && three.counters.get(Column::Calls) == Some(1.0));
    ensure!(
        found.is_usable() && found.doubts.is_empty(),
        "{:?}",
        found.doubts
    );
    ensure!(found.completeness.calls < 1.0 && found.completeness.calls > 0.0);
    Ok(())
}

async fn a_killed_backend_loses_everything_and_is_told(ctx: &Ctx) -> Result<()> {
    let cluster = ctx
        .private_cluster()?
        .preload("pg_stat_statements")
        .start()
        .await?;
    let url = cluster.url_for("postgres");
    let client = cluster.connect("postgres").await?;
    client
        .batch_execute("create extension pg_stat_statements")
        .await?;
    // What is not on disk yet would be lost with everything else.
    client.batch_execute("checkpoint").await?;
    client
        .batch_execute("select from pg_class; select from pg_class; select from pg_type")
        .await?;
    let options = Default::default();
    let before = reading(&url, &options).await?;
    let pid: i32 = client
        .query_one("select pg_backend_pid()", &[])
        .await?
        .try_get(0)?;
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)?;
    // The server recovers; until then it refuses.
    let gone = async || Ok(client.is_closed());
    eventually("the killed session is gone", gone).await?;
    let answers = async || match cluster.connect("postgres").await {
        Ok(client) => Ok(client.query_one("select 1", &[]).await.is_ok()),
        Err(_) => Ok(false),
    };
    eventually("the server accepts connections again", answers).await?;
    let client = cluster.connect("postgres").await?;
    client
        .batch_execute("select from pg_class; select from pg_class; select from pg_class")
        .await?;
    let after = reading(&url, &options).await?;
    let found = difference(&before, &after);
    ensure!(
        found.doubts.first() == Some(&WindowDoubt::Crash),
        "{:?}",
        found.doubts
    );
    let key = find(&after, "select from pg_class")?.key;
    let change = found
        .changes
        .iter()
        .find(|one| one.key == key)
        .context("a change")?;
    ensure!(
        change.counters.get(Column::Calls) == Some(3.0),
        "{change:?}"
    );
    ensure!(change.doubt == Some(Doubt::Recreated));
    ensure!(before.origin.started_at == after.origin.started_at);
    Ok(())
}

async fn a_lost_connection_keeps_the_windows_so_far(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create extension pg_stat_statements").await?;
    let mut session = session(&db.url).await?;
    let wanted = Wanted {
        windows: 1_000,
        length: Length::Seconds(0.1),
        databases: Databases::One(db.name.clone()),
    };
    let (tell, mut told) = tokio::sync::watch::channel(0);
    let ending = async {
        told.wait_for(|seen| *seen >= 2).await?;
        // The database has no session but the recording and this one.
        db.run(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .await
    };
    let recording = async {
        let recorded = record(&mut session, &wanted, std::future::pending(), |recording| {
            let _ = tell.send(recording.windows.len());
            ControlFlow::Continue(())
        });
        recorded.await.map_err(anyhow::Error::from)
    };
    let (recording, ended) = tokio::join!(recording, ending);
    ended?;
    let recording = recording?;
    let windows = recording.windows.len();
    ensure!((2..1_000).contains(&windows), "{windows} windows");
    let why = recording.failed.context("why it ended")?;
    ensure!(!recording.interrupted && !why.is_empty());
    ensure!(
        recording.last.origin.taken_at > recording.first.origin.taken_at,
        "the last reading is kept"
    );
    Ok(())
}

async fn nested_statements_are_kept_apart_or_said_to_be_merged(ctx: &Ctx) -> Result<()> {
    // 13 has no version that tells them apart.
    if ctx.major < 14 {
        return Ok(());
    }
    let db = ctx.db().await?;
    db.run(
        "create extension pg_stat_statements; create table nested (id int);
         create function outer_one() returns void language plpgsql as
         $$ begin perform id from nested; perform id from nested; end $$",
    )
    .await?;
    db.run(
        "set pg_stat_statements.track = 'all'; select outer_one(); reset pg_stat_statements.track",
    )
    .await?;
    let nested = |snapshot: &Snapshot| -> Vec<_> {
        let entries = snapshot.entries.iter();
        let found = entries.filter(|entry| {
            let text = entry.text.as_deref().unwrap_or_default().to_lowercase();
            text.starts_with("select id from nested")
        });
        found
            .map(|one| (one.key.toplevel, one.counters.get(Column::Calls)))
            .collect()
    };
    db.run("select id from nested").await?;
    let mut found = nested(&reading(&db.url, &of(&db, Texts::All)).await?);
    found.sort_by_key(|(toplevel, _)| *toplevel);
    ensure!(
        found == [(Some(false), Some(2.0)), (Some(true), Some(1.0))],
        "{found:?}"
    );

    db.run("drop extension pg_stat_statements; create extension pg_stat_statements version '1.8'")
        .await?;
    let old = reading(&db.url, &of(&db, Texts::All)).await?;
    let found = nested(&old);
    ensure!(found == [(None, Some(3.0))], "{found:?}");
    ensure!(old.origin.merged >= 1);
    ensure!(old.notes().iter().any(|note| note.about == About::Merged));
    Ok(())
}
