use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::plan_file::{Day, Millis};

fn labels(list: &[(&str, &str)]) -> Arc<Labels> {
    let all = list.iter();
    Arc::new(
        all.map(|(key, value)| ((*key).to_owned(), Arc::from(*value)))
            .collect(),
    )
}

fn rule(metric: &str, warn: Option<&str>, critical: Option<&str>) -> Rule {
    Rule {
        warn: warn.map(|text| text.parse().unwrap()),
        critical: critical.map(|text| text.parse().unwrap()),
        ..Rule::new("one", metric)
    }
}

fn lag(reading: Reading) -> Measured {
    Measured {
        metric: "replica.visible_lag",
        labels: labels(&[("target", "main"), ("node", "r1")]),
        reading,
        basis: "probe".into(),
        resolution: None,
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(2_000_000_000 + seconds)
}

fn policy(rules: &[Rule]) -> Policy<'_> {
    Policy {
        rules,
        defaults: Defaults::default(),
        mutes: &[],
        attestations: &[],
        stages: None,
        part: Part::Whole,
    }
}

/// What a rule says of samples taken one after the other.
fn said(rule: &Rule, samples: &[(i64, Reading)]) -> Vec<Status> {
    let mut memory = Memory::default();
    let rules = std::slice::from_ref(rule);
    samples
        .iter()
        .map(|(seconds, reading)| {
            let gathered = Gathered {
                measured: vec![lag(reading.clone())],
                missing: Vec::new(),
                ..Gathered::default()
            };
            let verdict = verdict(policy(rules), &gathered, &mut memory, at(*seconds));
            // What is kept between runs is text.
            memory = Memory::parse(&memory.text()).unwrap();
            verdict.findings[0].status
        })
        .collect()
}

fn value(seconds: f64) -> Reading {
    Reading::Value(seconds)
}

#[test]
fn a_threshold_has_to_be_passed_for_its_time_without_a_break() {
    let mut rule = rule("replica.visible_lag", Some("> 1s"), None);
    rule.lasting = Some(Millis(60_000));
    use Status::{Ok, Pending, Warning};
    let run = |list: &[(i64, f64)]| {
        let list: Vec<(i64, Reading)> = list.iter().map(|&(t, v)| (t, value(v))).collect();
        said(&rule, &list)
    };
    assert_eq!(
        run(&[(0, 2.0), (30, 2.0), (60, 2.0), (90, 0.5), (120, 2.0)]),
        [Pending, Pending, Warning, Ok, Pending]
    );
    // Nobody looked for two minutes: what was before says nothing of now.
    assert_eq!(run(&[(0, 2.0), (120, 2.0)]), [Pending, Pending]);
    // A clock that goes back begins anew.
    assert_eq!(
        run(&[(0, 2.0), (-10, 2.0), (50, 2.0)]),
        [Pending, Pending, Warning]
    );
}

#[test]
fn what_is_not_known_neither_ends_nor_lengthens() {
    let mut rule = rule("replica.visible_lag", Some("> 1s"), None);
    rule.lasting = Some(Millis(60_000));
    let unknown = Reading::unknown(Reason::NoSample, "nothing");
    assert_eq!(
        said(
            &rule,
            &[
                (0, value(2.0)),
                (30, unknown.clone()),
                (60, value(2.0)),
                (61, value(0.0))
            ]
        ),
        [
            Status::Pending,
            Status::Unknown,
            Status::Warning,
            Status::Ok
        ]
    );
}

#[test]
fn two_breaches_with_long_doubt_between_are_not_one() {
    let mut rule = rule("replica.visible_lag", Some("> 1s"), None);
    rule.lasting = Some(Millis(120_000));
    let unknown = Reading::unknown(Reason::NoSample, "nothing");
    let doubt = [30, 60, 90].map(|at| (at, unknown.clone()));
    let list = [&[(0, value(2.0))], &doubt[..], &[(120, value(2.0))]].concat();
    assert_eq!(said(&rule, &list).last(), Some(&Status::Pending));
}

#[test]
fn an_older_run_takes_nothing_from_what_a_later_one_remembers() {
    let mut rules = [rule("replica.visible_lag", Some("> 1s"), None)];
    rules[0].lasting = Some(Millis(60_000));
    let mut memory = Memory::default();
    let gathered = Gathered {
        measured: vec![lag(value(2.0))],
        missing: Vec::new(),
        ..Gathered::default()
    };
    verdict(policy(&rules), &gathered, &mut memory, at(1_000));
    let kept = memory.clone();
    // Another target, looked at as of an hour before.
    verdict(
        policy(&rules),
        &Gathered::default(),
        &mut memory,
        at(-2_600),
    );
    assert_eq!(memory, kept);
}

#[test]
fn so_many_of_the_last_samples_have_to_pass() {
    let mut rule = rule("replica.visible_lag", Some("> 1s"), Some("> 10s"));
    rule.samples = Some(Samples { need: 2, of: 3 });
    use Status::{Critical, Ok, Pending, Warning};
    let list = [2.0, 0.0, 2.0, 0.0, 0.0, 20.0, 20.0];
    let list: Vec<(i64, Reading)> = (0..).zip(list).map(|(t, v)| (t, value(v))).collect();
    assert_eq!(
        said(&rule, &list),
        [Pending, Ok, Warning, Ok, Ok, Pending, Critical]
    );
}

#[test]
fn a_finding_stands_until_it_is_clear() {
    let mut rule = rule("replica.visible_lag", Some("> 1s"), None);
    rule.clear = Some("< 500ms".parse().unwrap());
    let list = [0.7, 2.0, 0.7, 0.4, 0.7];
    let list: Vec<(i64, Reading)> = (0..).zip(list).map(|(t, v)| (t, value(v))).collect();
    use Status::{Ok, Warning};
    assert_eq!(said(&rule, &list), [Ok, Warning, Warning, Ok, Ok]);
}

#[test]
fn states_are_held_against_what_is_expected() {
    let mut rule = rule("slot.wal_status", None, None);
    rule.expect = vec!["reserved".to_owned()];
    let mut rules = [rule];
    let says = |rules: &[Rule], state: &'static str, slot: &str| {
        let gathered = Gathered {
            measured: vec![Measured {
                metric: "slot.wal_status",
                labels: labels(&[("target", "main"), ("slot", slot)]),
                reading: Reading::State(state.into()),
                basis: "".into(),
                resolution: None,
            }],
            missing: Vec::new(),
            ..Gathered::default()
        };
        verdict(policy(rules), &gathered, &mut Memory::default(), at(0)).findings[0].status
    };
    assert_eq!(says(&rules, "reserved", "a"), Status::Ok);
    assert_eq!(says(&rules, "lost", "a"), Status::Critical);
    rules[0].level = Some(Level::Warn);
    assert_eq!(says(&rules, "lost", "a"), Status::Warning);
    rules[0].overrides.push(Override {
        labels: [("slot".to_owned(), "b*".to_owned())].into(),
        warn: None,
        critical: None,
        expect: vec!["lost".to_owned()],
    });
    assert_eq!(says(&rules, "lost", "backup"), Status::Ok);
}

#[test]
fn a_threshold_finer_than_the_figure_is_not_known() {
    let rules = [rule("replica.visible_lag", Some("> 1ms"), Some("> 1s"))];
    let says = |seconds: f64| {
        let mut measured = lag(value(seconds));
        measured.resolution = Some(0.005);
        let gathered = Gathered {
            measured: vec![measured],
            missing: Vec::new(),
            ..Gathered::default()
        };
        let verdict = verdict(policy(&rules), &gathered, &mut Memory::default(), at(0));
        let one = &verdict.findings[0];
        (one.status, one.doubt.clone())
    };
    let (status, doubt) = says(0.002);
    assert_eq!(status, Status::Unknown);
    assert_eq!(doubt.unwrap().reason, Reason::BelowResolution);
    // Well beyond the threshold and its own error it is a finding.
    assert_eq!(says(0.02).0, Status::Warning);
    assert_eq!(says(2.0).0, Status::Critical);
}

#[test]
fn a_node_that_is_down_is_one_cause_and_the_rest_is_skipped() {
    let mut up = rule("node.up", None, None);
    up.id = "node.up".to_owned();
    up.expect = vec!["up".to_owned()];
    let rules = [
        up,
        rule("xid.age", Some("> 5"), None),
        rule("query.share", Some("> 5%"), None),
    ];
    let node = labels(&[("target", "main"), ("node", "primary")]);
    let gathered = Gathered {
        measured: vec![Measured {
            metric: "node.up",
            labels: Arc::clone(&node),
            reading: Reading::State("down".into()),
            basis: "refused".into(),
            resolution: None,
        }],
        missing: ["xid", "query"]
            .map(|metrics| Missing {
                metrics,
                labels: Arc::clone(&node),
                reason: Reason::NotConnected,
                why: "because node.up".to_owned(),
            })
            .into(),
        ..Gathered::default()
    };
    let verdict = verdict(policy(&rules), &gathered, &mut Memory::default(), at(0));
    assert_eq!((verdict.counts.critical, verdict.counts.skipped), (1, 2));
    assert_eq!(verdict.findings[0].rule, "node.up");
    assert_eq!(verdict.worst(), Status::Critical);
    assert!(verdict.idle.is_empty());
}

#[test]
fn a_state_of_a_node_that_may_be_missing_is_a_warning_at_most() {
    let mut up = rule("node.up", None, None);
    up.expect = vec!["up".to_owned()];
    let of = |more: &[(&str, &str)]| {
        let list = [&[("target", "main"), ("node", "olap")], more].concat();
        let gathered = Gathered {
            measured: vec![Measured {
                metric: "node.up",
                labels: labels(&list),
                reading: Reading::State("down".into()),
                basis: "refused".into(),
                resolution: None,
            }],
            missing: Vec::new(),
            raw: Vec::new(),
        };
        let rules = std::slice::from_ref(&up);
        verdict(policy(rules), &gathered, &mut Memory::default(), at(0)).worst()
    };
    assert_eq!(of(&[]), Status::Critical);
    assert_eq!(of(&[("required", "no")]), Status::Warning);
}

#[test]
fn what_is_missing_is_unknown_and_what_is_not_there_is_idle() {
    let rules = [rule("query.mean_time", Some("> 50ms"), None), {
        let mut rule = rule("slot.wal_status", None, None);
        rule.id = "slots".to_owned();
        rule.expect = vec!["reserved".to_owned()];
        rule
    }];
    let gathered = Gathered {
        measured: vec![lag(value(1.0))],
        missing: vec![Missing {
            metrics: "query",
            labels: labels(&[("target", "main")]),
            reason: Reason::NoPrivilege,
            why: "no right".to_owned(),
        }],
        ..Gathered::default()
    };
    let mut policy = policy(&rules);
    let said = |policy| verdict(policy, &gathered, &mut Memory::default(), at(0));
    let one = said(policy);
    assert_eq!(one.worst(), Status::Unknown);
    assert_eq!(one.idle, ["slots"]);
    assert_eq!(one.uncovered.get("replica.visible_lag"), Some(&1));
    for (on_unknown, status) in [
        (OnUnknown::Warn, Status::Warning),
        (OnUnknown::Critical, Status::Critical),
        (OnUnknown::Ok, Status::Ok),
    ] {
        policy.defaults.on_unknown = on_unknown;
        assert_eq!(said(policy).worst(), status);
    }
}

#[test]
fn mutes_accept_a_finding_of_an_object_and_never_what_holds() {
    let rules = [rule("replica.visible_lag", Some("> 1s"), None)];
    let mute = |target: Option<&str>| Mute {
        rule: "one".to_owned(),
        target: target.map(str::to_owned),
        fingerprint: None,
        until: "2099-12-31".parse::<Day>().unwrap(),
        reason: "known".to_owned(),
        origin: Origin::default(),
    };
    let counts = |target: Option<&str>, seconds: f64| {
        let mutes = [mute(target)];
        let policy = Policy {
            mutes: &mutes,
            ..policy(&rules)
        };
        let gathered = Gathered {
            measured: vec![lag(value(seconds))],
            missing: Vec::new(),
            ..Gathered::default()
        };
        verdict(policy, &gathered, &mut Memory::default(), at(0)).counts
    };
    assert_eq!(counts(None, 2.0).muted, 1);
    assert_eq!(counts(Some("r1"), 2.0).muted, 1);
    assert_eq!(counts(Some("main"), 2.0).muted, 1);
    assert_eq!(counts(Some("r2"), 2.0).warning, 1);
    assert_eq!(counts(None, 0.5).ok, 1);
}

#[test]
fn a_mute_accepts_nothing_after_its_last_day() {
    let rules = [rule("replica.visible_lag", Some("> 1s"), None)];
    // The instant of the verdict is 2033-05-18.
    let muted = |until: &str| {
        let mutes = [Mute {
            rule: "one".to_owned(),
            target: None,
            fingerprint: None,
            until: until.parse::<Day>().unwrap(),
            reason: "known".to_owned(),
            origin: Origin::default(),
        }];
        let policy = Policy {
            mutes: &mutes,
            ..policy(&rules)
        };
        let gathered = Gathered {
            measured: vec![lag(value(2.0))],
            ..Gathered::default()
        };
        verdict(policy, &gathered, &mut Memory::default(), at(0))
            .counts
            .muted
    };
    assert_eq!(muted("2033-05-18"), 1);
    assert_eq!(muted("2033-05-17"), 0);
}

#[test]
fn a_damaged_memory_is_refused() {
    for text in [
        "",
        "{}",
        "[]",
        "{\"version\":2,\"series\":{}}",
        "{\"version\":1}",
    ] {
        assert!(Memory::parse(text).is_err(), "{text}");
    }
    assert_eq!(
        Memory::parse(&Memory::default().text()),
        Ok(Memory::default())
    );
}

fn any_reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        (0.0..20.0_f64).prop_map(Reading::Value),
        (0.0..20.0_f64, 0.0..5.0_f64).prop_map(|(low, more)| Reading::Between {
            low,
            high: low + more
        }),
        Just(Reading::unknown(Reason::NoSample, "nothing")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_sample_of_every_rule_has_exactly_one_status(
        readings in prop::collection::vec(any_reading(), 1..30),
        lasting in prop::option::of(1_000..100_000_u64),
        need in 1..4_u32,
    ) {
        let mut rule = rule("replica.visible_lag", Some("> 5s"), Some("> 10s"));
        rule.lasting = lasting.map(Millis);
        rule.samples = (need > 1).then_some(Samples { need, of: 4 });
        let samples: Vec<(i64, Reading)> =
            readings.iter().cloned().enumerate().map(|(at, one)| (i64::try_from(at).unwrap() * 30, one)).collect();
        let statuses = said(&rule, &samples);
        let plain = said(&Rule { lasting: None, samples: None, ..rule.clone() }, &samples);
        for (at, (status, plain)) in statuses.iter().zip(&plain).enumerate() {
            // Time and number of samples only ever make a finding milder at the sample itself, or let one go on.
            let before: &[Status] = &plain_until(&statuses, at);
            prop_assert!(
                status <= plain || before.iter().any(|one| one >= &Status::Warning) || rule.samples.is_some(),
                "{at}: {statuses:?} of {readings:?}"
            );
            // What is not known is never good.
            if matches!(readings[at], Reading::Unknown { .. }) {
                prop_assert!(*status >= Status::Warning, "{at}: {statuses:?}");
            }
            // Nothing is found that no sample showed.
            if *status == Status::Critical {
                let shown = readings[..=at].iter().any(|one| match one {
                    Reading::Value(value) => *value > 10.0,
                    Reading::Between { low, .. } => *low > 10.0,
                    _ => false,
                });
                prop_assert!(shown, "{statuses:?}");
            }
        }
    }

    #[test]
    fn counts_add_up(readings in prop::collection::vec(any_reading(), 0..50)) {
        let rules = [rule("replica.visible_lag", Some("> 5s"), Some("> 10s"))];
        let gathered = Gathered {
            measured: readings.into_iter().map(lag).collect(),
            missing: Vec::new(),
            ..Gathered::default()
        };
        let verdict = verdict(policy(&rules), &gathered, &mut Memory::default(), at(0));
        let counts = verdict.counts;
        let all = counts.ok + counts.skipped + counts.pending + counts.warning + counts.unknown
            + counts.critical + counts.muted;
        prop_assert_eq!(all, gathered.measured.len());
        prop_assert_eq!(verdict.findings.len(), all);
        prop_assert!(verdict.findings.is_sorted_by(|a, b| a.status >= b.status));
        prop_assert_eq!(
            verdict.findings.first().map_or(Status::Ok, |one| one.status),
            verdict.worst()
        );
    }
}

fn plain_until(all: &[Status], at: usize) -> Vec<Status> {
    all.iter().take(at).copied().collect()
}

/// `bench/run 71` runs it in a release build and holds its time against the bar.
#[test]
fn a_thousand_rules_over_a_hundred_targets_are_one_verdict() {
    let metrics = [
        "replica.visible_lag",
        "conn.effective_used",
        "wal.size",
        "database.size",
        "xid.age",
        "conn.idle_in_transaction_age",
        "slot.retained_bytes",
        "pool.maxwait",
        "index.invalid",
        "partition.runway",
    ];
    let rules: Vec<Rule> = (0..1_000)
        .map(|number| {
            let name = metrics[number % metrics.len()];
            let metric = metric(name).unwrap();
            let mut rule = rule(name, Some(metric.measure.example(metric.worse)), None);
            rule.id = format!("rule-{number}");
            // Ten targets each: as one rule set for clusters of several kinds.
            let kind = format!("c{}-*", number % 10);
            rule.scope.insert("target".to_owned(), kind);
            rule
        })
        .collect();
    let mut gathered = Gathered::default();
    for target in 0..100 {
        let target = format!("c{}-{target}", target % 10);
        for metric in metrics {
            gathered.measured.push(Measured {
                metric,
                labels: labels(&[
                    ("target", &target),
                    ("node", "primary"),
                    ("role", "primary"),
                ]),
                reading: Reading::Value(60.0),
                basis: "measured".into(),
                resolution: None,
            });
        }
    }
    let mut times = Vec::new();
    let mut counts = Counts::default();
    for _ in 0..9 {
        let begin = std::time::Instant::now();
        let verdict = verdict(policy(&rules), &gathered, &mut Memory::default(), at(0));
        times.push(begin.elapsed());
        counts = verdict.counts;
    }
    times.sort();
    println!(
        "1000 rules x 100 targets, {} findings: median {:.1} ms",
        counts.ok + counts.warning,
        times[4].as_secs_f64() * 1_000.0
    );
    assert_eq!(counts.ok + counts.warning, 10_000);
}
