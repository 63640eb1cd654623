//! A real Chromium without a window.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// What the command is called on Debian and elsewhere.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with a profile of its own.
pub(crate) struct Browser {
    program: PathBuf,
    profile: tempfile::TempDir,
}

impl Browser {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the browser is, is no setting of dbops"
    )]
    pub(crate) fn find() -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = std::env::split_paths(&path).flat_map(|dir| NAMES.map(|name| dir.join(name)));
        let program = all.into_iter().find(|one| one.is_file());
        Ok(Self {
            program: program.context(
                "there is no Chromium: scripts/install-deps test installs it (Debian package chromium)",
            )?,
            profile: tempfile::tempdir()?,
        })
    }

    /// The sandbox of Chromium needs rights that a test in a container lacks; it shows pages of dbops alone.
    fn command(&self, more: &[&str], url: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--disable-dev-shm-usage", "--disable-background-networking"])
            .args([
                "--disable-component-update",
                "--disable-sync",
                "--disable-extensions",
            ])
            // Files may look into frames of files: the page is measured from outside.
            .args([
                "--allow-file-access-from-files",
                "--enable-logging=stderr",
                "--log-level=0",
            ])
            .arg(format!("--user-data-dir={}", self.profile.path().display()))
            .args(more)
            .arg(url)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Loads a page and returns what became of it, and what the browser had to say of it.
    pub(crate) async fn dump(&self, more: &[&str], url: &str) -> Result<(String, String)> {
        let mut command = self.command(more, url);
        let running = command.arg("--dump-dom").output();
        let output = timeout(Duration::from_secs(120), running).await;
        let output = output.context("Chromium does not end")??;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.success(),
            "Chromium ended with {}: {log}",
            output.status
        );
        let console = log.lines().filter(|line| line.contains(":CONSOLE"));
        let console = console.collect::<Vec<_>>().join("\n");
        Ok((String::from_utf8(output.stdout)?, console))
    }

    /// Opens a page and stays on it until it is dropped.
    pub(crate) fn stay(&self, url: &str) -> Result<Child> {
        let mut command = self.command(&["--remote-debugging-port=0"], url);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().context("starting Chromium")
    }

    /// Saves a picture of a page, for people who want to see it.
    pub(crate) async fn picture(&self, more: &[&str], url: &str, to: &Path) -> Result<()> {
        let mut command = self.command(more, url);
        command.arg(format!("--screenshot={}", to.display()));
        let output = timeout(Duration::from_secs(120), command.output()).await??;
        if !output.status.success() || !to.is_file() {
            bail!("no picture: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}
