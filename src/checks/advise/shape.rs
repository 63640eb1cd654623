//! Indexes in the form in which they are compared: names resolved by the catalog, expressions folded by the
//! planner. What cannot be read is not compared.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::catalog::index_model::{
    Fold, Folded, IndexCatalog, IndexedTable, LiveIndex, TableColumn,
};
use crate::ident::QualifiedName;
use crate::syntax::{IndexSpec, KeyTarget, create_index};

/// Schema and name of an operator class or collation.
type Name = (String, String);

/// One index as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) method: String,
    pub(super) unique: bool,
    pub(super) nulls_not_distinct: bool,
    pub(super) keys: Vec<Key>,
    pub(super) include: BTreeSet<String>,
    pub(super) predicate: Option<String>,
    /// Storage parameters that decide what the index can answer, not only how it is stored.
    pub(super) parameters: BTreeMap<String, String>,
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) target: KeyTarget,
    pub(super) opclass: Name,
    pub(super) opclass_options: BTreeMap<String, String>,
    pub(super) collation: Option<Name>,
    pub(super) desc: bool,
    pub(super) nulls_first: bool,
}

/// How the keys of one index stand to those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Same,
    Reversed,
}

impl Key {
    fn same(&self, other: &Self, order: Order) -> bool {
        let sorted_alike = match order {
            Order::Same => self.desc == other.desc && self.nulls_first == other.nulls_first,
            Order::Reversed => self.desc != other.desc && self.nulls_first != other.nulls_first,
        };
        sorted_alike
            && self.target == other.target
            && self.opclass == other.opclass
            && self.opclass_options == other.opclass_options
            && self.collation == other.collation
    }

    pub(super) fn column(&self) -> Option<&str> {
        match &self.target {
            KeyTarget::Column(name) => Some(name),
            KeyTarget::Expression(_) => None,
        }
    }

    /// Whether a comparison by the column's own `=` can use this key: another collation than the column's
    /// cannot serve it.
    pub(super) fn serves_equality(&self, columns: &[TableColumn]) -> bool {
        self.column().is_some_and(|name| {
            columns
                .iter()
                .any(|column| column.name == name && column.collation == self.collation)
        })
    }
}

impl Shape {
    /// Whether the order of keys decides what an index can answer.
    fn ordered(&self) -> bool {
        self.method == "btree"
    }

    /// Returns how the keys of this index are the leading keys of the other one, if they are; for an
    /// unordered method all of them must be the same.
    pub(super) fn leads(&self, other: &Self) -> Option<Order> {
        if self.method != other.method || self.keys.len() > other.keys.len() {
            return None;
        }
        if self.ordered() {
            return [Order::Same, Order::Reversed].into_iter().find(|&order| {
                self.keys
                    .iter()
                    .zip(&other.keys)
                    .all(|(mine, theirs)| mine.same(theirs, order))
            });
        }
        let equal = if matches!(self.method.as_str(), "gin" | "brin") {
            // These answer conditions on any of their columns alike, whatever the order.
            // https://www.postgresql.org/docs/current/indexes-multicolumn.html
            self.keys.len() == other.keys.len()
                && self
                    .keys
                    .iter()
                    .all(|mine| other.keys.iter().any(|key| mine.same(key, Order::Same)))
                && other
                    .keys
                    .iter()
                    .all(|key| self.keys.iter().any(|mine| mine.same(key, Order::Same)))
        } else {
            self.keys == other.keys
        };
        (equal && self.parameters == other.parameters).then_some(Order::Same)
    }

    /// Whether every included column is in the other index, key or not.
    pub(super) fn included_in(&self, other: &Self) -> bool {
        self.include.iter().all(|name| {
            other.include.contains(name)
                || (self.ordered() && other.keys.iter().any(|key| key.column() == Some(name)))
        })
    }
}

/// The shapes of all valid indexes, by oid.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    by_oid: HashMap<u32, Shape>,
}

impl Shapes {
    pub(super) fn of(catalog: &IndexCatalog, folds: &[Fold]) -> Self {
        let folds: HashMap<(&QualifiedName, &str), &str> = folds
            .iter()
            .filter_map(|fold| match &fold.folded {
                Folded::Text(text) => Some(((&fold.table, fold.text.as_str()), text.as_str())),
                Folded::Refused(_) | Folded::Unknown(_) => None,
            })
            .collect();
        let mut by_oid = HashMap::new();
        for table in &catalog.tables {
            for index in &table.indexes {
                if let Some(shape) = read(table, index, &folds) {
                    by_oid.insert(index.oid, shape);
                }
            }
        }
        Self { by_oid }
    }

    pub(super) fn get(&self, index: &LiveIndex) -> Option<&Shape> {
        self.by_oid.get(&index.oid)
    }
}

/// Returns the expressions and the predicate of an index as the server prints them.
pub(super) fn texts(index: &LiveIndex) -> Vec<String> {
    spec(index).map_or_else(Vec::new, |spec| {
        spec.expressions().map(str::to_owned).collect()
    })
}

/// Returns what an index's definition says.
pub(super) fn spec(index: &LiveIndex) -> Option<IndexSpec> {
    create_index(&index.definition).ok().map(|read| read.spec)
}

fn read(
    table: &IndexedTable,
    index: &LiveIndex,
    folds: &HashMap<(&QualifiedName, &str), &str>,
) -> Option<Shape> {
    let spec = spec(index)?;
    if spec.keys.len() != index.keys.len() {
        return None;
    }
    // A text that could not be folded still equals itself.
    let folded = |text: &str| {
        folds
            .get(&(&table.name, text))
            .map_or_else(|| format!("as printed: {text}"), |text| (*text).to_owned())
    };
    let keys = spec
        .keys
        .iter()
        .zip(&index.keys)
        .map(|(written, live)| Key {
            target: match (&live.column, &written.target) {
                (Some(name), _) => KeyTarget::Column(name.clone()),
                (None, KeyTarget::Expression(text)) => KeyTarget::Expression(folded(text)),
                (None, KeyTarget::Column(name)) => KeyTarget::Expression(folded(name)),
            },
            opclass: live.opclass.clone(),
            opclass_options: written.opclass_options.clone(),
            collation: live.collation.clone(),
            desc: written.desc,
            nulls_first: written.nulls_first,
        })
        .collect();
    let stored_only = matches!(
        spec.method.as_str(),
        "btree" | "hash" | "gin" | "gist" | "spgist"
    );
    Some(Shape {
        unique: spec.unique,
        nulls_not_distinct: spec.nulls_not_distinct,
        keys,
        include: spec.include.iter().cloned().collect(),
        predicate: spec.predicate.as_deref().map(folded),
        parameters: if stored_only {
            BTreeMap::new()
        } else {
            index.reloptions.clone()
        },
        method: spec.method,
    })
}
