//! Finds PostgreSQL server binaries on this machine; runs nothing but `postgres --version`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

use super::account::Account;

/// Reads one environment variable; the environment itself is read in `cli/` and handed down.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The folder of `initdb` and `postgres`, and what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgInstall {
    bin: PathBuf,
    lib: Option<PathBuf>,
    major: u16,
    version: String,
}

impl PgInstall {
    /// Finds the server binaries to use.
    ///
    /// Looks at `DBOPS_PG_BIN` (a folder; when it is set nothing else is tried), then `PATH`, then
    /// the folders of the usual distributions and of `scripts/fetch-postgres`, newest first.
    ///
    /// # Errors
    /// When there are none, or those named by `DBOPS_PG_BIN` do not run.
    pub fn find(env: Env<'_>) -> Result<Self> {
        if let Some(bin) = env("DBOPS_PG_BIN").filter(|value| !value.is_empty()) {
            let bin = PathBuf::from(bin);
            return Self::at(&bin)
                .with_context(|| format!("using DBOPS_PG_BIN, which is `{}`", bin.display()));
        }
        in_path(env)
            .or_else(|| {
                let mut found = known_folders(env);
                found.sort_by_key(|install| std::cmp::Reverse(install.major));
                found.into_iter().next()
            })
            .ok_or_else(|| {
                anyhow!(
                    "no PostgreSQL server binaries found in PATH, /usr/lib/postgresql/*/bin, \
                     /usr/pgsql-*/bin or Homebrew; run scripts/install-deps, or set DBOPS_PG_BIN \
                     to the folder of initdb and postgres"
                )
            })
    }

    /// Finds one installation for each major: that of [`PgInstall::find`] first, then the
    /// distributions' folders, then those of `scripts/fetch-postgres`.
    ///
    /// # Errors
    /// When `DBOPS_PG_BIN` is set and its binaries do not run.
    pub fn find_all(env: Env<'_>) -> Result<BTreeMap<u16, Self>> {
        let mut by_major = BTreeMap::new();
        let named = env("DBOPS_PG_BIN").is_some_and(|value| !value.is_empty());
        let first = match Self::find(env) {
            Err(error) if named => return Err(error),
            first => first.ok(),
        };
        for install in first.into_iter().chain(known_folders(env)) {
            by_major.entry(install.major).or_insert(install);
        }
        Ok(by_major)
    }

    /// Takes the binaries of one folder.
    ///
    /// # Errors
    /// When `initdb` or `postgres` is missing there, or `postgres --version` does not answer as
    /// the user that the servers will run as.
    pub fn at(bin: &Path) -> Result<Self> {
        for program in ["initdb", "postgres"] {
            if !bin.join(program).is_file() {
                bail!("there is no `{program}` in `{}`", bin.display());
            }
        }
        // Fetched builds carry their libraries beside them and hold no path to them.
        let lib = bin
            .parent()
            .filter(|root| root.join("pg-symlinks.json").is_file())
            .map(|root| root.join("lib"));
        let postgres = bin.join("postgres");
        let mut command = Command::new(&postgres);
        command.arg("--version").stdin(Stdio::null());
        command.current_dir("/");
        set_environment(&mut command, lib.as_deref());
        Account::for_servers()?.apply(&mut command);
        let output = command
            .output()
            .with_context(|| format!("running `{} --version`", postgres.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (major, version) = parse_version(&text).ok_or_else(|| {
            anyhow!(
                "`{} --version` answers {:?} {}",
                postgres.display(),
                text.trim(),
                String::from_utf8_lossy(&output.stderr).trim()
            )
        })?;
        Ok(Self {
            bin: bin.to_owned(),
            lib,
            major,
            version,
        })
    }

    /// Returns the major version: 15.
    pub fn major(&self) -> u16 {
        self.major
    }

    /// Returns the whole version as the server spells it: `15.18 (Debian 15.18-0+deb12u1)`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the folder of the binaries.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Makes a command for one of the programs, with a clean environment.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        set_environment(&mut command, self.lib.as_deref());
        command.stdin(Stdio::null());
        command
    }
}

/// Nothing of the caller's environment reaches a server: `PGDATA`, `LC_ALL` or `TZ` would change it.
fn set_environment(command: &mut Command, lib: Option<&Path>) {
    command.env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.env("LC_ALL", "C");
    if let Some(lib) = lib {
        command.env("LD_LIBRARY_PATH", lib);
    }
}

fn in_path(env: Env<'_>) -> Option<PgInstall> {
    let path = env("PATH")?;
    std::env::split_paths(&path).find_map(|folder| {
        // A link in PATH leads to the folder where initdb and the others are; a wrapper script
        // does not, and is passed over unless all of them are beside it.
        let real = folder.join("postgres").canonicalize().ok()?;
        PgInstall::at(real.parent()?)
            .or_else(|_| PgInstall::at(&folder))
            .ok()
    })
}

fn known_folders(env: Env<'_>) -> Vec<PgInstall> {
    let mut folders = Vec::new();
    for (parent, prefix, suffix) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
    ] {
        folders.extend(
            children(Path::new(parent), prefix)
                .into_iter()
                .map(|child| child.join(suffix)),
        );
    }
    for cache in fetched(env) {
        folders.extend(
            children(&cache, "")
                .into_iter()
                .map(|child| child.join("bin")),
        );
    }
    folders
        .iter()
        .filter_map(|folder| PgInstall::at(folder).ok())
        .collect()
}

/// The places where `scripts/fetch-postgres` puts what it fetches.
fn fetched(env: Env<'_>) -> Vec<PathBuf> {
    if let Some(cache) = env("DBOPS_PG_CACHE").filter(|value| !value.is_empty()) {
        return vec![cache.into()];
    }
    let own = env("XDG_CACHE_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env("HOME")?).join(".cache")))
        .map(|cache| cache.join("dbops/postgres"));
    own.into_iter()
        .chain([PathBuf::from("/var/cache/dbops/postgres")])
        .collect()
}

/// Lists the entries whose name begins with the prefix and goes on with a digit, newest first.
fn children(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?;
            version
                .starts_with(|c: char| c.is_ascii_digit())
                .then(|| (numbers(version), entry.path()))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, path)| path).collect()
}

fn numbers(version: &str) -> Vec<u32> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian …)`, `… 18beta1` and `… 19devel`.
fn parse_version(text: &str) -> Option<(u16, String)> {
    let version = text.trim().strip_prefix("postgres (PostgreSQL) ")?;
    let major = numbers(version).first().copied()?;
    Some((u16::try_from(major).ok()?, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_texts_give_the_major() {
        for (text, major) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", 15),
            ("postgres (PostgreSQL) 18beta1", 18),
            ("postgres (PostgreSQL) 19devel", 19),
        ] {
            assert_eq!(parse_version(text).map(|(major, _)| major), Some(major));
        }
        assert_eq!(parse_version("psql (PostgreSQL) 15.18"), None);
    }

    #[test]
    fn ten_is_newer_than_nine() {
        assert!(numbers("17.10.0-beta.17") > numbers("17.9.0-beta.17"));
    }

    #[test]
    fn a_named_folder_without_a_server_is_an_error_that_names_it() {
        let env = |name: &str| (name == "DBOPS_PG_BIN").then(|| OsString::from("/nowhere"));
        let error = format!("{:#}", PgInstall::find(&env).unwrap_err());
        assert_eq!(
            error,
            "using DBOPS_PG_BIN, which is `/nowhere`: there is no `initdb` in `/nowhere`"
        );
    }
}
