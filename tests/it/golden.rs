//! Keeps the catalog snapshots of the golden tests true: each is what a real server says today.
//!
//! `UPDATE_GOLDEN=1 cargo test --test it -- golden` writes them.
#![expect(
    clippy::disallowed_methods,
    reason = "tests set up servers and read their own switches"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use dbops::catalog::{self, Scope, Sizes, TableScope};
use dbops::changes::inputs::Inputs;
use dbops::changes::{ensure as ensuring, retention};
use dbops::conn::{Env, Overrides, Purpose, Settings, begin_read, connect};
use dbops::plan_file::load::load;
use serde::Deserialize;
use serde_json::Value;

use crate::common::{Ctx, Db, tests};

tests!(SystemOnly: snapshots_are_what_the_server_says);

#[derive(Deserialize)]
struct Case {
    plan: PathBuf,
    verb: String,
    as_of: DateTime<Utc>,
    setup: Vec<PathBuf>,
    #[serde(default)]
    then: String,
}

async fn snapshots_are_what_the_server_says(ctx: &Ctx) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root.join("tests/golden"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    folders.sort();
    for folder in folders {
        let case: Case = serde_yaml::from_str(&std::fs::read_to_string(folder.join("case.yaml"))?)?;
        let db = ctx.db().await?;
        set_up(&db, root, &case)
            .await
            .with_context(|| folder.display().to_string())?;
        let found = snapshot(&db, root, &case)
            .await
            .with_context(|| folder.display().to_string())?;
        let path = folder.join("catalog.json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, format!("{found:#}\n"))?;
            continue;
        }
        let stored: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        ensure!(
            stored == found,
            "{} is no longer what the server says:\n{found:#}",
            path.display()
        );
    }
    Ok(())
}

async fn set_up(db: &Db, root: &Path, case: &Case) -> Result<()> {
    db.run("set dbops.sample_end = '2026-11-22'; set dbops.sample_months = '3'; set dbops.sample_rows = '200'").await?;
    for file in &case.setup {
        db.run(&std::fs::read_to_string(root.join(file))?).await?;
    }
    db.run(&case.then).await
}

/// Reads what the command would read, and takes out what differs from one cluster to the next.
async fn snapshot(db: &Db, root: &Path, case: &Case) -> Result<Value> {
    let plan = load(&[root.join(&case.plan)])
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?
        .plan;
    let overrides = Overrides {
        database_url: Some(db.url.clone()),
        ..Overrides::default()
    };
    let settings = Settings::resolve(&overrides, &Env::default()).map_err(anyhow::Error::msg)?;
    let mut session = connect(&settings, Purpose::Read).await?;
    let tx = begin_read(&mut session).await?;
    let scope = Scope {
        tables: TableScope::Named(
            plan.partitions
                .iter()
                .map(|policy| policy.table.clone())
                .collect(),
        ),
        sizes: Sizes::Skip,
        schemas: vec!["public".to_owned()],
    };
    let mut catalog = catalog::read(&tx, &scope).await?;
    let inputs = Inputs {
        policies: &plan.partitions,
        budget: plan.lock_budget,
        catalog: &catalog,
        now: case.as_of,
    };
    let questions = if case.verb == "prune" {
        retention::questions(inputs)
    } else {
        ensuring::questions(inputs)
    };
    let answers = catalog::answer(&tx, &questions).await?;
    catalog.server.version = "15".to_owned();
    catalog.server.version_num = 150_000 + 99;
    catalog.server.database = "golden".to_owned();
    for partition in catalog
        .tables
        .iter_mut()
        .flat_map(|table| &mut table.partitions)
    {
        partition.rows_estimate = None;
    }
    let mut value = serde_json::json!({"catalog": catalog, "answers": answers});
    renumber(&mut value, &mut BTreeMap::new());
    Ok(value)
}

/// Gives every oid a number in the order of first sight.
fn renumber(value: &mut Value, seen: &mut BTreeMap<u64, u64>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let (true, Some(oid)) = (name == "oid", field.as_u64()) {
                    let next = 1_001 + seen.len() as u64;
                    *field = (*seen.entry(oid).or_insert(next)).into();
                } else {
                    renumber(field, seen);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| renumber(item, seen)),
        _ => {}
    }
}
