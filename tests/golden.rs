//! Golden tests: catalog snapshot and plan file in, changeset out as text, SQL and JSON. No server.
//!
//! Each folder of `tests/golden/` is a case: `case.yaml` says which plan file, which verb, which day;
//! `catalog.json` is what a server said (written and kept true by `tests/it/golden.rs`).
//! `UPDATE_GOLDEN=1 cargo test --test golden` rewrites what is expected.

#![expect(
    clippy::disallowed_methods,
    reason = "tests set up servers and read their own switches"
)]
#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use dbops::catalog::{Answers, Catalog};
use dbops::changes::changeset::Changeset;
use dbops::changes::inputs::{Heading, Inputs, basis_of};
use dbops::changes::{ensure, retention, saved};
use dbops::plan_file::load::{Source, parse};
use dbops::render;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Plan file, from the repository's root.
    plan: PathBuf,
    /// `ensure` or `prune`.
    verb: String,
    /// The instant used as now.
    as_of: DateTime<Utc>,
    /// Read by `tests/it/golden.rs`.
    #[expect(dead_code, reason = "the snapshot is made by another test")]
    setup: Vec<PathBuf>,
    /// The same.
    #[expect(dead_code, reason = "the snapshot is made by another test")]
    #[serde(default)]
    then: String,
}

#[derive(Deserialize)]
struct Snapshot {
    catalog: Catalog,
    answers: Answers,
}

#[test]
fn catalog_and_plan_file_give_the_changeset_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cases: Vec<PathBuf> = std::fs::read_dir(root.join("tests/golden"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 8, "only {} cases", cases.len());
    let mut different = Vec::new();
    for folder in cases {
        let case: Case = serde_yaml::from_str(&read(&folder.join("case.yaml"))).unwrap();
        let changeset = changeset(root, &folder, &case);
        let json = format!("{:#}\n", serde_json::to_value(&changeset).unwrap());
        for (name, found) in [
            ("changeset.txt", render::changeset::text(&changeset)),
            ("changeset.sql", render::sql::text(&changeset, 1_000)),
            ("changeset.json", json),
        ] {
            let path = folder.join(name);
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(&path, found).unwrap();
            } else if read(&path) != found {
                different.push(format!("{}\n{found}", path.display()));
            }
        }
        let again = saved::read(&saved::write(&changeset).unwrap()).unwrap();
        assert_eq!(
            again,
            changeset,
            "{} does not survive being saved",
            folder.display()
        );
    }
    assert!(
        different.is_empty(),
        "differs; UPDATE_GOLDEN=1 rewrites:\n{}",
        different.join("\n")
    );
}

fn changeset(root: &Path, folder: &Path, case: &Case) -> Changeset {
    let snapshot: Snapshot = serde_json::from_str(&read(&folder.join("catalog.json"))).unwrap();
    let source = Source {
        path: case.plan.clone(),
        text: read(&root.join(&case.plan)),
    };
    let plan = parse(&[source])
        .unwrap_or_else(|problems| panic!("{problems:?}"))
        .plan;
    let inputs = Inputs {
        policies: &plan.partitions,
        budget: plan.lock_budget,
        catalog: &snapshot.catalog,
        now: case.as_of,
    };
    let draft = match case.verb.as_str() {
        "ensure" => ensure::ensure(inputs, &snapshot.answers),
        "prune" => retention::prune(inputs, &snapshot.answers),
        verb => panic!("no verb {verb}"),
    };
    let heading = Heading {
        command: &format!("partitions {}", case.verb),
        target: "default",
        created_at: case.as_of,
        expires_at: case.as_of + TimeDelta::hours(24),
    };
    draft.into_changeset(&inputs.catalog.server, inputs.now, &heading, |table| {
        basis_of(inputs.catalog, table)
    })
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
