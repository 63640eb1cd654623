//! Which columns of a database lead from one table to another: its keys and foreign keys.

use anyhow::{Context as _, Result};
use serde::Deserialize;
use tokio_postgres::Transaction;

use super::key_model::{Column, ForeignKey, Schema, Table};
use super::rows::{Reader, get};
use crate::sql;

#[derive(Deserialize)]
struct Key {
    primary: bool,
    columns: Vec<String>,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
    target: String,
    columns: Vec<String>,
    target_columns: Vec<String>,
}

/// Reads the keys of all tables of the database that the role is told of; names of tables are those without schema.
///
/// # Errors
/// The connection fails.
pub async fn keys(tx: &Transaction<'_>, version_num: i32) -> Result<Schema> {
    let reader = Reader { tx, version_num };
    let rows = reader
        .list(&sql::KEYS, &[], |row| {
            let names: Vec<String> = get(row, "columns")?;
            let types: Vec<String> = get(row, "types")?;
            let keys: Vec<Key> = list(get(row, "keys")?)?;
            let references: Vec<Reference> = list(get(row, "foreign_keys")?)?;
            let table = Table {
                schema: get(row, "schema_name")?,
                name: get(row, "name")?,
                columns: names
                    .into_iter()
                    .zip(types)
                    .map(|(name, type_name)| Column { name, type_name })
                    .collect(),
                primary_key: keys
                    .iter()
                    .find(|key| key.primary)
                    .map(|key| key.columns.clone())
                    .unwrap_or_default(),
                unique_keys: keys
                    .into_iter()
                    .filter(|key| !key.primary)
                    .map(|key| key.columns)
                    .collect(),
            };
            Ok((table, references))
        })
        .await?;
    let mut schema = Schema::default();
    for (table, references) in rows {
        schema
            .foreign_keys
            .extend(references.into_iter().map(|reference| ForeignKey {
                name: reference.name,
                table: table.name.clone(),
                columns: reference.columns,
                target: reference.target,
                target_columns: reference.target_columns,
            }));
        schema.tables.push(table);
    }
    Ok(schema)
}

/// Returns the name of the database that the session is in.
///
/// # Errors
/// The connection fails.
pub async fn database(tx: &Transaction<'_>) -> Result<String> {
    let sql = sql::marked("select pg_catalog.current_database()::pg_catalog.text");
    let row = tx.query_typed(&sql, &[]).await?;
    let row = row.first().context("the server has no database")?;
    Ok(row.try_get(0)?)
}

fn list<T: for<'a> Deserialize<'a>>(value: Option<serde_json::Value>) -> Result<Vec<T>> {
    Ok(match value {
        Some(value) => serde_json::from_value(value)?,
        None => Vec::new(),
    })
}
