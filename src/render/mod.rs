//! Values in, text out: one file per output format. No client, no clock, no terminal.

pub mod advise;
pub mod changeset;
pub mod check;
pub mod doctor;
pub mod history;
pub mod index_plan;
pub mod index_survey;
pub mod json;
pub mod n_plus_one;
pub mod outcome;
pub mod pool;
pub mod queries;
pub mod replication;
pub mod schedule;
pub mod snapshots;
pub mod sql;
pub mod starter;
pub mod survey;
pub mod words;
