//! The connection keywords of libpq: which exist, which environment variable sets each, and what
//! dbops does with those it has no use for.

/// What dbops does with a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Used as libpq uses it.
    Used,
    /// Accepted and without effect, because it cannot weaken or change what dbops does.
    Ignored,
    /// Refused unless it has its default value: ignoring it would weaken what the user asked for.
    Refused {
        /// Values that ask for nothing.
        harmless: &'static [&'static str],
    },
}

/// A connection keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyword {
    /// Name in conninfo strings, URLs and service files.
    pub name: &'static str,
    /// Environment variable that sets it.
    pub env: Option<&'static str>,
    /// What dbops does with it.
    pub support: Support,
}

const fn used(name: &'static str, env: &'static str) -> Keyword {
    Keyword {
        name,
        env: if env.is_empty() { None } else { Some(env) },
        support: Support::Used,
    }
}

const fn ignored(name: &'static str, env: &'static str) -> Keyword {
    Keyword {
        support: Support::Ignored,
        ..used(name, env)
    }
}

const fn refused(
    name: &'static str,
    env: &'static str,
    harmless: &'static [&'static str],
) -> Keyword {
    Keyword {
        support: Support::Refused { harmless },
        ..used(name, env)
    }
}

/// Every keyword of libpq 18, sorted by name.
///
/// Source: `PQconninfoOptions` in `src/interfaces/libpq/fe-connect.c`.
pub const KEYWORDS: &[Keyword] = &[
    used("application_name", "PGAPPNAME"),
    used("channel_binding", "PGCHANNELBINDING"),
    ignored("client_encoding", "PGCLIENTENCODING"),
    used("connect_timeout", "PGCONNECT_TIMEOUT"),
    used("dbname", "PGDATABASE"),
    used("fallback_application_name", ""),
    refused("gssdelegation", "PGGSSDELEGATION", &["", "0"]),
    refused("gssencmode", "PGGSSENCMODE", &["", "disable", "prefer"]),
    ignored("gsslib", "PGGSSLIB"),
    used("host", "PGHOST"),
    used("hostaddr", "PGHOSTADDR"),
    used("keepalives", ""),
    used("keepalives_count", ""),
    used("keepalives_idle", ""),
    used("keepalives_interval", ""),
    ignored("krbsrvname", "PGKRBSRVNAME"),
    used("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    refused(
        "max_protocol_version",
        "PGMAXPROTOCOLVERSION",
        &["", "3.0", "3.2", "latest"],
    ),
    refused("min_protocol_version", "PGMINPROTOCOLVERSION", &["", "3.0"]),
    refused("oauth_client_id", "", &[""]),
    refused("oauth_client_secret", "", &[""]),
    refused("oauth_issuer", "", &[""]),
    refused("oauth_scope", "", &[""]),
    used("options", "PGOPTIONS"),
    used("passfile", "PGPASSFILE"),
    used("password", "PGPASSWORD"),
    used("port", "PGPORT"),
    refused("replication", "", &["", "false", "off", "no", "0"]),
    refused("require_auth", "PGREQUIREAUTH", &[""]),
    refused("requirepeer", "PGREQUIREPEER", &[""]),
    refused("scram_client_key", "", &[""]),
    refused("scram_server_key", "", &[""]),
    used("service", "PGSERVICE"),
    used("servicefile", "PGSERVICEFILE"),
    used("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    used("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    used("sslcert", "PGSSLCERT"),
    refused("sslcertmode", "PGSSLCERTMODE", &["", "allow"]),
    ignored("sslcompression", "PGSSLCOMPRESSION"),
    used("sslcrl", "PGSSLCRL"),
    refused("sslcrldir", "PGSSLCRLDIR", &[""]),
    used("sslkey", "PGSSLKEY"),
    ignored("sslkeylogfile", ""),
    used("sslmode", "PGSSLMODE"),
    used("sslnegotiation", "PGSSLNEGOTIATION"),
    refused("sslpassword", "", &[""]),
    used("sslrootcert", "PGSSLROOTCERT"),
    used("sslsni", "PGSSLSNI"),
    used("target_session_attrs", "PGTARGETSESSIONATTRS"),
    used("tcp_user_timeout", ""),
    used("user", "PGUSER"),
];

/// Returns the keyword of that name.
pub fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_and_named_once() {
        assert!(KEYWORDS.is_sorted_by(|a, b| a.name < b.name));
    }
}
