//! Everything that was measured on targets, and what could not be.

use std::sync::Arc;

use super::Raw;
use crate::checks::judge::{Labels, Measured};
use crate::checks::reason::Reason;
use crate::plan_file::metric::Metric;

/// Something that could not be measured at all on a target or one of its nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Missing {
    /// The metrics meant: a family (`query`), or one by its whole name.
    pub metrics: &'static str,
    /// Where: `target`, perhaps `node`.
    pub labels: Arc<Labels>,
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people.
    pub why: String,
}

/// Everything that was measured, and what could not be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gathered {
    /// The figures.
    pub measured: Vec<Measured>,
    /// What there are none of.
    pub missing: Vec<Missing>,
    /// Looks of which figures over time are made.
    pub raw: Vec<Raw>,
}

impl Gathered {
    /// Takes what was gathered elsewhere, too.
    pub fn extend(&mut self, other: Self) {
        self.measured.extend(other.measured);
        self.missing.extend(other.missing);
        self.raw.extend(other.raw);
    }

    /// Drops what is not of a target.
    pub fn keep_target(&mut self, target: &str) {
        let is = |labels: &Labels| labels.get("target").is_some_and(|name| **name == *target);
        self.measured.retain(|one| is(&one.labels));
        self.missing.retain(|one| is(&one.labels));
        self.raw.retain(|one| is(&one.labels));
    }
}

impl Missing {
    /// Whether it is why there is no figure of a metric.
    pub fn is_of(&self, metric: &Metric) -> bool {
        [metric.name, metric.source()].contains(&self.metrics)
            || metric.name.split('.').next() == Some(self.metrics)
    }
}
