//! `dbops man`.

use std::path::PathBuf;

use anyhow::Context as _;

use super::context::Context;
use crate::failure::Exit;

/// Print the manual page
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write one page a command into this folder instead
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    if let Some(folder) = args.out {
        clap_mangen::generate_to(super::command(), &folder)
            .with_context(|| format!("writing manual pages into {}", folder.display()))?;
        return Ok(Exit::Done);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(super::command())
        .render(&mut page)
        .context("rendering the manual page")?;
    context.ui.result(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Done)
}
