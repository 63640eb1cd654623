//! `partitions ensure`: which partitions are missing, and the steps that create them. Never drops.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::changeset::{Acquire, Action, LockMode, Note, PartitionChange, Refusal, Step, Way};
use super::coverage::{Coverage, edge};
use super::create::{self, Mould};
use super::inputs::{Draft, Inputs, Managed, check_rights, managed, refusal};
use super::{locks, mark, names};
use crate::catalog::{Answers, DefaultQuestion, NameQuestion, Questions, TakenName};
use crate::ident::{QualifiedName, quote_literal};
use crate::plan_file::SubPartitions;

/// More partitions than this for one table are a mistake in the plan file or in an old partition's
/// bounds rather than a wish.
const MAX_NEW_PARTITIONS: usize = 1_000;

/// Partitions created in one transaction; each holds a few entries of the shared lock table.
const PARTITIONS_PER_STEP: usize = 24;

/// A partition that should exist and does not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    name: QualifiedName,
    from: i128,
    to: i128,
}

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
    for policy in inputs.policies {
        match managed(policy, inputs.catalog) {
            Ok(managed) => table(&managed, inputs, answers, &mut draft),
            Err(refusal) => draft.refusals.push(*refusal),
        }
    }
    draft
}

fn table(managed: &Managed<'_>, inputs: Inputs<'_>, answers: &Answers, draft: &mut Draft) {
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
        match obstacle(managed, &wanted, answers) {
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
        PARTITIONS_PER_STEP
    };
    for chunk in creatable.chunks(per_step) {
        draft.steps.push(create_step(managed, inputs, chunk));
    }
}

/// Returns the uncovered parts of the managed window, named.
fn wanted(managed: &Managed<'_>, inputs: Inputs<'_>) -> Result<Vec<Wanted>, Box<Refusal>> {
    let Managed {
        policy, calendar, ..
    } = managed;
    let (from, to) = window(managed, inputs)?;
    let coverage = Coverage::of(managed.ranges.iter().map(|range| (range.from, range.to)));
    let cutoff = policy
        .retain
        .map(|retain| calendar.minus(inputs.now, retain));
    let mut wanted = Vec::new();
    for slot in calendar.slots(from, to) {
        let (slot_from, slot_to) = (slot.from.max(from), slot.to.min(to));
        for (piece_from, piece_to) in coverage.missing((slot_from, slot_to)) {
            // What prune has just taken, or would take next, is not made again.
            if cutoff.is_some_and(|cutoff| piece_to <= cutoff) {
                continue;
            }
            if wanted.len() == MAX_NEW_PARTITIONS {
                return Err(Box::new(too_many(managed, (from, to))));
            }
            let whole = (piece_from, piece_to) == (slot.from, slot.to);
            let remainder = if whole {
                None
            } else {
                let civil = calendar.axis.civil(piece_from, calendar.zone);
                Some(civil.ok_or_else(|| Box::new(odd_remainder(managed, piece_from, piece_to)))?)
            };
            let template = policy
                .name
                .as_deref()
                .unwrap_or_else(|| names::default_template(policy.every));
            let name =
                names::partition_name(template, &managed.table.name.name, slot.civil, remainder);
            wanted.push(Wanted {
                name: QualifiedName::new(managed.child_schema(), name),
                from: piece_from,
                to: piece_to,
            });
        }
    }
    Ok(wanted)
}

/// The managed window: from `start`, else from the oldest existing partition, never from later than
/// the current period, up to `premake` periods after it.
fn window(managed: &Managed<'_>, inputs: Inputs<'_>) -> Result<(i128, i128), Box<Refusal>> {
    let Managed {
        policy,
        calendar,
        ranges,
        ..
    } = managed;
    let unplaceable = || {
        Box::new(refusal(
            policy,
            "unplaceable-now",
            format!(
                "{} cannot be placed on the key of {}",
                inputs.now, policy.table
            ),
            vec!["check --as-of and the key's encoding".to_owned()],
        ))
    };
    let current = calendar
        .slot_at(calendar.axis.of_instant(inputs.now, calendar.zone))
        .ok_or_else(unplaceable)?;
    let mut last = current;
    for _ in 0..policy.premake {
        last = calendar.next(&last).ok_or_else(unplaceable)?;
    }
    let oldest = match &policy.start {
        Some(start) => {
            let civil = parse_start(start).ok_or_else(|| {
                Box::new(refusal(
                    policy,
                    "bad-start",
                    format!("`start: {start}` is no date"),
                    vec![],
                ))
            })?;
            Some(calendar.axis.of_civil(civil, calendar.zone))
        }
        // A partition without a lower bound covers all before its upper one, where the window begins.
        None => ranges
            .iter()
            .filter(|range| {
                calendar.axis.is_finite(edge(range.to)) || calendar.axis.is_finite(edge(range.from))
            })
            .map(|range| {
                if calendar.axis.is_finite(edge(range.from)) {
                    edge(range.from)
                } else {
                    edge(range.to)
                }
            })
            .min(),
    };
    Ok((
        oldest
            .filter(|oldest| calendar.axis.is_finite(*oldest))
            .unwrap_or(current.from)
            .min(current.from),
        last.to,
    ))
}

/// Reads `start:` as civil time: a date, or a date and time.
pub fn parse_start(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim();
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .map(|date| date.and_time(NaiveTime::MIN))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S"))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S"))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M"))
        .ok()
}

fn too_many(managed: &Managed<'_>, (from, to): (i128, i128)) -> Refusal {
    let axis = managed.calendar.axis;
    refusal(
        managed.policy,
        "too-many-partitions",
        format!(
            "more than {MAX_NEW_PARTITIONS} partitions of one {} are missing between {} and {}",
            managed.policy.every,
            axis.literal(from),
            axis.literal(to)
        ),
        vec![
            "set `start:` to the first instant that should be covered, if the gap in the past is meant".to_owned(),
            "or choose a longer `every:`".to_owned(),
        ],
    )
}

fn odd_remainder(managed: &Managed<'_>, from: i128, to: i128) -> Refusal {
    let axis = managed.calendar.axis;
    refusal(
        managed.policy,
        "odd-remainder",
        format!(
            "the uncovered part from {} to {} of a half-covered {} begins at a value that is no instant",
            axis.literal(from),
            axis.literal(to),
            managed.policy.every
        ),
        vec!["create this part by hand, or correct the neighbouring partition's bound".to_owned()],
    )
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

fn leaf_names(sub: Option<&SubPartitions>, partition: &QualifiedName) -> Vec<QualifiedName> {
    create::leaves(sub, partition)
        .into_iter()
        .map(|(leaf, _)| leaf)
        .collect()
}

enum Obstacle<'a> {
    /// An empty table of the right shape, left by an interrupted run.
    Orphan(&'a TakenName),
    Refused(Box<Refusal>),
}

/// Finds what stands in the way of one wanted partition.
fn obstacle<'a>(
    managed: &Managed<'_>,
    wanted: &Wanted,
    answers: &'a Answers,
) -> Option<Obstacle<'a>> {
    let axis = managed.calendar.axis;
    let (from, to) = (axis.literal(wanted.from), axis.literal(wanted.to));
    let rows = answers.default_rows.iter().find(|rows| {
        rows.table == managed.table.name
            && rows.from.as_deref() == Some(from.as_str())
            && rows.to.as_deref() == Some(to.as_str())
    });
    if let Some(rows) = rows {
        return Some(Obstacle::Refused(Box::new(default_holds_rows(
            managed, wanted, rows,
        ))));
    }
    let taken_leaf = leaf_names(managed.policy.sub.as_ref(), &wanted.name)
        .into_iter()
        .find_map(|leaf| answers.taken.iter().find(|taken| taken.name == leaf));
    let taken = answers
        .taken
        .iter()
        .find(|taken| taken.name == wanted.name)
        .or(taken_leaf)?;
    if taken_leaf.is_none() && is_orphan(managed, taken) {
        return Some(Obstacle::Orphan(taken));
    }
    Some(Obstacle::Refused(Box::new(name_taken(
        managed, wanted, taken,
    ))))
}

fn is_orphan(managed: &Managed<'_>, taken: &TakenName) -> bool {
    managed.policy.sub.is_none()
        && taken.same_columns
        && taken.empty == Some(true)
        && taken.owned
        && taken.mark.as_deref().and_then(mark::read).is_none()
}

fn default_holds_rows(
    managed: &Managed<'_>,
    wanted: &Wanted,
    rows: &crate::catalog::DefaultRows,
) -> Refusal {
    let axis = managed.calendar.axis;
    let default = locks::default_of(managed.table).map(|default| default.name.clone());
    let default_name = default
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let count = match rows.count {
        Some(1) => "1 row".to_owned(),
        Some(count) => format!("{count} rows"),
        None => "rows (the count did not finish in time)".to_owned(),
    };
    let span = match (&rows.min, &rows.max) {
        (Some(min), Some(max)) => format!(", {} from {min} to {max}", managed.column),
        _ => String::new(),
    };
    Refusal {
        relation: default,
        ..refusal(
            managed.policy,
            "default-holds-rows",
            format!(
                "DEFAULT partition {default_name} holds {count} of the new range {} to {}{span}; {} is not created",
                axis.literal(wanted.from),
                axis.literal(wanted.to),
                wanted.name
            ),
            vec![
                format!(
                    "move these rows out of {default_name} first; new rows of this range go to DEFAULT until then"
                ),
                format!(
                    "see them: select * from only {default_name} where {} >= {} and {} < {};",
                    crate::ident::quote_ident(managed.column),
                    quote_literal(&axis.literal(wanted.from)),
                    crate::ident::quote_ident(managed.column),
                    quote_literal(&axis.literal(wanted.to))
                ),
            ],
        )
    }
}

fn name_taken(managed: &Managed<'_>, wanted: &Wanted, taken: &TakenName) -> Refusal {
    let axis = managed.calendar.axis;
    let range = format!(
        "{} to {}",
        axis.literal(wanted.from),
        axis.literal(wanted.to)
    );
    let detached = taken.mark.as_deref().and_then(mark::read);
    let (why, remedy) = match (&detached, taken.kind.as_str()) {
        (Some(mark), _) => (
            format!(
                "is a table that dbops detached from {} on {}",
                mark.parent,
                mark.detached_at.format("%Y-%m-%d")
            ),
            format!(
                "attach it again: alter table {} attach partition {} for values from ({}) to ({});",
                mark.parent.sql(),
                taken.name.sql(),
                quote_literal(&mark.from),
                quote_literal(&mark.to)
            ),
        ),
        (None, "table") if taken.same_columns && taken.empty == Some(false) => (
            "is a table of the same shape that holds rows and is attached to nothing".to_owned(),
            "attach it with the range its rows have, or rename it".to_owned(),
        ),
        (None, "table") if taken.same_columns => (
            "is a table of the same shape whose emptiness could not be checked".to_owned(),
            "give the role the right to read it, or rename it".to_owned(),
        ),
        (None, "table") => (
            "is a table with other columns".to_owned(),
            "rename it, or choose another `name:` template".to_owned(),
        ),
        (None, kind) => (
            format!("is already a {kind}"),
            "rename it, or choose another `name:` template".to_owned(),
        ),
    };
    Refusal {
        relation: Some(taken.name.clone()),
        ..refusal(
            managed.policy,
            "name-taken",
            format!("{} {why}; the range {range} stays uncovered", taken.name),
            vec![remedy],
        )
    }
}

/// A pending detach in the window is an outage and refuses; an older one is worth a note.
fn pending_detaches(managed: &Managed<'_>, current: i128, draft: &mut Draft) {
    let table = &managed.table.name;
    for range in managed
        .ranges
        .iter()
        .filter(|range| range.partition.detach_pending)
    {
        let name = &range.partition.name;
        let message = format!(
            "{name} is pending detach: its rows are invisible through {table} and its range takes no inserts"
        );
        if edge(range.to) <= current {
            draft.notes.push(Note {
                code: "detach-pending".to_owned(),
                table: table.clone(),
                message: format!("{message}; `dbops partitions prune` completes the detach"),
            });
            continue;
        }
        draft.refusals.push(Refusal {
            relation: Some(name.clone()),
            ..refusal(
                managed.policy,
                "detach-pending",
                message,
                vec![
                    "complete the detach with `dbops partitions prune`, then run ensure again: it covers the range anew".to_owned(),
                    format!(
                        "then move the rows of {name} back, or attach it instead: alter table {} attach partition {} {};",
                        table.sql(),
                        name.sql(),
                        range.partition.bound
                    ),
                ],
            )
        });
    }
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
        prepare: Vec::new(),
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
