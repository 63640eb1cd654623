//! Connection URLs, taken apart as libpq's `conninfo_uri_parse` does.

use super::conninfo::Params;

/// Returns what follows `postgres://` or `postgresql://`.
pub(super) fn strip_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://")
        .or_else(|| text.strip_prefix("postgres://"))
}

/// Takes apart what follows the scheme.
pub(super) fn parse(rest: &str) -> Result<Params, String> {
    let mut params = Params::default();
    let mut rest = rest;

    // libpq takes the first `@` before the first `/` for the end of the credentials; an `@` or `/` in
    // a password has to be percent-encoded.
    let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
    if let Some(at) = authority.find('@') {
        let (credentials, after) = (&rest[..at], &rest[at + 1..]);
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        if !user.is_empty() {
            params.set("user", decode(user, "user")?)?;
        }
        if let Some(password) = password.filter(|password| !password.is_empty()) {
            params.set("password", decode(password, "password")?)?;
        }
        rest = after;
    }

    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (hosts, after) = rest.split_at(end);
    parse_hosts(hosts, &mut params)?;

    let (path, query) = match after.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (after, None),
    };
    if let Some(dbname) = path.strip_prefix('/').filter(|name| !name.is_empty()) {
        params.set("dbname", decode(dbname, "database")?)?;
    }
    for pair in query.into_iter().flat_map(|query| query.split('&')) {
        parse_parameter(pair, &mut params)?;
    }
    Ok(params)
}

fn parse_hosts(text: &str, params: &mut Params) -> Result<(), String> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for item in text.split(',') {
        let (host, port) = match item.strip_prefix('[') {
            Some(inner) => {
                let (host, after) = inner.split_once(']').ok_or_else(|| {
                    "`]` is missing after the IPv6 address in the connection URL".to_owned()
                })?;
                let port = match after {
                    "" => "",
                    after => after.strip_prefix(':').ok_or_else(|| {
                        "there is text between `]` and the port of the connection URL".to_owned()
                    })?,
                };
                (host, port)
            }
            None => item.split_once(':').unwrap_or((item, "")),
        };
        hosts.push(decode(host, "host")?);
        ports.push(decode(port, "port")?);
    }
    if hosts.iter().any(|host| !host.is_empty()) {
        params.set("host", hosts.join(","))?;
    }
    if ports.iter().any(|port| !port.is_empty()) {
        params.set("port", ports.join(","))?;
    }
    Ok(())
}

fn parse_parameter(pair: &str, params: &mut Params) -> Result<(), String> {
    if pair.is_empty() {
        return Ok(());
    }
    let (name, value) = pair.split_once('=').ok_or_else(|| {
        // Without a name in front this may be the tail of a password that holds a `?` or `&`.
        "a parameter of the connection URL has no `=`; percent-encode `?` and `&` in passwords"
            .to_owned()
    })?;
    let name = decode(name, "parameter name")?;
    let value = decode(value, &name)?;
    // JDBC's spelling, which libpq accepts for this one value.
    if name == "ssl" && value == "true" {
        return params.set("sslmode", "require");
    }
    params.set(&name, value)
}

/// Decodes `%XX`; `+` stays a plus sign, as in libpq.
fn decode(text: &str, what: &str) -> Result<String, String> {
    let broken = || format!("the {what} in the connection URL has a broken percent-encoding");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            rest.next()
                .and_then(|byte| char::from(byte).to_digit(16))
                .and_then(|digit| u8::try_from(digit).ok())
        };
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(broken());
        };
        match high * 16 + low {
            0 => return Err(broken()),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::super::conninfo;

    fn pairs(text: &str) -> String {
        let params = conninfo::parse(text).unwrap();
        let pairs: Vec<_> = params.iter().map(|(k, v)| format!("{k}={v}")).collect();
        pairs.join(" ")
    }

    #[test]
    fn every_part_of_a_url_is_optional() {
        assert_eq!(pairs("postgresql://"), "");
        assert_eq!(pairs("postgresql://localhost"), "host=localhost");
        assert_eq!(pairs("postgres:///db"), "dbname=db");
        assert_eq!(pairs("postgres://u@"), "user=u");
        assert_eq!(
            pairs("postgres://u:p@h:1/d?application_name=a+b&connect_timeout=3"),
            "application_name=a+b connect_timeout=3 dbname=d host=h password=p port=1 user=u"
        );
    }

    #[test]
    fn hosts_may_be_several_encoded_or_ipv6() {
        assert_eq!(
            pairs("postgres://a:1,b,c:3/d"),
            "dbname=d host=a,b,c port=1,,3"
        );
        assert_eq!(
            pairs("postgres://%2Fvar%2Frun%2Fpostgresql/d"),
            "dbname=d host=/var/run/postgresql"
        );
        assert_eq!(pairs("postgres://[::1]:5433,b"), "host=::1,b port=5433,");
        assert_eq!(
            pairs("postgres:///d?host=/tmp&port=6000"),
            "dbname=d host=/tmp port=6000"
        );
        assert_eq!(
            pairs("postgres://u:p%40%2F@h"),
            "host=h password=p@/ user=u"
        );
    }

    #[test]
    fn the_jdbc_spelling_of_ssl_is_read() {
        assert_eq!(pairs("postgres://h?ssl=true"), "host=h sslmode=require");
    }

    #[test]
    fn broken_urls_name_the_part_and_never_the_value() {
        for (text, wanted) in [
            (
                "postgres://h?schema=public",
                "`schema`; it belongs to Prisma",
            ),
            ("postgres://h?hots=secret", "`hots`"),
            ("postgres://u:%zzsecret@h", "password"),
            ("postgres://[::1", "`]` is missing"),
            ("postgres://[::1]x", "between `]`"),
            ("postgres://h?secret", "has no `=`"),
            ("postgres://h/%00", "database"),
            ("postgres://h/%ff", "database"),
            ("postgres://h/%4", "database"),
        ] {
            let error = conninfo::parse(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
            assert!(!error.contains("secret"), "{text}: {error}");
        }
    }
}
