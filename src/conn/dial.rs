//! Opens one connection: hosts, addresses and encryption tried in libpq's order.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::config::{self, SslNegotiation};
use tokio_postgres::{AsyncMessage, Client, Config, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::{Attempt, Cause};
use super::options::{ChannelBinding, SslMode, TargetSessionAttrs};
use super::session::Notice;
use super::settings::{Host, Settings};

/// How many notices are kept until somebody takes them.
const KEPT_NOTICES: usize = 1000;

pub(super) type Notices = Arc<Mutex<Vec<Notice>>>;

/// A connection and the task that drives it.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) task: JoinHandle<()>,
    pub(super) notices: Notices,
    pub(super) facts: Facts,
    /// `server_version` as it came with the login: `18.4`, of a console `1.18.0/bouncer`.
    pub(super) server_version: String,
    /// What turned out to be there.
    pub(super) peer: Peer,
}

/// What the other end says about itself right after the connection stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    pub(super) backend_pid: i32,
    pub(super) server_version_num: i32,
    pub(super) in_recovery: bool,
    pub(super) read_only: bool,
}

/// What is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// A server, perhaps behind a pooler: asked for its facts.
    Server,
    /// A pooler's console, which understands no SQL.
    Console,
    /// One of the two, which `server_version` tells.
    Any,
}

/// Connects to the first host that answers and is of the kind wanted.
///
/// # Errors
/// Returns every attempt made, in order.
pub(super) async fn open(
    settings: &Settings,
    application_name: &str,
    tls: &MakeRustlsConnect,
    peer: Peer,
) -> Result<Link, Vec<Attempt>> {
    let mut attempts = Vec::new();
    for wanted in passes(settings.target_session_attrs) {
        let mut hosts: Vec<&Host> = settings.hosts.iter().collect();
        if settings.random_order {
            fastrand::shuffle(&mut hosts);
        }
        for host in hosts {
            let dial = Dial {
                settings,
                application_name,
                tls,
                peer,
                host,
                wanted,
            };
            match dial.host(&mut attempts).await {
                Next::Connected(link) => return Ok(*link),
                Next::TryOn => {}
                Next::Stop => return Err(attempts),
            }
        }
    }
    Err(attempts)
}

/// `prefer-standby` goes over the hosts twice.
fn passes(wanted: TargetSessionAttrs) -> Vec<TargetSessionAttrs> {
    match wanted {
        TargetSessionAttrs::PreferStandby => {
            vec![TargetSessionAttrs::Standby, TargetSessionAttrs::Any]
        }
        other => vec![other],
    }
}

enum Next {
    Connected(Box<Link>),
    TryOn,
    Stop,
}

struct Dial<'a> {
    settings: &'a Settings,
    application_name: &'a str,
    tls: &'a MakeRustlsConnect,
    peer: Peer,
    host: &'a Host,
    wanted: TargetSessionAttrs,
}

impl Dial<'_> {
    async fn host(&self, attempts: &mut Vec<Attempt>) -> Next {
        let addresses = match self.addresses().await {
            Ok(addresses) => addresses,
            Err(cause) => {
                attempts.push(self.attempt(cause));
                return Next::TryOn;
            }
        };
        for address in addresses {
            for mode in self.modes() {
                let cause = match self.limited(self.once(address, mode)).await {
                    Ok(link) => return Next::Connected(Box::new(link)),
                    Err(cause) => cause,
                };
                let next = what_next(&cause, mode, self.settings.tls.mode);
                attempts.push(self.attempt(cause));
                match next {
                    AfterFailure::OtherEncryption => {}
                    AfterFailure::OtherAddress => break,
                    AfterFailure::Stop => return Next::Stop,
                }
            }
        }
        Next::TryOn
    }

    fn attempt(&self, cause: Cause) -> Attempt {
        Attempt {
            place: self.host.to_string(),
            has_password: self.host.password.is_some(),
            cause,
        }
    }

    /// Returns the addresses to try; a socket has none.
    async fn addresses(&self) -> Result<Vec<Option<IpAddr>>, Cause> {
        if let Some(address) = self.host.address {
            return Ok(vec![Some(address)]);
        }
        if self.host.is_socket() {
            return Ok(vec![None]);
        }
        let look_up = async {
            tokio::net::lookup_host((self.host.name.as_str(), self.host.port))
                .await
                .map_err(Cause::Resolve)
        };
        let mut addresses: Vec<_> = self
            .limited(look_up)
            .await?
            .map(|address| Some(address.ip()))
            .collect();
        if self.settings.random_order {
            fastrand::shuffle(&mut addresses);
        }
        Ok(addresses)
    }

    async fn limited<T>(&self, work: impl Future<Output = Result<T, Cause>>) -> Result<T, Cause> {
        match self.settings.connect_timeout {
            None => work.await,
            Some(limit) => tokio::time::timeout(limit, work)
                .await
                .unwrap_or(Err(Cause::Timeout(limit))),
        }
    }

    /// Returns the encryptions to try, in order; a socket is never encrypted.
    fn modes(&self) -> Vec<config::SslMode> {
        use config::SslMode as Driver;
        if self.host.is_socket() {
            return vec![Driver::Disable];
        }
        match self.settings.tls.mode {
            SslMode::Disable => vec![Driver::Disable],
            SslMode::Allow => vec![Driver::Disable, Driver::Require],
            SslMode::Prefer => vec![Driver::Prefer, Driver::Disable],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => vec![Driver::Require],
        }
    }

    async fn once(&self, address: Option<IpAddr>, mode: config::SslMode) -> Result<Link, Cause> {
        let (client, mut connection) = self
            .config(address, mode)
            .connect(self.tls.clone())
            .await
            .map_err(Cause::Driver)?;
        let server_version = connection
            .parameter("server_version")
            .unwrap_or_default()
            .to_owned();
        let peer = match self.peer {
            Peer::Any if server_version.ends_with("/bouncer") => Peer::Console,
            Peer::Any => Peer::Server,
            known => known,
        };
        let notices = Notices::default();
        let sink = Arc::clone(&notices);
        let task = tokio::spawn(async move {
            // An error ends the connection; whoever waits for an answer gets it there.
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notice(notice) = message {
                    let mut kept = sink.lock().unwrap_or_else(PoisonError::into_inner);
                    if kept.len() < KEPT_NOTICES {
                        kept.push(Notice::from(&notice));
                    }
                }
            }
        });
        let facts = match peer {
            Peer::Server | Peer::Any => facts(&client).await.map_err(Cause::Driver)?,
            Peer::Console => Facts::default(),
        };
        if peer == Peer::Server && !fits(facts, self.wanted) {
            return Err(Cause::WrongKind(self.wanted));
        }
        Ok(Link {
            client,
            task,
            notices,
            facts,
            server_version,
            peer,
        })
    }

    fn config(&self, address: Option<IpAddr>, mode: config::SslMode) -> Config {
        let settings = self.settings;
        let mut config = Config::new();
        config
            .user(&settings.user)
            .dbname(&settings.dbname)
            .application_name(self.application_name)
            .host(&self.host.name)
            .port(self.host.port)
            .ssl_mode(mode)
            .channel_binding(match settings.tls.channel_binding {
                ChannelBinding::Disable => config::ChannelBinding::Disable,
                ChannelBinding::Prefer => config::ChannelBinding::Prefer,
                ChannelBinding::Require => config::ChannelBinding::Require,
            })
            .keepalives(settings.tcp.keepalives);
        if let Some(address) = address {
            config.hostaddr(address);
        }
        if let Some(password) = &self.host.password {
            config.password(password.expose());
        }
        if let Some(options) = &settings.options {
            config.options(options);
        }
        if settings.tls.direct {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        if let Some(limit) = settings.connect_timeout {
            // The limit around the whole attempt is set by the caller; this one serves cancel requests.
            config.connect_timeout(limit.saturating_add(Duration::from_secs(1)));
        }
        if let Some(idle) = settings.tcp.idle {
            config.keepalives_idle(idle);
        }
        if let Some(interval) = settings.tcp.interval {
            config.keepalives_interval(interval);
        }
        if let Some(count) = settings.tcp.count {
            config.keepalives_retries(count);
        }
        if let Some(timeout) = settings.tcp.user_timeout {
            config.tcp_user_timeout(timeout);
        }
        config
    }
}

enum AfterFailure {
    OtherEncryption,
    OtherAddress,
    Stop,
}

/// libpq goes on to the next address when nobody answered, but not when the server said no: a wrong
/// password sent to every host in turn would lock the account.
fn what_next(cause: &Cause, tried: config::SslMode, wanted: SslMode) -> AfterFailure {
    let Cause::Driver(error) = cause else {
        return AfterFailure::OtherAddress;
    };
    let code = error.code().map(tokio_postgres::error::SqlState::code);
    // `allow` and `prefer` try the other encryption when this one was refused. libpq does so after a
    // wrong password too, which only counts as a second wrong one.
    let first = matches!(
        (wanted, tried),
        (SslMode::Allow, config::SslMode::Disable) | (SslMode::Prefer, config::SslMode::Prefer)
    );
    let tls_failed = error.to_string().contains("TLS");
    match code {
        Some("28000") if first => AfterFailure::OtherEncryption,
        None if first && tls_failed => AfterFailure::OtherEncryption,
        // The server is starting up or shutting down.
        Some("57P03") => AfterFailure::OtherAddress,
        Some(_) => AfterFailure::Stop,
        None if tls_failed => AfterFailure::Stop,
        None => AfterFailure::OtherAddress,
    }
}

fn fits(facts: Facts, wanted: TargetSessionAttrs) -> bool {
    match wanted {
        TargetSessionAttrs::Any | TargetSessionAttrs::PreferStandby => true,
        TargetSessionAttrs::ReadWrite => !facts.read_only,
        TargetSessionAttrs::ReadOnly => facts.read_only,
        TargetSessionAttrs::Primary => !facts.in_recovery,
        TargetSessionAttrs::Standby => facts.in_recovery,
    }
}

/// One statement, by the simple protocol: a named prepared statement would stay behind on a pooled
/// server.
async fn facts(client: &Client) -> Result<Facts, tokio_postgres::Error> {
    let rows = simple_rows(
        client,
        "select /* dbops */ pg_catalog.pg_backend_pid(), \
         pg_catalog.current_setting('server_version_num'), \
         pg_catalog.pg_is_in_recovery(), \
         pg_catalog.current_setting('transaction_read_only')",
    )
    .await?;
    let row = rows.into_iter().next().unwrap_or_default();
    let number = |index: usize| {
        row.get(index)
            .and_then(|text| text.parse().ok())
            .unwrap_or_default()
    };
    let is = |index: usize, yes: &str| row.get(index).is_some_and(|text| text == yes);
    Ok(Facts {
        backend_pid: number(0),
        server_version_num: number(1),
        in_recovery: is(2, "t"),
        read_only: is(3, "on"),
    })
}

/// Runs one statement by the simple protocol; NULL is an empty text.
#[expect(
    clippy::disallowed_methods,
    reason = "session facts and settings are conn's business"
)]
pub(super) async fn simple_rows(
    client: &Client,
    sql: &str,
) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    Ok(messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|index| row.get(index).unwrap_or_default().to_owned())
                    .collect(),
            ),
            _ => None,
        })
        .collect())
}
