//! A throw-away PgBouncer before a throw-away cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::signal::Signal;
use tokio_postgres::NoTls;

use super::account::Account;
use super::cluster::{Cluster, SUPERUSER, describe, free_port};
use super::home::Home;
use super::install::Env;
use super::process::{POLL, Process, tail};

const START_PATIENCE: Duration = Duration::from_secs(20);

/// SIGTERM ends older PgBouncers at once and lets newer ones wait for clients; SIGQUIT ends all.
const STOP: &[(Signal, Duration)] = &[
    (Signal::SIGTERM, Duration::from_millis(500)),
    (Signal::SIGQUIT, Duration::from_secs(2)),
];

/// What a PgBouncer will be; made by [`PgBouncer::builder`].
#[derive(Debug, Clone)]
pub struct PgBouncerBuilder<'a> {
    binary: PathBuf,
    cluster: &'a Cluster,
    config: BTreeMap<String, String>,
    databases: BTreeMap<String, String>,
    users: BTreeMap<String, String>,
}

impl PgBouncerBuilder<'_> {
    /// Sets a parameter of the `[pgbouncer]` section: `pool_mode`, `default_pool_size` …
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.insert(name.into(), value.into());
        self
    }

    /// Adds a database to the `[databases]` section with parameters beyond its address:
    /// `pool_size=5`. Databases that are not named are reachable with PgBouncer's defaults.
    #[must_use]
    pub fn database(mut self, name: impl Into<String>, parameters: impl Into<String>) -> Self {
        self.databases.insert(name.into(), parameters.into());
        self
    }

    /// Lets a role in beside the superuser. Neither part may hold a double quote.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.users.insert(name.into(), password.into());
        self
    }

    /// Starts PgBouncer and waits until it accepts connections.
    ///
    /// # Errors
    /// When it does not come up; the end of its log is in the message.
    pub async fn start(self) -> Result<PgBouncer> {
        let account = Account::for_servers()?;
        let home = Home::create(account, "pgbouncer.pid")?;
        let log = home.join("pgbouncer.log");
        let mut last = None;
        for _ in 0..5 {
            let port = free_port()?;
            home.write("pgbouncer.ini", self.ini(&home, port).as_bytes())?;
            home.write("userlist.txt", self.user_list().as_bytes())?;
            let mut command = Command::new(&self.binary);
            command
                .env_clear()
                .arg("pgbouncer.ini")
                .stdin(Stdio::null())
                .current_dir(home.dir());
            account.apply(&mut command);
            let mut process = Process::start(&mut command, &log, STOP)?;
            let password = self.cluster.password().map(str::to_owned);
            match wait_for(&mut process, port, password.as_deref()).await {
                Ok(()) => {
                    return Ok(PgBouncer {
                        process,
                        port,
                        password,
                        home,
                    });
                }
                Err(error) => {
                    let text = tail(&log, 20);
                    let port_taken = text.contains("Address already in use");
                    last = Some(error.context(format!("PgBouncer did not start:\n{text}")));
                    if !port_taken {
                        break;
                    }
                }
            }
        }
        Err(last.unwrap_or_else(|| anyhow!("PgBouncer did not start")))
    }

    fn user_list(&self) -> String {
        let superuser = self.cluster.password().unwrap_or_default();
        std::iter::once((SUPERUSER, superuser))
            .chain(self.users.iter().map(|(n, p)| (n.as_str(), p.as_str())))
            .map(|(name, password)| format!("\"{name}\" \"{password}\"\n"))
            .collect()
    }

    fn ini(&self, home: &Home, port: u16) -> String {
        let mut settings: BTreeMap<&str, String> = [
            ("listen_addr", "127.0.0.1"),
            ("auth_file", "userlist.txt"),
            ("admin_users", SUPERUSER),
            ("stats_users", SUPERUSER),
            ("pidfile", "pgbouncer.pid"),
            ("pool_mode", "transaction"),
        ]
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
        settings.insert("listen_port", port.to_string());
        settings.insert("unix_socket_dir", home.dir().display().to_string());
        let auth = match self.cluster.password() {
            Some(_) => "scram-sha-256",
            None => "trust",
        };
        settings.insert("auth_type", auth.to_owned());
        for (name, value) in &self.config {
            settings.insert(name, value.clone());
        }
        let address = format!(
            "host={} port={}",
            self.cluster.socket_dir().display(),
            self.cluster.port()
        );
        let mut text = "[databases]\n".to_owned();
        for (name, parameters) in &self.databases {
            text.push_str(&format!("{name} = {address} {parameters}\n"));
        }
        text.push_str(&format!("* = {address}\n[pgbouncer]\n"));
        for (name, value) in settings {
            text.push_str(&format!("{name} = {value}\n"));
        }
        text
    }
}

/// A running throw-away PgBouncer. Dropping it stops it and removes its files.
pub struct PgBouncer {
    process: Process,
    port: u16,
    password: Option<String>,
    /// Removed after the process has ended.
    home: Home,
}

impl fmt::Debug for PgBouncer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgBouncer")
            .field("dir", &self.home.dir())
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// Clients that hold a pool's connection and wait for it.
pub struct Hold {
    _holder: tokio_postgres::Client,
    waiters: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        for waiter in &self.waiters {
            waiter.abort();
        }
    }
}

impl PgBouncer {
    /// Finds the PgBouncer program: in `PATH`, then where distributions put it.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(env: Env<'_>) -> Result<PathBuf> {
        let path = env("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .chain(
                [
                    "/usr/sbin",
                    "/usr/bin",
                    "/usr/local/bin",
                    "/opt/homebrew/bin",
                ]
                .map(Into::into),
            )
            .map(|folder| folder.join("pgbouncer"))
            .find(|program| program.is_file())
            .ok_or_else(|| {
                anyhow!("no `pgbouncer` found in PATH or /usr/sbin; run scripts/install-deps")
            })
    }

    /// Begins to describe a PgBouncer before `cluster`: any database, transaction pooling.
    pub fn builder(binary: PathBuf, cluster: &Cluster) -> PgBouncerBuilder<'_> {
        PgBouncerBuilder {
            binary,
            cluster,
            config: BTreeMap::new(),
            databases: BTreeMap::new(),
            users: BTreeMap::new(),
        }
    }

    /// Returns the address of a database through the pool. The name must need no escaping.
    pub fn url_for(&self, database: &str) -> String {
        let password = self
            .password
            .as_ref()
            .map(|p| format!(":{p}"))
            .unwrap_or_default();
        format!(
            "postgresql://{SUPERUSER}{password}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// Takes a server connection for a transaction and makes `waiting` more clients wait for one, until the value is dropped.
    ///
    /// # Errors
    /// With the message of PgBouncer or of the server.
    #[expect(
        clippy::disallowed_methods,
        reason = "a transaction on a throw-away server that does nothing"
    )]
    pub async fn hold(&self, database: &str, waiting: usize) -> Result<Hold> {
        let client = async || -> Result<tokio_postgres::Client> {
            let mut config = tokio_postgres::Config::new();
            config
                .host("127.0.0.1")
                .port(self.port)
                .user(SUPERUSER)
                .dbname(database);
            if let Some(password) = &self.password {
                config.password(password);
            }
            let (client, connection) = config
                .connect(NoTls)
                .await
                .map_err(|error| anyhow!(describe(&error)))?;
            tokio::spawn(connection);
            Ok(client)
        };
        let holder = client().await?;
        holder
            .batch_execute("begin; select 1")
            .await
            .map_err(|error| anyhow!(describe(&error)))?;
        let mut waiters = Vec::new();
        for _ in 0..waiting {
            let client = client().await?;
            waiters.push(tokio::spawn(async move {
                // It waits until the first one is gone.
                let _ = client.batch_execute("select 1").await;
            }));
        }
        Ok(Hold {
            _holder: holder,
            waiters,
        })
    }

    /// Returns the address of the admin console.
    pub fn admin_url(&self) -> String {
        self.url_for("pgbouncer")
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder of its configuration, log and Unix socket.
    pub fn dir(&self) -> &Path {
        self.home.dir()
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

async fn wait_for(process: &mut Process, port: u16, password: Option<&str>) -> Result<()> {
    let mut config = tokio_postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(port)
        .user(SUPERUSER)
        .dbname("pgbouncer")
        .connect_timeout(Duration::from_secs(5));
    if let Some(password) = password {
        config.password(password);
    }
    let started = Instant::now();
    loop {
        if let Some(status) = process.ended()? {
            bail!("it ended with {status}");
        }
        match config.connect(NoTls).await {
            Ok(_) => return Ok(()),
            Err(error) if started.elapsed() > START_PATIENCE => {
                return Err(anyhow!(describe(&error))).with_context(|| {
                    format!(
                        "it does not accept connections after {} s",
                        START_PATIENCE.as_secs()
                    )
                });
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}
