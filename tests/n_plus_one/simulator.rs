//! Applications that do not exist: endpoints with and without loops, their traffic, and what the server would count.
//!
//! Requests arrive at random, are in flight while a reading is taken, and what each of their statements returns
//! follows from the lists that they read. Which statements ran inside a loop is known, so it can be told what a
//! detector should have said.

use std::collections::BTreeMap;

use dbops::checks::n_plus_one::observation::{Change, Observation};
use dbops::checks::n_plus_one::schema::{Column, ForeignKey, Schema, Table};
use fastrand::Rng;

/// How requests arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Traffic {
    /// A mix that drifts.
    Steady,
    /// In every window another honest endpoint is called ten times as often, and the volume jumps.
    EveryWindow,
    /// One honest endpoint is called ten times as often for a few windows, again and again.
    Crawler,
}

/// A simulated run.
pub(crate) struct Run {
    pub(crate) observation: Observation,
    pub(crate) schema: Schema,
    /// Executions inside and outside loops, by text.
    pub(crate) labels: BTreeMap<String, (f64, f64)>,
    /// Table that the rows of the loop came from, by text.
    pub(crate) parents: BTreeMap<String, String>,
}

#[derive(Clone)]
struct Op {
    text: usize,
    times: Times,
    /// Rows that one execution returns.
    rows: Rows,
}

#[derive(Clone, Copy)]
enum Times {
    Once,
    Fixed(u32),
    Chance(f64),
    /// Once for each row of the list of the request.
    Loop,
    /// The same for each row of each of these.
    Nested(u32),
}

#[derive(Clone, Copy)]
enum Rows {
    Exactly(f64),
    About(f64),
    /// The page: the list of the request.
    Page,
}

struct Endpoint {
    weight: f64,
    honest: bool,
    pages: Vec<u32>,
    ops: Vec<Op>,
}

struct World {
    rng: Rng,
    texts: Vec<String>,
    schema: Schema,
    names: Names,
    tenant: bool,
    shared_lists: bool,
    parents: BTreeMap<String, String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Names {
    Snake,
    Camel,
    Odd,
}

const ENTITIES: [&str; 8] = [
    "account", "order", "product", "invoice", "ticket", "review", "vendor", "shipment",
];

impl World {
    fn table(&self, entity: usize) -> String {
        let name = ENTITIES[entity % ENTITIES.len()];
        match self.names {
            Names::Snake => format!("{name}s"),
            Names::Camel => {
                let mut letters = name.chars();
                letters
                    .next()
                    .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
                    .unwrap_or_default()
            }
            Names::Odd => format!("t{}{}", 40 + entity * 7, ["x", "b", "q"][entity % 3]),
        }
    }

    fn key(&self) -> &'static str {
        if self.names == Names::Odd {
            "satznr"
        } else {
            "id"
        }
    }

    fn reference(&self, entity: usize) -> String {
        let name = ENTITIES[entity % ENTITIES.len()];
        match self.names {
            Names::Snake => format!("{name}_id"),
            Names::Camel => format!("{name}Id"),
            Names::Odd => format!("z{}", entity * 3 + 11),
        }
    }

    fn text(&mut self, text: String) -> usize {
        match self.texts.iter().position(|known| *known == text) {
            Some(index) => index,
            None => {
                self.texts.push(text);
                self.texts.len() - 1
            }
        }
    }

    fn select(&mut self, what: &str, table: &str, column: &str, rest: &str) -> usize {
        let tenant = if self.tenant {
            format!("\"{table}\".tenant_id = $9 and ")
        } else {
            String::new()
        };
        self.text(format!(
            "select {what} from \"{table}\" where {tenant}\"{table}\".\"{column}\" = $1{rest}"
        ))
    }

    fn by_key(&mut self, entity: usize) -> usize {
        let (table, key) = (self.table(entity), self.key());
        self.select("*", &table, key, " limit $2")
    }

    fn by_reference(&mut self, entity: usize, to: usize, what: &str) -> usize {
        let (table, column) = (self.table(entity), self.reference(to));
        self.select(what, &table, &column, "")
    }

    fn list(&mut self, entity: usize, order: u32) -> usize {
        let (table, key) = (self.table(entity), self.key());
        let filter = if self.tenant {
            format!("where \"{table}\".tenant_id = $9 ")
        } else {
            String::new()
        };
        let by = if self.shared_lists { 0 } else { order };
        self.text(format!(
            "select * from \"{table}\" {filter}order by \"{table}\".\"{key}\", {by} desc limit $1 offset $2"
        ).replace(", 0 desc", " desc").replace(", 1 desc", ", name").replace(", 2 desc", ", created_at").replace(", 3 desc", ", state"))
    }

    fn build_schema(&mut self, entities: usize, keys: bool, catalog: bool) {
        if !catalog {
            return;
        }
        for entity in 0..entities {
            let name = self.table(entity);
            let mut columns = vec![Column {
                name: self.key().to_owned(),
                type_name: "bigint".to_owned(),
            }];
            for to in 0..entities {
                if to != entity {
                    columns.push(Column {
                        name: self.reference(to),
                        type_name: "bigint".to_owned(),
                    });
                    if keys {
                        self.schema.foreign_keys.push(ForeignKey {
                            name: format!("{name}_{}_fkey", self.reference(to)),
                            table: name.clone(),
                            columns: vec![self.reference(to)],
                            target: self.table(to),
                            target_columns: vec![self.key().to_owned()],
                        });
                    }
                }
            }
            self.schema.tables.push(Table {
                schema: "public".to_owned(),
                name,
                columns,
                primary_key: vec![self.key().to_owned()],
                unique_keys: Vec::new(),
            });
        }
        for (name, column) in [("sessions", "token"), ("settings", "name")] {
            self.schema.tables.push(Table {
                schema: "public".to_owned(),
                name: name.to_owned(),
                columns: vec![
                    Column {
                        name: "id".to_owned(),
                        type_name: "bigint".to_owned(),
                    },
                    Column {
                        name: column.to_owned(),
                        type_name: "text".to_owned(),
                    },
                ],
                primary_key: vec!["id".to_owned()],
                unique_keys: vec![vec![column.to_owned()]],
            });
        }
    }
}

fn op(text: usize, times: Times, rows: Rows) -> Op {
    Op { text, times, rows }
}

/// Makes an application, its traffic and what was counted of it.
pub(crate) fn run(seed: u64, traffic: Traffic) -> Run {
    let mut rng = Rng::with_seed(seed.wrapping_mul(7919).wrapping_add(17));
    let names = [Names::Snake, Names::Camel, Names::Snake, Names::Odd][rng.usize(..4)];
    let catalog = names == Names::Odd || rng.f64() < 0.8;
    let mut world = World {
        texts: Vec::new(),
        schema: Schema::default(),
        names,
        tenant: rng.f64() < 0.2,
        shared_lists: rng.f64() < 0.5,
        parents: BTreeMap::new(),
        rng: rng.fork(),
    };
    let keys = world.rng.f64() < 0.7;
    world.build_schema(8, keys, catalog);
    let endpoints = endpoints(&mut world);
    let session = world.rng.f64() < 0.7;
    let transactions = world.rng.f64() < 0.3;
    let mut every = Vec::new();
    if session {
        let token = world.text("select * from sessions where token = $1 limit $2".to_owned());
        every.push(op(token, Times::Once, Rows::Exactly(1.0)));
        let user = world.by_key(0);
        every.push(op(user, Times::Once, Rows::Exactly(1.0)));
    }
    if transactions {
        let begin = world.text("BEGIN".to_owned());
        every.push(op(begin, Times::Once, Rows::Exactly(0.0)));
    }
    drive(world, &endpoints, &every, traffic, &mut rng)
}

fn endpoints(world: &mut World) -> Vec<Endpoint> {
    let mut all = Vec::new();
    let honest = 4 + world.rng.usize(..5);
    let mut kinds: Vec<usize> = (0..12).collect();
    world.rng.shuffle(&mut kinds);
    for kind in kinds.into_iter().take(honest) {
        let (a, b, c) = three(&mut world.rng);
        let ops = match kind {
            0 => vec![
                op(world.by_key(a), Times::Once, Rows::Exactly(1.0)),
                op(world.by_reference(b, a, "*"), Times::Once, Rows::About(3.0)),
                op(
                    world.by_reference(c, a, "count(*)"),
                    Times::Once,
                    Rows::Exactly(1.0),
                ),
            ],
            1 => vec![
                op(world.by_key(a), Times::Once, Rows::Exactly(1.0)),
                op(world.by_key(b), Times::Once, Rows::Exactly(1.0)),
            ],
            2 => {
                let t = world.text("select * from settings where name = $1".to_owned());
                let n = 1 + world.rng.u32(..3);
                vec![op(t, Times::Fixed(n), Rows::Exactly(1.0))]
            }
            3 => {
                let list = world.list(a, 3);
                let (t, r) = (world.table(b), world.reference(a));
                let batch = world.text(format!("select * from \"{t}\" where \"{t}\".\"{r}\" in ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"));
                vec![
                    op(list, Times::Once, Rows::Page),
                    op(batch, Times::Once, Rows::About(40.0)),
                ]
            }
            4 => {
                let mut ops = Vec::new();
                for e in [a, b] {
                    let t = world.table(e);
                    let text = world.text(format!("select count(*) from \"{t}\""));
                    ops.push(op(text, Times::Once, Rows::Exactly(1.0)));
                }
                ops
            }
            5 => {
                let (t, r) = (world.table(a), world.reference(b));
                let text = world.text(format!(
                    "insert into \"{t}\" (\"{r}\", body) values ($1, $2)"
                ));
                vec![op(text, Times::Once, Rows::Exactly(1.0))]
            }
            6 => {
                let get = world.by_key(a);
                let (t, k) = (world.table(a), world.key());
                let text = world.text(format!("update \"{t}\" set seen = $1 where \"{k}\" = $2"));
                vec![
                    op(get, Times::Once, Rows::Exactly(1.0)),
                    op(text, Times::Once, Rows::Exactly(1.0)),
                ]
            }
            7 => vec![op(world.by_key(a), Times::Fixed(3), Rows::Exactly(1.0))],
            8 => vec![op(
                world.by_reference(a, b, "*"),
                Times::Once,
                Rows::About(8.0),
            )],
            9 => vec![
                op(world.by_key(a), Times::Once, Rows::Exactly(1.0)),
                op(
                    world.by_reference(b, a, "*"),
                    Times::Chance(0.5),
                    Rows::About(6.0),
                ),
            ],
            10 => vec![op(world.list(a, 2), Times::Once, Rows::Page)],
            _ => {
                let (t, u, r, k) = (
                    world.table(a),
                    world.table(b),
                    world.reference(b),
                    world.key(),
                );
                let text = world.text(format!("select * from \"{t}\" join \"{u}\" on \"{t}\".\"{r}\" = \"{u}\".\"{k}\" order by \"{t}\".\"{k}\" limit $1"));
                vec![op(text, Times::Once, Rows::Page)]
            }
        };
        all.push(Endpoint {
            weight: 0.3 + 2.0 * world.rng.f64(),
            honest: true,
            pages: pages(&mut world.rng),
            ops,
        });
    }
    let bad = 1 + world.rng.usize(..3);
    let mut kinds: Vec<usize> = (0..9).collect();
    world.rng.shuffle(&mut kinds);
    for kind in kinds.into_iter().take(bad) {
        let (a, b, c) = three(&mut world.rng);
        let list = world.list(a, 1);
        let mut ops = vec![op(list, Times::Once, Rows::Page)];
        let mut child = None;
        match kind {
            0 => {
                ops.push(op(world.by_key(b), Times::Loop, Rows::Exactly(1.0)));
            }
            1 => {
                ops.push(op(
                    world.by_reference(b, a, "*"),
                    Times::Loop,
                    Rows::About(3.0),
                ));
            }
            2 => {
                ops.push(op(
                    world.by_reference(b, a, "count(*)"),
                    Times::Loop,
                    Rows::Exactly(1.0),
                ));
            }
            3 => {
                let (t, u, k, ra, rb) = (
                    world.table(b),
                    world.table(c),
                    world.key(),
                    world.reference(a),
                    world.reference(b),
                );
                let text = world.text(format!("select \"{t}\".* from \"{t}\" inner join \"{u}\" on \"{t}\".\"{k}\" = \"{u}\".\"{rb}\" where \"{u}\".\"{ra}\" = $1"));
                ops.push(op(text, Times::Loop, Rows::About(2.0)));
            }
            4 => {
                ops.push(op(
                    world.by_reference(b, a, "*"),
                    Times::Loop,
                    Rows::Exactly(3.0),
                ));
                let deep = world.by_reference(c, b, "*");
                child = Some((deep, world.table(b)));
                ops.push(op(deep, Times::Nested(3), Rows::About(2.0)));
            }
            5 => {
                let (t, r) = (world.table(b), world.reference(a));
                let text = world.text(format!(
                    "insert into \"{t}\" (\"{r}\", note) values ($1, $2)"
                ));
                if world.rng.bool() {
                    ops.remove(0);
                }
                ops.push(op(text, Times::Loop, Rows::Exactly(1.0)));
            }
            6 => {
                let (t, k) = (world.table(a), world.key());
                let text = world.text(format!(
                    "update \"{t}\" set views = $1 where \"{t}\".\"{k}\" = $2"
                ));
                ops.push(op(text, Times::Loop, Rows::Exactly(1.0)));
            }
            7 => {
                ops.push(op(
                    world.by_reference(b, a, "*"),
                    Times::Loop,
                    Rows::About(2.0),
                ));
                ops.push(op(
                    world.by_reference(c, a, "count(*)"),
                    Times::Loop,
                    Rows::Exactly(1.0),
                ));
            }
            _ => {
                let (t, k) = (world.table(a), world.key());
                let text = world.text(format!("delete from \"{t}\" where \"{k}\" = $1"));
                ops.push(op(text, Times::Loop, Rows::Exactly(1.0)));
            }
        }
        for step in &ops {
            if matches!(step.times, Times::Loop) {
                let (text, table) = (world.texts[step.text].clone(), world.table(a));
                world.parents.insert(text, table);
            }
        }
        if let Some((deep, table)) = child {
            let text = world.texts[deep].clone();
            world.parents.insert(text, table);
        }
        all.push(Endpoint {
            weight: 0.15 + 0.5 * world.rng.f64(),
            honest: false,
            pages: pages(&mut world.rng),
            ops,
        });
    }
    all
}

fn three(rng: &mut Rng) -> (usize, usize, usize) {
    let mut order: Vec<usize> = (0..8).collect();
    rng.shuffle(&mut order);
    (order[0], order[1], order[2])
}

fn pages(rng: &mut Rng) -> Vec<u32> {
    [
        vec![10, 20, 30],
        vec![20],
        vec![25, 50],
        vec![5, 8, 12],
        vec![7, 13, 18, 20],
        vec![50],
    ][rng.usize(..6)]
    .clone()
}

fn drive(
    world: World,
    endpoints: &[Endpoint],
    every: &[Op],
    traffic: Traffic,
    rng: &mut Rng,
) -> Run {
    let windows = [12, 20, 20, 24][rng.usize(..4)];
    let rate = [8.0, 15.0, 40.0, 100.0, 250.0][rng.usize(..5)];
    let in_flight = 0.02 + 0.1 * rng.f64();
    let honest: Vec<usize> = (0..endpoints.len())
        .filter(|index| endpoints[*index].honest)
        .collect();
    let mut calls = vec![vec![0.0; windows]; world.texts.len()];
    let mut rows = vec![vec![0.0; windows]; world.texts.len()];
    let mut labels: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let mut weights: Vec<f64> = endpoints.iter().map(|endpoint| endpoint.weight).collect();
    let mut crawled: Option<(usize, u32)> = None;
    for window in 0..windows {
        for weight in &mut weights {
            *weight *= (0.12 * normal(rng)).exp();
        }
        let mut now = weights.clone();
        let mut volume = 1.0;
        match traffic {
            Traffic::Steady => volume = (0.15 * normal(rng)).exp(),
            Traffic::EveryWindow => {
                volume = 0.1 + 2.9 * rng.f64();
                now[honest[rng.usize(..honest.len())]] *= 10.0;
            }
            Traffic::Crawler => {
                crawled = match crawled {
                    Some((which, left)) if left > 0 => Some((which, left - 1)),
                    _ if rng.f64() < 0.25 => {
                        Some((honest[rng.usize(..honest.len())], 2 + rng.u32(..4)))
                    }
                    _ => None,
                };
                if let Some((which, _)) = crawled {
                    now[which] *= 10.0;
                    let before: f64 = weights.iter().sum();
                    volume = now.iter().sum::<f64>() / before;
                }
            }
        }
        let total: f64 = now.iter().sum();
        for (endpoint, weight) in endpoints.iter().zip(&now) {
            let requests = poisson(rng, rate * volume * weight / total);
            for _ in 0..requests {
                let late = rng.f64() < in_flight && window + 1 < windows;
                let cut = if late { rng.f64() } else { 1.0 };
                let page = f64::from(endpoint.pages[rng.usize(..endpoint.pages.len())]);
                let steps: Vec<&Op> = every.iter().chain(&endpoint.ops).collect();
                for (place, step) in steps.iter().enumerate() {
                    let (times, looped) = match step.times {
                        Times::Once => (1.0, false),
                        Times::Fixed(n) => (f64::from(n), false),
                        Times::Chance(p) => (f64::from(u8::from(rng.f64() < p)), false),
                        Times::Loop => (page, true),
                        Times::Nested(n) => (page * f64::from(n), true),
                    };
                    if times == 0.0 {
                        continue;
                    }
                    let per_call = match step.rows {
                        Rows::Exactly(n) => n,
                        Rows::About(n) => (n * (0.5 + rng.f64())).round(),
                        Rows::Page => page,
                    };
                    let at = place as f64 / steps.len() as f64;
                    let span = 1.0 / steps.len() as f64;
                    let first = (((cut - at) / span).clamp(0.0, 1.0) * times).floor();
                    for (where_, n) in [(window, first), (window + 1, times - first)] {
                        if n > 0.0 && where_ < windows {
                            calls[step.text][where_] += n;
                            rows[step.text][where_] += n * per_call;
                        }
                    }
                    let label = labels.entry(world.texts[step.text].clone()).or_default();
                    if looped {
                        label.0 += times
                    } else {
                        label.1 += times
                    }
                }
            }
        }
    }
    let mut changes = Vec::new();
    for (index, text) in world.texts.iter().enumerate() {
        for window in 0..windows {
            changes.push(Change {
                window,
                dbid: 1,
                userid: 1,
                queryid: index as i64,
                text,
                calls: calls[index][window],
                rows: rows[index][window],
                exec_ms: 0.05 * calls[index][window],
                plan_ms: 0.0,
            });
        }
    }
    Run {
        observation: Observation::new(windows, changes),
        schema: world.schema,
        labels,
        parents: world.parents,
    }
}

fn normal(rng: &mut Rng) -> f64 {
    (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
}

fn poisson(rng: &mut Rng, mean: f64) -> u32 {
    if mean > 60.0 {
        return (mean + mean.sqrt() * normal(rng)).round().max(0.0) as u32;
    }
    let limit = (-mean).exp();
    let (mut count, mut product) = (0, rng.f64());
    while product > limit {
        count += 1;
        product *= rng.f64();
    }
    count
}
