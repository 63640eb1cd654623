//! Catalogs and declarations for the tests of this room, written as SQL.

use std::collections::BTreeMap;

use chrono::DateTime;

use super::{Absent, Declared, IndexInputs, plan};
use crate::catalog::Server;
use crate::catalog::index_model::*;
use crate::changes::changeset::Step;
use crate::changes::inputs::Draft;
use crate::ident::QualifiedName;
use crate::plan_file::{BuildSettings, LockBudget, Origin};
use crate::syntax::{KeyTarget, create_index};

pub(super) fn name(text: &str) -> QualifiedName {
    QualifiedName::parse(text).unwrap()
}

pub(super) fn declared(sql: &str) -> Declared {
    let spec = create_index(sql).unwrap().spec;
    Declared {
        name: QualifiedName::new(spec.table.schema.clone(), spec.name.clone().unwrap()),
        spec,
        comment: None,
        statistics: BTreeMap::new(),
        constraint: None,
        build: BuildSettings::default(),
        budget: LockBudget::default(),
        allow: Vec::new(),
        origin: Origin::default(),
    }
}

pub(super) fn absent(text: &str) -> Absent {
    Absent {
        name: name(text),
        budget: LockBudget::default(),
        allow: Vec::new(),
        origin: Origin::default(),
    }
}

/// A valid index, its keys resolved as the server would: `int4_ops` unless said otherwise.
pub(super) fn live(sql: &str) -> LiveIndex {
    let spec = create_index(sql).unwrap().spec;
    LiveIndex {
        oid: 1,
        name: QualifiedName::new(spec.table.schema.clone(), spec.name.clone().unwrap()),
        definition: sql.to_owned(),
        keys: spec
            .keys
            .iter()
            .map(|key| LiveKey {
                column: match &key.target {
                    KeyTarget::Column(name) => Some(name.clone()),
                    KeyTarget::Expression(_) => None,
                },
                opclass: key.opclass.as_ref().map_or_else(
                    || ("pg_catalog".to_owned(), "int4_ops".to_owned()),
                    |found| ("pg_catalog".to_owned(), found.name.clone()),
                ),
                collation: key
                    .collate
                    .as_ref()
                    .map(|found| ("pg_catalog".to_owned(), found.name.clone())),
            })
            .collect(),
        partitioned: false,
        parent: None,
        valid: true,
        ready: true,
        live: true,
        immediate: true,
        clustered: false,
        replica_identity: false,
        constraint: None,
        referenced_by: Vec::new(),
        tablespace: spec.tablespace,
        reloptions: spec.with,
        comment: None,
        statistics: BTreeMap::new(),
        bytes: 8192,
        scans: Some(0),
        of_extension: false,
    }
}

/// A table of the columns a to e.
pub(super) fn table(text: &str, indexes: Vec<LiveIndex>) -> IndexedTable {
    IndexedTable {
        oid: 2,
        name: name(text),
        kind: TableKind::Table,
        owner: "app".to_owned(),
        owns: true,
        creates: true,
        readable: true,
        temporary: false,
        parent: None,
        partitions: Vec::new(),
        partition_key: Vec::new(),
        rows_estimate: Some(1_000_000),
        bytes: 80_000_000,
        columns: ["a", "b", "c", "d", "e"]
            .into_iter()
            .map(|name| TableColumn {
                name: name.to_owned(),
                type_name: "integer".to_owned(),
                width: Some(4),
                ..TableColumn::default()
            })
            .collect(),
        indexes,
        foreign_keys: Vec::new(),
        writes: TableWrites::default(),
    }
}

pub(super) fn constraint(text: &str, kind: LiveConstraintKind) -> Option<LiveConstraint> {
    Some(LiveConstraint {
        name: text.to_owned(),
        kind,
        deferrable: false,
    })
}

/// What a test plans with; folds are the texts themselves unless said otherwise.
#[derive(Debug, Clone, Default)]
pub(super) struct Case {
    pub(super) declared: Vec<Declared>,
    pub(super) absent: Vec<Absent>,
    pub(super) catalog: IndexCatalog,
    pub(super) answers: IndexAnswers,
}

impl Case {
    pub(super) fn new(tables: Vec<IndexedTable>) -> Self {
        let opclass = |method: &str, name: &str, default| OperatorClass {
            method: method.to_owned(),
            name: name.to_owned(),
            schema: "pg_catalog".to_owned(),
            type_name: "integer".to_owned(),
            default,
        };
        Self {
            catalog: IndexCatalog {
                server: Server {
                    version_num: 170_010,
                    version: "17.10".to_owned(),
                    database: "app".to_owned(),
                    role: "app".to_owned(),
                    ..Server::default()
                },
                tables,
                opclasses: ["btree", "hash", "gist", "gin", "brin"]
                    .into_iter()
                    .flat_map(|method| {
                        [
                            opclass(method, "int4_ops", true),
                            opclass(method, "text_pattern_ops", false),
                        ]
                    })
                    .collect(),
                tablespaces: vec!["fast".to_owned(), "pg_default".to_owned()],
                default_tablespace: "pg_default".to_owned(),
                ..IndexCatalog::default()
            },
            ..Self::default()
        }
    }

    pub(super) fn declare(mut self, sql: &str) -> Self {
        self.declared.push(declared(sql));
        self
    }

    pub(super) fn without(mut self, text: &str) -> Self {
        self.absent.push(absent(text));
        self
    }

    pub(super) fn on(mut self, version_num: i32) -> Self {
        self.catalog.server.version_num = version_num;
        self
    }

    pub(super) fn inputs(&self) -> IndexInputs<'_> {
        IndexInputs {
            declared: &self.declared,
            absent: &self.absent,
            catalog: &self.catalog,
            now: DateTime::UNIX_EPOCH,
        }
    }

    /// Answers every fold with the text itself, where the test gave no answer.
    pub(super) fn folded(&self) -> IndexAnswers {
        let mut answers = self.answers.clone();
        for question in super::compare_questions(self.inputs()).folds {
            for text in question.texts {
                let known = answers
                    .folds
                    .iter()
                    .any(|fold| fold.table == question.table && fold.text == text);
                if !known {
                    answers.folds.push(Fold {
                        table: question.table.clone(),
                        folded: Folded::Text(text.replace(['(', ')', '"'], "")),
                        text,
                    });
                }
            }
        }
        answers
    }

    pub(super) fn plan(&self) -> Draft {
        plan(self.inputs(), &self.folded())
    }

    /// Actions with the names they are about: `CreateIndex public.i`.
    pub(super) fn steps(&self) -> Vec<String> {
        words(&self.plan().steps)
    }

    pub(super) fn codes(&self) -> Vec<String> {
        self.plan()
            .refusals
            .into_iter()
            .map(|refusal| refusal.code)
            .collect()
    }

    pub(super) fn notes(&self) -> Vec<String> {
        self.plan()
            .notes
            .into_iter()
            .map(|note| note.code)
            .collect()
    }
}

pub(super) fn words(steps: &[Step]) -> Vec<String> {
    steps
        .iter()
        .map(|step| {
            let name = step.index.as_ref().map(|change| change.name.name.clone());
            format!("{:?} {}", step.action, name.unwrap_or_default())
        })
        .collect()
}
