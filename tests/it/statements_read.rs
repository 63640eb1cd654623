//! Reading pg_stat_statements: what comes out is what the server holds, whatever version and schema the extension is in.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use dbops::conn::{Env, Overrides, Purpose, Session, Settings, begin_read, connect};
use dbops::sample::statements::column::Column;
use dbops::sample::statements::model::{Entry, Snapshot};
use dbops::sample::statements::read::{Databases, Options, Own, Texts, read};
use dbops::sample::statements::unavailable::{ReadError, Reason};

use crate::common::{Ctx, Db, tests};

tests!(
    Every: every_figure_is_that_of_the_view,
    every_version_of_the_extension_is_read,
    what_is_missing_is_named_with_its_fix,
);

pub(crate) async fn session(url: &str) -> Result<Session> {
    let overrides = Overrides {
        database_url: Some(url.to_owned()),
        ..Overrides::default()
    };
    let settings = Settings::resolve(&overrides, &Env::default()).map_err(anyhow::Error::msg)?;
    connect(&settings, Purpose::Read).await
}

pub(crate) async fn reading(url: &str, options: &Options) -> Result<Snapshot, ReadError> {
    let mut session = session(url).await?;
    let tx = begin_read(&mut session).await?;
    read(&tx, options).await
}

/// Only the test's own database: others run beside it in the same cluster.
pub(crate) fn of(db: &Db, texts: Texts) -> Options {
    Options {
        databases: Databases::One(db.name.clone()),
        texts,
        own: Own::Include,
    }
}

pub(crate) fn find<'a>(snapshot: &'a Snapshot, text: &str) -> Result<&'a Entry> {
    let mut found = snapshot
        .entries
        .iter()
        .filter(|entry| entry.text.as_deref().is_some_and(|one| one.contains(text)));
    let entry = found
        .next()
        .with_context(|| format!("no entry with `{text}`"))?;
    ensure!(found.next().is_none(), "several entries with `{text}`");
    Ok(entry)
}

async fn work(db: &Db) -> Result<()> {
    db.run(
        "create table work (id int primary key, filler text);
         insert into work select n, repeat('x', 500) from generate_series(1, 3000) as n;
         select count(*), md5('a') from work a join work b using (filler);
         select count(*) from work where id < 10;
         select count(*) from work where id < 20;
         set work_mem = '64kB';
         select count(*) from (select * from work order by filler, id desc offset 5) as s;
         create temp table t as select * from work;
         select count(*) from t",
    )
    .await
}

async fn every_figure_is_that_of_the_view(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create extension pg_stat_statements").await?;
    work(&db).await?;
    let snapshot = reading(&db.url, &of(&db, Texts::All)).await?;
    ensure!(
        find(&snapshot, "from work where id <")?
            .counters
            .get(Column::Calls)
            == Some(2.0),
        "two calls with other constants are one entry"
    );
    // The view as this server's own version of it has it, one JSON object a row.
    let by_hand = db
        .client
        .query(
            "select (to_jsonb(s))::text as row, s.queryid, s.userid from pg_stat_statements as s \
             join pg_database as d on d.oid = s.dbid where d.datname = current_database()",
            &[],
        )
        .await?;
    let mut compared = 0;
    for row in &by_hand {
        let queryid: i64 = row.try_get("queryid")?;
        let json: serde_json::Value = serde_json::from_str(row.try_get("row")?)?;
        let object = json.as_object().context("an object")?;
        let Some(entry) = snapshot.entries.iter().find(|entry| {
            entry.key.queryid == Some(queryid)
                && entry.key.toplevel == object.get("toplevel").and_then(|value| value.as_bool())
        }) else {
            continue;
        };
        if entry
            .text
            .as_deref()
            .is_none_or(|text| !text.contains("work"))
        {
            continue;
        }
        let mut seen = Vec::new();
        for (name, value) in object {
            let column = Column::ALL
                .iter()
                .find(|one| one.name() == name || one.older_names().contains(&name.as_str()));
            let Some(&column) = column else {
                ensure!(
                    ["userid", "dbid", "toplevel", "queryid", "query"].contains(&name.as_str()),
                    "nobody reads the column {name}"
                );
                continue;
            };
            seen.push(column);
            let ours = entry.counters.get(column).context("a figure")?;
            let theirs = match value.as_f64() {
                Some(number) => number,
                None => {
                    let text = value.as_str().context("a timestamp")?;
                    let at = chrono::DateTime::parse_from_rfc3339(text)?;
                    at.timestamp_micros() as f64 / 1e6
                }
            };
            ensure!(
                (ours - theirs).abs() <= theirs.abs() * 1e-12,
                "{name} of {:?} is {theirs}, not {ours}",
                entry.text
            );
            compared += 1;
        }
        for &column in Column::ALL {
            ensure!(
                seen.contains(&column) == entry.counters.get(column).is_some(),
                "{column:?}"
            );
        }
    }
    ensure!(compared > 6 * 28, "only {compared} figures were compared");
    ensure!(
        snapshot.databases.values().collect::<Vec<_>>() == [&db.name],
        "{:?}",
        snapshot.databases
    );
    ensure!(snapshot.roles.values().collect::<Vec<_>>() == ["postgres"]);
    ensure!(snapshot.origin.system_identifier.is_some());
    ensure!(snapshot.origin.timeline == Some(1));
    ensure!(snapshot.origin.dealloc.is_some() == (ctx.major >= 14));
    ensure!(snapshot.origin.settings["pg_stat_statements.track"] == "top");
    Ok(())
}

async fn every_version_of_the_extension_is_read(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create schema \"Odd \"\"schema\"").await?;
    let newest = match ctx.major {
        13 => 8,
        14 => 9,
        15 | 16 => 10,
        17 => 11,
        _ => 12,
    };
    let mut columns = BTreeMap::new();
    for minor in 4..=newest {
        db.run(&format!(
            "drop extension if exists pg_stat_statements;
             create extension pg_stat_statements schema \"Odd \"\"schema\" version '1.{minor}'"
        ))
        .await?;
        db.run(&format!(
            "create table versions_{minor} (id int); select * from versions_{minor}"
        ))
        .await?;
        let snapshot = reading(&db.url, &of(&db, Texts::All)).await?;
        ensure!(snapshot.origin.extension == format!("1.{minor}"));
        let entry = find(&snapshot, &format!("from versions_{minor}"))?;
        ensure!(entry.counters.get(Column::Calls) == Some(1.0));
        ensure!(entry.counters.get(Column::MeanExecTime).is_some());
        ensure!(entry.key.toplevel.is_some() == (minor >= 9));
        let known = Column::ALL
            .iter()
            .filter(|&&column| entry.counters.get(column).is_some())
            .count();
        columns.insert(minor, known);
        // userid, dbid, queryid and query come on top; toplevel from 1.9.
        let view: i64 = db
            .value("select count(*) from pg_attribute where attrelid = '\"Odd \"\"schema\".pg_stat_statements'::regclass and attnum > 0")
            .await?;
        ensure!(
            view == known as i64 + 4 + i64::from(minor >= 9),
            "1.{minor}: {known} of {view} columns"
        );
        let texts = reading(&db.url, &of(&db, Texts::None)).await?;
        ensure!(texts.entries.iter().all(|entry| entry.text.is_none()));
        let known = texts
            .entries
            .iter()
            .map(|one| one.key)
            .filter(|key| *key != entry.key)
            .collect();
        let missing = reading(&db.url, &of(&db, Texts::Missing(known))).await?;
        ensure!(find(&missing, &format!("from versions_{minor}"))?.key == entry.key);
    }
    Ok(())
}

async fn what_is_missing_is_named_with_its_fix(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let reason = async |url: &str, options: Options| match reading(url, &options).await {
        Err(ReadError::Unavailable(unavailable)) => Ok(unavailable),
        Err(ReadError::Other(error)) => Err(error),
        Ok(_) => anyhow::bail!("it was read"),
    };
    let missing = reason(&db.url, Options::default()).await?;
    ensure!(missing.reason == Reason::Missing);
    ensure!(missing.fix[0] == "create extension pg_stat_statements;");
    db.run(&missing.fix[0]).await?;
    reading(&db.url, &Options::default()).await?;

    let nowhere = Databases::One("no such database".to_owned());
    let options = Options {
        databases: nowhere,
        ..Options::default()
    };
    ensure!(reason(&db.url, options).await?.reason == Reason::NoDatabase);

    // A role without rights on the schema; then what the fix says.
    let role = format!("{}_closed", db.name);
    db.run(&format!(
        "create schema closed; alter extension pg_stat_statements set schema closed;
         create role \"{role}\" login;
         revoke all on all functions in schema closed from public"
    ))
    .await?;
    let url = format!(
        "{}{}user={role}",
        db.url,
        if db.url.contains('?') { '&' } else { '?' }
    );
    let closed = reason(&url, Options::default()).await?;
    ensure!(closed.reason == Reason::NoRight, "{closed:?}");
    for fix in &closed.fix {
        db.run(fix).await?;
    }
    reading(&url, &Options::default()).await?;
    db.run(&format!("drop owned by \"{role}\"; drop role \"{role}\""))
        .await
}
