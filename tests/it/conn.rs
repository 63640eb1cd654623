//! Connections: who is let in and what is said otherwise, what a session is set to.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use dbops::conn::target::{Node, resolve};
use dbops::conn::wait::{self, Waited};
use dbops::conn::{Env, Overrides, Purpose, Session, Settings, begin_read, connect, failure};
use dbops::failure::{Exit, exit_of, hints_of};
use dbops::plan_file::{Target, TargetNode};
use dbops::sandbox::Auth;

use crate::common::{Ctx, eventually, tests};

tests!(
    Ends: a_session_knows_its_server_and_says_what_it_is_for,
    session_settings_win_over_role_database_and_options,
    readers_cannot_write_and_writers_can,
    a_reading_transaction_sees_one_snapshot,
    a_running_statement_can_be_cancelled,
    notices_are_kept_until_taken,
    a_server_that_takes_writes_is_not_waited_for,
    a_wrong_password_is_named_as_such,
    md5_passwords_are_accepted,
    a_missing_database_role_host_or_server_is_named,
    a_full_server_is_named,
    a_silent_server_is_left_after_the_time_limit,
    the_socket_needs_no_host_name,
    the_password_file_is_used_and_checked,
    a_service_file_is_used_below_the_url,
    several_hosts_are_tried_for_the_kind_wanted,
    targets_resolve_by_variable_service_and_reference,
);

pub(crate) fn env(vars: &[(&str, &str)]) -> Env {
    let vars = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Env::new(vars, Some("nobody".to_owned()))
}

pub(crate) fn settings_in(conninfo: &str, env: &Env) -> Result<Settings> {
    let overrides = Overrides {
        database_url: Some(conninfo.to_owned()),
        ..Overrides::default()
    };
    Settings::resolve(&overrides, env).map_err(|error| anyhow!(error))
}

pub(crate) fn settings(conninfo: &str) -> Result<Settings> {
    settings_in(conninfo, &env(&[]))
}

pub(crate) async fn refused(settings: &Settings, purpose: Purpose) -> Result<anyhow::Error> {
    match connect(settings, purpose).await {
        Ok(_) => Err(anyhow!("{settings} let us in")),
        Err(error) => Ok(error),
    }
}

/// Fails unless the error says this, exits with 2 and has a hint.
pub(crate) fn says(error: &anyhow::Error, wanted: &str) -> Result<()> {
    let text = failure::describe_error(error);
    ensure!(text.contains(wanted), "`{wanted}` is not in: {text}");
    ensure!(exit_of(error) == Exit::Usage);
    ensure!(!hints_of(error).is_empty(), "no hint: {text}");
    Ok(())
}

pub(crate) async fn text(session: &Session, sql: &str) -> Result<String> {
    let rows = session.query_typed(sql, &[]).await?;
    Ok(rows.first().context("no row")?.get(0))
}

pub(crate) async fn setting(session: &Session, name: &str) -> Result<String> {
    text(session, &format!("select current_setting('{name}')")).await
}

async fn a_session_knows_its_server_and_says_what_it_is_for(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let settings = settings(&db.url)?;
    for purpose in [
        Purpose::Read,
        Purpose::Write,
        Purpose::Observe,
        Purpose::Lock,
    ] {
        let session = connect(&settings, purpose).await?;
        ensure!(session.pooler().is_none(), "a pooler was seen: {purpose:?}");
        ensure!(session.server_version_num() / 10_000 == i32::from(ctx.major));
        let pid: String = text(&session, "select pg_backend_pid()::text").await?;
        ensure!(pid == session.backend_pid().to_string());
        let name = text(
            &session,
            "select application_name from pg_stat_activity where pid = pg_backend_pid()",
        )
        .await?;
        ensure!(name == format!("dbops {}", purpose.as_str()), "{name}");
        session.close().await;
        eventually("the closed session is gone", async || {
            db.value(&format!(
                "select not exists (select from pg_stat_activity where pid = {pid})"
            ))
            .await
        })
        .await?;
    }
    Ok(())
}

async fn session_settings_win_over_role_database_and_options(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let role = format!("{}_odd", db.name);
    db.run(&format!(
        "create schema evil;
         create function evil.current_setting(text) returns text language sql as $$ select 'evil' $$;
         create role {role} login superuser;
         alter role {role} set search_path = evil, pg_catalog;
         alter role {role} set timezone = 'Pacific/Chatham';
         alter role {role} set datestyle = 'German';
         alter role {role} set statement_timeout = '9s';
         alter role {role} set default_transaction_isolation = 'serializable';
         alter role {role} set quote_all_identifiers = on;
         alter role {role} set row_security = on;
         alter database {} set intervalstyle = 'sql_standard';
         alter database {} set lock_timeout = '9s';
         alter database {} set standard_conforming_strings = off;",
        db.name, db.name, db.name
    ))
    .await?;
    let cleanup = async || {
        db.run(&format!("drop owned by {role}; drop role {role}"))
            .await
    };
    let outcome = async {
        let mut settings = settings(&db.cluster.url_as(&role, None, &db.name))?;
        settings.options = Some("-c extra_float_digits=-5 -c timezone=Asia/Kolkata".to_owned());
        for purpose in [Purpose::Read, Purpose::Write] {
            let mut session = connect(&settings, purpose).await?;
            check_settings(&session, purpose).await?;
            if purpose == Purpose::Read {
                // A pooled server would have none of it, so the transaction says it again.
                #[expect(clippy::disallowed_methods, reason = "undoes what connect did")]
                session.batch_execute("reset all").await?;
                let transaction = begin_read(&mut session).await?;
                let row = transaction
                    .query_one(
                        "select pg_catalog.current_setting('TimeZone'), pg_catalog.current_setting('search_path')",
                        &[],
                    )
                    .await?;
                ensure!(row.get::<_, &str>(0) == "UTC" && row.get::<_, &str>(1) == "\"\"");
            }
        }
        Ok(())
    }
    .await;
    cleanup().await?;
    outcome
}

pub(crate) async fn check_settings(session: &Session, purpose: Purpose) -> Result<()> {
    for (name, wanted) in [
        ("search_path", "\"\""),
        ("TimeZone", "UTC"),
        ("DateStyle", "ISO, YMD"),
        ("IntervalStyle", "postgres"),
        ("extra_float_digits", "1"),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
        ("quote_all_identifiers", "off"),
        ("row_security", "off"),
        ("transaction_isolation", "read committed"),
    ] {
        let found = setting(session, name).await?;
        ensure!(found == wanted, "{purpose:?}: {name} is `{found}`");
    }
    let (read_only, statement, lock) = match purpose {
        Purpose::Read => ("on", "1min", "10s"),
        _ => ("off", "0", "0"),
    };
    for (name, wanted) in [
        ("default_transaction_read_only", read_only),
        ("statement_timeout", statement),
        ("lock_timeout", lock),
    ] {
        let found = setting(session, name).await?;
        ensure!(found == wanted, "{purpose:?}: {name} is `{found}`");
    }
    Ok(())
}

async fn readers_cannot_write_and_writers_can(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let settings = settings(&db.url)?;
    for purpose in [Purpose::Read, Purpose::Observe] {
        let session = connect(&settings, purpose).await?;
        let error = session
            .query("create table public.t (id int)", &[])
            .await
            .err()
            .context("it could write")?;
        let server = failure::server_error(&error).context("not the server's error")?;
        ensure!(server.sqlstate == "25006", "{server:?}");
    }
    let session = connect(&settings, Purpose::Write).await?;
    session.query("create table public.t (id int)", &[]).await?;
    let error = session
        .query("select wrong from public.t", &[])
        .await
        .err()
        .context("no error")?;
    let described = failure::describe(&error);
    ensure!(
        described
            == "column \"wrong\" does not exist (SQLSTATE 42703); at character 8 of the statement",
        "{described}"
    );
    let chain = anyhow::Error::new(error).context("reading t");
    ensure!(failure::describe_error(&chain) == format!("reading t: {described}"));
    Ok(())
}

async fn a_reading_transaction_sees_one_snapshot(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    db.run("create table t (id int)").await?;
    let mut session = connect(&settings(&db.url)?, Purpose::Read).await?;
    let transaction = begin_read(&mut session).await?;
    db.run("insert into t values (1)").await?;
    let row = transaction
        .query_one(
            "select count(*), current_setting('transaction_read_only') from public.t",
            &[],
        )
        .await?;
    ensure!(row.get::<_, i64>(0) == 0 && row.get::<_, &str>(1) == "on");
    Ok(())
}

async fn a_running_statement_can_be_cancelled(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let session = connect(&settings(&db.url)?, Purpose::Write).await?;
    let canceller = session.canceller();
    let pid = session.backend_pid();
    let sleep = session.query_typed("select pg_sleep(200)", &[]);
    let cancel = async {
        eventually("the statement runs", async || {
            db.value(&format!(
                "select exists (select from pg_stat_activity where pid = {pid} and wait_event = 'PgSleep')"
            ))
            .await
        })
        .await?;
        canceller.cancel().await
    };
    let (slept, cancelled) = tokio::join!(sleep, cancel);
    cancelled?;
    let error = slept.err().context("it slept on")?;
    ensure!(
        error.code().map(|code| code.code()) == Some("57014"),
        "{error:?}"
    );
    Ok(())
}

/// A standby that was promoted while it was waited for has a history of its own: its positions say nothing.
async fn a_server_that_takes_writes_is_not_waited_for(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let session = connect(&settings(&db.url)?, Purpose::Read).await?;
    let (passed, most) = (Duration::ZERO, Duration::from_secs(5));
    // Long reached, if it counted.
    let waited = wait::replayed(&session, "0/1", passed, most).await?;
    ensure!(waited == Waited::Promoted, "{waited:?}");
    let error = wait::replayed(&session, "0/1'", passed, most).await;
    ensure!(error.is_err(), "{error:?}");
    Ok(())
}

async fn notices_are_kept_until_taken(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let session = connect(&settings(&db.url)?, Purpose::Write).await?;
    session
        .query("drop table if exists public.nothing", &[])
        .await?;
    let notices = session.take_notices();
    ensure!(
        notices.len() == 1 && notices[0].message.contains("nothing"),
        "{notices:?}"
    );
    ensure!(session.take_notices().is_empty());
    Ok(())
}

async fn a_wrong_password_is_named_as_such(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.private_cluster()?.auth(Auth::Scram).start().await?;
    connect(&settings(&cluster.url())?, Purpose::Read).await?;
    let wrong = settings(&cluster.url_as("postgres", Some("hunter2"), "postgres"))?;
    let error = refused(&wrong, Purpose::Read).await?;
    says(&error, "password authentication failed")?;
    let all = format!("{error:?} {:?} {wrong:?} {wrong}", hints_of(&error));
    ensure!(!all.contains("hunter2"), "the password is shown: {all}");
    let none = settings(&cluster.url_as("postgres", None, "postgres"))?;
    let error = refused(&none, Purpose::Read).await?;
    says(&error, "no password")?;
    ensure!(hints_of(&error).join(" ").contains("PGPASSWORD"));
    Ok(())
}

async fn md5_passwords_are_accepted(ctx: &Ctx) -> Result<()> {
    let cluster = ctx
        .private_cluster()?
        .config("password_encryption", "md5")
        .hba("host all old 127.0.0.1/32 md5")
        .start()
        .await?;
    let client = cluster.connect("postgres").await?;
    client
        .query("create role old login password 'p@ss:/w'", &[])
        .await?;
    let url = format!(
        "postgres://old:p%40ss%3A%2Fw@127.0.0.1:{}/postgres",
        cluster.port()
    );
    connect(&settings(&url)?, Purpose::Read).await?;
    Ok(())
}

async fn a_missing_database_role_host_or_server_is_named(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    let port = db.cluster.port();
    let none = settings(&db.cluster.url_for("no_such_db"))?;
    let error = refused(&none, Purpose::Read).await?;
    says(&error, "database \"no_such_db\" does not exist")?;
    ensure!(error.to_string().contains(&format!(
        "cannot connect to postgres@127.0.0.1:{port}/no_such_db"
    )));
    let error = refused(
        &settings(&db.cluster.url_as("no_such_role", None, &db.name))?,
        Purpose::Read,
    )
    .await?;
    says(&error, "role \"no_such_role\" does not exist")?;
    let error = refused(
        &settings("host=no-such-host.invalid user=u dbname=d")?,
        Purpose::Read,
    )
    .await?;
    says(&error, "no such host")?;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let error = refused(
        &settings(&format!("postgres://u@{closed}/d"))?,
        Purpose::Read,
    )
    .await?;
    says(&error, "connection refused")?;
    let nowhere = format!("host={} user=u dbname=d", ctx.dir().display());
    let error = refused(&settings(&nowhere)?, Purpose::Read).await?;
    says(&error, "no socket there")
}

async fn a_full_server_is_named(ctx: &Ctx) -> Result<()> {
    let cluster = ctx
        .private_cluster()?
        .config("max_connections", "4")
        .config("superuser_reserved_connections", "1")
        .config("max_wal_senders", "0")
        .config("wal_level", "minimal")
        .start()
        .await?;
    let client = cluster.connect("postgres").await?;
    client.query("create role app login", &[]).await?;
    let settings = settings(&cluster.url_as("app", None, "postgres"))?;
    let mut held = Vec::new();
    let error = loop {
        ensure!(held.len() < 8, "the server takes more than it should");
        match connect(&settings, Purpose::Read).await {
            Ok(session) => held.push(session),
            Err(error) => break error,
        }
    };
    says(&error, "SQLSTATE 53300")
}

async fn a_silent_server_is_left_after_the_time_limit(_: &Ctx) -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let conninfo = format!(
        "postgres://u@{}/d?connect_timeout=1",
        listener.local_addr()?
    );
    let started = std::time::Instant::now();
    let error = refused(&settings(&conninfo)?, Purpose::Read).await?;
    says(&error, "no answer within 2 s")?;
    ensure!(started.elapsed() < Duration::from_secs(20));
    Ok(())
}

async fn the_socket_needs_no_host_name(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.private_cluster()?.auth(Auth::Scram).start().await?;
    let folder = cluster.socket_dir().display().to_string();
    let port = cluster.port();
    let encoded = folder.replace('/', "%2F");
    for conninfo in [
        format!("host={folder} port={port} user=postgres dbname=postgres sslmode=require"),
        format!("postgres://postgres@{encoded}:{port}/postgres"),
        format!("postgres:///postgres?host={folder}&port={port}&user=postgres"),
    ] {
        let session = connect(&settings(&conninfo)?, Purpose::Read).await?;
        let inet = text(&session, "select coalesce(inet_server_addr()::text, '-')").await?;
        ensure!(inet == "-", "{conninfo} went over {inet}");
    }
    Ok(())
}

async fn the_password_file_is_used_and_checked(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.private_cluster()?.auth(Auth::Scram).start().await?;
    let password = cluster.password().context("no password")?;
    let file = ctx.dir().join(".pgpass");
    let line = format!("127.0.0.1:{}:*:postgres:{password}\n", cluster.port());
    fs::write(&file, format!("other:*:*:*:wrong\n{line}"))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    let env = home(ctx.dir());
    let url = cluster.url_as("postgres", None, "postgres");
    connect(&settings_in(&url, &env)?, Purpose::Read).await?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    let settings = settings_in(&url, &env)?;
    ensure!(settings.warnings.len() == 1, "{:?}", settings.warnings);
    says(&refused(&settings, Purpose::Read).await?, "no password")
}

fn home(dir: &Path) -> Env {
    env(&[("HOME", &dir.display().to_string())])
}

async fn a_service_file_is_used_below_the_url(ctx: &Ctx) -> Result<()> {
    let db = ctx.db().await?;
    fs::write(
        ctx.dir().join(".pg_service.conf"),
        format!(
            "[shop]\nhost=127.0.0.1\nport={}\nuser=postgres\ndbname=elsewhere\n",
            db.cluster.port()
        ),
    )?;
    // The service beats the variable, the string beats the service, as in libpq.
    let dir = ctx.dir().display().to_string();
    let env = env(&[("HOME", &dir), ("PGUSER", "nobody"), ("PGHOST", "nowhere")]);
    let settings = settings_in(&format!("service=shop dbname={}", db.name), &env)?;
    let session = connect(&settings, Purpose::Read).await?;
    let name = text(&session, "select current_database()::text").await?;
    ensure!(name == db.name);
    Ok(())
}

async fn several_hosts_are_tried_for_the_kind_wanted(ctx: &Ctx) -> Result<()> {
    let primary = ctx.private_cluster()?.start().await?;
    let standby = primary.standby("menu").start().await?;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let (p, s) = (primary.port(), standby.port());
    for (attrs, ports, recovery) in [
        ("any", [closed, p, s], false),
        ("any", [closed, s, p], true),
        ("primary", [closed, s, p], false),
        ("read-write", [closed, s, p], false),
        ("standby", [closed, p, s], true),
        ("read-only", [closed, p, s], true),
        ("prefer-standby", [closed, p, s], true),
    ] {
        let [a, b, c] = ports;
        let conninfo = format!(
            "postgres://postgres@127.0.0.1:{a},127.0.0.1:{b},127.0.0.1:{c}/postgres?target_session_attrs={attrs}"
        );
        let session = connect(&settings(&conninfo)?, Purpose::Read)
            .await
            .with_context(|| format!("{attrs} {ports:?}"))?;
        ensure!(session.in_recovery() == recovery, "{attrs} {ports:?}");
    }
    let only_primary = |attrs: &str| {
        settings(&format!(
            "host=127.0.0.1 port={p} user=postgres target_session_attrs={attrs}"
        ))
    };
    let session = connect(&only_primary("prefer-standby")?, Purpose::Read).await?;
    ensure!(!session.in_recovery());
    let error = refused(&only_primary("standby")?, Purpose::Read).await?;
    says(&error, "the server is not `standby`")
}

async fn targets_resolve_by_variable_service_and_reference(ctx: &Ctx) -> Result<()> {
    let cluster = ctx.private_cluster()?.auth(Auth::Scram).start().await?;
    let port = cluster.port();
    fs::write(
        ctx.dir().join(".pg_service.conf"),
        format!(
            "[copy]\nhost={}\nport={port}\nuser=postgres\n",
            cluster.socket_dir().display()
        ),
    )?;
    let url = cluster.url();
    let env = env(&[
        ("HOME", &ctx.dir().display().to_string()),
        ("SHOP_URL", &url),
        ("SHOP_PASSWORD", cluster.password().context("no password")?),
    ]);
    let target = Target {
        primary: TargetNode {
            url_env: Some("SHOP_URL".to_owned()),
            ..TargetNode::default()
        },
        replicas: vec![
            TargetNode {
                name: Some("copy".to_owned()),
                service: Some("copy".to_owned()),
                ..TargetNode::default()
            },
            TargetNode {
                name: Some("reference".to_owned()),
                url: Some(format!(
                    "postgres://postgres:${{SHOP_PASSWORD}}@127.0.0.1:{port}/postgres"
                )),
                ..TargetNode::default()
            },
        ],
        poolers: Vec::new(),
        app_pools: Vec::new(),
        origin: dbops::plan_file::Origin::default(),
    };
    let none = Overrides::default();
    for node in [
        Node::Primary,
        Node::Replica("copy"),
        Node::Replica("reference"),
    ] {
        let settings = resolve(Some(&target), node, &none, &env)?;
        connect(&settings, Purpose::Read)
            .await
            .with_context(|| format!("{node:?}"))?;
    }
    Ok(())
}
