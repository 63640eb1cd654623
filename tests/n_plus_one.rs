//! How well loops are told from honest traffic: labelled runs of ten ORMs, and applications that are simulated.
//!
//! The points of the scorecard were fitted on even seeds alone; the odd ones are the measure. With `--nocapture` the
//! whole table is printed, which is what `bench/run n-plus-one` writes down.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "in a test a panic is the report; the table is what the bench writes down"
)]

#[path = "n_plus_one/labelled.rs"]
mod labelled;
#[path = "n_plus_one/simulator.rs"]
mod simulator;
#[path = "n_plus_one/uneven.rs"]
mod uneven;
#[path = "n_plus_one/worlds.rs"]
mod worlds;

use std::collections::BTreeMap;

use dbops::checks::n_plus_one::gate::Quiet;
use dbops::checks::n_plus_one::observation::Observation;
use dbops::checks::n_plus_one::report::{Report, Suspect};
use dbops::checks::n_plus_one::score::Verdict;
use dbops::checks::n_plus_one::{Options, detect};
use dbops::syntax::fingerprint::fingerprint;
use simulator::Traffic;

/// Right and wrong answers.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    found: u32,
    wrong: u32,
    missed: u32,
    with_parent: u32,
    right_parent: u32,
}

impl Tally {
    fn precision(self) -> f64 {
        f64::from(self.found) / f64::from((self.found + self.wrong).max(1))
    }

    fn recall(self) -> f64 {
        f64::from(self.found) / f64::from((self.found + self.missed).max(1))
    }

    fn f1(self) -> f64 {
        2.0 * self.precision() * self.recall() / (self.precision() + self.recall()).max(1e-9)
    }

    fn parents(self) -> f64 {
        f64::from(self.right_parent) / f64::from(self.with_parent.max(1))
    }

    fn add(&mut self, other: Self) {
        self.found += other.found;
        self.wrong += other.wrong;
        self.missed += other.missed;
        self.with_parent += other.with_parent;
        self.right_parent += other.right_parent;
    }
}

type Table = BTreeMap<String, Tally>;

fn row(name: &str, tally: Tally) -> String {
    format!(
        "| {name} | {} | {} | {} | {:.3} | {:.3} | {:.3} | {} |",
        tally.found,
        tally.wrong,
        tally.missed,
        tally.precision(),
        tally.recall(),
        tally.f1(),
        if tally.with_parent == 0 {
            "-".to_owned()
        } else {
            format!("{:.3}", tally.parents())
        },
    )
}

/// Judges all statements of a run with 20 executions or more. `expected` names the table whose rows the loop went over.
fn judge(
    report: &Report,
    label: &dyn Fn(&str) -> (f64, f64),
    expected: &dyn Fn(&Suspect) -> Option<String>,
    into: &mut dyn FnMut(&str, Tally),
) {
    for suspect in &report.suspects {
        let (inside, outside) = label(&suspect.text);
        let share = inside / (inside + outside).max(1.0);
        let flagged = suspect.verdict >= Verdict::Suspect;
        let mut tally = Tally::default();
        if share >= 0.5 {
            if flagged {
                tally.found = 1;
                if let Some(table) = expected(suspect) {
                    tally.with_parent = 1;
                    let right = suspect
                        .parent
                        .as_ref()
                        .is_some_and(|parent| names_table(&parent.text, &table));
                    tally.right_parent = u32::from(right);
                }
            } else {
                tally.missed = 1;
            }
        } else if share <= 0.1 && flagged {
            tally.wrong = 1;
        }
        let class = match suspect.kind.word() {
            kind @ ("count" | "insert-loop" | "update-loop" | "delete-loop") => kind,
            _ => match suspect.class {
                dbops::checks::n_plus_one::schema::ColumnClass::PrimaryKey => "own key",
                dbops::checks::n_plus_one::schema::ColumnClass::ForeignKey => "foreign key",
                _ => "other column",
            },
        };
        into(class, tally);
    }
    for quiet in &report.quiet {
        // A transaction of its own for each row is told by the statement in it.
        if quiet.reason == Quiet::NotData {
            continue;
        }
        let (inside, outside) = label(&quiet.text);
        if quiet.calls >= 20.0 && inside / (inside + outside).max(1.0) >= 0.5 {
            into(
                "not looked at",
                Tally {
                    missed: 1,
                    ..Tally::default()
                },
            );
        }
    }
}

/// Whether a list reads a table, by the first name after FROM.
fn names_table(text: &str, table: &str) -> bool {
    let plain = text
        .replace(['"', '(', ')'], " ")
        .replace("public .", "")
        .replace(" . ", ".");
    let words: Vec<&str> = plain.split_whitespace().collect();
    words.windows(2).any(|two| {
        two[0].eq_ignore_ascii_case("from")
            && two[1].trim_start_matches("public.").trim_start_matches('.') == table
    })
}

/// The table whose rows the loops of the fixtures go over; `None` where the loop goes over no rows at all.
fn fixture_parent(suspect: &Suspect) -> Option<String> {
    let (table, column) = suspect.column.as_ref()?;
    let camel = table.chars().next().is_some_and(char::is_uppercase);
    let wanted = match (
        table.to_lowercase().as_str(),
        column.to_lowercase().as_str(),
    ) {
        ("users" | "user", "id") => "posts",
        ("posts" | "post", "id") => "posts",
        (_, "post_id" | "postid") => "posts",
        (_, "user_id" | "userid") if suspect.kind.word() != "insert-loop" => "users",
        (_, "team_id" | "teamid") => "teams",
        _ => return None,
    };
    Some(match (camel, wanted) {
        (true, "posts") => "Post".to_owned(),
        (true, "users") => "User".to_owned(),
        (true, _) => "Team".to_owned(),
        _ => wanted.to_owned(),
    })
}

struct Set {
    by_orm: Table,
    by_class: Table,
    all: Tally,
}

fn fixtures(set: &str, keep: &dyn Fn(u64) -> bool) -> Set {
    let mut result = Set {
        by_orm: Table::new(),
        by_class: Table::new(),
        all: Tally::default(),
    };
    for run in labelled::runs(set) {
        if !keep(run.seed) {
            continue;
        }
        let report = detect(
            &run.observation(),
            &BTreeMap::from([(1, run.tables())]),
            &Options::default(),
        );
        let labels: BTreeMap<&str, (f64, f64)> = run
            .statements
            .iter()
            .filter_map(|one| Some((one.text.as_str(), one.label?)))
            .collect();
        let label = |text: &str| labels.get(text).copied().unwrap_or((0.0, 0.0));
        judge(&report, &label, &fixture_parent, &mut |class, tally| {
            result.by_orm.entry(run.orm.clone()).or_default().add(tally);
            result
                .by_class
                .entry(class.to_owned())
                .or_default()
                .add(tally);
            result.all.add(tally);
        });
    }
    result
}

fn simulated(traffic: Traffic, seeds: impl Iterator<Item = u64>) -> Set {
    simulated_as(traffic, seeds, |observation, _| observation.clone())
}

fn simulated_as(
    traffic: Traffic,
    seeds: impl Iterator<Item = u64>,
    seen: impl Fn(&Observation, u64) -> Observation,
) -> Set {
    let mut result = Set {
        by_orm: Table::new(),
        by_class: Table::new(),
        all: Tally::default(),
    };
    for seed in seeds {
        let run = simulator::run(seed, traffic);
        let report = detect(
            &seen(&run.observation, seed),
            &BTreeMap::from([(1, run.schema.clone())]),
            &Options::default(),
        );
        let label = |text: &str| run.labels.get(text).copied().unwrap_or((0.0, 0.0));
        let expected = |suspect: &Suspect| run.parents.get(&suspect.text).cloned();
        judge(&report, &label, &expected, &mut |class, tally| {
            result
                .by_class
                .entry(class.to_owned())
                .or_default()
                .add(tally);
            result.all.add(tally);
        });
    }
    result
}

const HEAD: &str = "| | found | wrong | missed | precision | recall | F1 | right parent |\n|---|---|---|---|---|---|---|---|";

fn print(title: &str, set: &Set) {
    println!("\n#### {title}\n\n{HEAD}");
    println!("{}", row("all", set.all));
    for (name, tally) in set.by_orm.iter().chain(&set.by_class) {
        println!("{}", row(name, *tally));
    }
}

#[test]
fn labelled_runs_of_ten_orms_are_told_apart() {
    for (name, set) in [
        ("steady", "n_plus_one/steady"),
        ("short windows", "n_plus_one/short-windows"),
    ] {
        let all = fixtures(set, &|_| true);
        let held_out = fixtures(set, &|seed| seed % 2 == 1);
        print(&format!("{name}, all runs"), &all);
        print(&format!("{name}, runs that were not fitted on"), &held_out);
        for tally in [all.all, held_out.all] {
            assert!(tally.precision() >= 0.98, "{name}: {tally:?}");
            assert!(tally.recall() >= 0.95, "{name}: {tally:?}");
            assert!(tally.parents() >= 0.85, "{name}: {tally:?}");
        }
        for (orm, tally) in &all.by_orm {
            assert!(tally.recall() >= 0.9, "{name}, {orm}: {tally:?}");
        }
    }
}

/// Recordings of real ORMs on five schemas; only the first half was looked at while weights were chosen.
fn live(half: &str) -> (Set, Table) {
    let mut result = Set {
        by_orm: Table::new(),
        by_class: Table::new(),
        all: Tally::default(),
    };
    let mut by_traffic = Table::new();
    for run in labelled::runs(&format!("n_plus_one_live/{half}")) {
        let schemas = BTreeMap::from([(1, run.tables())]);
        let report = detect(&run.observation(), &schemas, &Options::default());
        let of = |text: &str| run.statements.iter().find(|one| one.text == text);
        let label = |text: &str| of(text).and_then(|one| one.label).unwrap_or((0.0, 0.0));
        judge(&report, &label, &|_| None, &mut |class, tally| {
            result.by_orm.entry(run.orm.clone()).or_default().add(tally);
            result
                .by_class
                .entry(class.to_owned())
                .or_default()
                .add(tally);
            by_traffic
                .entry(run.traffic.clone())
                .or_default()
                .add(tally);
            result.all.add(tally);
        });
        for suspect in &report.suspects {
            let Some(one) = of(&suspect.text).filter(|one| !one.parents.is_empty()) else {
                continue;
            };
            let (inside, outside) = one.label.unwrap_or((0.0, 0.0));
            if suspect.verdict < Verdict::Suspect || inside < outside {
                continue;
            }
            let wanted: Vec<String> = one
                .parents
                .iter()
                .map(|text| fingerprint(text).to_string())
                .collect();
            let right = suspect
                .parent
                .as_ref()
                .is_some_and(|parent| wanted.contains(&parent.fingerprint));
            let tally = Tally {
                with_parent: 1,
                right_parent: u32::from(right),
                ..Tally::default()
            };
            result.by_orm.entry(run.orm.clone()).or_default().add(tally);
            result.all.add(tally);
        }
    }
    (result, by_traffic)
}

#[test]
fn recordings_of_real_orms_are_told_apart() {
    for half in ["tune", "held-out"] {
        let (set, by_traffic) = live(half);
        print(&format!("recordings, {half}"), &set);
        for (traffic, tally) in &by_traffic {
            println!("{}", row(traffic, *tally));
        }
        assert!(set.all.precision() >= 0.95, "{half}: {:?}", set.all);
        assert!(set.all.recall() >= 0.88, "{half}: {:?}", set.all);
        assert!(set.all.parents() >= 0.82, "{half}: {:?}", set.all);
    }
}

#[test]
fn simulated_applications_are_told_apart_in_steady_traffic_and_in_bursts() {
    for (name, traffic, precision, recall) in [
        ("steady", Traffic::Steady, 0.98, 0.95),
        (
            "another endpoint bursts in every window",
            Traffic::EveryWindow,
            0.95,
            0.89,
        ),
        ("crawlers", Traffic::Crawler, 0.96, 0.94),
    ] {
        let held_out = simulated(traffic, (0..100).map(|seed| 1001 + 2 * seed));
        print(&format!("simulated, {name}"), &held_out);
        assert!(
            held_out.all.precision() >= precision,
            "{name}: {:?}",
            held_out.all
        );
        assert!(
            held_out.all.recall() >= recall,
            "{name}: {:?}",
            held_out.all
        );
        assert!(held_out.all.parents() >= 0.85, "{name}: {:?}", held_out.all);
    }
}

#[test]
fn readings_at_any_time_are_judged_in_windows_of_equal_length() {
    let seeds = || (0..100).map(|seed| 1001 + 2 * seed);
    let even = simulated_as(Traffic::Steady, seeds(), |run, seed| {
        uneven::observed(run, seed).0
    });
    print("simulated, windows of unequal length made equal", &even);
    let naive = simulated_as(Traffic::Steady, seeds(), |run, seed| {
        uneven::observed(run, seed).1
    });
    print("simulated, windows of unequal length as they are", &naive);
    assert!(even.all.precision() >= 0.98, "{:?}", even.all);
    assert!(even.all.recall() >= 0.9, "{:?}", even.all);
    // What it is for.
    assert!(
        even.all.precision() > naive.all.precision(),
        "{:?}",
        naive.all
    );
}

/// Two readings are one window: whatever it holds, nothing above `possible` is said of it.
#[test]
fn one_difference_says_no_more_than_possible() {
    let mut possible = 0;
    for seed in 0..40 {
        let run = simulator::run(seed, Traffic::Steady);
        let windows = run.observation.windows;
        let whole = uneven::between(&run.observation, &[0, windows]);
        let schemas = BTreeMap::from([(1, run.schema.clone())]);
        let report = detect(&whole, &schemas, &Options::default());
        assert_eq!(report.windows, 1);
        for suspect in &report.suspects {
            assert!(suspect.verdict <= Verdict::Possible, "{}", suspect.text);
            possible += u32::from(suspect.verdict == Verdict::Possible);
        }
    }
    assert!(possible > 0, "nothing was possible");
}

#[test]
fn applications_told_as_programs_are_told_apart() {
    for (half, scenarios, parity) in [("tune", worlds::TUNE, 0), ("held-out", worlds::HELD_OUT, 1)]
    {
        let mut all = Tally::default();
        let mut by_scenario = Table::new();
        for scenario in scenarios {
            for seed in (0..10).map(|seed| 2 * seed + parity) {
                let world = worlds::run(scenario, seed);
                let report = detect(
                    &world.observation,
                    &BTreeMap::from([(1, world.schema.clone())]),
                    &Options::default(),
                );
                let label = |text: &str| world.labels.get(text).copied().unwrap_or((0.0, 0.0));
                judge(&report, &label, &|_| None, &mut |_, tally| {
                    by_scenario
                        .entry((*scenario).to_owned())
                        .or_default()
                        .add(tally);
                    all.add(tally);
                });
                for suspect in &report.suspects {
                    let Some(wanted) = world.parents.get(&suspect.text) else {
                        continue;
                    };
                    let (inside, outside) = label(&suspect.text);
                    if suspect.verdict < Verdict::Suspect || inside < outside || wanted.is_empty() {
                        continue;
                    }
                    let right = suspect
                        .parent
                        .as_ref()
                        .is_some_and(|parent| wanted.contains(&parent.text));
                    all.add(Tally {
                        with_parent: 1,
                        right_parent: u32::from(right),
                        ..Tally::default()
                    });
                }
            }
        }
        let set = Set {
            by_orm: by_scenario,
            by_class: Table::new(),
            all,
        };
        print(&format!("programs, {half}"), &set);
        assert!(all.precision() >= 0.93, "{half}: {all:?}");
        assert!(all.recall() >= 0.88, "{half}: {all:?}");
        assert!(all.parents() >= 0.95, "{half}: {all:?}");
    }
}
