//! `dbops queries slow`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::ValueEnum;

use super::explain;
use super::showing::{Chosen, Showing, reports_of, show};
use super::source::SourceArgs;
use super::top::unmeasured;
use crate::checks::judge::{
    Judgement, Labels, Measured, Reading, Severity, State, judge, stale_mutes,
};
use crate::checks::queries::figures::Figures;
use crate::checks::queries::group::Statement;
use crate::checks::queries::reasons::reasons;
use crate::checks::queries::report::{Broken, Order, Overview, Report};
use crate::checks::queries::slow::{Measuring, labels, query_metrics, rules, worst};
use crate::cli::context::Context;
use crate::failure::{Exit, Failure};
use crate::plan_file::rule::{Comparison, Rule, Threshold, Unit};
use crate::plan_file::{Mute, PlanFile};
use crate::render::queries::table;
use crate::render::words::{bytes, millis};
use crate::syntax::fingerprint::Fingerprint;

/// With fewer calls a statement is judged by its share alone.
const MIN_CALLS: u32 = 30;

/// From what on the exit code is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// A critical threshold is passed
    Critical,
    /// Any threshold is passed
    Warning,
    /// It cannot be told whether one is passed, too; alone that is exit code 3
    Unknown,
}

/// Show statements that break a rule, why they are slow and what to do
///
/// Rules are those of the plan files on metrics `query.…`, else thresholds that suit a web application. Statements
/// are ranked by the time that they take of the server. Reads only; the statistics are never reset.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    showing: Showing,
    /// Mean execution from which on a statement is slow: 50ms
    #[arg(long, value_name = "TIME", value_parser = time)]
    mean: Option<Threshold>,
    /// Longest execution from which on it is: 5s
    #[arg(long, value_name = "TIME", value_parser = time)]
    max: Option<Threshold>,
    /// 95th percentile from which on it is, judged where it can be proven: 500ms
    #[arg(long, value_name = "TIME", value_parser = time)]
    p95: Option<Threshold>,
    /// Share of the time of all statements: 10%
    #[arg(long, value_name = "SHARE", value_parser = share)]
    share: Option<Threshold>,
    /// With fewer calls a statement is judged by its share alone
    #[arg(long, value_name = "N", default_value_t = MIN_CALLS)]
    min_calls: u32,
    /// How many to show; 0: all
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Ask for the generic plans of the first N, and look for indexes that they want; nothing is run
    #[arg(long, value_name = "N", conflicts_with = "from")]
    explain: Option<usize>,
    /// Write these indexes to this file, as a plan that `indexes apply` takes
    #[arg(long, value_name = "FILE", requires = "explain")]
    write_plan: Option<PathBuf>,
    /// Exit with 1 when a threshold is passed; the same as --fail-on warning
    #[arg(long)]
    exit_code: bool,
    /// Exit with 1 from what on
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Option<FailOn>,
}

pub(super) fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = context.plan_for_targets()?;
    let rules = chosen_rules(&args, &plan);
    refuse_stale(&plan, &rules, context)?;
    let mut reports = reports_of(&args.source, &args.chosen, context, |name, overview| {
        Ok(report(name, overview, &rules, &plan.mutes, &args))
    })?;
    if let Some(most) = args.explain {
        explain::explain(&mut reports, most, &plan, context)?;
    }
    if let Some(path) = &args.write_plan {
        explain::write_plan(path, &reports, context)?;
    }
    let exit = reports
        .iter()
        .map(|report| exit_of(report, &args))
        .fold(Exit::Done, Exit::worst);
    context
        .ui
        .result(&show(&args.showing, &reports, exit, table::slow))?;
    Ok(exit)
}

fn chosen_rules(args: &Args, plan: &PlanFile) -> Vec<Rule> {
    let given: Vec<(&str, Threshold)> = [
        ("query.mean_time", args.mean),
        ("query.max_time", args.max),
        ("query.p95_bound", args.p95),
        ("query.share", args.share),
    ]
    .into_iter()
    .filter_map(|(metric, threshold)| Some((metric, threshold?)))
    .collect();
    rules(&plan.rules, &given)
}

/// A mute that is over is an error: nothing stays accepted for ever because nobody looked.
fn refuse_stale(plan: &PlanFile, rules: &[Rule], context: &Context) -> anyhow::Result<()> {
    let known: Vec<Rule> = plan.rules.iter().chain(rules).cloned().collect();
    let stale = stale_mutes(&plan.mutes, &known, context.now().date_naive());
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

fn report(name: &str, overview: &Overview, rules: &[Rule], mutes: &[Mute], args: &Args) -> Report {
    let by_time: Vec<usize> = overview
        .sorted(Order::Total)
        .into_iter()
        .filter(|&at| args.chosen.takes(overview, at))
        .collect();
    let measuring = Measuring {
        target: name,
        min_calls: args.min_calls.into(),
        metrics: rules,
    };
    let tags = rules.iter().any(asks_for_tags);
    let chosen = by_time
        .iter()
        .filter_map(|&at| Some((overview.statements.get(at)?, overview.figures.get(at)?)));
    let chosen: Vec<(&Statement<Fingerprint>, &Figures)> = chosen.collect();
    let measured = query_metrics(chosen.iter().copied(), &measuring, |one| {
        all_labels(one, name, tags)
    });
    let judged = judge(rules, &measured, mutes);
    let mut by_labels: HashMap<*const Labels, Vec<&Judgement<'_>>> = HashMap::new();
    for one in &judged {
        let key = Arc::as_ptr(&one.measured.labels);
        by_labels.entry(key).or_default().push(one);
    }
    // Things measured are in the order of the statements, and those of one statement share their labels.
    let mut places: HashMap<*const Labels, usize> = HashMap::new();
    for one in &measured {
        let next = places.len();
        places.entry(Arc::as_ptr(&one.labels)).or_insert(next);
    }
    let mut found: Vec<(usize, Vec<&Judgement<'_>>)> = by_labels
        .into_iter()
        .filter(|(_, ones)| ones.iter().any(|one| one.state != State::Unknown))
        .filter_map(|(key, ones)| Some((*places.get(&key)?, ones)))
        .collect();
    found.sort_by_key(|(place, _)| *place);
    let most = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    let unknown_alone = judged
        .iter()
        .filter(|one| one.state == State::Unknown)
        .count();
    let lines = found.iter().take(most).enumerate();
    Report {
        target: name.to_owned(),
        header: overview.header.clone(),
        statements: lines
            .filter_map(|(rank, (place, ones))| {
                let mut line = overview.line(*by_time.get(*place)?, rank + 1)?;
                for one in ones {
                    match one.state {
                        State::Broken(severity) => line.broken.push(broken(one, Some(severity))),
                        State::Unknown => line.unknown.push(broken(one, None)),
                    }
                }
                line.broken
                    .sort_by_key(|one| std::cmp::Reverse(one.severity));
                line.reasons = reasons(&line.figures, line.shape.as_ref());
                Some(line)
            })
            .collect(),
        statements_in_all: by_time.len(),
        noise: overview.noise,
        not_measured: unmeasured(overview),
        rules: rules.iter().map(describe).collect(),
        too_few_calls: Some(
            chosen
                .iter()
                .filter(|(_, figures)| figures.calls < f64::from(args.min_calls))
                .count(),
        ),
        proposals: Vec::new(),
        refused_proposals: 0,
        findings: found.len(),
        unknown: unknown_alone,
        worst: worst(&judged),
    }
}

/// Returns the figures of statements that rules ask for.
pub(in crate::cli) fn figures(target: &str, overview: &Overview, rules: &[Rule]) -> Vec<Measured> {
    let measuring = Measuring {
        target,
        min_calls: MIN_CALLS.into(),
        metrics: rules,
    };
    let tags = rules.iter().any(asks_for_tags);
    let all = overview.statements.iter().zip(&overview.figures);
    query_metrics(all, &measuring, |one| all_labels(one, target, tags))
}

fn asks_for_tags(rule: &Rule) -> bool {
    let overridden = rule.overrides.iter().flat_map(|other| other.labels.keys());
    rule.scope
        .keys()
        .chain(overridden)
        .any(|key| key.starts_with("tag:"))
}

fn all_labels(statement: &Statement<Fingerprint>, target: &str, tags: bool) -> Labels {
    let mut labels = labels(statement, target);
    if tags {
        // Those of the masked text: comments may hold secrets.
        let text = labels.get("text").cloned().unwrap_or_else(|| "".into());
        for (key, value) in crate::syntax::shape::tags(&text) {
            labels.insert(format!("tag:{key}"), value.into());
        }
    }
    labels
}

fn describe(rule: &Rule) -> String {
    let thresholds: Vec<String> = [("warn", rule.warn), ("critical", rule.critical)]
        .into_iter()
        .filter_map(|(word, threshold)| Some(format!("{word} {}", threshold?)))
        .collect();
    format!("{} ({})", rule.id, thresholds.join(", "))
}

fn broken(one: &Judgement<'_>, severity: Option<Severity>) -> Broken {
    let unit = one.threshold.unit;
    let found = match &one.measured.reading {
        Reading::Value(value) => figure(*value, unit),
        Reading::Between { low, high } => {
            format!("between {} and {}", figure(*low, unit), figure(*high, unit))
        }
        Reading::Unknown { why, .. } => why.clone().into_owned(),
        Reading::State(state) => state.clone().into_owned(),
    };
    Broken {
        rule: one.rule.id.clone(),
        metric: one.measured.metric,
        threshold: one.threshold.to_string(),
        severity,
        found,
        muted: one
            .mute
            .map(|mute| format!("until {}: {}", mute.until, mute.reason)),
    }
}

/// A figure in base units, in words.
fn figure(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Time(_) => millis(value * 1_000.0),
        Unit::Percent => format!("{value:.1} %"),
        Unit::Size(_) => bytes(value as i64),
        Unit::Count => format!("{value:.1}"),
    }
}

fn exit_of(report: &Report, args: &Args) -> Exit {
    let fail_on = match (args.fail_on, args.exit_code) {
        (Some(what), _) => what,
        (None, true) => FailOn::Warning,
        (None, false) => return Exit::Done,
    };
    let worst = report.worst;
    let broken = match fail_on {
        FailOn::Critical => worst == Some(Severity::Critical),
        FailOn::Warning | FailOn::Unknown => worst.is_some(),
    };
    if broken {
        Exit::Findings
    } else if fail_on == FailOn::Unknown && report.unknown > 0 {
        Exit::Unknown
    } else {
        Exit::Done
    }
}

/// Reads `50ms` as "above 50 ms".
fn time(text: &str) -> Result<Threshold, String> {
    above(text, |unit| matches!(unit, Unit::Time(_)), "50ms, 2s")
}

/// Reads `10%` as "above 10 %".
fn share(text: &str) -> Result<Threshold, String> {
    above(text, |unit| unit == Unit::Percent, "10%")
}

fn above(text: &str, fits: fn(Unit) -> bool, example: &str) -> Result<Threshold, String> {
    let threshold: Threshold = format!("> {text}")
        .parse()
        .map_err(|_| format!("write a number and a unit: {example}"))?;
    if fits(threshold.unit) && threshold.comparison == Comparison::Above {
        Ok(threshold)
    } else {
        Err(format!("write a number and a unit: {example}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_given_as_plain_figures() {
        assert_eq!(time("50ms").unwrap().to_string(), "> 50ms");
        assert_eq!(share("10%").unwrap().to_string(), "> 10%");
        for text in ["50", "10%", "", "= 5ms", "-5ms"] {
            assert!(time(text).is_err(), "{text}");
        }
        assert!(share("10ms").is_err());
    }
}
