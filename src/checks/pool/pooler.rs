//! Pools of a PgBouncer: how full each is, by which limit, and why its clients wait.
//!
//! A pool belongs to a user and a database; only its busy servers are taken: `sv_idle` and `sv_used` are both free, the
//! second after a check. `cl_active` is no load, because it counts idle clients.
//! Source: <https://www.pgbouncer.org/usage.html#show-pools>.

use serde::Serialize;

use super::waits::{self, Why};
use crate::sample::pool::console::{ConsoleSample, PoolRow};

/// A pooler.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pooler {
    /// Its version.
    pub version: String,
    /// `active`, `paused`, `suspended`; `None`: this version does not say.
    pub state: Option<String>,
    /// Clients connected, this console of dbops not counted.
    pub clients: Option<i64>,
    /// `max_client_conn`.
    pub max_clients: Option<i64>,
    /// Part of `max_client_conn` that is taken.
    pub clients_percent: Option<f64>,
    /// Its pools, by database and user.
    pub pools: Vec<Pool>,
    /// Columns of a newer version, which were not looked at.
    pub unknown_columns: Vec<String>,
    /// Columns that are not there; what rests on them is not known.
    pub missing_columns: Vec<String>,
    /// Questions that the console did not answer, and why.
    pub unanswered: Vec<(String, String)>,
}

/// Which limit bounds a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// `pool_size` or `default_pool_size`: servers of this user and database.
    PoolSize,
    /// `max_db_connections`: servers of all users of the database.
    MaxDbConnections,
    /// `max_user_connections`: servers of the user, all databases.
    MaxUserConnections,
}

impl Bound {
    /// Returns the setting's name.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::PoolSize => "pool_size",
            Self::MaxDbConnections => "max_db_connections",
            Self::MaxUserConnections => "max_user_connections",
        }
    }
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pool {
    /// The database as clients name it.
    pub database: String,
    /// The user.
    pub user: String,
    /// `session`, `transaction`, `statement`.
    pub mode: Option<String>,
    /// Clients linked to a server or idle.
    pub clients_active: Option<i64>,
    /// Clients that wait for a server.
    pub clients_waiting: Option<i64>,
    /// Servers taken by clients, those with cancel requests among them.
    pub busy: Option<i64>,
    /// Servers free at once.
    pub idle: Option<i64>,
    /// Servers free after a check.
    pub used: Option<i64>,
    /// Servers being checked or reset.
    pub tested: Option<i64>,
    /// Servers logging in.
    pub login: Option<i64>,
    /// Servers that it may have; `None`: no limit, or not known.
    pub capacity: Option<i64>,
    /// By which limit.
    pub bound: Option<Bound>,
    /// Busy part of the capacity.
    pub percent: Option<f64>,
    /// Whether it has more servers than its size: those of the reserve.
    pub reserve_in_use: bool,
    /// Seconds that the longest waiting client has waited.
    pub maxwait_s: Option<f64>,
    /// Why clients wait; `None`: none does.
    pub waits: Option<Why>,
}

impl Pool {
    /// Returns `user@database`.
    pub fn name(&self) -> String {
        format!("{}@{}", self.user, self.database)
    }

    /// Returns all its servers; `None` where a part of them is not known.
    pub fn servers(&self) -> Option<i64> {
        Some(self.busy? + self.idle? + self.used? + self.tested? + self.login?)
    }
}

/// Limits that concern a pool; `None`: none, or not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Servers of the user and database.
    pub pool_size: Option<i64>,
    /// Servers of the database.
    pub database: Option<i64>,
    /// Servers of the user.
    pub user: Option<i64>,
}

/// Returns what the sample says of the pooler.
pub fn pooler(sample: &ConsoleSample) -> Pooler {
    // dbops itself is one client of the console.
    let clients = sample.clients.map(|clients| (clients - 1).max(0));
    let max_clients = setting(sample, "max_client_conn").filter(|max| *max > 0);
    let mut pools: Vec<Pool> = sample.pools.iter().map(|row| pool(sample, row)).collect();
    let reasons: Vec<Option<Why>> = pools
        .iter()
        .map(|one| waits::why(sample, &pools, one))
        .collect();
    for (pool, why) in pools.iter_mut().zip(reasons) {
        pool.waits = why;
    }
    Pooler {
        version: sample.version.clone(),
        state: sample.state.clone(),
        clients,
        max_clients,
        clients_percent: clients.zip(max_clients).map(|(used, max)| part(used, max)),
        pools,
        unknown_columns: sample.unknown_columns.clone(),
        missing_columns: sample.missing_columns.clone(),
        unanswered: sample.unanswered.clone(),
    }
}

/// Returns the limits that concern a user and a database; 0 is no limit.
pub fn limits(sample: &ConsoleSample, database: &str, user: &str) -> Limits {
    let of_database = sample.databases.get(database);
    let of_user = sample.users.get(user);
    let some = |limit: Option<i64>| limit.filter(|limit| *limit > 0);
    let own = of_user.and_then(|one| some(one.pool_size));
    // A database that is not listed yet will have the defaults.
    let pool_size = match of_database {
        Some(one) => one.pool_size,
        None => setting(sample, "default_pool_size"),
    };
    let of_all = setting(sample, "max_user_connections");
    Limits {
        pool_size: own.or_else(|| some(pool_size)),
        database: match of_database {
            Some(one) => some(one.max_connections),
            None => some(setting(sample, "max_db_connections")),
        },
        user: match of_user.and_then(|one| one.max_connections) {
            Some(limit) => some(Some(limit)),
            None => some(of_all),
        },
    }
}

impl Limits {
    /// Returns the least of them.
    pub fn least(self) -> Option<(i64, Bound)> {
        [
            (self.pool_size, Bound::PoolSize),
            (self.database, Bound::MaxDbConnections),
            (self.user, Bound::MaxUserConnections),
        ]
        .into_iter()
        .filter_map(|(limit, bound)| Some((limit?, bound)))
        // Of equal ones the first, which is the narrowest.
        .reduce(|least, one| if one.0 < least.0 { one } else { least })
    }
}

fn pool(sample: &ConsoleSample, row: &PoolRow) -> Pool {
    let busy = row
        .sv_active
        .map(|active| active + row.sv_cancel.unwrap_or_default());
    let limits = limits(sample, &row.database, &row.user);
    let least = limits.least();
    let mut pool = Pool {
        database: row.database.clone(),
        user: row.user.clone(),
        mode: row.mode.clone(),
        clients_active: row.cl_active,
        clients_waiting: row.cl_waiting,
        busy,
        idle: row.sv_idle,
        used: row.sv_used,
        tested: row.sv_tested,
        login: row.sv_login,
        capacity: least.map(|(limit, _)| limit),
        bound: least.map(|(_, bound)| bound),
        percent: busy.zip(least).map(|(busy, (limit, _))| part(busy, limit)),
        reserve_in_use: false,
        maxwait_s: row.maxwait_s,
        waits: None,
    };
    pool.reserve_in_use = pool
        .servers()
        .zip(limits.pool_size)
        .is_some_and(|(servers, size)| servers > size);
    pool
}

pub(super) fn setting(sample: &ConsoleSample, name: &str) -> Option<i64> {
    sample.settings.get(name)?.trim().parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "numbers of connections")]
fn part(used: i64, limit: i64) -> f64 {
    used as f64 * 100.0 / limit as f64
}
