//! Names and literals: the only file that quotes them for SQL or takes them apart.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name PostgreSQL keeps, in bytes (`NAMEDATALEN - 1`).
pub const MAX_NAME_BYTES: usize = 63;

/// A relation's schema and name, as the catalog spells them (not quoted).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QualifiedName {
    /// The schema.
    pub schema: String,
    /// The relation.
    pub name: String,
}

impl QualifiedName {
    /// Makes a name from its two parts.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            name: name.into(),
        }
    }

    /// Takes a name apart as a person writes it: `events`, `public.events`, `public."Post"`.
    ///
    /// Unquoted parts are folded to lower case as the server does; a name without a schema is in
    /// `public`, because the search path of whoever runs dbops must not decide what is changed.
    ///
    /// # Errors
    /// Says what is wrong with the text: an empty part, a missing quote, more than two parts, a
    /// part over 63 bytes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (schema, name) = split_name(text)?;
        Ok(Self {
            schema: schema.unwrap_or_else(|| "public".to_owned()),
            name,
        })
    }

    /// Returns the name quoted for SQL, always with its schema.
    pub fn sql(&self) -> String {
        format!("{}.{}", quote_ident(&self.schema), quote_ident(&self.name))
    }
}

/// Displays the name as a person would write it: quotes only where they are needed.
impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}",
            quote_if_needed(&self.schema),
            quote_if_needed(&self.name)
        )
    }
}

impl Serialize for QualifiedName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for QualifiedName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for QualifiedName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "QualifiedName".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "schema.table, quoted as in SQL where needed: public.events, public.\"Post\""
        })
    }
}

/// Quotes an identifier for SQL, always with double quotes.
///
/// A name from the catalog or a checked plan file holds no NUL byte; one that does is cut there by
/// the server, so it is removed here rather than sent.
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('\0', "").replace('"', "\"\""))
}

/// Quotes a string literal for SQL; backslashes force the `E''` form so that the server's
/// `standard_conforming_strings` does not matter.
pub fn quote_literal(text: &str) -> String {
    let doubled = text.replace('\0', "").replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// Returns the name with double quotes only where PostgreSQL would need them to read it back.
pub fn quote_if_needed(name: &str) -> String {
    let mut chars = name.chars();
    let plain = chars
        .next()
        .is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '$');
    if plain {
        name.to_owned()
    } else {
        quote_ident(name)
    }
}

/// Takes a name of one or two parts apart, as a person writes it: schema, where there is one, and name.
///
/// # Errors
/// As those of [`QualifiedName::parse`].
pub fn split_name(text: &str) -> Result<(Option<String>, String), String> {
    let mut parts = split_dotted(text)?;
    let name = parts.pop().ok_or_else(|| "the name is empty".to_owned())?;
    let schema = parts.pop();
    if !parts.is_empty() {
        return Err(format!(
            "`{text}` has more than two parts; write schema.table"
        ));
    }
    Ok((schema, name))
}

fn split_dotted(text: &str) -> Result<Vec<String>, String> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = if let Some(quoted) = rest.strip_prefix('"') {
            split_quoted(quoted)
                .ok_or_else(|| format!("`{text}` has a double quote that is not closed"))?
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let (part, after) = rest.split_at(end);
            if part.contains('"') || part.chars().any(char::is_whitespace) {
                return Err(format!(
                    "`{part}` in `{text}` needs double quotes around the whole part"
                ));
            }
            (part.to_lowercase(), after)
        };
        if part.is_empty() {
            return Err(format!("`{text}` has an empty part; write schema.table"));
        }
        if part.len() > MAX_NAME_BYTES {
            return Err(format!(
                "`{part}` is {} bytes long; PostgreSQL keeps {MAX_NAME_BYTES}",
                part.len()
            ));
        }
        if part.contains('\0') {
            return Err("a name cannot hold a NUL byte".to_owned());
        }
        parts.push(part);
        if after.is_empty() {
            return Ok(parts);
        }
        rest = after
            .strip_prefix('.')
            .ok_or_else(|| format!("`{text}` has text after a closing quote"))?;
    }
}

/// Splits at the closing quote of a quoted part; the opening quote is already taken off.
fn split_quoted(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            part.push(c);
        } else if chars.peek().is_some_and(|&(_, next)| next == '"') {
            chars.next();
            part.push('"');
        } else {
            return Some((part, &text[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_fold_and_default_to_public_as_the_server_does() {
        assert_eq!(
            QualifiedName::parse("Events"),
            Ok(QualifiedName::new("public", "events"))
        );
        assert_eq!(
            QualifiedName::parse("app.\"Post\""),
            Ok(QualifiedName::new("app", "Post"))
        );
        assert_eq!(
            QualifiedName::parse("\"a.b\".\"c\"\"d\""),
            Ok(QualifiedName::new("a.b", "c\"d"))
        );
    }

    #[test]
    fn broken_names_say_what_is_wrong() {
        for text in ["", "a.", ".a", "a.b.c", "\"a", "a b", "\"a\"b", "a\"b"] {
            assert!(QualifiedName::parse(text).is_err(), "{text:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn display_reads_back(schema in "[^\0]{1,15}", name in "[^\0]{1,15}") {
            let name = QualifiedName::new(schema, name);
            prop_assert_eq!(QualifiedName::parse(&name.to_string()), Ok(name.clone()));
            prop_assert_eq!(QualifiedName::parse(&name.sql()), Ok(name));
        }
    }
}
