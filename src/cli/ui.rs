//! The terminal: results to stdout, everything else to stderr.
#![expect(
    clippy::print_stderr,
    reason = "this is the one place that writes to stderr"
)]

use std::io::{IsTerminal, Write};

use clap::ValueEnum;

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a command that only shows prints its result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Text for people
    #[default]
    Table,
    /// One JSON document
    Json,
}

/// How much is said on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loudness {
    /// Errors only.
    Quiet,
    /// Errors, warnings, hints.
    Normal,
    /// What dbops does, too.
    Verbose,
}

/// Whether somebody reads what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// As far as can be told.
    Reads,
    /// The pipe is closed: whoever read had enough.
    Gone,
}

/// The way to the person or program outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ui {
    pub(super) color: bool,
    pub(super) loudness: Loudness,
}

impl Ui {
    pub(super) fn new(color: Color, no_color: bool, loudness: Loudness) -> Self {
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !no_color && std::io::stderr().is_terminal(),
        };
        Self { color, loudness }
    }

    /// Writes the result. A closed pipe is not a failure: whoever read had enough.
    pub(super) fn result(&self, text: &str) -> std::io::Result<()> {
        print(text)
    }

    /// Writes one of several results; tells whether anybody reads on.
    pub(super) fn shows(&self, text: &str) -> std::io::Result<Reader> {
        match written(text) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
            done => done.map(|()| Reader::Reads),
        }
    }

    pub(super) fn error(&self, text: &str) {
        self.say("error", "31", text);
    }

    pub(super) fn warning(&self, text: &str) {
        if self.loudness >= Loudness::Normal {
            self.say("warning", "33", text);
        }
    }

    pub(super) fn hint(&self, text: &str) {
        if self.loudness >= Loudness::Normal {
            self.say("hint", "36", text);
        }
    }

    pub(super) fn detail(&self, text: &str) {
        if self.loudness >= Loudness::Verbose {
            self.say("dbops", "2", text);
        }
    }

    /// Writes text that is rendered already.
    pub(super) fn raw(&self, text: &str) {
        eprint!("{text}");
    }

    fn say(&self, word: &str, code: &str, text: &str) {
        let text = crate::render::words::clean(text);
        if self.color {
            eprintln!("\u{1b}[1;{code}m{word}\u{1b}[0m: {text}");
        } else {
            eprintln!("{word}: {text}");
        }
    }
}

/// Writes to stdout; a closed pipe is not a failure.
pub(super) fn print(text: &str) -> std::io::Result<()> {
    match written(text) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn written(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
}

/// Joins what was rendered for each target, under its name where there are several.
pub(super) fn by_target(rendered: &[(&str, String)]) -> String {
    match rendered {
        [(_, text)] => text.clone(),
        several => several
            .iter()
            .map(|(target, text)| format!("target {target}\n{text}"))
            .collect(),
    }
}

/// Returns the width that tables may take; without a terminal they are not folded.
pub(super) fn width() -> u16 {
    if std::io::stdout().is_terminal() {
        console_width()
    } else {
        400
    }
}

/// Returns the width that running text is folded to: the terminal's, 80 columns without one.
pub(super) fn text_width() -> u16 {
    match std::io::stdout().is_terminal() {
        true => console_width(),
        false => 80,
    }
}

fn console_width() -> u16 {
    comfy_table::Table::new().width().unwrap_or(100).max(60)
}
