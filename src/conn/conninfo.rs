//! Connection strings: `key=value` pairs or a URL, taken apart as libpq does.

use std::collections::BTreeMap;
use std::fmt;

use super::keywords;
use super::url;

/// Connection parameters by libpq keyword, as written, before defaults.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Params(BTreeMap<&'static str, String>);

impl Params {
    /// Sets a parameter; a later value replaces an earlier one, as in libpq.
    ///
    /// # Errors
    /// Names the parameter when libpq does not know it.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> Result<(), String> {
        let keyword = keywords::find(name).ok_or_else(|| unknown(name))?;
        self.0.insert(keyword.name, value.into());
        Ok(())
    }

    /// Sets a parameter only where it is not set yet.
    ///
    /// # Errors
    /// Names the parameter when libpq does not know it.
    pub fn set_default(&mut self, name: &str, value: &str) -> Result<(), String> {
        if self.get(name).is_some() {
            return Ok(());
        }
        self.set(name, value)
    }

    /// Returns a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns a parameter that is set and not empty; libpq treats empty as not set nearly everywhere.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Returns every parameter, sorted by keyword.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Writes the parameters as `key='value'` pairs that [`parse`] reads back; passwords included,
    /// so the text is for a child process only, never for a message.
    pub fn to_conninfo(&self) -> String {
        let pairs: Vec<_> = self
            .iter()
            .map(|(name, value)| {
                let escaped = value.replace('\\', "\\\\").replace('\'', "\\'");
                format!("{name}='{escaped}'")
            })
            .collect();
        pairs.join(" ")
    }
}

/// Shows keywords only: values may hold passwords.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Takes a connection string apart: a URL when it starts with `postgres://` or `postgresql://`,
/// else `key=value` pairs.
///
/// # Errors
/// Says what is wrong without repeating the string, which may hold a password.
pub fn parse(text: &str) -> Result<Params, String> {
    let text = text.trim();
    match url::strip_scheme(text) {
        Some(rest) => url::parse(rest),
        None => parse_pairs(text),
    }
}

fn parse_pairs(text: &str) -> Result<Params, String> {
    let mut params = Params::default();
    let mut chars = text.chars().peekable();
    loop {
        skip_space(&mut chars);
        if chars.peek().is_none() {
            return Ok(params);
        }
        let mut name = String::new();
        while let Some(c) = chars.next_if(|&c| c != '=' && !c.is_ascii_whitespace()) {
            name.push(c);
        }
        skip_space(&mut chars);
        if chars.next_if_eq(&'=').is_none() {
            return Err(missing_equals(&name, params.0.is_empty()));
        }
        skip_space(&mut chars);
        let value = if chars.next_if_eq(&'\'').is_some() {
            quoted_value(&mut chars)
                .ok_or_else(|| format!("the quote around the value of `{name}` is not closed"))?
        } else {
            plain_value(&mut chars)
        };
        params.set(&name, value)?;
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_space(chars: &mut Chars<'_>) {
    while chars.next_if(char::is_ascii_whitespace).is_some() {}
}

fn plain_value(chars: &mut Chars<'_>) -> String {
    let mut value = String::new();
    while let Some(c) = chars.next_if(|c| !c.is_ascii_whitespace()) {
        match c {
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    value
}

fn quoted_value(chars: &mut Chars<'_>) -> Option<String> {
    let mut value = String::new();
    loop {
        match chars.next()? {
            '\'' => return Some(value),
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}

fn missing_equals(name: &str, first: bool) -> String {
    if first && !name.contains('@') && !name.contains(':') {
        format!(
            "`=` is missing after `{name}`; write `postgres://user@host/database` or `host=... dbname=...`"
        )
    } else {
        // The word may be part of a password that holds a space, so it is not repeated.
        "`=` is missing after a word; quote values that hold spaces: `password='a b'`".to_owned()
    }
}

/// Says that libpq has no such parameter, and whose it is when that is known.
pub(super) fn unknown(name: &str) -> String {
    let whose = match name {
        "schema"
        | "pgbouncer"
        | "connection_limit"
        | "pool_timeout"
        | "socket_timeout"
        | "statement_cache_size"
        | "sslaccept"
        | "sslidentity" => "; it belongs to Prisma, take it out of the string dbops gets",
        "sslfactory" | "ssl" | "currentSchema" | "prepareThreshold" | "loggerLevel" => {
            "; it belongs to the JDBC driver"
        }
        "pool" | "pool_size" | "max_overflow" | "prepared_statements" => {
            "; it belongs to a connection pool, not to the connection"
        }
        "database" => "; the name is `dbname`",
        "username" => "; the name is `user`",
        _ => "",
    };
    format!("unknown connection parameter `{name}`{whose}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(&'static str, String)> {
        parse(text)
            .unwrap()
            .iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect()
    }

    #[test]
    fn pairs_are_read_with_quotes_and_escapes() {
        assert_eq!(
            pairs(r"host = localhost port=5433 password='a\'b\\ c' user=o\'brien dbname=''"),
            [
                ("dbname", String::new()),
                ("host", "localhost".to_owned()),
                ("password", r"a'b\ c".to_owned()),
                ("port", "5433".to_owned()),
                ("user", "o'brien".to_owned()),
            ]
        );
    }

    #[test]
    fn broken_pairs_say_what_is_wrong() {
        let error = |text: &str| parse(text).unwrap_err();
        assert!(error("localhost").contains("`=` is missing after `localhost`"));
        assert!(error("password='abc").contains("value of `password` is not closed"));
        assert!(error("hots=x").contains("unknown connection parameter `hots`"));
        assert!(error("database=x").contains("`dbname`"));
    }

    #[test]
    fn errors_never_repeat_a_password() {
        for text in [
            "password=one hunter2",
            "password='hunter2",
            "user:hunter2@host/db",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn conninfo_reads_back(values in proptest::collection::btree_map(0..keywords::KEYWORDS.len(), "[^\0]{0,12}", 0..8)) {
            let mut params = Params::default();
            for (index, value) in values {
                params.set(keywords::KEYWORDS[index].name, value).unwrap();
            }
            let text = params.to_conninfo();
            prop_assert_eq!(parse(&text), Ok(params));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = parse(&text);
            let _ = parse(&format!("postgres://{text}"));
        }
    }
}
