//! Files that `dbops check` takes figures from: snapshots, and what is handed in.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::{Judged, Looked};
use crate::checks::input::{self, Handed};
use crate::checks::snapshot;
use crate::checks::verdict::{Gathered, Memory, Policy};
use crate::cli::context::Context;
use crate::failure::Failure;

/// Reads files of figures that are handed in.
///
/// # Errors
/// A file that cannot be read or understood.
pub(super) fn handed(paths: &[PathBuf]) -> anyhow::Result<Vec<Handed>> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(read(path, input::parse)?);
    }
    Ok(all)
}

fn read<T>(path: &Path, parse: impl Fn(&str) -> Result<T, String>) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let parsed = text.and_then(|text| parse(&text));
    parsed.map_err(|error| Failure::usage(format!("{}: {error}", path.display())).into())
}

/// Adds what is handed in, and tells what nobody handed in.
///
/// # Errors
/// A figure that may be of several targets.
pub(super) fn complete(
    gathered: &mut Gathered,
    policy: Policy<'_>,
    handed: &[Handed],
    targets: &[String],
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    input::add(handed, gathered, targets, policy.defaults.every, now).map_err(|error| {
        Failure::usage(error).hint("give each of them a label: \"labels\": {\"target\": \"main\"}")
    })?;
    input::note_missing(policy.rules, gathered, targets);
    Ok(())
}

/// Looks that were saved.
pub(super) struct Looks {
    targets: Vec<String>,
    all: Vec<(DateTime<Utc>, Gathered)>,
}

/// Reads snapshots; with `--target` only what they hold of that one.
///
/// # Errors
/// A file that cannot be read or understood; a target that none of them holds.
pub(super) fn looks(
    paths: &[PathBuf],
    policy: Policy<'_>,
    handed: &[Handed],
    context: &Context,
) -> anyhow::Result<Looks> {
    if context.as_of().is_some() {
        return Err(Failure::usage(
            "--as-of means nothing with --from: a snapshot is judged as of when it was taken",
        )
        .into());
    }
    let wanted = context.target_name().filter(|name| *name != "all");
    let mut targets: Vec<String> = Vec::new();
    let mut all = Vec::new();
    for path in paths {
        let mut taken = read(path, snapshot::parse)?;
        taken
            .targets
            .retain(|name| wanted.is_none_or(|wanted| wanted == name));
        for (at, mut gathered) in taken.gathered(policy.rules) {
            if let Some(wanted) = wanted {
                gathered.keep_target(wanted);
            }
            complete(&mut gathered, policy, handed, &taken.targets, at)?;
            all.push((at, gathered));
        }
        targets.extend(taken.targets);
    }
    targets.sort();
    targets.dedup();
    if targets.is_empty() {
        let wanted = wanted.unwrap_or_default();
        return Err(Failure::usage(format!("no snapshot holds target `{wanted}`")).into());
    }
    all.sort_by_key(|(at, _)| *at);
    Ok(Looks { targets, all })
}

impl Looks {
    /// When the last one was taken.
    pub(super) fn at(&self) -> DateTime<Utc> {
        self.all.last().map(|(at, _)| *at).unwrap_or_default()
    }

    /// Judges them one after the other.
    pub(super) fn judged(self, policy: Policy<'_>) -> Looked {
        let mut memory = Memory::default();
        let mut last = None;
        for (at, gathered) in &self.all {
            last = Some(Judged::of(policy, gathered, &mut memory, *at));
        }
        Looked {
            last,
            targets: self.targets,
        }
    }
}
