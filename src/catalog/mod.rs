//! What the server says now, read in one read-only transaction, as plain data.
//!
//! Rows become structs here and nowhere else; nothing here decides anything.

pub mod fingerprint;
pub mod model;

pub use model::*;
