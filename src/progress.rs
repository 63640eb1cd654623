//! Progress on stderr while a changeset runs; silent unless stderr is a terminal.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::apply::{BuildProgress, Events, StepOutcome};
use crate::changes::changeset::Step;

/// Fewer steps than this are over before a bar could be read.
const FEW: usize = 4;

/// Parts of a build's bar: the server tells shares of a phase, drawn in thousandths.
const WHOLE: u64 = 1000;

/// A bar over the steps of a run, and one below it for each build that runs at the moment.
pub struct Progress {
    all: MultiProgress,
    bar: ProgressBar,
    builds: BTreeMap<u32, ProgressBar>,
}

impl Progress {
    /// Makes a bar for so many steps; hidden where nobody would see it.
    pub fn new(steps: usize) -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self::on(target, steps)
    }

    fn on(target: ProgressDrawTarget, steps: usize) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let bar = all.add(ProgressBar::new(steps as u64));
        let template = if steps < FEW {
            "{spinner} {msg}"
        } else {
            "{bar:24} {pos}/{len} {msg} {eta}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            all,
            bar,
            builds: BTreeMap::new(),
        }
    }

    /// Takes the bars away.
    pub fn finish(&self) {
        for bar in self.builds.values() {
            bar.finish_and_clear();
        }
        self.bar.finish_and_clear();
    }
}

impl Events for Progress {
    fn step_began(&mut self, step: &Step) {
        self.bar.set_message(step.summary.clone());
    }

    fn step_waits(&mut self, step: &Step, attempts: u32) {
        let text = format!(
            "{} (waiting for its locks, attempt {attempts})",
            step.summary
        );
        match self.builds.get(&step.id) {
            Some(bar) => bar.set_message(text),
            None => self.bar.set_message(text),
        }
    }

    fn build_progress(&mut self, step: &Step, progress: &BuildProgress) {
        let all = &self.all;
        let bar = self.builds.entry(step.id).or_insert_with(|| {
            let bar = all.add(ProgressBar::new(WHOLE));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let template = match progress.done {
            Some(_) => "  {bar:22} {msg}",
            None => "  {spinner} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_position(
            progress
                .done
                .map_or(0, |done| (done.clamp(0.0, 1.0) * WHOLE as f64) as u64),
        );
        bar.set_message(message(step, progress));
    }

    fn step_ended(&mut self, outcome: &StepOutcome) {
        if let Some(bar) = self.builds.remove(&outcome.id) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
        self.bar.inc(1);
    }
}

/// A bar over windows that are recorded, with what is known so far.
pub struct Windows {
    bar: ProgressBar,
}

impl Windows {
    /// Makes a bar for so many windows; hidden where nobody would see it.
    pub fn new(windows: usize) -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(windows as u64), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// Says how many windows are there and what they tell.
    pub fn say(&self, done: usize, message: String) {
        self.bar.set_position(done as u64);
        self.bar.set_message(message);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// `t_a_idx: building index: scanning table 41 %, about 3 min left`.
fn message(step: &Step, progress: &BuildProgress) -> String {
    let mut text = match &step.index {
        Some(index) => format!("{}: {}", index.name, progress.phase),
        None => format!("{}: {}", step.table, progress.phase),
    };
    if let Some(done) = progress.done {
        text.push_str(&format!(" {:.0} %", done * 100.0));
    }
    if let Some(rest) = progress.rest_seconds {
        text.push_str(&format!(", about {} left", rough(rest)));
    }
    match progress.waits_for.as_slice() {
        [] => {}
        [first, rest @ ..] => {
            text.push_str(&format!(
                ", waits for pid {} ({})",
                first.pid,
                first.application.as_deref().unwrap_or("hidden")
            ));
            if !rest.is_empty() {
                text.push_str(&format!(" and {} more", rest.len()));
            }
        }
    }
    text
}

/// Seconds in the largest unit that still says something.
fn rough(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::Blocker;
    use crate::changes::changeset::{Action, IndexChange};
    use crate::ident::QualifiedName;
    use crate::plan_file::LockBudget;

    fn step(id: u32) -> Step {
        Step {
            id,
            table: QualifiedName::new("public", "t"),
            after: None,
            action: Action::CreateIndex,
            summary: String::new(),
            partitions: Vec::new(),
            index: Some(IndexChange {
                name: QualifiedName::new("public", "t_a"),
                table: QualifiedName::new("public", "t"),
                rows_estimate: None,
                bytes: None,
                hot_cost: None,
                follows: None,
                oid: None,
                invalid: false,
            }),
            locks: Vec::new(),
            hazards: Vec::new(),
            allowed_by_plan: Vec::new(),
            budget: LockBudget::default(),
            ways: Vec::new(),
        }
    }

    fn blocker(pid: i32) -> Blocker {
        Blocker {
            pid,
            relation: None,
            mode: None,
            role: None,
            application: Some("report".to_owned()),
            state: None,
            backend_type: None,
            transaction_seconds: None,
            query_seconds: None,
            why: None,
        }
    }

    #[test]
    fn a_build_says_how_far_it_is_and_whom_it_waits_for() {
        let scanning = BuildProgress {
            phase: "building index: scanning table".to_owned(),
            done: Some(0.406),
            rest_seconds: Some(200.0),
            waits_for: Vec::new(),
        };
        assert_eq!(
            message(&step(1), &scanning),
            "public.t_a: building index: scanning table 41 %, about 3 min left"
        );
        let waiting = BuildProgress {
            phase: "waiting for old snapshots".to_owned(),
            done: None,
            rest_seconds: None,
            waits_for: vec![blocker(7), blocker(8)],
        };
        assert_eq!(
            message(&step(1), &waiting),
            "public.t_a: waiting for old snapshots, waits for pid 7 (report) and 1 more"
        );
    }

    #[test]
    fn each_running_build_has_a_bar_of_its_own() {
        let mut progress = Progress::on(ProgressDrawTarget::hidden(), 5);
        let half = BuildProgress {
            phase: "building index: loading tuples in tree".to_owned(),
            done: Some(0.5),
            rest_seconds: None,
            waits_for: Vec::new(),
        };
        progress.build_progress(&step(1), &half);
        progress.build_progress(&step(2), &half);
        progress.build_progress(&step(2), &half);
        assert_eq!(progress.builds.len(), 2);
        assert_eq!(
            progress.builds.get(&2).map(ProgressBar::position),
            Some(500)
        );
    }
}
