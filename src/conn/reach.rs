//! Whether something accepts connections at an address, without saying a word to it.

use std::io;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

/// Connects and hangs up. A host that is empty or begins with `/` is a folder of sockets.
///
/// # Errors
/// Nothing accepts there, or not in time.
pub async fn reaches(host: &str, port: u16, patience: Duration) -> io::Result<()> {
    let knock = async {
        if host.is_empty() || host.starts_with('/') {
            let folder = if host.is_empty() {
                "/var/run/postgresql"
            } else {
                host
            };
            UnixStream::connect(format!("{folder}/.s.PGSQL.{port}"))
                .await
                .map(drop)
        } else {
            TcpStream::connect((host, port)).await.map(drop)
        }
    };
    match tokio::time::timeout(patience, knock).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {} s", patience.as_secs()),
        )),
    }
}
