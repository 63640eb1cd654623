//! What commands that ask the nodes of a target share: which nodes, how long for, from what on they fail, Ctrl-C.

use std::time::Duration;

use clap::ValueEnum;

use super::signals::watch_interrupts;
use crate::checks::judge::Severity;
use crate::failure::Exit;

/// Which nodes are asked, and how long for.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct NodeArgs {
    /// Ask this node of the target alone: `primary`, or the name of a replica or pooler; may be given again [default: all]
    #[arg(long, value_name = "NAME")]
    pub(super) node: Vec<String>,
    #[command(flatten)]
    pub(super) patience: Patience,
}

/// How long a node is waited for.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Patience {
    /// Longest wait for a connection, and for each answer: 500ms, 2s
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    pub(super) node_timeout: Duration,
}

impl NodeArgs {
    /// All nodes, each waited for this long.
    pub(super) fn all(node_timeout: Duration) -> Self {
        Self {
            node: Vec::new(),
            patience: Patience { node_timeout },
        }
    }
}

/// From which severity on findings end in exit code 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Warnings too
    #[value(alias = "warn")]
    Warning,
    /// What is critical
    Critical,
}

impl FailOn {
    /// Returns how a command ends whose worst finding is this; without a limit findings are no failure.
    pub(super) fn exit(limit: Option<Self>, worst: Option<Severity>) -> Exit {
        let least = match limit {
            None => return Exit::Done,
            Some(Self::Warning) => Severity::Warning,
            Some(Self::Critical) => Severity::Critical,
        };
        match worst {
            Some(worst) if worst >= least => Exit::Findings,
            _ => Exit::Done,
        }
    }
}

/// Runs to the end, or to the first SIGINT or SIGTERM: `None`.
///
/// # Errors
/// Signals cannot be watched.
pub(super) async fn unless_interrupted<T>(
    work: impl Future<Output = T>,
) -> anyhow::Result<Option<T>> {
    let mut interrupted = watch_interrupts()?;
    tokio::select! {
        done = work => Ok(Some(done)),
        _ = interrupted.wait_for(|yes| *yes) => Ok(None),
    }
}

/// Reads `500ms`, `2s`, `5m`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let wanted = || format!("`{text}` is not a length of time; write for example 500ms, 2s or 5m");
    let split = text
        .find(|c: char| c.is_ascii_alphabetic())
        .ok_or_else(wanted)?;
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err(wanted()),
    };
    let number: f64 = number.trim().parse().map_err(|_| wanted())?;
    let seconds = number * seconds;
    if (0.0..=86_400.0).contains(&seconds) && number >= 0.0 {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("`{text}` is not between 0 and 24h"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        for text in ["", "1", "s", "-1s", "1MB", "NaNs", "25h", "1 d"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
