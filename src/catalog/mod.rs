//! What the server says now, read in one read-only transaction, as plain data.
//!
//! Rows become structs here and nowhere else; nothing here decides anything. No query takes a lock
//! above ACCESS SHARE on a user's table; [`read`] without sizes takes none at all, but for a moment on
//! tables with a row security policy or an expression in their key. [`indexes::read`] takes ACCESS SHARE.

pub mod advise;
mod answer;
mod detached;
pub mod fingerprint;
mod foreign_keys;
pub mod hypothetical;
mod index_answer;
mod index_arbiters;
mod index_builds;
mod index_duplicates;
mod index_fold;
mod index_list;
pub mod index_model;
pub mod indexes;
pub mod key_model;
pub mod keys;
pub mod model;
mod others;
mod partitions;
pub mod plans;
mod properties;
mod read;
pub mod readiness;
mod rows;
mod server;
mod tables;

pub use answer::answer;
pub use fingerprint::{difference, facts, facts_detached, fingerprint};
pub use model::*;
pub use read::{Scope, Sizes, TableScope, read};
