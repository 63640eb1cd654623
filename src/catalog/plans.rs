//! Generic plans of statements as `pg_stat_statements` keeps them: with `$1` for every constant. Nothing is run.

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::types::Type;
use tokio_postgres::{Row, Transaction};

use crate::conn::plain;
use crate::syntax::mask::mask_expression;

/// Planning that takes longer is given up, in milliseconds.
const PLAN_TIMEOUT_MS: u32 = 2_000;
/// Waiting for locks that takes longer is given up, in milliseconds.
const LOCK_TIMEOUT_MS: u32 = 100;
const NAME: &str = "dbops_explain";
const ROLE_PATH: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/sql/statements/role_path.sql"
));

/// What a plan says, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plan {
    /// The planner's cost of the whole.
    pub cost: f64,
    /// Rows that it expects as the result.
    pub rows: f64,
    /// Tables read from beginning to end.
    pub seq_scans: Vec<SeqScan>,
    /// What is sorted, keys joined; strings are hidden.
    pub sorts: Vec<String>,
    /// Indexes that are used.
    pub indexes: Vec<String>,
    /// Its nodes, one a line, those inside others further in.
    pub lines: Vec<String>,
}

/// A table that is read from beginning to end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeqScan {
    /// The table or partition.
    pub table: String,
    /// Rows that are expected to pass the filter.
    pub rows: f64,
    /// The filter, where there is one; strings are hidden.
    pub filter: Option<String>,
}

/// Why there is no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The type of a parameter follows from nothing.
    ParameterType,
    /// A table or schema is not found: it is dropped, or another search_path finds it.
    NotFound,
    /// The role may not.
    Privilege,
    /// Planning took more than two seconds.
    Timeout,
    /// A lock was not to be had within a tenth of a second.
    Lock,
    /// The text is cut off or otherwise no statement.
    Syntax,
    /// Planning could run code of other roles with the rights of a superuser.
    Untrusted,
    /// Something else.
    Other,
}

impl Refusal {
    /// The reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::ParameterType => "the type of a parameter cannot be told without its value",
            Self::NotFound => "a table is not found: dropped since, or on another search_path",
            Self::Privilege => "the role may not read what the statement reads",
            Self::Timeout => "planning took more than two seconds",
            Self::Lock => "a table is locked",
            Self::Syntax => "the text is cut off or holds a constant that the server replaced",
            Self::Untrusted => {
                "other roles own functions that planning could run with this role's rights over files and programs: connect as a role without them, with pg_read_all_stats and SELECT"
            }
            Self::Other => "the server does not plan it",
        }
    }

    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    fn of(code: &str) -> Self {
        match code {
            // indeterminate_datatype, ambiguous_function, datatype_mismatch
            "42P18" | "42725" | "42P08" | "42804" => Self::ParameterType,
            "42P01" | "3F000" | "42703" | "42883" => Self::NotFound,
            "42501" => Self::Privilege,
            "57014" => Self::Timeout,
            "55P03" => Self::Lock,
            "42601" => Self::Syntax,
            _ => Self::Other,
        }
    }
}

/// Returns the generic plan of a statement, or why there is none. `role`: OID of the role whose search_path counts.
///
/// The transaction is read-only and the statement only planned. From PostgreSQL 16 on by `GENERIC_PLAN`; before by a
/// prepared statement, which cannot be planned where the type of a parameter follows from nothing.
///
/// # Errors
/// The connection fails.
pub async fn generic_plan(
    tx: &Transaction<'_>,
    version_num: i32,
    text: &str,
    role: u32,
) -> Result<Result<Plan, Refusal>> {
    let text = text.trim().trim_end_matches(';');
    if runs_code_of_others(tx).await? {
        return Ok(Err(Refusal::Untrusted));
    }
    let first = attempt(tx, version_num, text, role).await?;
    if first != Err(Refusal::Syntax) {
        return Ok(first);
    }
    // The server replaces the constant of `interval '1 day'`, and leaves what no grammar takes.
    let repaired = typed_parameters(text);
    if repaired == text {
        return Ok(first);
    }
    attempt(tx, version_num, &repaired, role).await
}

/// Whether planning could run functions of less trusted roles with rights beyond the database.
///
/// The planner evaluates functions that are immutable, and for its estimates stable ones. A read-only transaction keeps
/// them from changing rows, not from programs and files where the role may use these. Functions of superusers and
/// those in C, which only superusers make, are trusted.
async fn runs_code_of_others(tx: &Transaction<'_>) -> Result<bool> {
    let sql = "select /* dbops */ exists (select from pg_catalog.pg_proc as p \
         inner join pg_catalog.pg_roles as r on r.oid = p.proowner \
         inner join pg_catalog.pg_language as l on l.oid = p.prolang \
         where p.provolatile <> 'v' and not r.rolsuper and l.lanname not in ('internal', 'c') \
         and (pg_catalog.pg_has_role(current_user, 'pg_execute_server_program', 'usage') \
         or pg_catalog.pg_has_role(current_user, 'pg_write_server_files', 'usage') \
         or pg_catalog.pg_has_role(current_user, 'pg_read_server_files', 'usage')))";
    let rows = query(tx, sql, &[]).await?;
    let row = rows.first().context("looking for functions gave nothing")?;
    row.try_get(0).context("looking for functions")
}

async fn attempt(
    tx: &Transaction<'_>,
    version_num: i32,
    text: &str,
    role: u32,
) -> Result<Result<Plan, Refusal>> {
    tx.batch_execute(&format!(
        "savepoint /* dbops */ {NAME}; set /* dbops */ local search_path to default; set /* dbops */ local plan_cache_mode = force_generic_plan; \
         set /* dbops */ local statement_timeout = {PLAN_TIMEOUT_MS}; set /* dbops */ local lock_timeout = {LOCK_TIMEOUT_MS}"
    ))
    .await
    .context("preparing to plan a statement")?;
    let planned = explain(tx, version_num, text, role).await;
    tx.batch_execute(&format!(
        "rollback to savepoint /* dbops */ {NAME}; release savepoint /* dbops */ {NAME}"
    ))
    .await
    .context("putting the settings back")?;
    // A prepared statement outlives the savepoint.
    let left = "select /* dbops */ from pg_catalog.pg_prepared_statements as p where p.name = $1";
    if !query(tx, left, &[(&NAME, Type::TEXT)]).await?.is_empty() {
        query(tx, &format!("deallocate /* dbops */ {NAME}"), &[]).await?;
    }
    match planned {
        Ok(plan) => Ok(Ok(plan)),
        Err(error) => match code(&error) {
            Some(code) => Ok(Err(Refusal::of(&code))),
            None => Err(error),
        },
    }
}

fn code(error: &anyhow::Error) -> Option<String> {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<tokio_postgres::Error>())
        .find_map(|cause| cause.code())
        .map(|code| code.code().to_owned())
}

async fn explain(tx: &Transaction<'_>, version_num: i32, text: &str, role: u32) -> Result<Plan> {
    take_path(tx, role).await?;
    let json = plan_json(tx, version_num, text).await?;
    if !json.to_string().contains("\"Subplans Removed\"") {
        return read(&json);
    }
    // Without a value no partition passes, and the plan would show none.
    tx.batch_execute("set /* dbops */ local enable_partition_pruning = off")
        .await
        .context("preparing to plan a statement")?;
    read(&plan_json(tx, version_num, text).await?)
}

/// Takes the search_path of a role's sessions until the transaction or savepoint ends.
pub(super) async fn take_path(tx: &Transaction<'_>, role: u32) -> Result<()> {
    let path = query(tx, ROLE_PATH, &[(&role, Type::OID)]).await?;
    if let Some(row) = path.first() {
        let path: String = row.try_get(0).context("reading a search_path")?;
        let set = "select /* dbops */ pg_catalog.set_config('search_path', $1, true)";
        query(tx, set, &[(&path, Type::TEXT)]).await?;
    }
    Ok(())
}

async fn plan_json(tx: &Transaction<'_>, version_num: i32, text: &str) -> Result<Value> {
    if version_num >= 160_000 && !text.contains(';') {
        let sql = format!("explain (generic_plan, format json) /* dbops */ {text}");
        let rows = plain::first_column(tx, &sql).await?;
        serde_json::from_str(&rows.concat()).context("reading a plan")
    } else {
        query(tx, &format!("prepare {NAME} as /* dbops */ {text}"), &[]).await?;
        let types = "select /* dbops */ pg_catalog.cardinality(p.parameter_types) from pg_catalog.pg_prepared_statements as p where p.name = $1";
        let rows = query(tx, types, &[(&NAME, Type::TEXT)]).await?;
        let row = rows.first().context("the prepared statement is gone")?;
        let count: i32 = row.try_get(0).context("reading a prepared statement")?;
        let count = usize::try_from(count)?;
        let nulls = vec!["null"; count].join(", ");
        let list = if count == 0 {
            String::new()
        } else {
            format!("({nulls})")
        };
        let rows = query(
            tx,
            &format!("explain (format json) /* dbops */ execute {NAME} {list}"),
            &[],
        )
        .await?;
        let row = rows.first().context("EXPLAIN gave no plan")?;
        let json = row.try_get(0).context("reading a plan")?;
        query(tx, &format!("deallocate /* dbops */ {NAME}"), &[]).await?;
        Ok(json)
    }
}

async fn query(
    tx: &Transaction<'_>,
    sql: &str,
    params: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)],
) -> Result<Vec<Row>> {
    tx.query_typed(sql, params)
        .await
        .context("planning a statement")
}

fn read(json: &Value) -> Result<Plan> {
    let root = json
        .get(0)
        .and_then(|one| one.get("Plan"))
        .context("EXPLAIN gave no plan")?;
    let mut plan = Plan {
        cost: number(root, "Total Cost"),
        rows: number(root, "Plan Rows"),
        ..Plan::default()
    };
    collect(root, 0, &mut plan);
    Ok(plan)
}

fn number(node: &Value, key: &str) -> f64 {
    node.get(key).and_then(Value::as_f64).unwrap_or_default()
}

fn collect(node: &Value, depth: usize, plan: &mut Plan) {
    let word = |key: &str| node.get(key).and_then(Value::as_str);
    let kind = word("Node Type").unwrap_or("?");
    let table = word("Relation Name");
    let index = word("Index Name");
    if kind == "Seq Scan"
        && let Some(table) = table
    {
        plan.seq_scans.push(SeqScan {
            table: table.to_owned(),
            rows: number(node, "Plan Rows"),
            filter: word("Filter").map(mask_expression),
        });
    }
    if let (true, Some(keys)) = (
        kind.ends_with("Sort"),
        node.get("Sort Key").and_then(Value::as_array),
    ) {
        let keys = keys.iter().filter_map(Value::as_str);
        let keys: Vec<String> = keys.map(mask_expression).collect();
        plan.sorts.push(keys.join(", "));
    }
    plan.indexes.extend(index.map(str::to_owned));
    let on = match (index, table) {
        (Some(index), Some(table)) => format!(" by {index} on {table}"),
        (Some(index), None) => format!(" by {index}"),
        (None, Some(table)) => format!(" on {table}"),
        (None, None) => String::new(),
    };
    plan.lines.push(format!(
        "{}{kind}{on}, {} rows, cost {:.0}",
        "  ".repeat(depth),
        number(node, "Plan Rows"),
        number(node, "Total Cost")
    ));
    for inner in node
        .get("Plans")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        collect(inner, depth + 1, plan);
    }
}

/// Returns a text with `interval $1` written as `$1::interval`, and the same for the other types whose constants are written so.
pub fn typed_parameters(text: &str) -> String {
    const TYPES: [&str; 6] = [
        "interval",
        "date",
        "timestamptz",
        "timestamp",
        "time",
        "uuid",
    ];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        let digits = after
            .get(1..)
            .unwrap_or_default()
            .find(|c: char| !c.is_ascii_digit())
            .map_or(after.len(), |end| end + 1);
        let (parameter, behind) = after.split_at(digits);
        let word = before.trim_end();
        let kind = TYPES.iter().find(|kind| {
            let start = word.len().checked_sub(kind.len());
            let own = start.and_then(|start| word.get(start..));
            let bounded = start
                .and_then(|start| word.get(..start))
                .is_some_and(|head| !head.ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            bounded && own.is_some_and(|own| own.eq_ignore_ascii_case(kind))
        });
        match kind {
            Some(kind) if parameter.len() > 1 && word.len() < before.len() => {
                out.push_str(word.get(..word.len() - kind.len()).unwrap_or_default());
                out.push_str(&format!("{parameter}::{kind}"));
            }
            _ => {
                out.push_str(before);
                out.push_str(parameter);
            }
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_constants_become_casts() {
        for (text, expected) in [
            ("select now() - interval $1", "select now() - $1::interval"),
            ("a > DATE $12 and b = $2", "a > $12::date and b = $2"),
            ("select my_interval $1", "select my_interval $1"),
            ("select $1", "select $1"),
            ("select 1", "select 1"),
        ] {
            assert_eq!(typed_parameters(text), expected);
        }
    }

    #[test]
    fn plans_give_their_facts() {
        let json = serde_json::json!([{"Plan": {
            "Node Type": "Limit", "Total Cost": 10.5, "Plan Rows": 3,
            "Plans": [{"Node Type": "Sort", "Sort Key": ["a", "(b = 'k3y'::text) DESC"], "Plans": [
                {"Node Type": "Seq Scan", "Relation Name": "t", "Plan Rows": 7, "Filter": "((a = $1) AND (b = E'it''s s3cret'::text) AND (\"c'd\" > 5))"},
                {"Node Type": "Index Scan", "Relation Name": "u", "Index Name": "u_pkey"}
            ]}]
        }}]);
        let plan = read(&json).unwrap();
        assert_eq!((plan.cost, plan.rows), (10.5, 3.0));
        assert_eq!(plan.seq_scans[0].table, "t");
        assert_eq!(
            plan.seq_scans[0].filter.as_deref(),
            Some("((a = $1) AND (b = '***'::text) AND (\"c'd\" > 5))")
        );
        assert_eq!(plan.sorts, ["a, (b = '***'::text) DESC"]);
        assert_eq!(plan.indexes, ["u_pkey"]);
        assert_eq!(plan.lines.len(), 4);
        assert!(read(&serde_json::json!([])).is_err());
    }
}
