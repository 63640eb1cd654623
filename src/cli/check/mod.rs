//! `dbops check`.

mod figures;
mod gather;
pub(super) mod lanes;
mod limits;
mod nodes;
mod primary;
pub(super) mod rounds;
mod rules;
mod saved;
pub(super) mod snapshot;
mod state;
mod target;
mod unused;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use chrono::{DateTime, Utc};
use clap::ValueEnum;

use super::context::{Context, clock};
use super::new_file;
use super::ui::{Loudness, width};
use crate::checks::input::Handed;
use crate::checks::trail::Trail;
use crate::checks::verdict::{Gathered, Memory, Policy, Status, Verdict, stale, verdict};
use crate::conn::failure::describe_error;
use crate::failure::{Exit, Failure};
use crate::plan_file::rule::Rule;
use crate::plan_file::{Millis, PlanFile, Stages};
use crate::render::check::{self as render, Report};

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Text for people; -v shows what holds, too
    #[default]
    Table,
    /// One JSON document, dbops.check/1
    Json,
    /// Prometheus text
    Openmetrics,
    /// One line with performance data
    Nagios,
    /// JUnit XML
    Junit,
    /// Annotations of a GitHub workflow
    Github,
    /// Markdown, for tickets
    Markdown,
    /// One HTML page
    Html,
}

/// From what on the exit code is 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum FailOn {
    /// What is critical
    #[default]
    Critical,
    /// Warnings, too
    Warning,
    /// What is not known, too; else that alone is exit code 3
    Unknown,
}

/// What a finding that has not lasted long enough counts as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum PendingAs {
    /// As if the rule held
    #[default]
    Ok,
    /// As a warning
    Warn,
    /// As a failure
    Fail,
}

/// Whose exit codes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// 0 rules hold, 1 broken, 2 usage, 3 not known
    #[default]
    Ci,
    /// 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN
    Nagios,
}

/// Hold everything that is measured against the rules of the plan files: one verdict
///
/// Reads only, but for one small commit where a rule asks for the lag of replicas (see --no-probe). Rules are those of `rules:`, and a few of its own where there are none. What cannot be measured is
/// unknown, with its reason and what to do; it never counts as good.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
    /// Exit with 1 from what on
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    fail_on: FailOn,
    /// Whose exit codes
    #[arg(long, value_enum, default_value_t, value_name = "WHOSE")]
    exit_profile: Profile,
    /// What a finding counts as that has not lasted for as long as its rule wants
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pending: PendingAs,
    /// Only these rules
    #[arg(long = "rule", value_name = "ID")]
    rules: Vec<String>,
    /// Remember samples in this file, for rules with `for`, `samples` or `clear`
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Measure so often, so far apart, in one run: 5x1s
    #[arg(long, value_name = "NxTIME", value_parser = burst)]
    burst: Option<Burst>,
    /// Show what decided: of a rule, and of what its labels name
    #[arg(long, value_names = ["RULE", "TARGET"], num_args = 1..=2, conflicts_with = "output")]
    explain: Vec<String>,
    /// Also write the Prometheus text to this file, in one piece
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
    /// Exit with 1 when something is measured that no rule looks at
    #[arg(long)]
    require_coverage: bool,
    /// Write nothing at all: lag of replicas is what the servers show, not that of a small commit (a logical message)
    #[arg(long)]
    no_probe: bool,
    /// Take figures that no server tells from this file, dbops.input/1
    #[arg(long, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Judge what `dbops snapshot` saved, as of then; several files are looks one after the other
    #[arg(long, value_name = "FILE", conflicts_with_all = ["state", "burst", "no_probe", "timeout"])]
    from: Vec<PathBuf>,
    /// Look again and again until Ctrl-C: each look takes the place of the last on a terminal, and stands below it elsewhere
    #[arg(long, conflicts_with_all = ["burst", "from", "explain", "textfile", "exit_profile"])]
    watch: bool,
    /// Time between two looks of --watch [default: `defaults.every` of the plan files, 30s]
    #[arg(long, value_name = "TIME", requires = "watch")]
    every: Option<Millis>,
    /// What it counts as that the next stage of growth is due
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    stages: StagesAs,
    /// Give up on a target after this long
    #[arg(long, value_name = "TIME", default_value = "15s")]
    timeout: Millis,
}

/// What it counts as that the next stage of growth is due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum StagesAs {
    /// As advice
    #[default]
    Advice,
    /// As a failure
    Fail,
}

/// How often, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Burst {
    times: u32,
    apart: Millis,
}

impl Burst {
    const ONCE: Self = Self {
        times: 1,
        apart: Millis(0),
    };
}

fn burst(text: &str) -> Result<Burst, String> {
    let wanted = || format!("`{text}` is no burst; write a number and a time: 5x1s");
    let (times, apart) = text.split_once('x').ok_or_else(wanted)?;
    let times = times.parse().map_err(|_| wanted())?;
    let apart: Millis = apart.parse().map_err(|_| wanted())?;
    if times == 0 || times > 1_000 {
        return Err(wanted());
    }
    Ok(Burst { times, apart })
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    if args.watch {
        return watch::run(args, context);
    }
    let nagios = args.exit_profile == Profile::Nagios;
    match checked(&args, context) {
        // A plugin that cannot work says so in its line and is UNKNOWN.
        Err(error) if nagios => {
            let text = describe_error(&error).replace(['\n', '|'], " ");
            context.ui.result(&format!("DBOPS UNKNOWN - {text}\n"))?;
            Ok(Exit::Unknown)
        }
        other => other,
    }
}

fn checked(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_if_any()?;
    let rules = chosen_rules(args, &plan, context)?;
    let policy = Policy::of(&plan, &rules);
    let handed = saved::handed(&args.input)?;
    let Looked { last, targets } = if args.from.is_empty() {
        refuse_stale(args, policy, context.now(), context)?;
        looked(args, context, &plan, policy, &handed)?
    } else {
        let looks = saved::looks(&args.from, policy, &handed, context)?;
        let at = looks.at();
        refuse_stale(args, policy, at, context)?;
        looks.judged(policy)
    };
    let Some(Judged { verdict, at, trail }) = last else {
        return Ok(Exit::Done);
    };
    let status = overall(args, &verdict);
    let exit = match args.exit_profile {
        Profile::Ci => exit_for_ci(args, &verdict),
        Profile::Nagios => exit_for_nagios(status),
    };
    let report = Report {
        status,
        targets,
        at,
        verdict,
        exit_code: exit.code(),
        trail,
    };
    if let Some(path) = &args.textfile {
        new_file::replace(path, &render::openmetrics(&report))?;
    }
    context.ui.result(&shown(args, &report, context)?)?;
    Ok(exit)
}

/// The last of the looks, and the targets.
struct Looked {
    last: Option<Judged>,
    targets: Vec<String>,
}

/// What the rules say of a look, when it was taken, and what is remembered of those before it.
struct Judged {
    verdict: Verdict,
    at: DateTime<Utc>,
    trail: Trail,
}

impl Judged {
    fn of(policy: Policy<'_>, gathered: &Gathered, memory: &mut Memory, at: DateTime<Utc>) -> Self {
        Self {
            verdict: verdict(policy, gathered, memory, at),
            at,
            trail: memory.trail().clone(),
        }
    }
}

/// Measures, as often as asked, and judges each time.
fn looked(
    args: &Args,
    context: &Context,
    plan: &PlanFile,
    policy: Policy<'_>,
    handed: &[Handed],
) -> anyhow::Result<Looked> {
    let targets = context.targets(plan)?;
    let names: Vec<String> = targets.iter().map(|one| one.name.clone()).collect();
    let burst = args.burst.unwrap_or(Burst::ONCE);
    let asked = asked(plan, policy.rules);
    let mut memory = Memory::default();
    let mut last = None;
    for at in 0..burst.times {
        if at > 0 {
            std::thread::sleep(Duration::from_millis(burst.apart.0));
        }
        let mut gathered = context.block_on(gather::gather(
            context,
            plan,
            &asked,
            &targets,
            gather::How {
                most: Duration::from_millis(args.timeout.0),
                probe: !args.no_probe,
            },
        ))?;
        // The moment of the sample, not of the start: a burst lasts. With a file it is told while the file is held, so
        // that of two runs the one that comes second is the later one.
        let mut judged = |memory: &mut Memory| {
            let now = context.as_of().unwrap_or_else(clock);
            saved::complete(&mut gathered, policy, handed, &names, now)?;
            anyhow::Ok(Judged::of(policy, &gathered, memory, now))
        };
        last = Some(match &args.state {
            Some(path) => state::with(path, context, judged)??,
            None => judged(&mut memory)?,
        });
    }
    Ok(Looked {
        last,
        targets: names,
    })
}

/// The rules that are measured for, and what stages need beside them.
fn asked(plan: &PlanFile, rules: &[Rule]) -> Vec<Rule> {
    let mut asked = rules.to_vec();
    let stages = plan.stages.iter().flat_map(Stages::metrics);
    asked.extend(stages.map(|name| Rule::new(name, name)));
    asked
}

fn shown(args: &Args, report: &Report, context: &Context) -> anyhow::Result<String> {
    if let Some(rule) = args.explain.first() {
        let about = args.explain.get(1);
        let findings: Vec<_> = report
            .verdict
            .findings
            .iter()
            .filter(|one| one.rule == *rule)
            .filter(|one| {
                about.is_none_or(|wanted| one.labels.values().any(|value| **value == **wanted))
            })
            .collect();
        if findings.is_empty() {
            let mut known: Vec<&str> = report
                .verdict
                .findings
                .iter()
                .filter(|one| one.rule == *rule)
                .flat_map(|one| one.labels.values().map(|value| &**value))
                .collect();
            known.sort_unstable();
            known.dedup();
            bail!(
                Failure::usage(format!("rule `{rule}` says nothing of that")).hint(
                    if known.is_empty() {
                        "nothing of the kind was measured; statements that hold are not kept"
                            .to_owned()
                    } else {
                        format!("it looks at: {}", known.join(", "))
                    }
                )
            );
        }
        return Ok(render::explained(&findings));
    }
    let detail = context.ui.loudness == Loudness::Verbose;
    Ok(match args.output {
        Form::Table => render::table(report, detail, width()),
        Form::Json => render::json(report),
        Form::Openmetrics => render::openmetrics(report),
        Form::Nagios => render::nagios(report),
        Form::Junit => render::junit(report, args.fail_on >= FailOn::Warning),
        Form::Github => render::github(report),
        Form::Markdown => render::markdown(report),
        Form::Html => render::html(report),
    })
}

/// The rules of the plan files, or those of dbops; a node that is down is always a finding.
fn chosen_rules(args: &Args, plan: &PlanFile, context: &Context) -> anyhow::Result<Vec<Rule>> {
    let mut rules = plan.rules.clone();
    if rules.is_empty() {
        context
            .ui
            .detail("the plan files give no rules: those of dbops are used");
        rules = rules::built_in();
    } else if !rules
        .iter()
        .any(|rule| rule.metric == "node.up" && rule.scope.is_empty())
    {
        // One with a scope says nothing of the other nodes.
        let mut all = rules::node_up();
        while rules.iter().any(|rule| rule.id == all.id) {
            all.id.push_str(".any");
        }
        rules.push(all);
    }
    let wanted = args.rules.iter().chain(args.explain.first());
    let wanted: Vec<&String> = wanted.collect();
    for id in &wanted {
        if !rules.iter().any(|rule| rule.id == **id) {
            let known: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
            bail!(
                Failure::usage(format!("there is no rule `{id}`"))
                    .hint(format!("rules: {}", known.join(", ")))
            );
        }
    }
    if !wanted.is_empty() {
        rules.retain(|rule| wanted.contains(&&rule.id) || rule.metric == "node.up");
    }
    Ok(rules)
}

/// A mute that is over is an error: nothing stays accepted for ever because nobody looked.
fn refuse_stale(
    args: &Args,
    policy: Policy<'_>,
    now: DateTime<Utc>,
    context: &Context,
) -> anyhow::Result<()> {
    let mut stale = stale(policy, now.date_naive());
    if !args.rules.is_empty() || !args.explain.is_empty() {
        // With some of the rules a mute may be of one that is left out.
        stale.retain(|one| one.message.contains("is over since"));
    }
    let Some(first) = stale.first() else {
        return Ok(());
    };
    for one in stale.iter().skip(1) {
        context
            .ui
            .error(&format!("{}: {}", one.origin, one.message));
    }
    bail!(
        Failure::usage(format!("{}: {}", first.origin, first.message))
            .hint("remove it, or move `until` and say in `reason` why")
    )
}

fn exit_for_ci(args: &Args, verdict: &Verdict) -> Exit {
    let counts = &verdict.counts;
    let warnings = counts.warning
        + if args.pending == PendingAs::Warn {
            counts.pending
        } else {
            0
        };
    let not_known = counts.unknown + counts.skipped;
    let broken = counts.critical > 0
        || (warnings > 0 && args.fail_on >= FailOn::Warning)
        || (not_known > 0 && args.fail_on >= FailOn::Unknown)
        || (counts.pending > 0 && args.pending == PendingAs::Fail)
        || (args.require_coverage && !verdict.uncovered.is_empty())
        || (args.stages == StagesAs::Fail && is_due(verdict));
    if broken {
        Exit::Findings
    } else if not_known > 0 {
        // A node that was skipped was not measured, whatever the rules say of it.
        Exit::Unknown
    } else {
        Exit::Done
    }
}

/// Whether the next stage of some target is due.
fn is_due(verdict: &Verdict) -> bool {
    let mut next = verdict.stages.iter().filter_map(|one| one.next.as_ref());
    next.any(|next| next.due)
}

/// The one status that every form shows and that Nagios is told.
fn overall(args: &Args, verdict: &Verdict) -> Status {
    let pending = match args.pending {
        _ if verdict.counts.pending == 0 => Status::Ok,
        PendingAs::Ok => Status::Ok,
        PendingAs::Warn => Status::Warning,
        PendingAs::Fail => Status::Critical,
    };
    let uncovered = if args.require_coverage && !verdict.uncovered.is_empty() {
        Status::Warning
    } else {
        Status::Ok
    };
    // A node that was skipped was not measured, whatever the rules say of it.
    let skipped = if verdict.counts.skipped > 0 {
        Status::Unknown
    } else {
        Status::Ok
    };
    let worst = match verdict.worst() {
        Status::Pending | Status::Skipped => Status::Ok,
        other => other,
    };
    let stages = if args.stages == StagesAs::Fail && is_due(verdict) {
        Status::Critical
    } else {
        Status::Ok
    };
    worst.max(pending).max(uncovered).max(skipped).max(stages)
}

/// The numbers of Nagios plugins: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
fn exit_for_nagios(status: Status) -> Exit {
    match status {
        Status::Critical => Exit::Usage,
        Status::Unknown => Exit::Unknown,
        Status::Warning => Exit::Findings,
        Status::Pending | Status::Skipped | Status::Ok => Exit::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_are_a_number_and_a_time() {
        let five = Burst {
            times: 5,
            apart: Millis(1_000),
        };
        assert_eq!(burst("5x1s"), Ok(five));
        for text in ["", "5", "x1s", "5x", "0x1s", "5x1", "1e9x1s", "-1x1s"] {
            assert!(burst(text).is_err(), "{text}");
        }
    }
}
