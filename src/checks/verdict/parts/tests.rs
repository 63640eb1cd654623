use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::checks::judge::{Labels, Measured, Reading};
use crate::checks::reason::Reason;
use crate::checks::verdict::{Gathered, Memory, Missing, Policy, verdict};
use crate::plan_file::metric::metric;
use crate::plan_file::rule::Defaults;

const TARGETS: [&str; 3] = ["east", "main", "west"];

fn labels(target: &str, node: &str) -> Arc<Labels> {
    let list = [("target", target), ("node", node)];
    let list = list.map(|(key, value)| (key.to_owned(), Arc::from(value)));
    Arc::new(Labels::from(list))
}

fn rules() -> Vec<Rule> {
    let of = |id: &str, metric: &str, warn: Option<&str>| Rule {
        warn: warn.map(|text| text.parse().unwrap()),
        ..Rule::new(id, metric)
    };
    vec![
        of("lag", "replica.visible_lag", Some("> 1s")),
        of("used", "conn.effective_used", Some("> 80%")),
        of("age", "xid.age", Some("> 1000000")),
        Rule {
            attest: Some("restore_drill".to_owned()),
            ..Rule::new("drill", crate::plan_file::rule::ATTESTATION)
        },
        Rule {
            attest: Some("review".to_owned()),
            ..Rule::new("review", crate::plan_file::rule::ATTESTATION)
        },
    ]
}

fn attestation(target: Option<&str>) -> Attestation {
    Attestation {
        name: "restore_drill".to_owned(),
        target: target.map(str::to_owned),
        date: "2026-01-05".parse().unwrap(),
        value: None,
        by: "the night shift".to_owned(),
        note: None,
        origin: crate::plan_file::Origin::default(),
    }
}

prop_compose! {
    /// What is known of a target: figures of some nodes, and perhaps that there are none of others.
    fn looked()(
        figures in prop::collection::vec((0..4usize, prop::option::of(0.0..200.0f64)), 0..8),
        missing in any::<bool>(),
    ) -> (Vec<(usize, Option<f64>)>, bool) {
        (figures, missing)
    }
}

fn gathered(target: &str, (figures, missing): &(Vec<(usize, Option<f64>)>, bool)) -> Gathered {
    let metrics = [
        "replica.visible_lag",
        "conn.effective_used",
        "xid.age",
        "replica.bytes",
    ];
    let figures = figures
        .iter()
        .enumerate()
        .map(|(at, (which, value))| Measured {
            metric: metric(metrics[*which]).map_or(metrics[0], |one| one.name),
            labels: labels(target, &format!("n{at}")),
            reading: value.map_or(Reading::unknown(Reason::NoSample, "none"), Reading::Value),
            basis: "probe".into(),
            resolution: None,
        });
    let missing = missing.then(|| Missing {
        metrics: "xid",
        labels: labels(target, "primary"),
        reason: Reason::NotConnected,
        why: "no answer".to_owned(),
    });
    Gathered {
        measured: figures.collect(),
        missing: missing.into_iter().collect(),
        ..Gathered::default()
    }
}

proptest! {
    /// Whether targets are judged one by one or all at once, the verdict is the same, whoever vouches for what.
    #[test]
    fn one_by_one_or_all_at_once_is_the_same(
        looks in prop::collection::vec(looked(), 3),
        vouched in prop::collection::vec(prop::option::of(prop::sample::select(vec!["east", "west", "elsewhere"])), 0..4),
    ) {
        let rules = rules();
        let attestations: Vec<Attestation> = vouched.into_iter().map(attestation).collect();
        let policy = Policy {
            rules: &rules,
            defaults: Defaults::default(),
            mutes: &[],
            attestations: &attestations,
            stages: None,
            part: Part::Whole,
        };
        let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let of: Vec<Gathered> = TARGETS.iter().zip(&looks).map(|(name, look)| gathered(name, look)).collect();
        let mut all = Gathered::default();
        for one in &of {
            all.extend(one.clone());
        }
        let whole = verdict(policy, &all, &mut Memory::default(), now);
        let mut memory = Memory::default();
        let parts: Vec<Verdict> = TARGETS
            .iter()
            .zip(&of)
            .map(|(name, one)| verdict(policy.part(Part::Target(name)), one, &mut memory, now))
            .collect();
        let names = TARGETS.iter().map(ToString::to_string).collect();
        let rest = verdict(policy.part(Part::Rest(&names)), &Gathered::default(), &mut memory, now);
        prop_assert_eq!(Verdict::over(&parts, &rest), whole);
    }
}
