//! The one flow of every command that changes something: read, plan, show or run, report.
//!
//! Showing and running are two uses of the same changeset. A dry run opens one reading session and
//! nothing else.

mod execute;
mod indexes;
mod partitions;
mod rounds;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::ValueEnum;

pub(super) use self::execute::{Execution, execute, lock, refuse_read_only};
use self::indexes::Probed;
pub(super) use self::indexes::{Breadth, Depth, read as read_indexes};
use self::partitions::Planner;
use self::rounds::rounds;
use super::context::{Context, Selected};
use super::indexes::lint;
use super::signals::watch_interrupts;
use crate::apply::exclusive::Area;
use crate::apply::{self, Forecast, Outcome};
use crate::catalog::Server;
use crate::changes::changeset::{Action, Changeset, Hazard};
use crate::changes::saved;
use crate::conn::{Purpose, Session, connect};
use crate::failure::{Exit, Failure, exit_of};
use crate::ident::QualifiedName;
use crate::plan_file::{IndexPlan, LockBudget, Millis, PlanFile};
use crate::render;
use crate::render::json::{RunReport, runs};
use crate::syntax;

/// Flags of a command that changes something.
#[derive(Debug, clap::Args)]
pub(super) struct ChangeArgs {
    /// Declared tables to work on [default: all]
    #[arg(value_name = "TABLE", value_parser = QualifiedName::parse)]
    tables: Vec<QualifiedName>,
    /// Show the changeset and touch nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Save the changeset to a file for `dbops apply` and touch nothing
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Time after which `dbops apply` refuses the saved changeset
    #[arg(long, value_name = "TIME", default_value = "24h", requires = "out")]
    expires_in: Millis,
    /// Exit with 1 when the changeset is not empty; for --dry-run and --out
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    pub(super) run: RunArgs,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl ChangeArgs {
    /// The flags of a command that only shows.
    pub(super) fn show(out: Option<PathBuf>, exit_code: bool, output: Output) -> Self {
        Self {
            tables: Vec::new(),
            dry_run: true,
            out,
            expires_in: Millis(24 * 3_600_000),
            exit_code,
            run: RunArgs {
                allow: Vec::new(),
                max_block: None,
                give_up_after: None,
                indexes: IndexRunArgs::default(),
            },
            output,
        }
    }
}

/// Flags of running, shared with `dbops apply`.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// Hazards that may happen, by name
    #[arg(long, value_name = "HAZARD", value_delimiter = ',')]
    pub(super) allow: Vec<Hazard>,
    /// Longest time another session may wait behind one attempt [default: the plan file's, 100ms]
    #[arg(long, value_name = "TIME")]
    max_block: Option<Millis>,
    /// Time after which a step that cannot get its locks is deferred [default: the plan file's, 60s]
    #[arg(long, value_name = "TIME")]
    give_up_after: Option<Millis>,
    /// Given by the commands that build indexes.
    #[arg(skip)]
    pub(super) indexes: IndexRunArgs,
}

/// Flags of building indexes.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct IndexRunArgs {
    /// Indexes built side by side, each on a table or partition of its own [default: 1]
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) jobs: Option<u16>,
    /// How long a build waits for open transactions and other builds [default: the plan file's, 30min]
    #[arg(long, value_name = "TIME")]
    pub(super) patience: Option<Millis>,
}

impl RunArgs {
    /// Returns the budget with what the command line says about it.
    pub(super) fn budget(&self, budget: LockBudget) -> LockBudget {
        LockBudget {
            max_block: self.max_block.unwrap_or(budget.max_block),
            give_up_after: self.give_up_after.unwrap_or(budget.give_up_after),
            patience: self.indexes.patience.unwrap_or(budget.patience),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Text for people
    #[default]
    Table,
    /// One JSON document
    Json,
    /// The statements
    Sql,
}

/// Which planners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// Partitions that are missing.
    Ensure,
    /// Partitions that have passed their retention.
    Prune,
    /// Indexes.
    Indexes,
    /// Partitions that are missing and indexes; only ever shown.
    Diff,
}

impl Verb {
    const fn command(self) -> &'static str {
        match self {
            Self::Ensure => "partitions ensure",
            Self::Prune => "partitions prune",
            Self::Indexes => "indexes apply",
            Self::Diff => "diff",
        }
    }

    const fn is_of_partitions(self) -> bool {
        matches!(self, Self::Ensure | Self::Prune)
    }

    const fn areas(self) -> &'static [Area] {
        match self {
            Self::Ensure | Self::Prune => &[Area::Partitions],
            Self::Indexes => &[Area::Indexes],
            Self::Diff => &[Area::Partitions, Area::Indexes],
        }
    }
}

/// Runs the command on every selected target; one target that cannot be served does not stop others.
pub(super) fn run(verb: Verb, args: &ChangeArgs, context: &Context) -> anyhow::Result<Exit> {
    let loaded = context.plan()?;
    if !verb.is_of_partitions() {
        lint::run(&loaded, context);
    }
    let mut plan = loaded.plan;
    plan.lock_budget = args.run.budget(plan.lock_budget);
    for policy in &mut plan.partitions {
        policy.lock_budget = policy.lock_budget.map(|budget| args.run.budget(budget));
    }
    for index in &mut plan.indexes {
        index.lock_budget = index.lock_budget.map(|budget| args.run.budget(budget));
    }
    let (partitions, indexes) = (plan.partitions.is_empty(), plan.indexes.is_empty());
    match verb {
        Verb::Ensure | Verb::Prune if partitions => {
            context.ui.warning("the plan files declare no partitions");
        }
        Verb::Indexes if indexes => context.ui.warning("the plan files declare no indexes"),
        Verb::Diff if partitions && indexes => {
            context
                .ui
                .warning("the plan files declare no partitions and no indexes");
        }
        _ => {}
    }
    choose_tables(verb, &mut plan, &args.tables)?;
    let targets = context.targets(&plan)?;
    if args.out.is_some() && targets.len() != 1 {
        return Err(Failure::usage(
            "--out saves the changeset of one target; choose it with --target",
        )
        .into());
    }
    let mut reports = Vec::new();
    let mut deadlock_timeout_ms = 1_000;
    for selected in &targets {
        let one = Planning {
            verb,
            plan: &plan,
            selected,
            expires_in: args.expires_in,
            probed: Probed::default(),
        };
        let report = context.block_on(async {
            let (report, timeout) = on_target(&one, args, context).await?;
            deadlock_timeout_ms = timeout;
            Ok(report)
        });
        match report {
            Ok(report) => {
                let interrupted = report.exit == Exit::Interrupted;
                reports.push(report);
                if interrupted {
                    // Whoever said stop meant all of it.
                    break;
                }
            }
            Err(error) if targets.len() == 1 => return Err(error),
            Err(error) => reports.push(unreachable_target(selected, &error, context)),
        }
    }
    let exit = reports
        .iter()
        .map(|report| report.exit)
        .fold(Exit::Done, Exit::worst);
    if let (Some(path), Some(changeset)) = (
        &args.out,
        reports.first().and_then(|report| report.changeset.as_ref()),
    ) {
        let text = saved::write(changeset).context("saving the changeset")?;
        write_atomically(path, &text).with_context(|| format!("writing {}", path.display()))?;
        context.ui.hint(&format!(
            "saved to {}; run it with: dbops apply {}",
            path.display(),
            path.display()
        ));
    }
    let rendered = match args.output {
        Output::Json => runs(&reports, exit),
        Output::Table => reports
            .iter()
            .map(|report| report_text(report, targets.len() > 1, args.dry_run))
            .collect(),
        Output::Sql => reports
            .iter()
            .filter_map(|report| report.changeset.as_ref())
            .map(|changeset| render::sql::text(changeset, deadlock_timeout_ms))
            .collect(),
    };
    context.ui.result(&rendered)?;
    Ok(exit)
}

fn choose_tables(verb: Verb, plan: &mut PlanFile, tables: &[QualifiedName]) -> anyhow::Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
    let mut known: BTreeSet<QualifiedName> = BTreeSet::new();
    if verb != Verb::Indexes {
        known.extend(plan.partitions.iter().map(|policy| policy.table.clone()));
    }
    if !verb.is_of_partitions() {
        known.extend(plan.indexes.iter().filter_map(table_of));
    }
    for table in tables {
        if !known.contains(table) {
            let known: Vec<String> = known.iter().map(ToString::to_string).collect();
            return Err(
                Failure::usage(format!("no plan file declares anything of table {table}"))
                    .hint(format!("declared tables: {}", known.join(", ")))
                    .into(),
            );
        }
    }
    plan.partitions
        .retain(|policy| tables.contains(&policy.table));
    // Which table an index stands on that should be absent is not known here: it is left for a run
    // over all tables.
    plan.indexes
        .retain(|index| table_of(index).is_some_and(|table| tables.contains(&table)));
    Ok(())
}

fn table_of(index: &IndexPlan) -> Option<QualifiedName> {
    match &index.sql {
        Some(sql) => syntax::create_index(sql)
            .ok()
            .map(|statement| statement.spec.table),
        None => index.table.clone(),
    }
}

fn unreachable_target(selected: &Selected, error: &anyhow::Error, context: &Context) -> RunReport {
    let message = crate::conn::failure::describe_error(error);
    context
        .ui
        .error(&format!("target {}: {message}", selected.name));
    let exit = exit_of(error);
    RunReport {
        target: selected.name.clone(),
        changeset: None,
        outcome: None,
        exit_code: exit.code(),
        exit,
        message: Some(message),
        forecast: None,
    }
}

fn report_text(report: &RunReport, several: bool, dry_run: bool) -> String {
    let mut text = if several {
        format!("target {}\n", report.target)
    } else {
        String::new()
    };
    match (&report.changeset, &report.outcome) {
        (Some(changeset), Some(outcome)) => {
            text.push_str(&render::outcome::text(changeset, outcome))
        }
        // A message says why there is nothing to show: a standby.
        (Some(_), None) if report.message.is_some() => {}
        (Some(changeset), None) => {
            text.push_str(&render::changeset::text(changeset));
            if let Some(forecast) = &report.forecast {
                text.push_str(&render::outcome::forecast(forecast));
            }
        }
        (None, _) => {}
    }
    if let Some(message) = &report.message {
        text.push_str(&format!("{message}\n"));
    } else if dry_run {
        text.push_str("dry run: nothing was touched\n");
    }
    text
}

/// What a changeset is computed from, beside the server.
struct Planning<'a> {
    verb: Verb,
    plan: &'a PlanFile,
    selected: &'a Selected,
    expires_in: Millis,
    probed: Probed,
}

impl Planning<'_> {
    /// From when on a changeset made now is refused.
    fn expires_at(&self, created_at: DateTime<Utc>) -> DateTime<Utc> {
        i64::try_from(self.expires_in.0)
            .ok()
            .and_then(chrono::TimeDelta::try_milliseconds)
            .and_then(|lifetime| created_at.checked_add_signed(lifetime))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// What a planner computed, and for which server.
struct Computed {
    server: Server,
    changeset: Changeset,
}

async fn compute(
    one: &Planning<'_>,
    reader: &mut Session,
    now: DateTime<Utc>,
) -> anyhow::Result<Computed> {
    match one.verb {
        Verb::Ensure => partitions::compute(Planner::Ensure, one, reader, now).await,
        Verb::Prune => partitions::compute(Planner::Prune, one, reader, now).await,
        Verb::Indexes => indexes::compute(one, reader, now).await,
        Verb::Diff => {
            let mut both = partitions::compute(Planner::Ensure, one, reader, now).await?;
            let then = indexes::compute(one, reader, now).await?;
            both.changeset.append(then.changeset);
            Ok(both)
        }
    }
}

async fn on_target(
    one: &Planning<'_>,
    args: &ChangeArgs,
    context: &Context,
) -> anyhow::Result<(RunReport, i64)> {
    let settings = context.settings(one.selected)?;
    let mut reader = connect(&settings, Purpose::Read).await?;
    let now = context.now();
    let Computed {
        server,
        mut changeset,
    } = compute(one, &mut reader, now).await?;
    let report = |changeset: Changeset,
                  outcome: Option<Outcome>,
                  exit: Exit,
                  message: Option<String>| RunReport {
        target: one.selected.name.clone(),
        changeset: Some(changeset),
        outcome,
        exit_code: exit.code(),
        exit,
        message,
        forecast: None,
    };
    warn_about_version(&server, context);
    let showing = args.dry_run || args.out.is_some();
    if server.in_recovery && one.verb != Verb::Indexes {
        changeset.steps.clear();
        changeset.refusals.clear();
        let message = format!(
            "{settings} is a standby: nothing to do here; its primary is where partitions are kept"
        );
        return Ok((
            report(changeset, None, Exit::Done, Some(message)),
            server.deadlock_timeout_ms,
        ));
    }
    if showing || changeset.is_empty() {
        let findings = if args.exit_code && showing && !changeset.is_empty() {
            Exit::Findings
        } else {
            Exit::Done
        };
        let exit = planned(&changeset).worst(findings);
        let forecast = match showing {
            true => forecast(&changeset, &reader).await?,
            false => None,
        };
        let shown = RunReport {
            forecast,
            ..report(changeset, None, exit, None)
        };
        return Ok((shown, server.deadlock_timeout_ms));
    }
    if server.in_recovery {
        return Err(Failure::refused(format!(
            "{settings} is a standby: indexes are built on its primary"
        ))
        .hint("point dbops at the primary; the standby gets its indexes from there")
        .into());
    }
    refuse_read_only(&server, &settings)?;
    let execution = Execution {
        args: &args.run,
        context,
        interrupt: watch_interrupts()?,
    };
    let done = rounds(one, &settings, &mut reader, &execution).await?;
    let mut exit = done.outcome.exit().worst(planned(&done.changeset));
    let message = done.unfinished.map(|(why, code)| {
        exit = exit.worst(code);
        why
    });
    Ok((
        report(done.changeset, Some(done.outcome), exit, message),
        server.deadlock_timeout_ms,
    ))
}

/// Reads who would hold up what is to be built or dropped concurrently, if it began now.
async fn forecast(changeset: &Changeset, reader: &Session) -> anyhow::Result<Option<Forecast>> {
    let tables: BTreeSet<QualifiedName> = changeset
        .steps
        .iter()
        .filter(|step| {
            matches!(
                step.action,
                Action::CreateIndex | Action::ReindexIndex | Action::DropIndex
            )
        })
        .filter_map(|step| Some(step.index.as_ref()?.table.clone()))
        .collect();
    if tables.is_empty() {
        return Ok(None);
    }
    let tables: Vec<QualifiedName> = tables.into_iter().collect();
    apply::blockers_forecast(&**reader, &tables).await.map(Some)
}

/// Returns the exit code of what could not be planned.
pub(super) fn planned(changeset: &Changeset) -> Exit {
    if changeset.refusals.is_empty() {
        Exit::Done
    } else {
        Exit::Refused
    }
}

fn warn_about_version(server: &Server, context: &Context) {
    let newest = *crate::sql::SUPPORTED.end();
    if server.version_num / 10_000 > newest {
        context.ui.warning(&format!(
            "PostgreSQL {} is newer than the newest version dbops is tested with ({newest})",
            server.version
        ));
    }
}

/// Writes a file so that nobody ever reads half of it.
fn write_atomically(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, path)
}
