//! Files that a command makes: never over an existing one unless asked to.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use crate::failure::Failure;

/// What to do about a file that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// Refuse.
    Keep,
    /// Replace it.
    Replace,
}

impl Existing {
    /// What `--force` says.
    pub(super) fn forced(force: bool) -> Self {
        if force { Self::Replace } else { Self::Keep }
    }
}

/// Refuses early, before anything is read from a server.
pub(super) fn check(path: &Path, existing: Existing) -> Result<(), Failure> {
    if existing == Existing::Keep && path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    Ok(())
}

/// Writes the file; unless it may be replaced the system itself refuses one that has come to exist.
pub(super) fn write(path: &Path, text: &str, existing: Existing) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true);
    match existing {
        Existing::Replace => options.create(true).truncate(true),
        Existing::Keep => options.create_new(true),
    };
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(exists(path)),
        Err(error) => Err(Failure::usage(format!(
            "cannot write {}: {error}",
            path.display()
        ))),
    }
}

fn exists(path: &Path) -> Failure {
    Failure::usage(format!("{} exists already", path.display()))
        .hint("name another file, or replace it with --force")
}

/// Writes a file in one piece: whoever reads it sees the old text or the new one, never a part.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::usage(format!("cannot write {}: {error}", path.display()));
    // Beside it, because a file can only be moved in one piece within its file system.
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = std::path::PathBuf::from(beside);
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        // Else some file systems have an empty file there after a power cut.
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    let written = write();
    if written.is_err() {
        // The reason is told below; a rest that cannot be removed either is no second one.
        let _ = std::fs::remove_file(&beside);
    }
    written.map_err(failed)
}
