//! Readings of `pg_stat_statements` in dbops's own schema: stored, listed, read again, removed when they are old.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use crate::conn::{Session, failure};
use crate::failure::Failure;
use crate::ident::quote_if_needed;
use crate::sample::statements::column::Column;
use crate::sample::statements::file::{self, Writer, storable};
use crate::sample::statements::model::Snapshot;

/// Which stored reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The newest.
    Last,
    /// The one with this number.
    Id(i64),
    /// The newest that was taken at this instant or before.
    At(DateTime<Utc>),
    /// The one with this name.
    Name(String),
}

/// Reads `last`, a number, an instant like 2027-03-01T12:00:00Z, or a name.
impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "last" {
            return Ok(Self::Last);
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(at.with_timezone(&Utc)));
        }
        name(text).map(Self::Name)
    }
}

/// Checks the name of a baseline.
///
/// # Errors
/// It could be taken for something else, or is too long.
pub fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text == "last"
        || text.is_empty()
        || text.len() > 63
        || !text.chars().all(plain)
        || !text.chars().any(char::is_alphabetic)
    {
        return Err(
            "a name has letters, digits, `-`, `_` and `.`, a letter among them, and is not `last`"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// A stored reading without its entries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stored {
    /// Its number.
    pub id: i64,
    /// When it was taken, by the server's clock.
    pub taken_at: DateTime<Utc>,
    /// Its name, where it is kept as a baseline.
    pub name: Option<String>,
    /// The target, with the replica's name where it is one.
    pub node: String,
    /// Version of the extension.
    pub extension: String,
    /// Number of entries.
    pub statements: i32,
    /// Their calls.
    pub calls: f64,
    /// Bytes of its data.
    pub bytes: i64,
}

/// How a reading is stored.
#[derive(Debug, Clone, Copy)]
pub struct Storing<'a> {
    /// The target, with the replica's name where it is one.
    pub node: &'a str,
    /// A name: the reading that has it is kept without.
    pub name: Option<&'a str>,
    /// Readings without a name that were taken before are removed.
    pub remove_before: Option<DateTime<Utc>>,
}

/// What storing did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Number of the new reading.
    pub id: i64,
    /// Number of the reading that had the name before.
    pub renamed: Option<i64>,
    /// Readings removed.
    pub removed: u64,
}

/// Stores a reading, creating or migrating the schema where needed; all in one transaction.
///
/// # Errors
/// A refusal where the role may not create or use the schema; otherwise what the server says.
pub async fn store(
    session: &mut Session,
    snapshot: &Snapshot,
    storing: Storing<'_>,
) -> anyhow::Result<Done> {
    if let Err(error) = super::migrate(session).await {
        return Err(refusal(session, &snapshot.origin.role, error));
    }
    let role = snapshot.origin.role.clone();
    match stored(session, snapshot, storing).await {
        Ok(done) => Ok(done),
        Err(error) => Err(refusal(session, &role, error)),
    }
}

/// Only the lack of rights is a refusal; with it comes the way around.
fn refusal(session: &Session, role: &str, error: anyhow::Error) -> anyhow::Error {
    let denied = failure::server_error_in(&error).is_some_and(|server| {
        // Rights; and a standby, which takes no write.
        ["42501", "25006"].contains(&server.sqlstate.as_str())
    });
    if !denied {
        return error;
    }
    let role = quote_if_needed(role);
    Failure::refused(format!(
        "readings cannot be stored in the schema dbops on {}: {}",
        session.place(),
        failure::describe_error(&error)
    ))
    .hint(format!(
        "create schema dbops authorization {role};  -- by a role that may; where the schema is there: grant usage, create on schema dbops to {role}; grant select, insert, update, delete on all tables in schema dbops to {role};"
    ))
    .hint("or write the reading to a file, which needs no right: --file PATH")
    .into()
}

async fn stored(
    session: &mut Session,
    snapshot: &Snapshot,
    storing: Storing<'_>,
) -> anyhow::Result<Done> {
    let packed = pack(snapshot)?;
    let tx = session.transaction().await.context("beginning to store")?;
    // Another run's texts must not go while its reading is not yet to be seen.
    tx.execute_typed(
        "lock table dbops.statement_text in share row exclusive mode",
        &[],
    )
    .await
    .context("waiting for another run that stores")?;
    let hashes: Vec<&str> = packed.texts.iter().map(|(hash, _)| hash.as_str()).collect();
    let texts: Vec<&str> = packed.texts.iter().map(|(_, text)| text.as_str()).collect();
    tx.execute_typed(
        "insert into dbops.statement_text (hash, text) \
         select t.hash::pg_catalog.uuid, t.text from unnest($1::pg_catalog.text[], $2::pg_catalog.text[]) as t (hash, text) \
         order by 1 on conflict (hash) do nothing",
        &[(&hashes, Type::TEXT_ARRAY), (&texts, Type::TEXT_ARRAY)],
    )
    .await
    .context("storing the texts")?;
    let mut renamed = None;
    if let Some(name) = storing.name {
        let rows = tx
            .query_typed(
                "update dbops.statement_snapshot set name = null where name = $1 returning id",
                &[(&name, Type::TEXT)],
            )
            .await
            .context("taking the name from the reading that has it")?;
        renamed = rows.first().map(|row| row.try_get("id")).transpose()?;
    }
    let statements = i32::try_from(snapshot.entries.len()).unwrap_or(i32::MAX);
    let calls: f64 = snapshot
        .entries
        .iter()
        .map(|entry| entry.counters.sum(Column::Calls))
        .sum();
    let rows = tx
        .query_typed(
            "insert into dbops.statement_snapshot (taken_at, name, node, extension, statements, calls, dbops_version, texts, data) \
             values (pg_catalog.to_timestamp($1), $2, $3, $4, $5, $6, $7, $8::pg_catalog.text[]::pg_catalog.uuid[], $9) returning id",
            &[
                (&snapshot.origin.taken_at, Type::FLOAT8),
                (&storing.name, Type::TEXT),
                (&storing.node, Type::TEXT),
                (&snapshot.origin.extension, Type::TEXT),
                (&statements, Type::INT4),
                (&calls, Type::FLOAT8),
                (&env!("CARGO_PKG_VERSION"), Type::TEXT),
                (&hashes, Type::TEXT_ARRAY),
                (&packed.data, Type::BYTEA),
            ],
        )
        .await
        .context("storing the reading")?;
    let id = rows
        .first()
        .context("the reading got no number")?
        .try_get("id")?;
    let mut removed = 0;
    if let Some(before) = storing.remove_before {
        removed = tx
            .execute_typed(
                "delete from dbops.statement_snapshot where name is null and taken_at < $1 and id <> $2",
                &[(&before, Type::TIMESTAMPTZ), (&id, Type::INT8)],
            )
            .await
            .context("removing old readings")?;
    }
    if removed > 0 {
        tx.execute_typed(
            "delete from dbops.statement_text as t where not exists (select from \
             (select distinct unnest(s.texts) as hash from dbops.statement_snapshot as s) as kept where kept.hash = t.hash)",
            &[],
        )
        .await
        .context("removing texts that no reading has")?;
    }
    tx.commit().await.context("storing the reading")?;
    Ok(Done {
        id,
        renamed,
        removed,
    })
}

/// Returns the stored readings, newest first; `None`: none was ever stored.
///
/// # Errors
/// What the server says, for example that the role may not read the schema.
pub async fn list(tx: &Transaction<'_>) -> anyhow::Result<Option<Vec<Stored>>> {
    if !is_there(tx).await? {
        return Ok(None);
    }
    let rows = tx
        .query_typed(
            "select id, taken_at, name, node, extension, statements, calls, pg_catalog.octet_length(data)::pg_catalog.int8 as bytes \
             from dbops.statement_snapshot order by taken_at desc, id desc",
            &[],
        )
        .await
        .context("reading the stored readings")?;
    let stored = rows.iter().map(|row| {
        Ok(Stored {
            id: row.try_get("id")?,
            taken_at: row.try_get("taken_at")?,
            name: row.try_get("name")?,
            node: row.try_get("node")?,
            extension: row.try_get("extension")?,
            statements: row.try_get("statements")?,
            calls: row.try_get("calls")?,
            bytes: row.try_get("bytes")?,
        })
    });
    stored.collect::<anyhow::Result<_>>().map(Some)
}

/// Reads a stored reading; of several nodes' the one of `node` where that is given.
///
/// # Errors
/// A usage failure when there is none; otherwise what the server says.
pub async fn load(
    tx: &Transaction<'_>,
    which: &Which,
    node: Option<&str>,
) -> anyhow::Result<Snapshot> {
    let missing = || {
        let what = match which {
            Which::Last => "no reading is stored".to_owned(),
            Which::Id(id) => format!("no reading with the number {id} is stored"),
            Which::At(at) => format!("no reading taken at or before {at} is stored"),
            Which::Name(name) => format!("no reading with the name {name} is stored"),
        };
        Failure::usage(what).hint("dbops queries snapshot --list shows those that are")
    };
    if !is_there(tx).await? {
        return Err(missing().into());
    }
    let (id, at, name) = match which {
        Which::Last => (None, None, None),
        Which::Id(id) => (Some(*id), None, None),
        Which::At(at) => (None, Some(*at), None),
        Which::Name(name) => (None, None, Some(name)),
    };
    let rows = tx
        .query_typed(
            "select data from dbops.statement_snapshot \
             where ($1 is null or id = $1) and ($2 is null or taken_at <= $2) and ($3 is null or name = $3) \
               and ($4 is null or node = $4) \
             order by taken_at desc, id desc limit 1",
            &[
                (&id, Type::INT8),
                (&at, Type::TIMESTAMPTZ),
                (&name, Type::TEXT),
                (&node, Type::TEXT),
            ],
        )
        .await
        .context("reading a stored reading")?;
    let data: &[u8] = rows.first().ok_or_else(missing)?.try_get("data")?;
    let mut snapshot = file::read(data)
        .map_err(|fault| {
            Failure::usage(format!(
                "the stored reading, line {}: {}",
                fault.line, fault.message
            ))
        })?
        .pop()
        .context("the stored reading is empty")?;
    let hashes: BTreeSet<&str> = snapshot
        .entries
        .iter()
        .filter_map(|entry| entry.text.as_deref())
        .collect();
    let hashes: Vec<&str> = hashes.into_iter().collect();
    let rows = tx
        .query_typed(
            "select hash::pg_catalog.text as hash, text from dbops.statement_text where hash = any($1::pg_catalog.text[]::pg_catalog.uuid[])",
            &[(&hashes, Type::TEXT_ARRAY)],
        )
        .await
        .context("reading stored texts")?;
    let mut texts: HashMap<String, Arc<str>> = HashMap::with_capacity(rows.len());
    for row in &rows {
        texts.insert(row.try_get("hash")?, row.try_get::<_, &str>("text")?.into());
    }
    for entry in &mut snapshot.entries {
        entry.text = entry
            .text
            .take()
            .and_then(|hash| texts.get(&*hash).cloned());
    }
    Ok(snapshot)
}

async fn is_there(tx: &Transaction<'_>) -> anyhow::Result<bool> {
    let rows = tx
        .query_typed(
            "select pg_catalog.to_regclass('dbops.statement_snapshot') is not null as there",
            &[],
        )
        .await
        .context("looking for stored readings")?;
    Ok(match rows.first() {
        Some(row) => row.try_get("there")?,
        None => false,
    })
}

/// A reading ready to be stored.
struct Packed {
    /// Hash and text, by hash.
    texts: Vec<(String, String)>,
    data: Vec<u8>,
}

fn pack(snapshot: &Snapshot) -> anyhow::Result<Packed> {
    let mut texts: HashMap<String, String> = HashMap::new();
    let mut packed = snapshot.clone();
    for entry in &mut packed.entries {
        if let Some(text) = entry.text.take() {
            let text = storable(&text);
            let hash = hash(&text);
            entry.text = Some(hash.as_str().into());
            texts.entry(hash).or_insert_with(|| text.into_owned());
        }
    }
    let mut writer = Writer::begin(GzEncoder::new(Vec::new(), Compression::default()))?;
    writer.add(&packed)?;
    let data = writer.end()?.finish().context("packing the reading")?;
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_unstable();
    Ok(Packed { texts, data })
}

/// Returns the first half of the SHA-256 of a text, in the form of a uuid.
fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut hash = String::with_capacity(36);
    for (place, byte) in digest.iter().take(16).enumerate() {
        if [4, 6, 8, 10].contains(&place) {
            hash.push('-');
        }
        hash.push_str(&format!("{byte:02x}"));
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_named_by_number_instant_name_or_last() {
        assert_eq!("last".parse(), Ok(Which::Last));
        assert_eq!("42".parse(), Ok(Which::Id(42)));
        assert_eq!(
            "before-2.1".parse(),
            Ok(Which::Name("before-2.1".to_owned()))
        );
        let at: Which = "2027-03-01T12:00:00+02:00".parse().unwrap();
        assert_eq!(at, Which::At("2027-03-01T10:00:00Z".parse().unwrap()));
        for text in ["", "a b", "2.1", "x'y"] {
            assert!(text.parse::<Which>().is_err(), "{text}");
        }
        assert!(name("last").is_err() && name("7").is_err() && name("main").is_ok());
    }

    #[test]
    fn a_hash_is_half_of_the_sha256_of_the_text() {
        assert_eq!(hash(""), "e3b0c442-98fc-1c14-9afb-f4c8996fb924");
    }
}
