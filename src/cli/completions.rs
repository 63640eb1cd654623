//! `dbops completions`.

use clap_complete::Shell;

use super::context::Context;
use crate::failure::Exit;

/// Print a completion script
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "dbops", &mut script);
    context.ui.result(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
