//! Connection settings, resolved from flags, connection string, service file and environment.
//!
//! Precedence is libpq's: a connection string beats the service file, which beats the `PG*`
//! variables, which beat the defaults.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::conninfo::{self, Params};
use super::keywords::{KEYWORDS, Support};
use super::options::{ChannelBinding, RootCert, SslMode, TargetSessionAttrs, Tcp, Tls, TlsVersion};
use super::{Env, Secret, pgpass, service};

/// What the command line says about the connection; everything optional.
#[derive(Clone, Default)]
pub struct Overrides {
    /// `--database-url`: a URL or `key=value` pairs; takes the place of `DATABASE_URL`.
    pub database_url: Option<String>,
    /// Replaces the host.
    pub host: Option<String>,
    /// Replaces the port.
    pub port: Option<String>,
    /// Replaces the user.
    pub user: Option<String>,
    /// Replaces the database.
    pub dbname: Option<String>,
}

/// Shows which are given: a connection string may hold a password.
impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overrides")
            .field("database_url", &self.database_url.as_ref().map(|_| "***"))
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("dbname", &self.dbname)
            .finish()
    }
}

/// One server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Name, address, or folder of a Unix socket; what certificates are held against.
    pub name: String,
    /// Address to connect to instead of looking the name up.
    pub address: Option<IpAddr>,
    /// Port.
    pub port: u16,
    /// Password for this host.
    pub password: Option<Secret>,
}

impl Host {
    /// Returns whether this is a Unix socket.
    pub fn is_socket(&self) -> bool {
        self.address.is_none() && self.name.starts_with('/')
    }
}

/// Displays `host:port`, with brackets around IPv6 addresses and sockets as `folder:port`.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// How to reach a database: complete, checked, ready for [`connect`](super::connect).
///
/// `Display` gives `user@host:port/database`; neither it nor `Debug` shows a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Servers, tried in this order; never empty.
    pub hosts: Vec<Host>,
    /// User.
    pub user: String,
    /// Database.
    pub dbname: String,
    /// What the sessions call themselves in `pg_stat_activity`, before the purpose is added.
    pub application_name: String,
    /// Start-up options that the user asked for.
    pub options: Option<String>,
    /// Kind of server that is wanted.
    pub target_session_attrs: TargetSessionAttrs,
    /// Whether hosts and addresses are tried in random order.
    pub random_order: bool,
    /// Time for one attempt at one address; `None` waits as long as the operating system does.
    pub connect_timeout: Option<Duration>,
    /// TLS.
    pub tls: Tls,
    /// TCP.
    pub tcp: Tcp,
    /// What the user should know, for stderr: an ignored password file.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Returns whether every host is this machine, by socket or loopback.
    pub fn is_local(&self) -> bool {
        self.hosts.iter().all(|host| {
            host.is_socket()
                || host.name == "localhost"
                || host.address.map_or_else(
                    || {
                        host.name
                            .parse()
                            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
                    },
                    |address| address.is_loopback(),
                )
        })
    }

    /// Resolves the settings of the default connection.
    ///
    /// # Errors
    /// Names the parameter and what it may be; never holds a password.
    pub fn resolve(overrides: &Overrides, env: &Env) -> Result<Self, String> {
        let text = overrides
            .database_url
            .as_deref()
            .map(|text| (text, "--database-url"))
            .or_else(|| env.var("DATABASE_URL").map(|text| (text, "DATABASE_URL")));
        let mut params = match text {
            Some((text, source)) => {
                conninfo::parse(text).map_err(|error| format!("{source}: {error}"))?
            }
            None => Params::default(),
        };
        apply_overrides(&mut params, overrides)?;
        Self::from_params(params, env)
    }

    /// Completes explicit parameters with service file, environment and defaults, and checks them.
    ///
    /// # Errors
    /// Names the parameter and what it may be; never holds a password.
    pub fn from_params(mut params: Params, env: &Env) -> Result<Self, String> {
        let service = params.given("service").or(env.var("PGSERVICE"));
        if let Some(service) = service.filter(|name| !name.is_empty()).map(str::to_owned) {
            service::apply(&mut params, &service, env)?;
        }
        for keyword in KEYWORDS {
            if let Some(value) = keyword.env.and_then(|name| env.var(name)) {
                params.set_default(keyword.name, value)?;
            }
        }
        refuse_unsupported(&params)?;
        build(&params, env)
    }
}

/// Displays `user@host:port/database`; several hosts are separated by commas.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", self.user)?;
        for (index, host) in self.hosts.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{host}")?;
        }
        write!(f, "/{}", self.dbname)
    }
}

pub(super) fn apply_overrides(params: &mut Params, overrides: &Overrides) -> Result<(), String> {
    // Another host makes the address of the old one meaningless.
    if overrides.host.is_some() {
        params.set("hostaddr", "")?;
    }
    for (name, value) in [
        ("host", &overrides.host),
        ("port", &overrides.port),
        ("user", &overrides.user),
        ("dbname", &overrides.dbname),
    ] {
        if let Some(value) = value {
            params.set(name, value)?;
        }
    }
    Ok(())
}

fn refuse_unsupported(params: &Params) -> Result<(), String> {
    for keyword in KEYWORDS {
        if let Support::Refused { harmless } = keyword.support
            && let Some(value) = params.get(keyword.name)
            && !harmless.contains(&value)
        {
            return Err(format!(
                "connection parameter `{}` is not supported by dbops; take it out",
                keyword.name
            ));
        }
    }
    Ok(())
}

fn build(params: &Params, env: &Env) -> Result<Settings, String> {
    let user = params
        .given("user")
        .or(env.user())
        .ok_or("no user for the connection; set PGUSER or write it into the connection URL")?
        .to_owned();
    let dbname = params.given("dbname").unwrap_or(&user).to_owned();
    let mut hosts = hosts(params)?;
    let mut warnings = Vec::new();
    match params.given("password").map(Secret::new) {
        Some(password) => {
            for host in &mut hosts {
                host.password = Some(password.clone());
            }
        }
        None => look_up_passwords(&mut hosts, &user, &dbname, params, env, &mut warnings),
    }
    Ok(Settings {
        hosts,
        user,
        dbname,
        application_name: params
            .given("application_name")
            .or(params.given("fallback_application_name"))
            .unwrap_or("dbops")
            .to_owned(),
        options: params.given("options").map(str::to_owned),
        target_session_attrs: choice(
            params,
            "target_session_attrs",
            &TargetSessionAttrs::NAMES,
            TargetSessionAttrs::Any,
        )?,
        random_order: choice(
            params,
            "load_balance_hosts",
            &[("disable", false), ("random", true)],
            false,
        )?,
        connect_timeout: connect_timeout(params)?,
        tls: tls(params, env)?,
        tcp: tcp(params)?,
        warnings,
    })
}

fn look_up_passwords(
    hosts: &mut [Host],
    user: &str,
    dbname: &str,
    params: &Params,
    env: &Env,
    warnings: &mut Vec<String>,
) {
    let file = params.given("passfile").map(PathBuf::from);
    let Some(file) = file.or_else(|| env.in_home(".pgpass")) else {
        return;
    };
    match pgpass::read(&file) {
        Ok(None) => {}
        Err(warning) => warnings.push(warning),
        Ok(Some(text)) => {
            for host in hosts {
                let lookup = pgpass::Lookup {
                    host: &host.name,
                    port: host.port,
                    dbname,
                    user,
                };
                host.password = pgpass::find(&text, lookup);
            }
        }
    }
}

fn hosts(params: &Params) -> Result<Vec<Host>, String> {
    let split = |name| -> Vec<&str> {
        params
            .given(name)
            .map(|text| text.split(',').map(str::trim).collect())
            .unwrap_or_default()
    };
    let (names, addresses, ports) = (split("host"), split("hostaddr"), split("port"));
    if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
        return Err(format!(
            "`host` names {} servers and `hostaddr` {}; give both the same number",
            names.len(),
            addresses.len()
        ));
    }
    let count = names.len().max(addresses.len()).max(1);
    if ports.len() > 1 && ports.len() != count {
        return Err(format!(
            "`port` has {} values for {count} hosts; give one port, or one for each host",
            ports.len()
        ));
    }
    (0..count)
        .map(|index| {
            let port = ports.get(index).or(ports.first()).copied().unwrap_or("");
            let port = parse_port(port)?;
            let given = names.get(index).copied().unwrap_or("");
            let address = addresses.get(index).copied().unwrap_or("");
            host(given, address, port)
        })
        .collect()
}

fn host(name: &str, address: &str, port: u16) -> Result<Host, String> {
    if name.starts_with('@') {
        return Err(format!(
            "host `{name}` is an abstract socket, which dbops does not support"
        ));
    }
    let parsed = match address {
        "" => None,
        address => Some(address.parse::<IpAddr>().map_err(|_| {
            format!("`hostaddr` `{address}` is not a numeric address; use `host` for names")
        })?),
    };
    let name = match (name, address) {
        ("", "") => default_socket_folder(port),
        ("", address) => address.to_owned(),
        (name, _) => name.to_owned(),
    };
    Ok(Host {
        name,
        address: parsed,
        port,
        password: None,
    })
}

/// Returns the folder where a server on that port listens; libpq has it compiled in, and the two
/// usual ones differ by distribution.
fn default_socket_folder(port: u16) -> String {
    let [first, _] = pgpass::SOCKET_FOLDERS;
    pgpass::SOCKET_FOLDERS
        .into_iter()
        .find(|folder| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists())
        .unwrap_or(first)
        .to_owned()
}

fn parse_port(text: &str) -> Result<u16, String> {
    if text.is_empty() {
        return Ok(5432);
    }
    text.parse()
        .ok()
        .filter(|&port| port != 0)
        .ok_or_else(|| format!("port `{text}` is not a number from 1 to 65535"))
}

/// libpq waits for ever unless told otherwise; a job run by cron must not, so the default is 10 s.
fn connect_timeout(params: &Params) -> Result<Option<Duration>, String> {
    Ok(match integer(params, "connect_timeout")? {
        None => Some(Duration::from_secs(10)),
        Some(seconds) if seconds <= 0 => None,
        // libpq rounds 1 up as well, because of how it measures.
        Some(seconds) => Some(Duration::from_secs(seconds.max(2).unsigned_abs())),
    })
}

fn tls(params: &Params, env: &Env) -> Result<Tls, String> {
    let system_roots = params.given("sslrootcert") == Some("system");
    let default = if system_roots {
        SslMode::VerifyFull
    } else {
        SslMode::Prefer
    };
    let mode = choice(params, "sslmode", &SslMode::NAMES, default)?;
    if system_roots && mode != SslMode::VerifyFull {
        return Err(format!(
            "sslmode `{}` is too weak for sslrootcert=system; use `verify-full`",
            mode.as_str()
        ));
    }
    let direct = choice(
        params,
        "sslnegotiation",
        &[("postgres", false), ("direct", true)],
        false,
    )?;
    if direct && mode < SslMode::Require {
        return Err(format!(
            "sslmode `{}` is too weak for sslnegotiation=direct; use `require` or stronger",
            mode.as_str()
        ));
    }
    let existing = |name: &str, default: &str| {
        params.given(name).map(PathBuf::from).or_else(|| {
            env.in_home(&format!(".postgresql/{default}"))
                .filter(|path| path.exists())
        })
    };
    let versions = [
        ("TLSv1", TlsVersion::V1_2),
        ("TLSv1.1", TlsVersion::V1_2),
        ("TLSv1.2", TlsVersion::V1_2),
        ("TLSv1.3", TlsVersion::V1_3),
    ];
    let (min_version, max_version) = (
        choice(
            params,
            "ssl_min_protocol_version",
            &versions,
            TlsVersion::V1_2,
        )?,
        choice(
            params,
            "ssl_max_protocol_version",
            &versions[2..],
            TlsVersion::V1_3,
        )?,
    );
    if min_version > max_version {
        return Err("`ssl_min_protocol_version` is above `ssl_max_protocol_version`".to_owned());
    }
    Ok(Tls {
        mode,
        direct,
        root: root_cert(params, env, mode)?,
        crl: existing("sslcrl", "root.crl"),
        cert: existing("sslcert", "postgresql.crt"),
        key: existing("sslkey", "postgresql.key"),
        sni: choice(params, "sslsni", &[("1", true), ("0", false)], true)?,
        min_version,
        max_version,
        channel_binding: choice(
            params,
            "channel_binding",
            &[
                ("disable", ChannelBinding::Disable),
                ("prefer", ChannelBinding::Prefer),
                ("require", ChannelBinding::Require),
            ],
            ChannelBinding::Prefer,
        )?,
    })
}

/// A root certificate file that exists makes even `require` check the certificate, as in libpq.
fn root_cert(params: &Params, env: &Env, mode: SslMode) -> Result<RootCert, String> {
    if params.given("sslrootcert") == Some("system") {
        return Ok(RootCert::System);
    }
    let path = params
        .given("sslrootcert")
        .map(PathBuf::from)
        .or_else(|| env.in_home(".postgresql/root.crt"));
    match path {
        Some(path) if path.exists() => Ok(RootCert::File(path)),
        path if mode >= SslMode::VerifyCa => Err(format!(
            "sslmode `{}` needs a root certificate and {}; set sslrootcert (PGSSLROOTCERT) to its file, \
             or to `system` for the operating system's authorities",
            mode.as_str(),
            match path {
                Some(path) => format!("`{}` does not exist", path.display()),
                None => "there is no home directory to look in".to_owned(),
            }
        )),
        _ => Ok(RootCert::None),
    }
}

fn tcp(params: &Params) -> Result<Tcp, String> {
    let seconds = |name| {
        integer(params, name).map(|value| {
            value
                .filter(|&seconds| seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.unsigned_abs()))
        })
    };
    Ok(Tcp {
        keepalives: integer(params, "keepalives")? != Some(0),
        idle: seconds("keepalives_idle")?,
        interval: seconds("keepalives_interval")?,
        count: integer(params, "keepalives_count")?
            .filter(|&count| count > 0)
            .and_then(|count| u32::try_from(count).ok()),
        user_timeout: integer(params, "tcp_user_timeout")?
            .filter(|&ms| ms > 0)
            .map(|ms| Duration::from_millis(ms.unsigned_abs())),
    })
}

fn integer(params: &Params, name: &str) -> Result<Option<i64>, String> {
    params
        .given(name)
        .map(|text| {
            text.trim()
                .parse::<i32>()
                .map(i64::from)
                .map_err(|_| format!("connection parameter `{name}`: `{text}` is not a number"))
        })
        .transpose()
}

fn choice<T: Copy>(
    params: &Params,
    name: &str,
    choices: &[(&str, T)],
    default: T,
) -> Result<T, String> {
    let Some(text) = params.given(name) else {
        return Ok(default);
    };
    choices
        .iter()
        .find(|(choice, _)| *choice == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
            format!(
                "connection parameter `{name}`: `{text}` is not one of {}",
                names.join(", ")
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Env {
        let vars = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Env::new(vars, Some("ann".to_owned()))
    }

    fn resolve(text: &str, vars: &[(&str, &str)]) -> Result<Settings, String> {
        let overrides = Overrides {
            database_url: Some(text.to_owned()),
            ..Overrides::default()
        };
        Settings::resolve(&overrides, &env(vars))
    }

    #[test]
    fn without_anything_it_is_the_local_socket_as_oneself() {
        let settings = Settings::resolve(&Overrides::default(), &env(&[])).unwrap();
        assert!(settings.hosts[0].is_socket(), "{settings}");
        assert!(settings.to_string().ends_with(":5432/ann"), "{settings}");
        assert_eq!(settings.application_name, "dbops");
        assert_eq!(settings.tls.mode, SslMode::Prefer);
        assert_eq!(settings.connect_timeout, Some(Duration::from_secs(10)));
    }

    #[test]
    fn flags_beat_the_string_and_the_string_beats_the_environment() {
        let vars = [
            ("DATABASE_URL", "postgres://url_user@url_host:1/url_db"),
            ("PGHOST", "env_host"),
            ("PGUSER", "env_user"),
            ("PGDATABASE", "env_db"),
            ("PGAPPNAME", "env_app"),
            ("PGPASSWORD", "env_password"),
        ];
        let mut overrides = Overrides::default();
        let show = |overrides: &Overrides| {
            let settings = Settings::resolve(overrides, &env(&vars)).unwrap();
            assert_eq!(settings.application_name, "env_app");
            settings.to_string()
        };
        assert_eq!(show(&overrides), "url_user@url_host:1/url_db");
        overrides.database_url = Some("host=flag_host".to_owned());
        assert_eq!(show(&overrides), "env_user@flag_host:5432/env_db");
        overrides.dbname = Some("flag_db".to_owned());
        assert_eq!(show(&overrides), "env_user@flag_host:5432/flag_db");
    }

    #[test]
    fn every_libpq_variable_is_read() {
        let vars = [
            ("PGHOST", "a,b"),
            ("PGHOSTADDR", "10.0.0.1,::1"),
            ("PGPORT", "1,2"),
            ("PGOPTIONS", "-c jit=off"),
            ("PGSSLMODE", "require"),
            ("PGSSLNEGOTIATION", "direct"),
            ("PGCHANNELBINDING", "require"),
            ("PGCONNECT_TIMEOUT", "0"),
            ("PGTARGETSESSIONATTRS", "read-write"),
            ("PGSSLMINPROTOCOLVERSION", "TLSv1.3"),
            ("PGSSLSNI", "0"),
            ("PGLOADBALANCEHOSTS", "random"),
        ];
        let settings = resolve("", &vars).unwrap();
        assert_eq!(settings.to_string(), "ann@a:1,b:2/ann");
        assert_eq!(settings.hosts[1].address, "::1".parse().ok());
        assert_eq!(settings.options.as_deref(), Some("-c jit=off"));
        assert_eq!(settings.connect_timeout, None);
        assert_eq!(settings.target_session_attrs, TargetSessionAttrs::ReadWrite);
        let tls = &settings.tls;
        assert!(tls.direct && !tls.sni && settings.random_order);
        assert_eq!(tls.min_version, TlsVersion::V1_3);
        assert_eq!(tls.channel_binding, ChannelBinding::Require);
    }

    #[test]
    fn wrong_values_name_the_parameter_and_its_choices() {
        for (text, wanted) in [
            (
                "sslmode=verify",
                "`sslmode`: `verify` is not one of disable",
            ),
            ("port=0", "port `0`"),
            ("port=65536", "port `65536`"),
            ("host=a,b port=1,2,3", "3 values for 2 hosts"),
            ("host=a,b hostaddr=1.1.1.1", "`hostaddr` 1"),
            ("hostaddr=db1", "numeric"),
            ("host=@abstract", "abstract socket"),
            ("connect_timeout=soon", "`connect_timeout`: `soon`"),
            ("target_session_attrs=master", "`master` is not one of any"),
            ("sslrootcert=system sslmode=require", "too weak"),
            ("sslnegotiation=direct sslmode=prefer", "too weak"),
            (
                "sslmode=verify-full sslrootcert=/no",
                "`/no` does not exist",
            ),
            ("sslmode=verify-ca", "no home directory"),
            (
                "require_auth=scram-sha-256",
                "`require_auth` is not supported",
            ),
            ("gssencmode=require", "`gssencmode` is not supported"),
            (
                "ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
                "above",
            ),
            ("service=shop", "service `shop` is not defined"),
        ] {
            let error = resolve(text, &[]).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn no_form_of_display_shows_a_password() {
        let settings = resolve("postgres://u:hunter2@h/d", &[("PGPASSWORD", "hunter2")]).unwrap();
        let overrides = Overrides {
            database_url: Some("postgres://u:hunter2@h/d".to_owned()),
            ..Overrides::default()
        };
        let env = env(&[("PGPASSWORD", "hunter2")]);
        let params = conninfo::parse("password=hunter2").unwrap();
        let all = format!("{settings} {settings:?} {overrides:?} {env:?} {params:?}");
        assert!(!all.contains("hunter2"), "{all}");
    }

    #[test]
    fn ipv6_hosts_are_shown_in_brackets() {
        let settings = resolve("postgres://u@[::1]:5433/d", &[]).unwrap();
        assert_eq!(settings.to_string(), "u@[::1]:5433/d");
    }
}
