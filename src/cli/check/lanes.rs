//! Looks at every target at times of its own, for a server: one that is slow or hangs delays no other.
//!
//! The looks share a thread, and what they find is judged on another: computing must not make lag look longer than it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::rounds::{Look, Rounds};
use super::{Memory, gather, saved, state};
use crate::checks::input::Handed;
use crate::checks::trail::Trail;
use crate::checks::verdict::{Gathered, Part, Policy, Verdict, verdict};
use crate::cli::context::clock;
use crate::conn::failure::describe_error;

/// Looks that end within this long of each other make one report.
const NEIGHBOURS: Duration = Duration::from_millis(250);

/// What was found at a target.
struct Found {
    begun: Instant,
    at: DateTime<Utc>,
    gathered: Gathered,
}

/// Where those who look leave what they find. Of each target there is one place: what nobody judged in time gives way to
/// what is newer, however long the one who judges is held up.
#[derive(Default)]
pub(in crate::cli) struct Desk {
    places: Mutex<Places>,
    changed: Condvar,
}

#[derive(Default)]
struct Places {
    found: BTreeMap<String, Found>,
    closed: bool,
}

impl Desk {
    fn leave(&self, target: &str, found: Found) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.found.insert(target.to_owned(), found);
        self.changed.notify_all();
    }

    /// Tells the one who judges that nobody looks any more.
    pub(in crate::cli) fn close(&self) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.closed = true;
        self.changed.notify_all();
    }

    /// Waits for what is found, and a little longer for its neighbours, but for no more than all targets; `None` once
    /// nobody looks any more.
    fn take(&self, all: usize, patience: Duration) -> Option<BTreeMap<String, Found>> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = |places: &mut Places| places.found.is_empty() && !places.closed;
        let places = self.changed.wait_while(places, empty);
        let places = places.unwrap_or_else(PoisonError::into_inner);
        let some = |places: &mut Places| places.found.len() < all && !places.closed;
        let waited = self.changed.wait_timeout_while(places, patience, some);
        let (mut places, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (!places.closed).then(|| std::mem::take(&mut places.found))
    }
}

/// What is to be told after one or more targets were looked at.
pub(in crate::cli) struct News {
    /// The targets that were looked at, with when that began and what the rules say of each.
    pub(in crate::cli) fresh: Vec<(String, Instant, Verdict)>,
    /// All that is known of all targets; none until each was looked at.
    pub(in crate::cli) look: Option<Look>,
}

/// What was last found at a target, and what the rules say of it.
struct Seen {
    at: DateTime<Utc>,
    gathered: Gathered,
    verdict: Verdict,
}

impl Rounds<'_> {
    /// Looks at each target at once and then every so often, for ever.
    ///
    /// # Errors
    /// A setting of a node that cannot be right when it begins.
    pub(in crate::cli) async fn look_in_lanes(&self, desk: &Desk) -> anyhow::Result<()> {
        gather::refuse_wrong_settings(self.context, &self.targets)?;
        let places = gather::Places::default();
        let lanes = self.targets.iter().map(async |selected| {
            let mut ticks = interval(Duration::from_millis(self.every().0));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let begun = Instant::now();
                let (plan, asked, how) = (&self.plan, &self.asked, self.how());
                match gather::target(self.context, plan, asked, selected, how, &places).await {
                    Ok(gathered) => {
                        let found = Found {
                            begun,
                            at: clock(),
                            gathered,
                        };
                        desk.leave(&selected.name, found);
                    }
                    // A service file that is just being written, say: the last look counts until it is too old.
                    Err(error) => self.context.ui.error(&describe_error(&error)),
                }
            }
        });
        join_all(lanes).await;
        Ok(())
    }

    /// Judges what is found until nobody looks any more, and hands on what there is to tell.
    pub(in crate::cli) fn judge_lanes(
        &self,
        desk: &Desk,
        stop: impl Fn() -> bool,
        mut each: impl FnMut(News),
    ) {
        let mut judge = Judge {
            rounds: self,
            names: self.targets.iter().map(|one| one.name.clone()).collect(),
            seen: BTreeMap::new(),
            rest: Verdict::default(),
            memory: Memory::default(),
        };
        let every = Duration::from_millis(self.every().0);
        let mut patience = NEIGHBOURS.min(every / 4);
        while let Some(batch) = desk.take(judge.names.len(), patience) {
            let begun = Instant::now();
            let Some(news) = judge.take(batch, &stop) else {
                return;
            };
            each(news);
            // Where there is much to judge and to draw, it is done less often.
            let took = (begun.elapsed() * 2).min(every);
            patience = NEIGHBOURS.min(every / 4).max(took);
        }
    }
}

/// What is known of all targets.
struct Judge<'a> {
    rounds: &'a Rounds<'a>,
    names: BTreeSet<String>,
    seen: BTreeMap<String, Seen>,
    rest: Verdict,
    /// What was remembered last, for when the state file cannot be used.
    memory: Memory,
}

impl Judge<'_> {
    /// Judges what was found; `None` where it is to stop.
    ///
    /// A state file or a file of figures that cannot be used is told, and what was measured is judged all the same: that
    /// a disk is full here says nothing of the servers.
    fn take(&mut self, batch: BTreeMap<String, Found>, stop: impl Fn() -> bool) -> Option<News> {
        let rounds = self.rounds;
        let warn = |error: &anyhow::Error| rounds.context.ui.error(&describe_error(error));
        let handed = saved::handed(&rounds.args.input).unwrap_or_else(|error| {
            warn(&error);
            Vec::new()
        });
        let mut last = std::mem::take(&mut self.memory);
        let mut batch = Some(batch);
        let mut done = None;
        if let Some(path) = &rounds.args.state {
            let kept = state::unless(stop, path, rounds.context, |memory| {
                done = (batch.take()).map(|batch| self.judge(batch, &handed, memory));
                last.clone_from(memory);
            });
            match kept {
                Ok(Some(())) => {}
                Ok(None) => return None,
                Err(error) => warn(&error),
            }
        }
        if let Some(batch) = batch {
            done = Some(self.judge(batch, &handed, &mut last));
        }
        let fresh = done.unwrap_or_default();
        let look = self.look(last.trail());
        self.memory = last;
        Some(News { fresh, look })
    }

    fn judge(
        &mut self,
        batch: BTreeMap<String, Found>,
        handed: &[Handed],
        memory: &mut Memory,
    ) -> Vec<(String, Instant, Verdict)> {
        let rounds = self.rounds;
        let policy = Policy::of(&rounds.plan, &rounds.rules);
        let targets: Vec<String> = self.names.iter().cloned().collect();
        let mut batch: Vec<(String, Found)> = batch.into_iter().collect();
        // What is remembered goes on in time.
        batch.sort_by_key(|(_, found)| found.at);
        let mut fresh = Vec::new();
        for (target, found) in batch {
            let Found {
                begun,
                at,
                mut gathered,
            } = found;
            let completed = saved::complete(&mut gathered, policy, handed, &targets, at);
            if let Err(error) = completed {
                rounds.context.ui.error(&describe_error(&error));
            }
            gathered.keep_target(&target);
            let of_it = policy.part(Part::Target(&target));
            let verdict = verdict(of_it, &gathered, memory, at);
            fresh.push((target.clone(), begun, verdict.clone()));
            let seen = Seen {
                at,
                gathered,
                verdict,
            };
            self.seen.insert(target, seen);
        }
        let of_rest = Policy {
            stages: None,
            ..policy.part(Part::Rest(&self.names))
        };
        self.rest = verdict(of_rest, &Gathered::default(), memory, clock());
        fresh
    }

    /// Puts together what is known of all targets, once each was looked at.
    fn look(&self, trail: &Trail) -> Option<Look> {
        if self.seen.len() < self.names.len() {
            return None;
        }
        let verdicts = self.seen.values().map(|one| &one.verdict);
        let verdict = Verdict::over(verdicts, &self.rest);
        let mut gathered = Gathered::default();
        for one in self.seen.values() {
            gathered.extend(one.gathered.clone());
        }
        // What is told was measured then or later.
        let at = self.seen.values().map(|one| one.at).min()?;
        Some(self.rounds.report(verdict, gathered, at, trail.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn found(seconds: i64) -> Found {
        Found {
            begun: Instant::now(),
            at: DateTime::from_timestamp(seconds, 0).unwrap(),
            gathered: Gathered::default(),
        }
    }

    /// What is taken of the desk: targets, and when each was looked at.
    fn taken(desk: &Desk, all: usize) -> Option<Vec<(String, i64)>> {
        let batch = desk.take(all, Duration::ZERO)?;
        let times = batch.into_iter();
        Some(
            times
                .map(|(name, one)| (name, one.at.timestamp()))
                .collect(),
        )
    }

    #[test]
    fn what_nobody_judged_gives_way_to_what_is_newer() {
        let desk = Desk::default();
        for seconds in 0..1_000 {
            desk.leave("east", found(seconds));
        }
        desk.leave("west", found(5));
        let both = [("east".to_owned(), 999), ("west".to_owned(), 5)];
        assert_eq!(taken(&desk, 2), Some(both.to_vec()));
        desk.close();
        assert_eq!(taken(&desk, 2), None);
    }

    #[test]
    fn the_one_who_judges_is_woken_by_what_is_found_and_by_the_end() {
        let desk = Desk::default();
        thread::scope(|scope| {
            let judge = scope.spawn(|| {
                let mut count = 0;
                while let Some(batch) = desk.take(1, Duration::from_secs(3_600)) {
                    count += batch.len();
                    desk.close();
                }
                count
            });
            desk.leave("east", found(0));
            assert_eq!(judge.join().unwrap(), 1);
        });
    }
}
