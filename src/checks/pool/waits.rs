//! Why clients of a pool wait.
//!
//! `maxwait` alone does not tell: it stays 0 while clients that log in wait for a backend that is down, and grows while a
//! pool is only paused. PgBouncer up to 1.18 does not even say that all databases are paused, so whether the backend
//! answers dbops itself is taken as evidence.

use serde::Serialize;

use super::pooler::{Bound, Pool, limits};
use crate::checks::judge::Severity;
use crate::sample::pool::console::{ConsoleSample, Reach};

/// A reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Every server that the pool may have is taken.
    Saturated,
    /// Somebody paused the database, or all.
    Paused,
    /// Somebody suspended the pooler.
    Suspended,
    /// No server of the pool, and none to be had: the backend is down or out of reach.
    BackendUnreachable,
    /// The backend is there and gives no more sessions: it is full, or the login fails.
    BackendRefuses,
    /// Other users of the database have all servers that it may have.
    DatabaseLimit,
    /// The user has all the servers that it may have, in other databases.
    UserLimit,
    /// No servers at all: paused, or the backend is down; this version does not tell which.
    NoServers,
    /// Servers are being connected or checked.
    Connecting,
    /// There are free servers: they are about to be given out.
    Served,
    /// The console does not show what would tell.
    Unknown,
}

impl Cause {
    /// Returns the word for programs and people.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Saturated => "saturated",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::BackendUnreachable => "backend_unreachable",
            Self::BackendRefuses => "backend_refuses",
            Self::DatabaseLimit => "database_limit",
            Self::UserLimit => "user_limit",
            Self::NoServers => "no_servers",
            Self::Connecting => "connecting",
            Self::Served => "served",
            Self::Unknown => "unknown",
        }
    }
}

/// Why clients wait, and on what that rests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// The reason.
    pub cause: Cause,
    /// What shows it.
    pub evidence: String,
    /// What to do.
    pub fix: String,
}

/// Seconds of waiting from which a full pool is critical.
pub const LONG_WAIT_S: f64 = 2.0;

impl Why {
    /// Returns how bad it is; `None`: it passes by itself.
    pub fn severity(&self, maxwait_s: Option<f64>) -> Option<Severity> {
        let long = maxwait_s.is_some_and(|wait| wait >= LONG_WAIT_S);
        match self.cause {
            Cause::BackendUnreachable
            | Cause::BackendRefuses
            | Cause::DatabaseLimit
            | Cause::UserLimit
            | Cause::NoServers => Some(Severity::Critical),
            Cause::Saturated if long => Some(Severity::Critical),
            Cause::Saturated | Cause::Paused | Cause::Suspended | Cause::Unknown => {
                Some(Severity::Warning)
            }
            Cause::Connecting | Cause::Served => long.then_some(Severity::Warning),
        }
    }
}

/// Returns why clients of a pool wait; `None` where none does, or the console does not say.
pub fn why(sample: &ConsoleSample, all: &[Pool], pool: &Pool) -> Option<Why> {
    if pool.clients_waiting? == 0 {
        return None;
    }
    let (cause, evidence) = cause(sample, all, pool);
    Some(Why {
        cause,
        evidence,
        fix: fix(cause, pool),
    })
}

fn cause(sample: &ConsoleSample, all: &[Pool], pool: &Pool) -> (Cause, String) {
    let database = sample.databases.get(&pool.database);
    match sample.state.as_deref() {
        Some("paused") => return (Cause::Paused, "all databases are paused".to_owned()),
        Some("suspended") => {
            return (Cause::Suspended, "the pooler is suspended".to_owned());
        }
        _ => {}
    }
    if database.and_then(|one| one.paused) == Some(true) {
        return (Cause::Paused, "the database is paused".to_owned());
    }
    let (Some(servers), Some(busy), Some(free), Some(coming)) = (
        pool.servers(),
        pool.busy,
        pool.idle.zip(pool.used).map(|(idle, used)| idle + used),
        pool.tested
            .zip(pool.login)
            .map(|(tested, login)| tested + login),
    ) else {
        return (
            Cause::Unknown,
            "the console does not show the pool's servers".to_owned(),
        );
    };
    if free > 0 {
        return (Cause::Served, format!("{free} servers are free"));
    }
    let limits = limits(sample, &pool.database, &pool.user);
    if let Some((limit, Bound::PoolSize)) = limits.least()
        && busy >= limit
    {
        return (Cause::Saturated, format!("all {limit} servers are taken"));
    }
    let of_database = sum(all, |one| one.database == pool.database);
    if let Some(limit) = limits.database
        && of_database.is_some_and(|taken| taken >= limit)
    {
        let text = format!("the database has all {limit} servers that max_db_connections allows");
        return (Cause::DatabaseLimit, text);
    }
    let of_user = sum(all, |one| one.user == pool.user);
    if let Some(limit) = limits.user
        && of_user.is_some_and(|taken| taken >= limit)
    {
        let text = format!("the user has all {limit} servers that max_user_connections allows");
        return (Cause::UserLimit, text);
    }
    if limits.pool_size.is_some_and(|size| busy >= size) {
        return (Cause::Saturated, format!("all {busy} servers are taken"));
    }
    if coming > 0 {
        return (
            Cause::Connecting,
            format!("{coming} servers are on their way"),
        );
    }
    let reach = database.and_then(|one| {
        let host = one.host.clone().unwrap_or_default();
        sample.reach.get(&(host, one.port?))
    });
    if let Some(Reach::Silent(reason)) = reach {
        let text =
            format!("no server connection, and the backend does not answer dbops either: {reason}");
        return (Cause::BackendUnreachable, text);
    }
    if servers > 0 {
        let text =
            format!("{servers} servers, fewer than allowed, and no new one is being connected");
        return (Cause::BackendRefuses, text);
    }
    nothing(sample, all, pool, reach.is_some())
}

/// The cause where a pool has no server at all and no limit explains it.
fn nothing(sample: &ConsoleSample, all: &[Pool], pool: &Pool, answers: bool) -> (Cause, String) {
    let others_have = all
        .iter()
        .any(|one| one.idle.unwrap_or_default() + one.used.unwrap_or_default() > 0);
    let running = sample.state.is_some() || others_have;
    match (running, answers) {
        (true, true) => (
            Cause::BackendRefuses,
            "no server connection, though the backend answers dbops".to_owned(),
        ),
        (true, false) => (
            Cause::BackendUnreachable,
            "no server connection, and nothing is paused".to_owned(),
        ),
        // A PAUSE of everything closes all servers; a backend that is down does not answer.
        (false, true) => (
            Cause::Paused,
            "no server connection in any pool, though the backend answers dbops; this version does not say that all databases are paused".to_owned(),
        ),
        // maxwait counts from a client's first query, so it is 0 for those that are still logging in.
        (false, false) if pool.maxwait_s == Some(0.0) => (
            Cause::BackendUnreachable,
            "no server connection, and clients wait at their login".to_owned(),
        ),
        (false, false) => (
            Cause::NoServers,
            "no server connection in any pool: paused, or the backend is down".to_owned(),
        ),
    }
}

/// Servers of several pools; `None` where one of them does not say.
fn sum(all: &[Pool], takes: impl Fn(&Pool) -> bool) -> Option<i64> {
    all.iter().filter(|one| takes(one)).map(Pool::servers).sum()
}

fn fix(cause: Cause, pool: &Pool) -> String {
    match cause {
        Cause::Saturated if pool.mode.as_deref() == Some("session") => {
            "in session mode a client keeps its server until it leaves: use transaction mode, or raise pool_size within the server's capacity".to_owned()
        }
        Cause::Saturated => {
            "look for long transactions with `dbops pool sessions`; raise pool_size only within the server's capacity".to_owned()
        }
        Cause::Paused => format!("`RESUME` or `RESUME {}` on the console ends the pause", pool.database),
        Cause::Suspended => "`RESUME` on the console ends it".to_owned(),
        Cause::BackendUnreachable => {
            "see that the server runs and that its host and port in SHOW DATABASES are right".to_owned()
        }
        Cause::BackendRefuses => {
            "see the pooler's log: the server may be full (`dbops pool status` on it), or the login fails".to_owned()
        }
        Cause::DatabaseLimit => "raise max_db_connections, or give its users smaller pools".to_owned(),
        Cause::UserLimit => "raise max_user_connections, or give the user's databases smaller pools".to_owned(),
        Cause::NoServers => "look at the pooler's log for `PAUSE` or for failed connections".to_owned(),
        Cause::Connecting | Cause::Served => "look again in a moment".to_owned(),
        Cause::Unknown => "look at SHOW POOLS and SHOW SERVERS on the console".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checks::pool::pooler::pooler;
    use crate::sample::pool::console::{DatabaseRow, PoolRow, UserRow};

    fn row(database: &str, user: &str, waiting: i64, servers: [i64; 5], maxwait: f64) -> PoolRow {
        let [active, idle, used, tested, login] = servers.map(Some);
        PoolRow {
            database: database.to_owned(),
            user: user.to_owned(),
            cl_active: Some(0),
            cl_waiting: Some(waiting),
            sv_active: active,
            sv_cancel: None,
            sv_idle: idle,
            sv_used: used,
            sv_tested: tested,
            sv_login: login,
            maxwait_s: Some(maxwait),
            mode: Some("transaction".to_owned()),
        }
    }

    fn sample(rows: Vec<PoolRow>, size: i64, max: i64) -> ConsoleSample {
        let mut sample = ConsoleSample::default();
        for row in &rows {
            let database = DatabaseRow {
                host: Some("10.0.0.1".to_owned()),
                port: Some(5432),
                pool_size: Some(size),
                max_connections: Some(max),
                paused: Some(false),
                ..DatabaseRow::default()
            };
            sample.databases.insert(row.database.clone(), database);
        }
        sample.pools = rows;
        sample
    }

    fn first(sample: &ConsoleSample) -> Option<Cause> {
        let found = pooler(sample);
        found.pools[0].waits.as_ref().map(|why| why.cause)
    }

    #[test]
    fn each_reason_is_told_from_the_others() {
        let none = [0; 5];
        let plain = |servers, maxwait| sample(vec![row("app", "u", 1, servers, maxwait)], 2, 0);
        assert_eq!(first(&plain([2, 0, 0, 0, 0], 1.0)), Some(Cause::Saturated));
        assert_eq!(first(&plain([1, 0, 1, 0, 0], 0.0)), Some(Cause::Served));
        assert_eq!(first(&plain([1, 0, 0, 0, 1], 0.0)), Some(Cause::Connecting));
        assert_eq!(
            first(&plain([1, 0, 0, 0, 0], 9.0)),
            Some(Cause::BackendRefuses)
        );
        // No servers, waiting at the login: the backend is down.
        assert_eq!(first(&plain(none, 0.0)), Some(Cause::BackendUnreachable));
        assert_eq!(first(&plain(none, 3.0)), Some(Cause::NoServers));

        let mut paused = plain(none, 3.0);
        paused.databases.get_mut("app").unwrap().paused = Some(true);
        assert_eq!(first(&paused), Some(Cause::Paused));
        for (state, expected) in [
            ("paused", Cause::Paused),
            ("suspended", Cause::Suspended),
            ("active", Cause::BackendUnreachable),
        ] {
            let mut told = plain(none, 3.0);
            told.state = Some(state.to_owned());
            assert_eq!(first(&told), Some(expected), "{state}");
        }
        let address = ("10.0.0.1".to_owned(), 5432);
        let mut asked = plain(none, 3.0);
        asked.reach.insert(address.clone(), Reach::Answers);
        assert_eq!(first(&asked), Some(Cause::Paused));
        asked.state = Some("active".to_owned());
        assert_eq!(first(&asked), Some(Cause::BackendRefuses));
        let silent = Reach::Silent("connection refused".to_owned());
        asked.reach.insert(address, silent);
        assert_eq!(first(&asked), Some(Cause::BackendUnreachable));
    }

    #[test]
    fn limits_of_database_and_user_are_told_from_a_full_pool() {
        let rows = vec![
            row("app", "a", 1, [0; 5], 3.0),
            row("app", "b", 0, [2, 0, 0, 0, 0], 0.0),
        ];
        assert_eq!(
            first(&sample(rows.clone(), 5, 2)),
            Some(Cause::DatabaseLimit)
        );
        let mut by_user = sample(
            vec![
                row("app", "a", 1, [0; 5], 3.0),
                row("other", "a", 0, [3, 0, 0, 0, 0], 0.0),
            ],
            5,
            0,
        );
        by_user
            .settings
            .insert("max_user_connections".to_owned(), "3".to_owned());
        assert_eq!(first(&by_user), Some(Cause::UserLimit));
        let user = UserRow {
            max_connections: Some(0),
            ..UserRow::default()
        };
        by_user.users.insert("a".to_owned(), user);
        assert_ne!(first(&by_user), Some(Cause::UserLimit));
    }

    #[test]
    fn two_users_of_one_database_have_a_pool_each() {
        let rows = vec![
            row("app", "a", 2, [2, 0, 0, 0, 0], 2.8),
            row("app", "b", 0, [2, 0, 0, 0, 0], 0.0),
        ];
        let found = pooler(&sample(rows, 2, 0));
        let percents: Vec<_> = found.pools.iter().map(|pool| pool.percent).collect();
        assert_eq!(percents, [Some(100.0), Some(100.0)]);
        let why = found.pools[0].waits.as_ref().unwrap();
        assert_eq!(why.cause, Cause::Saturated);
        assert_eq!(why.severity(Some(2.8)), Some(Severity::Critical));
        assert_eq!(why.severity(Some(0.1)), Some(Severity::Warning));
        assert_eq!(found.pools[1].waits, None);
    }

    #[test]
    fn no_limit_gives_no_percentage() {
        let found = pooler(&sample(
            vec![row("app", "a", 0, [2, 0, 0, 0, 0], 0.0)],
            0,
            0,
        ));
        assert_eq!(found.pools[0].percent, None);
        assert_eq!(found.pools[0].capacity, None);
    }

    #[test]
    fn what_the_console_does_not_show_is_not_known() {
        let mut lacking = row("app", "a", 1, [2, 0, 0, 0, 0], 0.0);
        lacking.sv_idle = None;
        assert_eq!(first(&sample(vec![lacking], 5, 0)), Some(Cause::Unknown));
        let mut silent = row("app", "a", 1, [2, 0, 0, 0, 0], 0.0);
        silent.cl_waiting = None;
        assert_eq!(first(&sample(vec![silent], 5, 0)), None);
    }

    proptest! {
        #[test]
        fn a_reason_is_given_exactly_where_clients_wait(
            pools in proptest::collection::vec(
                (0..3_u8, 0..3_u8, 0..3_i64, proptest::array::uniform5(0..4_i64), 0..5_u8), 1..6),
            size in 0..5_i64,
            max in 0..8_i64,
        ) {
            let rows: Vec<PoolRow> = pools
                .iter()
                .map(|(d, u, waiting, servers, wait)| {
                    row(&format!("d{d}"), &format!("u{u}"), *waiting, *servers, f64::from(*wait))
                })
                .collect();
            let found = pooler(&sample(rows, size, max));
            for pool in &found.pools {
                prop_assert_eq!(pool.waits.is_some(), pool.clients_waiting > Some(0));
                let Some(why) = &pool.waits else { continue };
                let free = pool.idle.unwrap() + pool.used.unwrap();
                prop_assert_eq!(why.cause == Cause::Served, free > 0);
                if why.cause == Cause::Saturated {
                    prop_assert!(size > 0 && pool.busy >= Some(size));
                }
                if why.cause == Cause::BackendUnreachable || why.cause == Cause::Paused {
                    prop_assert_eq!(pool.servers(), Some(0));
                }
            }
        }
    }
}
