//! Reads a PgBouncer's console into plain data, columns by name.
//!
//! Every release adds columns or renames them, so what is not known is noted and left, and what is missing is not known.
//! Columns from the sources of 1.12 to 1.25: `admin.c`.

use std::collections::BTreeMap;

use crate::conn::Session;
use crate::conn::console::{ShowTable, show};
use crate::conn::failure::describe_error;

/// What the console says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConsoleSample {
    /// `1.18.0`.
    pub version: String,
    /// Pools of databases and users, without that of the console.
    pub pools: Vec<PoolRow>,
    /// Databases by name.
    pub databases: BTreeMap<String, DatabaseRow>,
    /// Users by name, where they have limits of their own.
    pub users: BTreeMap<String, UserRow>,
    /// Settings by name.
    pub settings: BTreeMap<String, String>,
    /// Clients connected, dbops and other consoles among them.
    pub clients: Option<i64>,
    /// Clients of the console itself.
    pub consoles: Option<i64>,
    /// Whether all databases are paused or suspended: `active`, `paused`, `suspended`; 1.19 and newer say so.
    pub state: Option<String>,
    /// Columns that dbops does not know, as `pools.extra`.
    pub unknown_columns: Vec<String>,
    /// Columns that every version had and this one has not.
    pub missing_columns: Vec<String>,
    /// Questions that were not answered, with what the console said.
    pub unanswered: Vec<(String, String)>,
    /// Whether backends answer dbops itself, by address as the pooler has it; those only that were asked.
    pub reach: BTreeMap<(String, i64), Reach>,
}

/// Whether a backend answers dbops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It accepts connections.
    Answers,
    /// It does not, and why.
    Silent(String),
}

/// A pool: the server connections of one user to one database.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PoolRow {
    /// The database as clients name it.
    pub database: String,
    /// The user.
    pub user: String,
    /// Clients linked to a server or idle.
    pub cl_active: Option<i64>,
    /// Clients that wait for a server.
    pub cl_waiting: Option<i64>,
    /// Servers linked to a client.
    pub sv_active: Option<i64>,
    /// Servers that carry cancel requests or wait for them to end; 1.18 and newer.
    pub sv_cancel: Option<i64>,
    /// Servers that are free at once.
    pub sv_idle: Option<i64>,
    /// Servers that are free after a check: idle for longer than `server_check_delay`.
    pub sv_used: Option<i64>,
    /// Servers being reset or checked.
    pub sv_tested: Option<i64>,
    /// Servers logging in.
    pub sv_login: Option<i64>,
    /// Seconds that the longest waiting client has waited.
    pub maxwait_s: Option<f64>,
    /// `session`, `transaction`, `statement`.
    pub mode: Option<String>,
}

/// A database of the pooler.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DatabaseRow {
    /// Where its servers are; empty: a socket.
    pub host: Option<String>,
    /// Their port.
    pub port: Option<i64>,
    /// Servers allowed to each user.
    pub pool_size: Option<i64>,
    /// Servers allowed beyond that to clients that wait for long.
    pub reserve: Option<i64>,
    /// Servers allowed in all; 0: no limit.
    pub max_connections: Option<i64>,
    /// Servers connected.
    pub current_connections: Option<i64>,
    /// Whether it is paused by itself.
    pub paused: Option<bool>,
    /// Whether it refuses new clients.
    pub disabled: Option<bool>,
}

/// Limits of a user; 1.23 and newer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UserRow {
    /// Servers allowed to each database; 0 or `None`: as the database says.
    pub pool_size: Option<i64>,
    /// Servers allowed in all; 0: no limit.
    pub max_connections: Option<i64>,
}

const POOLS: &[&str] = &[
    "database",
    "user",
    "cl_active",
    "cl_waiting",
    "sv_active",
    "sv_idle",
    "sv_used",
    "sv_tested",
    "sv_login",
    "maxwait",
    "pool_mode",
];
/// Those that only some versions have.
const POOLS_SOMETIMES: &[&str] = &[
    "maxwait_us",
    "cl_cancel_req",
    "cl_active_cancel_req",
    "cl_waiting_cancel_req",
    "sv_active_cancel",
    "sv_being_canceled",
    "load_balance_hosts",
];
const DATABASES: &[&str] = &[
    "name",
    "host",
    "port",
    "database",
    "force_user",
    "pool_size",
    "pool_mode",
    "max_connections",
    "current_connections",
    "paused",
    "disabled",
];
const DATABASES_SOMETIMES: &[&str] = &[
    "min_pool_size",
    "reserve_pool",
    "reserve_pool_size",
    "server_lifetime",
    "load_balance_hosts",
    "max_client_connections",
    "current_client_connections",
];
const USERS: &[&str] = &["name", "pool_mode"];
const USERS_SOMETIMES: &[&str] = &[
    "pool_size",
    "reserve_pool_size",
    "max_user_connections",
    "current_connections",
    "max_user_client_connections",
    "current_client_connections",
];

/// Reads all that `pool status` needs; what is not answered is noted.
///
/// # Errors
/// The console does not even say its pools.
pub async fn read(console: &Session) -> anyhow::Result<ConsoleSample> {
    let mut unanswered = Vec::new();
    let pools = show(console, "pools").await?;
    let mut tables = Vec::new();
    for what in ["databases", "users", "config", "lists", "state"] {
        match show(console, what).await {
            Ok(table) => tables.push(table),
            Err(error) => {
                // Only newer versions know this one.
                if what != "state" {
                    unanswered.push((what.to_owned(), describe_error(&error)));
                }
                tables.push(ShowTable::default());
            }
        }
    }
    let mut tables = tables.into_iter();
    let mut next = || tables.next().unwrap_or_default();
    let answers = Answers {
        pools,
        databases: next(),
        users: next(),
        config: next(),
        lists: next(),
        state: next(),
    };
    let version = console.server_version().trim_end_matches("/bouncer");
    let mut sample = parse(version, &answers);
    sample.unanswered = unanswered;
    Ok(sample)
}

/// Answers of the SHOW commands, as they came.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// `show pools`.
    pub pools: ShowTable,
    /// `show databases`.
    pub databases: ShowTable,
    /// `show users`.
    pub users: ShowTable,
    /// `show config`.
    pub config: ShowTable,
    /// `show lists`.
    pub lists: ShowTable,
    /// `show state`.
    pub state: ShowTable,
}

/// Takes the answers apart by the names of their columns.
pub fn parse(version: &str, answers: &Answers) -> ConsoleSample {
    let mut sample = ConsoleSample {
        version: version.to_owned(),
        ..ConsoleSample::default()
    };
    for (what, table, always, sometimes) in [
        ("pools", &answers.pools, POOLS, POOLS_SOMETIMES),
        (
            "databases",
            &answers.databases,
            DATABASES,
            DATABASES_SOMETIMES,
        ),
        ("users", &answers.users, USERS, USERS_SOMETIMES),
    ] {
        if table.columns.is_empty() {
            continue;
        }
        for column in &table.columns {
            if !always.contains(&column.as_str()) && !sometimes.contains(&column.as_str()) {
                sample.unknown_columns.push(format!("{what}.{column}"));
            }
        }
        for column in always {
            if !table.columns.iter().any(|there| there == column) {
                sample.missing_columns.push(format!("{what}.{column}"));
            }
        }
    }
    for row in rows(&answers.pools) {
        let pool = pool(&row);
        // The console is a pool of its own, of the user of the same name.
        if pool.database == "pgbouncer" {
            sample.consoles = pool.cl_active;
        } else {
            sample.pools.push(pool);
        }
    }
    sample
        .pools
        .sort_by(|a, b| (&a.database, &a.user).cmp(&(&b.database, &b.user)));
    for row in rows(&answers.databases) {
        let Some(name) = row.text("name") else {
            continue;
        };
        let database = DatabaseRow {
            host: row.text("host").map(str::to_owned),
            port: row.number("port"),
            pool_size: row.number("pool_size"),
            reserve: row
                .number("reserve_pool_size")
                .or_else(|| row.number("reserve_pool")),
            max_connections: row.number("max_connections"),
            current_connections: row.number("current_connections"),
            paused: row.number("paused").map(|flag| flag != 0),
            disabled: row.number("disabled").map(|flag| flag != 0),
        };
        sample.databases.insert(name.to_owned(), database);
    }
    for row in rows(&answers.users) {
        let Some(name) = row.text("name") else {
            continue;
        };
        let user = UserRow {
            pool_size: row.number("pool_size"),
            max_connections: row.number("max_user_connections"),
        };
        sample.users.insert(name.to_owned(), user);
    }
    for row in rows(&answers.config) {
        if let (Some(key), Some(value)) = (row.text("key"), row.text("value")) {
            sample.settings.insert(key.to_owned(), value.to_owned());
        }
    }
    for row in rows(&answers.lists) {
        if row.text("list") == Some("used_clients") {
            sample.clients = row.number("items");
        }
    }
    sample.state = rows(&answers.state)
        .into_iter()
        .filter_map(|row| {
            let yes = row.text("value")?.eq_ignore_ascii_case("yes");
            yes.then(|| row.text("key").map(str::to_lowercase))?
        })
        .next();
    sample
}

fn pool(row: &Row<'_>) -> PoolRow {
    let whole = row.number("maxwait");
    let micros = row.number("maxwait_us");
    let cancel = [
        row.number("sv_active_cancel"),
        row.number("sv_being_canceled"),
    ];
    #[expect(clippy::cast_precision_loss, reason = "seconds of waiting")]
    let maxwait_s = whole.map(|s| s as f64 + micros.map_or(0.0, |us| us as f64 / 1e6));
    PoolRow {
        database: row.text("database").unwrap_or_default().to_owned(),
        user: row.text("user").unwrap_or_default().to_owned(),
        cl_active: row.number("cl_active"),
        cl_waiting: row.number("cl_waiting"),
        sv_active: row.number("sv_active"),
        sv_cancel: cancel
            .iter()
            .any(Option::is_some)
            .then(|| cancel.iter().flatten().sum()),
        sv_idle: row.number("sv_idle"),
        sv_used: row.number("sv_used"),
        sv_tested: row.number("sv_tested"),
        sv_login: row.number("sv_login"),
        maxwait_s,
        mode: row.text("pool_mode").map(str::to_owned),
    }
}

/// One row, asked by name.
struct Row<'a> {
    columns: &'a [String],
    values: &'a [Option<String>],
}

impl Row<'_> {
    fn text(&self, column: &str) -> Option<&str> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.values.get(at)?.as_deref()
    }

    fn number(&self, column: &str) -> Option<i64> {
        self.text(column)?.trim().parse().ok()
    }
}

fn rows(table: &ShowTable) -> Vec<Row<'_>> {
    table
        .rows
        .iter()
        .map(|values| Row {
            columns: &table.columns,
            values,
        })
        .collect()
}

#[cfg(test)]
mod tests;
