//! A throw-away cluster (primary, standby, PgBouncer): used by `dbops demo` and by the tests.
//!
//! Nothing here outlives its value: dropping a [`Cluster`] stops the servers and removes their
//! files, and a small guard process does the same when this process dies without a chance to.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use dbops::sandbox::{Cluster, PgInstall};
//!
//! let install = PgInstall::find(&|_| None)?;
//! let primary = Cluster::builder(&install).config("work_mem", "8MB").start().await?;
//! let standby = primary.standby("menu").start().await?;
//! assert_eq!(primary.url(), primary.url_for("postgres"));
//! # drop(standby);
//! # Ok(())
//! # }
//! ```

mod account;
mod backup;
mod cluster;
mod guard;
mod home;
mod install;
mod pgbouncer;
mod process;
mod sample;
mod traffic;

pub use cluster::{Auth, Builder, Cluster, Progress};
pub use install::{Env, PgInstall};
pub use pgbouncer::{PgBouncer, PgBouncerBuilder};
pub use sample::{Amount, System};
pub use traffic::Traffic;
