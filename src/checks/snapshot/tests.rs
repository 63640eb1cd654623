use proptest::prelude::*;

use super::*;
use crate::checks::verdict::{Memory, Policy, verdict};
use crate::plan_file::PlanFile;
use crate::plan_file::metric::Measure;

/// Any metric that is measured by itself, any thing, any reading.
fn measured() -> impl Strategy<Value = Measured> {
    let reading = prop_oneof![
        4 => any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Reading::Value),
        1 => Just(Reading::Value(f64::INFINITY)),
        1 => (-1e9..1e9_f64, 0.0..1e9_f64).prop_map(|(low, more)| Reading::Between { low, high: low + more }),
        1 => Just(Reading::Between { low: 100.0, high: f64::INFINITY }),
        1 => (prop::sample::select(&Reason::ALL[..]), ".*").prop_map(|(reason, why)| Reading::unknown(reason, why)),
    ];
    let metrics: Vec<usize> = (0..METRICS.len()).collect();
    (
        prop::sample::select(metrics),
        "[a-z]{1,3}",
        reading,
        ".{0,20}",
        any::<bool>(),
    )
        .prop_map(|(at, target, reading, basis, fine)| {
            let metric = &METRICS[at];
            let reading = match (metric.measure, reading) {
                (Measure::State, Reading::Value(_) | Reading::Between { .. }) => {
                    Reading::State("up".into())
                }
                (_, reading) => reading,
            };
            Measured {
                metric: metric.name,
                labels: Arc::new(crate::checks::measure::labels(&[("target", &target)])),
                reading,
                basis: basis.into(),
                resolution: fine.then_some(0.001),
            }
        })
}

fn gathered() -> impl Strategy<Value = Gathered> {
    let missing = (
        prop::sample::select(&["query", "wal.size", "index"][..]),
        ".{0,20}",
    )
        .prop_map(|(metrics, why)| Missing {
            metrics,
            labels: Arc::new(Labels::new()),
            reason: Reason::NoPrivilege,
            why,
        });
    let seen = prop_oneof![
        (0..1_000_000_i64, 0..1_000_000_i64, "[ab]").prop_map(|(part, more, epoch)| {
            Seen::Counters {
                part,
                whole: part + more,
                epoch,
            }
        }),
        prop::collection::vec(0.0..1.0_f64, 0..30).prop_map(Seen::Times),
    ];
    let raw = (
        prop::sample::select(&["cache.hit_ratio", "db.probe_p95"][..]),
        seen,
    )
        .prop_map(|(metric, seen)| Raw {
            metric,
            labels: Arc::new(crate::checks::measure::labels(&[("target", "a")])),
            seen,
        });
    (
        prop::collection::vec(measured(), 0..20),
        prop::collection::vec(missing, 0..3),
        prop::collection::vec(raw, 0..3),
    )
        .prop_map(|(measured, missing, raw)| Gathered {
            measured,
            missing,
            raw,
        })
}

/// A rule on every metric.
fn plan() -> PlanFile {
    let mut plan = PlanFile::default();
    for metric in METRICS {
        let mut rule = Rule::new(metric.name, metric.name);
        match metric.measure {
            Measure::State => rule.expect = vec!["up".to_owned()],
            measure => rule.warn = Some(measure.example(metric.worse).parse().unwrap()),
        }
        plan.rules.push(rule);
    }
    plan
}

proptest! {
    #[test]
    fn a_snapshot_is_judged_as_what_was_measured_is(
        looks in prop::collection::vec(gathered(), 1..4),
    ) {
        let plan = plan();
        let policy = Policy::of(&plan, &plan.rules);
        let at = |look: usize| {
            let seconds = i64::try_from(look).unwrap() * 30;
            DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
        };
        let looks: Vec<_> = looks.into_iter().enumerate().map(|(n, one)| (at(n), one)).collect();
        let text = text(&snapshot(vec!["a".to_owned()], &plan.rules, &looks));
        let read = parse(&text).unwrap().gathered(&plan.rules);
        prop_assert_eq!(&read, &looks);
        let judged = |looks: &[(DateTime<Utc>, Gathered)]| {
            let mut memory = Memory::default();
            let all = looks.iter().map(|(at, one)| verdict(policy, one, &mut memory, *at));
            all.collect::<Vec<_>>()
        };
        prop_assert_eq!(judged(&read), judged(&looks));
    }
}

#[test]
fn what_a_snapshot_did_not_ask_for_is_unknown_and_a_newer_one_is_refused() {
    let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let asked = [Rule::new("wal", "wal.size")];
    let taken = snapshot(
        vec!["main".to_owned()],
        &asked,
        &[(at, Gathered::default())],
    );
    let rules = [
        Rule::new("wal", "wal.size"),
        Rule::new("size", "database.size"),
    ];
    let read = taken.gathered(&rules);
    let missing = &read[0].1.missing;
    assert_eq!(missing.len(), 1);
    assert_eq!(
        (missing[0].metrics, missing[0].reason),
        ("database.size", Reason::NoSample)
    );
    let newer = text(&taken).replace("snapshot/1", "snapshot/2");
    assert!(
        parse(&newer)
            .unwrap_err()
            .contains("this dbops reads dbops.snapshot/1")
    );
    assert!(parse("{}").unwrap_err().contains("no snapshot"));
    assert!(parse("[").is_err());
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test reads UPDATE_GOLDEN itself"
)]
fn the_schema_in_docs_is_what_is_written() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/dbops.snapshot.schema.json"
    );
    let mut schema = serde_json::to_string_pretty(&json_schema()).unwrap();
    schema.push('\n');
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &schema).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == schema, "run again with UPDATE_GOLDEN=1");
    let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let one = |reading| Measured {
        metric: "replica.visible_lag",
        labels: Arc::new(Labels::new()),
        reading,
        basis: "".into(),
        resolution: None,
    };
    let gathered = Gathered {
        measured: vec![
            one(Reading::Value(f64::INFINITY)),
            one(Reading::Between {
                low: 1.0,
                high: f64::INFINITY,
            }),
            one(Reading::unknown(Reason::NoSample, "why")),
        ],
        ..Gathered::default()
    };
    let text = text(&snapshot(vec!["a".to_owned()], &[], &[(at, gathered)]));
    let instance = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(&instance)
        .map(|one| one.to_string())
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
}
