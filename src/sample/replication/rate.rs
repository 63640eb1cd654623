//! How fast a primary writes WAL, and over which stretch of time that is known.

use super::lsn::Lsn;

/// A shorter stretch tells no rate. The server keeps whole seconds of when a checkpoint began, rounded down (`time(NULL)`
/// in `CreateCheckPoint`), so the stretch is up to a second too long: of 10 s this makes the rate 10 % too low at most.
///
/// Source: <https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/access/transam/xlog.c>
const SHORTEST_S: f64 = 10.0;

/// WAL of a primary over a stretch of time until now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WalRate {
    /// Bytes written.
    pub bytes: u64,
    /// Length of the stretch in seconds, above 0.
    pub seconds: f64,
    /// What it began with.
    pub since: Since,
}

/// What a stretch began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The last completed checkpoint, when that began.
    Checkpoint,
    /// The start of the server: its last checkpoint was before.
    Start,
    /// A look of dbops.
    Look,
}

impl WalRate {
    /// The rate between two looks; `None`: no time has passed.
    pub fn between(before: Lsn, after: Lsn, seconds: f64) -> Option<Self> {
        (seconds > 0.0).then_some(Self {
            bytes: before.behind(after),
            seconds,
            since: Since::Look,
        })
    }

    /// Returns bytes per second.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rate is not exact to the byte"
    )]
    pub fn per_s(&self) -> f64 {
        self.bytes as f64 / self.seconds
    }
}

/// What `pg_control_checkpoint()` says of a primary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checkpoint {
    /// WAL since the last completed checkpoint began; `None`: a standby, or the checkpoint is of another timeline.
    pub bytes: Option<i64>,
    /// Seconds since then, by the server's clock.
    pub age_s: f64,
    /// Seconds since the server was started.
    pub start_age_s: f64,
}

/// Returns the rate since the last checkpoint. A server that is down writes nothing: where it was started later, that
/// counts. `None`: the stretch is too short, or the clock was set back.
pub fn since_checkpoint(seen: &Checkpoint) -> Option<WalRate> {
    let (seconds, since) = if seen.start_age_s < seen.age_s {
        (seen.start_age_s, Since::Start)
    } else {
        (seen.age_s, Since::Checkpoint)
    };
    let bytes = u64::try_from(seen.bytes?).ok()?;
    (seconds >= SHORTEST_S).then_some(WalRate {
        bytes,
        seconds,
        since,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(bytes: i64, age_s: f64, start_age_s: f64) -> Option<WalRate> {
        since_checkpoint(&Checkpoint {
            bytes: Some(bytes),
            age_s,
            start_age_s,
        })
    }

    #[test]
    fn a_rate_is_that_since_the_checkpoint_or_since_the_start_where_that_was_later() {
        let rate = seen(2_140, 214.0, 86_400.0).unwrap();
        assert_eq!((rate.per_s(), rate.since), (10.0, Since::Checkpoint));
        // Three hours of the stretch the server was down.
        let rate = seen(2_000, 10_820.0, 20.0).unwrap();
        assert_eq!((rate.per_s(), rate.since), (100.0, Since::Start));
        assert_eq!(seen(0, 214.0, 900.0).unwrap().per_s(), 0.0);
    }

    #[test]
    fn what_is_younger_than_its_resolution_allows_tells_no_rate() {
        assert_eq!(seen(1_000, 9.99, 900.0), None);
        assert_eq!(seen(1_000, 900.0, 9.99), None);
        // The clock was set back.
        assert_eq!(seen(1_000, -3_600.0, 900.0), None);
        let rate = seen(1_000, 10.0, 900.0).unwrap();
        // Nine seconds and a little are the least that ten can be.
        assert!(rate.per_s() >= 0.9 * 1_000.0 / 9.0 - 1e-9);
        let bytes = None;
        let standby = Checkpoint {
            bytes,
            age_s: 60.0,
            start_age_s: 60.0,
        };
        assert_eq!(since_checkpoint(&standby), None);
        assert_eq!(seen(-1, 60.0, 60.0), None);
    }

    #[test]
    fn two_looks_tell_a_rate_once_time_has_passed() {
        let rate = WalRate::between(Lsn(100), Lsn(3_100), 1.5).unwrap();
        assert_eq!((rate.per_s(), rate.since), (2_000.0, Since::Look));
        assert_eq!(WalRate::between(Lsn(1), Lsn(2), 0.0), None);
    }
}
