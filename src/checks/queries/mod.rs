//! What the figures of `pg_stat_statements` say: which statements cost most, which are slow and why, what changed.
//!
//! Pure: readings in, verdicts out. What is not known stays unknown and never becomes 0.

pub mod compare;
pub mod figures;
pub mod group;
pub mod histogram;
pub mod kind;
pub mod p95;
pub mod propose;
pub mod reasons;
pub mod report;
pub mod slow;
pub mod welch;
