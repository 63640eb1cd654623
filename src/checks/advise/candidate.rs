//! Indexes that could serve a statement: from its conditions and its order, before anything is proven.

use super::foreign_key::free_name;
use super::shape;
use crate::catalog::index_model::{IndexCatalog, IndexedTable};
use crate::syntax::statement::{ColumnUse, How, Query, Relation};
use crate::syntax::{DEFAULT_METHOD, IndexSpec, KeySpec, KeyTarget};

pub use crate::syntax::statement::Statement;

/// Longer keys are hardly ever worth their size.
const MOST_KEYS: usize = 4;

/// Returns the indexes that could serve a statement and that no index there is now can stand in for.
pub fn candidates(catalog: &IndexCatalog, statement: &Statement) -> Vec<IndexSpec> {
    let mut found: Vec<IndexSpec> = Vec::new();
    for query in &statement.queries {
        for (at, relation) in query.relations.iter().enumerate() {
            let Some(table) = table(catalog, relation) else {
                continue;
            };
            for keys in keys(catalog, query, at, table) {
                let there = found
                    .iter()
                    .any(|other| other.table == table.name && other.keys == keys)
                    || has(table, &keys);
                if !there {
                    found.push(spec(catalog, table, keys));
                }
            }
        }
    }
    found
}

/// Tables that the statement names and that were read.
pub(super) fn tables<'a>(
    catalog: &'a IndexCatalog,
    statement: &Statement,
) -> Vec<&'a IndexedTable> {
    let relations = statement.queries.iter().flat_map(|query| &query.relations);
    relations
        .filter_map(|relation| table(catalog, relation))
        .collect()
}

/// A name without a schema is that of `public`, or the only one of that name.
fn table<'a>(catalog: &'a IndexCatalog, relation: &Relation) -> Option<&'a IndexedTable> {
    let named = |table: &&IndexedTable| {
        super::has_indexes(table.kind) && table.name.name == relation.name.name
    };
    let in_schema = |schema: &str| {
        catalog
            .tables
            .iter()
            .filter(named)
            .find(|table| table.name.schema == schema)
    };
    if let Some(schema) = &relation.name.schema {
        return in_schema(schema);
    }
    in_schema("public").or_else(|| {
        let mut all = catalog.tables.iter().filter(named);
        match (all.next(), all.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    })
}

/// Key lists worth trying for one table of a query.
fn keys(catalog: &IndexCatalog, query: &Query, at: usize, own: &IndexedTable) -> Vec<Vec<KeySpec>> {
    let mine = |one: &&ColumnUse| belongs(catalog, query, at, own, one);
    let of = |wanted: fn(&How) -> bool| -> Vec<KeySpec> {
        let mut keys: Vec<KeySpec> = Vec::new();
        for one in query
            .uses
            .iter()
            .filter(mine)
            .filter(|one| wanted(&one.how))
        {
            let mut key = KeySpec::plain(one.target.clone());
            if let How::Sort { desc, nulls_first } = one.how {
                (key.desc, key.nulls_first) = (desc, nulls_first);
            }
            if !keys.iter().any(|other| other.target == key.target) {
                keys.push(key);
            }
        }
        keys
    };
    let equal = of(|how| *how == How::Equal);
    let joined = of(|how| *how == How::Join);
    let ranges = of(|how| *how == How::Range);
    // An order that another table takes part in cannot be read from this table's index.
    let sorts = |how: &How| matches!(how, How::Sort { .. });
    let all_mine = query
        .uses
        .iter()
        .filter(|one| sorts(&one.how))
        .all(|one| mine(&one));
    let order = if all_mine && query.sorted {
        of(sorts)
    } else {
        Vec::new()
    };
    let range = |at: usize| ranges.get(at).cloned().into_iter().collect::<Vec<_>>();
    let mut lists = vec![
        [equal.clone(), range(0)].concat(),
        [equal.clone(), range(1)].concat(),
        [equal.clone(), order.clone()].concat(),
        [joined.clone(), equal.clone(), range(0)].concat(),
        [equal.clone(), joined.clone()].concat(),
        equal.clone(),
        joined,
        range(0),
        order,
    ];
    // One column of several may be all that is needed.
    lists.extend(equal.iter().map(|key| vec![key.clone()]));
    for list in &mut lists {
        let mut kept: Vec<KeySpec> = Vec::new();
        for key in list.drain(..) {
            if !kept.iter().any(|other| other.target == key.target) {
                kept.push(key);
            }
        }
        kept.truncate(MOST_KEYS);
        // Read backwards it is the same; ascending is what people write.
        if kept.iter().all(|key| key.desc && key.nulls_first) {
            for key in &mut kept {
                (key.desc, key.nulls_first) = (false, false);
            }
        }
        *list = kept;
    }
    lists.retain(|list| !list.is_empty());
    let mut tried: Vec<Vec<KeySpec>> = Vec::new();
    for list in lists {
        if !tried.contains(&list) {
            tried.push(list);
        }
    }
    tried
}

/// Whether a use is of the table at this place of the query.
fn belongs(
    catalog: &IndexCatalog,
    query: &Query,
    at: usize,
    own: &IndexedTable,
    one: &ColumnUse,
) -> bool {
    let has = |table: &IndexedTable| table.columns.iter().any(|column| column.name == one.column);
    if !has(own) {
        return false;
    }
    match &one.qualifier {
        Some(qualifier) => query.relations.get(at).is_some_and(|relation| {
            relation.alias.as_ref().unwrap_or(&relation.name.name) == qualifier
        }),
        // The server would refuse a bare column that two tables have.
        None => query
            .relations
            .iter()
            .enumerate()
            .all(|(other, relation)| other == at || !table(catalog, relation).is_some_and(has)),
    }
}

/// Whether a valid index of the table leads with these keys already.
fn has(table: &IndexedTable, keys: &[KeySpec]) -> bool {
    table.indexes.iter().any(|index| {
        index.valid
            && shape::spec(index).is_some_and(|spec| {
                let leads = |reversed: bool| {
                    spec.keys.len() >= keys.len()
                        && spec.keys.iter().zip(keys).all(|(there, wanted)| {
                            there.target == wanted.target
                                && there.opclass.is_none()
                                && there.collate.is_none()
                                && (there.desc != wanted.desc) == reversed
                                && (there.nulls_first != wanted.nulls_first) == reversed
                        })
                };
                spec.method == DEFAULT_METHOD
                    && spec.predicate.is_none()
                    && (leads(false) || leads(true))
            })
    })
}

fn spec(catalog: &IndexCatalog, table: &IndexedTable, keys: Vec<KeySpec>) -> IndexSpec {
    let words: Vec<String> = keys
        .iter()
        .map(|key| match &key.target {
            KeyTarget::Column(name) => name.clone(),
            KeyTarget::Expression(text) => text
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                .collect::<String>()
                .trim_matches('_')
                .to_owned(),
        })
        .collect();
    IndexSpec {
        name: Some(free_name(catalog, table, &words, &[])),
        table: table.name.clone(),
        method: DEFAULT_METHOD.to_owned(),
        unique: false,
        nulls_not_distinct: false,
        keys,
        include: Vec::new(),
        predicate: None,
        with: Default::default(),
        tablespace: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, index, table};
    use super::*;
    use crate::syntax::statement::statements;

    fn keys_of(case: &Case, sql: &str) -> Vec<String> {
        let statement = statements(sql).unwrap().remove(0);
        candidates(&case.catalog, &statement)
            .iter()
            .map(|spec| {
                let keys: Vec<String> = spec
                    .keys
                    .iter()
                    .map(|key| {
                        let name = match &key.target {
                            KeyTarget::Column(name) | KeyTarget::Expression(name) => name,
                        };
                        format!("{name}{}", if key.desc { " desc" } else { "" })
                    })
                    .collect();
                format!("{}({})", spec.table.name, keys.join(", "))
            })
            .collect()
    }

    #[test]
    fn conditions_become_keys() {
        let case = Case::of(vec![table("t"), table("u")]);
        for (sql, expected) in [
            ("select * from t where a = 1", &["t(a)"][..]),
            (
                "select * from t where b > 1 and a = 1",
                &["t(a, b)", "t(a)", "t(b)"],
            ),
            (
                "select * from t where a = 1 order by b desc limit 3",
                &["t(a)", "t(a, b desc)", "t(b)"],
            ),
            ("select * from t order by a desc", &["t(a)"]),
            ("select * from t where lower(t.a) = 'x'", &["t(lower(a))"]),
            ("select * from t x, t y where x.a = y.b", &["t(a)", "t(b)"]),
            ("delete from t where a = 1 or b = 2", &[]),
            ("select * from nowhere where a = 1", &[]),
            ("select * from t where nothing = 1", &[]),
        ] {
            assert_eq!(keys_of(&case, sql), expected, "{sql}");
        }
    }

    #[test]
    fn what_is_there_is_not_proposed() {
        let case = Case::indexes(vec![
            index("create index i on t (a, b)"),
            index("create index j on t (c desc)"),
        ]);
        assert_eq!(
            keys_of(&case, "select * from t where a = 1 and b > 2"),
            ["t(b)"]
        );
        assert_eq!(
            keys_of(&case, "select * from t order by c"),
            Vec::<String>::new()
        );
    }
}
