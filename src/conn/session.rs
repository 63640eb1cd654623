//! Sessions: a connection for one purpose, with settings that role, database and options cannot bend.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio_postgres::error::DbError;
use tokio_postgres::{CancelToken, Client, IsolationLevel, Transaction};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::dial::{self, Facts, Link, Notices, Peer};
use super::failure;
use super::pooler::{self, PoolMode, Pooler};
use super::settings::Settings;
use super::tls;
use crate::failure::Failure;

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Reads the catalog or a sample; cannot write.
    Read,
    /// Changes something; its time-outs are set by each step.
    Write,
    /// Watches who waits behind a writer; cannot write, and gives up quickly.
    Observe,
    /// Holds advisory locks and sits idle for as long as the run lasts.
    Lock,
}

impl Purpose {
    /// Returns the word that follows the application name in `pg_stat_activity`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Observe => "observe",
            Self::Lock => "lock",
        }
    }

    fn changes_something(self) -> bool {
        matches!(self, Self::Write | Self::Lock)
    }
}

/// A message that the server sent without being asked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, ...
    pub severity: String,
    /// SQLSTATE.
    pub sqlstate: String,
    /// Message.
    pub message: String,
    /// Detail.
    pub detail: Option<String>,
    /// Hint.
    pub hint: Option<String>,
}

impl From<&DbError> for Notice {
    fn from(notice: &DbError) -> Self {
        Self {
            severity: notice.severity().to_owned(),
            sqlstate: notice.code().code().to_owned(),
            message: notice.message().to_owned(),
            detail: notice.detail().map(str::to_owned),
            hint: notice.hint().map(str::to_owned),
        }
    }
}

/// A connection to a server; dereferences to [`Client`].
///
/// It ends when it is dropped; [`close`](Self::close) waits until the server has been told.
pub struct Session {
    client: Client,
    task: JoinHandle<()>,
    notices: Notices,
    facts: Facts,
    purpose: Purpose,
    pooler: Option<Pooler>,
    tls: MakeRustlsConnect,
    place: String,
    server_version: String,
}

impl Session {
    /// Returns `server_version` as it came with the login: `18.4`, of PgBouncer's console `1.18.0/bouncer`.
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// Returns the server process of this session; behind a transaction pool that of its first query.
    pub fn backend_pid(&self) -> i32 {
        self.facts.backend_pid
    }

    /// Returns the server's version, `150018` for 15.18.
    pub fn server_version_num(&self) -> i32 {
        self.facts.server_version_num
    }

    /// Returns whether the server was in recovery (a standby) when the session began.
    pub fn in_recovery(&self) -> bool {
        self.facts.in_recovery
    }

    /// Returns what the session is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Returns the pooler in between, as found when the session began.
    pub fn pooler(&self) -> Option<Pooler> {
        self.pooler
    }

    /// Returns whether what is set lasts as long as the session: not behind a transaction pool.
    pub fn keeps_settings(&self) -> bool {
        self.pooler
            .is_none_or(|pooler| pooler.mode == PoolMode::Session)
    }

    /// Returns `user@host:port/database`, without a password.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns the driver's token; it needs the TLS connector, so prefer [`canceller`](Self::canceller).
    pub fn cancel_token(&self) -> CancelToken {
        self.client.cancel_token()
    }

    /// Returns what cancels the running statement from elsewhere, while this session is in use.
    pub fn canceller(&self) -> Canceller {
        Canceller {
            token: self.client.cancel_token(),
            tls: self.tls.clone(),
        }
    }

    /// Cancels the running statement.
    ///
    /// # Errors
    /// The cancel request could not be sent.
    pub async fn cancel(&self) -> anyhow::Result<()> {
        self.canceller().cancel().await
    }

    /// Returns the notices that came since the last call.
    pub fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the session and waits until the connection is down.
    pub async fn close(self) {
        drop(self.client);
        // The task ends by itself; its result was only that the connection ended.
        let _ = self.task.await;
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// Cancels the running statement of a session; works over TLS as the session does.
#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    tls: MakeRustlsConnect,
}

impl Canceller {
    /// Sends the cancel request. Whether it came in time shows only in the statement's own result.
    ///
    /// # Errors
    /// The request could not be sent.
    pub async fn cancel(&self) -> anyhow::Result<()> {
        self.token
            .cancel_query(self.tls.clone())
            .await
            .context("sending a cancel request")
    }
}

/// Connects and sets the session up for its purpose.
///
/// Behind a pooler in transaction mode nothing is set, because it would stay behind for other clients:
/// [`begin_read`] sets what it needs inside its transaction.
///
/// # Errors
/// A [`Failure`] with [`Exit::Usage`](crate::failure::Exit::Usage) that names the cause and what to do,
/// or a refusal when a writing session would go through a pooler in transaction mode.
pub async fn connect(settings: &Settings, purpose: Purpose) -> anyhow::Result<Session> {
    let application_name = application_name(settings, purpose.as_str());
    let tls = tls::connector(&settings.tls)
        .map_err(|error| Failure::usage(format!("cannot connect to {settings}: {error}")))?;
    let link = dial::open(settings, &application_name, &tls, Peer::Server)
        .await
        .map_err(|attempts| failure::cannot_connect(settings, &attempts))?;
    set_up(link, settings, purpose, tls).await
}

/// What was found at the other end of a connection.
pub enum Endpoint {
    /// A server, perhaps behind a pooler.
    Server(Session),
    /// A pooler's console.
    Console(Session),
}

/// Connects to read from what may be a server or a pooler's console.
///
/// # Errors
/// As those of [`connect`].
pub async fn connect_any(settings: &Settings) -> anyhow::Result<Endpoint> {
    let purpose = Purpose::Read;
    let application_name = application_name(settings, purpose.as_str());
    let tls = tls::connector(&settings.tls)
        .map_err(|error| Failure::usage(format!("cannot connect to {settings}: {error}")))?;
    let link = dial::open(settings, &application_name, &tls, Peer::Any)
        .await
        .map_err(|attempts| failure::cannot_connect(settings, &attempts))?;
    if link.peer == Peer::Console {
        let place = settings.to_string();
        return Ok(Endpoint::Console(Session::new(
            link, purpose, None, tls, place,
        )));
    }
    Ok(Endpoint::Server(
        set_up(link, settings, purpose, tls).await?,
    ))
}

async fn set_up(
    link: Link,
    settings: &Settings,
    purpose: Purpose,
    tls: MakeRustlsConnect,
) -> anyhow::Result<Session> {
    let application_name = application_name(settings, purpose.as_str());
    let pooler = pooler::detect(&link, settings, &application_name, &tls).await;
    let session = Session::new(link, purpose, pooler, tls, settings.to_string());
    match pooler.map(|pooler| pooler.mode) {
        None | Some(PoolMode::Session) => {}
        Some(mode) if purpose.changes_something() => return Err(shared_pool(settings, mode).into()),
        Some(_) => return Ok(session),
    }
    run(
        &session.client,
        &session_settings(purpose, session.server_version_num()),
    )
    .await
    .with_context(|| format!("setting up the session on {settings}"))?;
    Ok(session)
}

/// Connects to a pooler's console (database `pgbouncer`): no settings, simple protocol only.
///
/// # Errors
/// A [`Failure`] that names the cause and what to do.
pub async fn connect_console(settings: &Settings) -> anyhow::Result<Session> {
    // PgBouncer refuses the start-up parameter `options`, and PGOPTIONS is meant for servers.
    let settings = &Settings {
        options: None,
        ..settings.clone()
    };
    let tls = tls::connector(&settings.tls)
        .map_err(|error| Failure::usage(format!("cannot connect to {settings}: {error}")))?;
    let link = dial::open(
        settings,
        &application_name(settings, "console"),
        &tls,
        Peer::Console,
    )
    .await
    .map_err(|attempts| failure::cannot_connect(settings, &attempts))?;
    Ok(Session::new(
        link,
        Purpose::Read,
        None,
        tls,
        settings.to_string(),
    ))
}

/// Begins the transaction that everything is read in: one snapshot, no writes, its own settings.
///
/// Read with `query_typed`, which leaves nothing behind: a named prepared statement lives as long as
/// the last row made by it, and behind a transaction pool one that outlives its transaction stays on
/// the pooled server, where the next client that picks the name fails.
///
/// # Errors
/// The server refuses.
pub async fn begin_read(session: &mut Session) -> anyhow::Result<Transaction<'_>> {
    let place = session.place.clone();
    let purpose = session.purpose;
    let version = session.server_version_num();
    let begin = async {
        let transaction = session
            .client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .deferrable(false)
            .start()
            .await?;
        run_in(&transaction, &transaction_settings(purpose, version)).await?;
        Ok::<_, tokio_postgres::Error>(transaction)
    };
    begin
        .await
        .with_context(|| format!("beginning to read on {place}"))
}

impl Session {
    fn new(
        link: Link,
        purpose: Purpose,
        pooler: Option<Pooler>,
        tls: MakeRustlsConnect,
        place: String,
    ) -> Self {
        Self {
            client: link.client,
            task: link.task,
            notices: link.notices,
            facts: link.facts,
            purpose,
            pooler,
            tls,
            place,
            server_version: link.server_version,
        }
    }
}

/// The server keeps 63 bytes; what a session is for stands at the end and must not be cut.
fn application_name(settings: &Settings, purpose: &str) -> String {
    let mut name = settings.application_name.clone();
    let room = crate::ident::MAX_NAME_BYTES - 1 - purpose.len();
    while name.len() > room {
        name.pop();
    }
    format!("{name} {purpose}")
}

fn shared_pool(settings: &Settings, mode: PoolMode) -> Failure {
    Failure::refused(match mode {
        PoolMode::Unknown => format!(
            "{settings} goes through a connection pooler that has no second connection free to tell its mode by"
        ),
        _ => format!("{settings} goes through a connection pooler in transaction mode"),
    })
    .hint(
        "in transaction mode session locks and settings do not survive, and would be left behind for other clients",
    )
    .hint("give this command the direct connection to the server (host and port of PostgreSQL, not of the pooler)")
}

/// What every session reads and writes by, whatever role, database or `PGOPTIONS` say.
///
/// `row_security` off makes the server refuse a query that a policy would thin out: rows that are not
/// seen must not count as rows that are not there.
const BASE: &[(&str, &str)] = &[
    ("search_path", "\"\""),
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("quote_all_identifiers", "off"),
    ("row_security", "off"),
    ("default_tablespace", ""),
    ("client_min_messages", "notice"),
];

/// Time-outs and the like by purpose; times in milliseconds.
fn of_purpose(purpose: Purpose) -> &'static [(&'static str, &'static str)] {
    match purpose {
        Purpose::Read => &[
            ("jit", "off"),
            ("statement_timeout", "60000"),
            ("lock_timeout", "10000"),
            ("idle_in_transaction_session_timeout", "300000"),
        ],
        Purpose::Observe => &[
            ("jit", "off"),
            ("statement_timeout", "5000"),
            ("lock_timeout", "1000"),
            ("idle_in_transaction_session_timeout", "30000"),
        ],
        Purpose::Write => &[
            ("statement_timeout", "0"),
            ("lock_timeout", "0"),
            ("idle_in_transaction_session_timeout", "60000"),
        ],
        Purpose::Lock => &[
            ("statement_timeout", "10000"),
            ("lock_timeout", "1000"),
            ("idle_in_transaction_session_timeout", "60000"),
        ],
    }
}

/// Time-outs that newer servers have, switched off: the lowest major that knows each.
const NEWER: &[(i32, &str)] = &[(14, "idle_session_timeout"), (17, "transaction_timeout")];

/// Until when a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    SessionEnd,
    TransactionEnd,
}

fn session_settings(purpose: Purpose, server_version_num: i32) -> String {
    let read_only = if purpose.changes_something() {
        "off"
    } else {
        "on"
    };
    let of_session = [
        ("default_transaction_isolation", "read committed"),
        ("default_transaction_deferrable", "off"),
        ("default_transaction_read_only", read_only),
    ];
    settings(purpose, server_version_num, &of_session, Until::SessionEnd)
}

fn transaction_settings(purpose: Purpose, server_version_num: i32) -> String {
    settings(purpose, server_version_num, &[], Until::TransactionEnd)
}

/// One statement, however many settings. The comment tells dbops's own statements from others in pg_stat_statements; it
/// must stand inside.
fn settings(
    purpose: Purpose,
    server_version_num: i32,
    more: &[(&str, &str)],
    until: Until,
) -> String {
    let newer = NEWER
        .iter()
        .filter(|(lowest, _)| server_version_num / 10_000 >= *lowest)
        .map(|(_, name)| (*name, "0"));
    let all = BASE.iter().chain(of_purpose(purpose)).chain(more).copied();
    let local = until == Until::TransactionEnd;
    let each: Vec<String> = all
        .chain(newer)
        .map(|(name, value)| format!("pg_catalog.set_config('{name}', '{value}', {local})"))
        .collect();
    format!("select /* dbops */ {}", each.join(", "))
}

#[expect(clippy::disallowed_methods, reason = "session settings belong here")]
async fn run(client: &Client, sql: &str) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(sql).await
}

async fn run_in(transaction: &Transaction<'_>, sql: &str) -> Result<(), tokio_postgres::Error> {
    transaction.batch_execute(sql).await
}
