use super::*;
use crate::plan_file::metric::metric;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn labels() -> Arc<Labels> {
    Arc::new(crate::checks::measure::labels(&[("target", "main")]))
}

fn raw(metric: &'static str, seen: Seen) -> Gathered {
    Gathered {
        raw: vec![Raw {
            metric,
            labels: labels(),
            seen,
        }],
        ..Gathered::default()
    }
}

fn blocks(hit: i64, read: i64, epoch: &str) -> Gathered {
    let seen = Seen::Counters {
        part: hit,
        whole: hit + read,
        epoch: epoch.to_owned(),
    };
    raw("cache.hit_ratio", seen)
}

/// The reading after looks, with the memory kept as text between them.
fn after(looks: &[(i64, Gathered)], asked: Asked) -> (Reading, String) {
    let name = match looks.first() {
        Some((_, first)) if first.raw.is_empty() => "conn.peak",
        Some((_, first)) => first.raw[0].metric,
        None => panic!("no looks"),
    };
    let metric = metric(name).unwrap();
    let window = asked.window.unwrap_or(metric.usual_window());
    let mut kept = Kept::default();
    let mut last = Vec::new();
    for (seconds, gathered) in looks {
        kept.take(gathered, at(*seconds), window);
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), kept);
        last = kept.figures(metric, gathered, asked, at(*seconds));
    }
    (last[0].reading.clone(), last[0].basis.to_string())
}

fn ratio(looks: &[(i64, Gathered)]) -> Result<f64, String> {
    let asked = Asked {
        window: Some(Millis(300_000)),
        min_volume: Some(Volume(1_000)),
    };
    match after(looks, asked).0 {
        Reading::Value(value) => Ok(value),
        Reading::Unknown { reason, why } => {
            assert_eq!(reason, Reason::NoSample);
            Err(why.into_owned())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hit_ratio_is_of_what_was_read_between_two_looks() {
    // Since the server's start nine of ten blocks were found; of late one of two.
    let first = (0, blocks(9_000_000, 1_000_000, "a"));
    assert!(
        ratio(std::slice::from_ref(&first))
            .unwrap_err()
            .contains("first look")
    );
    let second = (300, blocks(9_001_000, 1_001_000, "a"));
    assert_eq!(ratio(&[first.clone(), second]), Ok(50.0));
    let few = (300, blocks(9_000_400, 1_000_400, "a"));
    assert!(
        ratio(&[first.clone(), few])
            .unwrap_err()
            .contains("too few")
    );
    let none = (300, blocks(9_000_000, 1_000_000, "a"));
    assert!(
        ratio(&[first.clone(), none])
            .unwrap_err()
            .contains("too few")
    );
    let late = (900, blocks(9_900_000, 1_900_000, "a"));
    assert!(
        ratio(&[first, late])
            .unwrap_err()
            .contains("longer than the window")
    );
}

#[test]
fn counters_that_began_anew_say_nothing_of_what_was_before() {
    let first = (0, blocks(9_000_000, 1_000_000, "a"));
    for (hit, read, epoch) in [
        // Reset by name, by what the counters show, or another server with more.
        (9_900_000, 1_100_000, "b"),
        (5_000, 500, "a"),
        (9_900_000, 900_000, "a"),
    ] {
        let seen = ratio(&[first.clone(), (60, blocks(hit, read, epoch))]);
        assert!(
            seen.unwrap_err().contains("began anew"),
            "{hit} {read} {epoch}"
        );
    }
    // From then on it counts again.
    let looks = [
        first,
        (60, blocks(0, 0, "b")),
        (120, blocks(3_000, 1_000, "b")),
    ];
    assert_eq!(ratio(&looks), Ok(75.0));
}

#[test]
fn the_window_begins_one_window_ago_where_there_is_such_a_look() {
    let looks: Vec<(i64, Gathered)> = (0..=40)
        .map(|step| {
            // The first twenty looks find everything, the others nothing.
            let (hit, read) = (step.min(20) * 1_000, (step - 20).max(0) * 1_000);
            (step * 30, blocks(hit, read, "a"))
        })
        .collect();
    // At twenty minutes nothing was found for ten: the window of five sees nothing else.
    assert_eq!(ratio(&looks), Ok(0.0));
    assert_eq!(ratio(&looks[..=20]), Ok(100.0));
    // At twelve and a half minutes half of the window lies before the change.
    assert_eq!(ratio(&looks[..=25]), Ok(50.0));
}

#[test]
fn a_95th_percentile_takes_twenty_times_from_one_look_or_several() {
    let times = |all: &[f64]| raw("db.probe_p95", Seen::Times(all.to_vec()));
    let few: Vec<f64> = (1..=19).map(f64::from).collect();
    let (reading, _) = after(&[(0, times(&few))], Asked::default());
    assert!(matches!(
        reading,
        Reading::Unknown {
            reason: Reason::NoSample,
            ..
        }
    ));
    let (reading, basis) = after(&[(0, times(&few)), (30, times(&[20.0]))], Asked::default());
    // 19 of 20 do not pass the nineteenth.
    assert_eq!(reading, Reading::Value(19.0));
    assert!(basis.starts_with("20 round trips since "), "{basis}");
    // What is older than the window does not count.
    let (reading, _) = after(&[(0, times(&few)), (400, times(&[20.0]))], Asked::default());
    assert!(matches!(reading, Reading::Unknown { .. }));
}

#[test]
fn a_peak_is_the_highest_of_the_looks_in_memory() {
    let used = |count: f64| Gathered {
        measured: vec![Measured {
            metric: "conn.used",
            labels: labels(),
            reading: Reading::Value(count),
            basis: "client backends".into(),
            resolution: None,
        }],
        ..Gathered::default()
    };
    let asked = Asked {
        window: Some(Millis(3_600_000)),
        min_volume: None,
    };
    let looks = [(0, used(40.0)), (1_800, used(12.0)), (3_000, used(7.0))];
    let (reading, basis) = after(&looks, asked);
    assert_eq!(reading, Reading::Value(40.0));
    assert!(basis.starts_with("highest of 3 looks since "), "{basis}");
    let mut later = looks.to_vec();
    later.push((4_200, used(8.0)));
    assert_eq!(after(&later, asked).0, Reading::Value(12.0));
}
