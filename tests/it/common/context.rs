//! What a test is given: a database, the command, servers of its own.
#![expect(
    clippy::disallowed_methods,
    reason = "tests prepare their databases with statements of their own"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow};
use dbops::ident::quote_ident;
use dbops::sandbox::{Builder, Cluster};
use tokio_postgres::Client;
use tokio_postgres::types::FromSqlOwned;

use super::command::Dbops;
use super::servers::{Major, Servers};

static NEXT: AtomicU32 = AtomicU32::new(1);

/// The context of one running test.
pub(crate) struct Ctx {
    /// The major that this test runs on.
    pub(crate) major: u16,
    chosen: Major,
    name: &'static str,
    servers: Arc<Servers>,
    dir: tempfile::TempDir,
    databases: Mutex<Vec<String>>,
    private_logs: Mutex<Vec<PathBuf>>,
}

impl Ctx {
    pub(super) fn new(servers: &Arc<Servers>, major: &Major, name: &'static str) -> Result<Self> {
        Ok(Self {
            major: major.install()?.major(),
            chosen: major.clone(),
            name,
            servers: Arc::clone(servers),
            dir: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
                .context("making a folder for a test")?,
            databases: Mutex::default(),
            private_logs: Mutex::default(),
        })
    }

    /// Creates a database of the test's own in the shared cluster.
    pub(crate) async fn db(&self) -> Result<Db> {
        let cluster = self.servers.shared(&self.chosen)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let short: String = self.name.chars().take(40).collect();
        let name = format!("{short}_{number}");
        let admin = cluster.connect("postgres").await?;
        admin
            .batch_execute(&format!(
                "create database {} template template0",
                quote_ident(&name)
            ))
            .await
            .map_err(server_error)?;
        lock(&self.databases).push(name.clone());
        Db::open(cluster, name).await
    }

    /// Makes the built `dbops`, with nothing of the environment and an empty home.
    pub(crate) fn dbops(&self) -> Dbops {
        Dbops::new(self.dir.path(), self.servers.path())
    }

    /// Begins to describe a cluster of the test's own; it goes with its value.
    pub(crate) fn private_cluster(&self) -> Result<Builder<'static>> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let log = self
            .servers
            .logs()
            .join(format!("{}-{number}.log", self.name));
        lock(&self.private_logs).push(log.clone());
        Ok(self.servers.cluster(&self.chosen)?.log_file(log))
    }

    /// Returns the PgBouncer program.
    pub(crate) fn pgbouncer(&self) -> Result<PathBuf> {
        self.servers.pgbouncer()
    }

    /// Returns an empty folder that goes with the test; the command runs in it.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns what the servers logged for this test.
    pub(super) fn server_logs(&self) -> String {
        let mut text = String::new();
        let databases = lock(&self.databases).clone();
        if !databases.is_empty() {
            let log = read(&self.servers.shared_log(&self.chosen));
            let mine = lines_about(&log, &databases);
            text.push_str(&format!(
                "--- server log, lines about this test's databases ---\n{}\n",
                last(&mine, 40)
            ));
        }
        for path in lock(&self.private_logs).iter() {
            let log = read(path);
            let lines: Vec<&str> = log.lines().collect();
            text.push_str(&format!("--- server log ---\n{}\n", last(&lines, 40)));
        }
        text
    }

    pub(super) async fn clean_up(&self) -> Result<()> {
        let databases = std::mem::take(&mut *lock(&self.databases));
        if databases.is_empty() {
            return Ok(());
        }
        let admin = self
            .servers
            .shared(&self.chosen)?
            .connect("postgres")
            .await?;
        for name in databases {
            admin
                .batch_execute(&format!(
                    "drop database {} with (force)",
                    quote_ident(&name)
                ))
                .await
                .map_err(server_error)?;
        }
        Ok(())
    }
}

/// A database of one test.
pub(crate) struct Db {
    /// Its name.
    pub(crate) name: String,
    /// Its address over TCP, as superuser.
    pub(crate) url: String,
    /// A superuser's session in it.
    pub(crate) client: Client,
    /// The cluster that it is in.
    pub(crate) cluster: Arc<Cluster>,
}

impl Db {
    pub(super) async fn open(cluster: Arc<Cluster>, name: String) -> Result<Self> {
        Ok(Self {
            url: cluster.url_for(&name),
            client: cluster.connect(&name).await?,
            name,
            cluster,
        })
    }

    /// Opens another session.
    pub(crate) async fn connect(&self) -> Result<Client> {
        self.cluster.connect(&self.name).await
    }

    /// Runs statements separated by semicolons.
    pub(crate) async fn run(&self, sql: &str) -> Result<()> {
        self.client
            .batch_execute(sql)
            .await
            .map_err(server_error)
            .with_context(|| format!("running: {sql}"))
    }

    /// Returns the one value that a query gives.
    pub(crate) async fn value<T: FromSqlOwned>(&self, sql: &str) -> Result<T> {
        let row = self
            .client
            .query_one(sql, &[])
            .await
            .map_err(server_error)
            .with_context(|| format!("querying: {sql}"))?;
        row.try_get(0)
            .with_context(|| format!("reading the value of: {sql}"))
    }
}

/// The driver's own text is only `db error`.
fn server_error(error: tokio_postgres::Error) -> anyhow::Error {
    match error.as_db_error() {
        Some(server) => anyhow!("{server} (SQLSTATE {})", server.code().code()),
        None => error.into(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(log: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned()
}

/// Keeps the messages of sessions in these databases, with their continuation lines.
fn lines_about<'a>(log: &'a str, databases: &[String]) -> Vec<&'a str> {
    let mut mine = false;
    log.lines()
        .filter(|line| {
            if !line.starts_with('\t') {
                mine = databases.iter().any(|name| line.contains(name.as_str()));
            }
            mine
        })
        .collect()
}

fn last(lines: &[&str], count: usize) -> String {
    lines[lines.len().saturating_sub(count)..].join("\n")
}
