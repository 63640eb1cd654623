//! What goes where: results to stdout, secrets nowhere, the history to the database or to a file.
#![expect(
    clippy::disallowed_methods,
    reason = "tests change their databases with statements of their own"
)]

use anyhow::{Result, ensure};
use dbops::sandbox::Auth;

use crate::common::{Ctx, NOW, holds, same, tests};

tests!(
    Ends: stdout_holds_the_result_and_nothing_else,
    a_closed_pipe_is_not_a_failure,
    no_output_holds_a_password,
    the_history_tells_what_ran,
    without_the_privilege_the_history_goes_to_a_file_and_the_job_is_done,
    quiet_says_nothing_on_success,
    a_read_only_role_is_told_so_before_anything_runs,
    two_targets_are_served_one_after_the_other,
);

const TABLE: &str = "create table a (at date not null) partition by range (at)";
const PLAN: &str = "partitions:\n  - { table: a, every: month }";

async fn stdout_holds_the_result_and_nothing_else(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    for words in [
        "diff --output json",
        "partitions ensure --output json",
        "partitions list --output json",
        "history --json",
    ] {
        let run = ctx
            .at(&db, NOW, &format!("{words} -v"))
            .run()
            .await?
            .exits_with(0)?;
        run.json()?;
        ensure!(!run.stderr.contains('{'), "{}", run.stderr);
    }
    let run = ctx
        .at(&db, NOW, "partitions ensure --no-such-flag")
        .run()
        .await?
        .exits_with(2)?;
    same(run.stdout, String::new())?;
    let run = ctx
        .dbops()
        .env("DATABASE_URL", "postgresql://x@127.0.0.1:1/x")
        .args(["partitions", "list"])
        .run()
        .await?
        .exits_with(2)?;
    same(run.stdout, String::new())?;
    holds(&run.stderr, &["error: ", "127.0.0.1"])
}

async fn a_closed_pipe_is_not_a_failure(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    for words in [
        "diff",
        "partitions ensure",
        "partitions list --output json",
        "history",
        "schema",
    ] {
        let status = tokio::process::Command::new("bash")
            .args([
                "-c",
                "set -o pipefail; { \"$@\"; echo $? >code; } | true",
                "-",
                env!("CARGO_BIN_EXE_dbops"),
            ])
            .args(words.split(' '))
            .current_dir(ctx.dir())
            .env("DATABASE_URL", &db.url)
            .env("HOME", ctx.dir())
            .output()
            .await?;
        let code = std::fs::read_to_string(ctx.dir().join("code"))?;
        ensure!(
            code.trim() == "0",
            "{words}: {code} {}",
            String::from_utf8_lossy(&status.stderr)
        );
        ensure!(
            status.stderr.is_empty(),
            "{words}: {}",
            String::from_utf8_lossy(&status.stderr)
        );
    }
    same(db.children("a").await?.len(), 4)
}

async fn no_output_holds_a_password(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.private_cluster()?.auth(Auth::Scram).start().await?;
    let client = cluster.connect("postgres").await?;
    let secret = "hunter2-S3CRET";
    client
        .batch_execute(&format!(
            "create role robot login superuser password '{secret}'; {TABLE}; create table b (at text) partition by range (at)"
        ))
        .await?;
    ctx.plan("targets:\n  main: { primary: { url_env: MAIN_URL } }\npartitions:\n  - { table: a, every: month, retain: 1 month }\n  - { table: b, every: month }")?;
    let url = cluster.url_as("robot", Some(secret), "postgres");
    let wrong = url.replace(secret, &format!("{secret}-wrong"));
    let mut outputs = String::new();
    for (url, words) in [
        (&url, "diff -v"),
        (&url, "diff --output sql -v"),
        (&url, "partitions ensure -v --out saved.json"),
        (&url, "partitions ensure -v"),
        (&url, "partitions ensure -v --output json"),
        (&url, "partitions prune -v"),
        (&url, "partitions list -v --output json"),
        (&url, "history -v --json"),
        (&url, "apply -v saved.json"),
        (&wrong, "partitions ensure -v"),
        (&wrong, "history -v"),
    ] {
        let run = ctx
            .dbops()
            .env("MAIN_URL", url.as_str())
            .args(words.split(' '))
            .run()
            .await?;
        ensure!(run.status.code() != Some(101), "{run:?}");
        outputs.push_str(&format!("{run:?}"));
    }
    for bad in [
        format!("postgresql://robot:{secret}@/x?port=zz"),
        format!("host=x password={secret} nonsense"),
        format!("postgresql://robot:{secret}@127.0.0.1:1/x"),
    ] {
        let run = ctx
            .dbops()
            .args(["--database-url", &bad, "partitions", "list"])
            .run()
            .await?
            .exits_with(2)?;
        outputs.push_str(&format!("{}{}", run.stdout, run.stderr));
    }
    outputs.push_str(&std::fs::read_to_string(ctx.dir().join("saved.json"))?);
    let rows = client
        .query(
            "select r::text || s::text from dbops.run r, dbops.step s",
            &[],
        )
        .await?;
    for row in rows {
        outputs.push_str(row.get(0));
    }
    ensure!(outputs.contains("a_2"), "nothing was seen");
    let places: Vec<&str> = outputs
        .match_indices(secret)
        .map(|(at, _)| &outputs[at.saturating_sub(80)..at])
        .collect();
    // The command lines of this test itself are not output: it passes no secret by argument but in the last three, whose words are not kept.
    ensure!(places.is_empty(), "{places:?}");
    Ok(())
}

async fn the_history_tells_what_ran(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    holds(&ctx.runs(&db, "history", 0).await?.stderr, &["no history"])?;
    ctx.ensures(&db, 0).await?;
    let json = ctx.runs(&db, "history --json", 0).await?.json()?;
    let run = json["targets"][0]["runs"][0].clone();
    same(run["status"].clone(), "done".into())?;
    same(run["command"].clone(), "partitions ensure".into())?;
    holds(
        &run["steps"][0]["statements"].to_string(),
        &["attach partition", "a_2026_02"],
    )?;
    ensure!(
        run["steps"][0]["duration_ms"].is_i64() && run["finished_at"].is_string(),
        "{run:#}"
    );
    holds(
        &ctx.runs(&db, "history", 0).await?.stdout,
        &["partitions ensure", "done"],
    )?;
    same(
        db.list("select table_name::text from information_schema.tables where table_schema = 'dbops' order by 1").await?,
        ["run", "schema_history", "statement_snapshot", "statement_text", "step"].map(str::to_owned).to_vec(),
    )
}

async fn without_the_privilege_the_history_goes_to_a_file_and_the_job_is_done(
    ctx: &Ctx,
) -> Result<()> {
    let db = ctx.db().await?;
    let pid: i32 = db.value("select pg_backend_pid()").await?;
    db.run(&format!(
        "create role hi_{pid} login; grant all on schema public to hi_{pid}; {TABLE}; alter table a owner to hi_{pid}; \
         revoke create on database \"{}\" from public", db.name
    ))
    .await?;
    ctx.plan(PLAN)?;
    let url = db.cluster.url_as(&format!("hi_{pid}"), None, &db.name);
    let run = ctx
        .at(&db, NOW, "partitions ensure")
        .env("DATABASE_URL", &url)
        .run()
        .await?
        .exits_with(0)?;
    holds(&run.stderr, &["warning", "history", "history.jsonl"])?;
    same(db.children("a").await?.len(), 4)?;
    let text = std::fs::read_to_string(ctx.dir().join(".local/state/dbops/history.jsonl"))?;
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line)?;
    }
    holds(&text, &["\"finished\"", "attach partition"])?;
    // A schema of somebody else under that name is not a failure either.
    db.run("create schema dbops; drop table a; create table a (at date not null) partition by range (at)").await?;
    db.run(&format!("alter table a owner to hi_{pid}")).await?;
    let run = ctx
        .at(&db, NOW, "partitions ensure")
        .env("DATABASE_URL", &url)
        .run()
        .await?
        .exits_with(0)?;
    holds(&run.stderr, &["warning", "history"])?;
    same(db.children("a").await?.len(), 4)
}

async fn quiet_says_nothing_on_success(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run(TABLE).await?;
    ctx.plan(PLAN)?;
    let run = ctx
        .at(&db, NOW, "partitions ensure --quiet")
        .run()
        .await?
        .exits_with(0)?;
    same(run.stderr, String::new())
}

async fn a_read_only_role_is_told_so_before_anything_runs(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let pid: i32 = db.value("select pg_backend_pid()").await?;
    db.run(&format!(
        "create role ro_{pid} login superuser; alter role ro_{pid} set default_transaction_read_only = on; {TABLE}"
    ))
    .await?;
    ctx.plan(PLAN)?;
    let url = db.cluster.url_as(&format!("ro_{pid}"), None, &db.name);
    let run = ctx
        .at(&db, NOW, "partitions ensure")
        .env("DATABASE_URL", &url)
        .run()
        .await?
        .exits_with(4)?;
    holds(&run.stderr, &["default_transaction_read_only"])?;
    same(db.children("a").await?.len(), 0)
}

async fn two_targets_are_served_one_after_the_other(ctx: &Ctx) -> Result<()> {
    let (one, two) = (ctx.db().await?, ctx.db().await?);
    one.run(TABLE).await?;
    two.run(TABLE).await?;
    ctx.plan(&format!(
        "targets:\n  dead: {{ primary: {{ url: 'postgresql://x@127.0.0.1:1/x' }} }}\n  one: {{ primary: {{ url: '{}' }} }}\n  \
         two: {{ primary: {{ url_env: TWO }} }}\n{PLAN}",
        one.url
    ))?;
    let run = ctx
        .dbops()
        .env("TWO", &two.url)
        .args([
            "--as-of",
            NOW,
            "partitions",
            "ensure",
            "--target",
            "all",
            "--output",
            "json",
        ])
        .run()
        .await?
        .exits_with(2)?;
    let json = run.json()?;
    same(json["runs"].as_array().map(Vec::len), Some(3))?;
    same(
        (
            one.children("a").await?.len(),
            two.children("a").await?.len(),
        ),
        (4, 4),
    )
}
