//! Pure planners: plan files and catalog in, changeset out. No await, no client, no clock.

pub mod bound;
pub mod calendar;
pub mod changeset;
pub mod coverage;
mod create;
mod dropping;
pub mod ensure;
pub mod indexes;
pub mod inputs;
mod iso;
pub mod key;
mod locks;
pub mod mark;
pub(crate) mod minors;
pub mod names;
mod obstacles;
pub mod period;
pub mod retention;
pub mod saved;
pub mod script;
pub mod starter;
pub mod survey;
mod uuid;
mod window;
