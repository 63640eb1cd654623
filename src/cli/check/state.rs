//! The file in which `dbops check` remembers samples between runs.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context as _;

use crate::checks::verdict::Memory;
use crate::cli::context::Context;
use crate::cli::new_file;

/// How often it is asked whether another process has let go of the file.
const AGAIN: Duration = Duration::from_millis(20);

/// Reads the file, hands it over, and writes what became of it; two runs take turns.
///
/// A file that cannot be understood is started over, with a warning: a damaged memory must not stop the check.
///
/// # Errors
/// The file or its lock cannot be read or written.
pub(super) fn with<T>(
    path: &Path,
    context: &Context,
    run: impl FnOnce(&mut Memory) -> T,
) -> anyhow::Result<T> {
    let done = unless(|| false, path, context, run)?;
    done.context("nobody stops a single run")
}

/// The same; `None` where it is to stop while another process still holds the file.
///
/// # Errors
/// As those of [`with`].
pub(super) fn unless<T>(
    stop: impl Fn() -> bool,
    path: &Path,
    context: &Context,
    run: impl FnOnce(&mut Memory) -> T,
) -> anyhow::Result<Option<T>> {
    let lock_path = lock_of(path);
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .with_context(|| format!("opening {}", lock_path.display()))?;
    // Held while the memory is read, changed and written; given up with the file.
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if stop() => return Ok(None),
            Err(TryLockError::WouldBlock) => sleep(AGAIN),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", lock_path.display()));
            }
        }
    }
    let mut memory = match std::fs::read_to_string(path) {
        Ok(text) => Memory::parse(&text).unwrap_or_else(|error| {
            context.ui.warning(&format!(
                "{} cannot be understood ({error}): it is started over",
                path.display()
            ));
            Memory::default()
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Memory::default(),
        Err(error) => {
            return Err(error).with_context(|| format!("reading {}", path.display()));
        }
    };
    let result = run(&mut memory);
    new_file::replace(path, &memory.text())?;
    Ok(Some(result))
}

fn lock_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}
