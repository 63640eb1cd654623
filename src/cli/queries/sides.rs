//! Which two readings `queries compare` compares: files, stored readings, the server now.

use std::path::{Path, PathBuf};

use anyhow::bail;
use chrono::{DateTime, SecondsFormat};

use super::source::{SourceArgs, kept, kept_ids, readings};
use crate::cli::context::Context;
use crate::failure::Failure;
use crate::history::statements::{self, Which};
use crate::sample::statements::file;
use crate::sample::statements::model::Snapshot;

/// Which two readings.
#[derive(Debug, clap::Args)]
pub(super) struct Asked {
    /// Before: a file of `queries snapshot`, or a stored reading: its number, its name, an instant, `last` [default: the last two stored]
    #[arg(value_name = "BEFORE")]
    before: Option<PathBuf>,
    /// After, named the same way [default: the server now]
    #[arg(value_name = "AFTER", conflicts_with_all = ["from", "stored"])]
    after: Option<PathBuf>,
    /// Compare this stored baseline with the server now, or with the one reading named
    #[arg(long, value_name = "NAME", value_parser = statements::name, conflicts_with = "after")]
    baseline: Option<String>,
}

/// A reading and what to call it.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) name: String,
    pub(super) snapshot: Snapshot,
}

/// Returns the reading before and the one after, of the same databases.
///
/// # Errors
/// Usage, connection, that there is no such reading, or a refusal where none is stored.
pub(super) fn choose(
    asked: &Asked,
    source: &SourceArgs,
    context: &Context,
) -> anyhow::Result<(Taken, Taken)> {
    let named = |path: &Path| one(path, source, context);
    let (mut before, mut after) = match (&asked.baseline, &asked.before, &asked.after) {
        (Some(name), after, _) => {
            let before = of_store(&Which::Name(name.clone()), source, context)?;
            let after = after.as_deref().map(named).transpose()?;
            (before, after)
        }
        (None, Some(before), after) => (named(before)?, after.as_deref().map(named).transpose()?),
        (None, None, _) => of_last_two(source, context)?,
    };
    let mut after = match after.take() {
        Some(after) => after,
        None => now(source, context)?,
    };
    let only = source.only_database.as_deref();
    narrow(only, &mut [&mut before.snapshot, &mut after.snapshot])?;
    Ok((before, after))
}

/// The last two stored readings; of only one stored, that one alone.
fn of_last_two(source: &SourceArgs, context: &Context) -> anyhow::Result<(Taken, Option<Taken>)> {
    if !source.from.is_empty() || source.stored.is_some() {
        bail!(
            Failure::usage("with what is this reading compared?")
                .hint("name the reading before it: a file, a stored reading, or --baseline NAME")
        );
    }
    let load = |id: i64| of_store(&Which::Id(id), source, context);
    match kept_ids(source, context)?.as_slice() {
        [] => Err(Failure::refused(
            "no reading is stored that could be compared with the server now",
        )
        .hint("dbops queries snapshot stores one; compare again after the change")
        .into()),
        [only] => Ok((load(*only)?, None)),
        [last, before, ..] => Ok((load(*before)?, Some(load(*last)?))),
    }
}

fn one(path: &Path, source: &SourceArgs, context: &Context) -> anyhow::Result<Taken> {
    if let Some(which) = which(path) {
        return of_store(&which, source, context);
    }
    let name = path.display().to_string();
    let snapshot = file::load(path)?
        .pop()
        .ok_or_else(|| Failure::usage(format!("{name} holds no reading")))?;
    Ok(Taken { name, snapshot })
}

/// Tells stored readings from files: `last` and numbers are always stored, a name or an instant is where there is
/// no such file. `./last` is a file.
fn which(path: &Path) -> Option<Which> {
    let which: Which = path.to_str()?.parse().ok()?;
    let is_file = || {
        let ending = path.extension().and_then(|ending| ending.to_str());
        path.exists() || matches!(ending, Some("gz" | "json" | "jsonl" | "ndjson"))
    };
    match which {
        Which::Last | Which::Id(_) => Some(which),
        Which::At(_) | Which::Name(_) => (!is_file()).then_some(which),
    }
}

fn of_store(which: &Which, source: &SourceArgs, context: &Context) -> anyhow::Result<Taken> {
    let snapshot = kept(source, context, which)?;
    let what = match which {
        Which::Last => "the last stored reading".to_owned(),
        Which::Id(id) => format!("reading {id}"),
        Which::At(_) => "the reading".to_owned(),
        Which::Name(name) => name.clone(),
    };
    let at = DateTime::from_timestamp_millis((snapshot.origin.taken_at * 1e3) as i64);
    let name = match at {
        Some(at) => format!(
            "{what} of {}",
            at.to_rfc3339_opts(SecondsFormat::Secs, true)
        ),
        None => what,
    };
    Ok(Taken { name, snapshot })
}

/// What the other arguments choose: the server as it is now, if nothing else.
fn now(source: &SourceArgs, context: &Context) -> anyhow::Result<Taken> {
    let mut sampled = readings(source, context)?;
    let (Some(mut one), true) = (sampled.pop(), sampled.is_empty()) else {
        bail!(
            Failure::usage("a reading is compared with that of one node")
                .hint("choose one with --target NAME and --node NAME")
        );
    };
    let snapshot = one
        .readings
        .pop()
        .ok_or_else(|| Failure::usage("there is no reading of the server"))?;
    let name = if source.from.is_empty() && source.stored.is_none() {
        "the server now".to_owned()
    } else {
        one.name
    };
    Ok(Taken { name, snapshot })
}

/// Leaves the statements of one database where one of the readings has no others: all else would be new or gone.
///
/// # Errors
/// A refusal when two of them hold one database each, and not the same.
pub(super) fn narrow(only: Option<&str>, snapshots: &mut [&mut Snapshot]) -> anyhow::Result<()> {
    let held = snapshots
        .iter()
        .filter_map(|snapshot| snapshot.origin.one_database.clone());
    let asked: Vec<String> = only.map(str::to_owned).into_iter().chain(held).collect();
    let Some(name) = asked.first().cloned() else {
        return Ok(());
    };
    if let Some(other) = asked.iter().find(|other| **other != name) {
        bail!(Failure::refused(format!(
            "the readings have no statements in common: one holds those of the database {name} alone, one those of {other}"
        )));
    }
    for snapshot in snapshots {
        let Snapshot {
            databases, entries, ..
        } = &mut **snapshot;
        entries.retain(|entry| databases.get(&entry.key.dbid) == Some(&name));
        snapshot.origin.one_database = Some(name.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_stored_readings_are_told_apart() {
        let which = |text: &str| which(Path::new(text));
        assert_eq!(which("last"), Some(Which::Last));
        assert_eq!(which("12"), Some(Which::Id(12)));
        let name = "release-41".to_owned();
        assert_eq!(which("release-41"), Some(Which::Name(name)));
        for file in ["./last", "dir/12", "missing.gz", "Cargo.toml", "a b"] {
            assert_eq!(which(file), None, "{file}");
        }
    }

    #[test]
    fn readings_of_one_database_are_not_compared_with_those_of_another() {
        let of = |name: Option<&str>| {
            let mut snapshot = Snapshot::default();
            snapshot.origin.one_database = name.map(str::to_owned);
            snapshot
        };
        let (mut a, mut b) = (of(Some("a")), of(None));
        assert!(narrow(None, &mut [&mut a, &mut b]).is_ok());
        assert_eq!(b.origin.one_database.as_deref(), Some("a"));
        assert!(narrow(None, &mut [&mut a, &mut of(Some("b"))]).is_err());
        assert!(narrow(Some("b"), &mut [&mut a]).is_err());
    }
}
