//! Foreign keys whose referencing side no index leads with: a delete in the referenced table reads all of it.

use super::shape::Shapes;
use super::{Finding, Inputs, Kind, Planned, Verdict};
use crate::catalog::advise::ForeignKeyFacts;
use crate::catalog::index_model::{IndexCatalog, IndexedTable, LiveIndex, TableKind};
use crate::ident::{MAX_NAME_BYTES, QualifiedName, quote_if_needed};
use crate::syntax::{Build, DEFAULT_METHOD, IndexSpec, KeySpec, KeyTarget};

pub(super) fn find(inputs: Inputs<'_>, shapes: &Shapes) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for key in &inputs.facts.foreign_keys {
        let table = inputs
            .catalog
            .tables
            .iter()
            .find(|t| t.oid == key.table_oid);
        let Some(table) = table.filter(|table| super::has_indexes(table.kind)) else {
            continue;
        };
        if covered(inputs.catalog, shapes, table, &key.columns) {
            continue;
        }
        // Two foreign keys of the same columns need one index.
        let twin = found.iter_mut().find(|one| {
            one.table == table.name
                && matches!(&one.plan, Some(Planned::Present(spec)) if spec.key_columns().eq(key.columns.iter().map(String::as_str)))
        });
        match twin {
            Some(twin) => twin.evidence.push(describe(key)),
            None => found.push(missing(inputs.catalog, table, key, &found)),
        }
    }
    found
}

/// Whether the server can find the rows of a foreign key by this index: `a = $1 and b = $2`.
pub(super) fn supports(
    shapes: &Shapes,
    table: &IndexedTable,
    index: &LiveIndex,
    columns: &[String],
) -> bool {
    let Some(shape) = shapes
        .get(index)
        .filter(|_| index.valid && index.ready && index.live)
    else {
        return false;
    };
    let equality = |at: usize| {
        shape.keys.get(at).is_some_and(|key| {
            key.column()
                .is_some_and(|name| columns.iter().any(|column| column == name))
                && key.serves_equality(&table.columns)
        })
    };
    let leads = match shape.method.as_str() {
        "btree" | "gist" | "spgist" | "hash" => (0..columns.len()).all(equality),
        "gin" => columns
            .iter()
            .all(|column| shape.keys.iter().any(|key| key.column() == Some(column))),
        _ => false,
    };
    leads
        && shape
            .predicate
            .as_deref()
            .is_none_or(|text| only_not_null(text, columns))
}

/// A predicate that every comparison with `=` implies: that one of the columns is not NULL.
fn only_not_null(predicate: &str, columns: &[String]) -> bool {
    let text = predicate.strip_prefix("as printed: ").unwrap_or(predicate);
    let text = text.trim().trim_start_matches('(').trim_end_matches(')');
    // Of a column that is NOT NULL the planner knows it.
    if text == "true" {
        return true;
    }
    let Some(name) = text.strip_suffix(" IS NOT NULL") else {
        return false;
    };
    // The planner's form names the table before the column.
    columns.iter().any(|column| {
        let quoted = quote_if_needed(column);
        name == quoted
            || name
                .rsplit_once('.')
                .is_some_and(|(_, last)| last == quoted)
    })
}

/// Whether the table, or each of its partitions, has a supporting index.
fn covered(
    catalog: &IndexCatalog,
    shapes: &Shapes,
    table: &IndexedTable,
    columns: &[String],
) -> bool {
    if table
        .indexes
        .iter()
        .any(|index| supports(shapes, table, index, columns))
    {
        return true;
    }
    table.kind == TableKind::Partitioned
        && !table.partitions.is_empty()
        && table.partitions.iter().all(|name| {
            catalog
                .tables
                .iter()
                .find(|child| child.name == *name)
                .is_some_and(|child| covered(catalog, shapes, child, columns))
        })
}

fn missing(
    catalog: &IndexCatalog,
    table: &IndexedTable,
    key: &ForeignKeyFacts,
    found: &[Finding],
) -> Finding {
    let columns: Vec<String> = key
        .columns
        .iter()
        .map(|name| quote_if_needed(name))
        .collect();
    let mut finding = Finding::new(
        Kind::ForeignKey,
        Verdict::Advice,
        &table.name,
        format!(
            "no index of {} leads with ({}): each delete in {} reads the whole table",
            table.name,
            columns.join(", "),
            key.parent
        ),
    )
    .because(describe(key));
    match table.rows_estimate {
        Some(rows) => {
            finding = finding
                .because(format!("about {rows} rows in {}", table.name))
                .figure("child_rows", rows as f64);
        }
        None => {
            finding = finding.because(format!("{} was never analyzed", table.name));
        }
    }
    if let Some(deletes) = key.deletes {
        finding = finding.figure("parent_deletes", deletes as f64);
    }
    if let Some(updates) = key.updates {
        finding = finding.figure("parent_updates", updates as f64);
    }
    let first = key.columns.first().map(String::as_str);
    for index in &table.indexes {
        let partial = index
            .keys
            .first()
            .is_some_and(|one| one.column.as_deref() == first);
        if index.valid && partial {
            finding = finding.because(format!("not enough: {}", index.definition));
        }
    }
    let name = free_name(catalog, table, &key.columns, found);
    let spec = IndexSpec {
        name: Some(name.clone()),
        table: table.name.clone(),
        method: DEFAULT_METHOD.to_owned(),
        unique: false,
        nulls_not_distinct: false,
        keys: key
            .columns
            .iter()
            .map(|column| KeySpec::plain(KeyTarget::Column(column.clone())))
            .collect(),
        include: Vec::new(),
        predicate: None,
        with: Default::default(),
        tablespace: None,
    };
    let step = if table.kind == TableKind::Partitioned {
        format!(
            "{};  -- blocks writers; `dbops indexes apply` builds it partition by partition without",
            spec.sql(Build::Plain, &table.name, &name)
        )
    } else {
        format!("{};", spec.sql(Build::Concurrently, &table.name, &name))
    };
    finding.plan = Some(Planned::Present(Box::new(spec)));
    finding.next(step)
}

fn describe(key: &ForeignKeyFacts) -> String {
    let action = match key.on_delete.as_str() {
        "c" => ", ON DELETE CASCADE",
        "n" => ", ON DELETE SET NULL",
        "d" => ", ON DELETE SET DEFAULT",
        _ => "",
    };
    let writes = match (key.deletes, key.updates) {
        (Some(deletes), Some(updates)) => format!(
            "; since the statistics began rows deleted there: {deletes}, updated: {updates}"
        ),
        _ => String::new(),
    };
    format!("{} references {}{action}{writes}", key.name, key.parent)
}

/// Returns a name as the server would choose it, that no index of these tables has.
pub(super) fn free_name(
    catalog: &IndexCatalog,
    table: &IndexedTable,
    columns: &[String],
    found: &[Finding],
) -> String {
    let taken =
        |name: &str| {
            let name = QualifiedName::new(table.name.schema.clone(), name);
            catalog.tables.iter().any(|other| {
                other.name == name || other.indexes.iter().any(|index| index.name == name)
            }) || found.iter().any(|one| {
                matches!(&one.plan, Some(Planned::Present(spec))
                if spec.table.schema == name.schema && spec.name.as_deref() == Some(&name.name))
            })
        };
    let mut number = 0;
    loop {
        let ending = if number == 0 {
            "_idx".to_owned()
        } else {
            format!("_idx{number}")
        };
        let mut stem = format!("{}_{}", table.name.name, columns.join("_"));
        while stem.len() + ending.len() > MAX_NAME_BYTES {
            stem.pop();
        }
        let name = stem + &ending;
        if !taken(&name) {
            return name;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, index, name, table};
    use super::*;

    fn missing_with(indexes: &[&str], key: &[&str]) -> Vec<Finding> {
        let mut case = Case::indexes(indexes.iter().map(|sql| index(sql)).collect());
        case.foreign_key("t", key);
        case.findings()
    }

    #[test]
    fn what_finds_the_rows_supports_the_key() {
        for (sql, key) in [
            ("create index i on t (a)", &["a"][..]),
            ("create index i on t (a, f)", &["a"]),
            ("create index i on t (b, a, f)", &["a", "b"]),
            ("create unique index i on t (a desc)", &["a"]),
            ("create index i on t using hash (a)", &["a"]),
            ("create index i on t (a) where (a IS NOT NULL)", &["a"]),
        ] {
            assert_eq!(missing_with(&[sql], key), [], "{sql}");
        }
    }

    #[test]
    fn what_does_not_is_told_with_an_index_that_would() {
        for (sql, key) in [
            ("create index i on t (f, a)", &["a"][..]),
            ("create index i on t (a, f, b)", &["a", "b"]),
            ("create index i on t (a)", &["a", "b"]),
            ("create index i on t (f) include (a)", &["a"]),
            ("create index i on t (a) where (b > 1)", &["a"]),
            ("create index i on t (abs(a))", &["a"]),
            ("create index i on t using brin (a)", &["a"]),
            ("create index i on t (a collate \"C\")", &["a"]),
        ] {
            let found = missing_with(&[sql], key);
            assert_eq!(found.len(), 1, "{sql}");
            let Some(Planned::Present(spec)) = &found[0].plan else {
                panic!("{found:#?}");
            };
            assert!(spec.key_columns().eq(key.iter().copied()));
            assert_eq!(found[0].figures["parent_deletes"], 7.0);
        }
    }

    #[test]
    fn names_are_free_and_not_too_long() {
        let mut case = Case::indexes(vec![index("create index t_a_idx on t (f)")]);
        case.foreign_key("t", &["a"]);
        let found = case.findings();
        assert!(found[0].next[0].contains("\"t_a_idx1\""), "{found:#?}");
        let long = "x".repeat(80);
        let made = free_name(&case.catalog, &case.catalog.tables[0], &[long], &[]);
        assert_eq!(made.len(), MAX_NAME_BYTES);
        assert!(made.ends_with("_idx"));
    }

    #[test]
    fn an_index_on_each_partition_will_do() {
        let mut parent = table("t");
        parent.kind = TableKind::Partitioned;
        parent.partitions = vec![name("l1"), name("l2")];
        let mut leaf = table("l1");
        leaf.indexes = vec![index("create index i on l1 (a)")];
        let mut other = table("l2");
        other.indexes = vec![index("create index j on l2 (a)")];
        let mut case = Case::of(vec![parent, leaf, other]);
        case.foreign_key("t", &["a"]);
        assert_eq!(case.findings(), []);
        case.table("l2").indexes.clear();
        assert_eq!(case.findings().len(), 1);
    }

    #[test]
    fn two_keys_of_the_same_columns_need_one_index() {
        let mut case = Case::indexes(Vec::new());
        case.foreign_key("t", &["a"]);
        case.foreign_key("t", &["a"]);
        let found = case.findings();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].evidence.len(), 3);
    }
}
