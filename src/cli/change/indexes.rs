//! What `indexes apply` computes.

use std::cell::RefCell;
use std::collections::BTreeMap;

use anyhow::Context as _;
use chrono::{DateTime, Utc};

use super::{Computed, Planning};
use crate::apply::exclusive_lockers;
use crate::catalog::index_model::{Duplicates, IndexAnswers, IndexCatalog};
use crate::catalog::{TableScope, indexes};
use crate::changes::indexes::{self as planner, Absent, Declared, IndexInputs};
use crate::changes::inputs::Heading;
use crate::cli::context::clock;
use crate::conn::failure::server_error_in;
use crate::conn::{Session, begin_read};
use crate::failure::{Exit, Failure};
use crate::ident::QualifiedName;
use crate::plan_file::PlanFile;

/// Everything the index planner needs, read in one read-only transaction.
pub(in crate::cli) struct Read {
    pub(in crate::cli) declared: Vec<Declared>,
    pub(in crate::cli) absent: Vec<Absent>,
    pub(in crate::cli) catalog: IndexCatalog,
    pub(in crate::cli) answers: IndexAnswers,
}

impl Read {
    /// Returns what the planner takes.
    pub(in crate::cli) fn inputs(&self, now: DateTime<Utc>) -> IndexInputs<'_> {
        IndexInputs {
            declared: &self.declared,
            absent: &self.absent,
            catalog: &self.catalog,
            now,
        }
    }
}

/// Which tables are read beside those that the plan files name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Breadth {
    /// Only those with a declared or absent index.
    Declared,
    /// All of the database.
    All,
}

/// SQLSTATE of a lock that was not free in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// What looks for duplicates found in this run: each is done once, for it can read a whole table.
pub(in crate::cli) type Probed = RefCell<BTreeMap<QualifiedName, Duplicates>>;

/// What is asked beside the catalog.
#[derive(Clone, Copy)]
pub(in crate::cli) enum Depth<'a> {
    /// What comparing needs.
    Compare,
    /// What building and dropping need too: looks for duplicates, reads recorded statements.
    Change(&'a Probed),
}

/// Reads the tables, their indexes, and what only the server can tell about expressions and keys.
///
/// # Errors
/// Deferred, naming the sessions, where DDL of others keeps a table from being looked at.
pub(in crate::cli) async fn read(
    plan: &PlanFile,
    reader: &mut Session,
    now: DateTime<Utc>,
    breadth: Breadth,
    depth: Depth<'_>,
) -> anyhow::Result<Read> {
    let error = match read_once(plan, reader, now, breadth, depth).await {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    if server_error_in(&error).is_none_or(|server| server.sqlstate != LOCK_NOT_AVAILABLE) {
        return Err(error);
    }
    let mut failure = Failure::new(
        Exit::Deferred,
        "a table is locked by DDL of another session, so its indexes cannot be read",
    );
    for who in exclusive_lockers(&**reader).await.unwrap_or_default() {
        failure = failure.hint(who);
    }
    Err(failure.into())
}

async fn read_once(
    plan: &PlanFile,
    reader: &mut Session,
    now: DateTime<Utc>,
    breadth: Breadth,
    depth: Depth<'_>,
) -> anyhow::Result<Read> {
    let (declared, absent) = planner::declared(plan);
    let scope = indexes::IndexScope {
        tables: match breadth {
            Breadth::All => TableScope::All,
            Breadth::Declared => TableScope::Named(
                declared
                    .iter()
                    .map(|index| index.spec.table.clone())
                    .collect(),
            ),
        },
        names: declared
            .iter()
            .map(|index| index.name.clone())
            .chain(absent.iter().map(|index| index.name.clone()))
            .collect(),
    };
    let tx = begin_read(reader).await?;
    let mut catalog = indexes::read(&tx, &scope).await?;
    catalog.free_bytes = catalog.data_directory.as_deref().and_then(free_bytes);
    let mut read = Read {
        declared,
        absent,
        catalog,
        answers: IndexAnswers::default(),
    };
    let questions = planner::compare_questions(read.inputs(now));
    read.answers = indexes::answer(&tx, &questions).await?;
    if let Depth::Change(probed) = depth {
        let mut questions = planner::build_questions(read.inputs(now), &read.answers);
        questions
            .duplicates
            .retain(|question| !probed.borrow().contains_key(&question.index));
        let more = indexes::answer(&tx, &questions).await?;
        read.answers.folds.extend(more.folds);
        probed.borrow_mut().extend(
            more.duplicates
                .into_iter()
                .map(|found| (found.index.clone(), found)),
        );
        read.answers
            .duplicates
            .extend(probed.borrow().values().cloned());
        read.answers.arbiters.extend(more.arbiters);
        read.answers.statements_seen |= more.statements_seen;
    }
    tx.commit()
        .await
        .context("ending the reading transaction")?;
    Ok(read)
}

/// Bytes free on the disk of the server's data directory, where it is a folder of this machine.
fn free_bytes(data_directory: &str) -> Option<i64> {
    // The same path may be another folder when the server's socket comes out of a container.
    let postmaster = std::path::Path::new(data_directory).join("PG_VERSION");
    if !postmaster.exists() {
        return None;
    }
    let disk = nix::sys::statvfs::statvfs(data_directory).ok()?;
    i64::try_from(disk.blocks_available().saturating_mul(disk.fragment_size())).ok()
}

/// Reads what is there and computes the changeset from it.
pub(super) async fn compute(
    one: &Planning<'_>,
    reader: &mut Session,
    now: DateTime<Utc>,
) -> anyhow::Result<Computed> {
    let depth = Depth::Change(&one.probed);
    let read = read(one.plan, reader, now, Breadth::Declared, depth).await?;
    let draft = planner::plan(read.inputs(now), &read.answers);
    let created_at = clock();
    let heading = Heading {
        command: one.verb.command(),
        target: &one.selected.name,
        created_at,
        expires_at: one.expires_at(created_at),
    };
    let changeset = draft.into_changeset(&read.catalog.server, now, &heading, |table| {
        planner::basis_of(&read.catalog, table)
    });
    Ok(Computed {
        server: read.catalog.server,
        changeset,
    })
}
