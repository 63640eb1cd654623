//! Properties of the index planner over random catalogs: no server, thousands of cases.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

mod cases;
mod server;

use dbops::catalog::index_model::*;
use dbops::changes::changeset::{Action, Hazard};
use dbops::changes::indexes::{basis_of, survey};
use dbops::syntax::create_index;
use proptest::prelude::*;

use cases::*;
use server::words;

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_was_applied_needs_nothing_more(case in case()) {
        let mut case = case;
        let first = case.plan();
        case.run_all(&first);
        let second = case.plan();
        prop_assert!(second.steps.is_empty(), "{:#?}\nthen\n{:#?}", words(&first), words(&second));
        let rows = survey(case.inputs(), &case.answers());
        prop_assert!(rows.len() >= case.declared.len());
    }

    #[test]
    fn a_run_that_was_killed_anywhere_is_finished_by_the_next(case in case(), at in 0..40_usize, within: bool) {
        let mut case = case;
        let first = case.plan();
        let done = first.steps.len().min(at);
        for step in &first.steps[..done] {
            case.run(step).unwrap();
        }
        if let (true, Some(step)) = (within, first.steps.get(done)) {
            case.kill_within(step);
        }
        let second = case.plan();
        case.run_all(&second);
        let third = case.plan();
        prop_assert!(
            third.steps.is_empty(),
            "{:#?}\nkilled after {done}, then\n{:#?}\nthen\n{:#?}", words(&first), words(&second), words(&third)
        );
        let debris: Vec<String> = case.catalog.tables.iter().flat_map(|table| &table.indexes)
            .filter(|index| !index.valid && second.refusals.is_empty())
            .filter(|index| case.is_own(&index.name) && case.declared.iter().any(|wanted| {
                wanted.spec.table == case.table_of(&index.name).name
                    && index.name.name.starts_with(&wanted.name.name)
            }))
            .map(|index| index.name.to_string())
            .collect();
        prop_assert!(debris.is_empty(), "{debris:?} after {:#?}", words(&second));
    }

    #[test]
    fn nothing_undeclared_is_lost_or_changed(case in case()) {
        let before = case.clone();
        let mut case = case;
        let draft = case.plan();
        case.run_all(&draft);
        for index in before.catalog.tables.iter().flat_map(|table| &table.indexes) {
            let debris = index.name.name.ends_with("_ccnew") && !index.valid;
            if before.is_named(&index.name) || before.is_own(&index.name) || debris || index.parent.is_some() {
                continue;
            }
            // A rename or an attachment keeps what it is.
            let after = case.catalog.tables.iter().flat_map(|table| &table.indexes)
                .find(|found| found.oid % 10_000 == index.oid);
            let Some(after) = after else {
                prop_assert!(false, "{} is gone after {:#?}", index.name, words(&draft));
                unreachable!()
            };
            prop_assert_eq!(
                create_index(&after.definition).unwrap().spec.keys,
                create_index(&index.definition).unwrap().spec.keys
            );
        }
    }

    #[test]
    fn a_drop_is_a_hazard_or_of_what_dbops_made(case in case()) {
        let draft = case.plan();
        for step in &draft.steps {
            let index = &step.index.as_ref().unwrap().name;
            prop_assert!(step.ways.is_empty() || !step.locks.is_empty(), "{}", step.summary);
            if !matches!(step.action, Action::DropIndex | Action::DropParentIndex) {
                prop_assert!(step.hazards.is_empty());
                continue;
            }
            let dead = case.find(index).is_some_and(|found| !found.valid && !found.partitioned)
                && (case.is_named(index) || index.name.ends_with("_ccnew"));
            prop_assert!(
                step.hazards == [Hazard::DropsIndex] || case.is_own(index) || dead,
                "{}", step.summary
            );
        }
    }

    #[test]
    fn nothing_is_done_on_a_table_where_somebody_builds(case in case(), table in 0..TABLES.len()) {
        let mut case = case;
        let busy = name(TABLES[table]);
        case.catalog.running.push(RunningBuild {
            pid: 42,
            application: None,
            role: None,
            table: busy.clone(),
            index: None,
            command: "CREATE INDEX CONCURRENTLY".to_owned(),
            phase: "building index".to_owned(),
            done: None,
            seconds: None,
        });
        let draft = case.plan();
        for step in &draft.steps {
            if step.action == Action::AwaitBuild {
                prop_assert!(step.ways.is_empty());
                continue;
            }
            prop_assert!(step.index.as_ref().unwrap().table != busy, "{}", step.summary);
            prop_assert!(step.locks.iter().all(|lock| lock.relation != busy), "{}", step.summary);
        }
        case.run_all(&draft);
        // Once it is gone, everything is done.
        case.catalog.running.clear();
        let rest = case.plan();
        case.run_all(&rest);
        let third = case.plan();
        prop_assert!(third.steps.is_empty(), "{:#?}\nthen\n{:#?}\nthen\n{:#?}", words(&draft), words(&rest), words(&third));
    }

    #[test]
    fn the_basis_is_the_same_for_the_same_structure(case in case()) {
        for table in TABLES {
            let basis = basis_of(&case.catalog, &name(table));
            prop_assert_eq!(&basis, &basis_of(&case.catalog.clone(), &name(table)));
            let mut sorted = basis.facts.clone();
            sorted.sort();
            prop_assert_eq!(basis.facts, sorted);
        }
    }
}
