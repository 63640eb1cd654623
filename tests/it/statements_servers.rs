//! Statements on servers of which something is off, full, restarted, a standby, or not prepared at all.
#![expect(clippy::disallowed_methods, reason = "tests prepare their servers")]

use std::ops::ControlFlow;

use anyhow::{Context as _, Result, ensure};
use dbops::sample::statements::delta::difference;
use dbops::sample::statements::doubt::WindowDoubt;
use dbops::sample::statements::notes::About;
use dbops::sample::statements::read::Databases;
use dbops::sample::statements::unavailable::{ReadError, Reason};
use dbops::sample::statements::windows::{Length, Wanted, record};

use crate::common::{Ctx, tests};
use crate::statements_read::{find, reading, session};

tests!(
    SystemOnly: settings_and_evictions_are_told_and_a_restart_keeps_entries,
    a_standby_counts_for_itself,
    the_length_is_chosen_within_bounds,
    a_library_that_is_not_loaded_is_named_with_the_restart,
);

async fn settings_and_evictions_are_told_and_a_restart_keeps_entries(ctx: &Ctx) -> Result<()> {
    let mut cluster = ctx
        .private_cluster()?
        .preload("pg_stat_statements")
        .config("pg_stat_statements.max", "100")
        .start()
        .await?;
    let url = cluster.url_for("postgres");
    let client = cluster.connect("postgres").await?;
    client
        .batch_execute("create extension pg_stat_statements; select relname from pg_class")
        .await?;
    let options = Default::default();
    let before = reading(&url, &options).await?;
    for (name, value, about) in [
        ("pg_stat_statements.track", "none", About::TrackNone),
        ("compute_query_id", "off", About::NoQueryId),
    ] {
        let database = format!("alter database postgres set {name} = {value}");
        client.batch_execute(&database).await?;
        let notes = reading(&url, &options).await?.notes();
        let note = notes.iter().find(|note| note.about == about);
        let note = note.with_context(|| format!("{name}: {notes:?}"))?;
        ensure!(note.text.contains(name) && note.fix.is_some(), "{note:?}");
        let reset = format!("alter database postgres reset {name}");
        client.batch_execute(&reset).await?;
    }
    client
        .batch_execute("create role batch; alter role batch set track_io_timing = on")
        .await?;
    let apart = reading(&url, &options).await?;
    let notes = apart.notes();
    let note = notes.iter().find(|note| note.about == About::Overridden);
    ensure!(
        note.is_some_and(|note| note.text.contains("for role batch as `on`")),
        "{notes:?}"
    );
    ensure!(
        apart.origin.own > 0 && apart.origin.own_calls >= apart.origin.own as f64,
        "{:?}",
        apart.origin
    );
    // More shapes than there is room for.
    for columns in 1..=150 {
        let list = vec!["relname"; columns].join(", ");
        client
            .batch_execute(&format!("select {list} from pg_class where oid = 0"))
            .await?;
    }
    let after = reading(&url, &options).await?;
    let found = difference(&before, &after);
    ensure!(
        found
            .doubts
            .iter()
            .any(|doubt| matches!(doubt, WindowDoubt::Evicted { .. })),
        "{:?}",
        found.doubts
    );
    ensure!(
        after
            .notes()
            .iter()
            .any(|note| note.about == About::Evicted)
    );

    drop(client);
    cluster.stop();
    cluster.launch().await?;
    let url = cluster.url_for("postgres");
    let restarted = reading(&url, &options).await?;
    let found = difference(&after, &restarted);
    ensure!(
        found.doubts.contains(&WindowDoubt::Restart),
        "{:?}",
        found.doubts
    );
    ensure!(
        restarted.entries.len() > 30,
        "{} entries were kept",
        restarted.entries.len()
    );
    Ok(())
}

async fn a_standby_counts_for_itself(ctx: &Ctx) -> Result<()> {
    let primary = ctx
        .private_cluster()?
        .preload("pg_stat_statements")
        .start()
        .await?;
    let client = primary.connect("postgres").await?;
    client
        .batch_execute("create extension pg_stat_statements; select reltuples from pg_class")
        .await?;
    let standby = primary
        .standby("reader")
        .preload("pg_stat_statements")
        .start()
        .await?;
    standby
        .connect("postgres")
        .await?
        .batch_execute("select relpages from pg_class")
        .await?;
    let options = Default::default();
    let here = reading(&primary.url_for("postgres"), &options).await?;
    let there = reading(&standby.url_for("postgres"), &options).await?;
    ensure!(there.origin.in_recovery && !here.origin.in_recovery);
    find(&here, "select reltuples")?;
    find(&there, "select relpages")?;
    ensure!(find(&here, "select relpages").is_err());
    ensure!(find(&there, "select reltuples").is_err());
    let found = difference(&here, &there);
    ensure!(
        !found.is_usable() && found.doubts.contains(&WindowDoubt::OtherNode),
        "{:?}",
        found.doubts
    );
    Ok(())
}

async fn the_length_is_chosen_within_bounds(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create extension pg_stat_statements").await?;
    let mut session = session(&db.url).await?;
    let wanted = Wanted {
        windows: 1,
        length: Length::Auto,
        databases: Databases::One(db.name.clone()),
    };
    let recording = async {
        // An idle server would have windows of ten seconds.
        let recorded = record(&mut session, &wanted, std::future::pending(), |_| {
            ControlFlow::Break(())
        });
        recorded.await.map_err(anyhow::Error::from)
    };
    let (tell, told) = tokio::sync::watch::channel(false);
    let working = async {
        while !*told.borrow() {
            db.run("select").await?;
        }
        anyhow::Ok(())
    };
    let recording = async {
        let recording = recording.await;
        let _ = tell.send(true);
        recording
    };
    let (recording, worked) = tokio::join!(recording, working);
    worked?;
    let recording = recording?;
    ensure!(
        (0.25..10.0).contains(&recording.window_seconds),
        "{} s",
        recording.window_seconds
    );
    let requests = recording.requests_per_second.context("an estimate")?;
    ensure!(requests > 40.0, "{requests} a second");
    Ok(())
}

async fn a_library_that_is_not_loaded_is_named_with_the_restart(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.private_cluster()?.start().await?;
    let client = cluster.connect("postgres").await?;
    client
        .batch_execute("create extension pg_stat_statements")
        .await?;
    match reading(&cluster.url_for("postgres"), &Default::default()).await {
        Err(ReadError::Unavailable(unavailable)) => {
            ensure!(
                unavailable.reason == Reason::NotPreloaded,
                "{unavailable:?}"
            );
            let fix = unavailable.fix.concat();
            ensure!(
                fix.contains("shared_preload_libraries") && fix.contains("restart"),
                "{fix}"
            );
            Ok(())
        }
        other => anyhow::bail!("{other:?}"),
    }
}
