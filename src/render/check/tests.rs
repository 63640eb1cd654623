use std::sync::Arc;

use super::*;
use crate::checks::judge::{Labels, Measured};
use crate::checks::reason::Reason;
use crate::checks::verdict::{Gathered, Memory, Missing, Part, Policy, verdict};
use crate::plan_file::rule::{Defaults, Rule};
use crate::plan_file::{Day, Mute};

fn labels(list: &[(&str, &str)]) -> Arc<Labels> {
    let all = list.iter();
    Arc::new(
        all.map(|(key, value)| ((*key).to_owned(), Arc::from(*value)))
            .collect(),
    )
}

fn rule(id: &str, metric: &str, warn: Option<&str>, critical: Option<&str>) -> Rule {
    Rule {
        warn: warn.map(|text| text.parse().unwrap()),
        critical: critical.map(|text| text.parse().unwrap()),
        origin: Origin {
            file: "plans/ru|le,s.yaml".to_owned(),
            line: 7,
            column: 5,
        },
        ..Rule::new(id, metric)
    }
}

/// One finding of every status, with names that every format would take for its own signs.
fn report() -> Report {
    let measured = |metric, node: &str, reading| Measured {
        metric,
        labels: labels(&[("target", "main"), ("node", node)]),
        reading,
        basis: "pro|be <b>&\"'\u{1b}[31m\nline".into(),
        resolution: None,
    };
    let mut up = rule("node.up", "node.up", None, None);
    up.expect = vec!["up".to_owned()];
    let mut slow = rule("slow", "wal.size", Some("> 1kB"), None);
    slow.lasting = Some(crate::plan_file::Millis(60_000));
    let rules = [
        up,
        rule("lag", "replica.visible_lag", Some("> 100ms"), Some("> 1s")),
        rule("used", "conn.effective_used", Some("> 70%"), None),
        slow,
        rule("runway", "partition.runway", Some("< 30d"), None),
        rule("mean", "query.mean_time", Some("> 50ms"), None),
    ];
    let value = Reading::Value;
    let gathered = Gathered {
        measured: vec![
            measured("node.up", "r9", Reading::State("down".into())),
            measured("replica.visible_lag", "r1", value(0.2)),
            measured("replica.visible_lag", "r=2'", value(0.01)),
            measured(
                "replica.visible_lag",
                "r3",
                Reading::Between {
                    low: 0.05,
                    high: 0.15,
                },
            ),
            measured("conn.effective_used", "p1", value(90.0)),
            measured("wal.size", "p1", value(2_000.0)),
            measured("partition.runway", "p1", value(f64::INFINITY)),
            measured("query.mean_time", "p1", value(0.001)),
        ],
        missing: vec![Missing {
            metrics: "query",
            labels: labels(&[("target", "other|x")]),
            reason: Reason::NoPrivilege,
            why: "no <right> | \u{7}".to_owned(),
        }],
        ..Gathered::default()
    };
    let mutes = [Mute {
        rule: "used".to_owned(),
        target: None,
        fingerprint: None,
        until: "2099-12-31".parse::<Day>().unwrap(),
        reason: "growing <soon>".to_owned(),
        origin: Origin::default(),
    }];
    let policy = Policy {
        rules: &rules,
        defaults: Defaults::default(),
        mutes: &mutes,
        attestations: &[],
        stages: None,
        part: Part::Whole,
    };
    let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let verdict = verdict(policy, &gathered, &mut Memory::default(), at);
    Report {
        targets: vec!["main".to_owned()],
        at,
        status: verdict.worst(),
        verdict,
        exit_code: 1,
        trail: Trail::default(),
    }
}

fn found(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn the_page_shows_figures_that_no_rule_looks_at_and_why_others_are_missing() {
    let report = report();
    let hostile = "<script>alert('1')</script>\"";
    let gathered = Gathered {
        measured: vec![Measured {
            metric: "pool.waiting",
            labels: labels(&[("target", "main"), ("pooler", hostile)]),
            reading: Reading::Value(3.0),
            basis: hostile.into(),
            resolution: None,
        }],
        missing: vec![Missing {
            metrics: "slot",
            labels: labels(&[("target", "main")]),
            reason: Reason::NoPrivilege,
            why: hostile.to_owned(),
        }],
        ..Gathered::default()
    };
    let page = dashboard(&report, &gathered, std::time::Duration::from_secs(30));
    assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains('\u{1b}'));
    assert!(page.contains("content=\"30\""), "{page}");
    assert!(
        page.contains("&lt;script&gt;alert('1')&lt;/script&gt;&quot;</th>"),
        "{page}"
    );
    assert!(
        page.contains("main: not measured, no_privilege: &lt;script"),
        "{page}"
    );
    // A figure that a rule looks at is shown once in its panel, with what the rule says.
    assert_eq!(found(&page, "class=\"figure critical\">down"), 1);
    assert!(page.contains("class=\"figure muted\">90 %"), "{page}");
    for tag in ["table", "tr", "section", "details", "svg", "div"] {
        assert_eq!(
            found(&page, &format!("<{tag}")),
            found(&page, &format!("</{tag}>")),
            "{tag}"
        );
    }
    // Nothing was measured of partitions but by a rule; of indexes nothing at all.
    assert!(page.contains("Nothing of the kind is there, or no rule asks for it."));
}

#[test]
fn charts_are_made_of_looks_that_are_remembered() {
    let rules = [rule("lag", "replica.visible_lag", Some("> 100ms"), None)];
    let policy = Policy {
        rules: &rules,
        defaults: Defaults::default(),
        mutes: &[],
        attestations: &[],
        stages: None,
        part: Part::Whole,
    };
    let mut memory = Memory::default();
    let mut report = report();
    for look in 0..3u8 {
        let gathered = Gathered {
            measured: vec![Measured {
                metric: "replica.visible_lag",
                labels: labels(&[("target", "main"), ("node", "r1")]),
                reading: Reading::Value(f64::from(look)),
                basis: "probe".into(),
                resolution: None,
            }],
            ..Gathered::default()
        };
        let at = DateTime::from_timestamp(1_800_000_000 + i64::from(look) * 30, 0).unwrap();
        memory = Memory::parse(&memory.text()).unwrap();
        report.verdict = verdict(policy, &gathered, &mut memory, at);
        report.trail = memory.trail().clone();
        let lines = found(&html(&report), "<polyline");
        assert_eq!(lines, usize::from(look > 0), "{look}");
    }
    assert!(html(&report).contains("0 ms to 2 s in 1 min"));
}

#[test]
fn every_form_gives_the_same_counts() {
    let report = report();
    let counts = report.verdict.counts;
    assert_eq!(
        (
            counts.critical,
            counts.unknown,
            counts.warning,
            counts.pending,
            counts.muted,
            counts.ok
        ),
        (1, 2, 1, 1, 1, 3)
    );
    let sums = "1 critical, 2 unknown, 1 warning, 1 pending, 1 muted, 3 ok";
    for text in [
        table(&report, false, 80),
        nagios(&report),
        github(&report),
        markdown(&report),
        html(&report),
    ] {
        assert!(text.contains(sums), "{text}");
    }
    let document: serde_json::Value = serde_json::from_str(&json(&report)).unwrap();
    for (status, number) in [
        ("critical", 1),
        ("unknown", 2),
        ("warning", 1),
        ("muted", 1),
        ("ok", 3),
    ] {
        assert_eq!(document["counts"][status], number, "{status}");
        let line = format!("dbops_check_findings{{status=\"{status}\"}} {number}\n");
        assert!(openmetrics(&report).contains(&line), "{line}");
    }
    // Statements that hold are counted alone.
    assert_eq!(document["findings"].as_array().unwrap().len(), 8);
    let junit = junit(&report, false);
    assert_eq!(found(&junit, "<testcase "), 8, "{junit}");
    assert_eq!(
        (found(&junit, "<failure "), found(&junit, "<error ")),
        (1, 2),
        "{junit}"
    );
    assert_eq!(found(&super::junit(&report, true), "<failure "), 2);
    assert_eq!(found(&html(&report), "<tr>"), 9);
}

#[test]
fn no_form_lets_names_and_texts_be_taken_for_its_own_signs() {
    let report = report();
    let nagios = nagios(&report);
    assert_eq!(
        nagios.lines().next().unwrap().matches('|').count(),
        1,
        "{nagios}"
    );
    assert!(
        nagios.lines().skip(1).all(|line| !line.contains('|')),
        "{nagios}"
    );
    assert!(nagios.len() <= 4_096);
    assert!(nagios.contains("'lag main: r_2_'=0.01s;0.1;1"), "{nagios}");
    let html = html(&report);
    assert!(
        !html.contains("<b>") && !html.contains("<right>") && !html.contains("<soon>"),
        "{html}"
    );
    for text in [
        table(&report, true, 80),
        nagios,
        html,
        markdown(&report),
        github(&report),
    ] {
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{7}'),
            "{text:?}"
        );
    }
    let github = github(&report);
    assert!(
        github.contains("::error file=plans/ru|le%2Cs.yaml,line=7,col=5,title=node.up critical::"),
        "{github}"
    );
    let metrics = openmetrics(&report);
    assert!(metrics.ends_with("# EOF\n"));
    assert!(metrics.contains("dbops_check_value{rule=\"runway\",metric=\"partition.runway\",node=\"p1\",target=\"main\"} +Inf"), "{metrics}");
    assert!(metrics.contains("reason=\"no_privilege\"} 1"), "{metrics}");
    assert!(metrics.contains("} NaN"), "{metrics}");
}

#[test]
fn the_table_fits_its_width_and_says_why() {
    let report = report();
    let text = table(&report, false, 80);
    for line in text
        .lines()
        .filter(|line| line.starts_with(['│', '┌', '└', '╞']))
    {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(text.contains("no_privilege: no <right>"), "{text}");
    assert!(text.contains("fix: grant pg_monitor"), "{text}");
    assert!(
        !text.contains("growing"),
        "what is muted is not explained without -v: {text}"
    );
    let whole = table(&report, true, 80);
    assert!(
        whole.contains("muted until 2099-12-31: growing <soon>"),
        "{whole}"
    );
    let lag: Vec<&Finding> = report
        .verdict
        .findings
        .iter()
        .filter(|one| one.rule == "lag")
        .collect();
    let explained = explained(&lag);
    for expected in [
        "limits: warn > 100ms, critical > 1s (plans/",
        "measured: 200 ms",
        "node: r1",
    ] {
        assert!(explained.contains(expected), "{explained}");
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "whether to write the schema anew is said by the environment"
)]
fn the_document_is_as_its_schema_says() {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<CheckReport<'_>>()
        .to_value();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dbops.check.schema.json");
    let text = format!("{schema:#}\n");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        text,
        "run again with UPDATE_GOLDEN=1"
    );
    let document: serde_json::Value = serde_json::from_str(&json(&report())).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&document)
        .map(|one| one.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(!validator.is_valid(&serde_json::json!({"format": "dbops.check/1"})));
}

mod counted {
    use proptest::prelude::*;

    use super::*;

    /// Any number of lags, of all sizes, known and not, some muted.
    fn reports() -> impl Strategy<Value = Report> {
        let reading = prop_oneof![
            (0.0..3.0_f64).prop_map(Reading::Value),
            Just(Reading::Between {
                low: 0.05,
                high: 0.15
            }),
            Just(Reading::unknown(Reason::NoSample, "nothing <was> | seen")),
        ];
        let one = (prop::bool::ANY, reading);
        (
            prop::collection::vec(one, 0..30),
            prop::bool::ANY,
            0..3_usize,
        )
            .prop_map(|(all, muted, down)| {
                let mut slow = rule("slow", "replica.visible_lag", Some("> 100ms"), None);
                slow.lasting = Some(crate::plan_file::Millis(60_000));
                slow.scope.insert("role".to_owned(), "slow".to_owned());
                let mut lag = rule("lag", "replica.visible_lag", Some("> 100ms"), Some("> 1s"));
                lag.scope.insert("role".to_owned(), "fast".to_owned());
                let rules = [slow, lag, rule("wal", "wal.size", Some("> 1kB"), None)];
                let measured =
                    all.into_iter()
                        .enumerate()
                        .map(|(at, (is_slow, reading))| Measured {
                            metric: "replica.visible_lag",
                            labels: labels(&[
                                ("target", "main"),
                                ("node", &format!("r{at}")),
                                ("role", if is_slow { "slow" } else { "fast" }),
                            ]),
                            reading,
                            basis: "probe".into(),
                            resolution: None,
                        });
                let missing = (0..down).map(|at| Missing {
                    metrics: "wal",
                    labels: labels(&[("target", "main"), ("node", &format!("d{at}"))]),
                    reason: Reason::NotConnected,
                    why: "because node.up".to_owned(),
                });
                let gathered = Gathered {
                    measured: measured.collect(),
                    missing: missing.collect(),
                    ..Gathered::default()
                };
                let mutes = [Mute {
                    rule: "lag".to_owned(),
                    target: Some("r1".to_owned()),
                    fingerprint: None,
                    until: "2099-12-31".parse::<Day>().unwrap(),
                    reason: "known".to_owned(),
                    origin: Origin::default(),
                }];
                let policy = Policy {
                    rules: &rules,
                    defaults: Defaults::default(),
                    mutes: if muted { &mutes } else { &[] },
                    attestations: &[],
                    stages: None,
                    part: Part::Whole,
                };
                let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
                let verdict = verdict(policy, &gathered, &mut Memory::default(), at);
                Report {
                    targets: vec!["main".to_owned()],
                    at,
                    status: verdict.worst(),
                    verdict,
                    exit_code: 0,
                    trail: Trail::default(),
                }
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn all_forms_of_any_verdict_give_the_same_counts(report in reports()) {
            let counts = report.verdict.counts;
            let of = |text: &str, word: &str| -> usize {
                // `2 critical` and `1 warning`, with its s.
                let found = text.split([',', '-', ';', '\n', '<', '>']).map(str::trim).find_map(|part| {
                    let (number, rest) = part.split_once(' ')?;
                    let rest = rest.split([' ', '|', '.', '\n']).next()?;
                    (rest.trim_end_matches('s') == word).then(|| number.parse().ok())?
                });
                found.unwrap_or(0)
            };
            let all = [
                ("critical", counts.critical),
                ("unknown", counts.unknown),
                ("warning", counts.warning),
                ("pending", counts.pending),
                ("skipped", counts.skipped),
                ("muted", counts.muted),
                ("ok", counts.ok),
            ];
            let table = table(&report, false, 80);
            let nagios = nagios(&report);
            let github = github(&report);
            let markdown = markdown(&report);
            let html = html(&report);
            let document: serde_json::Value = serde_json::from_str(&json(&report)).unwrap();
            let metrics = openmetrics(&report);
            for (word, number) in all {
                let last = table.lines().last().unwrap();
                prop_assert_eq!(of(last, word), number, "table {}: {}", word, last);
                let first = nagios.lines().next().unwrap();
                prop_assert_eq!(of(first, word), number, "nagios {}: {}", word, first);
                let last = github.lines().rfind(|line| line.contains(" ok")).unwrap();
                prop_assert_eq!(of(last, word), number, "github {}: {}", word, last);
                let line = markdown.lines().find(|line| line.contains(", measured ")).unwrap();
                prop_assert_eq!(of(line, word), number, "markdown {}: {}", word, line);
                let line = html.lines().find(|line| line.contains(", measured ")).unwrap();
                prop_assert_eq!(of(line, word), number, "html {}: {}", word, line);
                prop_assert_eq!(document["counts"][word].as_u64(), Some(number as u64), "json");
                let line = format!("dbops_check_findings{{status=\"{word}\"}} {number}\n");
                prop_assert!(metrics.contains(&line), "openmetrics {}", line);
            }
            // What is muted is neither a failure nor an error.
            let junit = super::super::junit(&report, true);
            let tests = report.verdict.findings.len();
            prop_assert_eq!(found(&junit, "<testcase "), tests);
            prop_assert_eq!(found(&junit, "<failure "), counts.critical + counts.warning, "{}", junit);
            prop_assert_eq!(found(&junit, "<error "), counts.unknown, "{}", junit);
        }
    }
}
