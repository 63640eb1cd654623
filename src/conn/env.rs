//! The process environment as a value, so that resolving settings is a function of its arguments.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Environment variables, home directory and user name of whoever runs dbops.
#[derive(Clone, Default)]
pub struct Env {
    vars: BTreeMap<String, String>,
    home: Option<PathBuf>,
    user: Option<String>,
}

impl Env {
    /// Makes an environment.
    ///
    /// `user` is the operating system's user name. The home directory is `HOME`, as in libpq.
    pub fn new(vars: impl IntoIterator<Item = (String, String)>, user: Option<String>) -> Self {
        let vars: BTreeMap<_, _> = vars.into_iter().collect();
        let home = vars
            .get("HOME")
            .filter(|home| !home.is_empty())
            .map(PathBuf::from);
        Self { vars, home, user }
    }

    /// Replaces the home directory, for a process that runs without `HOME`.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Returns a variable; `None` where it is not set.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str)
    }

    /// Returns a path below the home directory; `None` without a home directory.
    pub fn in_home(&self, path: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(path))
    }

    /// Returns the operating system's user name.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

/// Shows names only: values may hold passwords.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("vars", &self.vars.keys().collect::<Vec<_>>())
            .field("home", &self.home)
            .field("user", &self.user)
            .finish()
    }
}
