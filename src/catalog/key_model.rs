//! Keys of a database as plain data: columns, unique keys and foreign keys of its tables.

use serde::{Deserialize, Serialize};

/// What is known of a database; empty where nothing is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// Its tables.
    pub tables: Vec<Table>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Schema it is in.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its columns in order.
    pub columns: Vec<Column>,
    /// Columns of its primary key.
    pub primary_key: Vec<String>,
    /// Its other unique keys.
    pub unique_keys: Vec<Vec<String>>,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as the server prints it: `integer`, `uuid`.
    pub type_name: String,
}

/// A foreign key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its name.
    pub name: String,
    /// Table that refers.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// Table referred to.
    pub target: String,
    /// Columns referred to.
    pub target_columns: Vec<String>,
}
