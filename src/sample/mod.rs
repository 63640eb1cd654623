//! Things that move: what the server counts, read at an instant, and what happened between two readings.

pub mod bundle;
pub mod disk;
pub mod health;
pub mod pool;
pub mod replication;
pub mod statements;
pub mod vitals;
