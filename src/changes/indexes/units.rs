//! Each declared index becomes a unit of steps that depend on each other; here the units are put in order, what
//! a foreign build forbids is held back, and the whole becomes a draft.

use std::collections::{BTreeMap, BTreeSet};

use super::context::{Context, Entry};
use super::{checks, drops, online, preconditions, steps, tree};
use crate::catalog::index_model::{ArbiterQuestion, DuplicateQuestion, IndexedTable, TableKind};
use crate::changes::changeset::{Action, Hazard, Note, Refusal, Step};
use crate::changes::inputs::Draft;
use crate::ident::QualifiedName;
use crate::plan_file::Origin;

/// When a unit runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    /// Waits and changes that build nothing.
    First,
    /// Builds of plain columns.
    Plain,
    /// Builds with a predicate or an expression: while one of them runs, every other build of the database waits
    /// for it, whatever the version; so they come last.
    Partial,
    /// Drops: what replaces them is there by then.
    Drops,
}

/// A step with the steps of its unit that must be done before.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) step: Step,
    /// Place in the unit of the step that must succeed before.
    after: Option<usize>,
    /// Whether every step of the unit before it must be there.
    needs_all: bool,
}

/// The steps of one entry.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    turn: Turn,
    steps: Vec<Planned>,
    /// An index of another unit that must be built before the first step.
    after_index: Option<QualifiedName>,
    /// The declared index that the unit makes.
    makes: Option<QualifiedName>,
    /// Where the entry stands.
    origin: Origin,
    /// Whether what is built lies in the database's own tablespace.
    at_home: bool,
}

impl Unit {
    pub(super) fn new(turn: Turn) -> Self {
        Self {
            turn,
            steps: Vec::new(),
            after_index: None,
            makes: None,
            origin: Origin::default(),
            at_home: true,
        }
    }

    /// Asks for consent before the first step: with it, all that follow from it are skipped.
    pub(super) fn endangers(&mut self, allow: &[Hazard]) {
        if let Some(first) = self.steps.first_mut() {
            first.step = steps::hazardous(first.step.clone(), allow);
        }
    }

    /// Adds a step that needs the one before it.
    pub(super) fn then(&mut self, step: Step) -> usize {
        let after = self.steps.len().checked_sub(1);
        self.add(step, after)
    }

    /// Adds a step that needs the given one, or none.
    pub(super) fn add(&mut self, step: Step, after: Option<usize>) -> usize {
        self.steps.push(Planned {
            step,
            after,
            needs_all: false,
        });
        self.steps.len() - 1
    }

    /// Adds a step that makes sense only when all steps of the unit before it are done.
    pub(super) fn at_the_end(&mut self, step: Step) -> usize {
        let at = self.then(step);
        if let Some(planned) = self.steps.get_mut(at) {
            planned.needs_all = true;
        }
        at
    }

    /// Place of the last step that builds or names something.
    fn built_at(&self) -> Option<usize> {
        self.steps
            .iter()
            .rposition(|planned| builds(planned.step.action))
    }

    /// Lets the unit wait for an index that another unit builds.
    pub(super) fn once_built(&mut self, index: QualifiedName) {
        self.after_index = Some(index);
    }

    pub(super) fn has(&self, action: Action) -> bool {
        self.steps
            .iter()
            .any(|planned| planned.step.action == action)
    }

    /// Whether a step of the unit drops this index.
    pub(super) fn drops(&self, name: &QualifiedName) -> bool {
        self.steps.iter().any(|planned| {
            matches!(
                planned.step.action,
                Action::DropIndex | Action::DropParentIndex
            ) && planned
                .step
                .index
                .as_ref()
                .is_some_and(|change| change.name == *name)
        })
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Tables whose indexes the unit changes.
    fn tables(&self) -> BTreeSet<QualifiedName> {
        self.steps
            .iter()
            .filter_map(|planned| planned.step.index.as_ref())
            .map(|change| change.table.clone())
            .collect()
    }

    fn refusal(&self, step: &Step, code: &str, message: String, remedy: &str) -> Refusal {
        Refusal {
            code: code.to_owned(),
            table: step.table.clone(),
            relation: step.index.as_ref().map(|change| change.name.clone()),
            message,
            remedy: vec![remedy.to_owned()],
            origin: self.origin.clone(),
        }
    }

    pub(super) fn turn(&mut self, turn: Turn) {
        self.turn = turn;
    }
}

fn builds(action: Action) -> bool {
    matches!(
        action,
        Action::CreateIndex
            | Action::CreateParentIndex
            | Action::ReindexIndex
            | Action::SwapIndexes
            | Action::AttachIndex
            | Action::RenameIndex
    )
}

/// What was found for all entries.
#[derive(Debug, Default)]
pub(super) struct Plans {
    pub(super) units: Vec<Unit>,
    pub(super) refusals: Vec<Refusal>,
    pub(super) notes: Vec<Note>,
    /// Asked before unique indexes are built.
    pub(super) duplicates: Vec<DuplicateQuestion>,
    /// Asked before unique indexes are dropped.
    pub(super) arbiters: Vec<ArbiterQuestion>,
    /// Live indexes that an entry has taken for its own under another name.
    pub(super) taken: BTreeSet<QualifiedName>,
    /// Names that were given to partitions' indexes.
    pub(super) named: BTreeSet<QualifiedName>,
    /// Tables that were searched for what REINDEX CONCURRENTLY left behind.
    pub(super) searched: BTreeSet<QualifiedName>,
}

impl Plans {
    pub(super) fn push(&mut self, unit: Unit) {
        if !unit.is_empty() {
            self.units.push(unit);
        }
    }
}

/// Plans every entry.
pub(super) fn planned(context: &Context<'_>) -> Plans {
    let mut plans = Plans::default();
    let mut names = BTreeSet::new();
    for declared in context.inputs.declared {
        let entry = Entry::declared(declared);
        if !names.insert(&declared.name) {
            plans.refusals.push(entry.refusal(
                "declared-twice",
                format!("{} is declared more than once", declared.name),
                vec!["keep one of the entries".to_owned()],
            ));
            continue;
        }
        let checked = checks::table(context, &entry, &declared.spec.table).and_then(|table| {
            checks::declared(context, declared, table)?;
            Ok(table)
        });
        match checked {
            Ok(table) => {
                if let Err(refusal) = one(context, declared, table, &mut plans) {
                    plans.refusals.push(*refusal);
                }
            }
            Err(refusal) => plans.refusals.push(*refusal),
        }
    }
    drops::plan(context, &mut plans);
    plans
}

fn one(
    context: &Context<'_>,
    declared: &super::Declared,
    table: &IndexedTable,
    plans: &mut Plans,
) -> Result<(), Box<Refusal>> {
    let entry = Entry::declared(declared);
    let mut unit = if table.kind == TableKind::Partitioned {
        tree::unit(context, declared, table, plans)?
    } else {
        online::unit(context, declared, table, plans)?
    };
    for table in context.tree(&table.name) {
        preconditions::debris(context, &entry, table, plans);
    }
    if unit.is_empty() {
        return Ok(());
    }
    for touched in unit.tables() {
        if let Some(table) = context.table(&touched) {
            checks::rights(context, &entry, table)?;
        }
    }
    unit.makes = Some(declared.name.clone());
    unit.origin = declared.origin.clone();
    unit.at_home = declared
        .spec
        .tablespace
        .as_ref()
        .is_none_or(|tablespace| *tablespace == context.catalog().default_tablespace);
    let text = declared.spec.predicate.is_some() || steps::has_expression(&declared.spec);
    if text && unit.turn == Turn::Plain {
        unit.turn(Turn::Partial);
    }
    plans.push(unit);
    Ok(())
}

impl Plans {
    /// Puts the units in order and makes a draft of them.
    pub(super) fn into_draft(mut self, context: &Context<'_>) -> Draft {
        refuse_unsafe_minor(context, &mut self);
        refuse_without_successor(&mut self);
        let awaits = hold_back(context, &mut self.units);
        wait_for_successor(&mut self.units);
        self.units.retain(|unit| !unit.is_empty());
        self.units.sort_by_cached_key(|unit| {
            let table = unit.steps.first().map(|planned| planned.step.table.clone());
            (unit.turn, table)
        });
        refuse_without_space(context, &mut self);
        refuse_without_successor(&mut self);
        keep_beside_refusals(context, &mut self);
        let mut steps: Vec<Step> = awaits;
        // Where each declared index is there.
        let mut made: BTreeMap<QualifiedName, usize> = BTreeMap::new();
        for unit in self.units {
            let begin = steps.len();
            let outside = unit
                .after_index
                .as_ref()
                .and_then(|index| made.get(index).copied());
            if let (Some(name), Some(at)) = (&unit.makes, unit.built_at()) {
                made.insert(name.clone(), begin + at);
            }
            for (at, planned) in unit.steps.into_iter().enumerate() {
                let here = begin + at;
                let before = planned.after.map(|after| begin + after).or(if at == 0 {
                    outside
                } else {
                    None
                });
                steps.push(Step {
                    after: before.and_then(|before| u32::try_from(here - before).ok()),
                    ..planned.step
                });
            }
        }
        self.refusals.sort_by(|a, b| {
            (&a.table, &a.relation, &a.code).cmp(&(&b.table, &b.relation, &b.code))
        });
        self.notes
            .sort_by(|a, b| (&a.table, &a.code, &a.message).cmp(&(&b.table, &b.code, &b.message)));
        self.notes.dedup();
        Draft {
            steps,
            refusals: self.refusals,
            notes: self.notes,
        }
    }
}

/// Before 14.4 a concurrent build of 14 can leave rows out of the index, silently.
///
/// Source: <https://www.postgresql.org/docs/release/14.4/>.
fn refuse_unsafe_minor(context: &Context<'_>, plans: &mut Plans) {
    if !(140_000..140_004).contains(&context.version()) {
        return;
    }
    let Plans {
        units, refusals, ..
    } = plans;
    units.retain(|unit| {
        let builds = unit.steps.iter().find(|planned| {
            matches!(
                planned.step.action,
                Action::CreateIndex | Action::ReindexIndex
            )
        });
        let Some(Planned { step, .. }) = builds else {
            return true;
        };
        refusals.push(unit.refusal(
            step,
            "unsafe-minor",
            format!(
                "PostgreSQL {} can build an index concurrently that misses rows",
                context.catalog().server.version
            ),
            "update the server to 14.4 or later: a minor update needs only a restart",
        ));
        false
    });
}

/// Indexes that a unit makes, in the order of the units.
fn successors(units: &[Unit]) -> BTreeSet<QualifiedName> {
    units
        .iter()
        .filter(|unit| unit.built_at().is_some())
        .filter_map(|unit| unit.makes.clone())
        .collect()
}

/// Refuses what would take an index away whose successor is refused itself; that may leave others without theirs.
fn refuse_without_successor(plans: &mut Plans) {
    let Plans {
        units, refusals, ..
    } = plans;
    loop {
        let made = successors(units);
        let before = units.len();
        units.retain(|unit| {
            let missing = unit
                .after_index
                .as_ref()
                .filter(|index| !made.contains(*index));
            let (Some(missing), Some(first)) = (missing, unit.steps.first()) else {
                return true;
            };
            let names = first.step.index.as_ref().map(|change| &change.name);
            let kept = unit.makes.as_ref().or(names).unwrap_or(&first.step.table);
            refusals.push(unit.refusal(
                &first.step,
                "successor-refused",
                format!("{kept} is kept: {missing}, which would serve in its place, is not built"),
                "see what is said of the other index first",
            ));
            false
        });
        if units.len() == before {
            return;
        }
    }
}

/// Keeps what should be absent from a table of which a declared index cannot be served: it may be what that
/// index was to replace.
fn keep_beside_refusals(context: &Context<'_>, plans: &mut Plans) {
    let Plans {
        units, refusals, ..
    } = plans;
    let unserved: Vec<(QualifiedName, QualifiedName)> = refusals
        .iter()
        .filter_map(|refusal| Some((refusal.table.clone(), refusal.relation.clone()?)))
        .filter(|(_, relation)| context.is_declared(relation))
        .collect();
    units.retain(|unit| {
        let drop = unit.steps.iter().find(|planned| {
            matches!(
                planned.step.action,
                Action::DropIndex | Action::DropParentIndex
            ) && unit.makes.is_none()
                && planned.step.hazards.contains(&Hazard::DropsIndex)
        });
        let Some(Planned { step, .. }) = drop else {
            return true;
        };
        let Some((_, missing)) = unserved.iter().find(|(table, _)| *table == step.table) else {
            return true;
        };
        let name = step
            .index
            .as_ref()
            .map_or(&step.table, |change| &change.name);
        refusals.push(unit.refusal(
            step,
            "successor-refused",
            format!("{name} is kept: {missing}, declared on the same table, is refused"),
            "see what is said of the other index first",
        ));
        false
    });
}

/// Takes out what waits for an index whose build is held back.
fn wait_for_successor(units: &mut [Unit]) {
    loop {
        let made = successors(units);
        let waiting = units.iter_mut().find(|unit| {
            !unit.is_empty()
                && unit
                    .after_index
                    .as_ref()
                    .is_some_and(|index| !made.contains(index))
        });
        match waiting {
            Some(unit) => unit.steps.clear(),
            None => return,
        }
    }
}

/// Refuses builds that would fill the disk, in the order of the steps: an index needs its size, and its sort about
/// as much again while it runs.
fn refuse_without_space(context: &Context<'_>, plans: &mut Plans) {
    let Some(free) = context.catalog().free_bytes else {
        return;
    };
    let Plans {
        units,
        refusals,
        notes,
        ..
    } = plans;
    let mut needed = 0_i64;
    let mut last = None;
    units.retain(|unit| {
        if !unit.at_home {
            return true;
        }
        let builds = || {
            unit.steps
                .iter()
                .map(|planned| &planned.step)
                .filter(|step| step.action == Action::CreateIndex)
                .filter_map(|step| Some((step, step.index.as_ref()?.bytes?)))
        };
        let own: i64 = builds().map(|(_, bytes)| bytes).sum();
        let Some((step, largest)) = builds().max_by_key(|(_, bytes)| *bytes) else {
            return true;
        };
        if needed.saturating_add(own).saturating_add(largest) > free {
            refusals.push(unit.refusal(
                step,
                "disk-space",
                format!(
                    "the build needs about {} MB and its sort as much again for a while; {} MB are free, {} MB of it taken by builds before",
                    own >> 20,
                    free >> 20,
                    needed >> 20
                ),
                "make room, or give it another `tablespace`",
            ));
            return false;
        }
        needed = needed.saturating_add(own);
        last = Some(step.table.clone());
        true
    });
    if let Some(table) = last
        && needed > free / 2
    {
        notes.push(Note {
            code: "disk-space".to_owned(),
            table,
            message: format!(
                "all builds together need about {} MB of the {} MB that are free",
                needed >> 20,
                free >> 20
            ),
        });
    }
}

/// Takes out every step on a table where another session builds an index, and what depends on it: any DDL that
/// queues there can kill that build. Returns the waits that take their place.
fn hold_back(context: &Context<'_>, units: &mut [Unit]) -> Vec<Step> {
    let mut awaited: BTreeMap<i32, Step> = BTreeMap::new();
    for unit in units {
        let mut kept: Vec<Planned> = Vec::new();
        // Where the steps that stay went.
        let mut places: Vec<Option<usize>> = Vec::new();
        let mut held = false;
        for planned in std::mem::take(&mut unit.steps) {
            let busy = busy_tables(context, &planned.step);
            let stuck = planned
                .after
                .is_some_and(|after| places.get(after).copied().flatten().is_none());
            if busy.is_empty() && !stuck && !(planned.needs_all && held) {
                places.push(Some(kept.len()));
                let after = planned
                    .after
                    .and_then(|after| places.get(after).copied().flatten());
                kept.push(Planned { after, ..planned });
                continue;
            }
            held = true;
            places.push(None);
            for table in busy {
                for running in &context.catalog().running {
                    let concerns = context
                        .tree(&running.table)
                        .iter()
                        .any(|below| below.name == table)
                        || running.table == table;
                    if concerns {
                        awaited
                            .entry(running.pid)
                            .or_insert_with(|| steps::await_build(&planned.step, &table, running));
                    }
                }
            }
        }
        unit.steps = kept;
    }
    awaited.into_values().collect()
}

fn busy_tables(context: &Context<'_>, step: &Step) -> Vec<QualifiedName> {
    let mut tables: Vec<QualifiedName> = step
        .locks
        .iter()
        .map(|lock| &lock.relation)
        .chain(step.index.iter().map(|change| &change.table))
        .filter(|relation| context.is_building(relation))
        .cloned()
        .collect();
    tables.sort();
    tables.dedup();
    tables
}
