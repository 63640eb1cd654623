//! One plan file: its text, the places in it and the types read from it.

use std::collections::BTreeSet;

use serde_yaml::Value;

use super::diagnose::{Diagnostic, Spot};
use super::load::Source;
use super::position::{Path, Place, Positions};
use super::within::within;
use super::{Origin, PlanFile, read, words};

/// One plan file that could be read at least in part.
pub(super) struct Document {
    /// Its path, for people.
    pub(super) file: String,
    /// What was read; parts with problems are left out.
    pub(super) plan: PlanFile,
    text: String,
    positions: Positions,
    value: Value,
    skipped: BTreeSet<Path>,
}

impl Document {
    /// Reads a source; `None` where nothing in it can be used.
    pub(super) fn read(source: &Source, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        let file = source.path.display().to_string();
        let spot = |place: Place, label: &str| Spot::new(&file, &source.text, place, label);
        let (positions, duplicates) = match Positions::read(&source.text) {
            Ok(read) => read,
            Err(unreadable) => {
                problems.push(words::syntax(&file, &source.text, unreadable));
                return None;
            }
        };
        let first_line = Place {
            line: 1,
            start: 0,
            end: usize::MAX,
        };
        for duplicate in &duplicates {
            problems.push(
                Diagnostic::error(format!("the key `{}` is given twice", duplicate.key))
                    .spot(spot(duplicate.second, "given again here"))
                    .spot(spot(duplicate.first, "given here first"))
                    .help("keep one of the two"),
            );
        }
        if !duplicates.is_empty() {
            return None;
        }
        let mut value: Value = match serde_yaml::from_str(&source.text) {
            Ok(value) => value,
            Err(error) => {
                problems.push(words::yaml(&file, &source.text, &error));
                return None;
            }
        };
        if let Err(error) = value.apply_merge() {
            let place = source
                .text
                .lines()
                .position(|line| line.contains("<<"))
                .map_or(first_line, |at| Place {
                    line: at + 1,
                    ..first_line
                });
            problems.push(
                Diagnostic::error(format!("the merge key `<<` cannot be followed: {error}"))
                    .spot(spot(place, ""))
                    .help("`<<` takes an alias of a mapping, or a list of such aliases"),
            );
            return None;
        }
        match &mut value {
            Value::Null => {
                problems.push(
                    Diagnostic::error(format!("plan file `{file}` is empty"))
                        .spot(spot(first_line, ""))
                        .help("begin it with `version: 1`, or remove the file"),
                );
                return None;
            }
            Value::Mapping(entries) => {
                // A section with nothing but comments below it is an empty section.
                for key in [
                    "targets",
                    "partitions",
                    "indexes",
                    "rules",
                    "mutes",
                    "attestations",
                    "stages",
                    "ready",
                ] {
                    if entries.get(key).is_some_and(Value::is_null) {
                        entries.remove(key);
                        let place = positions.key(&Path::default().key(key));
                        problems.push(
                            Diagnostic::warning(format!("the section `{key}` is empty"))
                                .spot(spot(place.unwrap_or(first_line), "nothing below it")),
                        );
                    }
                }
            }
            _ => {
                let place = positions.value(&Path::default()).unwrap_or(first_line);
                problems.push(
                    Diagnostic::error("a plan file is a mapping of keys to values")
                        .spot(spot(place, "found something else"))
                        .help("begin it with `version: 1`"),
                );
                return None;
            }
        }
        let mut document = Self {
            file,
            plan: PlanFile::default(),
            text: source.text.clone(),
            positions,
            value,
            skipped: BTreeSet::new(),
        };
        document.fill(problems).then_some(document)
    }

    /// Reads the types; false where the file is of another version or gives nothing.
    fn fill(&mut self, problems: &mut Vec<Diagnostic>) -> bool {
        let version = Path::default().key("version");
        match self.value.get("version").cloned() {
            None => {
                problems.push(
                    Diagnostic::error("`version` is missing")
                        .spot(self.spot_first(&Path::default(), "no `version` in this file"))
                        .help("begin the file with `version: 1`"),
                );
                if let Value::Mapping(entries) = &mut self.value {
                    entries.insert("version".into(), 1.into());
                }
            }
            Some(Value::Number(number)) if number.as_u64() == Some(1) => {}
            Some(other) => {
                let newer = other.as_u64().is_some_and(|version| version > 1);
                let diagnostic = Diagnostic::error("this dbops reads plan files of version 1")
                    .spot(self.spot(&version, "expected `1`"));
                problems.push(if newer {
                    diagnostic.help("use a newer dbops for this file")
                } else {
                    diagnostic.help("write `version: 1`")
                });
                return false;
            }
        }
        let reading = read::read::<PlanFile>(&self.value);
        for fault in &reading.faults {
            problems.push(words::fault(self, fault));
        }
        self.skipped = reading.skipped;
        match reading.value {
            Some(plan) => self.plan = plan,
            None => return false,
        }
        self.fill_origins();
        true
    }

    fn fill_origins(&mut self) {
        let root = Path::default();
        let lists = |section: &str, length: usize| -> Vec<Origin> {
            let path = root.key(section);
            read::kept(&self.skipped, &path, length)
                .into_iter()
                .map(|index| self.origin(&path.index(index)))
                .collect()
        };
        let partitions = lists("partitions", self.length("partitions"));
        let indexes = lists("indexes", self.length("indexes"));
        let rules = lists("rules", self.length("rules"));
        let mutes = lists("mutes", self.length("mutes"));
        let attestations = lists("attestations", self.length("attestations"));
        let targets: Vec<(String, Origin)> = self
            .plan
            .targets
            .keys()
            .map(|name| {
                (
                    name.clone(),
                    self.key_origin(&root.key("targets").key(name)),
                )
            })
            .collect();
        for (policy, origin) in self.plan.partitions.iter_mut().zip(partitions) {
            policy.origin = origin;
        }
        for (index, origin) in self.plan.indexes.iter_mut().zip(indexes) {
            index.origin = origin;
        }
        for (rule, origin) in self.plan.rules.iter_mut().zip(rules) {
            rule.origin = origin;
        }
        for (mute, origin) in self.plan.mutes.iter_mut().zip(mutes) {
            mute.origin = origin;
        }
        for (attestation, origin) in self.plan.attestations.iter_mut().zip(attestations) {
            attestation.origin = origin;
        }
        let stages = self.key_origin(&root.key("stages"));
        if let Some(section) = &mut self.plan.stages {
            section.origin = stages;
        }
        let ready: Vec<Origin> = (self.plan.ready.keys())
            .map(|name| self.key_origin(&root.key("ready").key(name)))
            .collect();
        for (group, origin) in self.plan.ready.values_mut().zip(ready) {
            group.origin = origin;
        }
        for (name, origin) in targets {
            if let Some(target) = self.plan.targets.get_mut(&name) {
                target.origin = origin;
            }
        }
    }

    fn length(&self, section: &str) -> usize {
        match self.value.get(section) {
            Some(Value::Sequence(items)) => items.len(),
            _ => 0,
        }
    }

    /// Returns the paths of the elements of a list that were read, in the order they were read in.
    pub(super) fn elements(&self, path: &Path) -> Vec<Path> {
        let length = match read::lookup(&self.value, path) {
            Some(Value::Sequence(items)) => items.len(),
            _ => 0,
        };
        read::kept(&self.skipped, path, length)
            .into_iter()
            .map(|index| path.index(index))
            .collect()
    }

    /// Whether the file gives a value at a path, even one that could not be read.
    pub(super) fn has(&self, path: &Path) -> bool {
        read::lookup(&self.value, path).is_some()
    }

    /// Whether the value at a path had a problem and was left out.
    pub(super) fn is_skipped(&self, path: &Path) -> bool {
        self.skipped.contains(path)
    }

    /// Returns a scalar as it was written.
    pub(super) fn scalar(&self, path: &Path) -> Option<String> {
        self.positions.scalar(path).map(|(text, _)| text)
    }

    /// Returns the spot of the value at a path.
    pub(super) fn spot(&self, path: &Path, label: &str) -> Spot {
        let place = self.positions.value(path).unwrap_or_default();
        let place = if place.start == place.end {
            self.positions.key(path).unwrap_or(place)
        } else {
            place
        };
        Spot::new(&self.file, &self.text, place, label)
    }

    /// Returns the spot of bytes `start..end` of the text at a path; of all of it where it cannot be told.
    pub(super) fn spot_within(&self, path: &Path, start: usize, end: usize, label: &str) -> Spot {
        let found = self.positions.value(path).and_then(|place| {
            let (value, _) = self.positions.scalar(path)?;
            within(&self.text, place, &value, start, end)
        });
        match found {
            Some(place) => Spot::new(&self.file, &self.text, place, label),
            None => self.spot(path, label),
        }
    }

    /// Returns the spot of the key at a path.
    pub(super) fn spot_key(&self, path: &Path, label: &str) -> Spot {
        let place = self.positions.key(path).unwrap_or_default();
        Spot::new(&self.file, &self.text, place, label)
    }

    /// Returns the spot of the first key of the mapping at a path: where an entry begins.
    pub(super) fn spot_first(&self, path: &Path, label: &str) -> Spot {
        match self.positions.keys(path).first() {
            Some(key) => self.spot_key(&path.key(key), label),
            None => self.spot(path, label),
        }
    }

    fn origin(&self, path: &Path) -> Origin {
        self.spot_first(path, "").origin
    }

    fn key_origin(&self, path: &Path) -> Origin {
        self.spot_key(path, "").origin
    }
}
