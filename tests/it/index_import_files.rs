//! `dbops indexes import` of SQL files, pg_dump's output among them, and `dbops init --indexes`.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use dbops::plan_file::load;

use super::index_import::{LIVE, changes_nothing};
use crate::common::{Ctx, holds, same, tests};

tests!(SystemOnly: a_dump_gives_the_plan_that_the_database_gives,
    what_cannot_be_read_is_reported_and_counts,
    init_adds_the_indexes);

async fn a_dump_gives_the_plan_that_the_database_gives(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(LIVE).await?;
    db.run(
        "insert into app.\"Tbl\" (id, b) values (1, 'create index nope on t (a);'), (2, E'\\\\.')",
    )
    .await?;
    for words in ["", "--constraints"] {
        let live = ctx
            .dbops()
            .on(&db)
            .args(["indexes", "import", "--from-database"])
            .args(words.split_whitespace())
            .run()
            .await?
            .exits_with(0)?;
        let dump = Command::new("pg_dump")
            .arg(format!("--dbname={}", db.url))
            .output()
            .context("running pg_dump")?;
        ensure!(
            dump.status.success(),
            "{}",
            String::from_utf8_lossy(&dump.stderr)
        );
        let file = ctx.dir().join("dump.sql");
        std::fs::write(&file, &dump.stdout).context("writing the dump")?;
        let read = ctx
            .dbops()
            .args(["indexes", "import"])
            .args([&file])
            .args(words.split_whitespace())
            .run()
            .await?
            .exits_with(0)?;
        let entries = |text: &str| {
            let mut entries: Vec<String> = text
                .split("\n  - ")
                .skip(1)
                .map(|entry| entry.trim_end().to_owned())
                .collect();
            entries.sort();
            entries
        };
        same(entries(&read.stdout), entries(&live.stdout))?;
        let plan = ctx.dir().join("plan.yaml");
        std::fs::write(&plan, &read.stdout).context("writing the plan file")?;
        changes_nothing(ctx, &db, &plan).await?;
    }
    Ok(())
}

async fn what_cannot_be_read_is_reported_and_counts(ctx: &Ctx) -> Result<()> {
    let file = ctx.dir().join("INDEXES.sql");
    std::fs::write(
        &file,
        "drop index if exists old_a;\ncreate index a on t (x);\n\n  create index b on t (y z w);\n",
    )
    .context("writing the file")?;
    let out = ctx.dir().join("plans.yaml");
    let import = |words: &str| {
        ctx.dbops()
            .args(["indexes", "import"])
            .args([&file])
            .args(words.split_whitespace())
            .args(["--out"])
            .args([&out])
    };
    let run = import("--absent").run().await?.exits_with(1)?;
    holds(
        &run.stderr,
        &["INDEXES.sql:4:", "1 place could not be read"],
    )?;
    let text = std::fs::read_to_string(&out).context("reading the plan file")?;
    holds(&text, &["name: a\n", "  - absent:\n      - public.old_a\n"])?;
    let run = import("").run().await?.exits_with(2)?;
    holds(&run.stderr, &["exists already", "--force"])?;
    same(
        std::fs::read_to_string(&out).context("reading it again")?,
        text,
    )?;
    let run = import("--force").run().await?.exits_with(1)?;
    holds(
        &run.stderr,
        &["1 index dropped by the file is left out: see --absent"],
    )
}

async fn init_adds_the_indexes(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(LIVE).await?;
    let run = ctx
        .dbops()
        .on(&db)
        .args(["init", "--indexes"])
        .run()
        .await?
        .exits_with(0)?;
    let file = ctx.dir().join("starter.yaml");
    std::fs::write(&file, &run.stdout).context("writing the plan file")?;
    let loaded = load(&[file]).map_err(|problems| anyhow::anyhow!("{}\n{problems}", run.stdout))?;
    same(loaded.plan.indexes.len(), 14)
}
