//! A small process that outlives us when we are killed, and then stops the server and removes
//! its files. Nothing of a throw-away cluster may stay behind, not even after `kill -9`.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

/// Reads from a pipe whose other end only we hold: end of file means that we are gone.
///
/// The process id comes from the server's own pid file, which exists from its first moments and
/// goes when it ends, so a number that meanwhile belongs to somebody else is not hit. SIGQUIT is
/// the immediate shutdown of both PostgreSQL and PgBouncer.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
read -r word
if [ "$word" = done ]; then exit 0; fi
tries=0
while [ ! -s "$2" ] && [ -d "$1" ] && [ $tries -lt 20 ]; do sleep 0.1; tries=$((tries + 1)); done
pid=$(head -n 1 "$2")
case $pid in
'' | *[!0-9]*) ;;
*)
    kill -QUIT "$pid"
    tries=0
    while [ -s "$2" ] && kill -0 "$pid" && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
    if [ $tries -eq 50 ]; then kill -KILL "$pid"; fi
    ;;
esac
tries=0
while ! rm -rf -- "$1" && [ $tries -lt 20 ]; do sleep 0.1; tries=$((tries + 1)); done
"#;

#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
}

impl Guard {
    pub(super) fn start(dir: &Path, pid_file: &Path) -> Result<Self> {
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "dbops-guard"])
            .args([dir, pid_file])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal goes to our whole process group.
            .process_group(0)
            .spawn()
            .context("starting the guard of a throw-away server (/bin/sh)")?;
        Ok(Self { child })
    }

    /// Tells the guard that there is nothing left to do.
    pub(super) fn dismiss(&mut self) {
        if let Some(mut pipe) = self.child.stdin.take() {
            // A guard that is gone already cannot be told, and need not be.
            let _ = pipe.write_all(b"done\n");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Not dismissed: the closed pipe sets it to work; its end is waited for all the same.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
