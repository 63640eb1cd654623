//! Applications told as programs: each request runs statements one after another in time, over rows that really
//! were returned, so that windows cut them where they happen to be. One scenario is a kind of application; it is
//! either there to choose weights by or to measure only.

#[path = "worlds/scenarios.rs"]
mod scenarios;

use std::collections::BTreeMap;

use dbops::checks::n_plus_one::observation::{Change, Observation};
use dbops::checks::n_plus_one::schema::{Column, ForeignKey, Schema, Table};
use fastrand::Rng;

use self::scenarios::{background, scenarios};

/// A simulated run.
pub(crate) struct World {
    pub(crate) observation: Observation,
    pub(crate) schema: Schema,
    /// Executions inside and outside loops, by text.
    pub(crate) labels: BTreeMap<String, (f64, f64)>,
    /// Texts of the lists whose rows a loop went over, by text.
    pub(crate) parents: BTreeMap<String, Vec<String>>,
}

/// Scenarios to choose weights by.
pub(crate) const TUNE: [&str; 12] = [
    "profile and feed share a look-up",
    "nested, two to four each",
    "no foreign keys, many lists",
    "tenant in every predicate",
    "pages of one object beside a list",
    "workers take batches",
    "cache warms up",
    "cron hits an honest page",
    "resolvers",
    "crawler without a session",
    "a few look-ups on every page",
    "eager everywhere",
];
/// Scenarios to measure only.
pub(crate) const HELD_OUT: [&str; 12] = [
    "author shown once and in comments",
    "three levels, two or three each",
    "odd names, no keys, one list text",
    "tenant and soft deletion, no catalog",
    "detail page with the list it came from",
    "outbox is sent row by row",
    "cache hits at random",
    "cron loops over everything",
    "resolvers with nullable keys",
    "load test of an honest page",
    "breadcrumbs of three",
    "many requests, loop is rare",
];

/// Texts and tables of one application.
struct App {
    rng: Rng,
    odd: bool,
    tenant: bool,
    soft: bool,
    latency_s: f64,
    now: f64,
    events: Vec<(f64, String, f64)>,
    labels: BTreeMap<String, (f64, f64)>,
    parents: BTreeMap<String, BTreeMap<String, f64>>,
}

const NAMES: [&str; 10] = [
    "customer", "booking", "room", "payment", "message", "asset", "folder", "driver", "parcel",
    "region",
];

impl App {
    fn table(&self, entity: usize) -> String {
        if self.odd {
            format!("r{}v", 11 + entity * 13)
        } else {
            format!("{}s", NAMES[entity])
        }
    }

    fn key(&self) -> &'static str {
        if self.odd { "nk" } else { "id" }
    }

    fn reference(&self, entity: usize) -> String {
        if self.odd {
            format!("c{}", 5 + entity * 3)
        } else {
            format!("{}_id", NAMES[entity])
        }
    }

    fn filter(&self, table: &str) -> String {
        let mut words = String::new();
        if self.tenant {
            words += &format!("\"{table}\".\"tenant_id\" = $8 AND ");
        }
        if self.soft {
            words += &format!("\"{table}\".\"deleted_at\" IS NULL AND ");
        }
        words
    }

    fn by_key(&self, entity: usize) -> String {
        let (table, key) = (self.table(entity), self.key());
        let filter = self.filter(&table);
        format!("SELECT * FROM \"{table}\" WHERE {filter}\"{table}\".\"{key}\" = $1 LIMIT $2")
    }

    fn by_reference(&self, entity: usize, to: usize) -> String {
        let (table, column) = (self.table(entity), self.reference(to));
        let filter = self.filter(&table);
        format!("SELECT * FROM \"{table}\" WHERE {filter}\"{table}\".\"{column}\" = $1")
    }

    fn count(&self, entity: usize, to: usize) -> String {
        self.by_reference(entity, to)
            .replace("SELECT *", "SELECT count(*)")
    }

    fn update(&self, entity: usize) -> String {
        let (table, key) = (self.table(entity), self.key());
        format!("UPDATE \"{table}\" SET \"state\" = $1 WHERE \"{table}\".\"{key}\" = $2")
    }

    fn insert(&self, entity: usize, to: usize) -> String {
        let (table, column) = (self.table(entity), self.reference(to));
        format!("INSERT INTO \"{table}\" (\"{column}\", \"body\") VALUES ($1, $2)")
    }

    fn list(&self, entity: usize, order: &str) -> String {
        let table = self.table(entity);
        let filter = self.filter(&table);
        let filter = filter
            .strip_suffix(" AND ")
            .map_or(String::new(), |words| format!(" WHERE {words}"));
        format!(
            "SELECT * FROM \"{table}\"{filter} ORDER BY \"{table}\".\"{order}\" LIMIT $1 OFFSET $2"
        )
    }

    fn batch(&self, entity: usize, column: &str) -> String {
        let table = self.table(entity);
        format!(
            "SELECT * FROM \"{table}\" WHERE \"{table}\".\"{column}\" IN ($1, $2, $3, $4, $5, $6)"
        )
    }

    /// Runs one statement outside loops.
    fn once(&mut self, text: &str, rows: usize) {
        self.run(text, rows, None);
    }

    /// Runs one statement for a row of a list; an empty name is a loop over no rows of the server.
    fn each(&mut self, text: &str, rows: usize, list: &str) {
        self.run(text, rows, Some(list));
    }

    fn run(&mut self, text: &str, rows: usize, list: Option<&str>) {
        self.now += self.latency_s * (0.4 + 1.2 * self.rng.f64());
        self.events.push((self.now, text.to_owned(), rows as f64));
        let label = self.labels.entry(text.to_owned()).or_default();
        match list {
            Some(list) => {
                label.0 += 1.0;
                if !list.is_empty() {
                    let known = self.parents.entry(text.to_owned()).or_default();
                    *known.entry(list.to_owned()).or_default() += 1.0;
                }
            }
            None => label.1 += 1.0,
        }
    }

    fn between(&mut self, low: usize, high: usize) -> usize {
        self.rng.usize(low..=high)
    }

    fn chance(&mut self, part: f64) -> bool {
        self.rng.f64() < part
    }

    /// Tables with everything that a catalog says; `keys`: with foreign keys.
    fn schema(&self, keys: bool) -> Schema {
        let mut schema = Schema::default();
        let column = |name: &str| Column {
            name: name.to_owned(),
            type_name: "bigint".to_owned(),
        };
        for entity in 0..NAMES.len() {
            let name = self.table(entity);
            let mut columns = vec![column(self.key())];
            for to in (0..NAMES.len()).filter(|to| *to != entity) {
                columns.push(column(&self.reference(to)));
                if keys {
                    schema.foreign_keys.push(ForeignKey {
                        name: format!("{name}_{}_fkey", self.reference(to)),
                        table: name.clone(),
                        columns: vec![self.reference(to)],
                        target: self.table(to),
                        target_columns: vec![self.key().to_owned()],
                    });
                }
            }
            schema.tables.push(Table {
                schema: "public".to_owned(),
                name,
                columns,
                primary_key: vec![self.key().to_owned()],
                unique_keys: Vec::new(),
            });
        }
        schema
    }
}

/// A page: what one request does.
type Page = Box<dyn Fn(&mut App)>;

/// Pages with how often each is asked for, and when one of them is asked for much more often.
struct Site {
    pages: Vec<(f64, Page)>,
    /// Page, how many times as often, seconds between bursts, seconds of a burst.
    burst: Option<(usize, f64, f64, f64)>,
    /// Page that runs by the clock, and every how many seconds.
    cron: Option<(Page, f64)>,
    before: Option<Page>,
    rate: f64,
    window_s: f64,
    windows: usize,
    catalog: Option<bool>,
}

fn page(run: impl Fn(&mut App) + 'static) -> Page {
    Box::new(run)
}

/// Runs a scenario.
pub(crate) fn run(scenario: &str, seed: u64) -> World {
    let mut rng = Rng::with_seed(
        seed.wrapping_mul(104_729)
            .wrapping_add(scenario.len() as u64),
    );
    let mut app = App {
        odd: false,
        tenant: false,
        soft: false,
        latency_s: [0.0005, 0.001, 0.003][rng.usize(..3)],
        now: 0.0,
        events: Vec::new(),
        labels: BTreeMap::new(),
        parents: BTreeMap::new(),
        rng: rng.fork(),
    };
    let rate = [10.0, 25.0, 60.0, 120.0][rng.usize(..4)];
    let mut site = Site {
        pages: Vec::new(),
        burst: None,
        cron: None,
        before: None,
        rate,
        window_s: [0.5, (400.0_f64 / rate / 20.0).clamp(0.25, 2.0), 1.0][rng.usize(..3)],
        windows: [12, 16, 20, 24][rng.usize(..4)],
        catalog: Some(true),
    };
    background(&mut site, &mut app);
    if rng.f64() < 0.6 {
        site.before = Some(page(|app| {
            app.once("SELECT * FROM \"sessions\" WHERE \"token\" = $1", 1);
        }));
    }
    scenarios(scenario, &mut site, &mut app, &mut rng);
    drive(site, app, &mut rng)
}

fn drive(site: Site, mut app: App, rng: &mut Rng) -> World {
    let whole = site.window_s * site.windows as f64;
    let weights: f64 = site.pages.iter().map(|(weight, _)| weight).sum();
    let wave = (0.3 * rng.f64(), 5.0 + 20.0 * rng.f64());
    for (index, (weight, run)) in site.pages.iter().enumerate() {
        let mut at = -1.0;
        while at < whole {
            let bursting = site.burst.is_some_and(|(which, _, every, seconds)| {
                which == index && at.rem_euclid(every) < seconds
            });
            let factor = if bursting {
                site.burst.map_or(1.0, |burst| burst.1)
            } else {
                1.0
            };
            let sway = 1.0 + wave.0 * (at / wave.1 * std::f64::consts::TAU).sin();
            let rate = site.rate * weight / weights * factor * sway;
            let wait = -(1.0 - rng.f64()).ln() / rate;
            // The rate may change meanwhile; a wait that is cut off ends in no request.
            at += wait.min(0.1);
            if wait > 0.1 {
                continue;
            }
            app.now = at;
            if let Some(before) = &site.before {
                before(&mut app);
            }
            run(&mut app);
        }
    }
    if let Some((run, every)) = &site.cron {
        let mut at = rng.f64() * every;
        while at < whole {
            app.now = at;
            run(&mut app);
            at = app.now.max(at + every);
        }
    }
    let schema = site
        .catalog
        .map_or(Schema::default(), |keys| app.schema(keys));
    counted(&site, app, schema, whole)
}

fn counted(site: &Site, app: App, schema: Schema, whole: f64) -> World {
    let mut found: BTreeMap<(&str, usize), (f64, f64)> = BTreeMap::new();
    for (at, text, rows) in &app.events {
        if *at < 0.0 || *at >= whole {
            continue;
        }
        let window = ((at / site.window_s) as usize).min(site.windows - 1);
        let entry = found.entry((text, window)).or_default();
        entry.0 += 1.0;
        entry.1 += rows;
    }
    let changes = found.iter().map(|((text, window), (calls, rows))| Change {
        window: *window,
        dbid: 1,
        userid: 1,
        queryid: 1,
        text,
        calls: *calls,
        rows: *rows,
        exec_ms: 0.05 * calls,
        plan_ms: 0.0,
    });
    World {
        observation: Observation::new(site.windows, changes),
        schema,
        labels: app.labels,
        parents: app
            .parents
            .into_iter()
            .map(|(text, known)| {
                let all: f64 = known.values().sum();
                let lists = known.into_iter().filter(|(_, count)| *count >= 0.05 * all);
                (text, lists.map(|(list, _)| list).collect())
            })
            .collect(),
    }
}
