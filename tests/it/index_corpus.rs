//! Whatever an index looks like: declared as it is, it converges; declared otherwise, it is seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, anyhow, ensure};
use chrono::{DateTime, Utc};
use dbops::catalog::TableScope;
use dbops::catalog::index_model::IndexCatalog;
use dbops::catalog::indexes::{IndexScope, answer, read};
use dbops::changes::indexes::{Declared, IndexInputs, State, compare_questions, declared, survey};
use dbops::plan_file::{Source, parse};
use serde::Deserialize;

use crate::common::{Ctx, Db, NOW, tests};
use crate::index_catalog::begin;

tests!(
    Every: every_shape_converges_and_every_change_is_seen,
    what_the_command_builds_it_finds_converged,
);

const SETUP: &str = include_str!("../fixtures/index_corpus/setup.sql");
const SHAPES: &str = include_str!("../fixtures/index_corpus/shapes.yaml");
/// Fewer would mean that the file was not read.
const LEAST: usize = 130;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    #[serde(default)]
    unique: bool,
    is: String,
    since: Option<u16>,
    needs: Option<String>,
    not: Vec<String>,
}

impl Shape {
    fn sql(&self, name: &str, rest: &str) -> String {
        let unique = if self.unique { "unique " } else { "" };
        format!("create {unique}index {name} {rest}")
    }
}

/// Shapes that this server has, by the name of their index.
async fn shapes(ctx: &Ctx, db: &Db, tablespace: &str) -> Result<BTreeMap<String, Shape>> {
    let all: Vec<Shape> = serde_yaml::from_str(SHAPES)?;
    let mut here = BTreeMap::new();
    for (at, mut shape) in all.into_iter().enumerate() {
        if shape.since.is_some_and(|since| since > ctx.major) {
            continue;
        }
        if let Some(extension) = &shape.needs {
            let there: bool = db
                .value(&format!(
                    "select exists (select from pg_available_extensions where name = '{extension}')"
                ))
                .await?;
            if !there {
                continue;
            }
            db.run(&format!("create extension if not exists {extension}"))
                .await?;
        }
        shape.is = shape.is.replace("$ts", tablespace);
        here.insert(format!("c{at:03}"), shape);
    }
    Ok(here)
}

/// Reads CREATE INDEX statements as a plan file would give them.
fn plan(statements: impl IntoIterator<Item = String>) -> Result<Vec<Declared>> {
    let mut text = "version: 1\nindexes:\n".to_owned();
    for sql in statements {
        writeln!(text, "  - sql: {}", serde_json::to_string(&sql)?)?;
    }
    let source = Source {
        path: "corpus.yaml".into(),
        text,
    };
    let loaded = parse(&[source]).map_err(|problems| anyhow!("{problems:?}"))?;
    Ok(declared(&loaded.plan).0)
}

/// How each declared index stands.
async fn states(
    db: &Db,
    declared: &[Declared],
) -> Result<(IndexCatalog, BTreeMap<String, (State, Vec<String>)>)> {
    let mut client = db.connect().await?;
    let tx = begin(&mut client).await?;
    let mut tables: Vec<_> = declared
        .iter()
        .map(|index| index.spec.table.clone())
        .collect();
    tables.sort();
    tables.dedup();
    let scope = IndexScope {
        tables: TableScope::Named(tables),
        names: declared.iter().map(|index| index.name.clone()).collect(),
    };
    let catalog = read(&tx, &scope).await?;
    let inputs = IndexInputs {
        declared,
        absent: &[],
        catalog: &catalog,
        now: NOW.parse::<DateTime<Utc>>()?,
    };
    let answers = answer(&tx, &compare_questions(inputs)).await?;
    let found = survey(inputs, &answers)
        .into_iter()
        .filter(|row| row.origin.is_some())
        .map(|row| (row.name.name.clone(), (row.state, row.details)))
        .collect();
    Ok((catalog, found))
}

async fn every_shape_converges_and_every_change_is_seen(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    // Tablespaces belong to the cluster, which other tests share.
    let tablespace = format!("{}_ts", db.name);
    db.run("set allow_in_place_tablespaces = on").await?;
    db.run(&format!("create tablespace {tablespace} location ''"))
        .await?;
    let done = corpus(ctx, &db, &tablespace).await;
    db.run("drop table if exists t").await?;
    db.run(&format!("drop tablespace {tablespace}")).await?;
    done
}

async fn what_the_command_builds_it_finds_converged(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(SETUP).await?;
    let mut shapes = shapes(ctx, &db, "nowhere").await?;
    // A tablespace would outlive the test's database.
    shapes.retain(|_, shape| !shape.is.contains("nowhere"));
    let mut text = "indexes:\n".to_owned();
    for (name, shape) in &shapes {
        let sql = shape.sql(name, &shape.is);
        writeln!(text, "  - sql: {}", serde_json::to_string(&sql)?)?;
    }
    ctx.plan(&text)?;
    ctx.runs(&db, "indexes apply", 0).await?;
    let built: i64 = db
        .value("select count(*) from pg_index as i join pg_class as c on c.oid = i.indexrelid where i.indisvalid and c.relname ~ '^c[0-9]{3}$'")
        .await?;
    ensure!(
        usize::try_from(built)? == shapes.len(),
        "{built} of {}",
        shapes.len()
    );
    ctx.runs(&db, "indexes apply --dry-run --exit-code", 0)
        .await?;
    ctx.runs(
        &db,
        "indexes import --from-database --constraints --out live.yaml",
        0,
    )
    .await?;
    ctx.runs(
        &db,
        "--plan live.yaml indexes apply --dry-run --exit-code",
        0,
    )
    .await?;
    Ok(())
}

async fn corpus(ctx: &Ctx, db: &Db, tablespace: &str) -> Result<()> {
    db.run(SETUP).await?;
    let shapes = shapes(ctx, db, tablespace).await?;
    ensure!(shapes.len() >= LEAST, "{} shapes", shapes.len());
    db.run("set search_path = pg_catalog, public, app").await?;
    for (name, shape) in &shapes {
        db.run(&shape.sql(name, &shape.is)).await?;
    }
    let mut wrong = Vec::new();

    let as_is = plan(
        shapes
            .iter()
            .map(|(name, shape)| shape.sql(name, &shape.is)),
    )?;
    let (catalog, found) = states(db, &as_is).await?;
    for (name, shape) in &shapes {
        match found.get(name) {
            Some((State::Converged, _)) => {}
            other => wrong.push(format!("as declared: {}: {other:?}", shape.is)),
        }
    }

    // What the server itself says of them; that leaves tablespaces out.
    let live: BTreeMap<&str, &str> = catalog
        .tables
        .iter()
        .flat_map(|table| &table.indexes)
        .map(|index| (index.name.name.as_str(), index.definition.as_str()))
        .collect();
    let imported: Vec<&String> = shapes
        .iter()
        .filter(|(_, shape)| !shape.is.contains(tablespace))
        .map(|(name, _)| name)
        .collect();
    let texts = imported
        .iter()
        .map(|name| Ok((*live.get(name.as_str()).context("not live")?).to_owned()))
        .collect::<Result<Vec<_>>>()?;
    let (_, found) = states(db, &plan(texts)?).await?;
    for name in imported {
        match found.get(name) {
            Some((State::Converged, _)) => {}
            other => wrong.push(format!(
                "as the server says: {}: {other:?}",
                live[name.as_str()]
            )),
        }
    }

    let mut changes = 0;
    let rounds = shapes.values().map(|shape| shape.not.len()).max();
    for round in 0..rounds.unwrap_or(0) {
        let changed: BTreeMap<&String, String> = shapes
            .iter()
            .filter_map(|(name, shape)| Some((name, shape.sql(name, shape.not.get(round)?))))
            .collect();
        changes += changed.len();
        let (_, found) = states(db, &plan(changed.values().cloned())?).await?;
        for (name, sql) in changed {
            match found.get(name) {
                Some((State::Differs | State::OtherName, _)) => {}
                other => wrong.push(format!(
                    "changed: {sql} (is {}): {other:?}",
                    shapes[name].is
                )),
            }
        }
    }
    ensure!(changes >= shapes.len(), "{changes} changes");
    ensure!(
        wrong.is_empty(),
        "{} of {} shapes and {changes} changes are wrong:\n{}",
        wrong.len(),
        shapes.len(),
        wrong.join("\n")
    );
    Ok(())
}
