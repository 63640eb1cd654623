//! What can be said against index plans without a server, on stderr.

use crate::cli::context::Context;
use crate::plan_file::Style;
use crate::plan_file::load::Loaded;

/// Prints the warnings and returns how many there are; they stop nothing.
pub(crate) fn run(loaded: &Loaded, context: &Context) -> usize {
    let found = loaded.lint_indexes();
    let style = if context.ui.color {
        Style::Colour
    } else {
        Style::Plain
    };
    for warning in &found {
        context.ui.raw(&format!("{}\n", warning.render(style)));
    }
    found.len()
}
