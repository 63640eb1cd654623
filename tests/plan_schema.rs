//! The JSON Schema says the same as the loader, and what is valid survives writing and reading.
//!
//! `UPDATE_GOLDEN=1 cargo test --test plan_schema` rewrites `docs/dbops.schema.json`.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test reads UPDATE_GOLDEN itself, and its helpers are tests too"
)]

use std::path::{Path, PathBuf};

use dbops::plan_file::{Origin, PlanFile, Source, json_schema, load, parse};
use proptest::prelude::*;

const SCHEMA: &str = "docs/dbops.schema.json";
const VALID: &str = "tests/fixtures/plan_valid";

/// Mistakes of form, which the schema must refuse too; all others depend on several keys at once.
const OF_FORM: [&str; 28] = [
    "app-pools",
    "choice-unknown",
    "hazard-unknown",
    "index-parts",
    "many-mistakes",
    "missing-key",
    "modulus-range",
    "no-value",
    "premake-too-many",
    "premake-zero",
    "ready-keys",
    "rule-override",
    "sub-unknown",
    "target-password-key",
    "type-list",
    "type-negative",
    "type-number",
    "type-scalar-root",
    "unit-missing",
    "unit-missing-text",
    "unit-not-a-count",
    "unit-unknown",
    "unknown-key",
    "unknown-key-deep",
    "unknown-key-root",
    "version-missing",
    "version-newer",
    "version-text",
];

fn plan_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                plan_files(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    files
}

/// The value as an editor's YAML reader would hand it to the schema.
fn instance(path: &Path) -> serde_json::Value {
    let mut value: serde_yaml::Value =
        serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    value.apply_merge().unwrap();
    serde_json::to_value(value).unwrap()
}

fn without_origins(mut plan: PlanFile) -> PlanFile {
    plan.partitions
        .iter_mut()
        .for_each(|policy| policy.origin = Origin::default());
    plan.targets
        .values_mut()
        .for_each(|target| target.origin = Origin::default());
    plan.indexes
        .iter_mut()
        .for_each(|index| index.origin = Origin::default());
    plan.rules
        .iter_mut()
        .for_each(|rule| rule.origin = Origin::default());
    plan.mutes
        .iter_mut()
        .for_each(|mute| mute.origin = Origin::default());
    if let Some(stages) = &mut plan.stages {
        stages.origin = Origin::default();
    }
    plan.attestations
        .iter_mut()
        .for_each(|one| one.origin = Origin::default());
    plan.ready
        .values_mut()
        .for_each(|group| group.origin = Origin::default());
    plan
}

fn source(text: &str) -> Source {
    Source {
        path: PathBuf::from("plan.yaml"),
        text: text.to_owned(),
    }
}

#[test]
fn the_schema_in_docs_is_what_the_types_give() {
    let mut text = serde_json::to_string_pretty(&json_schema()).unwrap();
    text.push('\n');
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(SCHEMA, &text).unwrap();
    }
    let written = std::fs::read_to_string(SCHEMA).unwrap_or_default();
    assert!(
        written == text,
        "docs/dbops.schema.json is not what the types give; run UPDATE_GOLDEN=1 cargo test --test plan_schema"
    );
}

#[test]
fn valid_plans_satisfy_the_schema() {
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    let mut files = plan_files(Path::new("plans"));
    files.extend(plan_files(Path::new(VALID)));
    assert!(files.len() >= 6, "only {} plan files found", files.len());
    for file in files {
        let instance = instance(&file);
        let faults: Vec<String> = validator
            .iter_errors(&instance)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{}: {faults:?}", file.display());
    }
}

#[test]
fn mistakes_of_form_do_not_satisfy_the_schema() {
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    for case in OF_FORM {
        let file = Path::new("tests/fixtures/plan_errors")
            .join(case)
            .join("plan.yaml");
        assert!(!validator.is_valid(&instance(&file)), "{case}");
    }
}

#[test]
fn every_key_of_the_schema_is_in_the_example_of_everything() {
    let plan = instance(&Path::new(VALID).join("everything.yaml"));
    let schema = json_schema();
    let keys_of = |pointer: &str| -> Vec<String> {
        let properties = schema.pointer(pointer).and_then(|value| value.as_object());
        properties.unwrap().keys().cloned().collect()
    };
    for (definition, section) in [
        ("PartitionPolicy", "partitions"),
        ("IndexPlan", "indexes"),
        ("Rule", "rules"),
        ("Mute", "mutes"),
        ("Attestation", "attestations"),
    ] {
        for key in keys_of(&format!("/$defs/{definition}/properties")) {
            let used = plan[section]
                .as_array()
                .unwrap()
                .iter()
                .any(|entry| entry.get(&key).is_some());
            assert!(used, "{section}: {key}");
        }
    }
    for key in keys_of("/properties") {
        assert!(plan.get(&key).is_some(), "{key}");
    }
}

#[test]
fn valid_plans_read_back_what_is_written() {
    let mut files = plan_files(Path::new("plans"));
    files.extend(plan_files(Path::new(VALID)));
    for file in files {
        let loaded = match load(std::slice::from_ref(&file)) {
            Ok(loaded) => loaded,
            Err(problems) => panic!("{problems}"),
        };
        assert_eq!(loaded.warnings, [], "{}", file.display());
        let plan = without_origins(loaded.plan);
        let written = serde_yaml::to_string(&plan).unwrap();
        let again = match parse(&[source(&written)]) {
            Ok(again) => without_origins(again.plan),
            Err(problems) => panic!("{written}\n{problems}"),
        };
        assert_eq!(again, plan, "{written}");
        // The plain reader of the same types must not see anything else.
        let value: serde_yaml::Value = serde_yaml::from_str(&written).unwrap();
        let plain: PlanFile = serde_json::from_value(serde_json::to_value(value).unwrap()).unwrap();
        assert_eq!(plain, plan);
    }
}

#[test]
fn examples_in_the_documentation_load_and_name_every_key() {
    let text = std::fs::read_to_string("docs/plan-files.md").unwrap();
    let mut blocks = 0;
    for block in text.split("```yaml\n").skip(1) {
        let block = block.split("```").next().unwrap();
        // Parts of a file are shown without `version`, parts of a policy are indented.
        let whole = match (block.contains("version: 1"), block.starts_with(' ')) {
            (true, _) => block.to_owned(),
            (false, false) => format!("version: 1\n{block}"),
            (false, true) => {
                format!("version: 1\npartitions:\n  - table: x\n    every: day\n{block}")
            }
        };
        if let Err(problems) = parse(&[source(&whole)]) {
            panic!("{whole}\n{problems}");
        }
        blocks += 1;
    }
    assert!(blocks >= 6, "only {blocks} examples found");
    let schema = json_schema();
    let mut sections = vec![&schema];
    sections.extend(schema["$defs"].as_object().unwrap().values());
    for section in sections {
        for key in section["properties"].as_object().into_iter().flatten() {
            let key = key.0;
            assert!(
                text.contains(&format!("`{key}`")) || text.contains(&format!("{key}:")),
                "`{key}` is not in docs/plan-files.md"
            );
        }
    }
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        Just("version: 1\n".to_owned()),
        Just("partitions:\n".to_owned()),
        Just("  - ".to_owned()),
        Just("table: ".to_owned()),
        Just("every: ".to_owned()),
        Just("<<: *a".to_owned()),
        Just("&a ".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("\n".to_owned()),
        Just("\t".to_owned()),
        Just("? ".to_owned()),
        Just("!t ".to_owned()),
        Just("| \n".to_owned()),
        Just("\"".to_owned()),
        Just("postgres://u:p@h".to_owned()),
        Just("sub: { hash: { modulus: 2".to_owned()),
        "\\PC{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = parse(&[source(&text)]).map_err(|problems| problems.to_string());
    }

    #[test]
    fn any_text_of_yaml_words_is_read_or_refused(parts in prop::collection::vec(words(), 0..30)) {
        let _ = parse(&[source(&parts.concat())]).map_err(|problems| problems.to_string());
    }

    #[test]
    fn a_damaged_plan_is_read_or_refused(
        cut in 0usize..4000,
        length in 0usize..40,
        inserted in prop::collection::vec(words(), 0..3),
    ) {
        let text = std::fs::read_to_string(Path::new(VALID).join("everything.yaml")).unwrap();
        let characters: Vec<char> = text.chars().collect();
        let from = cut.min(characters.len());
        let to = (from + length).min(characters.len());
        let damaged: String = characters[..from].iter().copied()
            .chain(inserted.concat().chars())
            .chain(characters[to..].iter().copied())
            .collect();
        let _ = parse(&[source(&damaged)]).map_err(|problems| problems.to_string());
    }

    #[test]
    fn generated_policies_read_back(
        table in "[a-zA-Z\" .]{1,10}",
        premake in 1u32..10_000,
        retain in prop::option::of((1u32..500, 0usize..6)),
        zone in 0usize..chrono_tz::TZ_VARIANTS.len(),
        with in prop::collection::btree_map("[a-z_]{1,8}", "[ -~]{0,8}", 0..3),
    ) {
        let units = ["hours", "days", "weeks", "months", "quarters", "years"];
        let mut plan = parse(&[source(
            "version: 1\npartitions: [{ table: x, every: day }]\n",
        )]).unwrap().plan;
        let policy = &mut plan.partitions[0];
        policy.table = dbops::ident::QualifiedName::new("public", table);
        policy.premake = premake;
        policy.retain = retain.map(|(count, unit)| format!("{count} {}", units[unit]).parse().unwrap());
        policy.time_zone = chrono_tz::TZ_VARIANTS[zone];
        policy.with = with;
        let plan = without_origins(plan);
        // What a policy leaves at its default is written out too, and must then be accepted.
        let written = serde_yaml::to_string(&plan).unwrap();
        let again = parse(&[source(&written)]).map_err(|problems| TestCaseError::fail(format!("{written}\n{problems}")))?;
        prop_assert_eq!(without_origins(again.plan), plan);
    }
}
