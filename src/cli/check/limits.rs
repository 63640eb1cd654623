//! How long each step of a look at a target may take.

use std::time::Duration;

use tokio::time::Instant;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) deadline: Instant,
    pub(super) primary_connects: Duration,
    pub(super) replica_connects: Duration,
    /// Each look and each reading.
    pub(super) answer: Duration,
    /// The wait for the probe, beside the delay that a replica is set to keep.
    pub(super) patience: Duration,
    /// A replica that is set to keep a longer one is not waited for.
    pub(super) longest_delay: Duration,
    pub(super) most: Duration,
}

impl Limits {
    /// Connecting, looking, waiting and reading follow each other and must end within what there is.
    pub(super) fn within(most: Duration) -> Self {
        Self {
            deadline: Instant::now() + most,
            primary_connects: most / 3,
            replica_connects: (most / 8).min(Duration::from_secs(2)),
            answer: (most / 8).max(Duration::from_secs(1)).min(most / 3),
            patience: (most / 4).min(Duration::from_secs(3)),
            longest_delay: most / 4,
            most,
        }
    }
}
