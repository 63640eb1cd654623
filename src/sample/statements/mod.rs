//! What `pg_stat_statements` counts: entries read at an instant, and their differences.
//!
//! [`mod@column`] and [`model`] are plain values, [`delta`], [`doubt`], [`notes`]
//! and [`recording`] pure; [`read`] and [`windows`] alone ask a server.

pub mod column;
pub mod delta;
pub mod doubt;
pub mod even;
pub mod file;
pub mod model;
pub mod notes;
pub mod read;
pub mod recording;
pub mod unavailable;
pub mod windows;

mod merge;
mod own;
