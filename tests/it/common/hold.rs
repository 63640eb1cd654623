//! A process that owns servers and does nothing more until it is killed.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a program of its own, and its reader is a test"
)]

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use dbops::sandbox::{Auth, Cluster, PgBouncer, PgInstall};

/// Starts a primary, a standby and a PgBouncer from these binaries, prints their folders and ports, and holds
/// them until stdin is closed.
pub(crate) fn hold_clusters(bin: &Path, pgbouncer: &Path) -> ExitCode {
    match hold(bin, pgbouncer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn hold(bin: &Path, pgbouncer: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let install = PgInstall::at(bin)?;
    let builder = Cluster::builder(&install).auth(Auth::Trust);
    let primary = runtime.block_on(builder.start())?;
    let standby = runtime.block_on(primary.standby("held").start())?;
    for cluster in [&primary, &standby] {
        println!("{} {}", cluster.socket_dir().display(), cluster.port());
    }
    let pool = PgBouncer::builder(pgbouncer.to_owned(), &primary);
    let pool = runtime.block_on(pool.start())?;
    println!("{} {}", pool.dir().display(), pool.port());
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
