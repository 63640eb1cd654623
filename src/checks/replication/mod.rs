//! What a sample of nodes means: the tree, lag with what it rests on, slots, and what is wrong.
//!
//! Pure: a [`Sample`](crate::sample::replication::model::Sample) in, plain values out. A figure that is not known has
//! a reason and is never zero.

pub mod findings;
pub mod lag;
mod matching;
pub mod measured;
pub mod node;
mod raws;
pub mod slots;
pub mod state;
pub mod sync_names;
pub mod tree;

#[cfg(test)]
mod tests;

pub use measured::measured;
pub use raws::raws;
pub use tree::{Tree, tree};
