//! Finds out whether a pooler stands between dbops and the server, and what it keeps for a session.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio_postgres::Client;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::dial::{self, Link, Peer};
use super::settings::Settings;

/// What a pooler keeps together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolMode {
    /// A client keeps its server connection until it leaves: everything works.
    Session,
    /// A client may get another server connection for each transaction: session settings, session
    /// locks and prepared statements are lost, or end up with somebody else.
    Transaction,
    /// No second connection could be had to find out; treated like [`Transaction`](Self::Transaction).
    Unknown,
}

/// A pooler between dbops and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Pooler {
    /// What it keeps together.
    pub mode: PoolMode,
}

/// How often the two connections are compared before session mode is believed.
const ROUNDS: usize = 4;

/// How long the second connection may take: a full pool lets it wait for minutes.
const PATIENCE: Duration = Duration::from_secs(3);

/// Detects a pooler.
///
/// A server says its own process id twice: in the key for cancel requests, and as
/// `pg_backend_pid()`. A pooler hands out keys of its own, so the two differ. Two clients of a
/// transaction pool are then seen on the same server process, or one client on two; in a session pool
/// neither can happen.
pub(super) async fn detect(
    link: &Link,
    settings: &Settings,
    application_name: &str,
    tls: &MakeRustlsConnect,
) -> Option<Pooler> {
    let key = key_pid(&link.client).await.ok()?;
    // A server without cancel keys (some proxies) sends none, which reads as 0.
    if key == link.facts.backend_pid || key == 0 {
        return None;
    }
    Some(Pooler {
        mode: mode(link, settings, application_name, tls).await,
    })
}

async fn mode(
    link: &Link,
    settings: &Settings,
    application_name: &str,
    tls: &MakeRustlsConnect,
) -> PoolMode {
    let mine = link.facts.backend_pid;
    let other = dial::open(settings, application_name, tls, Peer::Server);
    let Ok(Ok(other)) = tokio::time::timeout(PATIENCE, other).await else {
        return if moves(&link.client, mine).await {
            PoolMode::Transaction
        } else {
            PoolMode::Unknown
        };
    };
    for _ in 0..ROUNDS {
        if moves(&link.client, mine).await || moves_onto(&other.client, mine).await {
            return PoolMode::Transaction;
        }
    }
    PoolMode::Session
}

async fn moves(client: &Client, mine: i32) -> bool {
    backend_pid(client).await.is_some_and(|pid| pid != mine)
}

async fn moves_onto(client: &Client, mine: i32) -> bool {
    backend_pid(client).await.is_some_and(|pid| pid == mine)
}

async fn backend_pid(client: &Client) -> Option<i32> {
    let rows = dial::simple_rows(client, "select /* dbops */ pg_catalog.pg_backend_pid()")
        .await
        .ok()?;
    rows.first()?.first()?.parse().ok()
}

/// Returns the process id of the cancel key.
///
/// The driver does not give it out, so it is read from the cancel request that the driver would send:
/// length, request code, process id, secret, four bytes each. The secret is not looked at.
async fn key_pid(client: &Client) -> io::Result<i32> {
    let (near, mut far) = tokio::io::duplex(64);
    let request = client.cancel_token();
    let send = async { request.cancel_query_raw(near, PassThrough).await };
    let read = async {
        let mut first = [0; 8];
        far.read_exact(&mut first).await?;
        // 80877103 asks for TLS first, and says yes here to get at what follows in clear.
        if first.ends_with(&80_877_103_i32.to_be_bytes()) {
            far.write_all(b"S").await?;
            far.read_exact(&mut first).await?;
        }
        let pid = far.read_i32().await?;
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await?;
        Ok(pid)
    };
    let (_, pid) = tokio::join!(send, read);
    pid
}

/// A TLS handshake that does nothing, for a stream that ends in this process.
struct PassThrough;

impl TlsConnect<DuplexStream> for PassThrough {
    type Stream = Clear;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Clear>>;

    fn connect(self, stream: DuplexStream) -> Self::Future {
        std::future::ready(Ok(Clear(stream)))
    }
}

struct Clear(DuplexStream);

impl TlsStream for Clear {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Clear {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Clear {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
