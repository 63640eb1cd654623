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

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::column::Column;
use super::model::{Counters, Entry, Key, Origin, Snapshot};
use crate::failure::Failure;
use crate::syntax::mask::mask;

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
    let mut file = Saving::begin(path)?;
    readings.iter().try_for_each(|one| file.add(one))?;
    file.end()
}

/// A file that readings are added to as they come.
pub struct Saving {
    path: PathBuf,
    writer: Writer<GzEncoder<BufWriter<File>>>,
}

impl Saving {
    /// Makes the file, replacing none.
    ///
    /// # Errors
    /// It is there already, or cannot be written.
    pub fn begin(path: &Path) -> anyhow::Result<Self> {
        let file = File::options()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    Failure::usage(format!("{} exists already", path.display()))
                        .hint("name another file")
                }
                _ => Failure::usage(format!("cannot write {}: {error}", path.display())),
            })?;
        let out = GzEncoder::new(BufWriter::new(file), Compression::fast());
        Ok(Self {
            writer: Writer::begin(out).with_context(|| cannot_write(path))?,
            path: path.to_owned(),
        })
    }

    /// Adds a reading.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, reading: &Snapshot) -> anyhow::Result<()> {
        self.writer
            .add(reading)
            .with_context(|| cannot_write(&self.path))
    }

    /// Ends the file; without its last line it is taken for one that was cut off.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn end(self) -> anyhow::Result<()> {
        self.writer
            .end()
            .and_then(GzEncoder::finish)
            .and_then(|mut file| file.flush())
            .with_context(|| cannot_write(&self.path))
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// Reads a file of readings, compressed or not.
///
/// # Errors
/// A [`Failure`] that names the file, the line and what is wrong.
pub fn load(path: &Path) -> anyhow::Result<Vec<Snapshot>> {
    let file = File::open(path)
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

/// Returns a text as it may be stored: without literals of utility statements, among which there are passwords.
pub fn storable(text: &str) -> Cow<'_, str> {
    mask(text)
}

/// Writes readings as lines.
pub struct Writer<W> {
    out: W,
    texts: HashMap<Arc<str>, usize>,
    /// What the last reading held: figures, and the text by number.
    before: HashMap<Key, (Counters, Option<usize>)>,
    readings: usize,
    entries: usize,
}

impl<W: Write> Writer<W> {
    /// Begins with the line that names the format.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn begin(mut out: W) -> std::io::Result<Self> {
        let columns = Column::ALL.iter().map(|column| column.name().to_owned());
        line(
            &mut out,
            &Header {
                format: FORMAT.to_owned(),
                dbops: env!("CARGO_PKG_VERSION").to_owned(),
                columns: columns.collect(),
            },
        )?;
        Ok(Self {
            out,
            texts: HashMap::new(),
            before: HashMap::new(),
            readings: 0,
            entries: 0,
        })
    }

    /// Adds a reading: of those after the first, what changed. A text that is missing was read before, or never.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn add(&mut self, reading: &Snapshot) -> std::io::Result<()> {
        let head = Reading {
            origin: reading.origin.clone(),
            databases: reading.databases.clone(),
            roles: reading.roles.clone(),
            whole: self.readings == 0,
        };
        line(&mut self.out, &Mark::Reading(Box::new(head)))?;
        self.readings += 1;
        let mut now = HashMap::with_capacity(reading.entries.len());
        for entry in &reading.entries {
            let old = self.before.remove(&entry.key);
            let text = match &entry.text {
                Some(text) => Some(self.text(text)?),
                None => old.as_ref().and_then(|(_, text)| *text),
            };
            let state = (entry.counters.clone(), text);
            if old.as_ref() != Some(&state) {
                let Identity(dbid, userid, queryid, toplevel) = Identity::from(entry.key);
                let figures = Column::ALL.iter().map(|&column| entry.counters.get(column));
                line(
                    &mut self.out,
                    &Line(dbid, userid, queryid, toplevel, text, figures.collect()),
                )?;
                self.entries += 1;
            }
            now.insert(entry.key, state);
        }
        if !self.before.is_empty() {
            let mut gone: Vec<Key> = self.before.keys().copied().collect();
            gone.sort_unstable();
            let gone = gone.into_iter().map(Identity::from).collect();
            line(&mut self.out, &Mark::Gone(gone))?;
        }
        self.before = now;
        Ok(())
    }

    /// Writes the last line; returns what was written to.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn end(mut self) -> std::io::Result<W> {
        let end = End {
            readings: self.readings,
            entries: self.entries,
        };
        line(&mut self.out, &Mark::End(end))?;
        Ok(self.out)
    }

    /// Returns the number of a text; one that is new is written, without what must not be stored.
    fn text(&mut self, text: &Arc<str>) -> std::io::Result<usize> {
        if let Some(number) = self.texts.get(text) {
            return Ok(*number);
        }
        line(&mut self.out, &Mark::Text(storable(text).into_owned()))?;
        let number = self.texts.len();
        self.texts.insert(Arc::clone(text), number);
        Ok(number)
    }
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

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
