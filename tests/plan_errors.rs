//! Every mistake a plan file can hold, with the exact text that a person gets to see.
//!
//! Each folder below `tests/fixtures/plan_errors` holds plan files and `expected.txt`.
//! `UPDATE_GOLDEN=1 cargo test --test plan_errors` writes what the code gives now.

#![expect(
    clippy::disallowed_methods,
    reason = "a test reads UPDATE_GOLDEN itself"
)]

use std::path::{Path, PathBuf};

use dbops::plan_file::{Style, load};

const CASES: &str = "tests/fixtures/plan_errors";

fn rendered(folder: &Path) -> String {
    match load(&[folder.to_path_buf()]) {
        Ok(loaded) => loaded
            .warnings
            .iter()
            .map(|warning| warning.render(Style::Plain))
            .collect(),
        Err(problems) => problems.render(Style::Plain),
    }
}

#[test]
fn every_mistake_is_worded_as_written_down() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut cases: Vec<PathBuf> = std::fs::read_dir(CASES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 35, "only {} cases found", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let shown = rendered(case);
        let golden = case.join("expected.txt");
        if update {
            std::fs::write(&golden, &shown).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != shown {
            wrong.push(format!("{}:\n{shown}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_error_names_a_file_a_line_and_a_column() {
    for case in std::fs::read_dir(CASES).unwrap() {
        let Err(problems) = load(&[case.unwrap().path()]) else {
            continue;
        };
        for problem in problems.list {
            let placed = problem.spots.first().is_some_and(|spot| {
                spot.origin.line > 0 && spot.origin.column > 0 && !spot.origin.file.is_empty()
            });
            assert!(
                placed
                    || problem.message.contains(".yaml:")
                    || problem.message.contains("no plan file in"),
                "{problem:?}"
            );
        }
    }
}

#[test]
fn no_secret_of_the_cases_is_shown() {
    for case in std::fs::read_dir(CASES).unwrap() {
        let shown = rendered(&case.unwrap().path());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn sample_plans_load_without_a_word() {
    for folder in std::fs::read_dir("plans").unwrap() {
        let folder = folder.unwrap().path();
        if folder.is_dir() {
            match load(std::slice::from_ref(&folder)) {
                Ok(loaded) => assert_eq!(loaded.warnings, [], "{}", folder.display()),
                Err(problems) => panic!("{problems}"),
            }
        }
    }
}

#[test]
fn a_path_that_does_not_exist_is_named() {
    let problems = load(&[PathBuf::from("plans/nowhere.yaml")]).unwrap_err();
    let shown = problems.to_string();
    assert!(
        shown.contains("plan file `plans/nowhere.yaml` does not exist"),
        "{shown}"
    );
}

#[test]
fn a_file_named_twice_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    std::fs::write(
        &file,
        "version: 1\npartitions:\n  - { table: events, every: month }\n",
    )
    .unwrap();
    let loaded = load(&[file.clone(), folder.path().to_path_buf(), file]).unwrap();
    assert_eq!(loaded.files.len(), 1);
    assert_eq!(loaded.plan.partitions.len(), 1);
}

#[test]
fn a_folder_is_the_union_of_its_files_and_hidden_ones_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("deep/er");
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::create_dir_all(folder.path().join(".git")).unwrap();
    for (path, table) in [("b.yml", "b"), ("a.yaml", "a"), ("deep/er/c.yaml", "c")] {
        let text = format!("version: 1\npartitions:\n  - table: {table}\n    every: day\n");
        std::fs::write(folder.path().join(path), text).unwrap();
    }
    for path in [".git/x.yaml", ".hidden.yaml", "notes.txt"] {
        std::fs::write(folder.path().join(path), "not a plan").unwrap();
    }
    let loaded = load(&[folder.path().to_path_buf()]).unwrap();
    let tables: Vec<String> = loaded
        .plan
        .partitions
        .iter()
        .map(|policy| {
            format!(
                "{} {}:{}",
                policy.table, policy.origin.line, policy.origin.column
            )
        })
        .collect();
    assert_eq!(tables, ["public.a 3:5", "public.b 3:5", "public.c 3:5"]);
}
