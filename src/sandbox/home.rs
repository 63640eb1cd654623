//! The private folder of one server: data, socket, log. Removed on drop, or by the guard.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::account::Account;
use super::guard::Guard;

/// The longest path that fits into the address of a Unix socket on Linux (macOS has 103).
const MAX_SOCKET_PATH: usize = 103;

#[derive(Debug)]
pub(super) struct Home {
    dir: PathBuf,
    account: Account,
    /// Let go only after the folder is removed, so that there is always somebody to remove it.
    guard: Guard,
}

impl Home {
    /// Makes the folder and starts its guard. `pid_file` is where the server will write its
    /// process id, relative to the folder.
    pub(super) fn create(account: Account, pid_file: &str) -> Result<Self> {
        // A temporary folder of the caller's may be closed to the user that the server runs as.
        let preferred = match account.is_the_caller() {
            true => std::env::temp_dir(),
            false => PathBuf::from("/tmp"),
        };
        let dir = create_dir(&preferred)
            .or_else(|_| create_dir(Path::new("/tmp")))
            .context("making the folder of a throw-away server")?;
        let guard = match Guard::start(&dir, &dir.join(pid_file)) {
            Ok(guard) => guard,
            Err(error) => {
                // Nobody else would.
                let _ = std::fs::remove_dir_all(&dir);
                return Err(error);
            }
        };
        let home = Self {
            dir,
            account,
            guard,
        };
        account.own(&home.dir)?;
        Ok(home)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn account(&self) -> Account {
        self.account
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a file that the server's user owns and nobody else reads.
    pub(super) fn write(&self, name: &str, contents: &[u8]) -> Result<PathBuf> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.dir.join(name);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(contents).map(|()| file))
            .with_context(|| format!("writing `{}`", path.display()))?;
        file.flush()?;
        self.account.own(&path)?;
        Ok(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // A server that is on its way out may still write a file: a second try finds it done.
        if std::fs::remove_dir_all(&self.dir).is_ok() || !self.dir.exists() {
            self.guard.dismiss();
        }
        // Otherwise the guard removes it, as soon as our end of its pipe is closed.
    }
}

fn create_dir(parent: &Path) -> Result<PathBuf> {
    for _ in 0..20 {
        let name: String = std::iter::repeat_with(fastrand::alphanumeric)
            .take(8)
            .collect();
        let dir = parent.join(format!("dbops-{name}"));
        let socket = dir.join(".s.PGSQL.65535");
        if socket.as_os_str().len() > MAX_SOCKET_PATH {
            bail!(
                "`{}` is too long for a Unix socket; set TMPDIR to a short path",
                dir.display()
            );
        }
        // Not shared with anybody: whoever reaches the socket is let in without a password.
        match DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("making `{}`", dir.display()));
            }
        }
    }
    bail!("no free name for a folder in `{}`", parent.display())
}
