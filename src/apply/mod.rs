//! The only writer: lock budget, observer, steps, recovery.
//!
//! Runs a [`Changeset`](crate::changes::changeset::Changeset) exactly as it is shown. The structure
//! is read again under the advisory lock by the caller before the first step, and each destructive
//! statement carries a guard that looks again under the table's own lock.

mod batch;
mod clear;
mod concurrent;
pub mod exclusive;
mod follow;
mod forecast;
mod index_state;
mod jobs;
mod observer;
pub mod outcome;
pub mod probe;
mod ready;
mod run;
mod step;
mod watch;

pub use forecast::{Forecast, blockers_forecast, exclusive_lockers};
pub use outcome::{Blocked, Blocker, BuildProgress, Outcome, Status, StepOutcome, Wait};
pub use run::{Events, Runner, run, stops_nobody};
