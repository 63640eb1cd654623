//! The choices that a connection has, in libpq's words: TLS, channel binding, kind of server, TCP.

use std::path::PathBuf;
use std::time::Duration;

/// Whether and how strictly TLS is used, as libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only when the server refuses plain text.
    Allow,
    /// When the server offers it.
    Prefer,
    /// Always; the certificate is checked only when there is a root certificate file.
    Require,
    /// Always; the certificate must come from a known authority.
    VerifyCa,
    /// Always; it must also name the host.
    VerifyFull,
}

impl SslMode {
    pub(super) const NAMES: [(&'static str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    /// Returns libpq's name.
    pub fn as_str(self) -> &'static str {
        name_of(&Self::NAMES, self)
    }
}

/// Which kind of server a connection must end at, as libpq's `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetSessionAttrs {
    /// Any server.
    Any,
    /// A session that may write.
    ReadWrite,
    /// A session that may not write.
    ReadOnly,
    /// A server that is not in recovery.
    Primary,
    /// A server in recovery.
    Standby,
    /// A server in recovery, else any.
    PreferStandby,
}

impl TargetSessionAttrs {
    pub(super) const NAMES: [(&'static str, Self); 6] = [
        ("any", Self::Any),
        ("read-write", Self::ReadWrite),
        ("read-only", Self::ReadOnly),
        ("primary", Self::Primary),
        ("standby", Self::Standby),
        ("prefer-standby", Self::PreferStandby),
    ];

    /// Returns libpq's name.
    pub fn as_str(self) -> &'static str {
        name_of(&Self::NAMES, self)
    }
}

/// Where the authorities come from that the server's certificate is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCert {
    /// Nowhere: the certificate is not checked.
    None,
    /// A PEM file that exists.
    File(PathBuf),
    /// The operating system's store (`sslrootcert=system`).
    System,
}

/// The protocol versions of TLS that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// TLS settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Whether and how strictly.
    pub mode: SslMode,
    /// `sslnegotiation=direct`: the handshake comes first, PostgreSQL 17 and later.
    pub direct: bool,
    /// Authorities.
    pub root: RootCert,
    /// Certificate revocation list.
    pub crl: Option<PathBuf>,
    /// Client certificate.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
    /// Whether the host's name is sent in clear at the handshake.
    pub sni: bool,
    /// Lowest version.
    pub min_version: TlsVersion,
    /// Highest version.
    pub max_version: TlsVersion,
    /// Channel binding of SCRAM.
    pub channel_binding: ChannelBinding,
}

/// Channel binding of SCRAM, as libpq's `channel_binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// When the server offers it.
    Prefer,
    /// Always.
    Require,
}

/// TCP settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp {
    /// Whether keep-alive packets are sent.
    pub keepalives: bool,
    /// Idle time before the first one.
    pub idle: Option<Duration>,
    /// Time between them.
    pub interval: Option<Duration>,
    /// How many may stay without an answer.
    pub count: Option<u32>,
    /// How long sent data may stay without an answer.
    pub user_timeout: Option<Duration>,
}

fn name_of<T: PartialEq>(names: &[(&'static str, T)], wanted: T) -> &'static str {
    names
        .iter()
        .find(|(_, value)| *value == wanted)
        .map_or("", |(name, _)| name)
}
