//! The only writer: lock budget, observer, steps, recovery.
//!
//! Runs a [`Changeset`](crate::changes::changeset::Changeset) exactly as it is shown. The structure
//! is read again under the advisory lock by the caller before the first step, and each destructive
//! statement carries a guard that looks again under the table's own lock.

mod batch;
pub mod exclusive;
mod observer;
pub mod outcome;
mod run;
mod step;

pub use outcome::{Blocked, Blocker, BuildProgress, Outcome, Status, StepOutcome, Wait};
pub use run::{Events, Runner, run, stops_nobody};
