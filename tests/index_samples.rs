//! The index plans of the four reference systems: what they declare, what lint says of them, and that
//! rural24's is what importing its SQL file gives.
//!
//! `UPDATE_GOLDEN=1 cargo test --test index_samples` writes what the code gives now.

#![expect(
    clippy::disallowed_methods,
    reason = "a test reads UPDATE_GOLDEN itself"
)]

use std::path::PathBuf;

use dbops::changes::indexes::declared;
use dbops::changes::indexes::import::{Wanted, from_script};
use dbops::plan_file::load::Loaded;
use dbops::plan_file::{Severity, load};
use dbops::render::index_plan::yaml;
use dbops::syntax::script;

const SQL: &str = "sql/samples/rural24_indexes.sql";
const PLAN: &str = "plans/rural24/indexes.yaml";

fn loaded(system: &str) -> Loaded {
    match load(&[PathBuf::from("plans").join(system)]) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{problems}"),
    }
}

#[test]
fn every_system_declares_its_indexes() {
    for (system, count) in [
        ("gobapp", 8),
        ("agents", 10),
        ("cafeteria", 9),
        ("rural24", 10),
    ] {
        let (indexes, absent) = declared(&loaded(system).plan);
        assert_eq!((indexes.len(), absent.len()), (count, 0), "{system}");
    }
}

#[test]
fn lint_names_the_three_redundant_prefixes_and_nothing_else() {
    let mut found = Vec::new();
    for system in ["gobapp", "agents", "cafeteria", "rural24"] {
        for warning in loaded(system).lint_indexes() {
            assert_eq!(warning.severity, Severity::Warning);
            let place = &warning.spots[0].origin;
            found.push(format!(
                "{}:{}:{}: {}",
                place.file, place.line, place.column, warning.message
            ));
        }
    }
    assert_eq!(
        found,
        [
            "plans/gobapp/indexes.yaml:23:11: the index `public.idx_post_tribe_created` is a prefix of `public.idx_post_tribe_created_flagged`",
            "plans/cafeteria/indexes.yaml:10:11: the index `public.idx_orders_user` is a prefix of `public.idx_orders_user_status`",
            "plans/cafeteria/indexes.yaml:26:11: the index `public.idx_transactions_user` is a prefix of `public.idx_transactions_user_created`",
        ]
    );
}

#[test]
fn the_plan_of_rural24_is_what_its_sql_file_gives() {
    let import = from_script(
        &script(&std::fs::read_to_string(SQL).unwrap()),
        Wanted::default(),
    );
    assert_eq!(import.notes, []);
    assert_eq!(import.faults, []);
    let text = yaml(&import, "rural24_indexes.sql");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(PLAN, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(PLAN).unwrap(), text);
}
