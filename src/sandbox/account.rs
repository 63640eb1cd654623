//! The user that servers run as: the caller, or another one when the caller is root, because
//! PostgreSQL and PgBouncer refuse to run as root.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::unistd::{Gid, Uid, User};

/// Whom to become before a server starts; nobody else unless the caller is root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    switch_to: Option<(Uid, Gid)>,
}

impl Account {
    /// Chooses the user: the caller, or for root `postgres` or else `nobody`.
    pub(super) fn for_servers() -> Result<Self> {
        if !Uid::effective().is_root() {
            return Ok(Self { switch_to: None });
        }
        for name in ["postgres", "nobody"] {
            let user =
                User::from_name(name).with_context(|| format!("looking up user `{name}`"))?;
            if let Some(user) = user {
                return Ok(Self {
                    switch_to: Some((user.uid, user.gid)),
                });
            }
        }
        bail!(
            "servers do not run as root and there is neither a user `postgres` nor `nobody`; \
             run this as another user"
        )
    }

    /// Returns whether servers run as the caller itself.
    pub(super) fn is_the_caller(self) -> bool {
        self.switch_to.is_none()
    }

    /// Makes a command run as this user. Its other groups are dropped by the standard library.
    pub(super) fn apply(self, command: &mut Command) {
        if let Some((uid, gid)) = self.switch_to {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
    }

    /// Gives a file or folder to this user.
    pub(super) fn own(self, path: &Path) -> Result<()> {
        if let Some((uid, gid)) = self.switch_to {
            std::os::unix::fs::lchown(path, Some(uid.as_raw()), Some(gid.as_raw()))
                .with_context(|| format!("giving `{}` to the servers' user", path.display()))?;
        }
        Ok(())
    }
}
