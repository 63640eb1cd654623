//! One verdict over all rules: what holds, what is broken, since when, what is not known and what was left out.
//!
//! Pure: rules, what was measured, and what is remembered of earlier runs in; a [`Verdict`] and the new memory out.
//! It is made once; every form of output and every exit code comes from it.

mod attest;
mod buckets;
mod gathered;
mod kept;
mod memory;
pub mod names;
mod parts;
mod stages;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

pub use self::gathered::{Gathered, Missing};
pub use self::kept::{FEWEST_TIMES, Raw, Seen};
pub use self::memory::Memory;
use self::memory::{Confirmed, Timing};
pub(in crate::checks) use self::memory::{key, target_of};
pub use self::parts::Part;
pub use self::stages::{
    Advice, Figure as StageFigure, Next, Seen as SignalSeen, SignalState, Stage,
};
use super::judge::{Labels, Measured, Reading, fits, passes};
use super::reason::Reason;
use super::trail::Kind;
use crate::plan_file::metric::{Metric, metric};
use crate::plan_file::rule::{Defaults, Level, OnUnknown, Override, Rule, Samples, Threshold};
use crate::plan_file::{Attestation, Millis, Mute, Origin, PlanFile, Stages};

/// What a rule says to one thing measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It holds.
    Ok,
    /// Not looked at, because the node could not be reached.
    Skipped,
    /// A threshold is passed, not yet for as long or as often as the rule wants.
    Pending,
    /// `warn` is passed.
    Warning,
    /// It cannot be told.
    Unknown,
    /// `critical` is passed.
    Critical,
}

impl Status {
    /// All, the worst first.
    pub const ALL: [Self; 6] = [
        Self::Critical,
        Self::Unknown,
        Self::Warning,
        Self::Pending,
        Self::Skipped,
        Self::Ok,
    ];

    /// Returns the word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Pending => "pending",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Critical => "critical",
        }
    }
}

/// What a rule says of one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Id of the rule.
    pub rule: String,
    /// Where the rule stands.
    pub origin: Origin,
    /// The metric.
    pub metric: &'static Metric,
    /// What was measured.
    pub labels: Arc<Labels>,
    /// The stretch of time that its figure is made of; `None`: of one look.
    pub window: Option<Millis>,
    /// What the rule says.
    pub status: Status,
    /// The figure, in the metric's base unit.
    pub reading: Reading,
    /// What the figure rests on.
    pub basis: Arc<str>,
    /// How fine the figure is, in its unit.
    pub resolution: Option<f64>,
    /// Why the rule cannot be told, where it cannot: of a figure that is not known, or not well enough.
    pub doubt: Option<Doubt>,
    /// The thresholds that count for it.
    pub limits: Limits,
    /// Samples that passed, and that were looked at.
    pub samples: Option<Samples>,
    /// Since when the threshold is passed without a break, where that is remembered.
    pub since: Option<DateTime<Utc>>,
    /// The mute that accepts it.
    pub mute: Option<Mute>,
}

/// Why something cannot be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Doubt {
    /// For programs.
    pub reason: Reason,
    /// For people.
    pub why: String,
}

/// The thresholds of a rule for one thing, after overrides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// From when on it is a warning.
    pub warn: Option<Threshold>,
    /// From when on it is critical.
    pub critical: Option<Threshold>,
    /// States that are as they should be.
    pub expect: Vec<String>,
    /// Which override gave them, counted from 0.
    pub from_override: Option<usize>,
}

/// How many findings there are of each status; muted ones are counted apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// They hold.
    pub ok: usize,
    /// Nodes that could not be reached.
    pub skipped: usize,
    /// Not long enough yet.
    pub pending: usize,
    /// Warnings.
    pub warning: usize,
    /// Not known.
    pub unknown: usize,
    /// Critical.
    pub critical: usize,
    /// Accepted by a mute, whatever they are.
    pub muted: usize,
}

/// What all rules say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// Findings, the worst first. Statements that hold are counted alone.
    pub findings: Vec<Finding>,
    /// How many there are of each status.
    pub counts: Counts,
    /// Rules that nothing was measured for: no such object is there.
    pub idle: Vec<String>,
    /// What was measured and no rule looks at, by metric.
    pub uncovered: BTreeMap<&'static str, usize>,
    /// How far each target has grown: advice, which no status comes from.
    pub stages: Vec<Advice>,
}

/// What a verdict is made of beside the figures.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'a> {
    /// The rules.
    pub rules: &'a [Rule],
    /// What they share.
    pub defaults: Defaults,
    /// What is accepted.
    pub mutes: &'a [Mute],
    /// What people vouch for.
    pub attestations: &'a [Attestation],
    /// Stages of growth.
    pub stages: Option<&'a Stages>,
    /// What of everything is judged.
    pub part: Part<'a>,
}

impl<'a> Policy<'a> {
    /// The policy of a plan file with these rules, which may be some of its own.
    pub fn of(plan: &'a PlanFile, rules: &'a [Rule]) -> Self {
        Self {
            rules,
            defaults: plan.defaults,
            mutes: &plan.mutes,
            attestations: &plan.attestations,
            stages: plan.stages.as_ref(),
            part: Part::Whole,
        }
    }

    /// The same for a part of everything.
    #[must_use]
    pub fn part(self, part: Part<'a>) -> Self {
        Self { part, ..self }
    }
}

/// Holds everything gathered against every rule at an instant; `memory` takes what later runs need.
pub fn verdict(
    policy: Policy<'_>,
    gathered: &Gathered,
    memory: &mut Memory,
    now: DateTime<Utc>,
) -> Verdict {
    let mut by_metric: BTreeMap<&str, Vec<&Measured>> = BTreeMap::new();
    for one in &gathered.measured {
        by_metric.entry(one.metric).or_default().push(one);
    }
    let windows = policy.rules.iter();
    let windows = windows.map(|rule| (rule.metric_name(), rule.window));
    // A day more than a signal lasts, because peaks are those of days.
    let signals = policy.stages.map_or(Millis(0), |stages| {
        Millis(stages.longest().0.saturating_add(86_400_000))
    });
    memory
        .kept
        .take(gathered, now, kept::longest(windows).max(signals));
    let mut verdict = Verdict::default();
    for rule in policy.rules.iter().filter(|rule| policy.part.takes(rule)) {
        let Some(metric) = metric(rule.metric_name()) else {
            continue;
        };
        let holding = Holding {
            rule,
            metric,
            policy,
            now,
        };
        let mut any = false;
        let made = made(policy, rule, metric, gathered, memory, now);
        let looked = by_metric.get(metric.name).into_iter().flatten().copied();
        for measured in looked.chain(&made) {
            if fits(&rule.scope, &measured.labels) {
                any = true;
                verdict.add(holding.against(measured, memory));
            }
        }
        for missing in &gathered.missing {
            if missing.is_of(metric) && may_fit(&rule.scope, &missing.labels) {
                any = true;
                verdict.add(holding.missing(missing));
            }
        }
        // What people vouch for is told of the part that it is of.
        if !any && rule.attest.is_none() {
            verdict.idle.push(rule.id.clone());
        }
    }
    for (metric, all) in by_metric {
        let bare = all
            .iter()
            .filter(|one| {
                !policy
                    .rules
                    .iter()
                    .any(|rule| rule.metric == metric && fits(&rule.scope, &one.labels))
            })
            .count();
        if let Some(metric) = self::metric(metric).filter(|_| bare > 0) {
            verdict.uncovered.insert(metric.name, bare);
        }
    }
    if let Some(stages) = policy.stages {
        let every = policy.defaults.every;
        verdict.stages = stages::advise(stages, gathered, &mut memory.kept, every, now);
    }
    memory.forget(now, policy.defaults);
    verdict.sort();
    let judged = verdict.findings.iter();
    let judged = judged.map(|one| (Kind::of(one), &*one.labels, &one.reading));
    let rest = gathered.measured.iter();
    let rest =
        rest.filter_map(|one| Some((metric(one.metric)?.into(), &*one.labels, &one.reading)));
    memory.trail.note(now, judged.chain(rest));
    verdict
}

/// The figures of a metric that no look alone gives.
fn made(
    policy: Policy<'_>,
    rule: &Rule,
    metric: &'static Metric,
    gathered: &Gathered,
    memory: &Memory,
    now: DateTime<Utc>,
) -> Vec<Measured> {
    if rule.attest.is_some() {
        return attest::held(rule, policy.attestations, policy.part, now);
    }
    if metric.over().is_none() {
        return Vec::new();
    }
    let asked = kept::Asked {
        window: rule.window,
        min_volume: rule.min_volume,
    };
    memory.kept.figures(metric, gathered, asked, now)
}

/// Whether something of which only some labels are known can be in a scope.
fn may_fit(scope: &BTreeMap<String, String>, labels: &Labels) -> bool {
    let known = scope.iter().filter(|(key, _)| labels.contains_key(*key));
    let known = known.map(|(key, value)| (key.clone(), value.clone()));
    fits(&known.collect(), labels)
}

impl Verdict {
    fn add(&mut self, finding: Finding) {
        let counts = &mut self.counts;
        if finding.mute.is_some() && finding.status > Status::Pending {
            counts.muted += 1;
        } else {
            match finding.status {
                Status::Ok => counts.ok += 1,
                Status::Skipped => counts.skipped += 1,
                Status::Pending => counts.pending += 1,
                Status::Warning => counts.warning += 1,
                Status::Unknown => counts.unknown += 1,
                Status::Critical => counts.critical += 1,
            }
        }
        // Of thousands of statements those that hold are counted alone.
        if finding.status != Status::Ok || !finding.metric.is_of_statements() {
            self.findings.push(finding);
        }
    }

    /// The worst first, and those that are accepted last.
    fn sort(&mut self) {
        self.findings.sort_by(|a, b| {
            let rank = |one: &Finding| (one.mute.is_some(), std::cmp::Reverse(one.status));
            (rank(a), &a.rule, &a.labels).cmp(&(rank(b), &b.rule, &b.labels))
        });
    }

    /// Returns the worst status that no mute accepts.
    pub fn worst(&self) -> Status {
        let counts = &self.counts;
        let any = |status: &Status| match status {
            Status::Critical => counts.critical > 0,
            Status::Unknown => counts.unknown > 0,
            Status::Warning => counts.warning > 0,
            Status::Pending => counts.pending > 0,
            Status::Skipped | Status::Ok => false,
        };
        let worst = Status::ALL.into_iter().find(any);
        worst.unwrap_or(Status::Ok)
    }
}

/// A rule that is held against things.
struct Holding<'a> {
    rule: &'a Rule,
    metric: &'static Metric,
    policy: Policy<'a>,
    now: DateTime<Utc>,
}

impl Holding<'_> {
    fn against(&self, measured: &Measured, memory: &mut Memory) -> Finding {
        let rule = self.rule;
        let limits = limits(rule, &measured.labels);
        let (raw, doubt) = raw(rule, &limits, measured);
        let timing = Timing {
            lasting: rule.lasting,
            samples: rule.samples,
            every: self.policy.defaults.every,
        };
        let cleared = rule
            .clear
            .is_none_or(|clear| passes(&measured.reading, &clear) == Some(true));
        let remembers = rule.lasting.is_some() || rule.samples.is_some() || rule.clear.is_some();
        let confirmed = if remembers {
            memory.step(&rule.id, &measured.labels, self.now, raw, timing, cleared)
        } else {
            Confirmed::at_once(raw)
        };
        let status = match confirmed.status {
            Status::Unknown => self.unknown_as(),
            other => other,
        };
        self.finding(measured.labels.clone(), status, |finding| {
            finding.reading = measured.reading.clone();
            finding.doubt = doubt;
            finding.basis = Arc::clone(&measured.basis);
            finding.resolution = measured.resolution;
            finding.limits = limits;
            finding.samples = confirmed.samples;
            finding.since = confirmed.since;
        })
    }

    fn missing(&self, missing: &Missing) -> Finding {
        let status = match missing.reason {
            // One that is of a node is told by node.up. A server that is full runs: what it does not let see is unknown.
            Reason::NotConnected
                if ["node", "pooler"]
                    .iter()
                    .any(|name| missing.labels.contains_key(*name)) =>
            {
                Status::Skipped
            }
            _ => self.unknown_as(),
        };
        self.finding(missing.labels.clone(), status, |finding| {
            finding.reading = Reading::unknown(missing.reason, missing.why.clone());
            finding.doubt = Some(Doubt {
                reason: missing.reason,
                why: missing.why.clone(),
            });
            finding.limits = limits(self.rule, &missing.labels);
        })
    }

    fn unknown_as(&self) -> Status {
        match self
            .rule
            .on_unknown
            .unwrap_or(self.policy.defaults.on_unknown)
        {
            OnUnknown::Unknown => Status::Unknown,
            OnUnknown::Warn => Status::Warning,
            OnUnknown::Critical => Status::Critical,
            OnUnknown::Ok => Status::Ok,
        }
    }

    fn finding(
        &self,
        labels: Arc<Labels>,
        status: Status,
        fill: impl FnOnce(&mut Finding),
    ) -> Finding {
        let mute = (status > Status::Pending)
            .then(|| {
                self.policy
                    .mutes
                    .iter()
                    .filter(|mute| mute.until.0 >= self.now.date_naive())
                    .find(|mute| accepts(mute, self.rule, &labels))
            })
            .flatten();
        let mut finding = Finding {
            rule: self.rule.id.clone(),
            origin: self.rule.origin.clone(),
            metric: self.metric,
            labels,
            window: (self.metric.over())
                .map(|_| self.rule.window.unwrap_or(self.metric.usual_window())),
            status,
            reading: Reading::unknown(Reason::NoSample, ""),
            basis: "".into(),
            resolution: None,
            doubt: None,
            limits: Limits::default(),
            samples: None,
            since: None,
            mute: mute.cloned(),
        };
        fill(&mut finding);
        finding
    }
}

/// Whether a mute accepts what a rule finds of something.
fn accepts(mute: &Mute, rule: &Rule, labels: &Labels) -> bool {
    let is = |wanted: &Option<String>, names: &[&str]| {
        wanted.as_ref().is_none_or(|wanted| {
            names
                .iter()
                .any(|name| labels.get(*name).is_some_and(|found| **found == **wanted))
        })
    };
    // A mute's `target` is the object that the finding is about, as well as the cluster.
    let objects = [
        "target",
        "node",
        "slot",
        "table",
        "index",
        "pooler",
        "attestation",
    ];
    mute.rule == rule.id && is(&mute.target, &objects) && is(&mute.fingerprint, &["fingerprint"])
}

/// Returns the thresholds of a rule for something with these labels.
pub fn limits(rule: &Rule, labels: &Labels) -> Limits {
    let special: Option<(usize, &Override)> = rule
        .overrides
        .iter()
        .enumerate()
        .filter(|(_, other)| fits(&other.labels, labels))
        .max_by_key(|(_, other)| other.labels.len());
    let Some((at, other)) = special else {
        return Limits {
            warn: rule.warn,
            critical: rule.critical,
            expect: match rule.attest {
                Some(_) => vec![attest::FRESH.to_owned()],
                None => rule.expect.clone(),
            },
            from_override: None,
        };
    };
    Limits {
        warn: other.warn.or(rule.warn),
        critical: other.critical.or(rule.critical),
        expect: if other.expect.is_empty() {
            rule.expect.clone()
        } else {
            other.expect.clone()
        },
        from_override: Some(at),
    }
}

/// What the figure alone says, and why it cannot where it cannot.
fn raw(rule: &Rule, limits: &Limits, measured: &Measured) -> (Status, Option<Doubt>) {
    match &measured.reading {
        Reading::Unknown { reason, why } => {
            let doubt = Doubt {
                reason: *reason,
                why: why.to_string(),
            };
            return (Status::Unknown, Some(doubt));
        }
        Reading::State(state) => {
            let status = if limits.expect.iter().any(|one| one == state) {
                Status::Ok
            } else {
                // What may be missing is not critical when it is.
                let optional = (measured.labels.get("required")).is_some_and(|one| **one == *"no");
                match rule.level.unwrap_or(Level::Critical) {
                    Level::Critical if !optional => Status::Critical,
                    Level::Critical | Level::Warn => Status::Warning,
                }
            };
            return (status, None);
        }
        Reading::Value(_) | Reading::Between { .. } => {}
    }
    let mut doubt = None;
    for (threshold, status) in [
        (limits.critical, Status::Critical),
        (limits.warn, Status::Warning),
    ] {
        let Some(threshold) = threshold else {
            continue;
        };
        let resolution = measured.resolution.unwrap_or_default();
        let fine = threshold.is_upper() && threshold.base() < resolution;
        let coarse = fine && too_coarse(&measured.reading, resolution);
        match passes(&measured.reading, &threshold) {
            Some(true) if !coarse => return (status, None),
            Some(false) if !coarse => {}
            _ => {
                let reason = if fine {
                    Reason::BelowResolution
                } else {
                    Reason::NoSample
                };
                let why = if fine {
                    format!("{threshold} is finer than what can be measured here")
                } else {
                    format!("whether it is {threshold} cannot be told from what is counted")
                };
                doubt = Some(Doubt { reason, why });
            }
        }
    }
    match doubt {
        Some(doubt) => (Status::Unknown, Some(doubt)),
        None => (Status::Ok, None),
    }
}

/// Whether a figure is within its own error.
fn too_coarse(reading: &Reading, resolution: f64) -> bool {
    matches!(reading, Reading::Value(value) if *value <= resolution)
}

/// What is wrong with mutes: over, or of no rule. See [`super::judge::stale_mutes`].
pub fn stale(policy: Policy<'_>, today: NaiveDate) -> Vec<super::judge::Expired> {
    super::judge::stale_mutes(policy.mutes, policy.rules, today)
}

#[cfg(test)]
mod tests;
