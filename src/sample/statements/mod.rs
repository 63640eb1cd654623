//! What `pg_stat_statements` counts: entries read at an instant, and their differences.
//!
//! [`column`] and [`model`] are plain values; reading a server stays in files of its own.

pub mod column;
pub mod model;
