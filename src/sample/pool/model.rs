//! What a server and a pooler's console say about connections; `None` is what they do not say.

use std::collections::BTreeMap;

/// What bounds connections to a server, and who is connected.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServerSample {
    /// `server_version_num`.
    pub version_num: i32,
    /// `server_version`.
    pub version: String,
    /// The database that dbops is connected to.
    pub database: String,
    /// The role that dbops is connected as.
    pub role: String,
    /// Whether that is a superuser.
    pub superuser: bool,
    /// Whether the server is a standby.
    pub in_recovery: bool,
    /// Whether the role sees what other roles' sessions do.
    pub sees_all: bool,
    /// Whether the role may use `reserved_connections`; 16 and newer.
    pub uses_reserved: Option<bool>,
    /// `max_connections`.
    pub max_connections: i64,
    /// `superuser_reserved_connections`.
    pub superuser_reserved: i64,
    /// `reserved_connections`; 16 and newer.
    pub reserved: Option<i64>,
    /// Settings that close sessions by themselves, in milliseconds; 0: off, `None`: this version does not have it.
    pub time_outs: BTreeMap<&'static str, Option<i64>>,
    /// Every process that is shown, by pid.
    pub processes: Vec<Process>,
    /// Roles that are limited, connected or asked for, by name.
    pub roles: Vec<RoleLimit>,
    /// Databases, by name.
    pub databases: Vec<DatabaseLimit>,
}

/// A process of the server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// `client backend`, `parallel worker` …; `None`: hidden from the role.
    pub kind: Option<String>,
    /// The role of its session.
    pub role: Option<String>,
    /// The database of its session.
    pub database: Option<String>,
    /// `application_name`.
    pub application: Option<String>,
    /// Address of the client; `None` by socket.
    pub client: Option<String>,
    /// `active`, `idle`, `idle in transaction` …
    pub state: Option<String>,
    /// What it waits for: kind and event.
    pub wait: Option<(String, String)>,
    /// Seconds since it connected.
    pub connected_s: Option<f64>,
    /// Seconds since its transaction began.
    pub transaction_s: Option<f64>,
    /// Seconds since its state changed.
    pub state_s: Option<f64>,
    /// Whether it is dbops's own.
    pub own: bool,
    /// Processes that hold a lock that it waits for; 0 is a prepared transaction.
    pub blocked_by: Vec<i32>,
    /// Its statement as the server shows it, with its literals: mask before showing.
    pub query: Option<String>,
}

/// A role's limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleLimit {
    /// Its name.
    pub name: String,
    /// Superusers have no limit.
    pub superuser: bool,
    /// `rolconnlimit`; -1: none.
    pub limit: i32,
}

/// A database's limit, and its sessions so far.
#[derive(Debug, Clone, PartialEq)]
pub struct DatabaseLimit {
    /// Its name.
    pub name: String,
    /// `datconnlimit`; -1: none, -2: what a failed DROP DATABASE left.
    pub limit: i32,
    /// Whether it lets anybody in.
    pub allows: bool,
    /// What is counted of its sessions; 14 and newer.
    pub churn: Option<Churn>,
}

/// Sessions of a database since its statistics were reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Churn {
    /// When the statistics were reset; `None`: never.
    pub since: Option<chrono::DateTime<chrono::Utc>>,
    /// Sessions that began.
    pub sessions: i64,
    /// Those that ended because the client was gone.
    pub abandoned: i64,
    /// Those that ended by an error.
    pub fatal: i64,
    /// Those that somebody terminated.
    pub killed: i64,
}
