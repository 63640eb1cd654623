//! What a caller branches on when something fails, and the exit codes that scripts rely on.

use std::fmt;

/// The exit codes of dbops; the table in `docs/exit-codes.md` says the same in words.
///
/// Cron jobs and CI branch on these numbers, so a number never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// 0: done, nothing to do, or all rules hold.
    Done,
    /// 1: a rule is broken, or with `--exit-code` the changeset is not empty.
    Findings,
    /// 2: usage, plan-file or connection error; nothing was touched.
    Usage,
    /// 3: a rule could not be measured and none is broken.
    Unknown,
    /// 4: refused: hazard not allowed, changeset stale, another run holds the lock, or a declared
    /// table cannot be served as it is.
    Refused,
    /// 5: stopped part-way: the report lists what ran, a later run converges.
    PartWay,
    /// 6: deferred: the lock budget was not enough; nothing was harmed; who blocked is named.
    Deferred,
    /// 130: interrupted; the running statement was cancelled, the report is complete.
    Interrupted,
}

impl Exit {
    /// Returns the number that the process exits with.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Unknown => 3,
            Self::Refused => 4,
            Self::PartWay => 5,
            Self::Deferred => 6,
            Self::Interrupted => 130,
        }
    }

    /// Returns the code that a run over several targets or tables ends with: the one that most
    /// needs a person.
    pub fn worst(self, other: Self) -> Self {
        if self.rank() >= other.rank() {
            self
        } else {
            other
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Unknown => 1,
            Self::Findings => 2,
            Self::Deferred => 3,
            Self::Refused => 4,
            Self::Usage => 5,
            Self::PartWay => 6,
            Self::Interrupted => 7,
        }
    }
}

/// A failure whose exit code or hint matters to the caller; carried inside [`anyhow::Error`].
///
/// Anything that is not a `Failure` in the chain exits with [`Exit::Usage`] when nothing was
/// touched yet, which is the case everywhere outside `apply`.
#[derive(Debug)]
pub struct Failure {
    /// The exit code this failure leads to.
    pub exit: Exit,
    /// What is wrong and where; lower case, no full stop, no secret.
    pub message: String,
    /// What to do about it, one sentence a line.
    pub hints: Vec<String>,
    /// SQLSTATE of a server that refused the login.
    pub sqlstate: Option<String>,
}

impl Failure {
    /// Makes a failure without hints.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hints: Vec::new(),
            sqlstate: None,
        }
    }

    /// Makes a usage, plan-file or connection failure: nothing was touched.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Makes a refusal.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Returns the exit code for an error: that of the first [`Failure`] in its chain.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failure>())
        .map_or(Exit::Usage, |failure| failure.exit)
}

/// Returns whether a server refused the login because connections are taken: its slots, those of the role or those of
/// the database. The SQLSTATE is the same for all, the words are not.
pub fn is_exhausted(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<Failure>())
        .any(|failure| failure.sqlstate.as_deref() == Some("53300"))
}

/// Returns the hints of every [`Failure`] in the chain, outermost first.
pub fn hints_of(error: &anyhow::Error) -> Vec<String> {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<Failure>())
        .flat_map(|failure| failure.hints.clone())
        .collect()
}
