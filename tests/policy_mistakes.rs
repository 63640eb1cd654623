//! Fifty mistakes seeded into a policy that is right: each is refused, at its own line and column.
//!
//! `UPDATE_GOLDEN=1 cargo test --test policy_mistakes` writes what the code says now.

#![expect(
    clippy::disallowed_methods,
    reason = "a test reads UPDATE_GOLDEN itself"
)]

use std::fmt::Write as _;
use std::path::PathBuf;

use dbops::plan_file::{Source, parse};

const GOLDEN: &str = "tests/fixtures/policy_mistakes.txt";

const POLICY: &str = r#"version: 1
defaults: { every: 30s, on_unknown: unknown }
rules:
  - { id: lag, metric: replica.visible_lag, scope: { role: replica }, warn: "> 100ms", critical: "> 1s", clear: "< 50ms", for: 60s }
  - { id: used, metric: conn.effective_used, warn: "> 70%", critical: "> 80%", samples: { need: 3, of: 5 } }
  - { id: runway, metric: partition.runway, warn: "< 30d", critical: "< 3d" }
  - { id: slots, metric: slot.wal_status, expect: [reserved, extended], level: warn }
  - { id: cache, metric: cache.hit_ratio, critical: "< 50%", min_volume: 10000 blocks, window: 5m }
  - { id: rto, attest: restore_drill, max_age: 30d, value: "<= 30m" }
  - id: regions
    metric: replica.byte_lag
    warn: "> 1MiB"
    override:
      - { match: { use: analytics }, warn: "> 1GiB" }
      - { match: { use: admin }, warn: "> 2GiB" }
mutes:
  - { rule: slots, target: old, until: 2099-12-31, reason: moving }
attestations:
  - { name: restore_drill, date: 2026-11-01, value: 24m, by: Kim }
stages:
  levels:
    - { id: 1, conn.peak: "< 15" }
    - { id: 2, conn.peak: "15..50" }
  advance:
    to_2: { any: ["conn.peak > 15 for 7d"] }
"#;

/// What is replaced, and by what.
const MISTAKES: [(&str, &str); 50] = [
    ("every: 30s", "every: 30"),
    ("every: 30s", "every: half a minute"),
    ("on_unknown: unknown", "on_unknown: ignore"),
    ("on_unknown: unknown", "on_unkown: ok"),
    ("id: lag", "id: lag 1"),
    ("id: used", "id: lag"),
    ("id: used", "name: used"),
    ("replica.visible_lag", "replica.visible-lag"),
    ("replica.visible_lag", "replica.lag"),
    ("{ role: replica }", "{ rolle: replica }"),
    ("{ role: replica }", "[replica]"),
    ("\"> 100ms\"", "100ms"),
    ("\"> 100ms\"", "\"> 100\""),
    ("\"> 100ms\"", "\"> 1M\""),
    ("\"> 100ms\"", "\"> 100kB\""),
    ("\"> 100ms\"", "\"< 100ms\""),
    ("\"> 100ms\"", "\"> 2s\""),
    ("\"> 100ms\"", "\"=> 100ms\""),
    ("critical: \"> 1s\"", "critcal: \"> 1s\""),
    ("clear: \"< 50ms\"", "clear: \"> 50ms\""),
    ("clear: \"< 50ms\"", "clear: \"< 50%\""),
    ("for: 60s", "for: 60"),
    ("for: 60s", "for: 0s"),
    ("for: 60s", "for: 2 months"),
    ("\"> 70%\"", "\"> 70\""),
    ("\"> 70%\"", "\"> 90%\""),
    ("need: 3", "need: 6"),
    ("need: 3", "need: 0"),
    ("need: 3, of: 5", "need: 3"),
    ("\"< 30d\"", "\"> 30d\""),
    ("\"< 30d\"", "\"< 1d\""),
    ("expect: [reserved, extended]", "warn: \"> 1\""),
    ("level: warn", "level: bad"),
    ("10000 blocks", "10000"),
    ("window: 5m", "window: 90d"),
    ("metric: cache.hit_ratio", "metric: wal.size"),
    (
        "attest: restore_drill",
        "attest: restore_drill, metric: wal.size",
    ),
    ("max_age: 30d", "max_age: 1 month"),
    ("value: \"<= 30m\"", "value: 30m"),
    ("use: admin", "use: \"a*\""),
    ("warn: \"> 2GiB\"", "warn: \"> 2s\""),
    ("match: { use: admin }", "match: {}"),
    ("until: 2099-12-31", "until: next year"),
    ("reason: moving", "reason: \"\""),
    ("date: 2026-11-01", "date: 2026-02-30"),
    ("by: Kim", "bye: Kim"),
    ("id: 2, conn.peak", "id: 2, conn.peek"),
    ("15..50", "50..15"),
    ("to_2", "to_3"),
    ("> 15 for 7d", "> 15 for a week"),
];

fn source(text: String) -> Source {
    Source {
        path: PathBuf::from("policy.yaml"),
        text,
    }
}

#[test]
fn the_policy_without_a_mistake_is_right() {
    assert!(parse(&[source(POLICY.to_owned())]).is_ok());
}

#[test]
fn fifty_seeded_mistakes_are_refused_at_their_place() {
    let mut shown = String::new();
    for (from, to) in MISTAKES {
        let at = POLICY.find(from).unwrap_or_else(|| panic!("no `{from}`"));
        let line = POLICY[..at].lines().count();
        let problems = match parse(&[source(POLICY.replacen(from, to, 1))]) {
            Ok(_) => panic!("`{to}` for `{from}` is not refused"),
            Err(problems) => problems,
        };
        let mut places = problems.list.iter().flat_map(|problem| &problem.spots);
        assert!(
            places.any(|spot| spot.origin.line == line && spot.origin.column > 0),
            "`{to}` for `{from}` in line {line}: {problems}"
        );
        let first = problems.list.first().unwrap();
        let spot = first.spots.first().unwrap();
        let _ = writeln!(
            shown,
            "{from}  ->  {to}\n  {}: {}",
            spot.origin, first.message
        );
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &shown).unwrap();
    }
    let written = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(written == shown, "run again with UPDATE_GOLDEN=1:\n{shown}");
}
