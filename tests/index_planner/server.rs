//! A server of the mind: runs the steps' own SQL on the catalog, as far as they use it; a text folds to itself.

use std::collections::BTreeSet;

use chrono::DateTime;
use dbops::catalog::index_model::*;
use dbops::changes::changeset::{Action, Step};
use dbops::changes::indexes::{IndexInputs, compare_questions, plan};
use dbops::changes::inputs::Draft;
use dbops::ident::QualifiedName;
use dbops::syntax::{Build, create_index};

use super::cases::*;

impl Case {
    pub(super) fn inputs(&self) -> IndexInputs<'_> {
        IndexInputs {
            declared: &self.declared,
            absent: &self.absent,
            catalog: &self.catalog,
            now: DateTime::UNIX_EPOCH,
        }
    }

    pub(super) fn answers(&self) -> IndexAnswers {
        let folds = compare_questions(self.inputs())
            .folds
            .into_iter()
            .flat_map(|question| {
                question.texts.into_iter().map(move |text| Fold {
                    table: question.table.clone(),
                    folded: Folded::Text(text.replace(['(', ')', ' '], "")),
                    text,
                })
            })
            .collect();
        IndexAnswers {
            folds,
            statements_seen: true,
            ..IndexAnswers::default()
        }
    }

    pub(super) fn plan(&self) -> Draft {
        plan(self.inputs(), &self.answers())
    }

    pub(super) fn find(&self, index: &QualifiedName) -> Option<&LiveIndex> {
        self.catalog
            .tables
            .iter()
            .flat_map(|table| &table.indexes)
            .find(|found| found.name == *index)
    }

    pub(super) fn find_mut(&mut self, index: &QualifiedName) -> &mut LiveIndex {
        self.catalog
            .tables
            .iter_mut()
            .flat_map(|table| &mut table.indexes)
            .find(|found| found.name == *index)
            .unwrap_or_else(|| panic!("no index {index}"))
    }

    pub(super) fn table_of(&self, index: &QualifiedName) -> &IndexedTable {
        self.catalog
            .tables
            .iter()
            .find(|table| table.indexes.iter().any(|found| found.name == *index))
            .unwrap_or_else(|| panic!("no index {index}"))
    }

    /// Makes partitioned indexes valid whose partitions all are, from below, as the server does.
    pub(super) fn settle(&mut self) {
        for level in ["p2", "p"] {
            let indexes: Vec<QualifiedName> = self
                .catalog
                .tables
                .iter()
                .find(|table| table.name == name(level))
                .unwrap()
                .indexes
                .iter()
                .map(|index| index.name.clone())
                .collect();
            for index in indexes {
                self.validate(&index);
            }
        }
    }

    pub(super) fn validate(&mut self, level: &QualifiedName) {
        let partitions = self.table_of(level).partitions.len();
        let attached: Vec<bool> = self
            .catalog
            .tables
            .iter()
            .flat_map(|table| &table.indexes)
            .filter(|index| index.parent.as_ref() == Some(level))
            .map(|index| index.valid)
            .collect();
        if attached.len() == partitions && attached.iter().all(|valid| *valid) {
            self.find_mut(level).valid = true;
            if let Some(above) = self.find(level).unwrap().parent.clone() {
                self.validate(&above);
            }
        }
    }

    pub(super) fn run(&mut self, step: &Step) -> Result<(), String> {
        let before = self.catalog.clone();
        let Some(way) = step.ways.first() else {
            return Ok(());
        };
        for statement in &way.statements {
            if let Err(why) = self.statement(statement) {
                self.catalog = before;
                return Err(format!("{why}: {statement}"));
            }
        }
        Ok(())
    }

    pub(super) fn statement(&mut self, sql: &str) -> Result<(), String> {
        let names: Vec<QualifiedName> = quoted(sql);
        let first = names.first().cloned();
        if sql.starts_with("do ") {
            let at = sql.find('\'').unwrap();
            let index = QualifiedName::parse(sql[at + 1..].split('\'').next().unwrap()).unwrap();
            let planned = sql
                .split("and indexrelid = ")
                .nth(1)
                .and_then(|rest| rest.split(' ').next())
                .map(|oid| oid.parse::<u32>().unwrap());
            return match self.find(&index) {
                Some(found) if planned.map_or(found.valid, |oid| oid == found.oid) => Ok(()),
                _ => Err(format!("{index} is not valid")),
            };
        }
        if sql.starts_with("create") {
            return self.create(sql);
        }
        let first = first.ok_or_else(|| format!("no name in {sql}"))?;
        if sql.starts_with("analyze") {
            return Ok(());
        }
        if self.find(&first).is_none() {
            return Err(format!("{first} does not exist"));
        }
        if sql.starts_with("drop index") {
            if self.find(&first).unwrap().parent.is_some() {
                return Err("attached".to_owned());
            }
            if self.find(&first).unwrap().partitioned == sql.contains("concurrently") {
                return Err("the other form of drop is needed".to_owned());
            }
            self.drop(&first);
        } else if sql.starts_with("reindex") {
            let index = self.find_mut(&first);
            index.valid = true;
            index.oid += 10_000;
            if let Some(at) = sql.find("tablespace") {
                let tablespace = sql[at..].split('"').nth(1).unwrap().to_owned();
                index.tablespace = (tablespace != "pg_default").then_some(tablespace);
            }
        } else if let Some((_, to)) = sql.split_once(" rename to ") {
            let to = name(to.trim_matches('"'));
            if self.find(&to).is_some() {
                return Err(format!("{to} exists"));
            }
            for table in &mut self.catalog.tables {
                for index in &mut table.indexes {
                    if index.name == first {
                        let spec = create_index(&index.definition).unwrap().spec;
                        index.definition = spec.sql(Build::Plain, &spec.table, &to.name);
                        index.name = to.clone();
                    }
                    if index.parent.as_ref() == Some(&first) {
                        index.parent = Some(to.clone());
                    }
                }
            }
        } else if sql.contains(" attach partition ") {
            return self.attach(&first, &names[1]);
        } else if let Some((_, comment)) = sql.split_once(" is ") {
            self.find_mut(&first).comment = Some(comment.trim_matches('\'').to_owned());
        } else if sql.contains(" set tablespace ") {
            let tablespace = sql.rsplit('"').nth(1).unwrap().to_owned();
            self.find_mut(&first).tablespace = (tablespace != "pg_default").then_some(tablespace);
        } else if sql.contains(" set (") {
            let value = sql.rsplit('\'').nth(1).unwrap().to_owned();
            let index = self.find_mut(&first);
            assert!(!index.partitioned, "{sql}");
            index.reloptions.insert("fillfactor".to_owned(), value);
        } else if sql.contains(" reset (") {
            self.find_mut(&first).reloptions.clear();
        } else {
            panic!("the simulator does not know {sql}");
        }
        Ok(())
    }

    pub(super) fn create(&mut self, sql: &str) -> Result<(), String> {
        let statement = create_index(sql).unwrap();
        let spec = statement.spec;
        let index = name(spec.name.as_deref().unwrap());
        if self.find(&index).is_some() {
            return Err(format!("{index} exists"));
        }
        let table = self
            .catalog
            .tables
            .iter_mut()
            .find(|table| table.name == spec.table)
            .unwrap();
        let partitioned = table.kind == TableKind::Partitioned;
        assert_eq!(partitioned, statement.only, "{sql}");
        assert_eq!(!partitioned, statement.concurrently, "{sql}");
        let mut made = live(5_000, &spec, partitioned);
        made.valid = !partitioned;
        table.indexes.push(made);
        Ok(())
    }

    pub(super) fn attach(
        &mut self,
        parent: &QualifiedName,
        child: &QualifiedName,
    ) -> Result<(), String> {
        let above = self.table_of(parent).name.clone();
        assert_eq!(self.table_of(child).parent.as_ref(), Some(&above));
        let found = self.find(child).unwrap();
        match &found.parent {
            Some(other) if other != parent => return Err(format!("attached to {other}")),
            Some(_) if self.catalog.server.version_num < 140_000 => return Ok(()),
            _ => {}
        }
        let partition = self.table_of(child).name.clone();
        let another = self
            .catalog
            .tables
            .iter()
            .find(|table| table.name == partition)
            .unwrap()
            .indexes
            .iter()
            .any(|index| index.parent.as_ref() == Some(parent) && index.name != *child);
        if another {
            return Err("another index is attached for the partition".to_owned());
        }
        self.find_mut(child).parent = Some(parent.clone());
        self.validate(parent);
        Ok(())
    }

    pub(super) fn drop(&mut self, index: &QualifiedName) {
        let below: Vec<QualifiedName> = self
            .catalog
            .tables
            .iter()
            .flat_map(|table| &table.indexes)
            .filter(|found| found.parent.as_ref() == Some(index))
            .map(|found| found.name.clone())
            .collect();
        for table in &mut self.catalog.tables {
            table.indexes.retain(|found| found.name != *index);
        }
        for child in below {
            self.drop(&child);
        }
    }

    /// What a step that was killed leaves: nothing of a transaction, an invalid index of a concurrent statement.
    pub(super) fn kill_within(&mut self, step: &Step) {
        let index = step.index.as_ref().unwrap();
        match step.action {
            // Where it runs at all.
            Action::CreateIndex if self.run(step).is_ok() => {
                self.find_mut(&index.name).valid = false;
            }
            Action::DropIndex if self.find(&index.name).is_some() => {
                self.find_mut(&index.name).valid = false;
            }
            Action::ReindexIndex => {
                let debris = name(&format!("{}_ccnew", index.name.name));
                if let Some(found) = self.find(&index.name)
                    && self.find(&debris).is_none()
                {
                    let mut copy = found.clone();
                    copy.name = debris;
                    copy.parent = None;
                    copy.valid = false;
                    let table = self.table_of(&index.name).name.clone();
                    self.catalog
                        .tables
                        .iter_mut()
                        .find(|found| found.name == table)
                        .unwrap()
                        .indexes
                        .push(copy);
                }
            }
            _ => {}
        }
    }

    pub(super) fn run_all(&mut self, draft: &Draft) {
        let mut failed = BTreeSet::new();
        for (at, step) in draft.steps.iter().enumerate() {
            if let Some(back) = step.after {
                assert!(back as usize <= at, "{step:?}");
                if failed.contains(&(at - back as usize)) {
                    failed.insert(at);
                    continue;
                }
            }
            if let Err(why) = self.run(step) {
                panic!("step {} of {:#?} failed: {why}", at + 1, words(draft));
            }
        }
    }

    pub(super) fn is_own(&self, index: &QualifiedName) -> bool {
        let own = |wanted: &QualifiedName| {
            index.name == format!("{}_dbops_new", wanted.name)
                || index.name == format!("{}_dbops_old", wanted.name)
        };
        self.declared.iter().any(|wanted| own(&wanted.name))
            || self.absent.iter().any(|absent| own(&absent.name))
            || self.declared.iter().any(|wanted| {
                TABLES.iter().any(|table| {
                    index
                        .name
                        .starts_with(&format!("{table}_{}", wanted.name.name))
                })
            })
    }

    pub(super) fn is_named(&self, index: &QualifiedName) -> bool {
        self.declared.iter().any(|wanted| wanted.name == *index)
            || self.absent.iter().any(|absent| absent.name == *index)
    }
}

/// Names in double quotes: pairs of schema and name.
pub(super) fn quoted(sql: &str) -> Vec<QualifiedName> {
    sql.split("\"public\".\"")
        .skip(1)
        .map(|rest| name(rest.split('"').next().unwrap()))
        .collect()
}

/// What a draft says, for the report of a failure.
pub(super) fn words(draft: &Draft) -> Vec<String> {
    draft
        .steps
        .iter()
        .map(|step| format!("{} (after {:?})", step.summary, step.after))
        .chain(draft.refusals.iter().map(|refusal| refusal.message.clone()))
        .collect()
}
