//! One throw-away PostgreSQL server: its configuration, start, addresses and end.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::signal::Signal;
use tokio_postgres::{Client, Config, NoTls};

use super::account::Account;
use super::backup;
use super::home::Home;
use super::install::PgInstall;
use super::process::{POLL, Process, tail};

/// The superuser of every throw-away cluster.
pub(super) const SUPERUSER: &str = "postgres";

/// How long a server may take to accept connections; slow machines under load included.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// Fast shutdown ends sessions and writes a checkpoint; immediate shutdown just ends.
const STOP: &[(Signal, Duration)] = &[
    (Signal::SIGINT, Duration::from_secs(10)),
    (Signal::SIGQUIT, Duration::from_secs(5)),
];

/// How clients on 127.0.0.1 prove who they are. The Unix socket is in a folder that only the
/// server's user and the caller can reach, and never asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// A random password, which [`Cluster::url`] contains: for machines with other users on them.
    #[default]
    Scram,
    /// No password: for tests, where a connection must cost nothing.
    Trust,
}

/// Receives one line for each thing that is being done: `starting PostgreSQL 15.18`.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// What a server will be; made by [`Cluster::builder`] and [`Cluster::standby`].
#[derive(Clone)]
pub struct Builder<'a> {
    install: PgInstall,
    auth: Auth,
    config: BTreeMap<String, String>,
    hba: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
    log: Option<PathBuf>,
    progress: Option<Progress>,
    standby_of: Option<StandbyOf<'a>>,
}

#[derive(Clone)]
struct StandbyOf<'a> {
    primary: &'a Cluster,
    name: String,
    slot: Option<String>,
    upstream: Option<String>,
}

impl fmt::Debug for Builder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("install", &self.install)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Builder<'_> {
    /// Chooses how clients on 127.0.0.1 prove who they are.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// Sets a server parameter; the value is quoted as needed.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.insert(name.into(), value.into());
        self
    }

    /// Loads a library at server start, after those asked for before.
    #[must_use]
    pub fn preload(mut self, library: &str) -> Self {
        let list = self
            .config
            .entry("shared_preload_libraries".to_owned())
            .or_default();
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(library);
        self
    }

    /// Adds a line to `pg_hba.conf`, before the lines that let everybody in.
    #[must_use]
    pub fn hba(mut self, line: impl Into<String>) -> Self {
        self.hba.push(line.into());
        self
    }

    /// Puts a file into the data directory, readable by the server's user only: a certificate, a
    /// key. Relative names in parameters start there.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, contents: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.into(), contents.into()));
        self
    }

    /// Writes the server log to this file instead of one that goes with the cluster.
    #[must_use]
    pub fn log_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.log = Some(path.into());
        self
    }

    /// Is told what is being done.
    #[must_use]
    pub fn on_progress(mut self, progress: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Streams through a physical replication slot of this name, made on the primary. Means
    /// nothing for a primary.
    #[must_use]
    pub fn slot(mut self, name: impl Into<String>) -> Self {
        if let Some(standby) = &mut self.standby_of {
            standby.slot = Some(name.into());
        }
        self
    }

    /// Streams from this standby instead of the primary that it is copied from: a cascade. Means nothing for a primary.
    #[must_use]
    pub fn through(mut self, upstream: &Cluster) -> Self {
        if let Some(standby) = &mut self.standby_of {
            standby.upstream = Some(upstream.conninfo(&standby.name));
        }
        self
    }

    /// Returns the binaries that the server will be started from.
    pub fn install(&self) -> &PgInstall {
        &self.install
    }

    /// Makes the data directory, starts the server and waits until it accepts connections.
    ///
    /// # Errors
    /// When a program fails or the server does not come up; the end of its log is in the message.
    pub async fn start(self) -> Result<Cluster> {
        let account = Account::for_servers()?;
        let home = Home::create(account, "data/postmaster.pid")?;
        let log = self.log.clone().unwrap_or_else(|| home.join("server.log"));
        let mut cluster = Cluster {
            process: None,
            password: match (&self.standby_of, self.auth) {
                // Roles and their passwords come with the copy.
                (Some(standby), _) => standby.primary.password.clone(),
                (None, Auth::Scram) => Some(random_password()?),
                (None, Auth::Trust) => None,
            },
            install: self.install.clone(),
            port: 0,
            log,
            home,
            progress: self.progress.clone(),
        };
        match &self.standby_of {
            None => cluster.initialise().await?,
            Some(standby) => {
                cluster.say(&format!(
                    "copying the primary for standby `{}`",
                    standby.name
                ));
                backup::copy(standby.primary, &cluster.data(), account, standby).await?;
            }
        }
        self.write_configuration(&cluster)?;
        cluster.launch().await?;
        Ok(cluster)
    }

    fn write_configuration(&self, cluster: &Cluster) -> Result<()> {
        let mut settings: BTreeMap<&str, String> = [
            // Written and thrown away: nobody needs it after a crash.
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("shared_buffers", "64MB"),
            ("max_connections", "100"),
            ("wal_level", "replica"),
            ("max_wal_senders", "10"),
            ("max_replication_slots", "10"),
            ("wal_keep_size", "512MB"),
            ("hot_standby", "on"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("log_line_prefix", "%m [%p] %q%d %a: "),
            // Some builds create sockets in /tmp, others in /var/run/postgresql.
            ("listen_addresses", "127.0.0.1"),
            ("password_encryption", "scram-sha-256"),
            ("logging_collector", "off"),
        ]
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
        settings.insert(
            "unix_socket_directories",
            cluster.home.dir().display().to_string(),
        );
        if let Some(standby) = &self.standby_of {
            let conninfo = match &standby.upstream {
                Some(conninfo) => conninfo.clone(),
                None => standby.primary.conninfo(&standby.name),
            };
            settings.insert("primary_conninfo", conninfo);
            if let Some(slot) = &standby.slot {
                settings.insert("primary_slot_name", slot.clone());
            }
        }
        for (name, value) in &self.config {
            settings.insert(name, value.clone());
        }
        let mut text = String::new();
        for (name, value) in settings {
            text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        }

        let mut hba = self.hba.join("\n");
        let method = match cluster.password {
            Some(_) => "scram-sha-256",
            None => "trust",
        };
        hba.push_str(&format!(
            "\nlocal all all trust\nlocal replication all trust\n\
             host all all 127.0.0.1/32 {method}\nhost replication all 127.0.0.1/32 {method}\n"
        ));

        cluster
            .home
            .write("data/postgresql.conf", text.as_bytes())?;
        cluster.home.write("data/pg_hba.conf", hba.as_bytes())?;
        if self.standby_of.is_some() {
            cluster.home.write("data/standby.signal", b"")?;
        }
        for (name, contents) in &self.files {
            cluster.home.write(&format!("data/{name}"), contents)?;
        }
        Ok(())
    }
}

impl backup::Standby for StandbyOf<'_> {
    fn slot(&self) -> Option<&str> {
        self.slot.as_deref()
    }
}

/// A running throw-away server. Dropping it stops the server and removes its files.
pub struct Cluster {
    /// Stopped before the folder goes.
    process: Option<Process>,
    install: PgInstall,
    port: u16,
    password: Option<String>,
    log: PathBuf,
    home: Home,
    progress: Option<Progress>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("dir", &self.home.dir())
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Begins to describe a new primary.
    pub fn builder(install: &PgInstall) -> Builder<'static> {
        Builder {
            install: install.clone(),
            auth: Auth::default(),
            config: BTreeMap::new(),
            hba: Vec::new(),
            files: Vec::new(),
            log: None,
            progress: None,
            standby_of: None,
        }
    }

    /// Begins to describe a streaming standby of this server; `name` is its `application_name`.
    pub fn standby(&self, name: &str) -> Builder<'_> {
        Builder {
            auth: match self.password {
                Some(_) => Auth::Scram,
                None => Auth::Trust,
            },
            progress: self.progress.clone(),
            standby_of: Some(StandbyOf {
                primary: self,
                name: name.to_owned(),
                slot: None,
                upstream: None,
            }),
            ..Self::builder(&self.install)
        }
    }

    /// Returns the address of the maintenance database over TCP, with the password if there is one.
    pub fn url(&self) -> String {
        self.url_for("postgres")
    }

    /// Returns the address of a database over TCP. The name must need no escaping.
    pub fn url_for(&self, database: &str) -> String {
        self.url_as(SUPERUSER, self.password.as_deref(), database)
    }

    /// Returns the address of a database over TCP for another role. No part may need escaping.
    pub fn url_as(&self, role: &str, password: Option<&str>, database: &str) -> String {
        let password = password.map(|p| format!(":{p}")).unwrap_or_default();
        format!(
            "postgresql://{role}{password}@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// Returns the address of the maintenance database over the Unix socket: no password needed.
    pub fn socket_url(&self) -> String {
        format!(
            "postgresql:///postgres?host={}&port={}&user={SUPERUSER}",
            self.socket_dir().display(),
            self.port
        )
    }

    /// Returns the port, of 127.0.0.1 and of the socket.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the superuser's password, if one is asked for.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Returns the folder of the Unix socket.
    pub fn socket_dir(&self) -> &Path {
        self.home.dir()
    }

    /// Returns the data directory.
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Returns the binaries that this server was started from.
    pub fn install(&self) -> &PgInstall {
        &self.install
    }

    /// Returns the process id of the server while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Returns the last lines of the server log.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }

    /// Connects to a database as superuser, over the Unix socket.
    ///
    /// # Errors
    /// With the server's message.
    pub async fn connect(&self, database: &str) -> Result<Client> {
        let mut config = Config::new();
        config
            .host_path(self.socket_dir())
            .port(self.port)
            .user(SUPERUSER)
            .dbname(database)
            .connect_timeout(Duration::from_secs(10));
        let (client, connection) = config
            .connect(NoTls)
            .await
            .map_err(|error| anyhow!(describe(&error)))
            .with_context(|| format!("connecting to the throw-away database `{database}`"))?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Stops the server, fast and then immediately, and keeps its files, so that
    /// [`Cluster::launch`] can start it again.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop();
        }
    }

    /// Starts the server again after [`Cluster::stop`], on the same port if it had one, and waits
    /// until it accepts connections.
    ///
    /// # Errors
    /// When it does not come up; the end of its log is in the message.
    pub async fn launch(&mut self) -> Result<()> {
        self.say(&format!(
            "starting PostgreSQL {}",
            self.install.version().split(' ').next().unwrap_or_default()
        ));
        // Between our look for a free port and the server's use of it somebody may take it.
        let tries = if self.port == 0 { 5 } else { 1 };
        for left in (0..tries).rev() {
            let port = match self.port {
                0 => free_port()?,
                kept => kept,
            };
            let before = std::fs::metadata(&self.log).map_or(0, |meta| meta.len());
            match self.launch_on(port).await {
                Ok(()) => return Ok(()),
                Err(_) if left > 0 && log_since(&self.log, before).contains("could not bind") => {
                    self.port = 0;
                }
                Err(error) => return Err(error),
            }
        }
        bail!("no free port found for a throw-away server")
    }

    async fn launch_on(&mut self, port: u16) -> Result<()> {
        self.port = port;
        let mut command = self.install.command("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .args(["-c", &format!("port={port}")])
            .current_dir(self.home.dir());
        self.home.account().apply(&mut command);
        let mut process = Process::start(&mut command, &self.log, STOP)?;
        let started = Instant::now();
        let problem = loop {
            if let Some(status) = process.ended()? {
                break format!("it ended with {status}");
            }
            match self.connect("postgres").await {
                Ok(_) => {
                    self.process = Some(process);
                    return Ok(());
                }
                Err(error) if started.elapsed() > START_PATIENCE => {
                    break format!(
                        "it does not accept connections after {} s: {error:#}",
                        START_PATIENCE.as_secs()
                    );
                }
                Err(_) => tokio::time::sleep(POLL).await,
            }
        };
        drop(process);
        bail!(
            "the throw-away server (PostgreSQL {}) did not start: {problem}; its log ends:\n{}",
            self.install.version(),
            self.log_tail(20)
        )
    }

    async fn initialise(&self) -> Result<()> {
        self.say("making a throw-away cluster");
        let mut command = self.install.command("initdb");
        command
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C"])
            .arg(format!("--username={SUPERUSER}"))
            .arg("-D")
            .arg(self.data())
            .current_dir(self.home.dir())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(password) = &self.password {
            let file = self.home.write("password", password.as_bytes())?;
            // Before 14 initdb stores an MD5 hash unless it knows that SCRAM will be asked for.
            command
                .arg("--auth-host=scram-sha-256")
                .arg("--pwfile")
                .arg(file);
        }
        self.home.account().apply(&mut command);
        let output = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .output()
            .await
            .context("running `initdb`")?;
        if !output.status.success() {
            bail!(
                "`initdb` failed with {}: {}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }

    /// How a standby finds its primary, as a libpq connection string.
    fn conninfo(&self, application_name: &str) -> String {
        let password = self
            .password
            .as_ref()
            .map(|p| format!(" password={p}"))
            .unwrap_or_default();
        format!(
            "host=127.0.0.1 port={} user={SUPERUSER}{password} application_name='{application_name}'",
            self.port
        )
    }

    fn say(&self, message: &str) {
        if let Some(progress) = &self.progress {
            progress(message);
        }
    }
}

/// Returns the chain of a driver error; its own text is only `db error` when the server spoke.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(server) => format!("{} (SQLSTATE {})", server.message(), server.code().code()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

/// Asks the system for a port that is free now.
pub(super) fn free_port() -> Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

fn log_since(log: &Path, offset: u64) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
}

/// 128 bits from the system, in letters that need no escaping anywhere.
fn random_password() -> Result<String> {
    use std::io::Read as _;
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .context("reading /dev/urandom for a password")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
