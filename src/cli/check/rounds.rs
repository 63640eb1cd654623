//! Looks again and again, for a server: each look is one report.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{
    Args, Burst, FailOn, Form, PendingAs, Profile, StagesAs, asked, chosen_rules, exit_for_ci,
    gather, overall, refuse_stale, saved, state,
};
use crate::checks::verdict::{Memory, Policy, verdict};
use crate::cli::context::{Context, Selected, clock};
use crate::plan_file::rule::Rule;
use crate::plan_file::{Millis, PlanFile, ReadyGroup};
use crate::render::check::Report;

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
}

/// Everything that the looks share.
pub(in crate::cli) struct Rounds<'a> {
    context: &'a Context,
    args: Args,
    plan: PlanFile,
    rules: Vec<Rule>,
    asked: Vec<Rule>,
    targets: Vec<Selected>,
    memory: Memory,
}

impl<'a> Rounds<'a> {
    /// Reads the plan files and chooses the targets.
    ///
    /// # Errors
    /// Plan files, targets or mutes are not as they should be.
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
            stages: StagesAs::Advice,
            timeout: how.timeout,
        };
        let plan = context.plan_if_any()?;
        let rules = chosen_rules(&args, &plan, context)?;
        refuse_stale(&args, Policy::of(&plan, &rules), context.now(), context)?;
        Ok(Self {
            asked: asked(&plan, &rules),
            targets: context.targets(&plan)?,
            memory: Memory::default(),
            context,
            args,
            plan,
            rules,
        })
    }

    /// How often it is looked, as the plan files say.
    pub(in crate::cli) fn every(&self) -> Millis {
        self.plan.defaults.every
    }

    /// The groups of nodes that the plan files name.
    pub(in crate::cli) fn groups(&self) -> &BTreeMap<String, ReadyGroup> {
        &self.plan.ready
    }

    /// Measures and judges once.
    ///
    /// # Errors
    /// A setting of a node, an input or the state file cannot be used; nodes that do not answer are findings.
    pub(in crate::cli) async fn look(&mut self) -> anyhow::Result<Report> {
        let how = gather::How {
            most: std::time::Duration::from_millis(self.args.timeout.0),
            probe: !self.args.no_probe,
        };
        let handed = saved::handed(&self.args.input)?;
        let policy = Policy::of(&self.plan, &self.rules);
        let mut gathered =
            gather::gather(self.context, &self.plan, &self.asked, &self.targets, how).await?;
        let targets: Vec<String> = self.targets.iter().map(|one| one.name.clone()).collect();
        let mut judged = |memory: &mut Memory| {
            let now = self.context.as_of().unwrap_or_else(clock);
            saved::complete(&mut gathered, policy, &handed, &targets, now)?;
            anyhow::Ok((verdict(policy, &gathered, memory, now), now))
        };
        let (verdict, at) = match &self.args.state {
            Some(path) => state::with(path, self.context, judged)??,
            None => judged(&mut self.memory)?,
        };
        Ok(Report {
            status: overall(&self.args, &verdict),
            exit_code: exit_for_ci(&self.args, &verdict).code(),
            targets,
            at,
            verdict,
        })
    }
}
