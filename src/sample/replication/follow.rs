//! Waits until what was marked on the primary is replayed elsewhere.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::lsn::Lsn;
use super::model::{Followed, Sender};
use super::read::{position, senders};
use crate::conn::Session;
use crate::conn::failure::describe_error;
use crate::conn::wait::{self, Waited};

/// A position of the primary and the time in which it was made.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    /// The position; what is before it is what is waited for.
    pub lsn: Lsn,
    /// It was not made before this.
    pub sent: Instant,
    /// Nor after this.
    pub done: Instant,
}

/// Longest wait inside the server: whoever gave up waiting leaves it behind for no longer.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Beyond what the server was told to wait for, an answer may take this long.
const GRACE: Duration = Duration::from_millis(500);

/// Waits until a standby has replayed a mark. The server looks by itself, often at first, then about every fiftieth of
/// the time that has passed, so that the answer is never coarser than that, and is one statement however long it takes;
/// where it cannot, it is asked again and again.
pub async fn replayed(session: &Session, mark: Mark, until: Instant) -> Followed {
    let mut not_yet = mark.done;
    loop {
        let asked = Instant::now();
        let left = until.saturating_duration_since(asked).min(AT_ONCE);
        let position = mark.lsn.to_string();
        let waiting = wait::replayed(session, &position, mark.done.elapsed(), left);
        let Ok(answer) = tokio::time::timeout(left + GRACE, waiting).await else {
            return not_seen(mark);
        };
        let answered = Instant::now();
        match answer {
            Ok(Waited::Promoted) => {
                return Followed::Failed("it takes writes: it was promoted".to_owned());
            }
            Ok(Waited::Looked(looks)) => {
                if let Some(last) = looks.not_yet {
                    not_yet = asked + last;
                }
                if looks.seen {
                    return Followed::Seen {
                        low_s: not_yet.saturating_duration_since(mark.done).as_secs_f64(),
                        high_s: (answered - mark.sent).as_secs_f64(),
                    };
                }
                if answered >= until {
                    return not_seen(mark);
                }
            }
            Err(_) => return asked_for(session, mark, until).await,
        }
    }
}

/// The same, asking again and again.
async fn asked_for(session: &Session, mark: Mark, until: Instant) -> Followed {
    let mut not_yet = mark.done;
    loop {
        let asked = Instant::now();
        let left = until.saturating_duration_since(asked);
        let answer = tokio::time::timeout(left.max(Duration::from_millis(1)), position(session));
        match answer.await {
            // A position of a history of its own would be compared with that of the mark.
            Ok(Ok(position)) if !position.in_recovery => {
                return Followed::Failed("it takes writes: it was promoted".to_owned());
            }
            Ok(Ok(position)) => {
                if position.replayed.is_some_and(|lsn| lsn >= mark.lsn) {
                    let answered = Instant::now();
                    return Followed::Seen {
                        low_s: not_yet.saturating_duration_since(mark.done).as_secs_f64(),
                        high_s: (answered - mark.sent).as_secs_f64(),
                    };
                }
            }
            Ok(Err(error)) => return Followed::Failed(describe_error(&error)),
            Err(_) => return not_seen(mark),
        }
        not_yet = asked;
        if Instant::now() >= until {
            return not_seen(mark);
        }
        tokio::time::sleep(pause(mark.done.elapsed())).await;
    }
}

fn not_seen(mark: Mark) -> Followed {
    Followed::NotSeen {
        after_s: mark.done.elapsed().as_secs_f64(),
    }
}

fn pause(passed: Duration) -> Duration {
    (passed / 50).clamp(Duration::from_millis(1), Duration::from_millis(100))
}

/// What the receivers of a primary confirmed of a mark. A receiver confirms at once what it stores, so one that neither
/// confirms it nor goes on is not there.
#[derive(Debug, Default)]
pub struct Confirmed {
    seen: BTreeMap<i32, bool>,
    first: BTreeMap<i32, Option<Lsn>>,
}

impl Confirmed {
    /// Takes note of a look at the senders after the mark.
    pub fn note(&mut self, rows: &[Sender], mark: Lsn) {
        for row in rows {
            // One that catches up is behind and says so; a role that may not see positions sees none.
            if row.is_backup() || row.is_logical() || row.state.as_deref() != Some("streaming") {
                continue;
            }
            let before = *self.first.entry(row.pid).or_insert(row.flushed);
            let there = row
                .flushed
                .is_some_and(|lsn| lsn >= mark || before.is_some_and(|before| lsn > before));
            *self.seen.entry(row.pid).or_default() |= there;
        }
        self.seen
            .retain(|pid, _| rows.iter().any(|row| row.pid == *pid));
    }

    /// Whether all did.
    pub fn is_complete(&self) -> bool {
        self.seen.values().all(|there| *there)
    }

    /// Whether each did, by the pid of its sender.
    pub fn into_map(self) -> BTreeMap<i32, bool> {
        self.seen
    }
}

/// Asks the primary until every receiver has confirmed that it stored a mark; returns for each, by the pid of its
/// sender, whether it did in time, or at least went on. Also how far the primary was at the last look.
pub async fn confirmed(
    session: &mut Session,
    mark: Mark,
    until: Instant,
    mut so_far: Confirmed,
) -> (BTreeMap<i32, bool>, Option<Lsn>) {
    let mut end = None;
    loop {
        let left = until.saturating_duration_since(Instant::now()).max(GRACE);
        let Ok(Ok((rows, flushed))) = tokio::time::timeout(left, senders(session)).await else {
            return (so_far.into_map(), end);
        };
        end = flushed;
        so_far.note(&rows, mark.lsn);
        if so_far.is_complete() || Instant::now() >= until {
            return (so_far.into_map(), end);
        }
        tokio::time::sleep(pause(mark.done.elapsed())).await;
    }
}
