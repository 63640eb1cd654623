//! Asks the planner, by HypoPG, what it would do with indexes that are not there. Nothing is run or written.
//! <https://hypopg.readthedocs.io>

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Transaction};

use super::plans::take_path;
use crate::ident::quote_ident;
use crate::syntax::statement::Statement;
use crate::syntax::{Build, IndexSpec};

/// What the planner said to the candidates of one statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Proofs {
    /// The server does not plan the statement, and says why.
    NotPlanned(String),
    /// It was asked.
    Asked {
        /// The planner's cost of the statement as things are.
        cost: f64,
        /// One answer a candidate, in order.
        proofs: Vec<Proof>,
    },
}

/// What the planner said to one candidate.
#[derive(Debug, Clone, PartialEq)]
pub enum Proof {
    /// It would use the index.
    Used {
        /// Its cost of the statement with the index.
        cost: f64,
        /// HypoPG's estimate of the index's size; `None`: not known.
        bytes: Option<i64>,
    },
    /// It would not.
    NotUsed,
    /// There can be no such index, or HypoPG cannot imagine it.
    Refused(String),
}

/// Planning that takes longer than this is given up, in milliseconds.
const PLAN_TIMEOUT_MS: u32 = 10_000;

const NAME: &str = "dbops_advise";

/// Asks for one statement. `schema` is where HypoPG is installed.
///
/// Names without a schema are looked for as sessions of `role` do, by its OID; `None`: as those of the role that is
/// connected. Parameters (`$1`) stay open: the
/// plan is the generic one.
///
/// # Errors
/// The connection fails; what the server refuses is part of the answer.
pub async fn prove(
    tx: &Transaction<'_>,
    schema: &str,
    statement: &Statement,
    candidates: &[IndexSpec],
    role: Option<u32>,
) -> Result<Proofs> {
    let before = match attempt(tx, role, explain(tx, statement)).await? {
        Ok(plan) => plan,
        Err(reason) => return Ok(Proofs::NotPlanned(reason)),
    };
    let mut proofs = Vec::new();
    for candidate in candidates {
        let proof = match attempt(tx, role, imagined(tx, schema, statement, candidate)).await? {
            Ok(proof) => proof,
            Err(reason) => {
                // An error rolls back everything but what HypoPG keeps in memory.
                let forget = format!("select /* dbops */ {}.hypopg_reset()", quote_ident(schema));
                query(tx, &forget, &[]).await?;
                Proof::Refused(reason)
            }
        };
        proofs.push(proof);
    }
    Ok(Proofs::Asked {
        cost: before.cost,
        proofs,
    })
}

/// Runs something in a savepoint; what the server refuses is the inner error.
async fn attempt<T>(
    tx: &Transaction<'_>,
    role: Option<u32>,
    doing: impl Future<Output = Result<T>>,
) -> Result<Result<T, String>> {
    tx.batch_execute(&format!(
        "savepoint /* dbops */ {NAME}; set /* dbops */ local search_path to default; set /* dbops */ local plan_cache_mode = force_generic_plan; \
         set /* dbops */ local statement_timeout = {PLAN_TIMEOUT_MS}"
    ))
    .await
    .context("preparing to ask the planner")?;
    let done = async {
        if let Some(role) = role {
            take_path(tx, role).await?;
        }
        doing.await
    }
    .await;
    tx.batch_execute(&format!(
        "rollback to savepoint /* dbops */ {NAME}; release savepoint /* dbops */ {NAME}"
    ))
    .await
    .context("putting the settings back")?;
    match done {
        Ok(value) => Ok(Ok(value)),
        Err(error) if server_message(&error).is_some() => {
            // A prepared statement outlives the savepoint.
            let left =
                "select /* dbops */ from pg_catalog.pg_prepared_statements as p where p.name = $1";
            if !query(tx, left, &[(&NAME, Type::TEXT)]).await?.is_empty() {
                query(tx, &format!("deallocate /* dbops */ {NAME}"), &[]).await?;
            }
            Ok(Err(server_message(&error).unwrap_or_default()))
        }
        Err(error) => Err(error),
    }
}

fn server_message(error: &anyhow::Error) -> Option<String> {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<tokio_postgres::Error>())
        .find_map(|cause| cause.as_db_error())
        .map(|server| format!("{} (SQLSTATE {})", server.message(), server.code().code()))
}

/// What EXPLAIN says, as far as it matters here.
struct Plan {
    cost: f64,
    indexes: Vec<String>,
}

async fn imagined(
    tx: &Transaction<'_>,
    schema: &str,
    statement: &Statement,
    candidate: &IndexSpec,
) -> Result<Proof> {
    let name = candidate.name.as_deref().unwrap_or_default();
    let definition = candidate.sql(Build::Plain, &candidate.table, name);
    let schema = quote_ident(schema);
    let create = format!(
        "select /* dbops */ h.indexrelid, h.indexname::pg_catalog.text from {schema}.hypopg_create_index($1) as h"
    );
    let row = first(query(tx, &create, &[(&definition, Type::TEXT)]).await?)?;
    let oid: u32 = row.try_get(0).context("reading a hypothetical index")?;
    let name: String = row.try_get(1).context("reading a hypothetical index")?;
    let plan = explain(tx, statement).await?;
    let size = format!("select /* dbops */ {schema}.hypopg_relation_size($1)::pg_catalog.int8");
    let row = first(query(tx, &size, &[(&oid, Type::OID)]).await?)?;
    let bytes: Option<i64> = row
        .try_get(0)
        .context("reading the size of a hypothetical index")?;
    let forget = format!("select /* dbops */ {schema}.hypopg_drop_index($1)");
    query(tx, &forget, &[(&oid, Type::OID)]).await?;
    Ok(if plan.indexes.contains(&name) {
        Proof::Used {
            cost: plan.cost,
            bytes,
        }
    } else {
        Proof::NotUsed
    })
}

async fn explain(tx: &Transaction<'_>, statement: &Statement) -> Result<Plan> {
    let text = &statement.text;
    let row = if statement.parameters == 0 {
        first(
            query(
                tx,
                &format!("explain (format json) /* dbops */ {text}"),
                &[],
            )
            .await?,
        )?
    } else {
        // The generic plan of a prepared statement; EXPLAIN (GENERIC_PLAN) does the same from 16 on only.
        query(tx, &format!("prepare {NAME} as /* dbops */ {text}"), &[]).await?;
        let nulls = vec!["null"; statement.parameters].join(", ");
        let explained = query(
            tx,
            &format!("explain (format json) /* dbops */ execute {NAME} ({nulls})"),
            &[],
        )
        .await?;
        query(tx, &format!("deallocate /* dbops */ {NAME}"), &[]).await?;
        first(explained)?
    };
    let json: Value = row.try_get(0).context("reading a plan")?;
    let plan = json
        .get(0)
        .and_then(|one| one.get("Plan"))
        .context("EXPLAIN gave no plan")?;
    let mut indexes = Vec::new();
    collect(plan, &mut indexes);
    Ok(Plan {
        cost: plan
            .get("Total Cost")
            .and_then(Value::as_f64)
            .context("EXPLAIN gave no cost")?,
        indexes,
    })
}

fn collect(plan: &Value, indexes: &mut Vec<String>) {
    if let Some(name) = plan.get("Index Name").and_then(Value::as_str) {
        indexes.push(name.to_owned());
    }
    for inner in plan
        .get("Plans")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        collect(inner, indexes);
    }
}

async fn query(
    tx: &Transaction<'_>,
    sql: &str,
    params: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Vec<Row>> {
    tx.query_typed(sql, params)
        .await
        .context("asking the planner")
}

fn first(rows: Vec<Row>) -> Result<Row> {
    rows.into_iter().next().context("the server gave no answer")
}
