//! Everything that is tested against real servers: one test binary, one cluster per PostgreSQL
//! major, a database of its own for each test.
//!
//! ```text
//! cargo test --test it                                   the system's PostgreSQL
//! DBOPS_TEST_MAJORS=13,system,18 cargo test --test it    these majors (scripts/fetch-postgres 13 18)
//! DBOPS_TEST_MAJORS=all cargo test --test it             13 to 18 (scripts/fetch-postgres all)
//! cargo test --test it -- sandbox                        trials whose name contains `sandbox`
//! ```
//!
//! A trial is named `pg15::module::test`. Trials run in parallel and share nothing but the cluster
//! of their major, which starts when the first of them asks for it and is gone when this process
//! ends, however it ends. Without a server they fail, each with one line that says what to install;
//! they are never skipped. The failure of a trial shows what the server logged for it.
//!
//! # Adding tests
//!
//! A module is one file here, with a `mod` line and an entry in [`MODULES`] below (a trial checks
//! that none is forgotten). It begins with the list of its tests:
//!
//! ```ignore
//! //! What this file shows.
//!
//! use anyhow::Result;
//!
//! use crate::common::{Ctx, tests};
//!
//! tests!(Ends: ensure_twice_changes_nothing);
//!
//! async fn ensure_twice_changes_nothing(ctx: &Ctx) -> Result<()> {
//!     let db = ctx.db().await?;
//!     db.run("create table events (id bigint, at timestamptz not null) partition by range (at)").await?;
//!     let run = ctx.dbops().on(&db).args(["partitions", "ensure"]).run().await?;
//!     run.exits_with(0)?;
//!     Ok(())
//! }
//! ```
//!
//! `Every` runs on every chosen major, `Ends` on the oldest, the newest and the system's,
//! `SystemOnly` on the system's. A test is a future on a single-threaded runtime with a time limit;
//! it waits for conditions with [`common::eventually`], never for a time. The context gives:
//!
//! - `ctx.db()`: a fresh database, dropped at the end; with `url`, `client`, `run`, `value`, `connect`;
//! - `ctx.dbops()`: the built command without anything of the environment, its home an empty folder;
//! - `ctx.private_cluster()`: a server of the test's own, for settings, TLS files, standbys, PgBouncer;
//! - `ctx.dir()`: an empty folder; `ctx.major`: the major that the test runs on.

mod budget;
mod catalog;
mod catalog_answers;
mod catalog_detached;
mod check;
mod check_figures;
mod check_policies;
mod check_replicas;
mod check_saved;
mod check_statements;
mod check_watch;
mod common;
mod conn;
mod conn_pooler;
mod conn_tls;
mod crash;
mod dashboard;
mod demo;
mod doctor;
mod ensure;
mod ensure_bounds;
mod golden;
mod hostile;
mod index_advise;
mod index_advise_proof;
mod index_answers;
mod index_build;
mod index_catalog;
mod index_corpus;
mod index_crash;
mod index_import;
mod index_import_files;
mod index_race;
mod index_rounds;
mod index_stall;
mod init;
mod listing;
mod locks;
mod n_plus_one;
mod n_plus_one_stored;
mod output;
mod pool_console;
mod pool_server;
mod pool_sessions;
mod properties;
mod prune;
mod prune_pending;
mod queries;
mod queries_baseline;
mod queries_proposals;
mod refusals;
mod replication;
mod replication_pitfalls;
mod replication_wait;
mod sandbox;
mod saved;
mod schedule;
mod schedule_jobs;
mod serve;
mod sql;
mod statements_read;
mod statements_servers;
mod statements_stored;
mod statements_windows;

use std::process::ExitCode;

use common::Module;

/// Every module of tests, in the order of their names.
const MODULES: &[&Module] = &[
    &budget::MODULE,
    &catalog::MODULE,
    &check::MODULE,
    &check_figures::MODULE,
    &check_policies::MODULE,
    &check_replicas::MODULE,
    &check_saved::MODULE,
    &check_statements::MODULE,
    &check_watch::MODULE,
    &catalog_answers::MODULE,
    &catalog_detached::MODULE,
    &conn::MODULE,
    &conn_pooler::MODULE,
    &conn_tls::MODULE,
    &crash::MODULE,
    &dashboard::MODULE,
    &demo::MODULE,
    &doctor::MODULE,
    &ensure::MODULE,
    &ensure_bounds::MODULE,
    &golden::MODULE,
    &hostile::MODULE,
    &index_advise::MODULE,
    &index_advise_proof::MODULE,
    &index_answers::MODULE,
    &index_build::MODULE,
    &index_catalog::MODULE,
    &index_corpus::MODULE,
    &index_crash::MODULE,
    &index_import::MODULE,
    &index_import_files::MODULE,
    &index_race::MODULE,
    &index_rounds::MODULE,
    &index_stall::MODULE,
    &init::MODULE,
    &listing::MODULE,
    &locks::MODULE,
    &n_plus_one::MODULE,
    &n_plus_one_stored::MODULE,
    &output::MODULE,
    &pool_console::MODULE,
    &pool_server::MODULE,
    &pool_sessions::MODULE,
    &properties::MODULE,
    &prune::MODULE,
    &prune_pending::MODULE,
    &queries::MODULE,
    &queries_baseline::MODULE,
    &queries_proposals::MODULE,
    &refusals::MODULE,
    &replication::MODULE,
    &replication_pitfalls::MODULE,
    &replication_wait::MODULE,
    &sandbox::MODULE,
    &saved::MODULE,
    &schedule::MODULE,
    &schedule_jobs::MODULE,
    &serve::MODULE,
    &sql::MODULE,
    &statements_read::MODULE,
    &statements_servers::MODULE,
    &statements_stored::MODULE,
    &statements_windows::MODULE,
];

fn main() -> ExitCode {
    common::main(MODULES)
}
