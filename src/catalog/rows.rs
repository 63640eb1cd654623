//! Runs the queries of `sql.rs` and takes their rows apart.

use std::collections::HashMap;

use anyhow::{Context, Result};
use futures_util::{StreamExt, pin_mut};
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Row, Transaction};

use crate::ident::QualifiedName;
use crate::sql::{self, Query};

/// Rows of several tables, by the table's oid.
pub(super) type ByTable<T> = HashMap<u32, Vec<T>>;

/// A transaction and the version that its queries are picked for.
pub(super) struct Reader<'a> {
    /// The transaction the caller opened.
    pub(super) tx: &'a Transaction<'a>,
    /// `server_version_num`.
    pub(super) version_num: i32,
}

impl Reader<'_> {
    /// Runs a query and hands each row to `each` as it arrives, so that the rows of a large catalog
    /// are never held twice.
    ///
    /// Statements are unnamed and their types stated, which saves a round trip and works through a
    /// pooler in transaction mode.
    pub(super) async fn each(
        &self,
        query: &Query,
        params: &[&(dyn ToSql + Sync)],
        mut each: impl FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        let typed = params.iter().copied().zip(query.params.iter().cloned());
        let what = || format!("reading `{}`", query.name);
        let rows = self
            .tx
            .query_typed_raw(&sql::marked(sql::pick(query, self.version_num)), typed)
            .await
            .with_context(what)?;
        pin_mut!(rows);
        while let Some(row) = rows.next().await {
            each(&row.with_context(what)?).with_context(what)?;
        }
        Ok(())
    }

    /// Runs a query and returns what `row` makes of each row.
    pub(super) async fn list<T>(
        &self,
        query: &Query,
        params: &[&(dyn ToSql + Sync)],
        row: impl Fn(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut list = Vec::new();
        self.each(query, params, |r| {
            list.push(row(r)?);
            Ok(())
        })
        .await?;
        Ok(list)
    }

    /// Runs a query whose `$1` is the oids of tables, and groups its rows by `table_oid`.
    ///
    /// Without a table nothing is sent.
    pub(super) async fn by_table<T>(
        &self,
        query: &Query,
        oids: &[u32],
        more: &[&(dyn ToSql + Sync)],
        row: impl Fn(&Row) -> Result<T>,
    ) -> Result<ByTable<T>> {
        let mut grouped: ByTable<T> = HashMap::new();
        if oids.is_empty() {
            return Ok(grouped);
        }
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&oids];
        params.extend_from_slice(more);
        self.each(query, &params, |r| {
            grouped
                .entry(get(r, "table_oid")?)
                .or_default()
                .push(row(r)?);
            Ok(())
        })
        .await?;
        Ok(grouped)
    }
}

/// Returns a column's value; a missing column, a wrong type or an unexpected null is an error.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T> {
    row.try_get(column)
        .with_context(|| format!("reading its column `{column}`"))
}

/// Returns the relation's name from `schema_name` and `name`.
pub(super) fn name(row: &Row) -> Result<QualifiedName> {
    Ok(QualifiedName {
        schema: get(row, "schema_name")?,
        name: get(row, "name")?,
    })
}

/// Returns the only character of a catalog letter; `?` when the server sends none.
pub(super) fn letter(text: &str) -> char {
    text.chars().next().unwrap_or('?')
}
