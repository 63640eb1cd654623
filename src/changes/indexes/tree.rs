//! A declared index on a partitioned table: the parent's alone, each partition's concurrently, then ATTACH, from
//! the top down; and the repair of what ATTACH cannot take back.
//!
//! CREATE INDEX CONCURRENTLY refuses a partitioned table. An index made ON ONLY it is invalid until every
//! partition's is attached, and gives partitions that are created meanwhile theirs; the server makes a level
//! valid with its last partition, and then the level above.

use std::collections::BTreeSet;

use super::Declared;
use super::alterations::{self, Heirloom};
use super::checks;
use super::compare::{Comparison, Part, compare};
use super::context::{Context, Entry, Live};
use super::drops;
use super::growth::Growth;
use super::guards::{bound, guarded};
use super::names;
use super::online::loses_uniqueness;
use super::preconditions::readable;
use super::steps::About;
use super::tree_steps;
use super::units::{Plans, Turn, Unit};
use crate::catalog::index_model::{IndexedTable, TableKind};
use crate::changes::changeset::{Action, Refusal};
use crate::ident::QualifiedName;

type Planned<T> = Result<T, Box<Refusal>>;

/// Plans one declared index of a partitioned table. An empty unit: it is as declared, at every level.
pub(super) fn unit(
    context: &Context<'_>,
    declared: &Declared,
    table: &IndexedTable,
    plans: &mut Plans,
) -> Planned<Unit> {
    readable(context, declared, table)?;
    let tree = Tree {
        context,
        declared,
        table,
        levels: context.tree(&table.name),
        entry: Entry::declared(declared),
    };
    let mut unit = Unit::new(Turn::First);
    tree.plan(&mut unit, plans)?;
    if unit.has(Action::CreateIndex) || unit.has(Action::ReindexIndex) {
        unit.turn(Turn::Plain);
    }
    Ok(unit)
}

/// What is wrong below a partitioned index, in words.
pub(super) struct Faults {
    /// What building and attaching mends.
    pub(super) mendable: Vec<String>,
    /// What only a new tree mends.
    pub(super) hopeless: Vec<String>,
}

/// Looks at every level below a partitioned index.
pub(super) fn faults(context: &Context<'_>, declared: &Declared, top: &Live<'_>) -> Faults {
    let mut faults = Faults {
        mendable: Vec::new(),
        hopeless: Vec::new(),
    };
    level_faults(context, declared, top, &mut faults);
    faults
}

fn level_faults(context: &Context<'_>, declared: &Declared, level: &Live<'_>, faults: &mut Faults) {
    // The server repeats the check of a level when ATTACH is repeated, from 14 on.
    let rechecks = context.version() >= 140_000;
    let (mut missing, mut foreign, mut broken) = (0, 0, false);
    for name in &level.table.partitions {
        let Some(partition) = context.table(name) else {
            continue;
        };
        if partition.kind == TableKind::Foreign {
            foreign += 1;
            continue;
        }
        let Some(child) = attached(context, partition, &level.index.name) else {
            missing += 1;
            continue;
        };
        let part = if child.index.partitioned {
            Part::Parent
        } else {
            Part::Partition
        };
        let comparison = compare(context, declared, child, part);
        if !comparison.rebuild.is_empty() {
            faults.hopeless.push(format!(
                "{} is attached and differs: {}",
                child.index.name,
                comparison.rebuild.join("; ")
            ));
        }
        if child.index.partitioned {
            broken |= !child.index.valid;
            level_faults(context, declared, child, faults);
        } else if !child.index.valid {
            broken = true;
            let words = format!("{} is attached and invalid", child.index.name);
            if rechecks {
                faults.mendable.push(words);
            } else {
                faults.hopeless.push(words);
            }
        }
    }
    let all = level.table.partitions.len();
    if missing > 0 {
        let words = format!(
            "{missing} of {all} partitions of {} have no index of it",
            level.table.name
        );
        // With a foreign partition ATTACH never makes the level valid.
        if foreign > 0 {
            faults.hopeless.push(words);
        } else {
            faults.mendable.push(words);
        }
    } else if !level.index.valid && !broken {
        let words = format!(
            "{} is invalid although all partitions have theirs",
            level.index.name
        );
        if rechecks && foreign == 0 && all > 0 {
            faults.mendable.push(words);
        } else {
            faults.hopeless.push(words);
        }
    }
}

/// The index of a partition that is attached to a level.
pub(super) fn attached<'c, 'a>(
    context: &'c Context<'a>,
    partition: &IndexedTable,
    level: &QualifiedName,
) -> Option<&'c Live<'a>> {
    context
        .on(partition)
        .find(|live| live.index.parent.as_ref() == Some(level))
}

struct Tree<'a, 'c> {
    context: &'c Context<'a>,
    declared: &'c Declared,
    table: &'c IndexedTable,
    levels: Vec<&'a IndexedTable>,
    entry: Entry<'c>,
}

impl<'a, 'c> Tree<'a, 'c> {
    fn plan(&self, unit: &mut Unit, plans: &mut Plans) -> Planned<()> {
        match self.context.live(&self.declared.name) {
            None => self.missing(unit, plans)?,
            Some(live) => self.present(live, unit, plans)?,
        }
        self.leftovers(unit, plans)?;
        Ok(())
    }

    fn missing(&self, unit: &mut Unit, plans: &mut Plans) -> Planned<()> {
        if let Some(live) = self.equivalent(plans) {
            plans.taken.insert(live.index.name.clone());
            let owner = match (&live.index.constraint, &live.index.parent) {
                (Some(constraint), _) => Some(format!("the constraint {}", constraint.name)),
                (None, Some(parent)) => Some(format!("the partitioned index {parent}")),
                (None, None) => None,
            };
            match owner {
                Some(owner) => plans.notes.push(self.entry.note(
                    "adopted",
                    format!(
                        "{} of {owner} is what is declared as {}: nothing is built",
                        live.index.name, self.declared.name
                    ),
                )),
                None => {
                    self.constraint_possible()?;
                    let renamed = unit.then(alterations::rename(
                        &self.entry,
                        About::live(self.table, live.index),
                        &self.declared.name,
                    ));
                    let comparison = compare(self.context, self.declared, live, Part::Parent);
                    self.alter(&comparison, Some(renamed), unit);
                }
            }
            return Ok(());
        }
        self.constraint_possible()?;
        // A half-built replacement serves nobody without what it was to replace.
        self.drop_own(&names::new_name(&self.declared.name), unit, plans)?;
        let made = self.grow(&self.declared.name, None, unit, plans)?;
        self.alter(
            &Comparison {
                comment: self
                    .declared
                    .comment
                    .clone()
                    .filter(|text| !text.is_empty()),
                ..Comparison::default()
            },
            made,
            unit,
        );
        Ok(())
    }

    fn grow(
        &self,
        name: &QualifiedName,
        live: Option<&Live<'a>>,
        unit: &mut Unit,
        plans: &mut Plans,
    ) -> Planned<Option<usize>> {
        Growth::new(self.context, self.declared, &self.levels, name).top(name, live, unit, plans)
    }

    fn alter(&self, comparison: &Comparison, after: Option<usize>, unit: &mut Unit) {
        if comparison.alters() || comparison.tablespace.is_some() {
            let about = About::new(&self.declared.name, &self.table.name);
            let step = alterations::alter(
                &self.entry,
                about,
                comparison,
                comparison.tablespace.as_deref(),
            );
            unit.add(step, after);
        }
    }

    /// A whole tree under a name that nobody declared.
    fn equivalent(&self, plans: &Plans) -> Option<&'c Live<'a>> {
        self.context.on(self.table).find(|live| {
            let index = live.index;
            let faults = faults(self.context, self.declared, live);
            index.valid
                && index.immediate
                && !index.of_extension
                && !self.context.is_declared(&index.name)
                && !plans.taken.contains(&index.name)
                && !self
                    .context
                    .is_interim_of_other(&index.name, &self.declared.name)
                && compare(self.context, self.declared, live, Part::Parent).is_equivalent()
                && faults.mendable.is_empty()
                && faults.hopeless.is_empty()
        })
    }

    fn present(&self, live: &Live<'a>, unit: &mut Unit, plans: &mut Plans) -> Planned<()> {
        let comparison = compare(self.context, self.declared, live, Part::Parent);
        let faults = faults(self.context, self.declared, live);
        if !comparison.rebuild.is_empty() || !faults.hopeless.is_empty() {
            let mut why = comparison.rebuild.clone();
            why.extend(faults.hopeless);
            return self.replace(live, &comparison, why, unit, plans);
        }
        if let Some(why) = &comparison.unverified {
            plans.notes.push(self.entry.note(
                "unverified",
                format!("{} is taken to be as declared: {why}", self.declared.name),
            ));
        }
        if live.index.constraint.is_none() {
            self.constraint_possible()?;
        }
        self.alter(&comparison, None, unit);
        self.grow(&live.index.name, Some(live), unit, plans)?;
        Ok(())
    }

    /// A new tree under another name, then the swap, then the drop of the old one: what is attached cannot be
    /// detached, and a partition's index belongs to one tree only.
    fn replace(
        &self,
        live: &Live<'a>,
        comparison: &Comparison,
        why: Vec<String>,
        unit: &mut Unit,
        plans: &mut Plans,
    ) -> Planned<()> {
        let index = live.index;
        if index.constraint.is_some() || index.parent.is_some() {
            let comparison = Comparison {
                rebuild: why,
                ..comparison.clone()
            };
            return Err(bound(self.declared, live, &comparison));
        }
        for level in std::iter::once(live).chain(drops::below(self.context, live)) {
            if let Some(refusal) = guarded(self.declared, level) {
                return Err(refusal);
            }
        }
        let below = drops::below(self.context, live);
        let first = drops::guard_replaced(self.context, self.declared, live, &below, plans)?;
        if let Some(first) = first {
            unit.turn(Turn::Drops);
            unit.once_built(first);
        }
        self.constraint_possible()?;
        let built = names::new_name(&self.declared.name);
        let old = names::old_name(&self.declared.name);
        for name in [&built, &old] {
            if self.own(name).is_none()
                && (self.context.live(name).is_some()
                    || self.context.taken_by(name, &self.table.name).is_some())
            {
                return Err(Box::new(self.entry.refusal(
                    "name-taken",
                    format!(
                        "{name}, which the replacement of {} needs for a while, is taken",
                        index.name
                    ),
                    vec!["rename what holds it".to_owned()],
                )));
            }
        }
        self.drop_own(&old, unit, plans)?;
        let leftover = self.own(&built).filter(|live| {
            compare(self.context, self.declared, live, Part::Parent).is_equivalent()
                && faults(self.context, self.declared, live)
                    .hopeless
                    .is_empty()
        });
        if leftover.is_none() {
            self.drop_own(&built, unit, plans)?;
        }
        plans.notes.push(self.entry.note(
            "tree-replaced",
            format!(
                "{} is built anew with all of its partitions' indexes under the name {built}, then takes its place: {}",
                index.name,
                why.join("; ")
            ),
        ));
        self.grow(&built, leftover, unit, plans)?;
        let heirloom = Heirloom {
            comment: self
                .declared
                .comment
                .clone()
                .or_else(|| index.comment.clone())
                .filter(|text| !text.is_empty()),
            ..Heirloom::default()
        };
        unit.at_the_end(alterations::swap(
            self.declared,
            live,
            &built,
            &old,
            &heirloom,
        ));
        let about = About::new(&old, &self.table.name);
        self.drop_tree(about, unit, plans);
        if loses_uniqueness(self.declared, live) {
            unit.endangers(&self.declared.allow);
        }
        Ok(())
    }

    /// A tree that only dbops itself can have left under this name.
    fn own(&self, name: &QualifiedName) -> Option<&'c Live<'a>> {
        self.context.live(name).filter(|live| {
            live.table.name == self.table.name
                && live.index.constraint.is_none()
                && live.index.parent.is_none()
                && !self.context.is_declared(name)
                && !self.context.is_absent(name)
                && (alterations::of_own_making(live)
                    || (*name == names::new_name(&self.declared.name)
                        && compare(self.context, self.declared, live, Part::Parent)
                            .is_equivalent()))
        })
    }

    fn drop_own(&self, name: &QualifiedName, unit: &mut Unit, plans: &mut Plans) -> Planned<()> {
        if let Some(live) = self.own(name) {
            drops::guard_leftover(&self.entry, live)?;
            for child in drops::below(self.context, live) {
                drops::guard_leftover(&self.entry, child)?;
            }
            self.drop_tree(About::live(self.table, live.index), unit, plans);
        }
        Ok(())
    }

    fn drop_tree(&self, about: About<'_>, unit: &mut Unit, plans: &mut Plans) {
        plans.notes.push(tree_steps::lock_note(
            self.context,
            &self.entry,
            about.name,
            &self.levels,
        ));
        unit.then(tree_steps::drop_parent(
            &self.entry,
            about,
            &self.levels,
            format!(
                "drop {} and the indexes of its partitions, which a replacement left behind",
                about.name
            ),
        ));
    }

    fn constraint_possible(&self) -> Planned<()> {
        match self.declared.constraint {
            None => Ok(()),
            Some(kind) => checks::constraint(self.context, self.declared, self.table, kind),
        }
    }

    /// Drops what an interrupted replacement left where none is under way.
    fn leftovers(&self, unit: &mut Unit, plans: &mut Plans) -> Planned<()> {
        if unit.has(Action::SwapIndexes) {
            return Ok(());
        }
        let built = names::new_name(&self.declared.name);
        for name in [built.clone(), names::old_name(&self.declared.name)] {
            let done = plans.taken.contains(&name) || unit.drops(&name);
            if !done {
                self.drop_own(&name, unit, plans)?;
            }
        }
        let mut seen = BTreeSet::new();
        for partition in self.levels.iter().skip(1) {
            let name = names::partition_index(&partition.name, &built.name, 0);
            let own = self.context.live(&name).filter(|live| {
                live.table.name == partition.name
                    && live.index.parent.is_none()
                    && live.index.constraint.is_none()
                    && !self.context.is_declared(&name)
                    && !self.context.is_absent(&name)
                    && !plans.taken.contains(&name)
            });
            if let Some(live) = own
                && seen.insert(name.clone())
            {
                drops::guard_leftover(&self.entry, live)?;
                let about = About::live(live.table, live.index);
                let words = format!("drop {name}, which an interrupted run left behind");
                unit.then(if live.index.partitioned {
                    let below = self.context.tree(&partition.name);
                    tree_steps::drop_parent(&self.entry, about, &below, words)
                } else {
                    super::steps::drop(&self.entry, about, words)
                });
            }
        }
        Ok(())
    }
}
