//! A SQL file's statements, followed in order to what is there at its end.

use std::collections::BTreeMap;

use super::{Import, Imported, Note, Wanted};
use crate::ident::QualifiedName;
use crate::plan_file::{IndexConstraint, IndexPlan};
use crate::syntax::{
    Action, Constraint, CreateIndex, Ending, IndexSpec, ObjectName, Script, Statement, chosen_name,
};

/// Returns the plan entries that a SQL file amounts to.
pub fn from_script(script: &Script, wanted: Wanted) -> Import {
    let mut state = State {
        wanted,
        ..State::default()
    };
    state.import.faults.extend(
        script
            .faults
            .iter()
            .map(|fault| Note::at(fault.start, fault.message.as_str())),
    );
    for statement in &script.statements {
        state.follow(statement);
    }
    state.finish()
}

/// An index as the file has made it so far.
struct Made {
    name: QualifiedName,
    spec: IndexSpec,
    comments: Vec<String>,
    comment: Option<String>,
    statistics: BTreeMap<i16, i16>,
    constraint: Option<IndexConstraint>,
    /// Whether it is that of a constraint which is not asked for.
    unwanted: bool,
    /// Whether it is attached to the index of a partitioned table, which brings it.
    attached: bool,
}

#[derive(Default)]
struct State {
    wanted: Wanted,
    schema: Option<String>,
    tablespace: Option<String>,
    made: Vec<Made>,
    dropped: Vec<QualifiedName>,
    inline: usize,
    import: Import,
}

impl State {
    fn follow(&mut self, statement: &Statement) {
        let start = statement.start;
        match &statement.action {
            Action::Create(found) => self.create(found, statement),
            Action::Comment(name, text) => {
                let text = text.clone();
                self.change(start, name, |made| made.comment = text);
            }
            Action::Statistics(name, position, target) => {
                let (position, target) = (*position, *target);
                self.change(start, name, |made| {
                    made.statistics.insert(position, target);
                });
            }
            Action::Attach(name) => self.change(start, name, |made| made.attached = true),
            Action::Rename(name, to) => {
                let to = to.clone();
                self.change(start, name, |made| made.rename(&to));
            }
            Action::Tablespace(name, to) => {
                let to = to.clone();
                self.change(start, name, |made| made.spec.tablespace = Some(to));
            }
            Action::Constraint(constraint) => self.constraint(start, constraint),
            Action::UsingIndex {
                table,
                name,
                index,
                primary,
            } => {
                let schema = self.schema_of(table);
                let index = ObjectName {
                    schema: Some(schema),
                    name: index.clone(),
                };
                let wanted = self.wanted.constraints;
                self.change(start, &index, |made| {
                    if let Some(name) = name {
                        made.rename(name);
                    }
                    made.constraint = wanted.then_some(kind(*primary));
                });
            }
            Action::Drop(names) => {
                for name in names {
                    let name = self.qualified(name);
                    self.made.retain(|made| made.name != name);
                    self.dropped.retain(|dropped| *dropped != name);
                    self.dropped.push(name);
                }
            }
            Action::SearchPath(schema) => self.schema.clone_from(schema),
            Action::DefaultTablespace(name) => self.tablespace.clone_from(name),
            Action::Connect if self.made.is_empty() => {}
            Action::Connect => self.note(
                start,
                "another database begins here; import the indexes of each into a file of its own",
            ),
            Action::Unsaid(message) => self.note(start, message),
            Action::Inline(count) => self.inline += count,
        }
    }

    fn create(&mut self, found: &CreateIndex, statement: &Statement) {
        let start = statement.start;
        let mut spec = found.spec.clone();
        self.place(&mut spec, found.table_without_schema);
        if let Some(schema) = &found.name_schema
            && *schema != spec.table.schema
        {
            self.fault(
                start,
                format!(
                    "the index is named in schema `{schema}`, and its table is in `{}`",
                    spec.table.schema
                ),
            );
            return;
        }
        let name = match &spec.name {
            Some(name) => name.clone(),
            None => {
                let name = self.chosen(&spec, Ending::Index);
                self.note(
                    start,
                    format!("this index has no name; `{name}` is what PostgreSQL would choose"),
                );
                name
            }
        };
        let name = QualifiedName::new(spec.table.schema.as_str(), name);
        if self.made.iter().any(|made| made.name == name) {
            if found.if_not_exists {
                self.note(
                    start,
                    format!("the index `{name}` is there already; this one would never be built"),
                );
            } else {
                self.fault(start, format!("the index `{name}` is created twice"));
            }
            return;
        }
        self.add(name, spec, statement.comments.clone(), None);
    }

    fn constraint(&mut self, start: usize, constraint: &Constraint) {
        let Some(found) = &constraint.index else {
            if self.wanted.constraints {
                self.note(
                    start,
                    "a deferrable or temporal constraint is left out: no index alone can say it",
                );
            }
            return;
        };
        let mut spec = found.spec.clone();
        self.place(&mut spec, constraint.table.schema.is_none());
        let name = constraint.name.clone().unwrap_or_else(|| {
            let ending = if constraint.primary {
                Ending::Primary
            } else {
                Ending::Unique
            };
            self.chosen(&spec, ending)
        });
        let name = QualifiedName::new(spec.table.schema.as_str(), name);
        self.add(name, spec, Vec::new(), Some(kind(constraint.primary)));
    }

    /// Fills in what the session's settings decide.
    fn place(&self, spec: &mut IndexSpec, without_schema: bool) {
        if without_schema && let Some(schema) = &self.schema {
            spec.table.schema.clone_from(schema);
        }
        if spec.tablespace.is_none() {
            spec.tablespace.clone_from(&self.tablespace);
        }
    }

    fn add(
        &mut self,
        name: QualifiedName,
        mut spec: IndexSpec,
        comments: Vec<String>,
        constraint: Option<IndexConstraint>,
    ) {
        spec.name = Some(name.name.clone());
        self.dropped.retain(|dropped| *dropped != name);
        self.made.push(Made {
            name,
            spec,
            comments,
            comment: None,
            statistics: BTreeMap::new(),
            unwanted: constraint.is_some() && !self.wanted.constraints,
            constraint,
            attached: false,
        });
    }

    fn chosen(&self, spec: &IndexSpec, ending: Ending) -> String {
        let schema = &spec.table.schema;
        chosen_name(spec, ending, |name| {
            self.made
                .iter()
                .any(|made| made.name.schema == *schema && made.name.name == name)
        })
    }

    fn schema_of(&self, name: &ObjectName) -> String {
        name.schema
            .clone()
            .or_else(|| self.schema.clone())
            .unwrap_or_else(|| "public".to_owned())
    }

    fn qualified(&self, name: &ObjectName) -> QualifiedName {
        QualifiedName::new(self.schema_of(name), name.name.as_str())
    }

    /// Changes an index that the file has made.
    fn change(&mut self, start: usize, name: &ObjectName, change: impl FnOnce(&mut Made)) {
        let wanted = self.qualified(name);
        match self.made.iter_mut().find(|made| made.name == wanted) {
            Some(made) => change(made),
            // The index of a constraint within CREATE TABLE is not known by its name.
            None if self.inline > 0 => {}
            None => self.note(
                start,
                format!("the index `{wanted}` is changed here and created nowhere in this file"),
            ),
        }
    }

    fn note(&mut self, start: usize, message: impl Into<String>) {
        self.import.notes.push(Note::at(start, message));
    }

    fn fault(&mut self, start: usize, message: impl Into<String>) {
        self.import.faults.push(Note::at(start, message));
    }

    fn finish(mut self) -> Import {
        let attached = self.made.iter().filter(|made| made.attached).count();
        let unwanted = self
            .made
            .iter()
            .filter(|made| made.unwanted && !made.attached)
            .count();
        for (count, what, why) in [
            (
                attached,
                "of a partition",
                "partitions get theirs from the partitioned table's index",
            ),
            (unwanted, "of a constraint", "see --constraints"),
            (
                self.inline,
                "of a constraint within CREATE TABLE",
                "it comes with the table",
            ),
            (
                if self.wanted.absent {
                    0
                } else {
                    self.dropped.len()
                },
                "dropped by the file",
                "see --absent",
            ),
        ] {
            if count > 0 {
                self.import
                    .notes
                    .push(Note::general(left_out(count, what, why)));
            }
        }
        if self.wanted.absent {
            self.import.absent = self.dropped;
        }
        self.import.indexes = self
            .made
            .into_iter()
            .filter(|made| !made.attached && !made.unwanted)
            .map(Made::imported)
            .collect();
        self.import.faults.sort_by_key(|fault| fault.start);
        self.import
    }
}

impl Made {
    fn rename(&mut self, to: &str) {
        to.clone_into(&mut self.name.name);
        self.spec.name = Some(to.to_owned());
    }

    fn imported(self) -> Imported {
        let mut plan = IndexPlan::of(&self.spec);
        plan.comment = self.comment;
        plan.constraint = self.constraint;
        plan.set_statistics(&self.statistics);
        Imported {
            plan,
            comments: self.comments,
        }
    }
}

fn kind(primary: bool) -> IndexConstraint {
    if primary {
        IndexConstraint::Primary
    } else {
        IndexConstraint::Unique
    }
}

/// `3 indexes of a partition are left out: …`.
pub(super) fn left_out(count: usize, what: &str, why: &str) -> String {
    if count == 1 {
        format!("1 index {what} is left out: {why}")
    } else {
        format!("{count} indexes {what} are left out: {why}")
    }
}
