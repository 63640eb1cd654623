//! The one flow of every command that changes something: read, plan, show or run, report.
//!
//! Showing and running are two uses of the same changeset. A dry run opens one reading session and
//! nothing else.

use std::path::PathBuf;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::ValueEnum;

use super::context::{Context, Selected, clock};
use super::signals::watch_interrupts;
use crate::apply::exclusive::{self, Area};
use crate::apply::{self, Outcome, Runner};
use crate::catalog::{self, Catalog, Scope, Sizes, TableScope};
use crate::changes::changeset::{Action, Changeset, Hazard};
use crate::changes::inputs::{Heading, Inputs, basis_of};
use crate::changes::saved;
use crate::changes::{ensure, retention};
use crate::conn::{Purpose, Session, Settings, begin_read, connect};
use crate::failure::{Exit, Failure, exit_of};
use crate::history::History;
use crate::ident::QualifiedName;
use crate::plan_file::{Expire, LockBudget, Millis, PartitionPolicy, PlanFile};
use crate::progress::Progress;
use crate::render;
use crate::render::json::{RunReport, runs};

/// Steps that stop nobody are run two at a time from this number on.
const WORTH_A_SECOND_WRITER: usize = 8;

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
    run: RunArgs,
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
}

impl RunArgs {
    /// Returns the budget with what the command line says about it.
    pub(super) fn budget(&self, budget: LockBudget) -> LockBudget {
        LockBudget {
            max_block: self.max_block.unwrap_or(budget.max_block),
            give_up_after: self.give_up_after.unwrap_or(budget.give_up_after),
            patience: budget.patience,
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

/// Which planner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Ensure,
    Prune,
}

impl Verb {
    const fn command(self) -> &'static str {
        match self {
            Self::Ensure => "partitions ensure",
            Self::Prune => "partitions prune",
        }
    }
}

/// Runs the command on every selected target; one target that cannot be served does not stop others.
pub(super) fn run(verb: Verb, args: &ChangeArgs, context: &Context) -> anyhow::Result<Exit> {
    let mut plan = context.plan()?.plan;
    plan.lock_budget = args.run.budget(plan.lock_budget);
    for policy in &mut plan.partitions {
        policy.lock_budget = policy.lock_budget.map(|budget| args.run.budget(budget));
    }
    if plan.partitions.is_empty() {
        context.ui.warning("the plan files declare no partitions");
    }
    choose_tables(&mut plan, &args.tables)?;
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

fn choose_tables(plan: &mut PlanFile, tables: &[QualifiedName]) -> anyhow::Result<()> {
    for table in tables {
        if !plan.partitions.iter().any(|policy| policy.table == *table) {
            let known: Vec<String> = plan
                .partitions
                .iter()
                .map(|policy| policy.table.to_string())
                .collect();
            return Err(Failure::usage(format!("no policy declares table {table}"))
                .hint(format!("declared tables: {}", known.join(", ")))
                .into());
        }
    }
    if !tables.is_empty() {
        plan.partitions
            .retain(|policy| tables.contains(&policy.table));
    }
    Ok(())
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
        (Some(changeset), None) => text.push_str(&render::changeset::text(changeset)),
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
}

async fn on_target(
    one: &Planning<'_>,
    args: &ChangeArgs,
    context: &Context,
) -> anyhow::Result<(RunReport, i64)> {
    let settings = context.settings(one.selected)?;
    let mut reader = connect(&settings, Purpose::Read).await?;
    let now = context.now();
    let (mut catalog, mut changeset) = compute(one, &mut reader, now).await?;
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
    };
    let deadlock_timeout_ms = catalog.server.deadlock_timeout_ms;
    warn_about_version(&catalog, context);
    if catalog.server.in_recovery {
        changeset.steps.clear();
        changeset.refusals.clear();
        let message = format!(
            "{settings} is a standby: nothing to do here; its primary is where partitions are kept"
        );
        return Ok((
            report(changeset, None, Exit::Done, Some(message)),
            deadlock_timeout_ms,
        ));
    }
    let planned = |changeset: &Changeset| {
        if changeset.refusals.is_empty() {
            Exit::Done
        } else {
            Exit::Refused
        }
    };
    if args.dry_run || args.out.is_some() || changeset.is_empty() {
        let showing = args.dry_run || args.out.is_some();
        let findings = if args.exit_code && showing && !changeset.is_empty() {
            Exit::Findings
        } else {
            Exit::Done
        };
        let exit = planned(&changeset).worst(findings);
        return Ok((report(changeset, None, exit, None), deadlock_timeout_ms));
    }
    if catalog.server.default_read_only {
        return Err(Failure::refused(format!(
            "role {} writes nothing on {settings}: default_transaction_read_only is on",
            catalog.server.role
        ))
        .hint("use another role, or: alter role … set default_transaction_read_only = off;")
        .into());
    }
    // What is run is computed again under the lock: another run may have just ended.
    let lock = connect(&settings, Purpose::Lock).await?;
    exclusive::take(&lock, Area::Partitions).await?;
    (catalog, changeset) = compute(one, &mut reader, now).await?;
    let outcome = execute(
        &settings,
        lock,
        &changeset,
        &catalog,
        &args.run.allow,
        context,
    )
    .await?;
    let exit = outcome.exit().worst(planned(&changeset));
    Ok((
        report(changeset, Some(outcome), exit, None),
        catalog.server.deadlock_timeout_ms,
    ))
}

fn warn_about_version(catalog: &Catalog, context: &Context) {
    let newest = *crate::sql::SUPPORTED.end();
    if catalog.server.version_num / 10_000 > newest {
        context.ui.warning(&format!(
            "PostgreSQL {} is newer than the newest version dbops is tested with ({newest})",
            catalog.server.version
        ));
    }
}

/// Reads the catalog in one read-only transaction and computes the changeset from it.
async fn compute(
    one: &Planning<'_>,
    reader: &mut Session,
    now: DateTime<Utc>,
) -> anyhow::Result<(Catalog, Changeset)> {
    let policies: &[PartitionPolicy] = &one.plan.partitions;
    let tx = begin_read(reader).await?;
    let catalog = catalog::read(&tx, &scope(policies)).await?;
    let inputs = Inputs {
        policies,
        budget: one.plan.lock_budget,
        catalog: &catalog,
        now,
    };
    let questions = match one.verb {
        Verb::Ensure => ensure::questions(inputs),
        Verb::Prune => retention::questions(inputs),
    };
    let answers = catalog::answer(&tx, &questions).await?;
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    let draft = match one.verb {
        Verb::Ensure => ensure::ensure(inputs, &answers),
        Verb::Prune => retention::prune(inputs, &answers),
    };
    let created_at = clock();
    let lifetime = i64::try_from(one.expires_in.0)
        .ok()
        .and_then(chrono::TimeDelta::try_milliseconds);
    let expires_at = lifetime
        .and_then(|lifetime| created_at.checked_add_signed(lifetime))
        .unwrap_or(DateTime::<Utc>::MAX_UTC);
    // A detach that is run later than its own grace time would be dropped at once.
    let detaches = draft
        .steps
        .iter()
        .any(|step| step.action == Action::DetachPartition);
    let grace_over = policies
        .iter()
        .filter(|policy| detaches && policy.expire == Expire::Detach)
        .map(|policy| retention::drop_after(inputs, policy.grace))
        .filter(|end| *end > created_at)
        .min();
    let heading = Heading {
        command: one.verb.command(),
        target: &one.selected.name,
        created_at,
        expires_at: grace_over.map_or(expires_at, |end| end.min(expires_at)),
    };
    let changeset = draft.into_changeset(&catalog.server, now, &heading, |table| {
        basis_of(&catalog, table)
    });
    Ok((catalog, changeset))
}

fn scope(policies: &[PartitionPolicy]) -> Scope {
    let mut schemas: Vec<String> = policies
        .iter()
        .map(|policy| {
            policy
                .schema
                .clone()
                .unwrap_or_else(|| policy.table.schema.clone())
        })
        .collect();
    schemas.sort();
    schemas.dedup();
    Scope {
        tables: TableScope::Named(policies.iter().map(|policy| policy.table.clone()).collect()),
        sizes: Sizes::Skip,
        schemas,
    }
}

/// Runs a changeset whose structure was just checked under the lock that `lock` holds.
pub(super) async fn execute(
    settings: &Settings,
    lock: Session,
    changeset: &Changeset,
    catalog: &Catalog,
    allowed: &[Hazard],
    context: &Context,
) -> anyhow::Result<Outcome> {
    let writer = connect(settings, Purpose::Write).await?;
    let observer = connect(settings, Purpose::Observe).await?;
    let quiet = changeset
        .steps
        .iter()
        .filter(|step| apply::stops_nobody(step))
        .count();
    let second_writer = if quiet >= WORTH_A_SECOND_WRITER {
        // One writer does as well where the server has no connection left.
        connect(settings, Purpose::Write).await.ok()
    } else {
        None
    };
    let interrupt = watch_interrupts()?;
    let mut history = History::begin(lock, changeset, context.history_file(), clock()).await;
    let mut progress = Progress::new(changeset.steps.len());
    let runner = Runner {
        writers: std::iter::once(writer).chain(second_writer).collect(),
        observer,
        allowed,
        deadlock_timeout_ms: catalog.server.deadlock_timeout_ms,
        interrupt,
        clock,
    };
    let mut outcome = apply::run(runner, changeset, &mut history, &mut progress).await?;
    progress.finish();
    outcome.history_warning = history.finish(&outcome, clock()).await;
    if let Some(warning) = &outcome.history_warning {
        context.ui.warning(warning);
    }
    Ok(outcome)
}

/// Writes a file so that nobody ever reads half of it.
fn write_atomically(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, path)
}
