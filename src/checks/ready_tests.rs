//! Tests of when a node is ready.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;
use crate::checks::judge::{Labels, Measured, Reading};
use crate::checks::reason::Reason;
use crate::checks::verdict::{Gathered, Memory, Policy, verdict};
use crate::plan_file::rule::{Defaults, Rule};

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
