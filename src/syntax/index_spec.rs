//! An index as data: what CREATE INDEX says, whoever wrote it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ident::{QualifiedName, quote_ident, quote_if_needed, quote_literal};

/// The access method of an index that names none.
pub const DEFAULT_METHOD: &str = "btree";

/// What one CREATE INDEX statement says, with its defaults filled in.
///
/// Texts of expressions and predicates are as written; only a server can say whether two of them mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexSpec {
    /// Name of the index; `None` where the statement leaves it to the server.
    pub name: Option<String>,
    /// The table.
    pub table: QualifiedName,
    /// Access method, lower case.
    pub method: String,
    /// Whether it is unique.
    pub unique: bool,
    /// Whether NULLs count as equal (15 and later).
    pub nulls_not_distinct: bool,
    /// Key columns in order.
    pub keys: Vec<KeySpec>,
    /// Columns that are stored and not searched by.
    pub include: Vec<String>,
    /// Predicate of a partial index.
    pub predicate: Option<String>,
    /// Storage parameters, names in lower case.
    pub with: BTreeMap<String, String>,
    /// Tablespace; `None`: that of the database.
    pub tablespace: Option<String>,
}

/// One key column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySpec {
    /// What is indexed.
    pub target: KeyTarget,
    /// Collation; `None`: that of the column or expression.
    pub collate: Option<ObjectName>,
    /// Operator class; `None`: the type's default.
    pub opclass: Option<ObjectName>,
    /// Options of the operator class (`siglen=32`).
    pub opclass_options: BTreeMap<String, String>,
    /// Whether it is sorted descending.
    pub desc: bool,
    /// Whether NULLs come first.
    pub nulls_first: bool,
}

impl KeySpec {
    /// A plain ascending key.
    pub fn plain(target: KeyTarget) -> Self {
        Self {
            target,
            collate: None,
            opclass: None,
            opclass_options: BTreeMap::new(),
            desc: false,
            nulls_first: false,
        }
    }
}

/// What a key column is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyTarget {
    /// A column, as the catalog spells it.
    Column(String),
    /// An expression as SQL, without outer parentheses.
    Expression(String),
}

/// Name of a collation or operator class, with or without its schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectName {
    /// Its schema, where one was written.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

impl ObjectName {
    fn sql(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quote_ident(schema), quote_ident(&self.name)),
            None => quote_ident(&self.name),
        }
    }
}

/// Displays the name as a person would write it.
impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", quote_if_needed(schema))?;
        }
        f.write_str(&quote_if_needed(&self.name))
    }
}

/// How CREATE INDEX builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// `CREATE INDEX CONCURRENTLY`.
    Concurrently,
    /// `CREATE INDEX … ON ONLY`: a partitioned table's index without those of its partitions.
    Only,
    /// `CREATE INDEX`, which blocks writers.
    Plain,
}

impl IndexSpec {
    /// Returns the key columns that are plain columns, in order.
    pub fn key_columns(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| match &key.target {
            KeyTarget::Column(name) => Some(name.as_str()),
            KeyTarget::Expression(_) => None,
        })
    }

    /// Returns the texts that only a server can compare: key expressions in order, then the predicate.
    pub fn expressions(&self) -> impl Iterator<Item = &str> {
        self.keys
            .iter()
            .filter_map(|key| match &key.target {
                KeyTarget::Expression(text) => Some(text.as_str()),
                KeyTarget::Column(_) => None,
            })
            .chain(self.predicate.as_deref())
    }

    /// Returns the statement, every name quoted and the table with its schema, without a semicolon.
    ///
    /// `table` and `name` replace those of the spec: for partitions and for builds under another name.
    pub fn sql(&self, build: Build, table: &QualifiedName, name: &str) -> String {
        let unique = if self.unique { "unique " } else { "" };
        let concurrently = if build == Build::Concurrently {
            "concurrently "
        } else {
            ""
        };
        let only = if build == Build::Only { "only " } else { "" };
        let mut sql = format!(
            "create {unique}index {concurrently}{} on {only}{} using {} ({})",
            quote_ident(name),
            table.sql(),
            quote_ident(&self.method),
            self.keys
                .iter()
                .map(KeySpec::sql)
                .collect::<Vec<_>>()
                .join(", ")
        );
        if !self.include.is_empty() {
            let columns: Vec<String> = self.include.iter().map(|name| quote_ident(name)).collect();
            sql.push_str(&format!(" include ({})", columns.join(", ")));
        }
        if self.nulls_not_distinct {
            sql.push_str(" nulls not distinct");
        }
        if !self.with.is_empty() {
            sql.push_str(&format!(" with ({})", options(&self.with)));
        }
        if let Some(tablespace) = &self.tablespace {
            sql.push_str(&format!(" tablespace {}", quote_ident(tablespace)));
        }
        if let Some(predicate) = &self.predicate {
            sql.push_str(&format!(" where ({predicate})"));
        }
        sql
    }
}

impl KeySpec {
    fn sql(&self) -> String {
        let mut sql = match &self.target {
            KeyTarget::Column(name) => quote_ident(name),
            KeyTarget::Expression(text) => format!("({text})"),
        };
        if let Some(collate) = &self.collate {
            sql.push_str(&format!(" collate {}", collate.sql()));
        }
        if let Some(opclass) = &self.opclass {
            sql.push_str(&format!(" {}", opclass.sql()));
            if !self.opclass_options.is_empty() {
                sql.push_str(&format!(" ({})", options(&self.opclass_options)));
            }
        }
        if self.desc {
            sql.push_str(" desc");
        }
        if self.nulls_first != self.desc {
            sql.push_str(if self.nulls_first {
                " nulls first"
            } else {
                " nulls last"
            });
        }
        sql
    }
}

/// `"fillfactor" = '90', "pages_per_range" = '32'`.
fn options(options: &BTreeMap<String, String>) -> String {
    options
        .iter()
        .map(|(name, value)| format!("{} = {}", quote_ident(name), quote_literal(value)))
        .collect::<Vec<_>>()
        .join(", ")
}
