//! Looks again and again, for a server or a terminal: each look is one report.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use chrono::{DateTime, Utc};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    Args, Burst, FailOn, Form, Judged, PendingAs, Profile, StagesAs, asked, chosen_rules,
    exit_for_ci, gather, overall, refuse_stale, saved, state,
};
use crate::checks::trail::Trail;
use crate::checks::verdict::{Gathered, Memory, Policy, Verdict, stale};
use crate::cli::context::{Context, Selected, clock};
use crate::failure::Failure;
use crate::plan_file::rule::Rule;
use crate::plan_file::{Millis, PlanFile, ReadyGroup};
use crate::render::check::{Report, SHOWN};

/// Looks closer together than this would be a load of their own.
const CLOSEST: Millis = Millis(100);

/// How a server looks.
#[derive(Debug, Clone)]
pub(in crate::cli) struct How {
    /// Remember samples in this file.
    pub(in crate::cli) state: Option<PathBuf>,
    /// Figures that no server tells.
    pub(in crate::cli) input: Vec<PathBuf>,
    /// Write nothing at all.
    pub(in crate::cli) no_probe: bool,
    /// Give up on a target after this long.
    pub(in crate::cli) timeout: Millis,
    /// Time between two looks; as the plan files say where it is not given.
    pub(in crate::cli) every: Option<Millis>,
}

/// What came of a look.
pub(in crate::cli) struct Look {
    /// What the rules say.
    pub(in crate::cli) report: Report,
    /// What was measured.
    pub(in crate::cli) gathered: Gathered,
}

/// What a mute does that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// Nothing begins.
    Refused,
    /// It is told and accepts nothing: a server that did not start again would take its nodes out of every balancer.
    Told,
}

/// Everything that the looks share.
pub(in crate::cli) struct Rounds<'a> {
    pub(super) context: &'a Context,
    pub(super) args: Args,
    pub(super) every: Millis,
    pub(super) plan: PlanFile,
    pub(super) rules: Vec<Rule>,
    pub(super) asked: Vec<Rule>,
    pub(super) targets: Vec<Selected>,
    memory: Memory,
}

impl<'a> Rounds<'a> {
    /// Reads the plan files and chooses the targets.
    ///
    /// # Errors
    /// Plan files, targets, mutes or the time between looks are not as they should be.
    pub(in crate::cli) fn new(context: &'a Context, how: How) -> anyhow::Result<Self> {
        let args = Args {
            output: Form::Json,
            fail_on: FailOn::Critical,
            exit_profile: Profile::Ci,
            pending: PendingAs::Ok,
            rules: Vec::new(),
            state: how.state,
            burst: Some(Burst::ONCE),
            explain: Vec::new(),
            textfile: None,
            require_coverage: false,
            no_probe: how.no_probe,
            input: how.input,
            from: Vec::new(),
            watch: false,
            every: how.every,
            stages: StagesAs::Advice,
            timeout: how.timeout,
        };
        let mut rounds = Self::with(context, args, Over::Told)?;
        // What the page shows is measured whether a rule asks for it or not.
        let shown = SHOWN.map(|name| Rule::new(name, name));
        rounds.asked.extend(shown);
        Ok(rounds)
    }

    /// The same with the arguments of `dbops check`.
    pub(super) fn of(context: &'a Context, args: Args) -> anyhow::Result<Self> {
        Self::with(context, args, Over::Refused)
    }

    fn with(context: &'a Context, args: Args, over: Over) -> anyhow::Result<Self> {
        let mut plan = context.plan_if_any()?;
        let every = args.every.unwrap_or(plan.defaults.every);
        if every < CLOSEST {
            bail!(Failure::usage(format!("--every is at least {CLOSEST}")));
        }
        // Samples this far apart are one stretch of time, whatever cron does and however long a look takes.
        plan.defaults.every = plan.defaults.every.max(every).max(args.timeout);
        let rules = chosen_rules(&args, &plan, context)?;
        let policy = Policy::of(&plan, &rules);
        match over {
            Over::Refused => refuse_stale(&args, policy, context.now(), context)?,
            Over::Told => {
                for one in stale(policy, context.now().date_naive()) {
                    let told = format!("{}: {}", one.origin, one.message);
                    context.ui.warning(&told);
                }
            }
        }
        Ok(Self {
            asked: asked(&plan, &rules),
            targets: context.targets(&plan)?,
            memory: Memory::default(),
            context,
            args,
            every,
            plan,
            rules,
        })
    }

    /// How it is looked, and what counts as broken.
    pub(super) fn args(&self) -> &Args {
        &self.args
    }

    /// Time between two looks.
    pub(in crate::cli) fn every(&self) -> Millis {
        self.every
    }

    /// Names of the targets.
    pub(in crate::cli) fn targets(&self) -> impl Iterator<Item = String> {
        self.targets.iter().map(|one| one.name.clone())
    }

    /// The groups of nodes that the plan files name.
    pub(in crate::cli) fn groups(&self) -> &BTreeMap<String, ReadyGroup> {
        &self.plan.ready
    }

    /// Looks at all targets at once and then every so often, until `each` has enough.
    ///
    /// Looks do not overlap: one that takes longer than that is followed at once by the next.
    pub(super) async fn repeat(
        &mut self,
        mut each: impl FnMut(anyhow::Result<Look>) -> ControlFlow<()>,
    ) {
        let mut ticks = interval(Duration::from_millis(self.every.0));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if each(self.look().await).is_break() {
                return;
            }
        }
    }

    /// Measures and judges once; returns what was measured, too.
    ///
    /// # Errors
    /// A setting of a node, an input or the state file cannot be used; nodes that do not answer are findings.
    async fn look(&mut self) -> anyhow::Result<Look> {
        let how = self.how();
        let handed = saved::handed(&self.args.input)?;
        let policy = Policy::of(&self.plan, &self.rules);
        let mut gathered =
            gather::gather(self.context, &self.plan, &self.asked, &self.targets, how).await?;
        let targets: Vec<String> = self.targets.iter().map(|one| one.name.clone()).collect();
        let mut judged = |memory: &mut Memory| {
            let now = self.context.as_of().unwrap_or_else(clock);
            saved::complete(&mut gathered, policy, &handed, &targets, now)?;
            anyhow::Ok(Judged::of(policy, &gathered, memory, now))
        };
        let Judged { verdict, at, trail } = match &self.args.state {
            Some(path) => state::with(path, self.context, judged)??,
            None => judged(&mut self.memory)?,
        };
        Ok(self.report(verdict, gathered, at, trail))
    }

    /// How targets are looked at.
    pub(super) fn how(&self) -> gather::How {
        gather::How {
            most: Duration::from_millis(self.args.timeout.0),
            probe: !self.args.no_probe,
        }
    }

    /// What is told of a verdict.
    pub(super) fn report(
        &self,
        verdict: Verdict,
        gathered: Gathered,
        at: DateTime<Utc>,
        trail: Trail,
    ) -> Look {
        let report = Report {
            status: overall(&self.args, &verdict),
            exit_code: exit_for_ci(&self.args, &verdict).code(),
            targets: self.targets.iter().map(|one| one.name.clone()).collect(),
            at,
            verdict,
            trail,
        };
        Look { report, gathered }
    }
}
