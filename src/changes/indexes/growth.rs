//! Growing a tree of indexes to its partitions: what is there is used, what is missing is built, and all of it
//! attached.

use super::Declared;
use super::alterations;
use super::compare::{Comparison, Part, compare};
use super::context::{Context, Entry, Live};
use super::names;
use super::preconditions::unique;
use super::steps::{self, About};
use super::tree::attached;
use super::tree_steps;
use super::units::{Plans, Unit};
use crate::catalog::index_model::{IndexedTable, TableKind};
use crate::changes::changeset::Refusal;
use crate::ident::QualifiedName;

type Planned<T> = Result<T, Box<Refusal>>;

/// How many names of a partition's index are tried.
const NAMES_TRIED: usize = 100;

/// One tree that is being grown.
pub(super) struct Growth<'a, 'c> {
    context: &'c Context<'a>,
    declared: &'c Declared,
    tables: &'c [&'a IndexedTable],
    entry: Entry<'c>,
    /// Name of the top index, from which the names of all levels derive, so that they do not grow on the way.
    base: String,
}

/// A level whose partitions are looked at.
struct Level<'l, 'a> {
    table: &'l IndexedTable,
    name: &'l QualifiedName,
    /// The index, where it is there.
    live: Option<&'l Live<'a>>,
    /// The step that creates it, where it is not.
    made: Option<usize>,
}

impl<'a, 'c> Growth<'a, 'c> {
    pub(super) fn new(
        context: &'c Context<'a>,
        declared: &'c Declared,
        tables: &'c [&'a IndexedTable],
        top: &QualifiedName,
    ) -> Self {
        Self {
            context,
            declared,
            tables,
            entry: Entry::declared(declared),
            base: top.name.clone(),
        }
    }

    /// Grows the tree of the index called `name`; `live` is that index where it is there already. Returns the
    /// step that creates it.
    pub(super) fn top(
        &self,
        name: &QualifiedName,
        live: Option<&Live<'a>>,
        unit: &mut Unit,
        plans: &mut Plans,
    ) -> Planned<Option<usize>> {
        let Some(top) = self.tables.first() else {
            return Ok(None);
        };
        let foreign = self
            .tables
            .iter()
            .any(|table| table.kind == TableKind::Foreign);
        if foreign && live.is_none() {
            return self.over_foreign(name, unit, plans).map(Some);
        }
        let made = match live {
            Some(_) => None,
            None => Some(unit.then(tree_steps::create_parent(self.declared, top, name))),
        };
        self.level(
            &Level {
                table: top,
                name,
                live,
                made,
            },
            unit,
            plans,
        )?;
        Ok(made)
    }

    fn level(&self, level: &Level<'_, 'a>, unit: &mut Unit, plans: &mut Plans) -> Planned<()> {
        let before = unit.len();
        let mut any = None;
        for name in &level.table.partitions {
            let Some(partition) = self.context.table(name) else {
                continue;
            };
            if partition.kind == TableKind::Foreign {
                continue;
            }
            let child = level
                .live
                .and_then(|live| attached(self.context, partition, &live.index.name));
            match child {
                Some(child) => {
                    any = any.or(Some(child));
                    self.attached(level, partition, child, unit, plans)?;
                }
                None => self.unattached(level, partition, unit, plans)?,
            }
        }
        // All are there and valid, and still the level is not: a repeated ATTACH makes the server look again.
        if let (Some(live), Some(child)) = (level.live, any)
            && !live.index.valid
            && unit.len() == before
        {
            unit.add(
                self.attach(
                    level,
                    About::live(child.table, child.index),
                    child.table.kind,
                ),
                None,
            );
        }
        Ok(())
    }

    fn attach(
        &self,
        level: &Level<'_, 'a>,
        child: About<'_>,
        kind: TableKind,
    ) -> crate::changes::changeset::Step {
        let parent = About::new(level.name, &level.table.name);
        tree_steps::attach(self.declared, parent, child, kind)
    }

    fn attached(
        &self,
        level: &Level<'_, 'a>,
        partition: &'a IndexedTable,
        child: &Live<'a>,
        unit: &mut Unit,
        plans: &mut Plans,
    ) -> Planned<()> {
        let about = About::live(partition, child.index);
        if child.index.partitioned {
            return self.level(
                &Level {
                    table: partition,
                    name: &child.index.name,
                    live: Some(child),
                    made: None,
                },
                unit,
                plans,
            );
        }
        let comparison = compare(self.context, self.declared, child, Part::Partition);
        if !child.index.valid {
            let mended = unit.add(
                steps::reindex(
                    self.declared,
                    about,
                    self.movable(&comparison),
                    format!("rebuild {}, which is invalid", child.index.name),
                ),
                None,
            );
            unit.add(self.attach(level, about, partition.kind), Some(mended));
        } else {
            self.relocate(about, &comparison, unit, plans);
        }
        self.alter(about, &comparison, None, unit);
        Ok(())
    }

    fn relocate(
        &self,
        about: About<'_>,
        comparison: &Comparison,
        unit: &mut Unit,
        plans: &mut Plans,
    ) {
        if let Some(tablespace) = self.movable(comparison) {
            unit.add(
                steps::reindex(
                    self.declared,
                    about,
                    Some(tablespace),
                    format!("move {} to tablespace {tablespace}", about.name),
                ),
                None,
            );
        } else if let Some(tablespace) = &comparison.tablespace {
            plans.notes.push(self.entry.note(
                "tablespace-not-moved",
                format!(
                    "{} stays where it is, not in tablespace {tablespace}: PostgreSQL 13 cannot move a partition's index without stopping everybody",
                    about.name
                ),
            ));
        }
    }

    fn movable<'s>(&self, comparison: &'s Comparison) -> Option<&'s str> {
        comparison
            .tablespace
            .as_deref()
            .filter(|_| self.context.version() >= 140_000)
    }

    fn alter(
        &self,
        about: About<'_>,
        comparison: &Comparison,
        after: Option<usize>,
        unit: &mut Unit,
    ) {
        if comparison.alters() {
            unit.add(
                alterations::alter(&self.entry, about, comparison, None),
                after,
            );
        }
    }

    fn unattached(
        &self,
        level: &Level<'_, 'a>,
        partition: &'a IndexedTable,
        unit: &mut Unit,
        plans: &mut Plans,
    ) -> Planned<()> {
        if let Some(found) = self.usable(partition, plans) {
            plans.taken.insert(found.index.name.clone());
            let about = About::live(partition, found.index);
            if !found.index.partitioned {
                let comparison = compare(self.context, self.declared, found, Part::Partition);
                self.alter(about, &comparison, None, unit);
                self.relocate(about, &comparison, unit, plans);
            }
            unit.add(self.attach(level, about, partition.kind), level.made);
            if found.index.partitioned {
                return self.level(
                    &Level {
                        table: partition,
                        name: &found.index.name,
                        live: Some(found),
                        made: None,
                    },
                    unit,
                    plans,
                );
            }
            return Ok(());
        }
        if partition.kind == TableKind::Partitioned {
            let (name, _) = self.free_name(partition, plans)?;
            let made = unit.add(
                tree_steps::create_parent(self.declared, partition, &name),
                level.made,
            );
            let about = About::new(&name, &partition.name);
            // While both are empty of partitions nothing waits for it, and partitions that come later find it.
            unit.add(self.attach(level, about, partition.kind), Some(made));
            return self.level(
                &Level {
                    table: partition,
                    name: &name,
                    live: None,
                    made: Some(made),
                },
                unit,
                plans,
            );
        }
        let (name, built) = self.build(partition, level.made, unit, plans)?;
        let about = About::new(&name, &partition.name);
        unit.add(self.attach(level, about, partition.kind), Some(built));
        self.analyze(partition, &name, built, unit);
        Ok(())
    }

    /// Builds a partition's index; returns its name and the step that completes it.
    fn build(
        &self,
        partition: &IndexedTable,
        after: Option<usize>,
        unit: &mut Unit,
        plans: &mut Plans,
    ) -> Planned<(QualifiedName, usize)> {
        let (name, dead) = self.free_name(partition, plans)?;
        unique(self.context, self.declared, partition, &name, plans)?;
        let dropped = dead.map(|dead| {
            unit.add(
                steps::drop(
                    &self.entry,
                    About::live(partition, dead.index),
                    format!("drop {name}, which an interrupted build left invalid"),
                ),
                after,
            )
        });
        let built = unit.add(
            steps::create(
                self.context,
                self.declared,
                partition,
                &name,
                format!("build {name} on {}", partition.name),
            ),
            dropped.or(after),
        );
        let statistics = Comparison {
            statistics: self
                .declared
                .statistics
                .iter()
                .map(|(key, target)| (*key, *target))
                .collect(),
            ..Comparison::default()
        };
        let about = About::new(&name, &partition.name);
        self.alter(about, &statistics, Some(built), unit);
        Ok((name, built))
    }

    fn analyze(
        &self,
        partition: &IndexedTable,
        name: &QualifiedName,
        built: usize,
        unit: &mut Unit,
    ) {
        if steps::has_expression(&self.declared.spec) {
            unit.add(steps::analyze(self.declared, partition, name), Some(built));
        }
    }

    /// An index of the partition that is what is declared and belongs to no tree, whatever its name.
    fn usable(&self, partition: &IndexedTable, plans: &Plans) -> Option<&'c Live<'a>> {
        self.context.on(partition).find(|live| {
            let index = live.index;
            let part = if index.partitioned {
                Part::Parent
            } else {
                Part::Partition
            };
            index.parent.is_none()
                && index.live
                && index.immediate
                && !index.of_extension
                && (index.valid || index.partitioned)
                && (index.constraint.is_none() || self.declared.spec.unique)
                && !self.context.is_absent(&index.name)
                && !self
                    .context
                    .is_interim_of_other(&index.name, &self.declared.name)
                && !plans.taken.contains(&index.name)
                && compare(self.context, self.declared, live, part).is_equivalent()
                && (!index.partitioned || {
                    let faults = super::tree::faults(self.context, self.declared, live);
                    faults.hopeless.is_empty()
                })
        })
    }

    /// The first name of the partition's index that is free, or held by an invalid index that only dbops can have
    /// left there.
    fn free_name(
        &self,
        partition: &IndexedTable,
        plans: &mut Plans,
    ) -> Planned<(QualifiedName, Option<&'c Live<'a>>)> {
        for attempt in 0..NAMES_TRIED {
            let name = names::partition_index(&partition.name, &self.base, attempt);
            if self.context.is_declared(&name)
                || self.context.is_absent(&name)
                || self.context.taken_by(&name, &partition.name).is_some()
                || !plans.named.insert(name.clone())
            {
                continue;
            }
            match self.context.live(&name) {
                None => return Ok((name, None)),
                Some(live)
                    if !live.index.valid
                        && !live.index.partitioned
                        && live.index.parent.is_none()
                        && live.index.constraint.is_none() =>
                {
                    return Ok((name, Some(live)));
                }
                Some(_) => {}
            }
        }
        Err(Box::new(self.entry.refusal(
            "name-taken",
            format!(
                "every name that the index of {} could have is taken",
                partition.name
            ),
            vec!["rename or drop some of them".to_owned()],
        )))
    }

    /// A foreign partition has no index, so that ATTACH never makes its parent's valid: the partitions' indexes
    /// come first, and CREATE INDEX on the parent then takes them over.
    fn over_foreign(
        &self,
        name: &QualifiedName,
        unit: &mut Unit,
        plans: &mut Plans,
    ) -> Planned<usize> {
        let mut ready = Vec::new();
        let leaves = self
            .tables
            .iter()
            .filter(|table| matches!(table.kind, TableKind::Table | TableKind::MaterializedView));
        for leaf in leaves {
            if let Some(twin) = self.twin(leaf) {
                return Err(Box::new(self.entry.refusal(
                    "foreign-partition-twin",
                    format!(
                        "{} of {} differs from {name} in order or parameters only, and CREATE INDEX on {} could take either",
                        twin.index.name, leaf.name, self.declared.spec.table
                    ),
                    vec![format!(
                        "drop {} first: name it under `absent`",
                        twin.index.name
                    )],
                )));
            }
            match self.usable(leaf, plans) {
                Some(found) => {
                    plans.taken.insert(found.index.name.clone());
                    ready.push(found.index.name.clone());
                }
                None => {
                    let (name, built) = self.build(leaf, None, unit, plans)?;
                    self.analyze(leaf, &name, built, unit);
                    ready.push(name);
                }
            }
        }
        Ok(unit.at_the_end(tree_steps::create_over(
            self.declared,
            self.tables,
            name,
            &ready,
        )))
    }

    /// An unattached index that the server takes for the declared one although its order differs.
    fn twin(&self, leaf: &IndexedTable) -> Option<&'c Live<'a>> {
        self.context.on(leaf).find(|live| {
            let comparison = compare(self.context, self.declared, live, Part::Partition);
            live.index.parent.is_none()
                && live.index.valid
                && !comparison.rebuild.is_empty()
                && comparison
                    .rebuild
                    .iter()
                    .all(|difference| difference.contains(" is sorted "))
        })
    }
}
