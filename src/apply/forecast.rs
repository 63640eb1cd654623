//! Who would hold a concurrent build up if it began now: read, never waited for.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio_postgres::GenericClient;

use super::outcome::Blocker;
use crate::ident::QualifiedName;

const BLOCKERS: &str = include_str!("../../sql/observe/build_blockers.sql");

const EXCLUSIVE: &str = include_str!("../../sql/observe/exclusive_lockers.sql");

/// Names the sessions whose DDL keeps a catalog from being read: `pid 7 (psql) waits for ACCESS EXCLUSIVE on t`.
///
/// # Errors
/// The server cannot be asked.
pub async fn exclusive_lockers(client: &impl GenericClient) -> anyhow::Result<Vec<String>> {
    let rows = client
        .query_typed(EXCLUSIVE, &[])
        .await
        .context("reading who locks tables")?;
    rows.iter()
        .map(|row| {
            let pid: i32 = row.try_get("pid")?;
            let relation: String = row.try_get("relation")?;
            let granted: bool = row.try_get("granted")?;
            let application: Option<String> = row.try_get("application_name")?;
            Ok(format!(
                "pid {pid} ({}) {} ACCESS EXCLUSIVE on {relation}",
                application.as_deref().unwrap_or("hidden"),
                if granted { "holds" } else { "waits for" }
            ))
        })
        .collect()
}

/// Open transactions of the database, seen by a build of an index.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Those that a build would wait for; `why` says why. A prepared transaction has pid 0.
    pub blocking: Vec<Blocker>,
    /// Those that it would not wait for.
    pub harmless: Vec<Blocker>,
}

/// Reads who would hold up a concurrent build of an index on one of the tables, longest transaction first.
///
/// # Errors
/// The server cannot be asked.
pub async fn blockers_forecast(
    client: &impl GenericClient,
    tables: &[QualifiedName],
) -> anyhow::Result<Forecast> {
    read(client, tables, &[]).await
}

/// The same without dbops's own sessions.
pub(super) async fn read(
    client: &impl GenericClient,
    tables: &[QualifiedName],
    own: &[i32],
) -> anyhow::Result<Forecast> {
    use tokio_postgres::types::Type;
    let names: Vec<String> = tables.iter().map(QualifiedName::sql).collect();
    let rows = client
        .query_typed(
            BLOCKERS,
            &[(&names, Type::TEXT_ARRAY), (&own, Type::INT4_ARRAY)],
        )
        .await
        .context("reading who would hold up a build")?;
    let mut forecast = Forecast::default();
    for row in &rows {
        let mut blocker = super::observer::blocker(row)?;
        let snapshot: bool = row.try_get("snapshot")?;
        let relation: Option<String> = row.try_get("relation")?;
        let gid: Option<String> = row.try_get("gid")?;
        blocker.mode = row.try_get("mode")?;
        blocker.relation = relation.as_ref().map(|name| {
            tables
                .iter()
                .find(|table| table.sql() == *name)
                .map_or_else(|| name.clone(), ToString::to_string)
        });
        let lock = blocker
            .relation
            .as_ref()
            .map(|relation| match blocker.mode.as_deref() {
                Some("RowExclusiveLock") => format!("its open transaction wrote {relation}"),
                _ => format!("its open transaction holds a lock on {relation}"),
            });
        let what = match (lock, snapshot) {
            (Some(lock), true) => Some(format!("{lock}, and its snapshot is older than the build")),
            (Some(lock), false) => Some(lock),
            (None, true) => Some("its snapshot is older than the build".to_owned()),
            (None, false) => None,
        };
        let blocks = what.is_some();
        blocker.why = Some(match (gid, what) {
            (Some(gid), Some(what)) => format!(
                "prepared transaction `{gid}`: {what}; COMMIT PREPARED or ROLLBACK PREPARED ends it"
            ),
            (Some(gid), None) => format!("prepared transaction `{gid}` wrote none of the tables"),
            (None, Some(what)) => what,
            (None, None) => "it holds no snapshot and has written none of the tables".to_owned(),
        });
        if blocks {
            forecast.blocking.push(blocker);
        } else {
            forecast.harmless.push(blocker);
        }
    }
    for side in [&mut forecast.blocking, &mut forecast.harmless] {
        side.sort_by(|a, b| {
            let age = |blocker: &Blocker| blocker.transaction_seconds.unwrap_or_default();
            age(b).total_cmp(&age(a)).then(a.pid.cmp(&b.pid))
        });
    }
    Ok(forecast)
}
