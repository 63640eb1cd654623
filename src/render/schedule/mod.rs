//! Snippets that let a scheduler run dbops: a value in, text out.
//!
//! Ensure and prune are always entries of their own: a prune that fails must never stop a create.

pub mod cron;
pub mod kubernetes;
pub mod pg_cron;
pub mod systemd;
mod when;

pub use when::When;

use crate::changes::period::Period;
use crate::plan_file::PartitionPolicy;

/// What a scheduler outside the database runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The dbops program.
    pub dbops: String,
    /// Absolute paths of plan files or folders.
    pub plans: Vec<String>,
    /// `--target`, where one was named.
    pub target: Option<String>,
    /// File of environment variables that holds the secrets.
    pub env_file: String,
    /// When ensure and prune run.
    pub times: Times,
}

/// When each verb runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// `partitions ensure`.
    pub ensure: When,
    /// `partitions prune`; `None`: no policy has `retain`, there is nothing to prune.
    pub prune: Option<When>,
}

/// A verb that is run on a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `partitions ensure`.
    Ensure,
    /// `partitions prune`.
    Prune,
}

impl Verb {
    /// Returns the verb as it is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ensure => "ensure",
            Self::Prune => "prune",
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Ensure => "create missing PostgreSQL partitions",
            Self::Prune => "remove expired PostgreSQL partitions",
        }
    }
}

impl Times {
    /// Returns the times chosen; where none is, hourly for policies of hours and daily otherwise.
    ///
    /// A run with nothing to do only reads. Daily gives a policy of months with `premake: 3` some
    /// ninety chances before rows have no partition; a policy of hours needs more than one a day.
    pub fn of(
        policies: &[PartitionPolicy],
        ensure: Option<When>,
        prune: Option<When>,
    ) -> Result<Self, String> {
        let hourly = |policy: &PartitionPolicy| policy.every == Period::Hour;
        let pruned = |policy: &&PartitionPolicy| policy.retain.is_some();
        let ensure = match ensure {
            Some(when) => when,
            None if policies.iter().any(hourly) => "7 * * * *".parse()?,
            None => "7 3 * * *".parse()?,
        };
        let prune = match prune {
            _ if !policies.iter().any(|policy| pruned(&policy)) => None,
            Some(when) => Some(when),
            None if policies.iter().filter(pruned).any(hourly) => Some("37 * * * *".parse()?),
            None => Some("37 3 * * *".parse()?),
        };
        Ok(Self { ensure, prune })
    }

    fn each(&self) -> impl Iterator<Item = (Verb, &When)> {
        std::iter::once((Verb::Ensure, &self.ensure))
            .chain(self.prune.iter().map(|when| (Verb::Prune, when)))
    }
}

impl Schedule {
    /// The command line of a verb, one word an item.
    fn words(&self, verb: Verb) -> Vec<String> {
        let mut words = vec![
            self.dbops.clone(),
            "partitions".to_owned(),
            verb.name().to_owned(),
        ];
        for plan in &self.plans {
            words.extend(["--plan".to_owned(), plan.clone()]);
        }
        if let Some(target) = &self.target {
            words.extend(["--target".to_owned(), target.clone()]);
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn schedule() -> Schedule {
        Schedule {
            dbops: "/usr/local/bin/dbops".to_owned(),
            plans: vec!["/etc/dbops/my plans/100%.yaml".to_owned()],
            target: Some("main".to_owned()),
            env_file: "/etc/dbops/dbops.env".to_owned(),
            times: Times {
                ensure: "7 3 * * *".parse().unwrap(),
                prune: Some("37 3 * * *".parse().unwrap()),
            },
        }
    }
}
