//! What the tests stand on: the harness, the shared clusters, the context, the command.
#![allow(
    dead_code,
    unused_imports,
    reason = "tools for tests: one that no test needs today stays for the next"
)]

pub(crate) mod browser;
pub(crate) mod builds;
pub(crate) mod command;
mod context;
mod harness;
mod hold;
mod partitions;
mod servers;
mod stopped;

pub(crate) use command::{Dbops, Run, Running};
pub(crate) use context::{Ctx, Db};
pub(crate) use harness::{Module, On, Test, eventually, main, tests};
pub(crate) use hold::hold_clusters;
pub(crate) use partitions::{NOW, changeset, holds, outcome, refusal, same};
pub(crate) use stopped::Stopped;
