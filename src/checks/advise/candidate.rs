//! Indexes that could serve a statement: from its conditions and its order, before anything is proven.

use super::foreign_key::free_name;
use super::shape;
use crate::catalog::index_model::{IndexCatalog, IndexedTable};
use crate::ident::QualifiedName;
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

/// The one index that would serve a statement's use of a table best, before anything is proven.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The table.
    pub table: QualifiedName,
    /// Its keys: those that are compared for equality, in any order, then those in the order that they are read in.
    pub keys: Vec<KeySpec>,
    /// How many of the first keys may change places.
    pub equal: usize,
    /// How many of these tell rows apart well; they come first.
    pub telling: usize,
}

impl Wanted {
    /// The same without keys that tell little apart, where others tell enough and no order follows.
    pub fn without_few(&self) -> Option<Self> {
        let some = self.telling > 0 && self.telling < self.equal && self.equal == self.keys.len();
        some.then(|| Self {
            table: self.table.clone(),
            keys: self.keys.iter().take(self.telling).cloned().collect(),
            equal: self.telling,
            telling: self.telling,
        })
    }
}

/// A column with fewer values than this, or mostly NULL, comes after others: it tells little apart.
const FEW_VALUES: f32 = 8.0;

/// Returns what index each table of a statement wants, none where it has one. `limited`: only the first rows of an
/// order are read, so that an index in that order is worth it even without a condition.
pub fn wanted(catalog: &IndexCatalog, statement: &Statement, limited: bool) -> Vec<Wanted> {
    let mut found: Vec<Wanted> = Vec::new();
    for query in &statement.queries {
        for (at, relation) in query.relations.iter().enumerate() {
            let Some(table) = table(catalog, relation) else {
                continue;
            };
            let Some(one) = best(catalog, query, at, table, limited) else {
                continue;
            };
            if !is_served(table, &one) && !found.contains(&one) {
                found.push(one);
            }
        }
    }
    found
}

fn best(
    catalog: &IndexCatalog,
    query: &Query,
    at: usize,
    own: &IndexedTable,
    limited: bool,
) -> Option<Wanted> {
    let uses = Uses::of(catalog, query, at, own);
    let few = |key: &KeySpec| match &key.target {
        KeyTarget::Column(name) => own.columns.iter().any(|column| {
            column.name == *name
                && (column.type_name == "boolean"
                    || column.null_fraction.is_some_and(|share| share > 0.5)
                    || column
                        .n_distinct
                        .is_some_and(|values| values > 0.0 && values < FEW_VALUES))
        }),
        KeyTarget::Expression(_) => false,
    };
    let mut equal = uses.equal.clone();
    // One of several values, or NULL, finds rows but ends their order: of two ways to go the better one.
    let order = if uses.equal.iter().all(few) && !uses.among.iter().all(few) {
        Vec::new()
    } else {
        uses.order.clone()
    };
    if order.is_empty() {
        equal.extend(uses.among.iter().cloned());
    }
    equal.sort_by_key(few);
    // What only tells little apart is not worth an index of its own beside a join.
    if !uses.joined.is_empty() && equal.iter().all(few) {
        equal = [uses.joined.clone(), equal].concat();
    }
    // Beside keys that find few rows they only stand in the way of the order.
    if !order.is_empty() && !equal.iter().all(few) {
        equal.retain(|key| !few(key));
    }
    let mut keys = equal.clone();
    let tail = |keys: &mut Vec<KeySpec>| {
        let order = order.iter().filter(|_| limited || !equal.is_empty());
        let order: Vec<KeySpec> = order.cloned().collect();
        keys.extend(if order.is_empty() {
            uses.ranges.first().cloned().into_iter().collect()
        } else {
            order
        });
    };
    tail(&mut keys);
    let mut kept: Vec<KeySpec> = Vec::new();
    for key in keys {
        if !kept.iter().any(|other| other.target == key.target) {
            kept.push(key);
        }
    }
    kept.truncate(MOST_KEYS);
    if kept.is_empty() {
        return None;
    }
    let equal = equal.len().min(kept.len());
    // Read backwards it is the same; ascending is what people write.
    if kept
        .iter()
        .skip(equal)
        .all(|key| key.desc && key.nulls_first)
    {
        for key in &mut kept {
            (key.desc, key.nulls_first) = (false, false);
        }
    }
    let telling = kept.iter().take(equal).filter(|key| !few(key)).count();
    Some(Wanted {
        table: own.name.clone(),
        keys: kept,
        equal,
        telling,
    })
}

/// Whether an index serves what is wanted: the keys for equality first in any order, then the others in theirs. A
/// unique index of nothing but keys for equality finds the row by itself.
fn is_served(table: &IndexedTable, wanted: &Wanted) -> bool {
    table
        .indexes
        .iter()
        .filter(|index| index.valid)
        .any(|index| {
            shape::spec(index).is_some_and(|spec| {
                spec.method == DEFAULT_METHOD
                    && spec.predicate.is_none()
                    && (covers(&spec.keys, wanted) || (spec.unique && is_point(&spec.keys, wanted)))
            })
        })
}

fn is_point(keys: &[KeySpec], wanted: &Wanted) -> bool {
    let equal = wanted.keys.iter().take(wanted.equal);
    let equal: Vec<&KeyTarget> = equal.map(|key| &key.target).collect();
    keys.iter().all(|key| equal.contains(&&key.target))
}

/// Whether keys begin with what is wanted.
pub fn covers(keys: &[KeySpec], wanted: &Wanted) -> bool {
    if keys.len() < wanted.keys.len() {
        return false;
    }
    let (first, rest) = keys.split_at(wanted.equal);
    let (equal, tail) = wanted.keys.split_at(wanted.equal);
    let all_there = equal
        .iter()
        .all(|key| first.iter().any(|other| other.target == key.target));
    let in_order = |reversed: bool| {
        tail.iter().zip(rest).all(|(key, there)| {
            key.target == there.target
                && (key.desc != there.desc) == reversed
                && (key.nulls_first != there.nulls_first) == reversed
        })
    };
    all_there && (in_order(false) || in_order(true))
}

/// Returns the index that is wanted, under a name that is free.
pub fn index_of(catalog: &IndexCatalog, wanted: &Wanted) -> Option<IndexSpec> {
    let named = |table: &&IndexedTable| table.name == wanted.table;
    let table = catalog.tables.iter().find(named)?;
    Some(spec(catalog, table, wanted.keys.clone()))
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

/// What a query asks of one of its tables.
struct Uses {
    equal: Vec<KeySpec>,
    /// Compared with several values, or NULL.
    among: Vec<KeySpec>,
    joined: Vec<KeySpec>,
    ranges: Vec<KeySpec>,
    /// Empty where another table takes part in it.
    order: Vec<KeySpec>,
}

impl Uses {
    fn of(catalog: &IndexCatalog, query: &Query, at: usize, own: &IndexedTable) -> Self {
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
        let among = of(|how| *how == How::Among);
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
        Self {
            equal,
            among,
            joined,
            ranges,
            order,
        }
    }
}

/// Key lists worth trying for one table of a query.
fn keys(catalog: &IndexCatalog, query: &Query, at: usize, own: &IndexedTable) -> Vec<Vec<KeySpec>> {
    let Uses {
        mut equal,
        among,
        joined,
        ranges,
        order,
    } = Uses::of(catalog, query, at, own);
    let in_order = [equal.clone(), order.clone()].concat();
    equal.extend(among);
    let range = |at: usize| ranges.get(at).cloned().into_iter().collect::<Vec<_>>();
    let mut lists = vec![
        [equal.clone(), range(0)].concat(),
        [equal.clone(), range(1)].concat(),
        in_order,
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
