//! What the nodes of a replication tree say of themselves and of each other, at one instant.
//!
//! [`lsn`], [`model`] and [`rate`] are plain values; [`read`] and [`follow`] alone ask servers.

pub mod follow;
pub mod lsn;
pub mod model;
pub mod rate;
pub mod read;

mod rows;
