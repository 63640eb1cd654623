//! The built `dbops`, run as a user runs it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdout, Command};

use super::context::Db;

/// A command that takes longer than this hangs.
const TIME_LIMIT: Duration = Duration::from_secs(90);

/// A `dbops` command line in the making.
pub(crate) struct Dbops {
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    stdin: Option<String>,
    dir: PathBuf,
}

impl Dbops {
    pub(super) fn new(dir: &Path, path: &OsStr) -> Self {
        Self {
            args: Vec::new(),
            env: vec![
                ("HOME".into(), dir.into()),
                ("PATH".into(), path.into()),
                ("NO_COLOR".into(), "1".into()),
            ],
            stdin: None,
            dir: dir.into(),
        }
    }

    /// Points it at a database, by `DATABASE_URL`.
    pub(crate) fn on(self, db: &Db) -> Self {
        self.env("DATABASE_URL", &db.url)
    }

    /// Adds arguments.
    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Gives it something to read.
    pub(crate) fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// Runs it to its end.
    pub(crate) async fn run(self) -> Result<Run> {
        self.spawn().await?.wait().await
    }

    /// Starts it; dropping what is returned kills it.
    pub(crate) async fn spawn(self) -> Result<Running> {
        let words: Vec<_> = self.args.iter().map(|arg| arg.to_string_lossy()).collect();
        let line = format!("dbops {}", words.join(" "));
        let mut child = Command::new(env!("CARGO_BIN_EXE_dbops"))
            .args(&self.args)
            .env_clear()
            .envs(self.env)
            .current_dir(&self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting `{line}`"))?;
        if let (Some(text), Some(mut pipe)) = (self.stdin, child.stdin.take()) {
            // A command that ends without reading closes the pipe; that is its right.
            let _ = pipe.write_all(text.as_bytes()).await;
        }
        let stdout = child.stdout.take().context("the command has no stdout")?;
        Ok(Running {
            child,
            stdout,
            seen: Vec::new(),
            line,
        })
    }
}

/// A `dbops` that runs.
pub(crate) struct Running {
    child: Child,
    stdout: ChildStdout,
    /// What was read of its stdout so far.
    seen: Vec<u8>,
    line: String,
}

impl Running {
    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.child.id().context("the command has ended already")?;
        kill(Pid::from_raw(i32::try_from(id)?), signal).context("sending a signal")
    }

    /// Returns the id of its process.
    pub(crate) fn id(&self) -> Result<u32> {
        self.child.id().context("the command has ended already")
    }

    /// Waits until it has printed this, and returns all that it has printed by then.
    pub(crate) async fn prints(&mut self, text: &str) -> Result<String> {
        let reading = async {
            loop {
                let seen = String::from_utf8_lossy(&self.seen).into_owned();
                if seen.contains(text) {
                    return Ok(seen);
                }
                if self.stdout.read_buf(&mut self.seen).await? == 0 {
                    let mut errors = String::new();
                    if let Some(stderr) = &mut self.child.stderr {
                        stderr.read_to_string(&mut errors).await?;
                    }
                    bail!("it ended without printing `{text}`; it printed: {seen}{errors}");
                }
            }
        };
        tokio::time::timeout(TIME_LIMIT, reading)
            .await
            .with_context(|| format!("`{}` did not print `{text}`", self.line))?
            .with_context(|| format!("running `{}`", self.line))
    }

    /// Waits for its end.
    pub(crate) async fn wait(mut self) -> Result<Run> {
        let line = self.line;
        let ending = async {
            let (read, output) = tokio::join!(
                self.stdout.read_to_end(&mut self.seen),
                self.child.wait_with_output()
            );
            read.and(output)
        };
        let output = tokio::time::timeout(TIME_LIMIT, ending)
            .await
            .with_context(|| format!("`{line}` still ran after {} s", TIME_LIMIT.as_secs()))?
            .with_context(|| format!("waiting for `{line}`"))?;
        Ok(Run {
            line,
            status: output.status,
            stdout: String::from_utf8(self.seen).context("stdout is not UTF-8")?,
            stderr: String::from_utf8(output.stderr).context("stderr is not UTF-8")?,
        })
    }
}

/// What a `dbops` left.
#[derive(Debug)]
pub(crate) struct Run {
    line: String,
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// The result.
    pub(crate) stdout: String,
    /// Everything else.
    pub(crate) stderr: String,
}

impl Run {
    /// Fails with everything that the command printed unless it exited with this code.
    pub(crate) fn exits_with(self, code: i32) -> Result<Self> {
        if self.status.code() == Some(code) {
            return Ok(self);
        }
        bail!(
            "`{}` was to exit with {code}; {}\n--- stdout ---\n{}\n--- stderr ---\n{}",
            self.line,
            self.status,
            self.stdout,
            self.stderr
        )
    }

    /// Reads stdout as JSON.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.stdout)
            .with_context(|| format!("`{}` printed no JSON: {}", self.line, self.stdout))
    }
}
