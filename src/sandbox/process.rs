//! One server process: started as a direct child, watched, stopped by its id.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often a starting or stopping server is looked at.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// A running server; dropping it stops it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// What to send, gentlest first, and how long to wait before the next; SIGKILL comes last.
    stop_with: &'static [(Signal, Duration)],
}

impl Process {
    /// Starts the server with its output appended to `log`, in a process group of its own: it is
    /// our task to stop it when Ctrl-C is pressed, in the right order.
    pub(super) fn start(
        command: &mut Command,
        log: &Path,
        stop_with: &'static [(Signal, Duration)],
    ) -> Result<Self> {
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening the server log `{}`", log.display()))?;
        let child = command
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting `{}`", command.get_program().display()))?;
        Ok(Self { child, stop_with })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns how the server ended, if it has.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("waiting for a server")
    }

    /// Stops the server and waits for its end.
    pub(super) fn stop(&mut self) {
        for (signal, patience) in self.stop_with {
            if self.signal_and_wait(*signal, *patience) {
                return;
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn signal_and_wait(&mut self, signal: Signal, patience: Duration) -> bool {
        // While it is not waited for, the id cannot belong to anybody else.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return true;
        }
        let Ok(pid) = i32::try_from(self.child.id()) else {
            return false;
        };
        let _ = kill(Pid::from_raw(pid), signal);
        let started = Instant::now();
        while started.elapsed() < patience {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(POLL);
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns the last lines of a log, for a message.
pub(super) fn tail(log: &Path, lines: usize) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}
