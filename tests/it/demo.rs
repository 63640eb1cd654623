//! The demo: it shows each command and its real output, and leaves nothing behind however it ends.

use std::net::TcpStream;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;

use crate::common::{Ctx, Dbops, tests};

tests!(
    SystemOnly: the_demo_shows_each_command_and_leaves_nothing,
    every_reference_system_can_be_shown,
    an_interrupted_demo_leaves_nothing,
    a_kept_demo_can_be_used_until_it_is_ended,
    a_demo_without_postgresql_says_what_to_install,
    a_demo_refuses_to_be_pointed_at_a_server,
);

fn demo(ctx: &Ctx, args: &[&str]) -> Result<Dbops> {
    let bin = ctx.private_cluster()?.install().bin().to_owned();
    Ok(ctx
        .dbops()
        .env("DBOPS_PG_BIN", bin)
        .args(["demo", "--rows", "2000"])
        .args(args.to_vec()))
}

/// The folder and port of each server, from the addresses that the demo prints.
fn places(stdout: &str) -> Result<Vec<(PathBuf, u16)>> {
    let mut places = Vec::new();
    for line in stdout.lines() {
        let Some((_, rest)) = line.split_once("?host=") else {
            continue;
        };
        let (folder, rest) = rest.split_once("&port=").context("no port")?;
        let (port, _) = rest.split_once('&').context("no end of the port")?;
        places.push((PathBuf::from(folder), port.parse()?));
    }
    ensure!(places.len() == 2, "not two servers: {stdout}");
    Ok(places)
}

fn nothing_stays(places: &[(PathBuf, u16)]) -> Result<()> {
    for (folder, port) in places {
        ensure!(!folder.exists(), "`{}` stayed", folder.display());
        ensure!(
            TcpStream::connect(("127.0.0.1", *port)).is_err(),
            "a server still listens on port {port}"
        );
    }
    Ok(())
}

async fn the_demo_shows_each_command_and_leaves_nothing(ctx: &Ctx) -> Result<()> {
    let run = demo(ctx, &["--as-of", "2027-03-10"])?.run().await?;
    let run = run.exits_with(0)?;
    let mut rest = run.stdout.as_str();
    for expected in [
        "dbops demo: gobapp",
        "$ cat plans/partitions.yaml\n",
        "  - table: public.events",
        "$ dbops partitions list --as-of 2027-03-10T00:00:00Z\n",
        "plans/partitions.yaml:",
        "$ dbops partitions ensure --dry-run",
        "create 3 partitions, public.events_2027_04 to public.events_2027_06",
        "dry run: nothing was touched",
        "$ dbops partitions ensure --as-of",
        "1 done; ",
        "$ dbops partitions ensure --as-of",
        "nothing to do\n",
        "$ dbops partitions prune --dry-run",
        "detach public.events_2025_01",
        "$ DATABASE_URL=$STANDBY_URL dbops partitions list",
        "public.events ",
        " 30 ",
        "$ DATABASE_URL=$STANDBY_URL dbops partitions ensure",
        "is a standby: nothing to do here",
        "$ dbops indexes apply --dry-run --offline",
        "8 indexes declared, 0 to be absent, 1 warning",
        "$ dbops indexes apply --dry-run",
        "build public.idx_user_clerk_id on public.\"User\"",
        "dry run: nothing was touched",
        "$ dbops indexes apply --as-of",
        "8 done; ",
        "$ dbops indexes list --declared",
        "8 of 8 indexes are as the plan files say",
        "$ dbops indexes advise",
        "redundant-prefix  public.idx_post_tribe_created is needless",
        "$ dbops history",
        "create 3 partitions, public.events_2027_04 to public.events_2027_06",
        "# The indexes of `agents`",
        "10 of 10 indexes are as the plan files say",
        "# The indexes of `cafeteria`",
        "9 of 9 indexes are as the plan files say",
        "# The indexes of `rural24`",
        " indexes are as the plan files say",
        "# Statements.",
        "$ dbops queries n-plus-one",
        "belongs-to User.id (gobapp as postgres, Prisma)",
        "Post_authorId_fkey",
        "1 loop: ",
        "$ dbops queries top",
        "$ dbops queries slow",
        "generic plan",
        "# Watching.",
        "$ cat watch.yaml",
        "$ dbops check --plan watch.yaml -v",
        " ok\n",
        "$ dbops replication status --plan watch.yaml",
        "$ dbops pool status --plan watch.yaml",
        "=> select pg_wal_replay_pause()",
        "$ dbops check --plan watch.yaml",
        "critical",
        "pool.waiting",
        "replica.state",
        "paused",
        "invalid-indexes",
        "public.once",
        "$ dbops pool status --plan watch.yaml",
        "saturated",
        "# All of it is mended",
        "$ dbops check --plan watch.yaml",
        "# All of it is gone. What to try next:",
    ] {
        let at = rest
            .find(expected)
            .with_context(|| format!("no `{expected}` at its place in:\n{}", run.stdout))?;
        rest = &rest[at + expected.len()..];
    }
    // A build may be over before the first look at those who wait; then nothing was measured, and it says so.
    for line in run.stdout.lines().filter(|line| line.contains(" done; ")) {
        ensure!(
            line.contains("writers blocked: 0") || line.contains("not measured"),
            "{line}"
        );
    }
    nothing_stays(&places(&run.stdout)?)?;
    ensure!(std::fs::read_dir(ctx.dir())?.next().is_none());
    Ok(())
}

async fn every_reference_system_can_be_shown(ctx: &Ctx) -> Result<()> {
    for system in ["agents", "cafeteria", "rural24"] {
        let run = demo(ctx, &["--system", system, "--months", "3"])?
            .run()
            .await?
            .exits_with(0)?;
        ensure!(run.stdout.contains("$ dbops history\nrun "));
        nothing_stays(&places(&run.stdout)?)?;
    }
    Ok(())
}

async fn an_interrupted_demo_leaves_nothing(ctx: &Ctx) -> Result<()> {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut running = demo(ctx, &[])?.spawn().await?;
        running.prints("$ dbops partitions list\n").await?;
        running.signal(signal)?;
        let run = running.wait().await?.exits_with(130)?;
        ensure!(run.stderr.contains("interrupted"), "{}", run.stderr);
        nothing_stays(&places(&run.stdout)?)?;
    }
    Ok(())
}

async fn a_kept_demo_can_be_used_until_it_is_ended(ctx: &Ctx) -> Result<()> {
    let mut running = demo(ctx, &["--keep"])?.spawn().await?;
    let shown = running.prints("\ndbops partitions list\n").await?;
    let url = |name: &str| -> Result<String> {
        shown
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix(&format!("export {name}='")))
            .and_then(|rest| rest.strip_suffix('\''))
            .map(str::to_owned)
            .with_context(|| format!("no {name} in:\n{shown}"))
    };
    for name in ["DATABASE_URL", "STANDBY_URL"] {
        let list = ctx
            .dbops()
            .env("DATABASE_URL", url(name)?)
            .args(["partitions", "list"])
            .run()
            .await?
            .exits_with(0)?;
        ensure!(list.stdout.contains("public.events"), "{}", list.stdout);
    }
    running.signal(Signal::SIGTERM)?;
    let run = running.wait().await?.exits_with(0)?;
    nothing_stays(&places(&run.stdout)?)
}

async fn a_demo_without_postgresql_says_what_to_install(ctx: &Ctx) -> Result<()> {
    let run = ctx
        .dbops()
        .env("DBOPS_PG_BIN", "/nowhere")
        .args(["demo"])
        .run()
        .await?
        .exits_with(2)?;
    ensure!(run.stdout.is_empty());
    for expected in ["/nowhere", "apt-get install postgresql", "brew install"] {
        ensure!(run.stderr.contains(expected), "{}", run.stderr);
    }
    Ok(())
}

async fn a_demo_refuses_to_be_pointed_at_a_server(ctx: &Ctx) -> Result<()> {
    let run = ctx
        .dbops()
        .args(["demo", "--host", "db.example.org"])
        .run()
        .await?
        .exits_with(2)?;
    ensure!(run.stderr.contains("--host means nothing here"));
    Ok(())
}
