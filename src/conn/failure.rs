//! Errors of the server and of connecting, in words: SQLSTATE, message, detail, hint, and what to do.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use tokio_postgres::error::ErrorPosition;

use super::options::TargetSessionAttrs;
use super::settings::Settings;
use crate::failure::Failure;

/// What the server said.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ServerError {
    /// `ERROR`, `FATAL`, ...
    pub severity: String,
    /// Five characters; see <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    pub sqlstate: String,
    /// Primary message.
    pub message: String,
    /// Detail, may hold data of the table.
    pub detail: Option<String>,
    /// The server's hint.
    pub hint: Option<String>,
    /// Character of the statement, from 1.
    pub position: Option<u32>,
    /// Call stack of functions.
    pub context: Option<String>,
    /// Schema of the object concerned.
    pub schema: Option<String>,
    /// Table concerned.
    pub table: Option<String>,
    /// Constraint concerned.
    pub constraint: Option<String>,
}

/// Returns what the server said; `None` when the error is not the server's.
pub fn server_error(error: &tokio_postgres::Error) -> Option<ServerError> {
    let db = error.as_db_error()?;
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Some(ServerError {
        severity: db.severity().to_owned(),
        sqlstate: db.code().code().to_owned(),
        message: db.message().to_owned(),
        detail: owned(db.detail()),
        hint: owned(db.hint()),
        position: match db.position() {
            Some(ErrorPosition::Original(position)) => Some(*position),
            _ => None,
        },
        context: owned(db.where_()),
        schema: owned(db.schema()),
        table: owned(db.table()),
        constraint: owned(db.constraint()),
    })
}

/// Returns the first server error in a chain.
pub fn server_error_in(error: &anyhow::Error) -> Option<ServerError> {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<tokio_postgres::Error>())
        .find_map(server_error)
}

/// Describes an error of the driver on one line; never `db error` alone.
pub fn describe(error: &tokio_postgres::Error) -> String {
    let Some(server) = server_error(error) else {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            let inner_text = inner.to_string();
            if !text.contains(&inner_text) {
                let _ = write!(text, ": {inner_text}");
            }
            cause = inner.source();
        }
        return text;
    };
    let mut text = format!("{} (SQLSTATE {})", server.message, server.sqlstate);
    for (what, value) in [
        ("detail", &server.detail),
        ("hint", &server.hint),
        ("context", &server.context),
    ] {
        if let Some(value) = value {
            let _ = write!(text, "; {what}: {value}");
        }
    }
    if let Some(position) = server.position {
        let _ = write!(text, "; at character {position} of the statement");
    }
    text
}

/// Describes a whole chain on one line, outermost first.
pub fn describe_error(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        // What lies below a driver error is in its description already.
        if let Some(driver) = cause.downcast_ref::<tokio_postgres::Error>() {
            parts.push(describe(driver));
            break;
        }
        let text = cause.to_string();
        // Some errors repeat their source in their own text.
        if !parts.iter().any(|part| part.ends_with(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

/// Why one attempt to connect failed.
#[derive(Debug)]
pub(super) enum Cause {
    /// The host's name has no address.
    Resolve(io::Error),
    /// No answer in time.
    Timeout(Duration),
    /// The driver's error.
    Driver(tokio_postgres::Error),
    /// The server is not of the kind that `target_session_attrs` wants.
    WrongKind(TargetSessionAttrs),
}

/// One attempt that failed, and where.
#[derive(Debug)]
pub(super) struct Attempt {
    /// `host:port`.
    pub(super) place: String,
    /// Whether there was a password to send.
    pub(super) has_password: bool,
    /// Why.
    pub(super) cause: Cause,
}

/// Makes the failure that the user reads from the attempts in the order they were made.
pub(super) fn cannot_connect(settings: &Settings, attempts: &[Attempt]) -> Failure {
    let mut hints: Vec<String> = Vec::new();
    let mut reasons: Vec<String> = Vec::new();
    for attempt in attempts {
        let (reason, hint) = explain(settings, attempt);
        let reason = if settings.hosts.len() > 1 {
            format!("{}: {reason}", attempt.place)
        } else {
            reason
        };
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
        if let Some(hint) = hint.filter(|hint| !hints.contains(hint)) {
            hints.push(hint);
        }
    }
    let mut failure = Failure::usage(format!(
        "cannot connect to {settings}: {}",
        reasons.join("; ")
    ));
    failure.hints = hints;
    failure.sqlstate = attempts.iter().rev().find_map(|one| match &one.cause {
        Cause::Driver(error) => error.code().map(|code| code.code().to_owned()),
        _ => None,
    });
    failure
}

type Explained = (String, Option<String>);

fn explain(settings: &Settings, attempt: &Attempt) -> Explained {
    let place = &attempt.place;
    match &attempt.cause {
        Cause::Resolve(error) => (
            format!("no such host: {error}"),
            Some(format!(
                "check the host's name in the connection settings: `{place}`"
            )),
        ),
        Cause::Timeout(limit) => (
            format!("no answer within {} s", limit.as_secs()),
            Some("check host and port, and whether a firewall drops packets; connect_timeout sets the limit".to_owned()),
        ),
        Cause::WrongKind(wanted) => (
            format!("the server is not `{}`", wanted.as_str()),
            Some("target_session_attrs asks for another kind of server than the hosts named offer".to_owned()),
        ),
        Cause::Driver(error) => match server_error(error) {
            Some(server) => explain_server(settings, attempt, &server),
            // An older server takes the handshake for a broken start-up packet and hangs up.
            None if settings.tls.direct && error.to_string().contains("TLS") => (
                format!("sslnegotiation=direct failed: {}", explain_driver(place, error).0),
                Some("servers before PostgreSQL 17 need sslnegotiation=postgres".to_owned()),
            ),
            None => explain_driver(place, error),
        },
    }
}

fn explain_server(settings: &Settings, attempt: &Attempt, server: &ServerError) -> Explained {
    let reason = format!("{} (SQLSTATE {})", server.message, server.sqlstate);
    let user = &settings.user;
    let hint = match server.sqlstate.as_str() {
        "28P01" if attempt.has_password => Some(format!(
            "the password sent for `{user}` is wrong; it comes from the URL, PGPASSWORD or the password file, in this order"
        )),
        "28P01" => Some(no_password()),
        "28000" if server.message.contains("no encryption") => Some(
            "the server wants TLS here: set sslmode (PGSSLMODE) to `require` or stronger".to_owned(),
        ),
        "28000" if server.message.contains("certificate") => Some(
            "the server wants a client certificate: set sslcert and sslkey".to_owned(),
        ),
        "28000" => Some(format!(
            "check that role `{user}` exists and that pg_hba.conf on the server has a line for it and this address"
        )),
        "3D000" => Some(format!(
            "create database `{}` or name another one; list them with `psql -l`",
            settings.dbname
        )),
        "53300" => Some(
            "all connection slots are taken: close idle sessions, or use a role with reserved slots".to_owned(),
        ),
        "57P03" => Some("the server is starting up, shutting down or in recovery; try again shortly".to_owned()),
        "42501" => Some(format!(
            "grant it: `grant connect on database` to role `{user}`"
        )),
        // PgBouncer answers with 08P01 for nearly everything.
        "08P01" if server.message.contains("startup parameter") => Some(
            "a pooler stands in between and refuses start-up parameters: take `options` (PGOPTIONS) out, or list it in the pooler's ignore_startup_parameters".to_owned(),
        ),
        "08P01" if server.message.contains("no such") => {
            Some("a pooler stands in between: check its list of databases and users".to_owned())
        }
        _ => server.hint.clone(),
    };
    (reason, hint)
}

fn no_password() -> String {
    "the server asks for a password and none is set: use PGPASSWORD, ~/.pgpass (mode 0600) or a service file".to_owned()
}

fn explain_driver(place: &str, error: &tokio_postgres::Error) -> Explained {
    let text = describe(error);
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            if let Some(explained) = explain_io(place, io) {
                return explained;
            }
            // The TLS library's error sits inside the I/O error, where `source` does not go.
            if let Some(rustls) = io
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            {
                return explain_tls(rustls);
            }
        }
        cause = inner.source();
    }
    if text.contains("server does not support TLS") {
        return (
            "the server does not speak TLS".to_owned(),
            Some("sslmode asks for TLS: switch `ssl` on in the server, or lower sslmode if the network is trusted".to_owned()),
        );
    }
    if text.contains("password missing") {
        return ("no password".to_owned(), Some(no_password()));
    }
    if text.contains("channel binding") {
        return (
            text,
            Some("channel_binding=require needs TLS, SCRAM and a server that is not behind a TLS proxy".to_owned()),
        );
    }
    if error.is_closed() {
        return (
            "the server closed the connection".to_owned(),
            Some("see the server's log; is this port PostgreSQL's?".to_owned()),
        );
    }
    (text, None)
}

fn explain_io(place: &str, error: &io::Error) -> Option<Explained> {
    let explained = match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            "connection refused".to_owned(),
            Some(format!(
                "nothing listens on {place}: is the server running, is the port right?"
            )),
        ),
        io::ErrorKind::NotFound => (
            "no socket there".to_owned(),
            Some(format!(
                "no server has its socket at {place}: is it running, is the port right? `host` may name another folder or a host"
            )),
        ),
        io::ErrorKind::PermissionDenied => (
            "no permission to use the socket".to_owned(),
            Some("see unix_socket_permissions on the server, or connect by host name".to_owned()),
        ),
        io::ErrorKind::TimedOut => (
            "no answer in time".to_owned(),
            Some("check host and port, and whether a firewall drops packets".to_owned()),
        ),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ("no route to the host".to_owned(), None)
        }
        _ => return None,
    };
    Some(explained)
}

fn explain_tls(error: &rustls::Error) -> Explained {
    use rustls::CertificateError as C;
    let rustls::Error::InvalidCertificate(certificate) = error else {
        let hint = match error {
            rustls::Error::AlertReceived(alert) => Some(format!(
                "the server refused the handshake ({alert:?}); if it wants a client certificate, check sslcert and sslkey"
            )),
            _ => None,
        };
        return (format!("TLS: {error}"), hint);
    };
    let (reason, hint) = match certificate {
        C::Expired | C::ExpiredContext { .. } => (
            "the server's certificate has expired".to_owned(),
            "renew it on the server; dbops does not go on with an expired one",
        ),
        C::NotValidYet | C::NotValidYetContext { .. } => (
            "the server's certificate is not valid yet".to_owned(),
            "compare the clocks of both machines",
        ),
        C::UnknownIssuer => (
            "the server's certificate comes from an unknown authority".to_owned(),
            "set sslrootcert (PGSSLROOTCERT) to the authority's certificate file, or to `system`",
        ),
        C::NotValidForName | C::NotValidForNameContext { .. } => (
            format!("the server's certificate is for another host: {certificate}"),
            "connect by a name that the certificate holds (`hostaddr` may keep the address), or use sslmode=verify-ca",
        ),
        C::Revoked => (
            "the server's certificate has been revoked".to_owned(),
            "issue a new one",
        ),
        other if format!("{other:?}").contains("UnsupportedCertVersion") => (
            "the server's certificate has the old format X.509 v1".to_owned(),
            "issue it again with extensions: `openssl x509 -req -extfile` and a line `subjectAltName=DNS:host`",
        ),
        other => (
            format!("the server's certificate is not accepted: {other}"),
            "see `openssl s_client -starttls postgres -connect host:port`",
        ),
    };
    (reason, Some(hint.to_owned()))
}
