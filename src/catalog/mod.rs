//! What the server says now, read in one read-only transaction, as plain data.
//!
//! Rows become structs here and nowhere else; nothing here decides anything. No query takes a lock
//! above ACCESS SHARE on a user's table, and [`read`] without sizes takes next to none at all.

mod answer;
mod detached;
pub mod fingerprint;
mod foreign_keys;
pub mod model;
mod others;
mod partitions;
mod properties;
mod read;
mod rows;
mod server;
mod tables;

pub use answer::answer;
pub use fingerprint::{difference, facts, facts_detached, fingerprint};
pub use model::*;
pub use read::{Scope, Sizes, TableScope, read};
