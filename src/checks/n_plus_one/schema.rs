//! Tables, keys and foreign keys as far as they are known, and the links between columns that follow from them,
//! from joins that the statements make, and from names.

use std::collections::{BTreeMap, BTreeSet};

use super::observation::Group;
pub use crate::catalog::key_model::{Column, ForeignKey, Schema, Table};
use crate::syntax::shape::{ColumnUse, Shape};

/// From a column that refers to the column that it refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    pub(super) table: String,
    pub(super) column: String,
    pub(super) target: String,
    pub(super) target_column: String,
    /// Name of the foreign key; `None`: read from a join or from names.
    pub(super) foreign_key: Option<String>,
}

/// What a column is to its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnClass {
    /// Refers to another table.
    ForeignKey,
    /// The table's own key, made up: a number or a UUID.
    PrimaryKey,
    /// A key with a meaning of its own: a token, an e-mail address.
    NaturalKey,
    /// Nothing that is known.
    Other,
}

/// The links of a group's statements.
#[derive(Debug, Clone, Default)]
pub(super) struct Links {
    all: BTreeSet<Link>,
    tables: BTreeMap<String, Table>,
    /// Columns that most statements compare with a value: of the tenant, of soft deletion.
    pub(super) ambient: BTreeSet<String>,
}

impl Links {
    pub(super) fn new(schema: &Schema, group: &Group) -> Self {
        let mut links = Self {
            ambient: ambient(group),
            ..Self::default()
        };
        for table in &schema.tables {
            links.tables.insert(table.name.clone(), table.clone());
        }
        for key in &schema.foreign_keys {
            for (column, target_column) in key.columns.iter().zip(&key.target_columns) {
                if key.columns.len() > 1 && links.ambient.contains(column) {
                    continue;
                }
                links.all.insert(Link {
                    table: key.table.clone(),
                    column: column.clone(),
                    target: key.target.clone(),
                    target_column: target_column.clone(),
                    foreign_key: Some(key.name.clone()),
                });
            }
        }
        links.infer(schema, group);
        links
    }

    /// Links of a column of a table, outwards.
    pub(super) fn from<'a>(
        &'a self,
        table: &'a str,
        column: &'a str,
    ) -> impl Iterator<Item = &'a Link> {
        self.all
            .iter()
            .filter(move |link| link.table == table && link.column == column)
    }

    /// Links to a table.
    pub(super) fn to<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a Link> {
        self.all.iter().filter(move |link| link.target == table)
    }

    /// Whether the catalog has the table: what it does not call unique then is not.
    pub(super) fn knows(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    pub(super) fn class(&self, table: &str, column: &str) -> ColumnClass {
        if self.from(table, column).next().is_some() {
            return ColumnClass::ForeignKey;
        }
        let referred = self.to(table).any(|link| link.target_column == column);
        let Some(known) = self.tables.get(table) else {
            return if referred || looks_like_own_key(table, column) {
                ColumnClass::PrimaryKey
            } else {
                ColumnClass::Other
            };
        };
        let alone = |key: &Vec<String>| {
            let rest: Vec<&String> = key
                .iter()
                .filter(|name| !self.ambient.contains(*name))
                .collect();
            rest == [column]
        };
        let type_name = known
            .columns
            .iter()
            .find(|found| found.name == column)
            .map_or("", |found| found.type_name.as_str());
        let made_up = matches!(type_name, "integer" | "bigint" | "smallint" | "uuid") || referred;
        if alone(&known.primary_key) {
            if made_up || (type_name.is_empty() && looks_like_own_key(table, column)) {
                ColumnClass::PrimaryKey
            } else {
                ColumnClass::NaturalKey
            }
        } else if known.unique_keys.iter().any(alone) {
            if referred {
                ColumnClass::PrimaryKey
            } else {
                ColumnClass::NaturalKey
            }
        } else if referred {
            ColumnClass::PrimaryKey
        } else {
            ColumnClass::Other
        }
    }

    /// Adds what joins and names say, where the catalog says nothing of the column.
    fn infer(&mut self, schema: &Schema, group: &Group) {
        let mut columns: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for statement in &group.statements {
            for table in &statement.shape.tables {
                columns.entry(table.name.clone()).or_default();
            }
            for column in named_columns(&statement.shape) {
                if let Some(table) = table_of(&statement.shape, column) {
                    columns
                        .entry(table.to_owned())
                        .or_default()
                        .insert(column.name.clone());
                }
            }
            if let Some(target) = statement.shape.tables.iter().find(|table| table.written) {
                let known = columns.entry(target.name.clone()).or_default();
                known.extend(statement.shape.set_columns.iter().cloned());
            }
        }
        for table in &schema.tables {
            let known = columns.entry(table.name.clone()).or_default();
            known.extend(table.columns.iter().map(|column| column.name.clone()));
        }
        let declared: BTreeSet<(String, String)> = self
            .all
            .iter()
            .map(|link| (link.table.clone(), link.column.clone()))
            .collect();
        let mut found = BTreeSet::new();
        for statement in &group.statements {
            for (one, other) in &statement.shape.joins {
                found.extend(self.link_of(&statement.shape, one, other));
            }
        }
        let tables: Vec<&String> = columns.keys().collect();
        for (table, names) in &columns {
            for name in names {
                if self.ambient.contains(name) || looks_like_own_key(table, name) {
                    continue;
                }
                for target in &tables {
                    if *target != table && names_table(name, target) {
                        found.insert(Link {
                            table: table.clone(),
                            column: name.clone(),
                            target: (*target).clone(),
                            target_column: self.own_key(target),
                            foreign_key: None,
                        });
                    }
                }
            }
        }
        found.retain(|link| !declared.contains(&(link.table.clone(), link.column.clone())));
        self.all.extend(found);
    }

    fn own_key(&self, table: &str) -> String {
        match self
            .tables
            .get(table)
            .map(|table| table.primary_key.as_slice())
        {
            Some([one]) => one.clone(),
            _ => "id".to_owned(),
        }
    }

    /// `a.x = b.y`: towards the side that is a key of its table.
    fn link_of(&self, shape: &Shape, one: &ColumnUse, other: &ColumnUse) -> Option<Link> {
        let (from, to) = (table_of(shape, one)?, table_of(shape, other)?);
        let key = |table: &str, column: &str| match self.tables.get(table) {
            Some(known) => {
                known.primary_key == [column]
                    || known.unique_keys.iter().any(|key| *key == [column])
            }
            None => looks_like_own_key(table, column),
        };
        let link = |table: &str, column: &str, target: &str, target_column: &str| Link {
            table: table.to_owned(),
            column: column.to_owned(),
            target: target.to_owned(),
            target_column: target_column.to_owned(),
            foreign_key: None,
        };
        if from == to || self.ambient.contains(&one.name) || self.ambient.contains(&other.name) {
            return None;
        }
        match (key(from, &one.name), key(to, &other.name)) {
            (false, true) => Some(link(from, &one.name, to, &other.name)),
            (true, false) => Some(link(to, &other.name, from, &one.name)),
            (true, true) if one.name.len() > other.name.len() => {
                Some(link(from, &one.name, to, &other.name))
            }
            (true, true) if other.name.len() > one.name.len() => {
                Some(link(to, &other.name, from, &one.name))
            }
            _ => None,
        }
    }
}

/// Name of the table that a column belongs to, where that is certain.
pub(super) fn table_of<'a>(shape: &'a Shape, column: &ColumnUse) -> Option<&'a str> {
    let index = column.table.or(if shape.tables.len() == 1 {
        Some(0)
    } else {
        None
    })?;
    shape.tables.get(index).map(|table| table.name.as_str())
}

fn named_columns(shape: &Shape) -> impl Iterator<Item = &ColumnUse> {
    shape
        .equalities
        .iter()
        .map(|equality| &equality.column)
        .chain(shape.joins.iter().flat_map(|(one, other)| [one, other]))
        .chain(&shape.ranges)
        .chain(&shape.sorts)
}

/// Columns compared with a value in most statements that have a condition, over at least three tables.
fn ambient(group: &Group) -> BTreeSet<String> {
    let mut conditional = 0usize;
    let mut seen: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for statement in &group.statements {
        let shape = &statement.shape;
        if shape.equalities.is_empty() {
            continue;
        }
        conditional += 1;
        let names: BTreeSet<&str> = shape
            .equalities
            .iter()
            .map(|equality| equality.column.name.as_str())
            .collect();
        for name in names {
            let (count, tables) = seen.entry(name).or_default();
            // A column that stands alone is what the statement looks for.
            if shape.equalities.len() > 1 {
                *count += 1;
                tables.extend(shape.tables.first().map(|table| table.name.as_str()));
            }
        }
    }
    seen.into_iter()
        .filter(|(_, (count, tables))| *count * 2 > conditional && tables.len() >= 3)
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn looks_like_own_key(table: &str, column: &str) -> bool {
    let column = plain(column);
    let table = plain(table);
    matches!(
        column.as_str(),
        "id" | "uuid" | "guid" | "pk" | "oid" | "gid" | "nr" | "no" | "key_id"
    ) || ["id", "uuid", "nr", "no", "pk"].iter().any(|ending| {
        column
            .strip_suffix(ending)
            .is_some_and(|stem| singular(&table) == singular(stem))
    })
}

/// Whether a column is named after a table: `user_id`, `userId`, `id_user`, `fk_user`, `users_uuid`.
fn names_table(column: &str, table: &str) -> bool {
    let column = plain(column);
    let table = plain(table);
    let wanted = singular(&table);
    if wanted.len() < 2 {
        return false;
    }
    for ending in ["uuid", "guid", "id", "nr", "no", "ref", "fk", "key"] {
        if let Some(stem) = column.strip_suffix(ending)
            && !stem.is_empty()
        {
            let stem = singular(stem);
            if stem == wanted || (stem.len() >= 4 && wanted.ends_with(&stem)) {
                return true;
            }
        }
    }
    ["id", "fk"].iter().any(|start| {
        column
            .strip_prefix(start)
            .is_some_and(|stem| singular(stem) == wanted)
    })
}

fn plain(name: &str) -> String {
    name.chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

fn singular(name: &str) -> String {
    if let Some(stem) = name.strip_suffix("ies") {
        return format!("{stem}y");
    }
    for ending in ["sses", "shes", "ches", "xes"] {
        if name.ends_with(ending) {
            return name.trim_end_matches("es").to_owned();
        }
    }
    match name.strip_suffix('s') {
        Some(stem) if !name.ends_with("ss") && stem.len() > 1 => stem.to_owned(),
        _ => name.to_owned(),
    }
}
