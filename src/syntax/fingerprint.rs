//! A statement's own identity: the same on every server, major and after dump and restore.
//!
//! `queryid` is none: it is made of OIDs up to 17, of names from 18 on, and changes with each major. The fingerprint is
//! a hash of the statement's tokens with everything folded that does not make it another statement. It needs no parse.

mod aliases;
mod lists;
mod utility;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::items;

/// Identity of a statement, made of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 8]);

/// Returns the fingerprint of a statement, normalised by the server or not.
///
/// Comments, white space, case of keywords and unquoted names, values of constants and parameters, the length of lists
/// of them (`IN`, `ARRAY[…]`, rows of `VALUES`), names of table aliases, of savepoints, prepared statements and
/// cursors, and values of SET do not count. Everything else does, positions in `ORDER BY 1` and lengths in
/// `varchar(10)` too. Statements of one text on tables of the same name in different schemas share a fingerprint.
pub fn fingerprint(text: &str) -> Fingerprint {
    let digest = Sha256::digest(canonical(text));
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(digest) {
        *to = from;
    }
    Fingerprint(bytes)
}

/// The tokens that count, folded, each behind a zero byte, which no text of PostgreSQL holds.
fn canonical(text: &str) -> Vec<u8> {
    let mut items = items::read(text);
    utility::fold(&mut items);
    let aliases = aliases::find(&mut items);
    aliases::replace(&mut items, &aliases);
    lists::write(&items, text.len())
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    /// # Errors
    /// Where the text is not 16 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u64::from_str_radix(text, 16) {
            Ok(number) if digits => Ok(Self(number.to_be_bytes())),
            _ => Err(format!("`{text}` is no fingerprint: 16 hexadecimal digits")),
        }
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
