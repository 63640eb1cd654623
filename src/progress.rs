//! Progress on stderr while a changeset runs; silent unless stderr is a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::apply::{BuildProgress, Events, StepOutcome};
use crate::changes::changeset::Step;

/// Fewer steps than this are over before a bar could be read.
const FEW: usize = 4;

/// A bar over the steps of a run.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Makes a bar for so many steps; hidden where nobody would see it.
    pub fn new(steps: usize) -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(steps as u64), target);
        let template = if steps < FEW {
            "{spinner} {msg}"
        } else {
            "{bar:24} {pos}/{len} {msg} {eta}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Events for Progress {
    fn step_began(&mut self, step: &Step) {
        self.bar.set_message(step.summary.clone());
    }

    fn step_waits(&mut self, step: &Step, attempts: u32) {
        self.bar.set_message(format!(
            "{} (waiting for its locks, attempt {attempts})",
            step.summary
        ));
    }

    fn build_progress(&mut self, step: &Step, progress: &BuildProgress) {
        let mut text = format!("{}: {}", step.summary, progress.phase);
        if let Some(done) = progress.done {
            text.push_str(&format!(" {:.0} %", done * 100.0));
        }
        if let Some(rest) = progress.rest_seconds {
            text.push_str(&format!(", about {rest:.0} s left"));
        }
        if let Some(blocker) = progress.waits_for.first() {
            text.push_str(&format!(
                ", waits for pid {} ({})",
                blocker.pid,
                blocker.application.as_deref().unwrap_or("hidden")
            ));
        }
        self.bar.set_message(text);
    }

    fn step_ended(&mut self, _: &StepOutcome) {
        self.bar.inc(1);
    }
}
