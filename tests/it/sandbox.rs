//! The throw-away clusters themselves: they come up, stream, pool, and leave nothing behind.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use dbops::sandbox::{Auth, Cluster, PgBouncer};
use tokio_postgres::NoTls;

use crate::common::{Ctx, eventually, tests};

tests!(
    Ends: a_database_is_fresh_and_of_the_expected_major,
    a_password_is_asked_for_on_tcp_and_not_on_the_socket,
    a_standby_streams,
    a_server_comes_back_with_its_data_after_a_stop,
    a_wrong_parameter_is_reported_with_the_server_log,
    pgbouncer_pools_in_transaction_mode,
    pgbouncer_knows_the_named_users_and_databases,
    files_for_tls_are_accepted_by_the_server,
    two_clusters_run_side_by_side_and_leave_nothing,
    nothing_stays_when_the_owner_is_killed,
    the_command_sees_no_environment_but_its_own,
);

async fn a_database_is_fresh_and_of_the_expected_major(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let version: i32 = db
        .value("select current_setting('server_version_num')::int / 10000")
        .await?;
    ensure!(version == i32::from(ctx.major), "it is {version}");
    db.run("create table kept (id int); insert into kept values (1)")
        .await?;
    let other = ctx.db().await?;
    let tables: i64 = other
        .value("select count(*) from pg_class where relname = 'kept'")
        .await?;
    ensure!(tables == 0 && db.name != other.name);
    Ok(())
}

async fn a_password_is_asked_for_on_tcp_and_not_on_the_socket(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.private_cluster()?.auth(Auth::Scram).start().await?;
    let password = cluster.password().context("there is no password")?;
    ensure!(cluster.url().contains(password));
    connect(&cluster.url()).await?;
    connect(&cluster.socket_url()).await?;
    let without = cluster.url_as("postgres", None, "postgres");
    ensure!(
        connect(&without).await.is_err(),
        "let in without a password"
    );
    Ok(())
}

async fn a_standby_streams(ctx: &Ctx) -> Result<()> {
    let primary = ctx.private_cluster()?.auth(Auth::Scram).start().await?;
    let standby = primary.standby("menu").slot("menu_slot").start().await?;
    let client = primary.connect("postgres").await?;
    client
        .query("create table seen as select 7 as n", &[])
        .await?;
    let reader = standby.connect("postgres").await?;
    eventually("the row is on the standby", async || {
        Ok(matches!(
            reader.query_one("select n from seen", &[]).await,
            Ok(row) if row.get::<_, i32>(0) == 7
        ))
    })
    .await?;
    let row = client
        .query_one(
            "select r.application_name, s.active from pg_stat_replication r, pg_replication_slots s
             where s.slot_name = 'menu_slot'",
            &[],
        )
        .await?;
    ensure!(row.get::<_, String>(0) == "menu" && row.get::<_, bool>(1));
    Ok(())
}

async fn a_server_comes_back_with_its_data_after_a_stop(ctx: &Ctx) -> Result<()> {
    let mut cluster = ctx.private_cluster()?.start().await?;
    let port = cluster.port();
    let client = cluster.connect("postgres").await?;
    client.query("create table kept (id int)", &[]).await?;
    cluster.stop();
    ensure!(cluster.id().is_none() && cluster.connect("postgres").await.is_err());
    cluster.launch().await?;
    ensure!(cluster.port() == port, "the port changed");
    let client = cluster.connect("postgres").await?;
    client.query("select id from kept", &[]).await?;
    Ok(())
}

async fn a_wrong_parameter_is_reported_with_the_server_log(ctx: &Ctx) -> Result<()> {
    let started = ctx
        .private_cluster()?
        .config("work_mem", "plenty")
        .start()
        .await;
    let message = format!("{:#}", started.err().context("it started")?);
    ensure!(message.contains("did not start"), "{message}");
    ensure!(
        message.contains("invalid value for parameter \"work_mem\""),
        "{message}"
    );
    Ok(())
}

async fn pgbouncer_pools_in_transaction_mode(ctx: &Ctx) -> Result<()> {
    for auth in [Auth::Trust, Auth::Scram] {
        let cluster = ctx.private_cluster()?.auth(auth).start().await?;
        let pool = PgBouncer::builder(ctx.pgbouncer()?, &cluster)
            .config("default_pool_size", "1")
            .start()
            .await?;
        let first = connect(&pool.url_for("postgres")).await?;
        let second = connect(&pool.url_for("postgres")).await?;
        // Without a named prepared statement: those do not survive the pool.
        let backend = async |client: &tokio_postgres::Client| -> Result<String> {
            let rows = client
                .query_typed("select pg_backend_pid()::text", &[])
                .await?;
            Ok(rows.first().context("no row")?.get(0))
        };
        let one = backend(&first).await?;
        ensure!(one == backend(&second).await?, "two clients, two servers");
        connect(&pool.admin_url()).await?;
    }
    Ok(())
}

async fn pgbouncer_knows_the_named_users_and_databases(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.private_cluster()?.start().await?;
    let client = cluster.connect("postgres").await?;
    client.query("create role app login", &[]).await?;
    let pool = PgBouncer::builder(ctx.pgbouncer()?, &cluster)
        .database("shop", "dbname=postgres pool_size=3")
        .user("app", "unused")
        .start()
        .await?;
    let url = pool.url_for("shop").replace("//postgres@", "//app@");
    let through = connect(&url).await?;
    let rows = through
        .query_typed("select current_user::text || current_database()", &[])
        .await?;
    let who: String = rows.first().context("no row")?.get(0);
    ensure!(who == "apppostgres", "{who}");
    Ok(())
}

async fn files_for_tls_are_accepted_by_the_server(ctx: &Ctx) -> Result<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let cluster = ctx
        .private_cluster()?
        .config("ssl", "on")
        .file("server.crt", made.cert.pem())
        .file("server.key", made.signing_key.serialize_pem())
        .hba("hostnossl all all 127.0.0.1/32 reject")
        .start()
        .await?;
    let plain = connect(&cluster.url()).await;
    ensure!(plain.is_err(), "let in without TLS");
    connect(&cluster.socket_url()).await?;
    Ok(())
}

async fn two_clusters_run_side_by_side_and_leave_nothing(ctx: &Ctx) -> Result<()> {
    let (first, second) = tokio::try_join!(
        ctx.private_cluster()?.start(),
        ctx.private_cluster()?.start()
    )?;
    ensure!(first.port() != second.port());
    for cluster in [first, second] {
        let (dir, port) = place(&cluster);
        connect(&cluster.url()).await?;
        drop(cluster);
        ensure!(!dir.exists(), "`{}` stayed", dir.display());
        ensure!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
    Ok(())
}

async fn nothing_stays_when_the_owner_is_killed(ctx: &Ctx) -> Result<()> {
    let bin = ctx.private_cluster()?.install().bin().to_owned();
    let mut owner = Command::new(std::env::current_exe()?)
        .env("DBOPS_TEST_HOLD_CLUSTERS", bin)
        .env("DBOPS_TEST_HOLD_PGBOUNCER", ctx.pgbouncer()?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut places: Vec<(PathBuf, u16)> = Vec::new();
    let stdout = owner.stdout.take().context("no stdout")?;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        match line.split_once(' ') {
            Some((dir, port)) => places.push((dir.into(), port.parse()?)),
            None => break,
        }
    }
    ensure!(places.len() == 3, "the owner did not start its servers");
    for (dir, port) in &places {
        ensure!(dir.is_dir());
        TcpStream::connect(("127.0.0.1", *port))?;
    }
    owner.kill()?;
    owner.wait()?;
    eventually(
        "the killed owner's servers and files are gone",
        async || {
            Ok(places.iter().all(|(dir, port)| {
                !dir.exists() && TcpStream::connect(("127.0.0.1", *port)).is_err()
            }))
        },
    )
    .await
}

async fn the_command_sees_no_environment_but_its_own(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let run = ctx.dbops().on(&db).args(["--version"]).run().await?;
    let run = run.exits_with(0)?;
    ensure!(run.stderr.is_empty(), "stderr: {}", run.stderr);
    ensure!(std::fs::read_dir(ctx.dir())?.next().is_none());
    Ok(())
}

fn place(cluster: &Cluster) -> (PathBuf, u16) {
    (cluster.socket_dir().to_owned(), cluster.port())
}

async fn connect(url: &str) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
