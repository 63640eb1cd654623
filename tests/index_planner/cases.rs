//! Random catalogs, plan entries and what interrupted runs left.

use std::collections::BTreeMap;

use dbops::catalog::Server;
use dbops::catalog::index_model::*;
use dbops::changes::changeset::Hazard;
use dbops::changes::indexes::{Absent, Declared};
use dbops::ident::QualifiedName;
use dbops::plan_file::{BuildSettings, LockBudget, Origin};
use dbops::syntax::{Build, IndexSpec, KeySpec, KeyTarget};
use proptest::prelude::*;

pub(super) fn name(text: &str) -> QualifiedName {
    QualifiedName::new("public", text)
}

/// A small index: what the generators vary.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) columns: Vec<usize>,
    pub(super) expression: bool,
    pub(super) desc: bool,
    pub(super) partial: bool,
    pub(super) include: bool,
    pub(super) fillfactor: Option<u8>,
    pub(super) fast: bool,
}

impl Shape {
    pub(super) fn spec(&self, table: &QualifiedName, index: &str) -> IndexSpec {
        let mut keys: Vec<KeySpec> = self
            .columns
            .iter()
            .map(|at| KeySpec::plain(KeyTarget::Column(["a", "b", "c"][*at].to_owned())))
            .collect();
        if self.expression {
            keys.push(KeySpec::plain(KeyTarget::Expression("abs(a)".to_owned())));
        }
        if let Some(first) = keys.first_mut() {
            first.desc = self.desc;
            first.nulls_first = self.desc;
        }
        IndexSpec {
            name: Some(index.to_owned()),
            table: table.clone(),
            method: "btree".to_owned(),
            unique: false,
            nulls_not_distinct: false,
            keys,
            include: if self.include {
                vec!["c".to_owned()]
            } else {
                Vec::new()
            },
            predicate: self.partial.then(|| "a > 1".to_owned()),
            with: self
                .fillfactor
                .iter()
                .map(|value| ("fillfactor".to_owned(), value.to_string()))
                .collect(),
            tablespace: self.fast.then(|| "fast".to_owned()),
        }
    }
}

pub(super) fn shape() -> impl Strategy<Value = Shape> {
    (
        prop::sample::subsequence(vec![0_usize, 1, 2], 1..3),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.2, prop::sample::select(vec![70_u8, 80])),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(columns, expression, desc, partial, include, fillfactor, fast)| Shape {
                columns,
                expression,
                desc,
                partial,
                include,
                fillfactor,
                fast,
            },
        )
}

pub(super) const TABLES: [&str; 6] = ["t", "p", "p1", "p2", "p2a", "p2b"];
pub(super) const NAMES: [&str; 11] = [
    "i0",
    "i1",
    "i2",
    "x0",
    "x1",
    "i0_dbops_new",
    "i0_dbops_old",
    "i1_dbops_new",
    "x2_ccnew",
    "p1_i0",
    "p2_i1",
];

#[derive(Clone)]
pub(super) struct Case {
    pub(super) declared: Vec<Declared>,
    pub(super) absent: Vec<Absent>,
    pub(super) catalog: IndexCatalog,
}

/// A case as short as it can be read.
impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "on {}", self.catalog.server.version_num)?;
        for wanted in &self.declared {
            let sql = wanted
                .spec
                .sql(Build::Plain, &wanted.spec.table, &wanted.name.name);
            writeln!(f, "declared {sql} comment {:?}", wanted.comment)?;
        }
        for absent in &self.absent {
            writeln!(f, "absent {}", absent.name)?;
        }
        for index in self.catalog.tables.iter().flat_map(|table| &table.indexes) {
            writeln!(
                f,
                "live {} tablespace {:?} valid {} parent {:?}",
                index.definition, index.tablespace, index.valid, index.parent
            )?;
        }
        Ok(())
    }
}

pub(super) fn base_table(at: usize) -> IndexedTable {
    let table = TABLES[at];
    let (kind, parent, partitions, key): (_, Option<&str>, Vec<&str>, Option<&str>) = match table {
        "p" => (TableKind::Partitioned, None, vec!["p1", "p2"], Some("a")),
        "p2" => (
            TableKind::Partitioned,
            Some("p"),
            vec!["p2a", "p2b"],
            Some("b"),
        ),
        "p1" => (TableKind::Table, Some("p"), vec![], None),
        "p2a" | "p2b" => (TableKind::Table, Some("p2"), vec![], None),
        _ => (TableKind::Table, None, vec![], None),
    };
    IndexedTable {
        oid: u32::try_from(at).unwrap() + 1,
        name: name(table),
        kind,
        owner: "app".to_owned(),
        owns: true,
        creates: true,
        readable: true,
        temporary: false,
        parent: parent.map(name),
        partitions: partitions.into_iter().map(name).collect(),
        partition_key: key.map(|key| Some(key.to_owned())).into_iter().collect(),
        rows_estimate: Some(1_000),
        bytes: 1 << 20,
        columns: ["a", "b", "c"]
            .into_iter()
            .map(|column| TableColumn {
                name: column.to_owned(),
                type_name: "integer".to_owned(),
                ..TableColumn::default()
            })
            .collect(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        writes: TableWrites::default(),
    }
}

pub(super) fn live(oid: u32, spec: &IndexSpec, partitioned: bool) -> LiveIndex {
    let index = spec.name.clone().unwrap();
    let shown = IndexSpec {
        tablespace: None,
        ..spec.clone()
    };
    LiveIndex {
        oid,
        name: name(&index),
        definition: shown.sql(Build::Plain, &spec.table, &index),
        keys: spec
            .keys
            .iter()
            .map(|key| LiveKey {
                column: match &key.target {
                    KeyTarget::Column(column) => Some(column.clone()),
                    KeyTarget::Expression(_) => None,
                },
                opclass: ("pg_catalog".to_owned(), "int4_ops".to_owned()),
                collation: None,
            })
            .collect(),
        partitioned,
        parent: None,
        valid: true,
        ready: true,
        live: true,
        immediate: true,
        clustered: false,
        replica_identity: false,
        constraint: None,
        referenced_by: Vec::new(),
        tablespace: spec.tablespace.clone(),
        reloptions: spec.with.clone(),
        comment: None,
        statistics: BTreeMap::new(),
        bytes: 8_192,
        scans: Some(0),
        of_extension: false,
    }
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let declared = prop::collection::vec(
        (shape(), 0..2_usize, prop::option::weighted(0.3, "[a-c]")),
        1..4,
    );
    let lives = prop::collection::vec(
        (
            shape(),
            0..TABLES.len(),
            prop::bool::weighted(0.8),
            // Copies the shape of a declared index.
            prop::option::weighted(0.5, 0..3_usize),
        ),
        NAMES.len(),
    );
    let there = prop::collection::vec(prop::bool::weighted(0.4), NAMES.len());
    // Whole or partial trees under the declared indexes of p.
    let trees = prop::collection::vec(
        (
            prop::bool::weighted(0.5),
            prop::collection::vec(0..6_u8, 4),
            shape(),
        ),
        3,
    );
    let absent = prop::sample::subsequence(vec!["x0", "x1", "i2", "gone"], 0..2);
    let version = prop::sample::select(vec![130_023, 140_023, 170_010]);
    (declared, lives, there, trees, absent, version).prop_map(
        |(declared, lives, there, trees, absent, version)| {
            let mut tables: Vec<IndexedTable> = (0..TABLES.len()).map(base_table).collect();
            let shapes: Vec<Shape> = declared.iter().map(|(shape, ..)| shape.clone()).collect();
            let declared: Vec<Declared> = declared
                .into_iter()
                .enumerate()
                .map(|(at, (shape, table, comment))| {
                    let index = format!("i{at}");
                    Declared {
                        name: name(&index),
                        spec: shape.spec(&name(["t", "p"][table]), &index),
                        comment,
                        statistics: BTreeMap::new(),
                        constraint: None,
                        build: BuildSettings::default(),
                        budget: LockBudget::default(),
                        allow: Vec::new(),
                        origin: Origin::default(),
                    }
                })
                .collect();
            let mut oid = 100;
            for (at, (own, table, valid, copies)) in lives.into_iter().enumerate() {
                if !there[at] {
                    continue;
                }
                oid += 1;
                let shape = copies.and_then(|at| shapes.get(at).cloned()).unwrap_or(own);
                // A name of a declared index mostly stands on its table.
                let wanted = declared
                    .iter()
                    .find(|wanted| {
                        let own = wanted.name.name.as_str();
                        NAMES[at] == own || NAMES[at].starts_with(&format!("{own}_dbops"))
                    })
                    .map(|wanted| wanted.spec.table.name.clone());
                let table = match wanted {
                    Some(table) if copies.is_some() => {
                        TABLES.iter().position(|found| *found == table).unwrap()
                    }
                    _ => table,
                };
                let target = &mut tables[table];
                let partitioned = target.kind == TableKind::Partitioned;
                let mut index = live(oid, &shape.spec(&target.name, NAMES[at]), partitioned);
                index.valid = valid && !partitioned;
                target.indexes.push(index);
            }
            for (at, (grown, how, other)) in trees.into_iter().enumerate() {
                let Some(wanted) = declared.get(at) else {
                    continue;
                };
                let top = tables[1]
                    .indexes
                    .iter()
                    .position(|index| index.name == wanted.name);
                let (Some(_), true) = (top, grown) else {
                    continue;
                };
                tree(
                    &mut tables,
                    &wanted.name,
                    &shapes[at],
                    &how,
                    &other,
                    &mut oid,
                );
            }
            for table in &mut tables {
                table.indexes.sort_by(|a, b| a.name.cmp(&b.name));
            }
            let mut case = Case {
                declared,
                absent: absent
                    .into_iter()
                    .map(|index| Absent {
                        name: name(index),
                        budget: LockBudget::default(),
                        allow: vec![Hazard::DropsIndex],
                        origin: Origin::default(),
                    })
                    .collect(),
                catalog: IndexCatalog {
                    server: Server {
                        version_num: version,
                        role: "app".to_owned(),
                        max_locks_per_transaction: 64,
                        ..Server::default()
                    },
                    tables,
                    opclasses: vec![OperatorClass {
                        method: "btree".to_owned(),
                        name: "int4_ops".to_owned(),
                        schema: "pg_catalog".to_owned(),
                        type_name: "integer".to_owned(),
                        default: true,
                    }],
                    tablespaces: vec!["fast".to_owned(), "pg_default".to_owned()],
                    default_tablespace: "pg_default".to_owned(),
                    ..IndexCatalog::default()
                },
            };
            case.settle();
            case
        },
    )
}

/// Attaches indexes of partitions below the index of p: `how` says for p1, p2, p2a, p2b whether there is none, one
/// as it should be, an invalid one, or another shape.
pub(super) fn tree(
    tables: &mut [IndexedTable],
    top: &QualifiedName,
    shape: &Shape,
    how: &[u8],
    other: &Shape,
    oid: &mut u32,
) {
    let mut level = Some(name(&format!("tree_p2_{}", top.name)));
    for (at, table) in [(2, "p1"), (3, "p2"), (4, "p2a"), (5, "p2b")] {
        let parent = match table {
            "p1" | "p2" => Some(top.clone()),
            _ => level.clone(),
        };
        let Some(parent) = parent else { continue };
        let how = how[at - 2];
        if how == 0 {
            if table == "p2" {
                level = None;
            }
            continue;
        }
        *oid += 1;
        let shape = if how == 5 {
            Shape {
                desc: !shape.desc,
                ..shape.clone()
            }
        } else {
            shape.clone()
        };
        let _ = other;
        let index = format!("tree_{table}_{}", top.name);
        let mut index = live(*oid, &shape.spec(&name(table), &index), table == "p2");
        index.parent = Some(parent);
        index.valid = how != 4 && table != "p2";
        tables[at].indexes.push(index);
    }
}
