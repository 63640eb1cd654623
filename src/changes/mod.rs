//! Pure planners: plan files and catalog in, changeset out. No await, no client, no clock.

pub mod changeset;
pub mod key;
pub mod period;
