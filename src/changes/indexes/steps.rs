//! The steps of index changes: their SQL, their locks and what they cost. Decides nothing.

use super::Declared;
use super::context::{Context, Entry};
use super::cost;
use crate::catalog::index_model::{IndexedTable, LiveIndex, RunningBuild};
use crate::changes::changeset::{Acquire, Action, Hazard, IndexChange, Lock, LockMode, Step, Way};
use crate::changes::create::do_block;
use crate::ident::{QualifiedName, quote_ident, quote_literal};
use crate::plan_file::BuildSettings;
use crate::syntax::{Build, IndexSpec};

const POLLED: &str =
    "first: the locks are tried without waiting, so that nobody queues behind dbops";
const STARVED: &str =
    "when polling never finds the locks free: waits below the lock budget, with pauses";
const SHORT: &str =
    "always: an index cannot be locked beforehand; waits below the lock budget, with pauses";
const CONCURRENT: &str =
    "always: reads and writes go on; a client-side clock bounds the wait for open transactions";

/// An index that a step is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) name: &'a QualifiedName,
    pub(super) table: &'a QualifiedName,
    /// Measured bytes, of one that is there.
    pub(super) bytes: Option<i64>,
    /// The oid of one that is there.
    pub(super) oid: Option<u32>,
    /// Whether the one that is there is invalid.
    pub(super) invalid: bool,
}

impl<'a> About<'a> {
    /// An index that is not there yet, or of which nothing matters but the name.
    pub(super) fn new(name: &'a QualifiedName, table: &'a QualifiedName) -> Self {
        Self {
            name,
            table,
            bytes: None,
            oid: None,
            invalid: false,
        }
    }

    pub(super) fn live(table: &'a IndexedTable, index: &'a LiveIndex) -> Self {
        Self {
            name: &index.name,
            table: &table.name,
            bytes: Some(index.bytes),
            oid: Some(index.oid),
            invalid: !index.valid,
        }
    }

    pub(super) fn change(&self) -> IndexChange {
        IndexChange {
            name: self.name.clone(),
            table: self.table.clone(),
            rows_estimate: None,
            bytes: self.bytes,
            hot_cost: None,
            follows: None,
            oid: self.oid,
            invalid: self.invalid,
        }
    }
}

pub(super) fn step(
    entry: &Entry<'_>,
    action: Action,
    summary: String,
    index: IndexChange,
    locks: Vec<Lock>,
    ways: Vec<Way>,
) -> Step {
    Step {
        id: 0,
        table: entry.table.clone(),
        after: None,
        action,
        summary,
        partitions: Vec::new(),
        index: Some(index),
        locks,
        hazards: Vec::new(),
        allowed_by_plan: Vec::new(),
        budget: entry.budget,
        ways,
    }
}

pub(super) fn lock(relation: &QualifiedName, mode: LockMode, why: &str, explicit: bool) -> Lock {
    Lock {
        relation: relation.clone(),
        mode,
        why: why.to_owned(),
        only: true,
        explicit,
    }
}

fn way(acquire: Acquire, when: &str, statements: Vec<String>) -> Way {
    Way {
        acquire,
        settings: Vec::new(),
        when: when.to_owned(),
        prepare: Vec::new(),
        statements,
        undo: Vec::new(),
    }
}

pub(super) fn concurrent(settings: Vec<String>, statement: String) -> Vec<Way> {
    vec![Way {
        settings,
        ..way(Acquire::Concurrent, CONCURRENT, vec![statement])
    }]
}

/// Where every lock can be taken by LOCK: polled first, then short waits.
pub(super) fn polled(statements: Vec<String>) -> Vec<Way> {
    vec![
        way(Acquire::NoWait, POLLED, statements.clone()),
        way(Acquire::ShortWait, STARVED, statements),
    ]
}

pub(super) fn short(statements: Vec<String>) -> Vec<Way> {
    vec![way(Acquire::ShortWait, SHORT, statements)]
}

/// The session that an expression is read in: by the plan file's search path, with nothing left to the role's
/// own settings.
pub(super) fn settings(schema: &str, build: &BuildSettings) -> Vec<String> {
    let path = if schema == "public" || schema == "pg_catalog" {
        "pg_catalog, public".to_owned()
    } else {
        format!("pg_catalog, {}, public", quote_ident(schema))
    };
    let mut settings = vec![
        format!("set search_path = {path}"),
        "set timezone = 'UTC'".to_owned(),
        "set datestyle = 'ISO, YMD'".to_owned(),
        "set intervalstyle = 'postgres'".to_owned(),
        "set default_tablespace = ''".to_owned(),
    ];
    if let Some(memory) = &build.maintenance_work_mem {
        settings.push(format!(
            "set maintenance_work_mem = {}",
            quote_literal(memory)
        ));
    }
    if let Some(workers) = build.parallel_workers {
        settings.push(format!("set max_parallel_maintenance_workers = {workers}"));
    }
    settings
}

/// The schema in which names in a table's expressions are looked up: that of the root of its tree, because
/// a partition's index says what its parent's says, wherever the partition is.
fn root_schema<'a>(context: &'a Context<'_>, table: &'a QualifiedName) -> &'a str {
    let mut root = table;
    while let Some(parent) = context.table(root).and_then(|table| table.parent.as_ref()) {
        root = parent;
    }
    &root.schema
}

/// CREATE INDEX CONCURRENTLY on a table that is not partitioned.
pub(super) fn create(
    context: &Context<'_>,
    declared: &Declared,
    table: &IndexedTable,
    name: &QualifiedName,
    summary: String,
) -> Step {
    let entry = Entry::declared(declared);
    let spec = &declared.spec;
    let mut ways = concurrent(
        settings(root_schema(context, &table.name), &declared.build),
        spec.sql(Build::Concurrently, &table.name, &name.name),
    );
    for way in &mut ways {
        way.undo = vec![drop_concurrently(name)];
    }
    let estimate = cost::estimate(context, spec, table);
    step(
        &entry,
        Action::CreateIndex,
        summary,
        IndexChange {
            name: name.clone(),
            table: table.name.clone(),
            rows_estimate: table.rows_estimate,
            bytes: estimate,
            hot_cost: cost::hot(context, declared, table),
            follows: None,
            oid: None,
            invalid: false,
        },
        vec![lock(
            &table.name,
            LockMode::ShareUpdateExclusive,
            "table; reads and writes go on",
            false,
        )],
        ways,
    )
}

fn drop_concurrently(name: &QualifiedName) -> String {
    format!("drop index concurrently {}", name.sql())
}

/// DROP INDEX CONCURRENTLY.
pub(super) fn drop(entry: &Entry<'_>, about: About<'_>, summary: String) -> Step {
    step(
        entry,
        Action::DropIndex,
        summary,
        about.change(),
        vec![
            lock(
                about.table,
                LockMode::ShareUpdateExclusive,
                "table; reads and writes go on",
                false,
            ),
            lock(
                about.name,
                LockMode::AccessExclusive,
                "the index, once nobody uses it",
                false,
            ),
        ],
        concurrent(Vec::new(), drop_concurrently(about.name)),
    )
}

/// Names the danger of a drop that the plan file asks for.
pub(super) fn hazardous(mut step: Step, allow: &[Hazard]) -> Step {
    step.hazards = vec![Hazard::DropsIndex];
    step.allowed_by_plan = step
        .hazards
        .iter()
        .copied()
        .filter(|hazard| allow.contains(hazard))
        .collect();
    step
}

/// REINDEX CONCURRENTLY, into another tablespace where one is given (14 and later).
pub(super) fn reindex(
    declared: &Declared,
    about: About<'_>,
    tablespace: Option<&str>,
    summary: String,
) -> Step {
    let entry = Entry::declared(declared);
    let statement = match tablespace {
        Some(tablespace) => format!(
            "reindex (concurrently, tablespace {}) index {}",
            quote_ident(tablespace),
            about.name.sql()
        ),
        None => format!("reindex index concurrently {}", about.name.sql()),
    };
    step(
        &entry,
        Action::ReindexIndex,
        summary,
        about.change(),
        vec![
            lock(
                about.table,
                LockMode::ShareUpdateExclusive,
                "table; reads and writes go on",
                false,
            ),
            lock(
                about.name,
                LockMode::AccessExclusive,
                "the old index, once nobody uses it",
                false,
            ),
        ],
        concurrent(settings(&about.table.schema, &declared.build), statement),
    )
}

/// Stops the transaction unless an index is there and valid.
pub(super) fn must_be_valid(name: &QualifiedName) -> String {
    do_block(&format!(
        "\nbegin\n  if not exists (\n    select from pg_catalog.pg_index\n    \
         where indexrelid = {}::pg_catalog.regclass and indisvalid\n  ) then\n    \
         raise exception using errcode = 'object_not_in_prerequisite_state', message = {};\n  end if;\nend\n",
        quote_literal(&name.sql()),
        quote_literal(&format!("{name} is not valid"))
    ))
}

/// Stops the transaction unless an index is still the one that was planned to give way, and nothing more than was
/// known hangs on it. `at` is the name it bears by now, `name` the one it is known by.
pub(super) fn must_be_as_planned(
    at: &QualifiedName,
    name: &QualifiedName,
    index: &LiveIndex,
) -> String {
    let oid = index.oid;
    let clustered = if index.clustered { "" } else { "not " };
    do_block(&format!(
        "\nbegin\n  if not exists (\n    select from pg_catalog.pg_index\n    \
         where indexrelid = {}::pg_catalog.regclass and indexrelid = {oid} and not indisreplident and {clustered}indisclustered\n  ) \
         or exists (select from pg_catalog.pg_constraint where conindid = {oid}) then\n    \
         raise exception using errcode = 'object_not_in_prerequisite_state', message = {};\n  end if;\nend\n",
        quote_literal(&at.sql()),
        quote_literal(&format!(
            "{name} is no longer the index that was planned with"
        ))
    ))
}

/// ANALYZE: the planner knows nothing of a new expression before.
pub(super) fn analyze(declared: &Declared, table: &IndexedTable, name: &QualifiedName) -> Step {
    step(
        &Entry::declared(declared),
        Action::AnalyzeTable,
        format!("analyze {}: a new expression has no statistics", table.name),
        About::new(name, &table.name).change(),
        vec![lock(
            &table.name,
            LockMode::ShareUpdateExclusive,
            "table; reads and writes go on",
            false,
        )],
        concurrent(
            settings(&table.name.schema, &BuildSettings::default()),
            format!("analyze {}", table.name.sql()),
        ),
    )
}

/// Waits for another session's build on the table of a step that is held back.
pub(super) fn await_build(held: &Step, table: &QualifiedName, running: &RunningBuild) -> Step {
    let mut index = About::new(running.index.as_ref().unwrap_or(table), table).change();
    index.follows = Some(running.pid);
    Step {
        id: 0,
        table: held.table.clone(),
        after: None,
        action: Action::AwaitBuild,
        summary: format!(
            "wait for {} of pid {} on {}, which other DDL there could kill",
            running.command, running.pid, running.table
        ),
        partitions: Vec::new(),
        index: Some(index),
        locks: Vec::new(),
        hazards: Vec::new(),
        allowed_by_plan: Vec::new(),
        budget: held.budget,
        ways: Vec::new(),
    }
}

/// Whether an index has an expression among its keys.
pub(super) fn has_expression(spec: &IndexSpec) -> bool {
    spec.key_columns().count() < spec.keys.len()
}
