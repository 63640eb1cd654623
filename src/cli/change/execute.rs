//! Runs a changeset: the sessions it needs, its history, its progress.

use std::time::Duration;

use tokio::sync::watch;

use super::RunArgs;
use crate::apply::exclusive::{self, Area};
use crate::apply::{self, Outcome, Runner};
use crate::catalog::Server;
use crate::changes::changeset::Changeset;
use crate::cli::context::{Context, clock};
use crate::conn::{Purpose, Session, Settings, connect};
use crate::failure::Failure;
use crate::history::History;
use crate::plan_file::Millis;
use crate::progress::Progress;

/// Steps that stop nobody are run two at a time from this number on.
const WORTH_A_SECOND_WRITER: usize = 8;

/// What stays the same over the rounds of a run.
pub(in crate::cli) struct Execution<'a> {
    pub(in crate::cli) args: &'a RunArgs,
    pub(in crate::cli) context: &'a Context,
    /// Becomes true on Ctrl-C or SIGTERM.
    pub(in crate::cli) interrupt: watch::Receiver<bool>,
}

/// Refuses before anything is touched where the role cannot write.
pub(in crate::cli) fn refuse_read_only(server: &Server, settings: &Settings) -> anyhow::Result<()> {
    if server.default_read_only {
        return Err(Failure::refused(format!(
            "role {} writes nothing on {settings}: default_transaction_read_only is on",
            server.role
        ))
        .hint("use another role, or: alter role … set default_transaction_read_only = off;")
        .into());
    }
    Ok(())
}

/// Opens the session that holds the areas' advisory locks for as long as the run lasts.
///
/// Another run on indexes is waited for: it may be a long build of the same plan, after which there is
/// nothing left to do. Another run on partitions is over in no time or wants a person's eye.
pub(in crate::cli) async fn lock(
    settings: &Settings,
    areas: &[Area],
    patience: Millis,
) -> anyhow::Result<Session> {
    let session = connect(settings, Purpose::Lock).await?;
    for area in areas {
        match area {
            Area::Partitions => exclusive::take(&session, *area).await?,
            Area::Indexes => {
                exclusive::take_within(&session, *area, Duration::from_millis(patience.0)).await?;
            }
        }
    }
    Ok(session)
}

/// How many connections change something at the same time.
fn wanted_writers(changeset: &Changeset, args: &RunArgs) -> usize {
    let quiet = changeset
        .steps
        .iter()
        .filter(|step| apply::stops_nobody(step))
        .count();
    let of_indexes = changeset
        .steps
        .iter()
        .filter(|step| step.action.is_of_indexes())
        .count();
    let jobs = usize::from(args.indexes.jobs.unwrap_or(1)).min(of_indexes);
    if quiet >= WORTH_A_SECOND_WRITER {
        jobs.max(2)
    } else {
        jobs
    }
}

/// Runs a changeset whose structure was just checked under the lock that `lock` holds; gives the lock back.
pub(in crate::cli) async fn execute(
    settings: &Settings,
    lock: Session,
    changeset: &Changeset,
    server: &Server,
    run: &Execution<'_>,
) -> anyhow::Result<(Outcome, Session)> {
    let mut writers = vec![connect(settings, Purpose::Write).await?];
    let observer = connect(settings, Purpose::Observe).await?;
    for _ in 1..wanted_writers(changeset, run.args) {
        // Fewer writers do as well where the server has no connection left.
        match connect(settings, Purpose::Write).await {
            Ok(writer) => writers.push(writer),
            Err(_) => break,
        }
    }
    let context = run.context;
    let mut history = History::begin(lock, changeset, context.history_file(), clock()).await;
    let mut progress = Progress::new(changeset.steps.len());
    let runner = Runner {
        writers,
        observer,
        allowed: &run.args.allow,
        deadlock_timeout_ms: server.deadlock_timeout_ms,
        interrupt: run.interrupt.clone(),
        clock,
    };
    let mut outcome = apply::run(runner, changeset, &mut history, &mut progress).await?;
    progress.finish();
    let (warning, lock) = history.finish(&outcome, clock()).await;
    outcome.history_warning = warning;
    if let Some(warning) = &outcome.history_warning {
        context.ui.warning(warning);
    }
    Ok((outcome, lock))
}
