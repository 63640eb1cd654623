//! Arguments of the commands that record windows, and how a recording is interrupted.

use super::source::SourceArgs;
use crate::cli::signals::watch_interrupts;
use crate::sample::statements::windows::{Length, Wanted};

/// How long windows are.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct WindowArgs {
    /// Length of a window: `auto`, or seconds like 0.5s or 2s
    #[arg(long = "window", value_name = "LENGTH", default_value = "auto", value_parser = length)]
    pub(super) window: Length,
}

impl WindowArgs {
    /// Returns what is to be recorded.
    pub(super) fn wanted(&self, windows: u32, source: &SourceArgs) -> Wanted {
        Wanted {
            windows: usize::try_from(windows).unwrap_or(usize::MAX),
            length: self.window,
            databases: source.databases(),
        }
    }
}

/// Returns a future that is ready at the first SIGINT or SIGTERM.
///
/// # Errors
/// The signals cannot be watched.
pub(super) fn until_interrupted() -> anyhow::Result<impl Future<Output = ()>> {
    let mut watched = watch_interrupts()?;
    Ok(async move {
        if watched.wait_for(|interrupted| *interrupted).await.is_err() {
            // Nobody is left to interrupt.
            std::future::pending::<()>().await;
        }
    })
}

fn length(text: &str) -> Result<Length, String> {
    if text == "auto" {
        return Ok(Length::Auto);
    }
    let number = text.strip_suffix('s').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(seconds) if (0.1..=3_600.0).contains(&seconds) => Ok(Length::Seconds(seconds)),
        _ => Err("write `auto`, or seconds from 0.1s to 3600s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_auto_or_seconds() {
        assert_eq!(length("auto"), Ok(Length::Auto));
        assert_eq!(length("0.5s"), Ok(Length::Seconds(0.5)));
        assert_eq!(length("10"), Ok(Length::Seconds(10.0)));
        for text in ["", "s", "0", "-1s", "NaN", "5000s", "2m"] {
            assert!(length(text).is_err(), "{text}");
        }
    }
}
