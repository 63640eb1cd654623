//! `dbops schema`.

use super::context::Context;
use crate::failure::Exit;
use crate::plan_file::PlanFile;
use crate::render::json::pretty;

/// Print the JSON Schema of plan files, for editors
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: Args, context: &Context) -> anyhow::Result<Exit> {
    context
        .ui
        .result(&pretty(&schemars::schema_for!(PlanFile)))?;
    Ok(Exit::Done)
}
