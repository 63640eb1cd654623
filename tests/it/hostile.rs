//! Names that a tool has no right to stumble over.

use anyhow::{Result, ensure};
use dbops::ident::quote_ident;

use crate::common::{Ctx, NOW, same, tests};

tests!(
    Ends: sixty_hostile_names_are_served_listed_and_pruned,
    hostile_columns_and_schemas_are_quoted_everywhere,
);

fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "Events",
        "EVENTS",
        "events",
        "e vents",
        " leading",
        "trailing ",
        "a.b",
        "a.b.c",
        "\"",
        "a\"b",
        "\"quoted\"",
        "'",
        "a'b",
        "''",
        "a''b",
        "`tick`",
        "select",
        "table",
        "user",
        "order",
        "default",
        "from",
        "null",
        "100%",
        "%s",
        "%I",
        "%%",
        "%1$s",
        "$1",
        "$$",
        "$dbops$",
        "a$dbops$b",
        "$dbopsx$",
        "\\",
        "\\'",
        "a\\nb",
        "\\x41",
        "line\nbreak",
        "crlf\r\nx",
        "carriage\rreturn",
        "tab\tstop",
        "esc\u{1b}[31m",
        "bell\u{7}",
        "--comment",
        "/* open",
        "a;drop table x;",
        "{table}",
        "{YYYY}",
        "ünïcödé",
        "日本語",
        "عربى",
        "😀",
        "e\u{301}",
        "\u{200b}zero",
        "1starts_with_digit",
        "_",
        ":var",
        ":'var'",
        "NULL",
        "true",
        "#hash",
        "@at",
        "a/b",
        "[x]",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("x".repeat(63));
    names.push("X\"".repeat(31));
    names.push("é".repeat(31));
    names.push(format!("{}日", "y".repeat(60)));
    names
}

async fn sixty_hostile_names_are_served_listed_and_pruned(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let names = names();
    ensure!(names.len() >= 60);
    let mut plan = "partitions:\n".to_owned();
    let mut tables = Vec::new();
    for name in &names {
        let sql = format!("public.{}", quote_ident(name));
        db.run(&format!(
            "create table {sql} (id int not null, at date not null, primary key (id, at)) partition by range (at); \
             comment on table {sql} is 'c'; alter table {sql} replica identity full; grant select on {sql} to public"
        ))
        .await?;
        let yaml = serde_json::to_string(&sql)?;
        plan.push_str(&format!("  - {{ table: {yaml}, every: month, premake: 1, start: 2025-11-01, retain: 1 month, allow: [drops-data], grace: 1 day }}\n"));
        tables.push(sql);
    }
    ctx.plan(&plan)?;
    // What has expired already is not made; in November it had not.
    ctx.at(&db, "2025-11-10", "partitions ensure")
        .run()
        .await?
        .exits_with(0)?;
    ctx.ensures(&db, 0).await?;
    for table in &tables {
        let bounds = db.bounds(table).await?;
        same(bounds.len(), 5)?;
        ensure!(
            bounds
                .iter()
                .any(|bound| bound.ends_with("FROM ('2026-02-01') TO ('2026-03-01')")),
            "{table}: {bounds:?}"
        );
    }
    let run = ctx.runs(&db, "diff --exit-code", 0).await?;
    ensure!(run.stdout.contains("nothing to do"));
    let list = ctx
        .runs(&db, "partitions list --partitions", 0)
        .await?
        .stdout;
    ensure!(
        !list.contains('\u{1b}') && !list.contains('\u{7}') && !list.contains('\r'),
        "control characters in the list"
    );
    let json = ctx
        .runs(&db, "partitions list --output json", 0)
        .await?
        .json()?;
    same(
        json["targets"][0]["tables"].as_array().map(Vec::len),
        Some(names.len()),
    )?;
    ctx.runs(&db, "partitions prune", 0).await?;
    for table in &tables {
        same(db.children(table).await?.len(), 3)?;
    }
    ctx.at(&db, "2026-02-12", "partitions prune")
        .run()
        .await?
        .exits_with(0)?;
    same(db.value::<i64>("select count(*) from pg_class where relkind = 'r' and not relispartition and relnamespace = 'public'::regnamespace").await?, 0)?;
    let history = ctx
        .at(&db, NOW, "history")
        .run()
        .await?
        .exits_with(0)?
        .stdout;
    ensure!(
        !history.contains('\u{1b}'),
        "control characters in the history"
    );
    Ok(())
}

async fn hostile_columns_and_schemas_are_quoted_everywhere(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(
        "create schema \"S 1\"; create schema \"pa'rts\"; create table \"S 1\".\"T\" (\"I d\" int not null, \"A't\" timestamptz not null, \
           primary key (\"I d\", \"A't\")) partition by range (\"A't\"); \
         alter table \"S 1\".\"T\" alter \"I d\" set statistics 7; \
         create table \"S 1\".rest partition of \"S 1\".\"T\" default; insert into \"S 1\".rest values (1, '2026-04-02')",
    )
    .await?;
    ctx.plan(
        "partitions:\n  - table: '\"S 1\".\"T\"'\n    every: month\n    schema: \"pa'rts\"\n    name: \"{table} {YYYY}'{MM}\"\n    \
         sub: { hash: { columns: [\"I d\"], modulus: 2 } }\n    retain: 1 month\n    start: 2025-11-01",
    )?;
    ctx.at(&db, "2025-11-10", "partitions ensure")
        .run()
        .await?
        .exits_with(0)?;
    ctx.ensures(&db, 4).await?;
    same(db.children("\"S 1\".\"T\"").await?.len(), 7)?;
    same(db.children("\"pa'rts\".\"T 2026'02\"").await?.len(), 2)?;
    ctx.runs(&db, "partitions prune", 0).await?;
    same(db.children("\"S 1\".\"T\"").await?.len(), 5)
}
