//! Steps on indexes made by hand and run through the library, without plan files or the command.
#![expect(
    clippy::disallowed_methods,
    reason = "tests are where the clock is read and statements of their own are sent"
)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use chrono::Utc;
use dbops::apply::exclusive::{Area, take_within};
use dbops::apply::{self, BuildProgress, Events, Outcome, Runner, StepOutcome};
use dbops::changes::changeset::{
    Acquire, Action, Changeset, FORMAT, IndexChange, Lock, LockMode, Step, Way,
};
use dbops::conn::{Env, Overrides, Purpose, Session, Settings, connect};
use dbops::history::History;
use dbops::ident::QualifiedName;
use dbops::plan_file::{LockBudget, Millis};
use tokio::sync::watch;

use super::context::{Ctx, Db};

/// Returns `public.name`.
pub(crate) fn public(name: &str) -> QualifiedName {
    QualifiedName::new("public", name)
}

/// Makes a step of one concurrent statement on an index of a table in `public`.
pub(crate) fn concurrent(
    id: u32,
    action: Action,
    table: &str,
    index: &str,
    statement: &str,
) -> Step {
    let way = Way {
        acquire: Acquire::Concurrent,
        settings: vec!["set search_path = pg_catalog, public".to_owned()],
        when: String::new(),
        prepare: Vec::new(),
        statements: vec![statement.to_owned()],
        undo: Vec::new(),
    };
    Step {
        locks: vec![Lock {
            relation: public(table),
            mode: LockMode::ShareUpdateExclusive,
            why: "table".to_owned(),
            only: true,
            explicit: false,
        }],
        ways: vec![way],
        ..bare(id, action, table, index)
    }
}

/// Makes a step that runs its statements in one transaction.
pub(crate) fn short(
    id: u32,
    action: Action,
    table: &str,
    index: &str,
    statements: &[&str],
) -> Step {
    let way = Way {
        acquire: Acquire::ShortWait,
        settings: Vec::new(),
        when: String::new(),
        prepare: Vec::new(),
        statements: statements.iter().map(|&text| text.to_owned()).collect(),
        undo: Vec::new(),
    };
    Step {
        ways: vec![way],
        ..bare(id, action, table, index)
    }
}

/// Makes `create index concurrently` on the columns.
pub(crate) fn create(id: u32, table: &str, index: &str, columns: &str) -> Step {
    concurrent(
        id,
        Action::CreateIndex,
        table,
        index,
        &format!("create index concurrently {index} on public.{table} ({columns})"),
    )
}

/// Makes `drop index concurrently`.
pub(crate) fn drop_index(id: u32, table: &str, index: &str) -> Step {
    concurrent(
        id,
        Action::DropIndex,
        table,
        index,
        &format!("drop index concurrently public.{index}"),
    )
}

/// Makes a step without a way to run.
pub(crate) fn bare(id: u32, action: Action, table: &str, index: &str) -> Step {
    Step {
        id,
        table: public(table),
        after: None,
        action,
        summary: format!("{action:?} {index}"),
        partitions: Vec::new(),
        index: Some(IndexChange {
            name: public(index),
            table: public(table),
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
        budget: LockBudget {
            max_block: Millis(100),
            give_up_after: Millis(10_000),
            patience: Millis(30_000),
        },
        ways: Vec::new(),
    }
}

/// Gives every step this patience, in milliseconds.
pub(crate) fn patience(mut steps: Vec<Step>, ms: u64) -> Vec<Step> {
    for step in &mut steps {
        step.budget.patience = Millis(ms);
    }
    steps
}

/// Gives every step this time for locks, in milliseconds.
pub(crate) fn give_up(mut steps: Vec<Step>, ms: u64) -> Vec<Step> {
    for step in &mut steps {
        step.budget.give_up_after = Millis(ms);
    }
    steps
}

/// What was told about builds while they ran.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<BuildProgress>>>);

impl Told {
    pub(crate) fn all(&self) -> Vec<BuildProgress> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Events for Told {
    fn step_began(&mut self, _: &Step) {}
    fn step_waits(&mut self, _: &Step, _: u32) {}
    fn build_progress(&mut self, _: &Step, progress: &BuildProgress) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(progress.clone());
    }
    fn step_ended(&mut self, _: &StepOutcome) {}
}

/// A run that is to be made.
pub(crate) struct Build<'a> {
    pub(crate) db: &'a Db,
    pub(crate) steps: Vec<Step>,
    pub(crate) jobs: usize,
    pub(crate) told: Told,
    interrupt: (watch::Sender<bool>, watch::Receiver<bool>),
    log: std::path::PathBuf,
}

impl Ctx {
    /// Makes a run of these steps in a database.
    pub(crate) fn build<'a>(&self, db: &'a Db, steps: Vec<Step>) -> Build<'a> {
        Build {
            db,
            steps,
            jobs: 1,
            told: Told::default(),
            interrupt: watch::channel(false),
            log: self.dir().join("history.jsonl"),
        }
    }

    /// Runs the steps and returns the report.
    pub(crate) async fn builds(&self, db: &Db, steps: Vec<Step>) -> Result<Outcome> {
        self.build(db, steps).run().await
    }

    /// Runs one step and returns its outcome.
    pub(crate) async fn builds_one(&self, db: &Db, step: Step) -> Result<StepOutcome> {
        let outcome = self.builds(db, vec![step]).await?;
        outcome
            .steps
            .into_iter()
            .next()
            .ok_or_else(|| anyhow!("no step was reported"))
    }
}

impl Build<'_> {
    pub(crate) fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = jobs;
        self
    }

    /// Returns what ends the run as Ctrl-C does.
    pub(crate) fn interrupter(&self) -> watch::Sender<bool> {
        self.interrupt.0.clone()
    }

    pub(crate) async fn run(self) -> Result<Outcome> {
        let lock = session(self.db, Purpose::Lock).await?;
        take_within(&lock, Area::Indexes, Duration::from_secs(60)).await?;
        let mut writers = Vec::new();
        for _ in 0..self.jobs {
            writers.push(session(self.db, Purpose::Write).await?);
        }
        let server_version_num = lock.server_version_num();
        let now = Utc::now();
        let changeset = Changeset {
            format: FORMAT.to_owned(),
            command: "indexes apply".to_owned(),
            target: "default".to_owned(),
            database: self.db.name.clone(),
            server_version_num,
            as_of: now,
            created_at: now,
            expires_at: now,
            basis: Vec::new(),
            steps: self.steps,
            refusals: Vec::new(),
            notes: Vec::new(),
        };
        let mut history = History::begin(lock, &changeset, self.log, now).await;
        let runner = Runner {
            writers,
            observer: session(self.db, Purpose::Observe).await?,
            allowed: &[],
            deadlock_timeout_ms: self
                .db
                .value("select setting::int8 from pg_settings where name = 'deadlock_timeout'")
                .await?,
            interrupt: self.interrupt.1.clone(),
            clock: Utc::now,
        };
        let mut told = self.told.clone();
        let outcome = apply::run(runner, &changeset, &mut history, &mut told).await?;
        history.finish(&outcome, Utc::now()).await;
        Ok(outcome)
    }
}

/// Opens a session as the command does.
pub(crate) async fn session(db: &Db, purpose: Purpose) -> Result<Session> {
    let overrides = Overrides {
        database_url: Some(db.url.clone()),
        ..Overrides::default()
    };
    let env = Env::new(Vec::new(), Some("nobody".to_owned()));
    let settings = Settings::resolve(&overrides, &env).map_err(|error| anyhow!(error))?;
    connect(&settings, purpose).await
}

impl Db {
    /// Returns `name valid ready` of the indexes of a table, sorted by name.
    pub(crate) async fn indexes(&self, table: &str) -> Result<Vec<String>> {
        self.list(&format!(
            "select c.relname || case when i.indisvalid and i.indisready then '' else ' invalid' end \
             from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = '{table}'::regclass order by 1"
        ))
        .await
    }

    /// Opens a session that has begun a transaction and run these statements in it.
    pub(crate) async fn holding(&self, name: &str, sql: &str) -> Result<tokio_postgres::Client> {
        let client = self.connect().await?;
        client
            .batch_execute(&format!("set application_name = '{name}'; begin; {sql}"))
            .await?;
        Ok(client)
    }

    /// Lets somebody hold a build up for so long, on a thread of the runtime's own.
    pub(crate) async fn holding_for(
        &self,
        name: &str,
        sql: &str,
        time: Duration,
    ) -> Result<(Instant, tokio::task::JoinHandle<()>)> {
        let client = self.holding(name, sql).await?;
        let until = Instant::now() + time;
        let task = tokio::spawn(async move {
            tokio::time::sleep_until(until.into()).await;
            drop(client);
        });
        Ok((until, task))
    }
}
