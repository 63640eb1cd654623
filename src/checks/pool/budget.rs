//! `pool budget`: what declared application pools and poolers may open together, against what the server takes.
//!
//! Every pool is counted full, because that is what a deploy, a stall or a failover makes of it. A pooler opens at most
//! its pools, and for an application no more servers than the application has clients.
//! Sizing: <https://wiki.postgresql.org/wiki/Number_Of_Database_Connections>.

use std::collections::BTreeMap;

use serde::Serialize;

use super::capacity::{capacity, is_client};
use super::pooler::{limits, setting};
use super::status::{Asked, NotKnown, Seen};
use crate::checks::reason::Reason;
use crate::plan_file::{AppPool, Target};
use crate::sample::pool::console::ConsoleSample;
use crate::sample::pool::model::ServerSample;

/// What the advice on sizes rests on; no server tells it by SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Cores of the database server.
    pub cores: u32,
    /// Disks that seek on their own; 0 where everything is cached, 1 for one SSD.
    pub spindles: u32,
}

impl Machine {
    /// Returns how many connections work at once at best: (cores x 2) + spindles.
    pub fn connections(self) -> i64 {
        i64::from(self.cores) * 2 + i64::from(self.spindles)
    }
}

/// A budget of a target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Budget {
    /// The target's name.
    pub target: String,
    /// Connections that ordinary roles can have; `None`: not known.
    pub capacity: Option<i64>,
    /// Where that comes from.
    pub capacity_basis: String,
    /// Who may open how many connections to the primary.
    pub lines: Vec<Line>,
    /// Sum for certain.
    pub declared: i64,
    /// Sum at most: with poolers counted as their clients where their pools are not known; `None`: nothing bounds it.
    pub declared_at_most: Option<i64>,
    /// Sum of what the pools keep open.
    pub kept: i64,
    /// `declared` as part of the capacity.
    pub percent: Option<f64>,
    /// `declared_at_most` as part of the capacity.
    pub percent_at_most: Option<f64>,
    /// Sessions now of roles that no line is for.
    pub others_now: Option<i64>,
    /// Walls beside the server: limits of roles and of poolers' clients.
    pub walls: Vec<DeclaredWall>,
    /// Advice on the size of all pools together.
    pub advice: Option<Advice>,
    /// Whether something is over its limit.
    pub over: bool,
    /// What is not known.
    pub not_known: Vec<NotKnown>,
}

/// Who may open how many connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// `application` or `pooler`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The role, where it is one.
    pub role: Option<String>,
    /// Connections kept open.
    pub kept: i64,
    /// Connections for certain, when all is full.
    pub connections: i64,
    /// Connections at most; `None`: nothing bounds them.
    pub at_most: Option<i64>,
    /// How that was counted.
    pub basis: String,
}

/// A limit beside that of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeclaredWall {
    /// `role` or `clients`.
    pub kind: &'static str,
    /// The role or pooler.
    pub name: String,
    /// The limit.
    pub limit: i64,
    /// What is declared against it.
    pub declared: i64,
    /// Whether that is more.
    pub over: bool,
}

/// Advice on sizes, with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// Cores and spindles given.
    pub machine: Machine,
    /// Connections that work at once at best.
    pub connections: i64,
}

/// What a budget is made from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The target's name.
    pub name: &'a str,
    /// The target.
    pub target: &'a Target,
    /// What its nodes said; none of them is needed.
    pub asked: &'a [Asked],
    /// Capacity given by hand, for a server that is not there yet.
    pub capacity: Option<i64>,
    /// For the advice.
    pub machine: Option<Machine>,
}

/// Adds up what is declared.
pub fn budget(inputs: Inputs<'_>) -> Budget {
    let server = inputs.asked.iter().find_map(|one| match &one.seen {
        Seen::Server(sample) if one.name == "primary" => Some(&**sample),
        _ => None,
    });
    let mut not_known = Vec::new();
    let (capacity, capacity_basis) = found_capacity(inputs, server, &mut not_known);
    let lines = lines(inputs, &mut not_known);
    let declared = lines.iter().map(|line| line.connections).sum();
    let declared_at_most = lines.iter().map(|line| line.at_most).sum();
    let walls = walls(inputs, server, &lines);
    #[expect(clippy::cast_precision_loss, reason = "numbers of connections")]
    let part = |sum: i64| {
        capacity
            .filter(|capacity| *capacity > 0)
            .map(|capacity| sum as f64 * 100.0 / capacity as f64)
    };
    if inputs.machine.is_none() {
        not_known.push(lacking(
            "target",
            "pool size advice",
            Reason::NotLocal,
            "give --cores and --spindles",
        ));
    }
    Budget {
        target: inputs.name.to_owned(),
        capacity,
        capacity_basis,
        declared,
        declared_at_most,
        kept: lines.iter().map(|line| line.kept).sum(),
        percent: part(declared),
        percent_at_most: declared_at_most.and_then(part),
        others_now: server.and_then(|sample| others(sample, inputs.target)),
        over: walls.iter().any(|wall| wall.over)
            || capacity.is_some_and(|capacity| declared > capacity),
        walls,
        lines,
        advice: inputs.machine.map(|machine| Advice {
            machine,
            connections: machine.connections(),
        }),
        not_known,
    }
}

impl Budget {
    /// Whether it cannot be told that all fits.
    pub fn unknown(&self) -> bool {
        !self.over
            && self
                .capacity
                .zip(self.declared_at_most)
                .is_none_or(|(capacity, at_most)| at_most > capacity)
    }
}

fn lacking(node: &str, what: &str, reason: Reason, fix: &str) -> NotKnown {
    NotKnown {
        node: node.to_owned(),
        what: what.to_owned(),
        reason,
        fix: fix.to_owned(),
    }
}

fn found_capacity(
    inputs: Inputs<'_>,
    server: Option<&ServerSample>,
    not_known: &mut Vec<NotKnown>,
) -> (Option<i64>, String) {
    if let Some(given) = inputs.capacity {
        return (Some(given), "given by --capacity".to_owned());
    }
    if let Some(sample) = server {
        let found = capacity(sample);
        let reserves = found.superuser_reserved + found.reserved.unwrap_or(0);
        let basis = format!(
            "max_connections {} less {reserves} reserved",
            found.max_connections
        );
        return (Some(found.effective), basis);
    }
    let reason = inputs
        .asked
        .iter()
        .find(|one| one.name == "primary")
        .map_or(Reason::NotConnected, |one| match one.seen {
            Seen::Exhausted(_) => Reason::Exhausted,
            _ => Reason::NotConnected,
        });
    not_known.push(lacking(
        "primary",
        "its capacity",
        reason,
        "connect to it, or give --capacity N",
    ));
    (None, "not known".to_owned())
}

fn lines(inputs: Inputs<'_>, not_known: &mut Vec<NotKnown>) -> Vec<Line> {
    let mut lines = Vec::new();
    for app in &inputs.target.app_pools {
        if app.through.is_none() {
            lines.push(Line {
                kind: "application",
                name: app.name.clone(),
                role: Some(app.db_role.clone()),
                kept: times(app, app.min),
                connections: times(app, app.max),
                at_most: Some(times(app, app.max)),
                basis: format!("{} x max {}", app.instances, app.max),
            });
        }
    }
    for pooler in &inputs.target.poolers {
        let Some(name) = pooler.name.as_deref() else {
            continue;
        };
        // A pooler before a replica takes nothing of the primary.
        if pooler
            .fronts
            .as_deref()
            .is_some_and(|fronts| fronts != "primary")
        {
            continue;
        }
        let apps: Vec<&AppPool> = inputs
            .target
            .app_pools
            .iter()
            .filter(|app| app.through.as_deref() == Some(name))
            .collect();
        let console = inputs.asked.iter().find_map(|one| match &one.seen {
            Seen::Pooler(sample) if one.name == name => Some(&**sample),
            _ => None,
        });
        lines.push(match console {
            Some(sample) => of_pooler(name, sample, &apps, not_known),
            None => {
                let fix = if apps.is_empty() {
                    "make its console reachable, or declare its clients as `app_pools` that go `through` it"
                } else {
                    "make its console reachable; until then its clients count as servers"
                };
                let reason = Reason::NotConnected;
                not_known.push(lacking(name, "sizes of its pools", reason, fix));
                Line {
                    kind: "pooler",
                    name: name.to_owned(),
                    role: None,
                    kept: 0,
                    connections: 0,
                    // Where nobody is declared, anybody may come.
                    at_most: (!apps.is_empty()).then(|| clients(&apps)),
                    basis: if apps.is_empty() {
                        "not reached, and no clients are declared".to_owned()
                    } else {
                        "not reached: at most its declared clients".to_owned()
                    },
                }
            }
        });
    }
    lines
}

fn times(app: &AppPool, each: u32) -> i64 {
    i64::from(app.instances) * i64::from(each)
}

fn clients(apps: &[&AppPool]) -> i64 {
    apps.iter().map(|app| times(app, app.max)).sum()
}

/// Servers that a pooler may open: those of the pools that are there, and of those that declared applications will make.
fn of_pooler(
    name: &str,
    sample: &ConsoleSample,
    apps: &[&AppPool],
    not_known: &mut Vec<NotKnown>,
) -> Line {
    // Of each database and user what its pool may have.
    let mut pools: BTreeMap<(&str, &str), Option<i64>> = BTreeMap::new();
    for pool in &sample.pools {
        let key = (pool.database.as_str(), pool.user.as_str());
        pools.insert(key, size(sample, &pool.database, &pool.user));
    }
    let mut bounds: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for app in apps {
        let of_role = |key: &&(&str, &str)| {
            key.1 == app.db_role && app.database.as_deref().is_none_or(|wanted| wanted == key.0)
        };
        let there = pools.keys().find(of_role).copied();
        let database = app.database.as_deref().unwrap_or("(any)");
        let key = there.unwrap_or((database, app.db_role.as_str()));
        pools
            .entry(key)
            .or_insert_with(|| size(sample, database, &app.db_role));
        *bounds.entry(key).or_default() += times(app, app.max);
    }
    let mut by_database: BTreeMap<&str, Sum> = BTreeMap::new();
    let mut by_user: BTreeMap<&str, Sum> = BTreeMap::new();
    for (key, size) in &pools {
        // Without a size only the declared clients bound it.
        let most = size.or_else(|| bounds.get(key).copied());
        by_database.entry(key.0).or_default().add(most);
        by_user.entry(key.1).or_default().add(most);
    }
    let mut databases = Sum::default();
    for (database, sum) in by_database {
        databases.join(sum.within(limits(sample, database, "").database));
    }
    let mut users = Sum::default();
    for (user, sum) in by_user {
        users.join(sum.within(limits(sample, "", user).user));
    }
    let at_most = match (databases.at_most, users.at_most) {
        (Some(databases), Some(users)) => Some(databases.min(users)),
        (databases, users) => databases.or(users),
    };
    if at_most.is_none() {
        not_known.push(lacking(
            name,
            "servers of a pool without a size",
            Reason::NoLimit,
            "set pool_size or default_pool_size, or max_db_connections",
        ));
    }
    Line {
        kind: "pooler",
        name: name.to_owned(),
        role: None,
        kept: 0,
        connections: databases.known.min(users.known),
        at_most,
        basis: format!(
            "{} pools of users and databases, each at its size and reserve",
            pools.len()
        ),
    }
}

/// Servers of several pools.
#[derive(Debug, Clone, Copy)]
struct Sum {
    /// Of those that have a size.
    known: i64,
    /// Of all; `None`: one of them has none.
    at_most: Option<i64>,
}

impl Default for Sum {
    fn default() -> Self {
        Self {
            known: 0,
            at_most: Some(0),
        }
    }
}

impl Sum {
    fn add(&mut self, most: Option<i64>) {
        self.join(Self {
            known: most.unwrap_or_default(),
            at_most: most,
        });
    }

    fn join(&mut self, other: Self) {
        self.known += other.known;
        self.at_most = self
            .at_most
            .zip(other.at_most)
            .map(|(one, more)| one + more);
    }

    /// Returns it below a limit of all of them.
    fn within(self, limit: Option<i64>) -> Self {
        let Some(limit) = limit else {
            return self;
        };
        Self {
            known: self.known.min(limit),
            at_most: Some(self.at_most.map_or(limit, |sum| sum.min(limit))),
        }
    }
}

fn size(sample: &ConsoleSample, database: &str, user: &str) -> Option<i64> {
    let size = limits(sample, database, user).pool_size?;
    let reserve = match sample.databases.get(database) {
        Some(one) => one.reserve,
        None => setting(sample, "reserve_pool_size"),
    };
    Some(size + reserve.unwrap_or_default())
}

fn walls(inputs: Inputs<'_>, server: Option<&ServerSample>, lines: &[Line]) -> Vec<DeclaredWall> {
    let mut walls = Vec::new();
    let mut by_role: BTreeMap<&str, i64> = BTreeMap::new();
    for line in lines {
        if let Some(role) = &line.role {
            *by_role.entry(role).or_default() += line.connections;
        }
    }
    for (role, declared) in by_role {
        let limited = server
            .iter()
            .flat_map(|sample| &sample.roles)
            .find(|one| one.name == role && one.limit >= 0 && !one.superuser);
        if let Some(one) = limited {
            let limit = i64::from(one.limit);
            walls.push(DeclaredWall {
                kind: "role",
                name: role.to_owned(),
                limit,
                declared,
                over: declared > limit,
            });
        }
    }
    for one in inputs.asked {
        let Seen::Pooler(sample) = &one.seen else {
            continue;
        };
        let apps: Vec<&AppPool> = inputs
            .target
            .app_pools
            .iter()
            .filter(|app| app.through.as_deref() == Some(&one.name))
            .collect();
        let declared = clients(&apps);
        if let Some(limit) = setting(sample, "max_client_conn").filter(|limit| *limit > 0)
            && declared > 0
        {
            walls.push(DeclaredWall {
                kind: "clients",
                name: one.name.clone(),
                limit,
                declared,
                over: declared > limit,
            });
        }
    }
    walls
}

/// Sessions of roles that no application pool is declared for: people, monitors, jobs.
fn others(sample: &ServerSample, target: &Target) -> Option<i64> {
    let declared = |role: &str| target.app_pools.iter().any(|app| app.db_role == role);
    let count = sample
        .processes
        .iter()
        .filter(|one| is_client(one) && !one.role.as_deref().is_some_and(declared))
        .count();
    i64::try_from(count).ok().filter(|_| sample.sees_all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checks::pool::testing::{role, sample};
    use crate::plan_file::{Origin, TargetNode};
    use crate::sample::pool::console::{DatabaseRow, PoolRow};

    fn app(name: &str, through: Option<&str>, instances: u32, max: u32) -> AppPool {
        AppPool {
            name: name.to_owned(),
            db_role: name.to_owned(),
            database: Some("shop".to_owned()),
            through: through.map(str::to_owned),
            instances,
            min: 1,
            max,
            idle: None,
            connect_timeout: None,
        }
    }

    fn target(app_pools: Vec<AppPool>) -> Target {
        let pooler = TargetNode {
            name: Some("pgb".to_owned()),
            fronts: Some("primary".to_owned()),
            ..TargetNode::default()
        };
        Target {
            primary: TargetNode::default(),
            replicas: Vec::new(),
            poolers: vec![pooler],
            app_pools,
            origin: Origin::default(),
        }
    }

    fn asked(name: &str, seen: Seen) -> Asked {
        Asked {
            name: name.to_owned(),
            place: String::new(),
            required: true,
            seen,
        }
    }

    fn console(size: i64, max: i64, users: &[&str]) -> Asked {
        let mut sample = ConsoleSample::default();
        sample
            .settings
            .insert("default_pool_size".to_owned(), size.to_string());
        sample
            .settings
            .insert("max_client_conn".to_owned(), "1000".to_owned());
        let shop = DatabaseRow {
            pool_size: Some(size),
            max_connections: Some(max),
            ..DatabaseRow::default()
        };
        sample.databases.insert("shop".to_owned(), shop);
        for user in users {
            sample.pools.push(PoolRow {
                database: "shop".to_owned(),
                user: (*user).to_owned(),
                ..PoolRow::default()
            });
        }
        asked("pgb", Seen::Pooler(Box::new(sample)))
    }

    fn of(target: &Target, asked: &[Asked], capacity: Option<i64>) -> Budget {
        budget(Inputs {
            name: "main",
            target,
            asked,
            capacity,
            machine: Some(Machine {
                cores: 4,
                spindles: 1,
            }),
        })
    }

    #[test]
    fn instances_multiply_and_the_reserves_are_not_theirs() {
        let target = target(vec![app("api", None, 4, 25)]);
        let server = || asked("primary", Seen::Server(Box::new(sample(103, 3, None))));
        let fits = of(&target, &[server(), console(5, 0, &[])], None);
        assert_eq!((fits.capacity, fits.declared), (Some(100), 100));
        assert!(!fits.over && !fits.unknown(), "{fits:?}");
        assert_eq!(fits.advice.unwrap().connections, 9);
        // One session of a role that is in the pooler is one too many.
        let over = of(&target, &[server(), console(5, 0, &["job"])], None);
        assert_eq!(over.declared, 105);
        assert!(over.over);
    }

    #[test]
    fn a_pooler_counts_its_pools_within_its_limits() {
        let apps = target(vec![
            app("api", Some("pgb"), 10, 50),
            app("web", Some("pgb"), 1, 5),
        ]);
        let server = asked("primary", Seen::Server(Box::new(sample(100, 3, None))));
        // Two pools of 20 where the database has no limit, 30 where it has one.
        for (max, expected) in [(0, 40), (30, 30)] {
            let found = of(&apps, &[server.clone(), console(20, max, &["api"])], None);
            assert_eq!(found.declared, expected, "{found:?}");
            assert!(!found.over);
        }
        let clients = of(&apps, &[server, console(20, 0, &[])], None);
        let wall = clients
            .walls
            .iter()
            .find(|wall| wall.kind == "clients")
            .unwrap();
        assert_eq!((wall.declared, wall.limit, wall.over), (505, 1000, false));
    }

    #[test]
    fn a_role_over_its_own_limit_is_over() {
        let apps = target(vec![app("api", None, 2, 10)]);
        let mut server = sample(100, 3, None);
        server.roles = vec![role("api", 15)];
        let found = of(
            &apps,
            &[asked("primary", Seen::Server(Box::new(server)))],
            None,
        );
        assert!(found.over);
        assert_eq!((found.walls[0].declared, found.walls[0].limit), (20, 15));
    }

    #[test]
    fn what_is_not_reached_is_counted_at_most_and_told() {
        let apps = target(vec![app("api", Some("pgb"), 4, 10)]);
        let fits = of(&apps, &[], Some(40));
        assert!(!fits.over && !fits.unknown());
        assert_eq!((fits.declared, fits.declared_at_most), (0, Some(40)));
        assert_eq!(fits.not_known[0].reason, Reason::NotConnected);
        let perhaps = of(&apps, &[], Some(39));
        assert!(!perhaps.over && perhaps.unknown());
        let blind = of(&apps, &[], None);
        assert!(blind.unknown() && blind.percent.is_none());
    }

    #[test]
    fn what_nothing_bounds_is_not_said_to_fit() {
        // Nobody says who comes through the pooler, and it cannot be asked.
        let silent = target(vec![app("api", None, 1, 5)]);
        let found = of(&silent, &[], Some(1_000));
        assert_eq!((found.declared, found.declared_at_most), (5, None));
        assert!(!found.over && found.unknown(), "{found:?}");
        // A pool of somebody who is not declared, without a size: 0 is no limit.
        let server = asked("primary", Seen::Server(Box::new(sample(100, 3, None))));
        for (max, at_most) in [(0, None), (30, Some(35))] {
            let nodes = [server.clone(), console(0, max, &["job"])];
            let found = of(&silent, &nodes, None);
            assert_eq!(found.declared_at_most, at_most, "{found:?}");
            assert_eq!(found.unknown(), at_most.is_none());
            let told = found
                .not_known
                .iter()
                .any(|one| one.reason == Reason::NoLimit);
            assert_eq!(told, at_most.is_none());
        }
    }

    proptest! {
        #[test]
        fn a_larger_declaration_never_needs_less(
            apps in proptest::collection::vec((any::<bool>(), 1..9_u32, 1..60_u32), 0..6),
            size in 0..40_i64,
            max in 0..80_i64,
            capacity in 1..500_i64,
        ) {
            let made: Vec<AppPool> = apps
                .iter()
                .enumerate()
                .map(|(at, (direct, instances, most))| {
                    app(&format!("a{at}"), (!direct).then_some("pgb"), *instances, *most)
                })
                .collect();
            let nodes = [console(size, max, &["a0", "x"])];
            let mut last = 0;
            for count in 0..=made.len() {
                let found = of(&target(made[..count].to_vec()), &nodes, Some(capacity));
                prop_assert!(found.declared >= last, "{} then {}", last, found.declared);
                prop_assert!(found.declared_at_most.is_none_or(|most| found.declared <= most));
                // A pooler takes so many clients and no more, whatever the server has room for.
                let clients = found.walls.iter().any(|wall| wall.over);
                prop_assert_eq!(found.over, found.declared > capacity || clients);
                prop_assert!(!(found.over && found.unknown()));
                last = found.declared;
            }
        }
    }
}
