//! The labelled runs of `tests/fixtures/n_plus_one/` and `tests/fixtures/n_plus_one_live/`.

use std::io::Read as _;
use std::path::Path;

use dbops::checks::n_plus_one::observation::{Change, Observation};
use dbops::checks::n_plus_one::schema::{Column, ForeignKey, Schema, Table};
use serde::Deserialize;

/// A run of an application.
#[derive(Deserialize)]
pub(crate) struct Run {
    pub(crate) orm: String,
    /// Scenario, where the set has numbers.
    #[serde(default)]
    pub(crate) seed: u64,
    /// Name of the file of its tables.
    #[serde(default)]
    pub(crate) schema: String,
    /// How requests came.
    #[serde(default)]
    pub(crate) traffic: String,
    pub(crate) statements: Vec<Counted>,
}

/// A statement of it.
#[derive(Deserialize)]
pub(crate) struct Counted {
    pub(crate) text: String,
    pub(crate) label: Option<(f64, f64)>,
    pub(crate) mean_ms: f64,
    pub(crate) calls: Vec<f64>,
    pub(crate) rows: Vec<f64>,
    /// Texts of the lists that its loop went over.
    #[serde(default)]
    pub(crate) parents: Vec<String>,
}

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Reads a set: `n_plus_one/steady`.
pub(crate) fn runs(set: &str) -> Vec<Run> {
    let file = std::fs::File::open(file(&format!("{set}.jsonl.gz"))).expect("the fixture");
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("gzip");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a run"))
        .collect()
}

impl Run {
    /// What the server counted, as a detector gets it.
    pub(crate) fn observation(&self) -> Observation {
        let windows = self.statements.first().map_or(0, |one| one.calls.len());
        let changes = self.statements.iter().enumerate().flat_map(|(index, one)| {
            let counts = one.calls.iter().zip(&one.rows).enumerate();
            counts.map(move |(window, (calls, rows))| Change {
                window,
                dbid: 1,
                userid: 1,
                queryid: index as i64,
                text: &one.text,
                calls: *calls,
                rows: *rows,
                exec_ms: calls * one.mean_ms,
                plan_ms: 0.0,
            })
        });
        Observation::new(windows, changes)
    }

    /// The tables of its application.
    pub(crate) fn tables(&self) -> Schema {
        let camel = ["prisma", "typeorm", "sequelize", "knex", "drizzle"];
        let name = match self.schema.as_str() {
            "" if camel.contains(&self.orm.as_str()) => "n_plus_one/schema_camel.sql".to_owned(),
            "" => "n_plus_one/schema_snake.sql".to_owned(),
            name => format!("n_plus_one_live/schema_{name}.sql"),
        };
        schema(&std::fs::read_to_string(file(&name)).expect("the schema"))
    }
}

/// Reads the simple form of CREATE TABLE that these schemas have.
fn schema(sql: &str) -> Schema {
    let mut schema = Schema::default();
    for statement in sql.split("create table ").skip(1) {
        let statement = statement
            .split(");")
            .next()
            .expect("a definition")
            .replace('"', "");
        let (name, columns) = statement.split_once('(').expect("columns");
        let name = name.trim().to_owned();
        let mut table = Table {
            schema: "public".to_owned(),
            name: name.clone(),
            ..Table::default()
        };
        for column in columns.split(',') {
            let words: Vec<&str> = column.split_whitespace().collect();
            let [column_name, type_name, ..] = words.as_slice() else {
                continue;
            };
            let type_name = match *type_name {
                "serial" | "int" => "integer",
                "bigserial" => "bigint",
                other => other,
            };
            if column.contains("primary key") {
                table.primary_key = vec![(*column_name).to_owned()];
            }
            if column.contains(" unique") {
                table.unique_keys.push(vec![(*column_name).to_owned()]);
            }
            if let Some((_, target)) = column.split_once("references ") {
                let target = target.split(['(', ' ']).next().expect("a table").trim();
                schema.foreign_keys.push(ForeignKey {
                    name: format!("{name}_{column_name}_fkey"),
                    table: name.clone(),
                    columns: vec![(*column_name).to_owned()],
                    target: target.to_owned(),
                    target_columns: Vec::new(),
                });
            }
            table.columns.push(Column {
                name: (*column_name).to_owned(),
                type_name: type_name.to_owned(),
            });
        }
        schema.tables.push(table);
    }
    for key in &mut schema.foreign_keys {
        let target = schema.tables.iter().find(|table| table.name == key.target);
        key.target_columns
            .clone_from(&target.expect("the table referred to").primary_key);
    }
    schema
}
