//! dbops or its server process is killed with SIGKILL at random points; one more run always leads to
//! the same catalog, with nothing pending, no orphan and no row lost.
//!
//! `DBOPS_CRASH_POINTS` sets how many points each test takes; `make bench` takes many more.
#![expect(
    clippy::disallowed_methods,
    reason = "tests set up servers and read their own switches"
)]

use std::future::pending;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dbops::sandbox::{Auth, Cluster};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::timeout;

use crate::common::{Ctx, eventually, tests};

tests!(SystemOnly:
    ensure_converges_after_its_client_is_killed,
    ensure_converges_after_its_server_process_is_killed,
    prune_converges_after_its_client_is_killed,
    prune_converges_after_its_server_process_is_killed,
    prune_converges_after_its_client_is_killed_while_it_detaches_concurrently,
    prune_converges_after_its_server_process_is_killed_while_it_detaches_concurrently,
);

const POINTS: u32 = 16;

const PLAN: &str = "version: 1
partitions:
  - { table: public.events, every: month, premake: 5, retain: 3 months, grace: 7 days }
  - { table: public.logs, every: day, premake: 10, retain: 90 days, expire: drop, allow: [drops-data] }
";

const AS_OF: &str = "2026-06-15";

/// A table with a foreign key and a DEFAULT partition, one without; both with months of rows.
const SETUP: &str = "
drop schema if exists dbops cascade;
drop table if exists events, logs, users cascade;
do $$ declare old regclass; begin
  for old in select oid::regclass from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace loop
    execute format('drop table %s cascade', old);
  end loop;
end $$;
create table users (id bigint primary key);
insert into users select generate_series(1, 20);
create table events (id bigint not null, user_id bigint not null references users, at timestamptz not null,
  primary key (id, at)) partition by range (at);
create table logs (id bigint not null, at date not null) partition by range (at);
create table events_rest partition of events default;
do $$ declare month timestamptz; begin
  for month in select generate_series(timestamptz '2025-12-01 00:00+00', '2026-06-01 00:00+00', '1 month') loop
    execute format('create table %I partition of events for values from (%L) to (%L)',
      'events_' || to_char(month at time zone 'UTC', 'YYYY_MM'), month, month + interval '1 month');
    execute format('create table %I partition of logs for values from (%L) to (%L)',
      'logs_of_' || to_char(month at time zone 'UTC', 'YYYY_MM'), (month at time zone 'UTC')::date,
      ((month + interval '1 month') at time zone 'UTC')::date);
  end loop;
end $$;
insert into events select n, n % 20 + 1, timestamptz '2025-12-01 00:00+00' + n * interval '1 hour' from generate_series(1, 4500) as n;
insert into logs select n, date '2025-12-01' + n / 10 from generate_series(1, 1900) as n;
";

/// Everything that a run may change: relations, bounds, pending marks, comments, rows.
const DIGEST: &str = "
select string_agg(line, e'\\n' order by line collate \"C\") from (
  select concat_ws('|', c.relname, c.relkind, c.relispartition, pg_get_expr(c.relpartbound, c.oid),
    obj_description(c.oid, 'pg_class'),
    (select count(*) from pg_constraint x where x.conrelid = c.oid),
    (select count(*) from pg_index x where x.indrelid = c.oid and x.indisvalid),
    (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from only public.%I', c.relname), false, true, '')))[1]::text
  ) as line
  from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
) as lines";

const PENDING: &str = "select count(*) from pg_inherits where inhdetachpending";

const OURS: &str = "select count(*) from pg_stat_activity where application_name like 'dbops %' and pid <> pg_backend_pid()";

enum Victim {
    Client,
    ServerProcess,
}

async fn ensure_converges_after_its_client_is_killed(ctx: &Ctx) -> Result<()> {
    converges(ctx, "ensure", Victim::Client).await
}

async fn ensure_converges_after_its_server_process_is_killed(ctx: &Ctx) -> Result<()> {
    converges(ctx, "ensure", Victim::ServerProcess).await
}

async fn prune_converges_after_its_client_is_killed(ctx: &Ctx) -> Result<()> {
    converges(ctx, "prune", Victim::Client).await
}

async fn prune_converges_after_its_server_process_is_killed(ctx: &Ctx) -> Result<()> {
    converges(ctx, "prune", Victim::ServerProcess).await
}

async fn prune_converges_after_its_client_is_killed_while_it_detaches_concurrently(
    ctx: &Ctx,
) -> Result<()> {
    converges_from_pending(ctx, Victim::Client).await
}

async fn prune_converges_after_its_server_process_is_killed_while_it_detaches_concurrently(
    ctx: &Ctx,
) -> Result<()> {
    converges_from_pending(ctx, Victim::ServerProcess).await
}

/// An open reader starves the plain detach; the kill comes when the concurrent one is pending.
async fn converges_from_pending(ctx: &Ctx, victim: Victim) -> Result<()> {
    let cluster = ctx.private_cluster()?.auth(Auth::Trust).start().await?;
    std::fs::write(ctx.dir().join("plan.yaml"), PLAN)?;
    let (wanted, _) = reference(ctx, &cluster, "prune").await?;
    for point in 0..3 {
        let client = cluster.connect("postgres").await?;
        client.batch_execute(SETUP).await?;
        let reader = cluster.connect("postgres").await?;
        reader
            .batch_execute("begin; select count(*) from logs")
            .await?;
        let running = command(ctx, &cluster, "prune")
            .args(["--give-up-after", "20s"])
            .spawn()
            .await?;
        eventually("a detach is pending", async || {
            Ok(client.query_one(PENDING, &[]).await?.get::<_, i64>(0) > 0)
        })
        .await?;
        match victim {
            Victim::Client => running.signal(Signal::SIGKILL)?,
            Victim::ServerProcess => kill_writer(&client).await?,
        }
        let ended = running.wait().await?;
        ensure!(!ended.status.success(), "it was not interrupted");
        drop(reader);
        let client = quiet(&cluster).await?;
        command(ctx, &cluster, "prune").run().await?.exits_with(0)?;
        let found: String = client.query_one(DIGEST, &[]).await?.get(0);
        ensure!(
            found == wanted,
            "point {point}: the catalog differs\nwanted\n{wanted}\nfound\n{found}"
        );
    }
    Ok(())
}

/// Kills the server process that runs dbops's statements, where there is one.
async fn kill_writer(client: &tokio_postgres::Client) -> Result<()> {
    let writer =
        "select pid from pg_stat_activity where application_name like 'dbops write%' limit 1";
    if let Some(row) = client.query_opt(writer, &[]).await? {
        kill(Pid::from_raw(row.get(0)), Signal::SIGKILL)?;
    }
    Ok(())
}

async fn converges(ctx: &Ctx, verb: &str, victim: Victim) -> Result<()> {
    let points = std::env::var("DBOPS_CRASH_POINTS")
        .ok()
        .and_then(|points| points.parse().ok())
        .unwrap_or(POINTS);
    let cluster = ctx.private_cluster()?.auth(Auth::Trust).start().await?;
    std::fs::write(ctx.dir().join("plan.yaml"), PLAN)?;
    let (wanted, undisturbed) = reference(ctx, &cluster, verb).await?;
    let mut random = Random(0x5eed ^ u64::from(std::process::id()));
    let mut mid_run = 0;
    let mut point = 0;
    // A busy machine hits fewer runs than it aims at: then it takes more of them.
    while point < points || (mid_run * 4 < points && point < points * 4) {
        point += 1;
        let client = cluster.connect("postgres").await?;
        client.batch_execute(SETUP).await?;
        let running = command(ctx, &cluster, verb).spawn().await?;
        // Anywhere from before the first connection to after the last step.
        let at = undisturbed.mul_f64(random.fraction() * 1.1);
        let _ = timeout(at, pending::<()>()).await;
        match victim {
            Victim::Client => {
                // The process may have ended already.
                let _ = running.signal(Signal::SIGKILL);
            }
            Victim::ServerProcess => kill_writer(&client).await?,
        }
        let ended = running.wait().await?;
        mid_run += u32::from(!ended.status.success());
        let client = quiet(&cluster).await?;
        command(ctx, &cluster, verb)
            .run()
            .await?
            .exits_with(0)
            .with_context(|| format!("point {point} at {at:?}"))?;
        let pending: i64 = client.query_one(PENDING, &[]).await?.get(0);
        ensure!(
            pending == 0,
            "point {point} at {at:?}: {pending} partitions are pending"
        );
        let found: String = client.query_one(DIGEST, &[]).await?.get(0);
        ensure!(
            found == wanted,
            "point {point} at {at:?}: the catalog differs\nwanted\n{wanted}\nfound\n{found}"
        );
    }
    ensure!(
        mid_run * 4 >= points,
        "only {mid_run} of {point} runs were really interrupted"
    );
    Ok(())
}

/// Returns what an undisturbed run leads to, and how long it takes.
async fn reference(ctx: &Ctx, cluster: &Cluster, verb: &str) -> Result<(String, Duration)> {
    let client = cluster.connect("postgres").await?;
    client.batch_execute(SETUP).await?;
    let rows_before: i64 = client
        .query_one("select count(*) from events where at >= '2026-03-15'", &[])
        .await?
        .get(0);
    let began = Instant::now();
    command(ctx, cluster, verb).run().await?.exits_with(0)?;
    let took = began.elapsed();
    let rows_after: i64 = client
        .query_one("select count(*) from events where at >= '2026-03-15'", &[])
        .await?
        .get(0);
    ensure!(
        rows_before == rows_after && rows_before > 0,
        "{rows_before} rows became {rows_after}"
    );
    Ok((client.query_one(DIGEST, &[]).await?.get(0), took))
}

fn command(ctx: &Ctx, cluster: &Cluster, verb: &str) -> crate::common::command::Dbops {
    let plan = ctx.dir().join("plan.yaml");
    let args = ["partitions", verb, "--as-of", AS_OF, "--database-url"];
    ctx.dbops()
        .args(args)
        .args([cluster.url()])
        .args(["--plan".into(), plan.into_os_string()])
}

/// Waits until the killed run's sessions have ended; a server restarts when one of its processes was
/// killed, and takes no connections meanwhile.
async fn quiet(cluster: &Cluster) -> Result<tokio_postgres::Client> {
    let mut found = None;
    eventually("the killed run's sessions end", async || {
        let Ok(client) = cluster.connect("postgres").await else {
            return Ok(false);
        };
        let Ok(row) = client.query_one(OURS, &[]).await else {
            return Ok(false);
        };
        let gone = row.get::<_, i64>(0) == 0;
        found = gone.then_some(client);
        Ok(gone)
    })
    .await?;
    found.context("no connection")
}

/// Fractions from 0 to 1, different in each process; a failure names the point.
struct Random(u64);

impl Random {
    fn fraction(&mut self) -> f64 {
        // Xorshift: https://www.jstatsoft.org/article/view/v008i14
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % 10_000) as f64 / 10_000.0
    }
}
