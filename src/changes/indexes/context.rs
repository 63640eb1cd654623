//! The catalog and the answers by name, so that every rule looks things up the same way.

use std::collections::{BTreeMap, BTreeSet};

use super::{Absent, Declared, IndexInputs, names};
use crate::catalog::index_model::{
    Folded, IndexAnswers, IndexCatalog, IndexedTable, LiveIndex, TableKind,
};
use crate::changes::changeset::{Note, Refusal};
use crate::ident::QualifiedName;
use crate::plan_file::{LockBudget, Origin};
use crate::syntax::{IndexSpec, create_index};

/// Inputs and answers, indexed.
pub(super) struct Context<'a> {
    pub(super) inputs: IndexInputs<'a>,
    pub(super) answers: &'a IndexAnswers,
    tables: BTreeMap<&'a QualifiedName, &'a IndexedTable>,
    indexes: BTreeMap<&'a QualifiedName, Live<'a>>,
    folds: BTreeMap<(&'a QualifiedName, &'a str), &'a Folded>,
    declared: BTreeSet<&'a QualifiedName>,
    absent: BTreeSet<&'a QualifiedName>,
    building: BTreeSet<&'a QualifiedName>,
    /// Names of replacements and of what was replaced, with the index that they belong to.
    interim: BTreeMap<QualifiedName, &'a QualifiedName>,
}

/// A live index with its table and its definition read.
#[derive(Debug, Clone)]
pub(super) struct Live<'a> {
    pub(super) table: &'a IndexedTable,
    pub(super) index: &'a LiveIndex,
    /// `None`: the definition could not be read.
    pub(super) spec: Option<IndexSpec>,
}

impl<'a> Context<'a> {
    pub(super) fn new(inputs: IndexInputs<'a>, answers: &'a IndexAnswers) -> Self {
        let catalog = inputs.catalog;
        let tables: BTreeMap<_, _> = catalog
            .tables
            .iter()
            .map(|table| (&table.name, table))
            .collect();
        let indexes = catalog
            .tables
            .iter()
            .flat_map(|table| table.indexes.iter().map(move |index| (table, index)))
            .map(|(table, index)| {
                let spec = create_index(&index.definition)
                    .ok()
                    .map(|statement| statement.spec);
                (&index.name, Live { table, index, spec })
            })
            .collect();
        let mut context = Self {
            inputs,
            answers,
            tables,
            indexes,
            folds: answers
                .folds
                .iter()
                .map(|fold| ((&fold.table, fold.text.as_str()), &fold.folded))
                .collect(),
            declared: inputs.declared.iter().map(|entry| &entry.name).collect(),
            absent: inputs.absent.iter().map(|entry| &entry.name).collect(),
            building: BTreeSet::new(),
            interim: inputs
                .declared
                .iter()
                .map(|entry| &entry.name)
                .chain(inputs.absent.iter().map(|entry| &entry.name))
                .flat_map(|name| [(names::new_name(name), name), (names::old_name(name), name)])
                .collect(),
        };
        // A build on a partitioned table locks all of its partitions.
        context.building = catalog
            .running
            .iter()
            .flat_map(|running| {
                std::iter::once(&running.table).chain(
                    context
                        .tree(&running.table)
                        .into_iter()
                        .map(|table| &table.name),
                )
            })
            .collect();
        context
    }

    pub(super) fn catalog(&self) -> &'a IndexCatalog {
        self.inputs.catalog
    }

    pub(super) fn version(&self) -> i32 {
        self.inputs.catalog.server.version_num
    }

    pub(super) fn table(&self, name: &QualifiedName) -> Option<&'a IndexedTable> {
        self.tables.get(name).copied()
    }

    /// The index of this name, on whatever table that was read.
    pub(super) fn live(&self, name: &QualifiedName) -> Option<&Live<'a>> {
        self.indexes.get(name)
    }

    /// The indexes of a table, by name.
    pub(super) fn on(&self, table: &IndexedTable) -> impl Iterator<Item = &Live<'a>> {
        table
            .indexes
            .iter()
            .filter_map(|index| self.indexes.get(&index.name))
    }

    /// A table and everything below it, parents first; tables that were not read are left out.
    pub(super) fn tree(&self, name: &QualifiedName) -> Vec<&'a IndexedTable> {
        let mut found: Vec<&'a IndexedTable> = self.table(name).into_iter().collect();
        let mut at = 0;
        while let Some(table) = found.get(at).copied() {
            for partition in &table.partitions {
                if let Some(below) = self.table(partition)
                    && !found.iter().any(|seen| seen.name == below.name)
                {
                    found.push(below);
                }
            }
            at += 1;
        }
        found
    }

    /// How a text folds on a table; `None`: it was not asked for.
    pub(super) fn folded(&self, table: &QualifiedName, text: &str) -> Option<&'a Folded> {
        self.folds.get(&(table, text)).copied()
    }

    pub(super) fn is_declared(&self, name: &QualifiedName) -> bool {
        self.declared.contains(name)
    }

    pub(super) fn is_absent(&self, name: &QualifiedName) -> bool {
        self.absent.contains(name)
    }

    /// Whether a name is kept for the replacement of another index than this one.
    pub(super) fn is_interim_of_other(&self, name: &QualifiedName, of: &QualifiedName) -> bool {
        self.interim.get(name).is_some_and(|owner| *owner != of)
    }

    /// Whether some session builds or rebuilds an index on this table.
    pub(super) fn is_building(&self, table: &QualifiedName) -> bool {
        self.building.contains(table)
    }

    /// What holds a name, in words, where it is not an index of `table`.
    pub(super) fn taken_by(&self, name: &QualifiedName, table: &QualifiedName) -> Option<String> {
        if let Some(live) = self.live(name) {
            return (live.table.name != *table).then(|| format!("an index of {}", live.table.name));
        }
        if let Some(table) = self.table(name) {
            return Some(
                match table.kind {
                    TableKind::Table | TableKind::Partitioned => "a table",
                    TableKind::MaterializedView => "a materialized view",
                    TableKind::Foreign => "a foreign table",
                    TableKind::Other => "another relation",
                }
                .to_owned(),
            );
        }
        let other = self
            .catalog()
            .others
            .iter()
            .find(|other| other.name == *name)?;
        Some(match &other.index_of {
            Some(owner) => format!("an index of {owner}"),
            None => format!("a {}", other.kind),
        })
    }
}

/// What an entry of the plan file, declared or absent, says about how it is served.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// The declared table; of an absent index the table it is found on.
    pub(super) table: &'a QualifiedName,
    pub(super) name: &'a QualifiedName,
    pub(super) budget: LockBudget,
    pub(super) origin: &'a Origin,
}

impl<'a> Entry<'a> {
    pub(super) fn declared(declared: &'a Declared) -> Self {
        Self {
            table: &declared.spec.table,
            name: &declared.name,
            budget: declared.budget,
            origin: &declared.origin,
        }
    }

    pub(super) fn absent(absent: &'a Absent, table: &'a QualifiedName) -> Self {
        Self {
            table,
            name: &absent.name,
            budget: absent.budget,
            origin: &absent.origin,
        }
    }

    pub(super) fn refusal(&self, code: &str, message: String, remedy: Vec<String>) -> Refusal {
        Refusal {
            code: code.to_owned(),
            table: self.table.clone(),
            relation: Some(self.name.clone()),
            message,
            remedy,
            origin: self.origin.clone(),
        }
    }

    pub(super) fn note(&self, code: &str, message: String) -> Note {
        Note {
            code: code.to_owned(),
            table: self.table.clone(),
            message,
        }
    }
}
