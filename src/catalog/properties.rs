//! What a new partition must follow and one row of the catalog cannot tell: policies and grants.

use anyhow::Result;
use tokio_postgres::Row;

use super::model::{DefaultGrant, Grant, RowPolicy};
use super::rows::{ByTable, Reader, get};
use crate::sql;

/// Reads the row security policies of tables, sorted by name.
pub(super) async fn policies(reader: &Reader<'_>, oids: &[u32]) -> Result<ByTable<RowPolicy>> {
    reader
        .by_table(&sql::POLICIES, oids, &[], |row| {
            Ok(RowPolicy {
                name: get(row, "name")?,
                permissive: get(row, "permissive")?,
                command: get(row, "command")?,
                roles: get(row, "roles")?,
                using: get(row, "using_expression")?,
                check: get(row, "check_expression")?,
            })
        })
        .await
}

/// Reads the grants on tables and their columns, sorted; built-in defaults are spelled out.
pub(super) async fn grants(reader: &Reader<'_>, oids: &[u32]) -> Result<ByTable<Grant>> {
    let mut grants = reader
        .by_table(&sql::GRANTS, oids, &[], |row| {
            Ok(Grant {
                column: get(row, "column_name")?,
                ..grant(row)?
            })
        })
        .await?;
    for list in grants.values_mut() {
        list.sort();
    }
    Ok(grants)
}

/// Reads what ALTER DEFAULT PRIVILEGES gives to tables the role creates, sorted.
pub(super) async fn default_grants(reader: &Reader<'_>) -> Result<Vec<DefaultGrant>> {
    let mut list = reader
        .list(&sql::DEFAULT_GRANTS, &[], |row| {
            Ok(DefaultGrant {
                schema: get(row, "schema_name")?,
                grant: grant(row)?,
            })
        })
        .await?;
    list.sort();
    Ok(list)
}

fn grant(row: &Row) -> Result<Grant> {
    Ok(Grant {
        column: None,
        grantee: get(row, "grantee")?,
        privilege: get(row, "privilege")?,
        grantable: get(row, "grantable")?,
    })
}
