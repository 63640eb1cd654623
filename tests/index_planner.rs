//! Properties of the index planner over random catalogs: no server, thousands of cases.
//!
//! The simulator below runs the steps' own SQL on the catalog, as far as they use it; a text folds to itself.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use dbops::catalog::Server;
use dbops::catalog::index_model::*;
use dbops::changes::changeset::{Action, Hazard, Step};
use dbops::changes::indexes::{
    Absent, Declared, IndexInputs, basis_of, compare_questions, plan, survey,
};
use dbops::changes::inputs::Draft;
use dbops::ident::QualifiedName;
use dbops::plan_file::{BuildSettings, LockBudget, Origin};
use dbops::syntax::{Build, IndexSpec, KeySpec, KeyTarget, create_index};
use proptest::prelude::*;

fn name(text: &str) -> QualifiedName {
    QualifiedName::new("public", text)
}

/// A small index: what the generators vary.
#[derive(Debug, Clone)]
struct Shape {
    columns: Vec<usize>,
    expression: bool,
    desc: bool,
    partial: bool,
    include: bool,
    fillfactor: Option<u8>,
    fast: bool,
}

impl Shape {
    fn spec(&self, table: &QualifiedName, index: &str) -> IndexSpec {
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

fn shape() -> impl Strategy<Value = Shape> {
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

const TABLES: [&str; 6] = ["t", "p", "p1", "p2", "p2a", "p2b"];
const NAMES: [&str; 11] = [
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
struct Case {
    declared: Vec<Declared>,
    absent: Vec<Absent>,
    catalog: IndexCatalog,
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

fn base_table(at: usize) -> IndexedTable {
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

fn live(oid: u32, spec: &IndexSpec, partitioned: bool) -> LiveIndex {
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

fn case() -> impl Strategy<Value = Case> {
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
fn tree(
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

impl Case {
    fn inputs(&self) -> IndexInputs<'_> {
        IndexInputs {
            declared: &self.declared,
            absent: &self.absent,
            catalog: &self.catalog,
            now: DateTime::UNIX_EPOCH,
        }
    }

    fn answers(&self) -> IndexAnswers {
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

    fn plan(&self) -> Draft {
        plan(self.inputs(), &self.answers())
    }

    fn find(&self, index: &QualifiedName) -> Option<&LiveIndex> {
        self.catalog
            .tables
            .iter()
            .flat_map(|table| &table.indexes)
            .find(|found| found.name == *index)
    }

    fn find_mut(&mut self, index: &QualifiedName) -> &mut LiveIndex {
        self.catalog
            .tables
            .iter_mut()
            .flat_map(|table| &mut table.indexes)
            .find(|found| found.name == *index)
            .unwrap_or_else(|| panic!("no index {index}"))
    }

    fn table_of(&self, index: &QualifiedName) -> &IndexedTable {
        self.catalog
            .tables
            .iter()
            .find(|table| table.indexes.iter().any(|found| found.name == *index))
            .unwrap_or_else(|| panic!("no index {index}"))
    }

    /// Makes partitioned indexes valid whose partitions all are, from below, as the server does.
    fn settle(&mut self) {
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

    fn validate(&mut self, level: &QualifiedName) {
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

    fn run(&mut self, step: &Step) -> Result<(), String> {
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

    fn statement(&mut self, sql: &str) -> Result<(), String> {
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

    fn create(&mut self, sql: &str) -> Result<(), String> {
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

    fn attach(&mut self, parent: &QualifiedName, child: &QualifiedName) -> Result<(), String> {
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

    fn drop(&mut self, index: &QualifiedName) {
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
    fn kill_within(&mut self, step: &Step) {
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

    fn run_all(&mut self, draft: &Draft) {
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

    fn is_own(&self, index: &QualifiedName) -> bool {
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

    fn is_named(&self, index: &QualifiedName) -> bool {
        self.declared.iter().any(|wanted| wanted.name == *index)
            || self.absent.iter().any(|absent| absent.name == *index)
    }
}

/// Names in double quotes: pairs of schema and name.
fn quoted(sql: &str) -> Vec<QualifiedName> {
    sql.split("\"public\".\"")
        .skip(1)
        .map(|rest| name(rest.split('"').next().unwrap()))
        .collect()
}

fn words(draft: &Draft) -> Vec<String> {
    draft
        .steps
        .iter()
        .map(|step| format!("{} (after {:?})", step.summary, step.after))
        .chain(draft.refusals.iter().map(|refusal| refusal.message.clone()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_was_applied_needs_nothing_more(case in case()) {
        let mut case = case;
        let first = case.plan();
        case.run_all(&first);
        let second = case.plan();
        prop_assert!(second.steps.is_empty(), "{:#?}\nthen\n{:#?}", words(&first), words(&second));
        let rows = survey(case.inputs(), &case.answers());
        prop_assert!(rows.len() >= case.declared.len());
    }

    #[test]
    fn a_run_that_was_killed_anywhere_is_finished_by_the_next(case in case(), at in 0..40_usize, within: bool) {
        let mut case = case;
        let first = case.plan();
        let done = first.steps.len().min(at);
        for step in &first.steps[..done] {
            case.run(step).unwrap();
        }
        if let (true, Some(step)) = (within, first.steps.get(done)) {
            case.kill_within(step);
        }
        let second = case.plan();
        case.run_all(&second);
        let third = case.plan();
        prop_assert!(
            third.steps.is_empty(),
            "{:#?}\nkilled after {done}, then\n{:#?}\nthen\n{:#?}", words(&first), words(&second), words(&third)
        );
        let debris: Vec<String> = case.catalog.tables.iter().flat_map(|table| &table.indexes)
            .filter(|index| !index.valid && second.refusals.is_empty())
            .filter(|index| case.is_own(&index.name) && case.declared.iter().any(|wanted| {
                wanted.spec.table == case.table_of(&index.name).name
                    && index.name.name.starts_with(&wanted.name.name)
            }))
            .map(|index| index.name.to_string())
            .collect();
        prop_assert!(debris.is_empty(), "{debris:?} after {:#?}", words(&second));
    }

    #[test]
    fn nothing_undeclared_is_lost_or_changed(case in case()) {
        let before = case.clone();
        let mut case = case;
        let draft = case.plan();
        case.run_all(&draft);
        for index in before.catalog.tables.iter().flat_map(|table| &table.indexes) {
            let debris = index.name.name.ends_with("_ccnew") && !index.valid;
            if before.is_named(&index.name) || before.is_own(&index.name) || debris || index.parent.is_some() {
                continue;
            }
            // A rename or an attachment keeps what it is.
            let after = case.catalog.tables.iter().flat_map(|table| &table.indexes)
                .find(|found| found.oid % 10_000 == index.oid);
            let Some(after) = after else {
                prop_assert!(false, "{} is gone after {:#?}", index.name, words(&draft));
                unreachable!()
            };
            prop_assert_eq!(
                create_index(&after.definition).unwrap().spec.keys,
                create_index(&index.definition).unwrap().spec.keys
            );
        }
    }

    #[test]
    fn a_drop_is_a_hazard_or_of_what_dbops_made(case in case()) {
        let draft = case.plan();
        for step in &draft.steps {
            let index = &step.index.as_ref().unwrap().name;
            prop_assert!(step.ways.is_empty() || !step.locks.is_empty(), "{}", step.summary);
            if !matches!(step.action, Action::DropIndex | Action::DropParentIndex) {
                prop_assert!(step.hazards.is_empty());
                continue;
            }
            let dead = case.find(index).is_some_and(|found| !found.valid && !found.partitioned)
                && (case.is_named(index) || index.name.ends_with("_ccnew"));
            prop_assert!(
                step.hazards == [Hazard::DropsIndex] || case.is_own(index) || dead,
                "{}", step.summary
            );
        }
    }

    #[test]
    fn nothing_is_done_on_a_table_where_somebody_builds(case in case(), table in 0..TABLES.len()) {
        let mut case = case;
        let busy = name(TABLES[table]);
        case.catalog.running.push(RunningBuild {
            pid: 42,
            application: None,
            role: None,
            table: busy.clone(),
            index: None,
            command: "CREATE INDEX CONCURRENTLY".to_owned(),
            phase: "building index".to_owned(),
            done: None,
            seconds: None,
        });
        let draft = case.plan();
        for step in &draft.steps {
            if step.action == Action::AwaitBuild {
                prop_assert!(step.ways.is_empty());
                continue;
            }
            prop_assert!(step.index.as_ref().unwrap().table != busy, "{}", step.summary);
            prop_assert!(step.locks.iter().all(|lock| lock.relation != busy), "{}", step.summary);
        }
        case.run_all(&draft);
        // Once it is gone, everything is done.
        case.catalog.running.clear();
        let rest = case.plan();
        case.run_all(&rest);
        let third = case.plan();
        prop_assert!(third.steps.is_empty(), "{:#?}\nthen\n{:#?}\nthen\n{:#?}", words(&draft), words(&rest), words(&third));
    }

    #[test]
    fn the_basis_is_the_same_for_the_same_structure(case in case()) {
        for table in TABLES {
            let basis = basis_of(&case.catalog, &name(table));
            prop_assert_eq!(&basis, &basis_of(&case.catalog.clone(), &name(table)));
            let mut sorted = basis.facts.clone();
            sorted.sort();
            prop_assert_eq!(basis.facts, sorted);
        }
    }
}
