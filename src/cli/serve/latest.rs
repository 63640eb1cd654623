//! What the last looks found, in every form that is asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::time::Instant;

use crate::checks::ready::Nodes;
use crate::checks::verdict::Gathered;
use crate::render::check::{self as render, Report};

/// Why there is nothing to tell: no look ended yet.
pub(super) const NOT_YET: &str = "nothing was measured yet";
/// Why what there is may not be told.
const STALE: &str = "the last look is too old";

/// The last looks at all targets.
#[derive(Debug)]
pub(super) struct Latest {
    /// `None`: it was not looked at yet.
    targets: BTreeMap<String, Option<OfTarget>>,
    /// The verdict over all of them; `None` until each was looked at.
    forms: Option<Arc<Forms>>,
}

/// The last look at a target.
#[derive(Debug)]
pub(super) struct OfTarget {
    /// When it began: what it shows is no older.
    pub(super) begun: Instant,
    /// Which nodes may be given requests.
    pub(super) ready: Nodes,
    /// The same of the groups of the plan files.
    pub(super) groups: BTreeMap<String, Nodes>,
}

/// A verdict in the forms that are asked for; made once a look, however many ask.
#[derive(Debug)]
pub(super) struct Forms {
    pub(super) json: Bytes,
    pub(super) metrics: Bytes,
    pub(super) page: Bytes,
}

impl Forms {
    /// Renders a verdict.
    pub(super) fn of(report: &Report, gathered: &Gathered, every: Duration) -> Self {
        Self {
            json: render::json(report).into(),
            metrics: render::openmetrics(report).into(),
            page: render::dashboard(report, gathered, every).into(),
        }
    }
}

impl Latest {
    /// Nothing is known of targets of these names.
    pub(super) fn of(targets: impl IntoIterator<Item = String>) -> Self {
        Self {
            targets: targets.into_iter().map(|name| (name, None)).collect(),
            forms: None,
        }
    }

    /// Takes the place of what was known of some targets.
    pub(super) fn take(&mut self, fresh: Vec<(String, OfTarget)>, forms: Option<Arc<Forms>>) {
        for (name, seen) in fresh {
            self.targets.insert(name, Some(seen));
        }
        self.forms = forms;
    }

    /// The verdict, where a look at a target follows another at this pace.
    ///
    /// # Errors
    /// Why it is not to be told: of a target nothing is known, or nothing new.
    pub(super) fn forms(&self, pace: Duration) -> Result<Arc<Forms>, &'static str> {
        self.all(pace)?;
        self.forms.clone().ok_or(NOT_YET)
    }

    /// What is known of each target.
    ///
    /// # Errors
    /// As those of [`Latest::forms`].
    pub(super) fn all(&self, pace: Duration) -> Result<Vec<&OfTarget>, &'static str> {
        let all = self.targets.values();
        all.map(|seen| seen.as_ref().ok_or(NOT_YET)?.fresh(pace))
            .collect()
    }

    /// What is known of each target that was looked at, however old.
    pub(super) fn known(&self) -> impl Iterator<Item = (&str, &OfTarget)> {
        let all = self.targets.iter();
        all.filter_map(|(name, seen)| Some((name.as_str(), seen.as_ref()?)))
    }

    /// Whether a target of this name, or any where none is given, was not looked at yet.
    pub(super) fn is_incomplete(&self, target: Option<&str>) -> bool {
        let mut all = self.targets.iter();
        all.any(|(name, seen)| seen.is_none() && target.is_none_or(|target| target == name))
    }
}

impl OfTarget {
    /// Returns it unless it is too old to be told.
    pub(super) fn fresh(&self, pace: Duration) -> Result<&Self, &'static str> {
        if self.begun.elapsed() > pace * 2 + Duration::from_secs(1) {
            return Err(STALE);
        }
        Ok(self)
    }
}
