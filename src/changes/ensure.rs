//! `partitions ensure`: which partitions are missing, and the steps that create them. Never drops.

use std::collections::BTreeSet;

use super::changeset::{Acquire, Action, LockMode, PartitionChange, Refusal, Step, Way};
use super::create::{self, Mould};
use super::inputs::{Draft, Inputs, Managed, check_rights, managed, refusal};
use super::locks;
use super::obstacles::{Obstacle, name_wanted_twice, obstacle, pending_detaches};
use super::window::{Wanted, wanted};
use crate::catalog::{Answers, DefaultQuestion, NameQuestion, Questions, TakenName};
use crate::ident::{QualifiedName, quote_literal};
use crate::plan_file::SubPartitions;

/// Partitions created in one transaction; each holds a few entries of the shared lock table.
const PARTITIONS_PER_STEP: usize = 24;

/// Returns what must be asked before the steps can be computed.
pub fn questions(inputs: Inputs<'_>) -> Questions {
    let mut questions = Questions::default();
    for policy in inputs.policies {
        let Ok(managed) = managed(policy, inputs.catalog) else {
            continue;
        };
        let Ok(wanted) = wanted(&managed, inputs) else {
            continue;
        };
        let axis = managed.calendar.axis;
        for wanted in &wanted {
            let mut ask = |name: QualifiedName| {
                questions.names.push(NameQuestion {
                    table: managed.table.name.clone(),
                    table_oid: managed.table.oid,
                    name,
                });
            };
            ask(wanted.name.clone());
            leaf_names(policy.sub.as_ref(), &wanted.name)
                .into_iter()
                .for_each(&mut ask);
            if let Some(default) = locks::default_of(managed.table) {
                questions.default_ranges.push(DefaultQuestion {
                    table: managed.table.name.clone(),
                    default: default.name.clone(),
                    column: managed.column.to_owned(),
                    type_name: managed
                        .table
                        .key
                        .first()
                        .map(|key| key.type_name.clone())
                        .unwrap_or_default(),
                    from: Some(axis.literal(wanted.from)),
                    to: Some(axis.literal(wanted.to)),
                });
            }
        }
    }
    questions
}

/// Computes the steps that create what is missing.
pub fn ensure(inputs: Inputs<'_>, answers: &Answers) -> Draft {
    let mut draft = Draft::default();
    let mut names = BTreeSet::new();
    for policy in inputs.policies {
        match managed(policy, inputs.catalog) {
            Ok(managed) => table(&managed, inputs, answers, &mut names, &mut draft),
            Err(refusal) => draft.refusals.push(*refusal),
        }
    }
    draft
}

fn table(
    managed: &Managed<'_>,
    inputs: Inputs<'_>,
    answers: &Answers,
    names: &mut BTreeSet<QualifiedName>,
    draft: &mut Draft,
) {
    let wanted = match wanted(managed, inputs) {
        Ok(wanted) => wanted,
        Err(refusal) => return draft.refusals.push(*refusal),
    };
    let now = managed
        .calendar
        .axis
        .of_instant(inputs.now, managed.calendar.zone);
    pending_detaches(managed, now, draft);
    if wanted.is_empty() {
        return;
    }
    if let Err(refusal) =
        check_rights(managed, inputs.catalog, true).and_then(|()| check_sub_key(managed))
    {
        return draft.refusals.push(*refusal);
    }
    let mut creatable = Vec::new();
    for wanted in wanted {
        // Two policies may come to the same name: by their templates, or because both are cut to 63 bytes.
        let twice = std::iter::once(wanted.name.clone())
            .chain(leaf_names(managed.policy.sub.as_ref(), &wanted.name))
            .find(|name| !names.insert(name.clone()));
        match obstacle(managed, &wanted, answers) {
            _ if twice.is_some() => draft.refusals.push(name_wanted_twice(managed, &wanted)),
            None => creatable.push(wanted),
            Some(Obstacle::Orphan(taken)) => {
                draft.steps.push(adopt(managed, inputs, &wanted, taken))
            }
            Some(Obstacle::Refused(refusal)) => draft.refusals.push(*refusal),
        }
    }
    let locks = locks::attach(managed.table, inputs.catalog.server.version_num);
    // Locks that stop readers or writers are held for one partition at a time; the parent's own
    // lock stops neither, so that all of a table's partitions share a transaction.
    let per_step = if locks
        .iter()
        .any(|lock| lock.mode > LockMode::ShareUpdateExclusive)
    {
        1
    } else {
        // Leaves count too: the lock table is shared by the whole server.
        let leaves = create::leaves(managed.policy.sub.as_ref(), &managed.table.name).len();
        (PARTITIONS_PER_STEP / (1 + leaves)).max(1)
    };
    for chunk in creatable.chunks(per_step) {
        draft.steps.push(create_step(managed, inputs, chunk));
    }
}

/// A unique constraint of the parent must hold the sub-partition key too, or the server refuses the child.
fn check_sub_key(managed: &Managed<'_>) -> Result<(), Box<Refusal>> {
    let columns: Vec<&String> = match &managed.policy.sub {
        None => return Ok(()),
        Some(SubPartitions::Hash { columns, .. }) => columns.iter().collect(),
        Some(SubPartitions::List { column, .. }) => vec![column],
    };
    let table = managed.table;
    for column in columns {
        if !table.columns.iter().any(|found| found.name == *column) {
            return Err(Box::new(refusal(
                managed.policy,
                "sub-key",
                format!("{} has no column {column} to sub-partition by", table.name),
                vec![],
            )));
        }
        if let Some(unique) = table
            .uniques
            .iter()
            .find(|unique| !unique.columns.iter().flatten().any(|c| c == column))
        {
            return Err(Box::new(refusal(
                managed.policy,
                "sub-key",
                format!(
                    "{} of {} lacks the sub-partition key {column}, so PostgreSQL refuses it",
                    unique.name, table.name
                ),
                vec![format!(
                    "add {column} to {}, or sub-partition by a column that it has",
                    unique.name
                )],
            )));
        }
    }
    Ok(())
}

pub(super) fn leaf_names(
    sub: Option<&SubPartitions>,
    partition: &QualifiedName,
) -> Vec<QualifiedName> {
    create::leaves(sub, partition)
        .into_iter()
        .map(|(leaf, _)| leaf)
        .collect()
}

fn create_step(managed: &Managed<'_>, inputs: Inputs<'_>, wanted: &[Wanted]) -> Step {
    let mould = Mould {
        policy: managed.policy,
        table: managed.table,
        catalog: inputs.catalog,
    };
    let mut statements = Vec::new();
    for wanted in wanted {
        statements.extend(create::create(mould, &wanted.name));
        statements.extend(attach(managed, mould, wanted));
    }
    let summary = match wanted {
        [one] => format!("create {}", one.name),
        _ => {
            let first = wanted
                .first()
                .map(|wanted| wanted.name.to_string())
                .unwrap_or_default();
            let last = wanted
                .last()
                .map(|wanted| wanted.name.to_string())
                .unwrap_or_default();
            format!("create {} partitions, {first} to {last}", wanted.len())
        }
    };
    step(
        managed,
        inputs,
        Action::CreatePartitions,
        summary,
        wanted,
        statements,
    )
}

/// Attaches an orphan; the guard makes sure under the lock that it is still the empty table seen.
fn adopt(managed: &Managed<'_>, inputs: Inputs<'_>, wanted: &Wanted, taken: &TakenName) -> Step {
    let name = taken.name.sql();
    let guard = create::do_block(&format!(
        "\nbegin\n  if {}::pg_catalog.regclass::pg_catalog.oid <> {} or exists (select from only {name}) then\n    \
         raise exception using errcode = 'object_not_in_prerequisite_state', message = {};\n  end if;\nend\n",
        quote_literal(&name),
        taken.oid,
        quote_literal(&format!(
            "{} is no longer the empty table that was planned with",
            taken.name
        )),
    ));
    let mut statements = vec![
        format!("lock table only {name} in access exclusive mode nowait"),
        guard,
    ];
    let mould = Mould {
        policy: managed.policy,
        table: managed.table,
        catalog: inputs.catalog,
    };
    statements.extend(create::follow_anew(mould, &taken.name));
    statements.extend(attach(managed, mould, wanted));
    let summary = format!(
        "attach {}, an empty table that an interrupted run left behind",
        taken.name
    );
    step(
        managed,
        inputs,
        Action::AdoptOrphan,
        summary,
        std::slice::from_ref(wanted),
        statements,
    )
}

fn attach(managed: &Managed<'_>, mould: Mould<'_>, wanted: &Wanted) -> Vec<String> {
    let axis = managed.calendar.axis;
    create::attach(
        mould,
        &wanted.name,
        &axis.literal(wanted.from),
        &axis.literal(wanted.to),
    )
}

fn step(
    managed: &Managed<'_>,
    inputs: Inputs<'_>,
    action: Action,
    summary: String,
    wanted: &[Wanted],
    statements: Vec<String>,
) -> Step {
    let axis = managed.calendar.axis;
    let way = |acquire, when: &str| Way {
        acquire,
        when: when.to_owned(),
        settings: Vec::new(),
        prepare: Vec::new(),
        undo: Vec::new(),
        statements: statements.clone(),
    };
    Step {
        id: 0,
        after: None,
        table: managed.table.name.clone(),
        action,
        summary,
        partitions: wanted
            .iter()
            .map(|wanted| PartitionChange {
                name: wanted.name.clone(),
                from: axis.literal(wanted.from),
                to: axis.literal(wanted.to),
                rows_estimate: None,
                bytes: None,
            })
            .collect(),
        index: None,
        locks: locks::attach(managed.table, inputs.catalog.server.version_num),
        hazards: Vec::new(),
        allowed_by_plan: Vec::new(),
        budget: managed.budget(inputs),
        ways: vec![
            way(
                Acquire::NoWait,
                "first: the locks are tried without waiting, so that nobody queues behind dbops",
            ),
            way(
                Acquire::ShortWait,
                "when polling never finds the locks free: waits below the lock budget, with pauses",
            ),
        ],
    }
}
