//! dbops keeps PostgreSQL partitions and indexes in the state that plan files in git declare, and reads what statements cost.
//!
//! Five plain values, arrows one way; a later stage never calls an earlier one:
//!
//! ```text
//! plan files ──load──► PlanFile ─┐
//!                                ├─► changes::… (pure) ─► Changeset ─► apply::run ─► Outcome ──┐
//! server ──catalog::read──► Catalog                                                            ├─► render ─► stdout
//! server ──sample::…──► Snapshot │                                                             │
//!                                └─► checks::… (pure) ─► Findings ─────────────────────────────┘
//! ```
//!
//! The one exception is written down: [`apply`] reads the structure again under the lock, to
//! refuse a stale changeset. `changes`, `checks` and `render` have no await, no client, no clock
//! and no environment.

pub mod apply;
pub mod catalog;
pub mod changes;
pub mod checks;
pub mod cli;
pub mod conn;
pub mod failure;
pub mod history;
pub mod ident;
pub mod plan_file;
pub mod progress;
pub mod render;
pub mod sample;
pub mod sandbox;
pub mod sql;
pub mod syntax;
