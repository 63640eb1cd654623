//! Pure planners: plan files and catalog in, changeset out. No await, no client, no clock.

pub mod bound;
pub mod calendar;
pub mod changeset;
mod iso;
pub mod key;
pub mod names;
pub mod period;
