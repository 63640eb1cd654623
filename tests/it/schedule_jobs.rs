//! What `dbops schedule` prints is accepted by those who run it: pg_cron, systemd, a shell.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use dbops::sandbox::Auth;

use super::schedule::{partitions, script, write};
use crate::common::{Ctx, eventually, tests};

tests!(
    SystemOnly: pg_cron_fires_the_job,
    systemd_accepts_the_units,
    a_crontab_line_runs_in_a_bare_shell,
    sub_partitions_are_refused_for_pg_cron_with_their_place,
);

/// pg_cron counts in minutes, so this one test waits for up to one.
async fn pg_cron_fires_the_job(ctx: &Ctx) -> Result<()> {
    let cluster = ctx
        .private_cluster()?
        .auth(Auth::Trust)
        .config("shared_preload_libraries", "pg_cron")
        .config("cron.database_name", "postgres")
        .config("cron.use_background_workers", "on")
        .start()
        .await?;
    let client = cluster.connect("postgres").await?;
    run(&client, "create extension pg_cron; create table events (k timestamptz not null) partition by range (k)").await?;
    write(
        ctx,
        "version: 1\npartitions:\n  - { table: events, every: day }\n",
    )?;
    let script = script(ctx, &["--at", "* * * * *"]).await?;
    run(&client, &script).await?;
    run(&client, &script).await?;
    let jobs: i64 = client
        .query_one("select count(*) from cron.job", &[])
        .await?
        .try_get(0)?;
    ensure!(jobs == 1, "{jobs} jobs");
    let fired = async || {
        let row = client
            .query_one(
                "select (select count(*) from pg_inherits), (select count(*) from cron.job_run_details where status = 'succeeded'),
                    (select string_agg(return_message, ' ') from cron.job_run_details where status = 'failed')",
                &[],
            )
            .await?;
        let failed: Option<String> = row.try_get(2)?;
        let done = row.try_get::<_, i64>(0)? == 4 && row.try_get::<_, i64>(1)? >= 1;
        Ok::<_, anyhow::Error>((failed, done))
    };
    // Thrice, because the job starts at the next full minute.
    for left in [2, 1, 0] {
        let waited = eventually("pg_cron has run the job", async || {
            let (failed, done) = fired().await?;
            Ok(done || failed.is_some())
        })
        .await;
        if waited.is_ok() || left == 0 {
            waited?;
            break;
        }
    }
    let (failed, _) = fired().await?;
    ensure!(failed.is_none(), "the job failed: {failed:?}");
    let dry = ctx
        .dbops()
        .env("DATABASE_URL", cluster.url())
        .args(["partitions", "ensure", "--dry-run", "--exit-code"])
        .run()
        .await?;
    dry.exits_with(0)?;
    Ok(())
}

async fn systemd_accepts_the_units(ctx: &Ctx) -> Result<()> {
    write(
        ctx,
        "version: 1\npartitions:\n  - { table: events, every: day, retain: 30 days }\n",
    )?;
    let units = ctx.dir().join("units");
    let run = ctx
        .dbops()
        .args([
            "schedule",
            "partitions",
            "--kind",
            "systemd",
            "--at",
            "*/20 6-22 * * mon-fri",
        ])
        .args(["--dbops", env!("CARGO_BIN_EXE_dbops"), "--out"])
        .args([&units])
        .run()
        .await?
        .exits_with(0)?;
    let files: Vec<&str> = run.stdout.lines().collect();
    ensure!(files.len() == 4, "{}", run.stdout);
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(&files)
        .output()
        .context("starting systemd-analyze; scripts/install-deps installs it")?;
    let said = String::from_utf8_lossy(&verify.stderr).into_owned();
    ensure!(
        verify.status.success() && !said.contains("dbops-partitions"),
        "{said}"
    );
    Ok(())
}

async fn a_crontab_line_runs_in_a_bare_shell(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table events (k date) partition by range (k)")
        .await?;
    std::fs::create_dir(ctx.dir().join("my plans"))?;
    std::fs::write(
        ctx.dir().join("my plans/100%.yaml"),
        "version: 1\npartitions:\n  - { table: events, every: day, premake: 2 }\n",
    )?;
    let secrets = ctx.dir().join("it's.env");
    std::fs::write(&secrets, format!("DATABASE_URL='{}'\n", db.url))?;
    let fragment = ctx
        .dbops()
        .args([
            "schedule",
            "partitions",
            "--kind",
            "cron",
            "--plan",
            "my plans",
        ])
        .args(["--dbops", env!("CARGO_BIN_EXE_dbops"), "--env-file"])
        .args([&secrets])
        .run()
        .await?
        .exits_with(0)?;
    ensure!(
        !fragment.stdout.contains(&db.url),
        "a secret is in the crontab"
    );
    let line = fragment
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("7 3 * * * "))
        .context("no line")?;
    let run = Command::new("/bin/sh")
        .args(["-c", &line.replace("\\%", "%")])
        .env_clear()
        .current_dir("/")
        .output()?;
    ensure!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    ensure!(partitions(&db).await?.len() == 3);
    Ok(())
}

async fn sub_partitions_are_refused_for_pg_cron_with_their_place(ctx: &Ctx) -> Result<()> {
    write(
        ctx,
        "version: 1\npartitions:\n  - table: events\n    every: day\n    sub: { hash: { columns: [id], modulus: 4 } }\n",
    )?;
    let run = ctx
        .dbops()
        .args(["schedule", "partitions", "--kind", "pg-cron"])
        .run()
        .await?
        .exits_with(4)?;
    ensure!(
        run.stdout.is_empty() && run.stderr.contains("dbops.yaml:3: `sub` of public.events"),
        "{}",
        run.stderr
    );
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests prepare their databases with statements of their own"
)]
async fn run(client: &tokio_postgres::Client, sql: &str) -> Result<()> {
    client
        .batch_execute(sql)
        .await
        .map_err(|error| match error.as_db_error() {
            Some(server) => anyhow::anyhow!("{server}"),
            None => error.into(),
        })
}
