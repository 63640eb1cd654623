//! Waits until what was marked on the primary is replayed elsewhere.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::lsn::Lsn;
use super::model::Followed;
use super::read::{position, senders};
use crate::conn::Session;
use crate::conn::failure::describe_error;

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

/// Waits until a standby has replayed a mark, asking it again and again: often at first, then about every fiftieth
/// of the time that has passed, so that the answer is never coarser than that.
pub async fn replayed(session: &Session, mark: Mark, until: Instant) -> Followed {
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

/// Asks the primary until every receiver has confirmed that it stored a mark; returns for each, by the pid of its
/// sender, whether it did in time, or at least went on. A receiver confirms at once what it stores, so one that does
/// neither is not there.
pub async fn confirmed(session: &Session, mark: Mark, until: Instant) -> BTreeMap<i32, bool> {
    let mut seen: BTreeMap<i32, bool> = BTreeMap::new();
    let mut first: BTreeMap<i32, Option<Lsn>> = BTreeMap::new();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let rows = match tokio::time::timeout(left, senders(session)).await {
            Ok(Ok(rows)) => rows,
            _ => return seen,
        };
        for row in &rows {
            // One that catches up is behind and says so; a role that may not see positions sees none.
            if row.is_backup() || row.is_logical() || row.state.as_deref() != Some("streaming") {
                continue;
            }
            let before = *first.entry(row.pid).or_insert(row.flushed);
            let there = row
                .flushed
                .is_some_and(|lsn| lsn >= mark.lsn || before.is_some_and(|before| lsn > before));
            *seen.entry(row.pid).or_default() |= there;
        }
        seen.retain(|pid, _| rows.iter().any(|row| row.pid == *pid));
        if seen.values().all(|there| *there) || Instant::now() >= until {
            return seen;
        }
        tokio::time::sleep(pause(mark.done.elapsed())).await;
    }
}
