//! Files of readings: `dbops.statements/1`, lines of JSON, compressed by gzip.
//!
//! ```text
//! {"format":"dbops.statements/1","dbops":"0.1.0","columns":["calls",...]}
//! {"reading":{"origin":{...},"databases":{"16384":"app"},"roles":{"10":"postgres"},"whole":true}}
//! {"text":"select $1"}                                  texts count from 0, each is there once
//! [16384,10,"-1234",true,0,[5,5,1.25,...]]              database, role, queryid, toplevel, text, figures
//! {"gone":[[16384,10,"99",true]]}                       in a reading that is not whole
//! {"end":{"readings":1,"entries":1}}
//! ```
//!
//! A reading after the first holds the entries that changed. Figures follow `columns`, by name: a file of a newer
//! dbops with more of them can be read.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::column::Column;
use super::model::{Counters, Entry, Key, Origin, Snapshot};
use crate::failure::Failure;

/// The format's name and version.
pub const FORMAT: &str = "dbops.statements/1";

/// A text longer than this is no statement: reading ends there instead of filling the memory.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    #[serde(default)]
    dbops: String,
    columns: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Reading {
    origin: Origin,
    databases: BTreeMap<u32, String>,
    roles: BTreeMap<u32, String>,
    whole: bool,
}

#[derive(Serialize, Deserialize)]
struct End {
    readings: usize,
    entries: usize,
}

/// Identity in a file; the queryid is a text, because programs that read JSON numbers as floats would round it.
#[derive(Serialize, Deserialize)]
struct Identity(u32, u32, Option<String>, Option<bool>);

#[derive(Serialize, Deserialize)]
struct Line(
    u32,
    u32,
    Option<String>,
    Option<bool>,
    Option<usize>,
    Vec<Option<f64>>,
);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mark {
    Reading(Box<Reading>),
    Text(String),
    Gone(Vec<Identity>),
    End(End),
}

/// Writes readings to a file, replacing none.
///
/// # Errors
/// The file is there already, or cannot be written.
pub fn save(path: &Path, readings: &[Snapshot]) -> anyhow::Result<()> {
    let place = || format!("cannot write {}", path.display());
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Failure::usage(format!("{} exists already", path.display()))
                    .hint("name another file")
            }
            _ => Failure::usage(format!("{}: {error}", place())),
        })?;
    let mut out = GzEncoder::new(BufWriter::new(file), Compression::fast());
    write(&mut out, readings).with_context(place)?;
    out.finish()
        .and_then(|mut file| file.flush())
        .with_context(place)
}

/// Reads a file of readings, compressed or not.
///
/// # Errors
/// A [`Failure`] that names the file, the line and what is wrong.
pub fn load(path: &Path) -> anyhow::Result<Vec<Snapshot>> {
    let file = std::fs::File::open(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    read(file).map_err(|fault| {
        let line = match fault.line {
            0 => String::new(),
            line => format!(", line {line}"),
        };
        Failure::usage(format!("{}{line}: {}", path.display(), fault.message))
            .hint("files of readings are written by `dbops queries snapshot --file`")
            .into()
    })
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line of the uncompressed text, from 1; 0: the file as a whole.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

/// Writes readings as uncompressed lines.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut impl Write, readings: &[Snapshot]) -> std::io::Result<()> {
    let columns = Column::ALL.iter().map(|column| column.name().to_owned());
    line(
        out,
        &Header {
            format: FORMAT.to_owned(),
            dbops: env!("CARGO_PKG_VERSION").to_owned(),
            columns: columns.collect(),
        },
    )?;
    let mut texts: HashMap<Arc<str>, usize> = HashMap::new();
    let mut before: HashMap<Key, &Entry> = HashMap::new();
    let mut entries = 0;
    for (position, reading) in readings.iter().enumerate() {
        let whole = position == 0;
        line(
            out,
            &Mark::Reading(Box::new(Reading {
                origin: reading.origin.clone(),
                databases: reading.databases.clone(),
                roles: reading.roles.clone(),
                whole,
            })),
        )?;
        let mut now = HashMap::with_capacity(reading.entries.len());
        for entry in &reading.entries {
            now.insert(entry.key, entry);
            let unchanged = |old: &Entry| old.text == entry.text && old.counters == entry.counters;
            if before.remove(&entry.key).is_some_and(unchanged) {
                continue;
            }
            let text = match &entry.text {
                None => None,
                Some(text) => Some(match texts.get(text) {
                    Some(number) => *number,
                    None => {
                        line(out, &Mark::Text(text.to_string()))?;
                        texts.insert(Arc::clone(text), texts.len());
                        texts.len() - 1
                    }
                }),
            };
            let Identity(dbid, userid, queryid, toplevel) = Identity::from(entry.key);
            let figures = Column::ALL.iter().map(|&column| entry.counters.get(column));
            line(
                out,
                &Line(dbid, userid, queryid, toplevel, text, figures.collect()),
            )?;
            entries += 1;
        }
        if !before.is_empty() {
            let mut gone: Vec<Key> = before.keys().copied().collect();
            gone.sort_unstable();
            line(
                out,
                &Mark::Gone(gone.into_iter().map(Identity::from).collect()),
            )?;
        }
        before = now;
    }
    line(
        out,
        &Mark::End(End {
            readings: readings.len(),
            entries,
        }),
    )
}

fn line(out: &mut impl Write, value: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Reads lines, compressed or not.
///
/// # Errors
/// Says which line is wrong and how.
pub fn read(input: impl Read) -> Result<Vec<Snapshot>, Fault> {
    let mut input = BufReader::new(input);
    let compressed = input
        .fill_buf()
        .map_err(|error| fault(0, error))?
        .starts_with(&[0x1f, 0x8b]);
    if compressed {
        parse(BufReader::with_capacity(
            1 << 16,
            MultiGzDecoder::new(input),
        ))
    } else {
        parse(input)
    }
}

fn fault(line: usize, message: impl ToString) -> Fault {
    Fault {
        line,
        message: message.to_string(),
    }
}

fn parse(mut input: impl BufRead) -> Result<Vec<Snapshot>, Fault> {
    let mut buffer = Vec::new();
    let mut number = 0;
    let mut next = |buffer: &mut Vec<u8>| -> Result<Option<usize>, Fault> {
        buffer.clear();
        number += 1;
        let read = (&mut input)
            .take(LONGEST_LINE)
            .read_until(b'\n', buffer)
            .map_err(|error| fault(number, format!("the file is damaged: {error}")))?;
        if read as u64 == LONGEST_LINE {
            return Err(fault(number, "the line is too long"));
        }
        Ok((read > 0).then_some(number))
    };
    let Some(first) = next(&mut buffer)? else {
        return Err(fault(0, "the file is empty"));
    };
    let columns = header(&buffer, first)?;
    let mut state = State {
        columns,
        texts: Vec::new(),
        readings: Vec::new(),
        current: None,
        entries: 0,
    };
    while let Some(at) = next(&mut buffer)? {
        if let Some(end) = state.take(&buffer, at)? {
            let found = (state.readings.len(), state.entries);
            if found != (end.readings, end.entries) {
                return Err(fault(at, "entries are missing: the file was changed"));
            }
            return Ok(state.readings);
        }
    }
    Err(fault(
        0,
        "the file ends before its last line: it was cut off",
    ))
}

/// Reads the first line; returns which columns the figures are, `None` for those that are not known here.
fn header(text: &[u8], at: usize) -> Result<Vec<Option<Column>>, Fault> {
    let format = serde_json::from_slice::<serde_json::Value>(text)
        .ok()
        .and_then(|value| Some(value.get("format")?.as_str()?.to_owned()));
    match format.as_deref() {
        Some(FORMAT) => {}
        Some(other) if other.starts_with("dbops.statements/") => {
            return Err(fault(
                at,
                format!("the format is {other}; this dbops reads {FORMAT}"),
            ));
        }
        Some(other) => {
            return Err(fault(
                at,
                format!("this is a file of the format {other}, not of {FORMAT}"),
            ));
        }
        None => return Err(fault(at, format!("this is no file of the format {FORMAT}"))),
    }
    let header: Header = serde_json::from_slice(text).map_err(|error| fault(at, error))?;
    Ok(header
        .columns
        .iter()
        .map(|name| Column::ALL.iter().copied().find(|one| one.name() == name))
        .collect())
}

struct State {
    columns: Vec<Option<Column>>,
    texts: Vec<Arc<str>>,
    readings: Vec<Snapshot>,
    /// The reading that is being read: its entries by key.
    current: Option<(Reading, BTreeMap<Key, Entry>)>,
    entries: usize,
}

impl State {
    /// Takes one line; returns the last one.
    fn take(&mut self, text: &[u8], at: usize) -> Result<Option<End>, Fault> {
        if text.first() == Some(&b'[') {
            let entry: Line = serde_json::from_slice(text).map_err(|error| fault(at, error))?;
            self.entry(entry, at)?;
            return Ok(None);
        }
        match serde_json::from_slice(text).map_err(|error| fault(at, error))? {
            Mark::Text(text) => self.texts.push(text.into()),
            Mark::Gone(keys) => {
                let Some((_, entries)) = &mut self.current else {
                    return Err(fault(at, "entries without a reading"));
                };
                for identity in keys {
                    entries.remove(&identity.key(at)?);
                }
            }
            Mark::Reading(reading) => {
                self.close();
                let entries = match self.readings.last() {
                    Some(before) if !reading.whole => before
                        .entries
                        .iter()
                        .map(|entry| (entry.key, entry.clone()))
                        .collect(),
                    _ => BTreeMap::new(),
                };
                self.current = Some((*reading, entries));
            }
            Mark::End(end) => {
                self.close();
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    fn entry(&mut self, line: Line, at: usize) -> Result<(), Fault> {
        let Line(dbid, userid, queryid, toplevel, text, figures) = line;
        if figures.len() != self.columns.len() {
            return Err(fault(
                at,
                format!(
                    "{} figures where {} are announced",
                    figures.len(),
                    self.columns.len()
                ),
            ));
        }
        let text = match text {
            None => None,
            Some(number) => Some(
                self.texts
                    .get(number)
                    .cloned()
                    .ok_or_else(|| fault(at, format!("there is no text {number} before")))?,
            ),
        };
        let key = Identity(dbid, userid, queryid, toplevel).key(at)?;
        let mut counters = Counters::default();
        for (column, figure) in self.columns.iter().zip(figures) {
            if let Some(column) = column {
                counters.set(*column, figure);
            }
        }
        let Some((_, entries)) = &mut self.current else {
            return Err(fault(at, "an entry without a reading"));
        };
        entries.insert(
            key,
            Entry {
                key,
                text,
                counters,
            },
        );
        self.entries += 1;
        Ok(())
    }

    fn close(&mut self) {
        if let Some((reading, entries)) = self.current.take() {
            self.readings.push(Snapshot {
                origin: reading.origin,
                databases: reading.databases,
                roles: reading.roles,
                entries: entries.into_values().collect(),
            });
        }
    }
}

impl From<Key> for Identity {
    fn from(key: Key) -> Self {
        let queryid = key.queryid.map(|id| id.to_string());
        Self(key.dbid, key.userid, queryid, key.toplevel)
    }
}

impl Identity {
    fn key(self, at: usize) -> Result<Key, Fault> {
        let Self(dbid, userid, queryid, toplevel) = self;
        let queryid = match queryid {
            None => None,
            Some(text) => Some(
                text.parse()
                    .map_err(|_| fault(at, format!("`{text}` is no queryid")))?,
            ),
        };
        Ok(Key {
            dbid,
            userid,
            queryid,
            toplevel,
        })
    }
}
