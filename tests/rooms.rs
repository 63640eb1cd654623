//! The rules of the rooms (docs/architecture.md), checked by reading the source.

#![expect(clippy::expect_used, reason = "in a test a panic is the report")]

use std::path::{Path, PathBuf};

/// What may be named only in these files or folders of `src/`.
const ONLY_IN: &[(&str, &[&str])] = &[
    (
        "tokio_postgres",
        &[
            "apply/", "catalog/", "conn/", "history/", "sample/", "sandbox/", "sql.rs", "sql/",
        ],
    ),
    ("simple_query", &["apply/batch.rs", "conn/", "sandbox/"]),
    ("clap::", &["cli/"]),
    ("serde_yaml", &["plan_file/"]),
    ("comfy_table", &["render/", "cli/ui.rs"]),
    ("indicatif", &["progress.rs", "cli/demo"]),
    ("refinery", &["history/mod.rs"]),
    ("rustls", &["conn/"]),
    ("axum", &["cli/serve/"]),
    ("hyper", &["cli/serve/"]),
    ("Utc::now", &["cli/context.rs"]),
    ("std::env::var", &["cli/context.rs"]),
    ("process::exit", &["cli/signals.rs"]),
];

/// What must not be named in these folders.
const NEVER_IN: &[(&str, &[&str])] = &[
    ("async ", &["changes/", "checks/", "render/"]),
    (".await", &["changes/", "checks/", "render/"]),
    (
        "crate::apply",
        &[
            "changes/",
            "catalog/",
            "conn/",
            "plan_file/",
            "checks/",
            "sample/",
            "syntax/",
        ],
    ),
    (
        "crate::cli",
        &[
            "apply/",
            "changes/",
            "catalog/",
            "conn/",
            "plan_file/",
            "checks/",
            "render/",
            "history/",
            "sample/",
            "sandbox/",
            "syntax/",
        ],
    ),
    ("crate::conn", &["changes/", "plan_file/", "render/"]),
    (
        "crate::sandbox",
        &[
            "apply/",
            "changes/",
            "catalog/",
            "conn/",
            "plan_file/",
            "checks/",
            "render/",
            "history/",
            "sample/",
            "syntax/",
        ],
    ),
];

const MOST_LINES: usize = 600;

#[test]
fn every_file_keeps_the_rules_of_its_room() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut broken = Vec::new();
    let files = sources(&root);
    assert!(files.len() > 60, "only {} files found", files.len());
    for path in files {
        let name = path
            .strip_prefix(&root)
            .expect("below src")
            .display()
            .to_string();
        let text = std::fs::read_to_string(&path).expect("readable");
        let code: Vec<&str> = text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        let within = |rooms: &[&str]| rooms.iter().any(|room| name.starts_with(room));
        for (word, rooms) in ONLY_IN {
            if !within(rooms) && code.iter().any(|line| line.contains(word)) {
                broken.push(format!("{name}: `{word}` belongs to {}", rooms.join(", ")));
            }
        }
        for (word, rooms) in NEVER_IN {
            if within(rooms) && code.iter().any(|line| line.contains(word)) {
                broken.push(format!("{name}: `{word}` has no place in this room"));
            }
        }
        if !text.starts_with("//!") {
            broken.push(format!("{name}: does not open with what it owns"));
        }
        let lines = text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
            .count();
        if lines > MOST_LINES {
            broken.push(format!(
                "{name}: {lines} lines before its tests; split by {MOST_LINES}"
            ));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && path.file_stem().is_none_or(|stem| stem != "tests")
        {
            files.push(path);
        }
    }
    files.sort();
    files
}
