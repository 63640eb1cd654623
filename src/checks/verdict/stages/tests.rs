use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::checks::judge::Measured;
use crate::checks::measure::labels;
use crate::plan_file::stages::Advance;

fn at(hours: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::hours(hours)
}

fn level(id: &str, figures: &[(&str, &str)]) -> Level {
    let figures = figures.iter();
    Level {
        id: id.to_owned(),
        name: None,
        asks: vec![format!("what {id} asks for")],
        figures: figures
            .map(|(name, range)| ((*name).to_owned(), (*range).to_owned()))
            .collect(),
    }
}

fn stages() -> Stages {
    let advance = |signals: &[&str]| Advance {
        any: signals.iter().map(|text| (*text).to_owned()).collect(),
        all: Vec::new(),
    };
    Stages {
        levels: vec![
            level(
                "1",
                &[("conn.peak", "< 15"), ("database.size", "5GB..10GB")],
            ),
            level(
                "2",
                &[("conn.peak", "15..50"), ("database.size", "20GB..50GB")],
            ),
            level("3", &[("conn.peak", "50..150")]),
        ],
        advance: BTreeMap::from([
            (
                "to_2".to_owned(),
                advance(&["conn.peak > 15 for 7d", "http.p95 > 500ms"]),
            ),
            ("to_3".to_owned(), advance(&["conn > 40 for 1d"])),
        ]),
        ..Stages::default()
    }
}

fn used(connections: f64, bytes: f64) -> Gathered {
    let one = |metric, more: &[(&str, &str)], value| {
        let list: Vec<_> = [("target", "main")].iter().chain(more).copied().collect();
        Measured {
            metric,
            labels: Arc::new(labels(&list)),
            reading: Reading::Value(value),
            basis: "".into(),
            resolution: None,
        }
    };
    Gathered {
        measured: vec![
            one(
                "conn.used",
                &[("node", "primary"), ("role", "primary")],
                connections,
            ),
            one("conn.used", &[("node", "r1"), ("role", "replica")], 500.0),
            one("database.size", &[("database", "app")], bytes),
            one("database.size", &[("database", "postgres")], 1e6),
        ],
        ..Gathered::default()
    }
}

/// What is said after looks at these hours.
fn said(looks: impl Iterator<Item = (i64, f64)>) -> Advice {
    let mut kept = Kept::default();
    let mut last = Vec::new();
    for (hour, connections) in looks {
        let gathered = used(connections, 1e9);
        kept.take(&gathered, at(hour), Millis(8 * 86_400_000));
        last = advise(&stages(), &gathered, &mut kept, Millis(3_600_000), at(hour));
        let text = serde_json::to_string(&kept).unwrap();
        kept = serde_json::from_str(&text).unwrap();
    }
    last.remove(0)
}

/// Busy by day, idle by night.
fn daily(days: i64, peak: f64) -> impl Iterator<Item = (i64, f64)> {
    (0..=24 * days).map(move |hour| (hour, if hour % 24 == 12 { peak } else { 3.0 }))
}

#[test]
fn a_stage_is_that_of_the_figure_that_has_grown_most() {
    let mut kept = Kept::default();
    let mut stage = |connections, bytes| {
        kept = Kept::default();
        let gathered = used(connections, bytes);
        kept.take(&gathered, at(0), Millis(86_400_000));
        let advice = advise(&stages(), &gathered, &mut kept, Millis(1), at(0));
        advice[0].stage.as_ref().map(|stage| stage.id.clone())
    };
    assert_eq!(stage(3.0, 1e9).as_deref(), Some("1"));
    assert_eq!(stage(15.0, 1e9).as_deref(), Some("2"));
    assert_eq!(stage(3.0, 2e10).as_deref(), Some("2"));
    // Between two ranges it is still in the one before; beyond all in the last.
    assert_eq!(stage(3.0, 1.5e10).as_deref(), Some("1"));
    assert_eq!(stage(900.0, 1e9).as_deref(), Some("3"));
}

#[test]
fn peaks_of_each_day_for_a_week_are_a_signal_and_nights_do_not_end_it() {
    let state = |advice: &Advice| advice.next.as_ref().unwrap().signals[0].state;
    // Fourteen at most: stage 1, and no signal.
    let calm = said(daily(9, 14.0));
    assert_eq!(state(&calm), SignalState::NotMet);
    let advice = said(
        daily(9, 15.5).map(|(hour, count)| (hour, if hour > 9 * 24 - 2 { 16.0 } else { count })),
    );
    // By its peaks it is in stage 2 already, so it is told of stage 3.
    assert_eq!(advice.stage.as_ref().unwrap().id, "2");
    assert_eq!(advice.next.as_ref().unwrap().stage.id, "3");
}

#[test]
fn a_signal_lasts_as_long_as_is_remembered_and_no_longer() {
    // Stage 1 reaches to 100 here, so that the signals of stage 2 are looked at.
    let mut stages = stages();
    stages.levels[0].figures = BTreeMap::from([("conn.peak".to_owned(), "< 100".to_owned())]);
    stages.levels[1].figures = BTreeMap::from([("conn.peak".to_owned(), "100..200".to_owned())]);
    stages.levels.truncate(2);
    let signal = |looks: &mut dyn Iterator<Item = (i64, f64)>| {
        let mut kept = Kept::default();
        let mut last = Vec::new();
        for (hour, connections) in looks {
            let gathered = used(connections, 1e9);
            kept.take(&gathered, at(hour), Millis(8 * 86_400_000));
            last = advise(&stages, &gathered, &mut kept, Millis(3_600_000), at(hour));
        }
        let next = last.remove(0).next.unwrap();
        (next.due, next.signals)
    };
    let (due, signals) = signal(&mut daily(6, 20.0));
    assert!(!due);
    assert_eq!(signals[0].state, SignalState::NotYet);
    let (due, signals) = signal(&mut daily(8, 20.0));
    assert!(due, "{signals:?}");
    assert_eq!(signals[0].state, SignalState::Met);
    assert!(signals[0].since.unwrap() <= at(24), "{signals:?}");
    // What nobody handed in is not told, and does not say no.
    assert_eq!(signals[1].state, SignalState::Unknown);
    // One calm day begins it anew.
    let (due, signals) = signal(
        &mut daily(8, 20.0)
            .map(|(hour, count)| (hour, if (72..96).contains(&hour) { 3.0 } else { count })),
    );
    assert!(!due, "{signals:?}");
    assert_eq!(signals[0].state, SignalState::NotYet);
    // Nobody looked for a day.
    let (due, signals) = signal(&mut daily(8, 20.0).filter(|(hour, _)| !(72..96).contains(hour)));
    assert!(!due, "{signals:?}");
}

#[test]
fn constantly_means_every_look() {
    let constant = |low: f64| {
        let looks = (0..=26).map(move |hour| (hour, if hour == 5 { low } else { 45.0 }));
        said(looks).next.unwrap().signals[0].state
    };
    assert_eq!(constant(44.0), SignalState::Met);
    assert_eq!(constant(39.0), SignalState::NotYet);
}
