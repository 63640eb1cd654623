//! The `indexes:` section: one index an entry, by its parts or as SQL.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{
    self, Deserialize, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer,
};
use serde::{Deserialize as DeriveDeserialize, Serialize};

use super::{LockBudget, Origin, scalars};
use crate::changes::changeset::Hazard;
use crate::ident::QualifiedName;

/// One index that should be there: `table`, `name` and `columns`, or `sql`; or `absent`: indexes that should not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, DeriveDeserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexPlan {
    /// Name of the index, as the catalog spells it; required with `table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The table: schema.table, quoted as in SQL where needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<QualifiedName>,
    /// Key columns in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<IndexColumn>,
    /// Access method (default btree).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
    /// Whether the index is unique.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unique: bool,
    /// Whether NULLs count as equal in a unique index (PostgreSQL 15 and later).
    #[serde(default, skip_serializing_if = "is_false")]
    pub nulls_not_distinct: bool,
    /// Columns that are stored in the index and not searched by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Predicate of a partial index, as SQL.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    /// Storage parameters.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "scalars::map"
    )]
    #[schemars(with = "BTreeMap<String, scalars::Scalar>")]
    pub with: BTreeMap<String, String>,
    /// Tablespace; omitted: that of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablespace: Option<String>,
    /// Comment on the index; omitted: a comment that is there is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The constraint that the index enforces, named as the index; omitted: none is added, one that is there stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<IndexConstraint>,
    /// Statistics targets by key position from 1, beside `sql`; by its parts a key has its own `statistics`.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "scalars::positions"
    )]
    #[schemars(with = "BTreeMap<String, i16>")]
    pub statistics: BTreeMap<i16, i16>,
    /// The whole index as a CREATE INDEX statement, instead of the keys that describe it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Names of indexes that should not be there; the entry has no other key but `allow` and `lock_budget`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<QualifiedName>,
    /// Settings of the session that builds the index.
    #[serde(default, skip_serializing_if = "BuildSettings::is_default")]
    pub build: BuildSettings,
    /// Lock budget of this entry; omitted: the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_budget: Option<LockBudget>,
    /// Hazards that may happen to this entry's indexes, by name: `drops-index`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Hazard>,
    /// Where the entry stands.
    #[serde(skip)]
    pub origin: Origin,
}

/// The constraint that an index enforces.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    DeriveDeserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum IndexConstraint {
    /// PRIMARY KEY; its columns become NOT NULL.
    Primary,
    /// UNIQUE.
    Unique,
}

/// Settings of the session that builds an index; what is omitted is the server's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, DeriveDeserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildSettings {
    /// `maintenance_work_mem`, with a unit as in postgresql.conf: `1GB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_work_mem: Option<String>,
    /// `max_parallel_maintenance_workers`; 0: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_workers: Option<u16>,
}

impl BuildSettings {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// One key column: its name alone, or a mapping with what differs from the default.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum IndexColumn {
    /// A column by its name, as the catalog spells it.
    Name(String),
    /// A column or expression with its order.
    Key(IndexKey),
}

/// A key column with its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, DeriveDeserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexKey {
    /// A column by its name; this or `expression`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// An expression, as SQL without outer parentheses; this or `column`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expr: Option<String>,
    /// Whether it is sorted descending (default false).
    #[serde(default, skip_serializing_if = "is_false")]
    pub desc: bool,
    /// Where NULLs go (default last, with `desc` first).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nulls: Option<Nulls>,
    /// Collation, as in SQL: `"C"`, `"de-x-icu"`; default that of the column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collate: Option<String>,
    /// Operator class, with its options as in SQL: `gist_trgm_ops(siglen = 32)`; default that of the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opclass: Option<String>,
    /// Statistics target of an expression; omitted: a target that is there is left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<i16>,
}

/// Where NULLs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, DeriveDeserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Nulls {
    /// Before all other values.
    First,
    /// After all other values.
    Last,
}

impl Serialize for IndexColumn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => serializer.serialize_str(name),
            Self::Key(key) => key.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for IndexColumn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not derived as untagged: that would lose the place and the words of a mistake inside.
        deserializer.deserialize_any(ColumnVisitor)
    }
}

struct ColumnVisitor;

impl<'de> Visitor<'de> for ColumnVisitor {
    type Value = IndexColumn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the name of a column, or a mapping such as `{ column: created_at, desc: true }`",
        )
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<IndexColumn, E> {
        Ok(IndexColumn::Name(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<IndexColumn, A::Error> {
        IndexKey::deserialize(MapAccessDeserializer::new(map)).map(IndexColumn::Key)
    }
}
