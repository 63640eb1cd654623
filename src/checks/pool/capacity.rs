//! The walls that a login can run into, and who stands before them.
//!
//! Ordinary logins are refused while free slots are not more than both reserves, whoever holds the others; parallel
//! workers, background processes and (from 12) WAL senders have slots of their own. Limits of roles and databases count
//! the same processes. Sources: `InitPostgres`, `CountUserBackends`, `CountDBConnections` of the server;
//! <https://www.postgresql.org/docs/current/runtime-config-connection.html>.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::checks::reason::Reason;
use crate::sample::pool::model::{Process, ServerSample};

/// What a wall bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WallKind {
    /// Slots of the server that an ordinary role may use.
    Server,
    /// `rolconnlimit`.
    Role,
    /// `datconnlimit`.
    Database,
}

impl WallKind {
    /// Returns the word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Role => "role",
            Self::Database => "database",
        }
    }
}

/// A limit, and how much of it is taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wall {
    /// What it bounds.
    pub kind: WallKind,
    /// The role or database; empty for the server.
    pub name: String,
    /// Connections that it lets in.
    pub limit: i64,
    /// Connections of clients, dbops's own not counted; `None`: not known.
    pub used: Option<i64>,
    /// Connections that it would still let in.
    pub free: Option<i64>,
    /// Part taken; `None`: not known, or a limit of 0, which is closed.
    pub percent: Option<f64>,
    /// Why `used` is not known.
    pub unknown: Option<Reason>,
    /// Who takes it, most first.
    pub eaters: Vec<Eater>,
}

/// Sessions of one role, application and database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Eater {
    /// The role.
    pub role: String,
    /// `application_name`; empty where it gives none.
    pub application: String,
    /// The database.
    pub database: String,
    /// Sessions.
    pub sessions: i64,
    /// Those that are idle.
    pub idle: i64,
    /// Those that are idle in a transaction.
    pub idle_in_transaction: i64,
}

/// What a server takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capacity {
    /// `max_connections`.
    pub max_connections: i64,
    /// `superuser_reserved_connections`.
    pub superuser_reserved: i64,
    /// `reserved_connections`; `None` before 16, which has no such reserve.
    pub reserved: Option<i64>,
    /// What is left to ordinary roles.
    pub effective: i64,
    /// Walls, the one that is hit first at the top.
    pub walls: Vec<Wall>,
}

/// Returns what a server lets ordinary roles have.
pub fn effective(sample: &ServerSample) -> i64 {
    // Before 16 there is no second reserve.
    let reserved = sample.reserved.unwrap_or(0);
    (sample.max_connections - sample.superuser_reserved - reserved).max(0)
}

/// Whether a process is a session of a client other than dbops.
pub fn is_client(process: &Process) -> bool {
    !process.own && process.kind.as_deref() == Some("client backend")
}

/// Whether a process counts for the limits of its role and database: up to 17 WAL senders do as well.
fn counts(process: &Process, version_num: i32) -> bool {
    is_client(process)
        || (!process.own && version_num < 180_000 && process.kind.as_deref() == Some("walsender"))
}

/// Returns the capacity of a server with all its walls.
pub fn capacity(sample: &ServerSample) -> Capacity {
    let effective = effective(sample);
    let clients: Vec<&Process> = sample
        .processes
        .iter()
        .filter(|one| is_client(one))
        .collect();
    let counted: Vec<&Process> = sample
        .processes
        .iter()
        .filter(|one| counts(one, sample.version_num))
        .collect();
    let mut walls = vec![wall(
        WallKind::Server,
        "",
        effective,
        sample.sees_all,
        &clients,
    )];
    for role in &sample.roles {
        if role.limit >= 0 && !role.superuser {
            let mine = having(&counted, |one| one.role.as_deref() == Some(&role.name));
            let limit = i64::from(role.limit);
            walls.push(wall(
                WallKind::Role,
                &role.name,
                limit,
                sample.sees_all,
                &mine,
            ));
        }
    }
    for database in &sample.databases {
        if database.limit >= 0 {
            let mine = having(&counted, |one| {
                one.database.as_deref() == Some(&database.name)
            });
            let limit = i64::from(database.limit);
            walls.push(wall(
                WallKind::Database,
                &database.name,
                limit,
                sample.sees_all,
                &mine,
            ));
        }
    }
    walls.sort_by(tightest_first);
    Capacity {
        max_connections: sample.max_connections,
        superuser_reserved: sample.superuser_reserved,
        reserved: sample.reserved,
        effective,
        walls,
    }
}

impl Capacity {
    /// Returns the wall that is hit first when all that is connected grows in proportion.
    pub fn first(&self) -> Option<&Wall> {
        self.walls.iter().find(|wall| wall.percent.is_some())
    }

    /// Returns the server's own wall.
    pub fn server(&self) -> Option<&Wall> {
        self.walls.iter().find(|wall| wall.kind == WallKind::Server)
    }
}

/// Returns how many more sessions of a role would get into a database; `None`: not known.
pub fn room(capacity: &Capacity, role: &str, database: &str) -> Option<i64> {
    let mut least = None;
    for wall in &capacity.walls {
        let concerns = match wall.kind {
            WallKind::Server => true,
            WallKind::Role => wall.name == role,
            WallKind::Database => wall.name == database,
        };
        if concerns {
            let free = wall.free?;
            least = Some(least.map_or(free, |least: i64| least.min(free)));
        }
    }
    least
}

fn having<'a>(all: &[&'a Process], is: impl Fn(&Process) -> bool) -> Vec<&'a Process> {
    all.iter().copied().filter(|one| is(one)).collect()
}

fn wall(kind: WallKind, name: &str, limit: i64, sees_all: bool, taking: &[&Process]) -> Wall {
    let used = i64::try_from(taking.len()).ok().filter(|_| sees_all);
    #[expect(clippy::cast_precision_loss, reason = "numbers of connections")]
    let percent = used
        .filter(|_| limit > 0)
        .map(|used| used as f64 * 100.0 / limit as f64);
    Wall {
        kind,
        name: name.to_owned(),
        limit,
        used,
        free: used.map(|used| (limit - used).max(0)),
        percent,
        unknown: (!sees_all).then_some(Reason::NoPrivilege),
        eaters: if sees_all { eaters(taking) } else { Vec::new() },
    }
}

/// Known before unknown, fuller before emptier, then fewer free, then by kind and name.
fn tightest_first(a: &Wall, b: &Wall) -> Ordering {
    let by_part = match (a.percent, b.percent) {
        (Some(a), Some(b)) => b.total_cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    by_part
        .then_with(|| a.free.cmp(&b.free))
        .then_with(|| (a.kind, &a.name).cmp(&(b.kind, &b.name)))
}

fn eaters(taking: &[&Process]) -> Vec<Eater> {
    let mut groups: BTreeMap<(&str, &str, &str), Eater> = BTreeMap::new();
    for one in taking {
        let role = one.role.as_deref().unwrap_or_default();
        let application = one.application.as_deref().unwrap_or_default();
        let database = one.database.as_deref().unwrap_or_default();
        let eater = groups
            .entry((role, application, database))
            .or_insert_with(|| Eater {
                role: role.to_owned(),
                application: application.to_owned(),
                database: database.to_owned(),
                sessions: 0,
                idle: 0,
                idle_in_transaction: 0,
            });
        eater.sessions += 1;
        match one.state.as_deref() {
            Some("idle") => eater.idle += 1,
            Some(state) if state.starts_with("idle in transaction") => {
                eater.idle_in_transaction += 1;
            }
            _ => {}
        }
    }
    let mut eaters: Vec<Eater> = groups.into_values().collect();
    // The order by name stays among equals.
    eaters.sort_by_key(|eater| std::cmp::Reverse(eater.sessions));
    eaters
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checks::pool::testing::{database, process, role, sample};

    fn clients(count: i32, role: &str, database: &str) -> Vec<Process> {
        (0..count)
            .map(|pid| process(pid + 1, "client backend", role, database, "idle"))
            .collect()
    }

    #[test]
    fn ordinary_logins_have_what_both_reserves_leave() {
        let mut sample = sample(12, 3, Some(2));
        sample.processes = clients(7, "app", "shop");
        let mut own = process(100, "client backend", "dba", "shop", "active");
        own.own = true;
        sample.processes.push(own);
        let capacity = capacity(&sample);
        assert_eq!(capacity.effective, 7);
        let server = capacity.server().unwrap();
        assert_eq!(server.used, Some(7));
        assert_eq!(server.percent, Some(100.0));
        assert_eq!(server.free, Some(0));
    }

    #[test]
    fn only_client_backends_count() {
        let mut sample = sample(100, 3, None);
        for (pid, kind) in [
            "autovacuum launcher",
            "logical replication launcher",
            "io worker",
            "walsender",
            "parallel worker",
            "client backend",
        ]
        .into_iter()
        .enumerate()
        {
            let pid = i32::try_from(pid).unwrap();
            sample
                .processes
                .push(process(pid, kind, "app", "shop", "active"));
        }
        sample.roles = vec![role("app", 2)];
        let capacity = capacity(&sample);
        assert_eq!(capacity.server().unwrap().used, Some(1));
        // A WAL sender of 17 counts for its role, a parallel worker never does.
        let app = capacity
            .walls
            .iter()
            .find(|wall| wall.name == "app")
            .unwrap();
        assert_eq!(app.used, Some(2));
        sample.version_num = 180_000;
        let capacity = super::capacity(&sample);
        let app = capacity
            .walls
            .iter()
            .find(|wall| wall.name == "app")
            .unwrap();
        assert_eq!(app.used, Some(1));
    }

    #[test]
    fn the_fullest_wall_is_named_whatever_it_is() {
        for (role_limit, database_limit, max, expected) in [
            (-1, -1, 13, (WallKind::Server, "")),
            (6, -1, 100, (WallKind::Role, "app")),
            (-1, 6, 100, (WallKind::Database, "shop")),
            (6, 7, 100, (WallKind::Role, "app")),
            (7, 6, 100, (WallKind::Database, "shop")),
            (20, 20, 9, (WallKind::Server, "")),
        ] {
            let mut sample = sample(max, 3, None);
            sample.processes = clients(5, "app", "shop");
            sample.roles = vec![role("app", role_limit), role("other", 1)];
            sample.databases = vec![database("shop", database_limit), database("old", -2)];
            let capacity = capacity(&sample);
            let first = capacity.first().unwrap();
            assert_eq!((first.kind, first.name.as_str()), expected);
            assert_eq!(first.eaters[0].sessions, 5);
        }
    }

    #[test]
    fn superusers_have_no_limit_and_a_limit_of_zero_has_no_percentage() {
        let mut sample = sample(100, 3, None);
        sample.roles = vec![role("closed", 0), role("root", 1)];
        sample.roles[1].superuser = true;
        let capacity = capacity(&sample);
        assert_eq!(capacity.walls.len(), 2, "{capacity:?}");
        let closed = capacity
            .walls
            .iter()
            .find(|wall| wall.name == "closed")
            .unwrap();
        assert_eq!((closed.percent, closed.free), (None, Some(0)));
        assert_eq!(room(&capacity, "closed", "shop"), Some(0));
        assert_eq!(room(&capacity, "app", "shop"), Some(97));
    }

    #[test]
    fn without_the_privilege_nothing_is_counted() {
        let mut sample = sample(100, 3, None);
        sample.sees_all = false;
        sample.processes = clients(1, "app", "shop");
        let capacity = capacity(&sample);
        assert_eq!(capacity.first(), None);
        let server = capacity.server().unwrap();
        assert_eq!(
            (server.used, server.unknown),
            (None, Some(Reason::NoPrivilege))
        );
        assert_eq!(room(&capacity, "app", "shop"), None);
    }

    proptest! {
        #[test]
        fn walls_are_in_a_total_order_and_eaters_add_up(
            sessions in proptest::collection::vec((0..4_u8, 0..3_u8, 0..3_u8), 0..60),
            limits in proptest::collection::vec(-1..30_i32, 4),
            max in 1..200_i64,
            reserves in (0..10_i64, proptest::option::of(0..10_i64)),
        ) {
            let mut sample = sample(max, reserves.0, reserves.1);
            let states = ["active", "idle", "idle in transaction"];
            for (at, (who, what, state)) in sessions.iter().enumerate() {
                sample.processes.push(process(
                    i32::try_from(at).unwrap(),
                    "client backend",
                    &format!("r{who}"),
                    &format!("d{what}"),
                    states[usize::from(*state)],
                ));
            }
            sample.roles = (0..4).map(|n| role(&format!("r{n}"), limits[n])).collect();
            let found = capacity(&sample);
            prop_assert!(found.effective >= 0 && found.effective <= max);
            for wall in &found.walls {
                let sum: i64 = wall.eaters.iter().map(|eater| eater.sessions).sum();
                prop_assert_eq!(Some(sum), wall.used);
                prop_assert!(wall.free.unwrap() <= wall.limit.max(0));
                prop_assert!(wall.eaters.is_sorted_by(|a, b| a.sessions >= b.sessions));
            }
            prop_assert!(found.walls.is_sorted_by(|a, b| tightest_first(a, b) != Ordering::Greater));
            sample.processes.reverse();
            prop_assert_eq!(capacity(&sample), found);
        }
    }
}
