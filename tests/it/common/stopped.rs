//! A server that hangs.

use anyhow::{Context as _, Result};
use dbops::sandbox::Cluster;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Stops a server with all of its processes as a machine that hangs does, and lets it go on in the end.
pub(crate) struct Stopped(Vec<Pid>);

impl Stopped {
    pub(crate) fn server(cluster: &Cluster) -> Result<Self> {
        let id = cluster.id().context("it does not run")?;
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let mut pids = vec![Pid::from_raw(i32::try_from(id)?)];
        for child in children.split_whitespace() {
            pids.push(Pid::from_raw(child.parse()?));
        }
        for pid in &pids {
            kill(*pid, Signal::SIGSTOP)?;
        }
        Ok(Self(pids))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill(*pid, Signal::SIGCONT);
        }
    }
}
