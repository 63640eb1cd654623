//! Dropping what was detached: which tables, why not, and the guard that looks again under the lock.

use super::changeset::{Acquire, Action, Hazard, Lock, PartitionChange, Refusal, Step, Way};
use super::create::do_block;
use super::inputs::{Inputs, Managed, Ranged, refusal};
use super::locks;
use super::mark::{self, Mark};
use super::retention::{cutoff, step};
use super::script;
use crate::catalog::DetachedTable;
use crate::ident::{QualifiedName, quote_ident, quote_literal};

/// Returns the tables that dbops detached from this one, with their marks, by name.
pub(super) fn detached<'a>(
    managed: &Managed<'_>,
    inputs: Inputs<'a>,
) -> Vec<(&'a DetachedTable, Mark)> {
    inputs
        .catalog
        .detached
        .iter()
        .filter_map(|table| mark::read(&table.mark).map(|mark| (table, mark)))
        .filter(|(_, mark)| mark.parent == managed.table.name)
        .collect()
}

/// Says why a detached table whose time has come cannot be dropped.
pub(super) fn not_droppable(
    managed: &Managed<'_>,
    inputs: Inputs<'_>,
    table: &DetachedTable,
    mark: &Mark,
) -> Option<Refusal> {
    if mark.drop_after > inputs.now {
        return None;
    }
    let refuse = |code: &str, message: String, remedy: String| {
        Some(Refusal {
            relation: Some(table.name.clone()),
            ..refusal(managed.policy, code, message, vec![remedy])
        })
    };
    let attach_again = format!(
        "keep it: take the mark out of its comment: comment on table {} is {};",
        table.name.sql(),
        mark::own_literal(Some(&table.mark))
    );
    let Some(cutoff) = cutoff(managed, inputs) else {
        return refuse(
            "kept-forever",
            format!(
                "{} may be dropped since {}, but the policy has no `retain`",
                table.name, mark.drop_after
            ),
            attach_again,
        );
    };
    match managed.calendar.axis.parse(&mark.to) {
        Ok(to) if to <= cutoff => {}
        Ok(_) => {
            return refuse(
                "younger-than-retention",
                format!(
                    "{} reaches to {}, which the policy's `retain` now keeps; it is not dropped",
                    table.name, mark.to
                ),
                attach_again,
            );
        }
        Err(why) => {
            return refuse(
                "unreadable-mark",
                format!("the mark of {} cannot be read: {why}", table.name),
                attach_again,
            );
        }
    }
    if !table.owned {
        return refuse(
            "missing-privilege",
            format!(
                "role {} does not own {}",
                inputs.catalog.server.role, table.name
            ),
            format!(
                "alter table {} owner to {};",
                table.name.sql(),
                quote_ident(&managed.table.owner)
            ),
        );
    }
    if let Some(key) = table.foreign_keys_in.first() {
        return refuse(
            "referenced",
            format!(
                "{} is referenced by foreign key {} of {}; it is kept",
                table.name, key.name, key.table
            ),
            format!(
                "alter table {} drop constraint {};",
                key.table.sql(),
                quote_ident(&key.name)
            ),
        );
    }
    if !table.dependents.is_empty() {
        return refuse(
            "has-dependents",
            format!(
                "{} is used by {}; it is kept",
                table.name,
                table.dependents.join(", ")
            ),
            "drop what depends on it first; dbops never drops with CASCADE".to_owned(),
        );
    }
    None
}

/// A table that is to be dropped, as it stands now or as it will stand after its detach.
pub(super) struct Doomed<'a> {
    oid: u32,
    name: &'a QualifiedName,
    locks: Vec<Lock>,
    rows_estimate: Option<i64>,
    bytes: Option<i64>,
}

impl<'a> Doomed<'a> {
    pub(super) fn detached(table: &'a DetachedTable) -> Self {
        Self {
            oid: table.oid,
            name: &table.name,
            locks: locks::drop(&table.name, &table.foreign_keys_out),
            rows_estimate: table.rows_estimate,
            bytes: table.bytes,
        }
    }

    pub(super) fn attached(managed: &Managed<'_>, range: Ranged<'a>) -> Self {
        let child = range.partition;
        Self {
            oid: child.oid,
            name: &child.name,
            locks: locks::drop(&child.name, &managed.table.foreign_keys_out),
            rows_estimate: child.rows_estimate,
            bytes: child.bytes,
        }
    }
}

pub(super) fn drop_step(
    managed: &Managed<'_>,
    inputs: Inputs<'_>,
    doomed: &Doomed<'_>,
    mark: &Mark,
) -> Step {
    let guard = drop_guard(managed, inputs, doomed, mark);
    let sql = format!("drop table {}", doomed.name.sql());
    // Forced row security would hide rows from the guard of a mere member of the owner.
    let unforce = managed.table.properties.force_row_security.then(|| {
        format!(
            "alter table only {} no force row level security",
            doomed.name.sql()
        )
    });
    // The guard may have to read the whole table, so the tables that others use are locked after it.
    let way = |acquire, when: &str| {
        let nowait = if acquire == Acquire::NoWait {
            " nowait"
        } else {
            ""
        };
        let others = doomed
            .locks
            .iter()
            .filter(|lock| lock.relation != *doomed.name);
        Way {
            acquire,
            when: when.to_owned(),
            settings: Vec::new(),
            prepare: Vec::new(),
            undo: Vec::new(),
            statements: unforce
                .iter()
                .chain([&guard])
                .cloned()
                .chain(
                    others
                        .filter(|lock| lock.explicit)
                        .map(|lock| script::lock_sql(lock, nowait)),
                )
                .chain([sql.clone()])
                .collect(),
        }
    };
    let mut step = step(
        managed,
        inputs,
        Action::DropPartition,
        format!("drop {} and its rows", doomed.name),
        vec![PartitionChange {
            name: doomed.name.clone(),
            from: mark.from.clone(),
            to: mark.to.clone(),
            rows_estimate: doomed.rows_estimate,
            bytes: doomed.bytes,
        }],
        announced(doomed),
        vec![
            way(
                Acquire::NoWait,
                "first: the locks are tried without waiting, so that nobody queues behind dbops",
            ),
            way(
                Acquire::ShortWait,
                "when polling never finds the locks free: waits below the lock budget, with pauses",
            ),
        ],
    );
    step.hazards.push(Hazard::DropsData);
    allow_by_plan(managed, &mut step);
    step
}

/// The doomed table is locked beforehand; the statements lock the others, after the guard.
fn announced(doomed: &Doomed<'_>) -> Vec<Lock> {
    let mut locks = doomed.locks.clone();
    for lock in &mut locks {
        lock.explicit &= lock.relation == *doomed.name;
    }
    locks.sort_by_key(|lock| !lock.explicit);
    locks
}

pub(super) fn allow_by_plan(managed: &Managed<'_>, step: &mut Step) {
    step.allowed_by_plan = step
        .hazards
        .iter()
        .copied()
        .filter(|hazard| managed.policy.allow.contains(hazard))
        .collect();
}

/// Makes sure, under the lock, that the table is the one that was planned with, that nothing is
/// attached to it or it to anything, and that no row in it is younger than the limit: a detached
/// table takes inserts of any date.
fn drop_guard(
    managed: &Managed<'_>,
    inputs: Inputs<'_>,
    doomed: &Doomed<'_>,
    mark: &Mark,
) -> String {
    let name = doomed.name.sql();
    // Never ONLY: a sub-partitioned table has its rows in its leaves.
    let too_young = cutoff(managed, inputs).map_or_else(String::new, |cutoff| {
        format!(
            "  if exists (select from {name} where {} >= {}::{}) then\n    raise exception using errcode = \
             'object_not_in_prerequisite_state', message = {};\n  end if;\n",
            quote_ident(&mark.column),
            quote_literal(&managed.calendar.axis.literal(cutoff)),
            managed.calendar.axis.sql_type(),
            quote_literal(&format!("{} holds rows younger than the retention limit", doomed.name)),
        )
    });
    do_block(&format!(
        "\nbegin\n  if not exists (\n    select from pg_catalog.pg_class\n    \
         where oid = {name_literal}::pg_catalog.regclass and oid = {oid} and not relispartition\n      \
         and pg_catalog.strpos(pg_catalog.obj_description(oid, 'pg_class'), {mark}) > 0\n  ) then\n    \
         raise exception using errcode = 'object_not_in_prerequisite_state', message = {changed};\n  end if;\n{too_young}end\n",
        name_literal = quote_literal(&name),
        oid = doomed.oid,
        mark = quote_literal(&mark::write(None, mark)),
        changed = quote_literal(&format!(
            "{} is no longer the detached table that was planned with",
            doomed.name
        )),
    ))
}
