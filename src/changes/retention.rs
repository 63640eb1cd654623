//! `partitions prune`: which partitions lie wholly before the retention limit, and the steps that
//! detach and drop them. Never creates.
//!
//! The decision rests on the catalog's own upper bound and on nothing else: not on names, not on a
//! lower bound plus a period.

use chrono::{DateTime, Days, Months, TimeDelta, Utc};

use super::changeset::{Acquire, Action, Hazard, Lock, Note, PartitionChange, Refusal, Step, Way};
use super::create::do_block;
use super::dropping::{Doomed, allow_by_plan, detached, drop_step, not_droppable};
use super::inputs::{Draft, Inputs, Managed, Ranged, bound_text, check_rights, managed, refusal};
use super::key::Bound;
use super::mark::{self, Mark};
use super::{locks, minors};
use crate::catalog::{Answers, PartitionKind, Questions, ReferencedQuestion};
use crate::ident::{QualifiedName, quote_literal};
use crate::plan_file::{CalendarSpan, Expire, SpanUnit};

/// Returns what must be asked before the steps can be computed: whether other tables' rows point
/// into a partition that is to go.
pub fn questions(inputs: Inputs<'_>) -> Questions {
    let mut questions = Questions::default();
    for policy in inputs.policies {
        let Ok(managed) = managed(policy, inputs.catalog) else {
            continue;
        };
        for expired in expired(&managed, inputs).0 {
            for foreign_key in &managed.table.foreign_keys_in {
                questions.referenced.push(ReferencedQuestion {
                    partition: expired.partition.name.clone(),
                    foreign_key: foreign_key.clone(),
                });
            }
        }
    }
    questions
}

/// Partitions past `retain` of each table that has a policy, whoever may take them away; why not where the table cannot
/// be read.
pub fn past(inputs: Inputs<'_>) -> Vec<(QualifiedName, Result<Vec<QualifiedName>, String>)> {
    let policies = inputs.policies.iter();
    policies
        .map(|policy| {
            let found = match managed(policy, inputs.catalog) {
                Ok(managed) => Ok(expired(&managed, inputs)
                    .0
                    .iter()
                    .map(|range| range.partition.name.clone())
                    .collect()),
                Err(refusal) => Err(refusal.message),
            };
            (policy.table.clone(), found)
        })
        .collect()
}

/// Computes the steps that finish pending detaches, detach what has expired and drop what may go.
pub fn prune(inputs: Inputs<'_>, answers: &Answers) -> Draft {
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
    let pending: Vec<&Ranged<'_>> = managed
        .ranges
        .iter()
        .filter(|range| range.partition.detach_pending)
        .collect();
    let (expired, notes) = expired(managed, inputs);
    let droppable = detached(managed, inputs);
    draft.notes.extend(notes);
    let marked = marked_yet_kept(managed, &expired);
    if pending.is_empty() && expired.is_empty() && droppable.is_empty() && marked.is_empty() {
        return;
    }
    if let Err(refusal) = check_rights(managed, inputs.catalog, false) {
        return draft.refusals.push(*refusal);
    }
    // Every concurrent detach on a parent fails while another one is pending (P16), and DROP of a
    // pending partition would lock the parent (P18): pending ones come first.
    for range in pending {
        draft.steps.push(finalize(managed, inputs, range));
        draft.steps.extend(drop_of_pending(managed, inputs, *range));
    }
    for range in marked {
        draft.steps.push(remove_mark(managed, inputs, range));
    }
    for range in expired {
        match referenced(managed, range, answers) {
            Some(refusal) => draft.refusals.push(refusal),
            None => detach_and_drop(managed, inputs, range, draft),
        }
    }
    for (table, mark) in droppable {
        match not_droppable(managed, inputs, table, &mark) {
            Some(refusal) => draft.refusals.push(refusal),
            None if mark.drop_after > inputs.now => {}
            None => draft
                .steps
                .push(drop_step(managed, inputs, &Doomed::detached(table), &mark)),
        }
    }
}

/// Goes on where an interrupted run stopped: a partition that it marked and that may go, goes.
fn drop_of_pending(managed: &Managed<'_>, inputs: Inputs<'_>, range: Ranged<'_>) -> Option<Step> {
    let mark = mark::read(range.partition.comment.as_deref()?)?;
    let (Bound::Value(to), Some(cutoff)) = (range.to, cutoff(managed, inputs)) else {
        return None;
    };
    let due = mark.parent == managed.table.name && mark.drop_after <= inputs.now && to <= cutoff;
    due.then(|| {
        let mut step = drop_step(managed, inputs, &Doomed::attached(managed, range), &mark);
        step.after = Some(1);
        step
    })
}

/// Returns attached partitions that carry a mark and stay: attached again by hand, or left so by a run
/// that was killed before its detach began. Detached by hand later, they would be taken for dbops's.
fn marked_yet_kept<'a>(managed: &Managed<'a>, expired: &[Ranged<'_>]) -> Vec<Ranged<'a>> {
    let goes = |range: &Ranged<'_>| {
        expired
            .iter()
            .any(|gone| gone.partition.oid == range.partition.oid)
    };
    managed
        .ranges
        .iter()
        .filter(|range| !range.partition.detach_pending && !goes(range))
        .filter(|range| {
            range
                .partition
                .comment
                .as_deref()
                .and_then(mark::read)
                .is_some()
        })
        .copied()
        .collect()
}

fn remove_mark(managed: &Managed<'_>, inputs: Inputs<'_>, range: Ranged<'_>) -> Step {
    let (table, child) = (managed.table, range.partition);
    step(
        managed,
        inputs,
        Action::RemoveMark,
        format!(
            "take the mark of an earlier detach out of the comment of {}",
            child.name
        ),
        vec![change(managed, range)],
        locks::comment(&child.name),
        vec![Way {
            acquire: Acquire::NoWait,
            when: "always: its lock conflicts with no reader and no writer".to_owned(),
            settings: Vec::new(),
            prepare: Vec::new(),
            undo: Vec::new(),
            statements: vec![
                attached_guard(table.oid, child.oid, &child.name, &child.bound),
                format!(
                    "comment on table {} is {}",
                    child.name.sql(),
                    mark::own_literal(child.comment.as_deref())
                ),
            ],
        }],
    )
}

/// Returns the partitions wholly before the cut-off that prune may take, oldest first.
fn expired<'a>(managed: &Managed<'a>, inputs: Inputs<'_>) -> (Vec<Ranged<'a>>, Vec<Note>) {
    let mut notes = Vec::new();
    let Some(cutoff) = cutoff(managed, inputs) else {
        return (Vec::new(), notes);
    };
    let calendar = managed.calendar;
    let on_grid = |bound: Bound| match bound {
        Bound::Value(value) => calendar
            .slot_at(value)
            .is_some_and(|slot| slot.from == value),
        Bound::Min | Bound::Max => false,
    };
    let note = |partition: &Ranged<'_>, code: &str, why: &str| Note {
        code: code.to_owned(),
        table: managed.table.name.clone(),
        message: format!(
            "{} lies before the retention limit but {why}",
            partition.partition.name
        ),
    };
    let mut expired = Vec::new();
    for range in &managed.ranges {
        let Bound::Value(to) = range.to else { continue };
        if to > cutoff || range.partition.detach_pending {
            continue;
        }
        if range.partition.kind == PartitionKind::Foreign {
            notes.push(note(
                range,
                "foreign-table",
                "is a foreign table: left alone",
            ));
            continue;
        }
        if !on_grid(range.from) && !on_grid(range.to) {
            let why = format!(
                "neither of its bounds is the beginning of a {}: left alone as made by hand",
                calendar.period
            );
            notes.push(note(range, "not-on-grid", &why));
            continue;
        }
        expired.push(*range);
    }
    let kept = managed
        .ranges
        .iter()
        .filter(|range| !range.partition.detach_pending)
        .count()
        - expired.len();
    if kept == 0
        && let Some(last) = expired.pop()
    {
        notes.push(note(
            &last,
            "last-partition",
            "is the last one: run `dbops partitions ensure` first",
        ));
    }
    (expired, notes)
}

/// The first instant that is kept.
pub(super) fn cutoff(managed: &Managed<'_>, inputs: Inputs<'_>) -> Option<i128> {
    managed
        .policy
        .retain
        .map(|retain| managed.calendar.minus(inputs.now, retain))
}

/// Refuses to take away a partition that rows of other tables point into: the server would too,
/// but only after having locked both tables.
fn referenced(managed: &Managed<'_>, range: Ranged<'_>, answers: &Answers) -> Option<Refusal> {
    let rows = answers
        .referenced
        .iter()
        .find(|rows| rows.partition == range.partition.name)?;
    let count = rows.count.map_or_else(
        || "rows (not countable in time)".to_owned(),
        |count| format!("{count} rows"),
    );
    Some(Refusal {
        relation: Some(range.partition.name.clone()),
        ..refusal(
            managed.policy,
            "referenced",
            format!(
                "{count} of {} point into {} by foreign key {}; it is kept",
                rows.table, range.partition.name, rows.foreign_key
            ),
            vec![format!(
                "remove or re-point these rows of {} first",
                rows.table
            )],
        )
    })
}

fn detach_and_drop(
    managed: &Managed<'_>,
    inputs: Inputs<'_>,
    range: Ranged<'_>,
    draft: &mut Draft,
) {
    let policy = managed.policy;
    match policy.expire {
        Expire::Detach => draft.steps.push(detach(
            managed,
            inputs,
            range,
            drop_after(inputs, policy.grace),
        )),
        Expire::Drop => {
            let step = detach(managed, inputs, range, inputs.now);
            let mark = mark_of(managed, inputs, range, inputs.now);
            let mut drop = drop_step(managed, inputs, &Doomed::attached(managed, range), &mark);
            drop.after = Some(1);
            // Whoever may not lose the rows does not want them detached either.
            let mut step = step;
            step.hazards.extend(drop.hazards.iter().copied());
            step.allowed_by_plan.clone_from(&drop.allowed_by_plan);
            draft.steps.push(step);
            draft.steps.push(drop);
        }
        Expire::Archive => draft.refusals.push(refusal(
            policy,
            "archive-not-available",
            format!(
                "`expire: archive` of {} is not available in this version",
                policy.table
            ),
            vec!["use `expire: detach` and a long `grace` meanwhile".to_owned()],
        )),
    }
}

/// Returns when a partition that is detached now may be dropped.
pub fn drop_after(inputs: Inputs<'_>, grace: CalendarSpan) -> DateTime<Utc> {
    let days = |each: u64| {
        inputs
            .now
            .checked_add_days(Days::new(u64::from(grace.count).saturating_mul(each)))
    };
    let months = |each: u32| {
        inputs
            .now
            .checked_add_months(Months::new(grace.count.saturating_mul(each)))
    };
    let after = match grace.unit {
        SpanUnit::Hour => inputs
            .now
            .checked_add_signed(TimeDelta::hours(i64::from(grace.count))),
        SpanUnit::Day => days(1),
        SpanUnit::Week => days(7),
        SpanUnit::Month => months(1),
        SpanUnit::Quarter => months(3),
        SpanUnit::Year => months(12),
    };
    after.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn mark_of(
    managed: &Managed<'_>,
    inputs: Inputs<'_>,
    range: Ranged<'_>,
    drop_after: DateTime<Utc>,
) -> Mark {
    let axis = managed.calendar.axis;
    Mark {
        parent: managed.table.name.clone(),
        column: managed.column.to_owned(),
        from: bound_text(axis, range.from),
        to: bound_text(axis, range.to),
        detached_at: inputs.now,
        drop_after,
    }
}

fn detach(
    managed: &Managed<'_>,
    inputs: Inputs<'_>,
    range: Ranged<'_>,
    drop_after: DateTime<Utc>,
) -> Step {
    let (table, child) = (managed.table, range.partition);
    let mark = mark_of(managed, inputs, range, drop_after);
    let comment = format!(
        "comment on table {} is {}",
        child.name.sql(),
        quote_literal(&mark::write(child.comment.as_deref(), &mark))
    );
    let own_comment = format!(
        "comment on table {} is {}",
        child.name.sql(),
        mark::own_literal(child.comment.as_deref())
    );
    let guard = attached_guard(table.oid, child.oid, &child.name, &child.bound);
    let alter = format!(
        "alter table only {} detach partition {}",
        table.name.sql(),
        child.name.sql()
    );
    let plain = |acquire, when: &str| Way {
        acquire,
        when: when.to_owned(),
        settings: Vec::new(),
        prepare: Vec::new(),
        undo: Vec::new(),
        statements: vec![guard.clone(), comment.clone(), alter.clone()],
    };
    let mut ways = vec![plain(
        Acquire::NoWait,
        "first: the locks are tried without waiting, so that nobody queues behind dbops",
    )];
    let concurrently =
        inputs.catalog.server.version_num >= 140_000 && locks::default_of(table).is_none();
    if concurrently {
        ways.push(Way {
            acquire: Acquire::Concurrent,
            when: "when polling never finds the locks free: waits for open transactions without blocking readers or writers of the parent".to_owned(),
            settings: Vec::new(),
            prepare: vec![guard.clone(), comment.clone()],
            statements: vec![format!("{alter} concurrently")],
            // A mark left on a partition that stays attached would outlive the decision it records.
            undo: vec![guard.clone(), own_comment],
        });
    } else {
        ways.push(plain(
            Acquire::ShortWait,
            "when polling never finds the locks free: waits below the lock budget, with pauses",
        ));
    }
    let mut step = step(
        managed,
        inputs,
        Action::DetachPartition,
        format!(
            "detach {}; it may be dropped from {} on",
            child.name,
            drop_after.format("%Y-%m-%d %H:%M UTC")
        ),
        vec![change(managed, range)],
        locks::detach(table, child, inputs.catalog.server.version_num),
        ways,
    );
    if minors::detach_loses_foreign_keys(inputs.catalog.server.version_num)
        && table.foreign_keys_out.iter().any(|key| key.partitioned)
    {
        step.hazards.push(Hazard::LosesForeignKey);
    }
    allow_by_plan(managed, &mut step);
    step
}

fn finalize(managed: &Managed<'_>, inputs: Inputs<'_>, range: &Ranged<'_>) -> Step {
    let (table, child) = (managed.table, range.partition);
    step(
        managed,
        inputs,
        Action::FinalizeDetach,
        format!("complete the interrupted detach of {}", child.name),
        vec![change(managed, *range)],
        locks::detach_concurrently(table, child),
        vec![Way {
            acquire: Acquire::Concurrent,
            when: "always: waits for snapshots older than the detach without blocking readers or writers of the parent"
                .to_owned(),
            settings: Vec::new(),
            prepare: Vec::new(),
        undo: Vec::new(),
            statements: vec![format!(
                "alter table only {} detach partition {} finalize",
                table.name.sql(),
                child.name.sql()
            )],
        }],
    )
}

/// Makes sure, under the lock, that the partition is still the one that was planned with.
fn attached_guard(parent_oid: u32, child_oid: u32, child: &QualifiedName, bound: &str) -> String {
    do_block(&format!(
        "\nbegin\n  if not exists (\n    select from pg_catalog.pg_class c join pg_catalog.pg_inherits i on i.inhrelid = c.oid\n    \
         where c.oid = {}::pg_catalog.regclass and c.oid = {child_oid} and i.inhparent = {parent_oid}\n      \
         and pg_catalog.pg_get_expr(c.relpartbound, c.oid) = {}\n  ) then\n    \
         raise exception using errcode = 'object_not_in_prerequisite_state', message = {};\n  end if;\nend\n",
        quote_literal(&child.sql()),
        quote_literal(bound),
        quote_literal(&format!(
            "{child} is no longer the partition that was planned with"
        )),
    ))
}

fn change(managed: &Managed<'_>, range: Ranged<'_>) -> PartitionChange {
    let axis = managed.calendar.axis;
    PartitionChange {
        name: range.partition.name.clone(),
        from: bound_text(axis, range.from),
        to: bound_text(axis, range.to),
        rows_estimate: range.partition.rows_estimate,
        bytes: range.partition.bytes,
    }
}

pub(super) fn step(
    managed: &Managed<'_>,
    inputs: Inputs<'_>,
    action: Action,
    summary: String,
    partitions: Vec<PartitionChange>,
    locks: Vec<Lock>,
    ways: Vec<Way>,
) -> Step {
    Step {
        id: 0,
        after: None,
        table: managed.table.name.clone(),
        action,
        summary,
        partitions,
        index: None,
        locks,
        hazards: Vec::new(),
        allowed_by_plan: Vec::new(),
        budget: managed.budget(inputs),
        ways,
    }
}
