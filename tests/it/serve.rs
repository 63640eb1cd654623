//! `dbops serve`: what it answers, to whom, and that requests never reach a database.

#![expect(clippy::disallowed_methods, reason = "a test sets up what it tests")]

use std::fs::File;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::common::{Ctx, Running, eventually, tests};

tests!(
    Ends: replicas_turn_ready_and_back_the_last_one_is_kept_and_requests_connect_to_nothing,
    groups_of_the_plan_files_turn_with_their_rules_and_keep_one_node,
    a_token_keeps_all_but_health_and_readiness_to_those_who_have_it,
    without_a_database_it_is_alive_and_not_ready,
    whoever_asks_is_answered_while_a_look_is_held_up,
    a_target_that_hangs_delays_no_other,
    files_that_cannot_be_used_and_a_mute_that_is_over_take_no_node_out,
);

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Longest wait for an answer: one that does not come at all must end a test.
const HUNG: Duration = Duration::from_secs(60);

async fn ask(address: SocketAddr, path: &str, more: &str) -> Result<Answer> {
    let answer = timeout(HUNG, asked(address, path, more)).await;
    answer.with_context(|| format!("no answer at {path}"))?
}

async fn asked(address: SocketAddr, path: &str, more: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: dbops\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let (head, body) = text.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    })
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<Answer> {
    ask(address, path, "").await
}

/// Waits until it listens, and says where.
pub(crate) async fn address(server: &mut Running) -> Result<SocketAddr> {
    let said = server.prints("\n").await?;
    let place = said.trim().strip_prefix("listening on http://");
    Ok(place.with_context(|| said.clone())?.parse()?)
}

async fn becomes(address: SocketAddr, path: &str, status: u16) -> Result<()> {
    eventually(&format!("{path} answers {status}"), async || {
        Ok(get(address, path).await?.status == status)
    })
    .await
}

pub(crate) const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--every", "300ms"];

async fn replicas_turn_ready_and_back_the_last_one_is_kept_and_requests_connect_to_nothing(
    ctx: &Ctx,
) -> Result<()> {
    let primary = ctx.private_cluster()?.start().await?;
    let mut menu = primary.standby("menu").start().await?;
    let olap = primary.standby("olap").start().await?;
    ctx.plan(&format!(
        r#"targets:
  main:
    primary: {{ url: "{}" }}
    replicas:
      - {{ name: menu, url: "{}" }}
      - {{ name: olap, url: "{}" }}
rules:
  - {{ id: paused, metric: replica.state, expect: [streaming] }}
  - {{ id: used, metric: conn.effective_used, warn: "> 90%" }}
"#,
        primary.url(),
        menu.url(),
        olap.url()
    ))?;
    let mut server = ctx.dbops().args(SERVE).spawn().await?;
    let at = address(&mut server).await?;
    ensure!(get(at, "/health").await?.status == 200);
    for path in ["/ready", "/ready/menu", "/ready/main/olap"] {
        becomes(at, path, 200).await?;
    }

    let page = get(at, "/").await?;
    ensure!(
        page.status == 200 && page.body.contains("paused"),
        "{}",
        page.body
    );
    ensure!(
        page.head
            .contains("content-security-policy: default-src 'none'"),
        "{}",
        page.head
    );
    let metrics = get(at, "/metrics").await?;
    ensure!(
        metrics.head.contains("text/plain; version=0.0.4"),
        "{}",
        metrics.head
    );
    for line in metrics.body.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').context(line.to_owned())?;
        ensure!(series.starts_with("dbops_"), "{line}");
        ensure!(value.parse::<f64>().is_ok(), "{line}");
    }
    let api: Value = serde_json::from_str(&get(at, "/api/check").await?.body)?;
    let schema: Value = serde_json::from_str(include_str!("../../docs/dbops.check.schema.json"))?;
    let validator = jsonschema::validator_for(&schema)?;
    ensure!(validator.is_valid(&api), "{api:#}");
    ensure!(get(at, "/ready/nobody").await?.status == 404);
    ensure!(get(at, "/nothing").await?.status == 404);

    // A thousand requests between two looks open no session: the number of all sessions that ever were does not know
    // of them, only of the looks.
    let admin = primary.connect("postgres").await?;
    let sessions = async || -> Result<i64> {
        let count = "select count(*) from pg_stat_activity where application_name like 'dbops%'";
        Ok(admin.query_one(count, &[]).await?.get(0))
    };
    for _ in 0..1000 {
        ensure!(get(at, "/ready/menu").await?.status == 200);
    }
    ensure!(sessions().await? <= 6, "requests hold sessions");

    // One that is down is out at once; the other, however bad, is kept.
    menu.stop();
    becomes(at, "/ready/menu", 503).await?;
    let replica = olap.connect("postgres").await?;
    replica
        .batch_execute("select pg_wal_replay_pause()")
        .await?;
    eventually("the last one is kept", async || {
        let answer = get(at, "/ready/olap").await?;
        ensure!(answer.status == 200, "{}", answer.body);
        Ok(answer.body.contains("kept"))
    })
    .await?;
    replica
        .batch_execute("select pg_wal_replay_resume()")
        .await?;
    eventually("it is ready by itself", async || {
        Ok(get(at, "/ready/olap").await?.body == "ready\n")
    })
    .await?;

    server.signal(Signal::SIGTERM)?;
    server.wait().await?.exits_with(0)?;
    Ok(())
}

async fn groups_of_the_plan_files_turn_with_their_rules_and_keep_one_node(ctx: &Ctx) -> Result<()> {
    let primary = ctx.private_cluster()?.start().await?;
    let menu = primary.standby("menu").start().await?;
    let mut olap = primary.standby("olap").start().await?;
    ctx.plan(&format!(
        r#"targets:
  main:
    primary: {{ url: "{}" }}
    replicas:
      - {{ name: menu, url: "{}", use: reads }}
      - {{ name: olap, url: "{}", use: reads }}
      - {{ name: gone, url: "postgres://127.0.0.1:1/postgres", use: reads }}
rules:
  - {{ id: streaming, metric: replica.state, expect: [streaming] }}
  - {{ id: used, metric: conn.effective_used, warn: "> 90%" }}
ready:
  reads: {{ all: [streaming], never_empty: {{ group: reads, keep: 1 }}, down_after: 1, up_after: 1 }}
  strict: {{ all: [streaming], down_after: 1, up_after: 1 }}
  writes: {{ all: [used], never_empty: {{ group: primary }} }}
"#,
        primary.url(),
        menu.url(),
        olap.url()
    ))?;
    let mut server = ctx.dbops().args(SERVE).spawn().await?;
    let at = address(&mut server).await?;
    for path in [
        "/ready/reads",
        "/ready/reads/menu",
        "/ready/strict/main/olap",
        "/ready/writes/primary",
    ] {
        becomes(at, path, 200).await?;
    }
    for path in [
        "/ready/writes/menu",
        "/ready/main/nobody",
        "/ready/none/main/menu",
    ] {
        ensure!(get(at, path).await?.status == 404, "{path}");
    }

    // It was never there, and is of the group all the same.
    ensure!(get(at, "/ready/reads/gone").await?.status == 503);

    // One is paused: it alone is out. Both are: one is kept where one is to be.
    let replica = menu.connect("postgres").await?;
    let pause = "select pg_wal_replay_pause()";
    replica.batch_execute(pause).await?;
    becomes(at, "/ready/reads/menu", 503).await?;
    ensure!(get(at, "/ready/reads/olap").await?.body == "ready\n");
    olap.connect("postgres").await?.batch_execute(pause).await?;
    becomes(at, "/ready/strict", 503).await?;
    let kept = async || -> Result<usize> {
        let mut kept = 0;
        for path in ["/ready/reads/menu", "/ready/reads/olap"] {
            kept += usize::from(get(at, path).await?.body.contains("kept"));
        }
        Ok(kept)
    };
    eventually("one is kept", async || Ok(kept().await? == 1)).await?;
    ensure!(get(at, "/ready/reads").await?.status == 200);
    olap.stop();
    eventually("the one that is there is kept", async || {
        Ok(get(at, "/ready/reads/menu").await?.body.contains("kept"))
    })
    .await?;
    becomes(at, "/ready/reads/olap", 503).await?;
    replica
        .batch_execute("select pg_wal_replay_resume()")
        .await?;
    eventually("it is ready by itself", async || {
        Ok(get(at, "/ready/strict/menu").await?.body == "ready\n")
    })
    .await?;
    ensure!(get(at, "/ready/strict").await?.status == 200);
    server.signal(Signal::SIGTERM)?;
    server.wait().await?.exits_with(0)?;
    Ok(())
}

async fn a_token_keeps_all_but_health_and_readiness_to_those_who_have_it(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let mut open = SERVE;
    open[2] = "0.0.0.0:0";
    let refused = ctx.dbops().on(&db).args(open).run().await?.exits_with(2)?;
    ensure!(refused.stderr.contains("DBOPS_TOKEN"), "{}", refused.stderr);

    let serve = ctx.dbops().on(&db).args(open);
    let mut server = serve.env("DBOPS_TOKEN", "s3cret").spawn().await?;
    let at = SocketAddr::from(([127, 0, 0, 1], address(&mut server).await?.port()));
    becomes(at, "/ready", 200).await?;
    ensure!(get(at, "/health").await?.status == 200);
    for path in ["/", "/metrics", "/api/check"] {
        ensure!(get(at, path).await?.status == 401, "{path}");
        for (token, status) in [("s3cret", 200), ("s3cre", 401), ("s3crets", 401), ("", 401)] {
            let header = format!("Authorization: Bearer {token}\r\n");
            let answer = ask(at, path, &header).await?;
            ensure!(answer.status == status, "{path} {token}: {}", answer.status);
            ensure!(!answer.body.contains("s3cret"), "{path}");
        }
    }
    server.signal(Signal::SIGINT)?;
    server.wait().await?.exits_with(0)?;
    Ok(())
}

async fn without_a_database_it_is_alive_and_not_ready(ctx: &Ctx) -> Result<()> {
    // Nothing listens there.
    let nowhere = "postgres://nobody@127.0.0.1:1/none";
    let args = SERVE.into_iter().chain(["--database-url", nowhere]);
    let mut server = ctx.dbops().args(args).spawn().await?;
    let at = address(&mut server).await?;
    ensure!(get(at, "/health").await?.status == 200);
    eventually("the first look is over", async || {
        Ok(get(at, "/api/check").await?.status == 200)
    })
    .await?;
    let ready = get(at, "/ready").await?;
    ensure!(
        ready.status == 503 && ready.body == "not ready\n",
        "{}",
        ready.body
    );
    let api: Value = serde_json::from_str(&get(at, "/api/check").await?.body)?;
    ensure!(api["status"] == "critical", "{api:#}");
    server.signal(Signal::SIGTERM)?;
    server.wait().await?.exits_with(0)?;
    Ok(())
}

async fn whoever_asks_is_answered_while_a_look_is_held_up(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let more = ["--timeout", "1s", "--state", "state.json"];
    let args = SERVE.into_iter().chain(more);
    let mut server = ctx.dbops().on(&db).args(args).spawn().await?;
    let at = address(&mut server).await?;
    becomes(at, "/ready", 200).await?;

    // Another run has the state file: the thread of the looks stands still until it gives it back.
    let lock = File::create(ctx.dir().join("state.json.lock"))?;
    lock.lock()?;
    becomes(at, "/ready", 503).await?;
    ensure!(get(at, "/ready").await?.body == "the last look is too old\n");
    ensure!(get(at, "/health").await?.status == 200);
    lock.unlock()?;
    becomes(at, "/ready", 200).await?;
    // That it is held up is no reason to live on.
    lock.lock()?;
    becomes(at, "/ready", 503).await?;
    server.signal(Signal::SIGTERM)?;
    server.wait().await?.exits_with(0)?;
    Ok(())
}

async fn a_target_that_hangs_delays_no_other(ctx: &Ctx) -> Result<()> {
    let mut primary = ctx.private_cluster()?.start().await?;
    // Takes connections, as its queue does, and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let hangs = format!("postgres://nobody@{}/none", silent.local_addr()?);
    ctx.plan(&format!(
        r#"targets:
  main: {{ primary: {{ url: "{}" }} }}
  hangs: {{ primary: {{ url: "{hangs}" }} }}
ready:
  all: {{ all: [used] }}
rules:
  - {{ id: used, metric: conn.effective_used, warn: "> 90%" }}
"#,
        primary.url()
    ))?;
    let args = SERVE
        .into_iter()
        .chain(["--target", "all", "--timeout", "10m"]);
    let mut server = ctx.dbops().args(args).spawn().await?;
    let at = address(&mut server).await?;
    for path in ["/ready/main/primary", "/ready/all/main/primary"] {
        becomes(at, path, 200).await?;
    }
    primary.stop();
    becomes(at, "/ready/main/primary", 503).await?;

    // Nothing is told of the one that nothing is known of, nor of all of them.
    let page = get(at, "/").await?;
    ensure!(
        page.status == 503
            && page.body.contains("nothing was measured yet")
            && page.body.contains("http-equiv=\"refresh\""),
        "{}",
        page.body
    );
    for path in [
        "/ready",
        "/ready/all",
        "/ready/hangs/primary",
        "/metrics",
        "/api/check",
    ] {
        let answer = get(at, path).await?;
        ensure!(
            answer.status == 503 && answer.body == "nothing was measured yet\n",
            "{path}: {}",
            answer.body
        );
    }
    ensure!(get(at, "/ready/main/other").await?.status == 404);
    server.signal(Signal::SIGTERM)?;
    server.wait().await?.exits_with(0)?;
    Ok(())
}

async fn files_that_cannot_be_used_and_a_mute_that_is_over_take_no_node_out(
    ctx: &Ctx,
) -> Result<()> {
    let db = ctx.db().await?;
    ctx.plan(
        r#"mutes:
  - { rule: used, until: 2020-01-01, reason: "known since then" }
rules:
  - { id: used, metric: conn.effective_used, warn: "> 0%" }
"#,
    )?;
    let refused = ctx
        .dbops()
        .on(&db)
        .args(SERVE)
        .args(["--as-of", "2026-01-01"]);
    refused.run().await?.exits_with(2)?;
    let more = ["--state", "missing/state.json", "--input", "missing.json"];
    let mut server = ctx.dbops().on(&db).args(SERVE).args(more).spawn().await?;
    let at = address(&mut server).await?;
    for path in ["/ready", "/ready/primary"] {
        becomes(at, path, 200).await?;
    }
    let api: Value = serde_json::from_str(&get(at, "/api/check").await?.body)?;
    ensure!(
        api["counts"]["muted"] == 0 && api["counts"]["warning"] == 1,
        "{api:#}"
    );
    server.signal(Signal::SIGTERM)?;
    let ended = server.wait().await?.exits_with(0)?;
    for words in ["missing/state.json", "missing.json", "is over since"] {
        ensure!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    Ok(())
}
