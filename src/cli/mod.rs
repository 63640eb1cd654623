//! The command line: one file per command, its arguments beside what it runs. clap stays here.

use std::process::ExitCode;

/// Parses the command line, runs the command and maps the outcome to an exit code.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
