//! Connections: what a server and its poolers take, which wall is hit first, and why a pool waits.

pub mod budget;
pub mod capacity;
pub mod finding;
pub mod groups;
pub mod measured;
pub mod pooler;
pub mod status;
pub mod tree;
pub mod waits;

#[cfg(test)]
mod testing;
