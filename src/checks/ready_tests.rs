//! Tests of when a node is ready.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;
use crate::checks::judge::{Labels, Measured, Reading};
use crate::checks::reason::Reason;
use crate::checks::verdict::{Gathered, Memory, Part, Policy, verdict};
use crate::plan_file::rule::{Defaults, Rule};
use crate::plan_file::{NeverEmpty, ReadyGroup};

/// What is measured of one node in one round: `None` is down, NaN is not known.
type Lag = Option<f64>;

fn labels(node: &str) -> Arc<Labels> {
    let all = [("target", "main"), ("node", node), ("role", "replica")];
    Arc::new(
        all.iter()
            .map(|(key, value)| ((*key).to_owned(), Arc::from(*value)))
            .collect(),
    )
}

fn rules(clear: Option<&str>) -> Vec<Rule> {
    vec![
        Rule {
            expect: vec!["up".to_owned()],
            ..Rule::new("up", "node.up")
        },
        Rule {
            critical: Some("> 1s".parse().unwrap()),
            clear: clear.map(|text| text.parse().unwrap()),
            ..Rule::new("lag", "replica.visible_lag")
        },
    ]
}

fn measured(node: &str, lag: Lag) -> Vec<Measured> {
    let one = |metric, reading| Measured {
        metric,
        labels: labels(node),
        reading,
        basis: "probe".into(),
        resolution: None,
    };
    match lag {
        None => vec![one("node.up", Reading::State("down".into()))],
        Some(lag) => vec![
            one("node.up", Reading::State("up".into())),
            one(
                "replica.visible_lag",
                if lag.is_nan() {
                    Reading::Unknown {
                        reason: Reason::NoSample,
                        why: "not tried".into(),
                    }
                } else {
                    Reading::Value(lag)
                },
            ),
        ],
    }
}

/// What the gates say of rounds of two replicas, one round every 30 s.
fn told(rounds: &[[Lag; 2]], clear: Option<&str>, turns: Turns) -> Vec<BTreeMap<Key, Ready>> {
    let rules = rules(clear);
    let policy = Policy {
        rules: &rules,
        defaults: Defaults::default(),
        mutes: &[],
        attestations: &[],
        stages: None,
        part: Part::Whole,
    };
    let mut memory = Memory::default();
    let mut gates = Gates::default();
    let mut now = DateTime::<Utc>::UNIX_EPOCH;
    rounds
        .iter()
        .map(|[one, two]| {
            now += TimeDelta::seconds(30);
            let gathered = Gathered {
                measured: [measured("r1", *one), measured("r2", *two)].concat(),
                ..Gathered::default()
            };
            gates.next(&verdict(policy, &gathered, &mut memory, now), turns)
        })
        .collect()
}

fn is_ready(round: &BTreeMap<Key, Ready>, node: &str) -> bool {
    round[&("main".to_owned(), node.to_owned())].ready
}

const NONE_KEPT: Turns = Turns {
    down_after: 2,
    up_after: 2,
    keep: 0,
};

#[test]
fn a_node_turns_after_as_many_verdicts_as_asked_and_at_once_when_it_is_down() {
    let lags = [0.1, 5.0, 5.0, 0.1, 0.1];
    let rounds: Vec<_> = lags.iter().map(|lag| [Some(*lag), Some(0.1)]).collect();
    let seen: Vec<bool> = (told(&rounds, None, NONE_KEPT).iter())
        .map(|round| is_ready(round, "r1"))
        .collect();
    assert_eq!(seen, [true, true, false, false, true]);
    let rounds = [[Some(0.1), Some(0.1)], [None, Some(0.1)]];
    let down = told(&rounds, None, NONE_KEPT);
    assert!(!is_ready(&down[1], "r1"));
}

#[test]
fn what_is_down_is_out_even_while_its_rule_waits_for_its_time() {
    let mut rules = rules(None);
    rules[0].lasting = Some("10m".parse().unwrap());
    let policy = Policy {
        rules: &rules,
        defaults: Defaults::default(),
        mutes: &[],
        attestations: &[],
        stages: None,
        part: Part::Whole,
    };
    let gathered = Gathered {
        measured: measured("r1", None),
        ..Gathered::default()
    };
    let now = DateTime::<Utc>::UNIX_EPOCH;
    let pending = verdict(policy, &gathered, &mut Memory::default(), now);
    assert_eq!(pending.findings[0].status, Status::Pending);
    let ready = Gates::default().next(&pending, Turns::default());
    assert!(!is_ready(&ready, "r1"));
}

#[test]
fn what_is_not_known_leaves_a_node_as_it_is_and_out_where_nothing_was_ever_known() {
    let unknown = Some(f64::NAN);
    let rounds = [
        [Some(0.1), unknown],
        [unknown, unknown],
        [unknown, Some(0.1)],
        [unknown, Some(0.1)],
    ];
    let all = told(&rounds, None, NONE_KEPT);
    let of = |node| -> Vec<bool> { all.iter().map(|round| is_ready(round, node)).collect() };
    assert_eq!(of("r1"), [true, true, true, true]);
    assert_eq!(of("r2"), [false, false, false, true]);
}

#[test]
fn the_best_replica_stays_when_all_are_bad_but_none_that_is_down() {
    let turns = Turns {
        keep: 1,
        ..Turns::default()
    };
    let rounds = [[None, Some(9.0)], [None, Some(9.0)], [None, None]];
    let all = told(&rounds, None, turns);
    let kept = &all[1][&("main".to_owned(), "r2".to_owned())];
    assert!(kept.ready && kept.kept);
    assert_eq!(kept.broken, ["lag"]);
    assert!(!is_ready(&all[1], "r1"));
    assert!(!is_ready(&all[2], "r1") && !is_ready(&all[2], "r2"));
}

#[test]
fn lag_that_swings_around_its_limit_for_twenty_minutes_turns_a_node_at_most_twice() {
    for period in 2..12 {
        let rounds: Vec<_> = (0..40)
            .map(|at| {
                let lag = if at % period < period / 2 { 1.2 } else { 0.8 };
                [Some(lag), Some(0.1)]
            })
            .collect();
        let all = told(&rounds, Some("< 500ms"), NONE_KEPT);
        let turns = all
            .windows(2)
            .filter(|pair| is_ready(&pair[0], "r1") != is_ready(&pair[1], "r1"))
            .count();
        assert!(turns <= 2, "{turns} turns at a period of {period} rounds");
    }
}

proptest! {
    #[test]
    fn never_fewer_than_kept_are_ready_of_those_that_can_be_connected_to(
        rounds in prop::collection::vec(
            prop::array::uniform2(prop_oneof![Just(None), Just(Some(f64::NAN)), (0.0..3.0).prop_map(Some)]),
            1..40,
        ),
        down_after in 1_u32..4,
        up_after in 1_u32..4,
        keep in 0_usize..3,
    ) {
        let turns = Turns { down_after, up_after, keep };
        for (round, said) in rounds.iter().zip(told(&rounds, None, turns)) {
            let up = round.iter().filter(|lag| lag.is_some()).count();
            let ready = said.values().filter(|one| one.ready).count();
            prop_assert!(ready >= keep.min(up));
            prop_assert!(ready <= up);
            for (lag, node) in round.iter().zip(["r1", "r2"]) {
                if lag.is_none() {
                    prop_assert!(!is_ready(&said, node));
                }
            }
        }
    }
}

/// A group of the rule `lag` that keeps one of its nodes, and never turns but at once.
fn group(of: Option<&str>) -> ReadyGroup {
    ReadyGroup {
        all: vec!["lag".to_owned()],
        never_empty: of.map(|of| NeverEmpty {
            group: of.to_owned(),
            keep: 1,
        }),
        down_after: Some(1),
        up_after: Some(1),
        ..ReadyGroup::default()
    }
}

/// What a group says after each of some rounds of what was measured.
fn of_group(group: &ReadyGroup, rules: &[Rule], rounds: Vec<Gathered>) -> Vec<Nodes> {
    let policy = Policy {
        rules,
        defaults: Defaults::default(),
        mutes: &[],
        attestations: &[],
        stages: None,
        part: Part::Whole,
    };
    let groups = BTreeMap::from([("menu".to_owned(), group.clone())]);
    let mut memory = Memory::default();
    let mut gates = Groups::default();
    let mut now = DateTime::<Utc>::UNIX_EPOCH;
    (rounds.iter())
        .map(|gathered| {
            now += TimeDelta::seconds(30);
            let verdict = verdict(policy, gathered, &mut memory, now);
            let mut all = gates.next(&verdict, &groups, Turns::default());
            all.remove("menu").unwrap()
        })
        .collect()
}

fn both(one: Lag, two: Lag) -> Gathered {
    Gathered {
        measured: [measured("r1", one), measured("r2", two)].concat(),
        ..Gathered::default()
    }
}

#[test]
fn a_group_goes_by_its_own_rules_and_by_whether_a_node_is_there() {
    let mut rules = rules(None);
    rules.push(Rule {
        critical: Some("> 100ms".parse().unwrap()),
        ..Rule::new("strict", "replica.visible_lag")
    });
    let rounds = vec![
        both(Some(0.5), Some(0.5)),
        both(Some(2.0), Some(0.5)),
        both(Some(2.0), None),
    ];
    let seen = of_group(&group(None), &rules, rounds);
    let of = |node| -> Vec<bool> { seen.iter().map(|round| is_ready(round, node)).collect() };
    assert_eq!(of("r1"), [true, false, false]);
    assert_eq!(of("r2"), [true, true, false]);
    let served: Vec<bool> = seen.iter().map(is_served).collect();
    assert_eq!(served, [true, true, false]);
    assert!(!is_served(&Nodes::new()));
}

#[test]
fn what_is_down_is_out_of_every_group_even_while_a_rule_that_it_does_not_ask_waits() {
    let mut rules = rules(None);
    rules[0].lasting = Some("10m".parse().unwrap());
    let slow = ReadyGroup {
        down_after: Some(9),
        ..group(Some("replica"))
    };
    let rounds = vec![both(Some(0.1), Some(0.1)), both(Some(0.1), None)];
    let seen = of_group(&slow, &rules, rounds);
    assert!(is_ready(&seen[0], "r2") && !is_ready(&seen[1], "r2"));
    assert!(is_ready(&seen[1], "r1"));
}

#[test]
fn a_group_keeps_its_best_node_of_the_role_or_use_that_it_names_and_of_no_other() {
    let rules = rules(None);
    let bad = || vec![both(Some(0.1), Some(0.1)), both(Some(2.0), Some(2.0))];
    let kept = of_group(&group(Some("replica")), &rules, bad());
    let ready: Vec<&Ready> = kept[1].values().filter(|one| one.ready).collect();
    assert!(ready.len() == 1 && ready[0].kept, "{kept:?}");
    assert!(is_served(&kept[1]));
    let none = of_group(&group(None), &rules, bad());
    assert!(!is_served(&none[1]));

    let mut uses = bad();
    for one in uses.iter_mut().flat_map(|round| &mut round.measured) {
        let usage = if one.labels["node"].as_ref() == "r1" {
            "menu"
        } else {
            "olap"
        };
        Arc::make_mut(&mut one.labels).insert("use".to_owned(), usage.into());
    }
    let menu = of_group(&group(Some("menu")), &rules, uses);
    let names: Vec<&str> = menu[1].keys().map(|(_, node)| node.as_str()).collect();
    assert_eq!(names, ["r1"]);
    assert!(is_ready(&menu[1], "r1"));
}

#[test]
fn a_rule_about_a_whole_target_counts_for_each_node_of_it() {
    let mut rules = rules(None);
    rules.push(Rule {
        critical: Some("> 1".parse().unwrap()),
        ..Rule::new("users", "app.users")
    });
    let asked = ReadyGroup {
        all: vec!["lag".to_owned(), "users".to_owned()],
        ..group(None)
    };
    let with_users = |users: f64| {
        let mut gathered = both(Some(0.1), Some(0.1));
        gathered.measured.push(Measured {
            metric: "app.users",
            labels: Arc::new([("target".to_owned(), "main".into())].into()),
            reading: Reading::Value(users),
            basis: "input".into(),
            resolution: None,
        });
        gathered
    };
    let seen = of_group(&asked, &rules, vec![with_users(1.0), with_users(2.0)]);
    let served: Vec<bool> = seen.iter().map(is_served).collect();
    assert_eq!(served, [true, false]);
}

#[test]
fn a_node_whose_rules_say_nothing_this_time_stays_in_its_group_as_it_was() {
    let silent = || Gathered {
        measured: [
            &measured("r1", Some(0.1))[..1],
            &measured("r2", Some(0.1))[..1],
        ]
        .concat(),
        ..Gathered::default()
    };
    let never = of_group(&group(None), &rules(None), vec![silent()]);
    assert!(never[0].is_empty(), "{never:?}");
    let rounds = vec![both(Some(0.1), Some(2.0)), silent(), silent()];
    let seen = of_group(&group(None), &rules(None), rounds);
    assert!(is_ready(&seen[2], "r1") && !is_ready(&seen[2], "r2"));
}

proptest! {
    #[test]
    fn a_group_that_is_never_empty_has_a_node_as_long_as_one_can_be_connected_to(
        rounds in prop::collection::vec(
            prop::array::uniform2(prop_oneof![Just(None), Just(Some(f64::NAN)), (0.0..3.0).prop_map(Some)]),
            1..40,
        ),
        down_after in 1_u32..4,
        up_after in 1_u32..4,
    ) {
        let asked = ReadyGroup {
            down_after: Some(down_after),
            up_after: Some(up_after),
            ..group(Some("replica"))
        };
        // Both are known to the group from the first round on.
        let mut all = vec![both(Some(0.1), Some(0.1))];
        all.extend(rounds.iter().map(|[one, two]| both(*one, *two)));
        let seen = of_group(&asked, &rules(None), all);
        for (round, said) in rounds.iter().zip(&seen[1..]) {
            let up = round.iter().filter(|lag| lag.is_some()).count();
            let ready = said.values().filter(|one| one.ready).count();
            prop_assert!(ready >= up.min(1) && ready <= up, "{round:?} {said:?}");
            prop_assert_eq!(is_served(said), ready > 0);
        }
    }
}

/// What the gates say of rounds of one node; each round is what `node.up` is, and what is known of its disk.
fn told_of_one(rounds: &[(&str, Reading)], role: &str) -> Vec<Option<Ready>> {
    let disk = Rule {
        warn: Some("> 90%".parse().unwrap()),
        ..Rule::new("disk", "disk.used")
    };
    let rules = [rules(None), vec![disk]].concat();
    let policy = Policy {
        rules: &rules,
        defaults: Defaults::default(),
        mutes: &[],
        attestations: &[],
        stages: None,
        part: Part::Whole,
    };
    let of = |role: &str| {
        let list = [("target", "main"), ("node", "n"), ("role", role)];
        let list = list.map(|(key, value)| (key.to_owned(), Arc::from(value)));
        Arc::new(Labels::from(list))
    };
    let one = |metric, labels, reading| Measured {
        metric,
        labels,
        reading,
        basis: "".into(),
        resolution: None,
    };
    let mut gates = Gates::default();
    let turns = Turns {
        keep: 1,
        ..NONE_KEPT
    };
    let mut memory = Memory::default();
    let next = |(up, disk): &(&str, Reading)| {
        let up = Reading::State((*up).to_owned().into());
        let gathered = Gathered {
            measured: vec![
                one("node.up", of(role), up),
                one("disk.used", of("replica"), disk.clone()),
            ],
            ..Gathered::default()
        };
        let verdict = verdict(policy, &gathered, &mut memory, DateTime::<Utc>::UNIX_EPOCH);
        gates.next(&verdict, turns).into_values().next()
    };
    rounds.iter().map(next).collect()
}

fn sides(rounds: &[(&str, Reading)], role: &str) -> Vec<bool> {
    let told = told_of_one(rounds, role).into_iter();
    told.map(|one| one.unwrap().ready).collect()
}

#[test]
fn what_can_never_be_told_from_here_keeps_no_node_out() {
    let not_local = Reading::unknown(Reason::NotLocal, "another machine");
    assert_eq!(sides(&[("up", not_local)], "primary"), [true]);
    let no_sample = Reading::unknown(Reason::NoSample, "nothing");
    assert_eq!(sides(&[("up", no_sample)], "primary"), [false]);
}

#[test]
fn a_node_that_is_late_has_its_turns_and_is_kept_before_none() {
    let good = || Reading::Value(10.0);
    let rounds = [
        ("up", good()),
        ("late", good()),
        ("late", good()),
        ("late", good()),
    ];
    assert_eq!(sides(&rounds, "primary"), [true, true, false, false]);
    let kept: Vec<bool> = (told_of_one(&rounds, "replica").into_iter())
        .map(|one| one.unwrap().kept)
        .collect();
    assert_eq!(kept, [false, false, true, true]);
    let rounds = [("up", good()), ("down", good())];
    assert_eq!(sides(&rounds, "replica"), [true, false]);
}

#[test]
fn the_role_is_the_one_that_is_declared() {
    let told = told_of_one(&[("standby", Reading::Value(10.0))], "primary");
    let one = told[0].as_ref().unwrap();
    assert_eq!((one.role.as_str(), one.ready), ("primary", false));
}
