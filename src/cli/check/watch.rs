//! `dbops check --watch`: the same again and again, for people at a terminal.

use std::io::IsTerminal as _;
use std::ops::ControlFlow;

use anyhow::bail;
use clap::ValueEnum as _;

use super::rounds::Rounds;
use super::{Args, Form, shown};
use crate::cli::context::Context;
use crate::cli::signals::watch_interrupts;
use crate::cli::ui::Reader;
use crate::failure::{Exit, Failure};
use crate::plan_file::Millis;
use crate::render::check::Report;

/// To the first column of the first line.
const HOME: &str = "\u{1b}[H";
/// Nothing below.
const BELOW: &str = "\u{1b}[J";

/// Looks until Ctrl-C, or until nobody reads any more.
pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    refuse(&args, context)?;
    let mut rounds = Rounds::of(context, args)?;
    let args = rounds.args().clone();
    let every = rounds.every();
    let on_terminal = std::io::stdout().is_terminal();
    let show = move |report: &Report| -> anyhow::Result<Reader> {
        let mut text = shown(&args, report, context)?;
        // For programs: one document after the other, and nothing between them.
        if args.output == Form::Table {
            text = headed(&text, every, report);
            if on_terminal {
                text = over_the_last(&text);
            }
        }
        Ok(context.ui.shows(&text)?)
    };
    context.block_on(async {
        let mut stop = watch_interrupts()?;
        let mut ended = Ok(Exit::Interrupted);
        let looks = rounds.repeat(|look| {
            ended = match look.and_then(|look| show(&look.report)) {
                Ok(Reader::Reads) => return ControlFlow::Continue(()),
                Ok(Reader::Gone) => Ok(Exit::Done),
                Err(error) => Err(error),
            };
            ControlFlow::Break(())
        });
        tokio::select! {
            () = looks => {}
            _ = stop.wait_for(|yes| *yes) => {}
        }
        ended
    })
}

/// Refuses what is of one look, or is one document.
fn refuse(args: &Args, context: &Context) -> anyhow::Result<()> {
    if !matches!(args.output, Form::Table | Form::Json) {
        let form = args.output.to_possible_value();
        let form = form.as_ref().map_or("this", |form| form.get_name());
        bail!(
            Failure::usage(format!("--watch cannot print {form}: that is one document"))
                .hint("--watch prints table and json; `dbops serve` has metrics and a page")
        );
    }
    if context.as_of().is_some() {
        bail!(Failure::usage(
            "--watch looks at what is now, and --as-of is one moment"
        ));
    }
    Ok(())
}

/// One look under the time of it.
fn headed(text: &str, every: Millis, report: &Report) -> String {
    let at = report.at.format("%Y-%m-%d %H:%M:%S UTC");
    format!("{at}, every {every}; Ctrl-C ends\n{text}")
}

/// Takes the place of the last look; in one piece, so that it flickers little.
///
/// Erasing line by line would take the last character of a line that is as wide as the terminal.
fn over_the_last(text: &str) -> String {
    format!("{HOME}{BELOW}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_last_look_stays_and_nothing_of_this_one_is_erased() {
        assert_eq!(over_the_last("one\ntwo\n"), "\u{1b}[H\u{1b}[Jone\ntwo\n");
    }
}
