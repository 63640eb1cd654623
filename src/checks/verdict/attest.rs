//! What an attestation is worth: fresh, too old, or not what was wanted.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Measured, Part};
use crate::checks::judge::{Labels, Reading};
use crate::checks::reason::Reason;
use crate::plan_file::Attestation;
use crate::plan_file::rule::{ATTESTATION, Rule};

/// The state in which a rule holds.
pub(super) const FRESH: &str = "fresh";

/// Holds the newest attestation of each target, or of all of them, against a rule.
///
/// That there is none at all is told of the whole, or of what is of no target.
pub(super) fn held(
    rule: &Rule,
    all: &[Attestation],
    part: Part<'_>,
    now: DateTime<Utc>,
) -> Vec<Measured> {
    let Some(name) = &rule.attest else {
        return Vec::new();
    };
    let named = || all.iter().filter(|one| one.name == *name);
    let mut newest: Vec<&Attestation> = Vec::new();
    for one in named().filter(|one| part.has(one)) {
        match newest.iter_mut().find(|other| other.target == one.target) {
            Some(other) if other.date < one.date => *other = one,
            Some(_) => {}
            None => newest.push(one),
        }
    }
    let figure = |target: Option<&str>, reading, basis: String| {
        let mut labels = Labels::new();
        labels.insert("attestation".to_owned(), name.as_str().into());
        if let Some(target) = target {
            labels.insert("target".to_owned(), target.into());
        }
        Measured {
            metric: ATTESTATION,
            labels: Arc::new(labels),
            reading,
            basis: basis.into(),
            resolution: None,
        }
    };
    if named().next().is_none() && !matches!(part, Part::Target(_)) {
        let why = format!("no plan file has an attestation `{name}`");
        return vec![figure(
            None,
            Reading::unknown(Reason::NotDeclared, why),
            String::new(),
        )];
    }
    let one = |attestation: &Attestation| {
        let (reading, basis) = worth(rule, attestation, now);
        figure(attestation.target.as_deref(), reading, basis)
    };
    newest.into_iter().map(one).collect()
}

fn worth(rule: &Rule, attestation: &Attestation, now: DateTime<Utc>) -> (Reading, String) {
    let at = attestation
        .date
        .0
        .and_time(chrono::NaiveTime::MIN)
        .and_utc();
    let age = now - at;
    let mut basis = format!("{} of {}", attestation.name, attestation.date);
    if let Some(value) = &attestation.value {
        basis = format!("{basis}: {value}");
    }
    basis = format!("{basis}, by {}", attestation.by);
    let missing =
        |why: String, basis: &str| (Reading::unknown(Reason::NotDeclared, why), basis.to_owned());
    if age < chrono::TimeDelta::zero() {
        return missing(format!("{basis}: that day is still to come"), &basis);
    }
    basis = format!("{basis}, {} days ago", age.num_days());
    // A day is over when the next begins: what was done on it may be that much younger.
    let most = rule
        .max_age
        .map(|most| super::memory::milliseconds(most.0) + chrono::TimeDelta::days(1));
    if most.is_some_and(|most| age >= most) {
        return (Reading::State("too-old".into()), basis);
    }
    let Some(wanted) = &rule.value else {
        return (Reading::State(FRESH.into()), basis);
    };
    let Some(value) = &attestation.value else {
        return missing(format!("{basis}: it gives no `value`"), &basis);
    };
    if !wanted.is_comparable_to(value.unit) {
        return missing(
            format!("{basis}: its `value` has another unit than `{wanted}`"),
            &basis,
        );
    }
    let is_met = super::passes(&Reading::Value(value.base()), wanted) == Some(true);
    let state = if is_met { FRESH } else { "missed" };
    (Reading::State(state.into()), basis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(max_age: Option<&str>, value: Option<&str>) -> Rule {
        Rule {
            attest: Some("restore_drill".to_owned()),
            max_age: max_age.map(|text| text.parse().unwrap()),
            value: value.map(|text| text.parse().unwrap()),
            ..Rule::new("rto", ATTESTATION)
        }
    }

    fn attestation(date: &str, value: Option<&str>) -> Attestation {
        Attestation {
            name: "restore_drill".to_owned(),
            target: None,
            date: date.parse().unwrap(),
            value: value.map(|text| text.parse().unwrap()),
            by: "Kim".to_owned(),
            note: None,
            origin: crate::plan_file::Origin::default(),
        }
    }

    fn state(rule: &Rule, all: &[Attestation]) -> String {
        let now = "2027-03-31T12:00:00Z".parse().unwrap();
        match &held(rule, all, Part::Whole, now)[..] {
            [one] => match &one.reading {
                Reading::State(state) => state.to_string(),
                Reading::Unknown { reason, .. } => reason.code().to_owned(),
                other => format!("{other:?}"),
            },
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_newest_attestation_counts_by_its_age_and_its_figure() {
        let both = rule(Some("30d"), Some("<= 30m"));
        let fresh = attestation("2027-03-01", Some("24m"));
        assert_eq!(state(&both, std::slice::from_ref(&fresh)), "fresh");
        let slow = attestation("2027-03-02", Some("1h"));
        assert_eq!(state(&both, &[slow.clone(), fresh.clone()]), "missed");
        assert_eq!(state(&both, &[fresh, slow]), "missed");
        let old = attestation("2027-02-28", Some("24m"));
        assert_eq!(state(&both, &[old]), "too-old");
        // On the thirtieth day, and the day after that until midnight.
        assert_eq!(
            state(&both, &[attestation("2027-03-01", Some("30m"))]),
            "fresh"
        );
    }

    #[test]
    fn what_is_not_attested_is_unknown() {
        let both = rule(None, Some("<= 30m"));
        assert_eq!(state(&both, &[]), "not_declared");
        assert_eq!(
            state(&both, &[attestation("2027-03-01", None)]),
            "not_declared"
        );
        assert_eq!(
            state(&both, &[attestation("2027-03-01", Some("5%"))]),
            "not_declared"
        );
        assert_eq!(
            state(&both, &[attestation("2027-04-02", Some("5m"))]),
            "not_declared"
        );
        assert_eq!(
            state(&rule(None, None), &[attestation("2020-01-01", None)]),
            "fresh"
        );
    }
}
