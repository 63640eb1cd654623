//! Plain data for the detectors' tests: tables and indexes from CREATE INDEX statements.

use std::collections::BTreeMap;

use super::{Finding, Inputs, Kind, Limits, Verdict, examine};
use crate::catalog::advise::{AdviceFacts, ForeignKeyFacts, NodeUsage, Usage};
use crate::catalog::index_model::{
    Fold, IndexCatalog, IndexedTable, LiveConstraint, LiveConstraintKind, LiveIndex, LiveKey,
    TableColumn, TableKind, TableWrites,
};
use crate::ident::QualifiedName;
use crate::syntax::{KeyTarget, create_index};

/// A name in `public`.
pub(in crate::checks) fn name(text: &str) -> QualifiedName {
    QualifiedName::new("public", text)
}

/// A table with the columns `a` to `f`.
pub(in crate::checks) fn table(text: &str) -> IndexedTable {
    IndexedTable {
        oid: 0,
        name: name(text),
        kind: TableKind::Table,
        owner: "dba".to_owned(),
        owns: true,
        creates: true,
        readable: true,
        temporary: false,
        parent: None,
        partitions: Vec::new(),
        partition_key: Vec::new(),
        rows_estimate: Some(1_000_000),
        bytes: 1 << 27,
        columns: ["a", "b", "c", "d", "e", "f"]
            .map(|name| TableColumn {
                name: name.to_owned(),
                type_name: "integer".to_owned(),
                ..TableColumn::default()
            })
            .to_vec(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        writes: TableWrites::default(),
    }
}

/// An index as the statement makes it, valid and with 1 MiB; opclass and collation are what is written.
pub(in crate::checks) fn index(sql: &str) -> LiveIndex {
    let spec = create_index(sql).unwrap().spec;
    let pair = |object: &Option<crate::syntax::ObjectName>| {
        object
            .as_ref()
            .map(|one| ("pg_catalog".to_owned(), one.name.clone()))
    };
    LiveIndex {
        oid: 0,
        name: name(spec.name.as_deref().unwrap()),
        definition: sql
            .replacen("create ", "CREATE ", 1)
            .replacen(" unique ", " UNIQUE ", 1)
            .replacen("CREATE unique", "CREATE UNIQUE", 1),
        keys: spec
            .keys
            .iter()
            .map(|key| LiveKey {
                column: match &key.target {
                    KeyTarget::Column(name) => Some(name.clone()),
                    KeyTarget::Expression(_) => None,
                },
                opclass: pair(&key.opclass)
                    .unwrap_or_else(|| ("pg_catalog".to_owned(), "int4_ops".to_owned())),
                collation: pair(&key.collate),
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
        tablespace: None,
        reloptions: spec.with,
        comment: None,
        statistics: BTreeMap::new(),
        bytes: 1 << 20,
        scans: Some(5),
        of_extension: false,
    }
}

/// Makes an index enforce a constraint of its own name.
pub(in crate::checks) fn enforcing(mut index: LiveIndex, kind: LiveConstraintKind) -> LiveIndex {
    index.constraint = Some(LiveConstraint {
        name: index.name.name.clone(),
        kind,
        deferrable: !index.immediate,
    });
    index
}

/// A database to be examined.
pub(in crate::checks) struct Case {
    pub(in crate::checks) catalog: IndexCatalog,
    pub(in crate::checks) facts: AdviceFacts,
    pub(in crate::checks) folds: Vec<Fold>,
    pub(in crate::checks) nodes: Vec<NodeUsage>,
    pub(in crate::checks) unreached: Vec<(String, String)>,
    pub(in crate::checks) limits: Limits,
}

impl Case {
    /// Tables on one node whose statistics reach back 100 days; each index was scanned as often as it says.
    pub(in crate::checks) fn of(tables: Vec<IndexedTable>) -> Self {
        let mut case = Self {
            catalog: IndexCatalog {
                tables,
                ..IndexCatalog::default()
            },
            facts: AdviceFacts::default(),
            folds: Vec::new(),
            nodes: Vec::new(),
            unreached: Vec::new(),
            limits: Limits {
                min_age_seconds: 30.0 * 86_400.0,
                unused_for_seconds: None,
            },
        };
        case.catalog.server.version_num = 160_000;
        let mut oid = 100;
        for table in &mut case.catalog.tables {
            oid += 1;
            table.oid = oid;
            for index in &mut table.indexes {
                oid += 1;
                index.oid = oid;
            }
        }
        let node = case.node("primary");
        case.nodes.push(node);
        case
    }

    /// One table `t` with these indexes.
    pub(in crate::checks) fn indexes(indexes: Vec<LiveIndex>) -> Self {
        let mut table = table("t");
        table.indexes = indexes;
        Self::of(vec![table])
    }

    /// A node that scanned each index as often as the catalog says.
    pub(in crate::checks) fn node(&self, node: &str) -> NodeUsage {
        NodeUsage {
            node: node.to_owned(),
            stats_seconds: 100.0 * 86_400.0,
            version_num: 160_000,
            indexes: self
                .catalog
                .tables
                .iter()
                .flat_map(|table| &table.indexes)
                .filter(|index| !index.partitioned)
                .map(|index| {
                    let usage = Usage {
                        scans: index.scans.unwrap_or(0),
                        last_scan_seconds: None,
                    };
                    (index.name.clone(), usage)
                })
                .collect(),
        }
    }

    /// Adds a foreign key of a table.
    pub(in crate::checks) fn foreign_key(&mut self, table: &str, columns: &[&str]) {
        let table_oid = self.table(table).oid;
        self.facts.foreign_keys.push(ForeignKeyFacts {
            table_oid,
            name: format!("{table}_{}_fkey", columns.join("_")),
            parent: name("parent"),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            on_delete: "c".to_owned(),
            deletes: Some(7),
            updates: Some(3),
        });
    }

    pub(in crate::checks) fn table(&mut self, text: &str) -> &mut IndexedTable {
        let name = name(text);
        self.catalog
            .tables
            .iter_mut()
            .find(|table| table.name == name)
            .unwrap()
    }

    pub(in crate::checks) fn findings(&self) -> Vec<Finding> {
        examine(Inputs {
            catalog: &self.catalog,
            facts: &self.facts,
            folds: &self.folds,
            nodes: &self.nodes,
            unreached: &self.unreached,
            limits: self.limits,
        })
    }

    /// Kind, verdict and index or table of each finding, in order.
    pub(in crate::checks) fn verdicts(&self) -> Vec<(Kind, Verdict, String)> {
        self.findings()
            .into_iter()
            .map(|one| {
                let what = one.index.unwrap_or(one.table).name;
                (one.kind, one.verdict, what)
            })
            .collect()
    }
}
