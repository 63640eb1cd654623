//! Verdicts of targets that are looked at at times of their own, and the one over all of them.

use std::collections::BTreeSet;

use super::Verdict;
use crate::plan_file::Attestation;
use crate::plan_file::rule::Rule;

/// What of everything is judged.
#[derive(Debug, Clone, Copy, Default)]
pub enum Part<'a> {
    /// All of it at once.
    #[default]
    Whole,
    /// A target.
    Target(&'a str),
    /// What is of none of these targets: attestations that count for all, or for others.
    Rest(&'a BTreeSet<String>),
}

impl Part<'_> {
    /// Whether a rule has anything to say of it.
    pub(super) fn takes(self, rule: &Rule) -> bool {
        rule.attest.is_some() || !matches!(self, Self::Rest(_))
    }

    /// Whether an attestation is of it.
    pub(super) fn has(self, one: &Attestation) -> bool {
        match (self, one.target.as_deref()) {
            (Self::Whole, _) => true,
            (Self::Target(name), target) => target == Some(name),
            (Self::Rest(targets), target) => target.is_none_or(|target| !targets.contains(target)),
        }
    }
}

impl Verdict {
    /// Returns the verdict over every target and the rest, as if all had been judged at once.
    pub fn over<'a>(targets: impl IntoIterator<Item = &'a Self>, rest: &Self) -> Self {
        let mut whole = rest.clone();
        for (at, part) in targets.into_iter().enumerate() {
            whole.findings.extend(part.findings.iter().cloned());
            whole.stages.extend(part.stages.iter().cloned());
            for (metric, bare) in &part.uncovered {
                *whole.uncovered.entry(metric).or_default() += bare;
            }
            let (sum, more) = (&mut whole.counts, part.counts);
            sum.ok += more.ok;
            sum.skipped += more.skipped;
            sum.pending += more.pending;
            sum.warning += more.warning;
            sum.unknown += more.unknown;
            sum.critical += more.critical;
            sum.muted += more.muted;
            // A rule has nothing to look at where no target has it.
            if at == 0 {
                whole.idle.clone_from(&part.idle);
            } else {
                whole.idle.retain(|rule| part.idle.contains(rule));
            }
        }
        whole.sort();
        whole
    }
}

#[cfg(test)]
mod tests;
