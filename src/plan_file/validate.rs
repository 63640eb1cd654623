//! What types cannot say: combinations that make no sense, values out of range.

use std::ops::Range;

use super::diagnose::Diagnostic;
use super::document::Document;
use super::position::{Path, Step};
use super::{
    LockBudget, attestation, ready, validate_index, validate_policy, validate_rule,
    validate_stages, validate_target,
};

/// One entry of a plan file, for the checks.
pub(super) struct Entry<'a> {
    document: &'a Document,
    path: Path,
}

impl<'a> Entry<'a> {
    /// Makes the entry at a path.
    pub(super) fn new(document: &'a Document, path: Path) -> Self {
        Self { document, path }
    }

    /// Returns the entry below a key.
    pub(super) fn below(&self, key: &str) -> Self {
        Self::new(self.document, self.path.key(key))
    }

    /// Returns the elements of the list below a key that were read.
    pub(super) fn elements(&self, key: &str) -> Vec<Self> {
        self.document
            .elements(&self.path.key(key))
            .into_iter()
            .map(|path| Self::new(self.document, path))
            .collect()
    }

    /// Whether the file gives the key, readable or not.
    pub(super) fn gives(&self, key: &str) -> bool {
        self.document.has(&self.path.key(key))
    }

    /// Whether the file gives a list with items below the key, readable or not.
    pub(super) fn gives_items(&self, key: &str) -> bool {
        self.document.has(&self.path.key(key).index(0))
    }

    /// Whether the key's value had a problem, which was reported.
    pub(super) fn is_broken(&self, key: &str) -> bool {
        self.document.is_skipped(&self.path.key(key))
    }

    /// Returns the key's value as it was written.
    pub(super) fn written(&self, key: &str) -> Option<String> {
        self.document.scalar(&self.path.key(key))
    }

    /// Makes an error at the value of a key.
    pub(super) fn error(&self, key: &str, message: impl AsRef<str>, label: &str) -> Diagnostic {
        Diagnostic::error(message).spot(self.document.spot(&self.path.key(key), label))
    }

    /// Makes an error at a key itself.
    pub(super) fn key_error(&self, key: &str, message: impl AsRef<str>, label: &str) -> Diagnostic {
        Diagnostic::error(message).spot(self.document.spot_key(&self.path.key(key), label))
    }

    /// Makes an error for a key that is not there.
    pub(super) fn missing(&self, key: &str) -> Diagnostic {
        self.own_error(
            format!("`{key}` is missing in `{}`", self.path),
            &format!("no `{key}` in this entry"),
        )
    }

    /// Makes an error at the first line of the entry.
    pub(super) fn own_error(&self, message: impl AsRef<str>, label: &str) -> Diagnostic {
        Diagnostic::error(message).spot(self.document.spot_first(&self.path, label))
    }

    /// Makes an error at the entry's own value.
    pub(super) fn value_error(&self, message: impl AsRef<str>, label: &str) -> Diagnostic {
        Diagnostic::error(message).spot(self.document.spot(&self.path, label))
    }

    /// Makes an error at bytes `start..end` of the text below some steps.
    pub(super) fn error_within(
        &self,
        steps: &[Step],
        message: impl AsRef<str>,
        place: Range<usize>,
    ) -> Diagnostic {
        let mut path = self.path.clone();
        path.0.extend_from_slice(steps);
        Diagnostic::error(message).spot(self.document.spot_within(
            &path,
            place.start,
            place.end,
            "",
        ))
    }

    /// Makes a warning at the value of a key.
    pub(super) fn warning(&self, key: &str, message: impl AsRef<str>, label: &str) -> Diagnostic {
        Diagnostic::warning(message).spot(self.document.spot(&self.path.key(key), label))
    }
}

/// What another plan file may bring.
pub(super) struct Open {
    /// Labels of rules that some replica must have.
    pub(super) labels: Vec<validate_rule::OpenLabel>,
    /// Rules and nodes that `ready` names.
    pub(super) names: Vec<ready::Open>,
}

/// Checks one plan file by itself; returns what it needs of others.
pub(super) fn document(document: &Document, problems: &mut Vec<Diagnostic>) -> Open {
    let root = Entry::new(document, Path::default());
    lock_budget(&root, &document.plan.lock_budget, problems);
    for (name, target) in &document.plan.targets {
        validate_target::target(&root.below("targets"), name, target, problems);
    }
    for (policy, entry) in document
        .plan
        .partitions
        .iter()
        .zip(root.elements("partitions"))
    {
        validate_policy::policy(&entry, policy, problems);
    }
    for (index, entry) in document.plan.indexes.iter().zip(root.elements("indexes")) {
        validate_index::index(&entry, index, problems);
    }
    let mut labels = Vec::new();
    for (rule, entry) in document.plan.rules.iter().zip(root.elements("rules")) {
        validate_rule::rule(&entry, rule, problems, &mut labels);
    }
    for (mute, entry) in document.plan.mutes.iter().zip(root.elements("mutes")) {
        validate_rule::mute(&entry, mute, problems);
    }
    let attestations = &document.plan.attestations;
    for (one, entry) in attestations.iter().zip(root.elements("attestations")) {
        attestation::validate(&entry, one, problems);
    }
    if let Some(stages) = &document.plan.stages {
        validate_stages::stages(&root.below("stages"), stages, problems);
    }
    let mut names = Vec::new();
    for (name, group) in &document.plan.ready {
        names.extend(ready::validate(&root.below("ready"), name, group, problems));
    }
    Open { labels, names }
}

/// Checks the `lock_budget` below an entry.
pub(super) fn lock_budget(entry: &Entry<'_>, budget: &LockBudget, problems: &mut Vec<Diagnostic>) {
    let below = entry.below("lock_budget");
    for (key, value) in [
        ("max_block", budget.max_block),
        ("give_up_after", budget.give_up_after),
        ("patience", budget.patience),
    ] {
        if value.0 == 0 && below.gives(key) {
            problems.push(
                below
                    .error(
                        key,
                        format!("`{key}` of 0 lets dbops try nothing"),
                        "must be above 0",
                    )
                    .help("the defaults are `max_block: 100ms`, `give_up_after: 60s` and `patience: 30min`"),
            );
            return;
        }
    }
    if budget.max_block >= budget.give_up_after {
        let key = if below.gives("max_block") {
            "max_block"
        } else {
            "give_up_after"
        };
        problems.push(
            below
                .error(
                    key,
                    format!(
                        "`max_block` ({}) must be shorter than `give_up_after` ({})",
                        budget.max_block, budget.give_up_after
                    ),
                    "leaves no time for a second attempt",
                )
                .help("`max_block` bounds one attempt, `give_up_after` the whole step"),
        );
    }
}
