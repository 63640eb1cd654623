//! What `pg_stat_statements` counts: entries read at an instant, and their differences.
//!
//! [`column`] and [`model`] are plain values; [`read`] alone asks a server.

pub mod column;
pub mod delta;
pub mod doubt;
pub mod file;
pub mod model;
pub mod notes;
pub mod read;
pub mod unavailable;

mod merge;
