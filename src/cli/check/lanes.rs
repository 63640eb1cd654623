//! Looks at every target at times of its own, for a server: one that is slow or hangs delays no other.
//!
//! The looks share a thread, and what they find is judged on another: computing must not make lag look longer than it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::rounds::{Look, Rounds};
use super::{Memory, gather, saved, state};
use crate::checks::trail::Trail;
use crate::checks::verdict::{Gathered, Part, Policy, Verdict, verdict};
use crate::cli::context::clock;
use crate::plan_file::Millis;

/// Looks that end within this long of each other make one report.
const NEIGHBOURS: Duration = Duration::from_millis(250);

/// What was found at a target.
pub(in crate::cli) struct Found {
    target: String,
    begun: Instant,
    gathered: Gathered,
}

/// What is to be told after one or more targets were looked at.
pub(in crate::cli) struct News<'a> {
    /// The targets that were looked at, with when that began and what the rules say of each.
    pub(in crate::cli) fresh: &'a [(String, Instant, Verdict)],
    /// All that is known of all targets; none until each was looked at.
    pub(in crate::cli) look: Option<Look>,
}

/// What was last found at a target, and what the rules say of it.
struct Seen {
    gathered: Gathered,
    verdict: Verdict,
}

impl Rounds<'_> {
    /// Looks at each target at once and then every so often, until nobody takes what is found.
    ///
    /// # Errors
    /// A setting of a node that cannot be right when it begins.
    pub(in crate::cli) async fn look_in_lanes(&self, found: Sender<Found>) -> anyhow::Result<()> {
        gather::refuse_wrong_settings(self.context, &self.targets)?;
        let places = gather::Places::default();
        let lanes = self.targets.iter().map(async |selected| {
            let mut ticks = interval(Duration::from_millis(self.every.0));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let begun = Instant::now();
                let (plan, asked, how) = (&self.plan, &self.asked, self.how());
                let gathered =
                    gather::target(self.context, plan, asked, selected, how, &places).await;
                let target = selected.name.clone();
                let one = Found {
                    target,
                    begun,
                    gathered,
                };
                if found.send(one).is_err() {
                    return;
                }
            }
        });
        join_all(lanes).await;
        Ok(())
    }

    /// Judges what is found until no more is, and hands on what there is to tell.
    pub(in crate::cli) fn judge_lanes(
        &self,
        found: &Receiver<Found>,
        stop: impl Fn() -> bool,
        mut each: impl FnMut(anyhow::Result<News<'_>>),
    ) {
        let mut judge = Judge {
            rounds: self,
            names: self.targets.iter().map(|one| one.name.clone()).collect(),
            seen: BTreeMap::new(),
            rest: Verdict::default(),
            memory: Memory::default(),
        };
        while let Some(batch) = next(found, judge.names.len(), self.every) {
            match judge.take(batch, &stop) {
                Ok(None) => return,
                Ok(Some((fresh, look))) => each(Ok(News {
                    fresh: &fresh,
                    look,
                })),
                Err(error) => each(Err(error)),
            }
        }
    }
}

/// Waits for what is found, and a little longer for its neighbours, but not for more than all targets.
fn next(found: &Receiver<Found>, most: usize, every: Millis) -> Option<Vec<Found>> {
    let mut batch = vec![found.recv().ok()?];
    let patience = NEIGHBOURS.min(Duration::from_millis(every.0 / 4));
    let until = std::time::Instant::now() + patience;
    while batch.len() < most {
        let left = until.saturating_duration_since(std::time::Instant::now());
        match found.recv_timeout(left) {
            Ok(one) => batch.push(one),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    Some(batch)
}

/// What is known of all targets.
struct Judge<'a> {
    rounds: &'a Rounds<'a>,
    names: BTreeSet<String>,
    seen: BTreeMap<String, Seen>,
    rest: Verdict,
    memory: Memory,
}

/// What the rules say of targets, each with when the look at it began.
type Fresh = Vec<(String, Instant, Verdict)>;

impl Judge<'_> {
    /// Judges what was found; `None` where it is to stop.
    fn take(
        &mut self,
        batch: Vec<Found>,
        stop: impl Fn() -> bool,
    ) -> anyhow::Result<Option<(Fresh, Option<Look>)>> {
        let rounds = self.rounds;
        let policy = Policy::of(&rounds.plan, &rounds.rules);
        let targets: Vec<String> = self.names.iter().cloned().collect();
        let handed = saved::handed(&rounds.args.input)?;
        let judged = |memory: &mut Memory| -> anyhow::Result<_> {
            let now = rounds.context.as_of().unwrap_or_else(clock);
            let mut fresh: Fresh = Vec::new();
            for one in batch {
                let Found {
                    target,
                    begun,
                    mut gathered,
                } = one;
                saved::complete(&mut gathered, policy, &handed, &targets, now)?;
                gathered.keep_target(&target);
                let of_it = policy.part(Part::Target(&target));
                let verdict = verdict(of_it, &gathered, memory, now);
                fresh.push((target.clone(), begun, verdict.clone()));
                self.seen.insert(target, Seen { gathered, verdict });
            }
            let of_rest = Policy {
                stages: None,
                ..policy.part(Part::Rest(&self.names))
            };
            self.rest = verdict(of_rest, &Gathered::default(), memory, now);
            Ok((fresh, now, memory.trail().clone()))
        };
        let done = match &rounds.args.state {
            Some(path) => match state::unless(stop, path, rounds.context, judged)? {
                Some(done) => done?,
                None => return Ok(None),
            },
            None => judged(&mut self.memory)?,
        };
        let (fresh, at, trail) = done;
        Ok(Some((fresh, self.look(at, trail))))
    }

    /// Puts together what is known of all targets, once each was looked at.
    fn look(&self, at: DateTime<Utc>, trail: Trail) -> Option<Look> {
        if self.seen.len() < self.names.len() {
            return None;
        }
        let verdicts = self.seen.values().map(|one| &one.verdict);
        let verdict = Verdict::over(verdicts, &self.rest);
        let mut gathered = Gathered::default();
        for one in self.seen.values() {
            gathered.extend(one.gathered.clone());
        }
        Some(self.rounds.report(verdict, gathered, at, trail))
    }
}

/// A way for what is found from those who look to the one who judges.
pub(in crate::cli) fn way() -> (Sender<Found>, Receiver<Found>) {
    mpsc::channel()
}
