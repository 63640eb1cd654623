//! Each query of `sql/catalog/` is listed, explained, and gives the columns that the index says.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use dbops::sql::{ALL, pick};

use crate::common::{Ctx, tests};

tests!(
    Every: every_query_prepares_and_gives_the_columns_listed,
    every_file_is_listed_and_begins_with_a_comment,
);

async fn every_query_prepares_and_gives_the_columns_listed(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let version = i32::from(ctx.major) * 10_000;
    db.run("set search_path = ''").await?;
    for query in ALL {
        let statement = db
            .client
            .prepare_typed(pick(query, version), query.params)
            .await
            .with_context(|| format!("preparing {}", query.name))?;
        ensure!(
            statement.params() == query.params,
            "{} takes {:?}",
            query.name,
            statement.params()
        );
        let columns: Vec<_> = statement
            .columns()
            .iter()
            .map(|column| (column.name().to_owned(), column.type_().clone()))
            .collect();
        let listed: Vec<_> = query
            .columns
            .iter()
            .map(|(name, type_)| ((*name).to_owned(), type_.clone()))
            .collect();
        ensure!(columns == listed, "{} gives {columns:?}", query.name);
    }
    Ok(())
}

async fn every_file_is_listed_and_begins_with_a_comment(_: &Ctx) -> Result<()> {
    let listed: BTreeSet<&str> = ALL
        .iter()
        .flat_map(|query| query.variants)
        .map(|(_, text)| *text)
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/catalog");
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let text = std::fs::read_to_string(&path)?;
        let name = path.display();
        ensure!(
            listed.contains(text.as_str()),
            "{name} is not in src/sql.rs"
        );
        ensure!(text.starts_with("-- "), "{name} does not say what it reads");
        ensure!(text.contains("order by"), "{name} has no order");
    }
    Ok(())
}
