//! Whole trees, without a server.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::lag::Basis;
use super::state::State;
use super::tree::{Node, Tree, tree};
use crate::checks::judge::{Reading, Severity};
use crate::checks::known::Known;
use crate::checks::reason::Reason;
use crate::sample::replication::lsn::Lsn;
use crate::sample::replication::model::{
    Conflicts, Cut, Declared, Facts, NodeRow, NodeSample, Position, Probe, Receiver, Sample,
    Sender, Silence, SilenceKind, Slot, Subscription,
};
use crate::sample::replication::rate::{Since, WalRate};

const END: u64 = 0x1_0001_0000;

fn facts(in_recovery: bool, at: u64) -> Facts {
    Facts {
        position: Position {
            clock: 0.0,
            in_recovery,
            flushed: (!in_recovery).then_some(Lsn(at)),
            received: in_recovery.then_some(Lsn(at)),
            replayed: in_recovery.then_some(Lsn(at)),
        },
        clock_offset: Some((0.0, 0.001)),
        node: NodeRow {
            version_num: 180_004,
            reads_all_stats: true,
            system_identifier: "7".to_owned(),
            timeline: (!in_recovery).then_some(1),
            paused: in_recovery.then_some(false),
            segment_bytes: 16 << 20,
            status_interval_s: 10,
            slot_keep_mb: -1,
            ..NodeRow::default()
        },
        senders: Vec::new(),
        receiver: in_recovery.then(|| Receiver {
            pid: Some(9),
            status: Some("streaming".to_owned()),
            timeline: Some(1),
            sender_end: Some(Lsn(at)),
            message_age_s: Some(1.0),
            ..Receiver::default()
        }),
        slots: Vec::new(),
        subscriptions: Vec::new(),
        conflicts: Conflicts::default(),
        holders: Vec::new(),
    }
}

fn sender(name: &str, replayed: u64) -> Sender {
    Sender {
        pid: 5,
        application_name: Some(name.to_owned()),
        state: Some("streaming".to_owned()),
        sent: Some(Lsn(END)),
        written: Some(Lsn(END)),
        flushed: Some(Lsn(END)),
        replayed: Some(Lsn(replayed)),
        sync_priority: Some(0),
        sync_state: Some("async".to_owned()),
        reply_age_s: Some(1.0),
        ..Sender::default()
    }
}

fn node(name: &str, facts: Result<Facts, Silence>) -> NodeSample {
    NodeSample {
        declared: Declared {
            name: name.to_owned(),
            replica: name != "primary",
            required: true,
            ..Declared::default()
        },
        facts,
    }
}

fn gone() -> Silence {
    Silence {
        kind: SilenceKind::NotConnected,
        message: "no answer".to_owned(),
    }
}

/// A primary that lists `menu`, and `menu` itself.
fn pair(replica: Result<Facts, Silence>, listed: Option<Sender>) -> Sample {
    let mut primary = facts(false, END);
    primary.senders.extend(listed);
    Sample {
        nodes: vec![node("primary", Ok(primary)), node("menu", replica)],
        cut: Some(Cut {
            before: Lsn(END),
            after: Lsn(END),
            seconds: 0.002,
        }),
        ..Sample::default()
    }
}

fn menu(tree: &Tree) -> &Node {
    let found = tree.nodes.iter().find(|node| node.name == "menu");
    found.unwrap()
}

fn codes(tree: &Tree) -> Vec<(Severity, &str)> {
    let all = tree.findings.iter();
    all.map(|finding| (finding.severity, finding.code))
        .collect()
}

#[test]
fn equal_positions_are_no_lag_only_while_the_replica_receives() {
    let fine = tree(&pair(Ok(facts(true, END)), Some(sender("menu", END))));
    let lag = *menu(&fine).lag.value().unwrap();
    assert_eq!((lag.high_s, lag.basis), (Some(0.0), Basis::LsnEqual));
    assert!(fine.findings.is_empty(), "{:?}", fine.findings);

    let mut cut_off = facts(true, END);
    cut_off.receiver = None;
    let cut_off = tree(&pair(Ok(cut_off), None));
    assert_eq!(menu(&cut_off).lag, Known::Unknown(Reason::NoSample));
    assert_eq!(codes(&cut_off), [(Severity::Critical, "not_streaming")]);
}

#[test]
fn the_age_of_the_last_commit_is_never_taken_for_a_lag() {
    let mut idle = facts(true, END);
    idle.node.commit_age_s = Some(86_400.0);
    let with_primary = tree(&pair(Ok(idle.clone()), Some(sender("menu", END))));
    assert_eq!(menu(&with_primary).lag.value().unwrap().high_s, Some(0.0));
    // Alone and behind by WAL that holds no commit: not more than that, and perhaps nothing.
    idle.position.received = Some(Lsn(END + 100));
    let alone = Sample {
        nodes: vec![node("menu", Ok(idle))],
        ..Sample::default()
    };
    let alone = tree(&alone);
    let lag = *menu(&alone).lag.value().unwrap();
    assert_eq!((lag.low_s, lag.basis), (0.0, Basis::CommitTime));
    let measured = super::measured("main", &alone);
    let reading = measured
        .iter()
        .find(|one| one.metric == "replica.visible_lag");
    let expected = Reading::Between {
        low: 0.0,
        high: 86_400.0,
    };
    assert_eq!(reading.unwrap().reading, expected);
}

#[test]
fn a_gap_over_the_border_of_the_halves_is_true() {
    let behind = tree(&pair(
        Ok(facts(true, 0xFFFF_0000)),
        Some(sender("menu", 0xFFFF_0000)),
    ));
    let gap = *menu(&behind).gaps.replay.value().unwrap();
    assert_eq!((gap.low, gap.high), (131_072, 131_072));
    // Behind, and the column is empty: that is not zero.
    assert_eq!(menu(&behind).lag, Known::Unknown(Reason::NoSample));
}

#[test]
fn a_replica_that_answers_and_whose_receiver_stands_still_is_frozen() {
    let mut old = sender("menu", END - 500);
    old.reply_age_s = Some(22.0);
    let mut behind = facts(true, END - 500);
    let frozen = tree(&pair(Ok(behind.clone()), Some(old.clone())));
    assert_eq!(menu(&frozen).state, Known::Value(State::Frozen));
    assert_eq!(codes(&frozen), [(Severity::Warning, "frozen")]);

    // It may report every minute, or never.
    for interval_s in [60, 0] {
        behind.node.status_interval_s = interval_s;
        let fine = tree(&pair(Ok(behind.clone()), Some(old.clone())));
        assert_eq!(menu(&fine).state, Known::Value(State::Streaming));
    }

    // Nothing was sent that it could have confirmed.
    let mut idle = sender("menu", END);
    idle.reply_age_s = Some(22.0);
    let fine = tree(&pair(Ok(facts(true, END)), Some(idle)));
    assert_eq!(menu(&fine).state, Known::Value(State::Streaming));
    assert!(fine.findings.is_empty(), "{:?}", fine.findings);
}

/// A probe that receivers confirmed, or did not, by the pid of their sender.
fn probe(confirmed: &[(i32, bool)]) -> Probe {
    Probe {
        lsn: Lsn(END),
        replayed: BTreeMap::new(),
        confirmed: confirmed.iter().copied().collect(),
    }
}

#[test]
fn a_replica_that_stopped_reporting_is_told_and_its_old_figures_do_not_count() {
    let mut old = sender("menu", END - 500);
    old.replay_lag_s = Some(0.0004);
    old.reply_age_s = Some(30.0);
    let mut sample = pair(Err(gone()), Some(old));
    // Its clock may be behind by as much: that is a doubt, not a state.
    let silent = tree(&sample);
    assert_eq!(menu(&silent).state, Known::Unknown(Reason::StaleSample));
    assert!(menu(&silent).lag.value().is_none());
    assert_eq!(
        codes(&silent),
        [
            (Severity::Critical, "not_connected"),
            (Severity::Warning, "stale_sample")
        ]
    );
    for (confirmed, state) in [(false, State::Frozen), (true, State::Streaming)] {
        sample.probe = Some(probe(&[(5, confirmed)]));
        assert_eq!(menu(&tree(&sample)).state, Known::Value(state));
    }
}

#[test]
fn a_column_that_comes_from_the_future_is_no_lag() {
    let mut ahead = sender("menu", END - 500);
    ahead.replay_lag_s = Some(0.0004);
    ahead.reply_age_s = Some(-20.0);
    let ahead = tree(&pair(Err(gone()), Some(ahead)));
    assert_eq!(menu(&ahead).lag, Known::Unknown(Reason::ClockSkew));
}

#[test]
fn what_only_stores_wal_is_not_frozen_because_it_flushes_late() {
    let stores = Sender {
        pid: 7,
        replayed: None,
        flushed: Some(Lsn(END - 100)),
        ..sender("barman_receive_wal", 0)
    };
    let mut sample = pair(Ok(facts(true, END)), Some(sender("menu", END)));
    if let Ok(facts) = &mut sample.nodes[0].facts {
        facts.senders.push(stores);
    }
    sample.probe = Some(probe(&[(5, true), (7, false)]));
    let stored = tree(&sample);
    assert_eq!(codes(&stored), []);
    // A standby that nobody declared replays, and confirms at once what it is sent.
    if let Ok(facts) = &mut sample.nodes[0].facts {
        facts.senders[1].replayed = Some(Lsn(END - 100));
    }
    assert_eq!(codes(&tree(&sample)), [(Severity::Critical, "frozen")]);
}

#[test]
fn without_a_primary_no_lag_and_no_gap_follows_from_what_replicas_have_heard() {
    let mut behind = facts(true, END - 500);
    behind.position.received = Some(Lsn(END - 500));
    if let Some(receiver) = &mut behind.receiver {
        receiver.sender_end = Some(Lsn(END - 500));
        receiver.status = Some("streaming".to_owned());
    }
    let mut ahead = node("olap", Ok(facts(true, END)));
    ahead.declared.upstream = Some("menu".to_owned());
    let mut sample = Sample {
        nodes: vec![
            node("primary", Err(gone())),
            node("menu", Ok(behind)),
            ahead,
        ],
        ..Sample::default()
    };
    let alone = tree(&sample);
    // The furthest end counts, not that of whoever is named first.
    assert_eq!(alone.compared_with.as_deref(), Some("olap"));
    assert_eq!(menu(&alone).gaps.replay.value().unwrap().low, 500);
    let bases: Vec<Option<Basis>> = (alone.nodes.iter())
        .map(|node| node.lag.value().map(|lag| lag.basis))
        .collect();
    assert!(!bases.contains(&Some(Basis::LsnEqual)), "{bases:?}");
    let measured = super::measured("main", &alone);
    let gaps = measured
        .iter()
        .filter(|one| one.metric == "replica.byte_lag");
    for gap in gaps {
        let expected = Reading::unknown(Reason::NotConnected, Reason::NotConnected.fix());
        assert_eq!(gap.reading, expected);
    }
    // Nothing is heard any more: how far it is behind is not known, and surely not 0.
    if let Ok(facts) = &mut sample.nodes[2].facts {
        facts.receiver = None;
    }
    let cut_off = tree(&sample);
    let text = (cut_off.findings.iter()).find(|one| one.code == "not_streaming");
    let text = &text.unwrap().text;
    assert!(text.contains("is not known"), "{text}");
}

#[test]
fn a_replica_that_only_dbops_cannot_reach_is_not_called_cut_off() {
    // The usual name of a receiver is not that of its node.
    let mut sample = pair(Err(gone()), Some(sender("walreceiver", END)));
    let unnamed = tree(&sample);
    assert_eq!(menu(&unnamed).state, Known::Unknown(Reason::NotConnected));
    assert_eq!(codes(&unnamed), [(Severity::Critical, "not_connected")]);
    sample.nodes[1].declared.app_name = Some("menu".to_owned());
    let named = tree(&sample);
    assert_eq!(menu(&named).state, Known::Value(State::NotStreaming));
    // Nobody is left whom it could be.
    let none = tree(&pair(Err(gone()), None));
    assert_eq!(menu(&none).state, Known::Value(State::NotStreaming));
}

#[test]
fn of_two_rows_that_fit_alike_neither_is_taken_until_one_is_left() {
    let mut sample = pair(Ok(facts(true, END)), None);
    let lagging = Sender {
        pid: 6,
        replay_lag_s: Some(9.0),
        ..sender("walreceiver", END - 9)
    };
    if let Ok(facts) = &mut sample.nodes[1].facts {
        facts.position.replayed = Some(Lsn(END - 9));
        if let Some(receiver) = &mut facts.receiver {
            receiver.application_name = Some("walreceiver".to_owned());
        }
    }
    if let Ok(facts) = &mut sample.nodes[0].facts {
        facts.senders = vec![sender("walreceiver", END), lagging];
    }
    let open = tree(&sample);
    assert_eq!(menu(&open).sync.value(), None);
    assert_eq!(menu(&open).lag, Known::Unknown(Reason::NoSample));
    // Another one is known by its slot, which leaves one.
    let mut other = facts(true, END);
    if let Some(receiver) = &mut other.receiver {
        receiver.slot_name = Some("olap".to_owned());
        receiver.application_name = Some("walreceiver".to_owned());
    }
    sample.nodes.push(node("olap", Ok(other)));
    if let Ok(facts) = &mut sample.nodes[0].facts {
        facts.senders[0].slot_name = Some("olap".to_owned());
    }
    let told = tree(&sample);
    assert_eq!(menu(&told).lag.value().unwrap().low_s, 9.0);
}

#[test]
fn timelines_are_told_against_one_primary_and_rewound_only_forward() {
    let on = |timeline: i32| {
        let mut facts = facts(true, END);
        if let Some(receiver) = &mut facts.receiver {
            receiver.timeline = Some(timeline);
        }
        facts
    };
    for (own, newest, rewinds) in [(1, 2, true), (3, 2, false)] {
        let mut sample = pair(Ok(on(own)), Some(sender("menu", END)));
        if let Ok(facts) = &mut sample.nodes[0].facts {
            facts.node.timeline = Some(newest);
        }
        let tree = tree(&sample);
        assert_eq!(codes(&tree), [(Severity::Critical, "timeline_differs")]);
        let fix = &tree.findings[0].fix;
        assert_eq!(fix.contains("pg_rewind"), rewinds, "{fix}");
    }
    // Which of two writers is right is for people to say.
    let mut sample = pair(Ok(on(2)), Some(sender("menu", END)));
    let mut other = facts(false, END);
    other.node.timeline = Some(2);
    sample.nodes.push(node("other", Ok(other)));
    assert_eq!(codes(&tree(&sample)), [(Severity::Critical, "split_brain")]);
    // Another cluster has a history of its own.
    let mut sample = pair(Ok(on(2)), Some(sender("menu", END)));
    if let Ok(facts) = &mut sample.nodes[1].facts {
        facts.node.system_identifier = "8".to_owned();
    }
    let other = tree(&sample);
    assert_eq!(codes(&other), [(Severity::Critical, "different_clusters")]);
    assert_eq!(menu(&other).lag, Known::Unknown(Reason::NotConnected));
    assert_eq!(
        menu(&other).gaps.replay,
        Known::Unknown(Reason::NotConnected)
    );
}

#[test]
fn what_does_not_exist_is_not_asked_to_be_measured_again() {
    let mut sample = pair(Ok(facts(true, END)), Some(sender("menu", END)));
    if let Ok(facts) = &mut sample.nodes[0].facts {
        facts.slots.push(Slot {
            restart: Some(Lsn(END)),
            wal_status: Some("reserved".to_owned()),
            active: true,
            ..Slot::default()
        });
    }
    let tree = tree(&sample);
    let top = &tree.nodes[0];
    assert_eq!(top.lag, Known::Unknown(Reason::NotApplicable));
    assert_eq!(top.pause, Known::Unknown(Reason::NotApplicable));
    let slot = &top.slots.value().unwrap()[0];
    assert_eq!(slot.time_to_loss_s, Known::Unknown(Reason::NoLimit));
}

#[test]
fn time_to_loss_says_by_which_rate_and_has_no_end_where_nothing_is_written() {
    let told = |bytes: u64, since: Since| {
        let mut sample = pair(Ok(facts(true, END)), Some(sender("menu", END)));
        sample.wal_rate = Some(WalRate {
            bytes,
            seconds: 200.0,
            since,
        });
        if let Ok(facts) = &mut sample.nodes[0].facts {
            facts.node.slot_keep_mb = 64;
            facts.slots.push(Slot {
                restart: Some(Lsn(END)),
                wal_status: Some("reserved".to_owned()),
                safe_bytes: Some(60_000_000),
                ..Slot::default()
            });
        }
        let all = super::measured("main", &tree(&sample)).into_iter();
        let mut found = all.filter(|one| one.metric == "slot.time_to_loss");
        let found = found.next().unwrap();
        (found.reading, found.basis.to_string())
    };
    assert_eq!(
        told(20_000_000, Since::Checkpoint),
        (
            Reading::Value(600.0),
            "100 kB/s of WAL in 200 s since the last checkpoint began".to_owned()
        )
    );
    let (reading, basis) = told(0, Since::Start);
    assert_eq!(reading, Reading::Value(f64::INFINITY));
    assert!(basis.ends_with("since the server was started"), "{basis}");
}

#[test]
fn paused_replay_is_critical_once_something_waits() {
    for (at, severity) in [(END, Severity::Warning), (END - 1, Severity::Critical)] {
        let mut paused = facts(true, at);
        paused.node.paused = Some(true);
        let tree = tree(&pair(Ok(paused), Some(sender("menu", at))));
        assert_eq!(codes(&tree), [(severity, "replay_paused")]);
    }
}

#[test]
fn without_the_right_nothing_is_fine_and_nothing_is_broken() {
    let mut sample = pair(
        Err(gone()),
        Some(Sender {
            pid: 5,
            application_name: Some("menu".to_owned()),
            ..Sender::default()
        }),
    );
    if let Ok(facts) = &mut sample.nodes[0].facts {
        facts.node.reads_all_stats = false;
        facts.node.role = "app".to_owned();
        facts.node.synchronous_names = "menu".to_owned();
    }
    let tree = tree(&sample);
    assert_eq!(menu(&tree).state, Known::Unknown(Reason::NoPrivilege));
    assert_eq!(menu(&tree).lag, Known::Unknown(Reason::NoPrivilege));
    assert_eq!(
        codes(&tree),
        [
            (Severity::Critical, "not_connected"),
            (Severity::Warning, "no_privilege")
        ]
    );
    assert_eq!(tree.findings[1].fix, "grant pg_monitor to app;");
}

#[test]
fn two_writers_of_one_cluster_come_first() {
    let mut promoted = facts(false, END + 5);
    promoted.node.timeline = Some(2);
    let tree = tree(&pair(Ok(promoted), None));
    assert_eq!(codes(&tree)[0], (Severity::Critical, "split_brain"));
    assert_eq!(menu(&tree).role, "primary");
}

#[test]
fn a_synchronous_name_that_nobody_has_is_critical() {
    let mut sample = pair(Ok(facts(true, END)), Some(sender("menu", END)));
    if let Ok(facts) = &mut sample.nodes[0].facts {
        facts.node.synchronous_names = "FIRST 1 (ghost)".to_owned();
        facts.node.sync_waiting = 2;
    }
    let tree = tree(&sample);
    assert_eq!(codes(&tree), [(Severity::Critical, "sync_unsatisfied")]);
    assert!(tree.findings[0].text.contains("2 commits wait"));
}

#[test]
fn a_lost_slot_is_critical_and_shows_no_bytes() {
    let slot = |status: &str, safe: Option<i64>| Slot {
        name: "s".to_owned(),
        kind: "physical".to_owned(),
        active: true,
        restart: Some(Lsn(END - 7)),
        wal_status: Some(status.to_owned()),
        safe_bytes: safe,
        ..Slot::default()
    };
    for (slot, expected) in [
        (slot("lost", None), Some((Severity::Critical, "slot_lost"))),
        (
            slot("unreserved", Some(0)),
            Some((Severity::Critical, "slot_unreserved")),
        ),
        (slot("reserved", Some(32 << 20)), None),
        (
            slot("reserved", Some((32 << 20) - 1)),
            Some((Severity::Warning, "slot_low")),
        ),
        (slot("reserved", None), None),
    ] {
        let lost = slot.wal_status.as_deref() == Some("lost");
        let mut sample = pair(Ok(facts(true, END)), Some(sender("menu", END)));
        if let Ok(facts) = &mut sample.nodes[0].facts {
            facts.node.slot_keep_mb = 64;
            facts.slots.push(slot);
        }
        let tree = tree(&sample);
        assert_eq!(codes(&tree).first().copied(), expected);
        let top = tree
            .nodes
            .iter()
            .find(|node| node.role == "primary")
            .unwrap();
        let kept = top.slots.value().unwrap()[0].retained_bytes;
        assert_eq!(kept.value().copied(), (!lost).then_some(7));
    }
}

#[test]
fn a_subscription_that_nobody_applies_is_critical_however_small_the_gap() {
    for (enabled, errors, expected) in [
        (true, Some(4), Some("apply_failing")),
        (true, None, Some("apply_failing")),
        (false, Some(0), Some("subscription_disabled")),
    ] {
        let mut sample = pair(Ok(facts(true, END)), Some(sender("menu", END)));
        if let Ok(facts) = &mut sample.nodes[0].facts {
            facts.subscriptions.push(Subscription {
                name: "sub".to_owned(),
                enabled,
                apply_errors: errors,
                ..Subscription::default()
            });
        }
        let tree = tree(&sample);
        assert_eq!(codes(&tree).first().map(|(_, code)| *code), expected);
    }
}

#[test]
fn what_a_version_does_not_have_is_not_advised() {
    for (version_num, skips) in [(140_012, false), (150_001, true)] {
        let mut sample = pair(Ok(facts(true, END)), Some(sender("menu", END)));
        if let Ok(facts) = &mut sample.nodes[0].facts {
            facts.node.version_num = version_num;
            facts.subscriptions.push(Subscription {
                enabled: true,
                ..Subscription::default()
            });
        }
        let tree = tree(&sample);
        let fix = &tree.findings[0].fix;
        assert_eq!(fix.contains("alter subscription"), skips, "{fix}");
    }
}

#[test]
fn a_cascade_is_compared_with_the_primary_and_stands_below_its_upstream() {
    let mut sample = pair(Ok(facts(true, END)), Some(sender("menu", END)));
    if let Ok(facts) = &mut sample.nodes[1].facts {
        facts.senders.push(sender("olap", END - 10));
    }
    sample.nodes.push(node("olap", Ok(facts(true, END - 10))));
    let tree = tree(&sample);
    let olap = tree.nodes.last().unwrap();
    assert_eq!(olap.path, ["primary", "menu", "olap"]);
    assert_eq!(olap.gaps.replay.value().unwrap().low, 10);
}

#[test]
fn reports_in_a_cascade_are_as_old_as_the_clocks_of_both_ends_say() {
    let ages = |middle: f64, end: f64, by_middle: f64| {
        let mut sample = pair(Ok(facts(true, END)), Some(sender("menu", END)));
        if let Ok(facts) = &mut sample.nodes[1].facts {
            facts.clock_offset = Some((middle, 0.001));
            facts.senders.push(Sender {
                reply_age_s: Some(by_middle),
                ..sender("olap", END - 10)
            });
        }
        let mut olap = facts(true, END - 10);
        olap.clock_offset = Some((end, 0.001));
        sample.nodes.push(node("olap", Ok(olap)));
        let olap = tree(&sample).nodes.pop().unwrap();
        (olap.reply_age_s.value().copied().unwrap(), olap.state)
    };
    // The clock in the middle is a minute ahead, by which a fresh report is a minute old.
    let streams = Known::Value(State::Streaming);
    assert_eq!(ages(60.0, 0.0, 61.0), (1.0, streams));
    // Both are: nothing is to be corrected.
    assert_eq!(ages(60.0, 60.0, 1.0), (1.0, streams));
    // One that is behind makes an old report look fresh.
    let (age, state) = ages(-300.0, 0.0, 1.0);
    assert!(
        age > 300.0 && state == Known::Value(State::Frozen),
        "{age} {state:?}"
    );
}

#[test]
fn base_backups_and_receivers_of_decoded_changes_are_no_replicas() {
    let mut sample = pair(Ok(facts(true, END)), Some(sender("menu", END)));
    if let Ok(facts) = &mut sample.nodes[0].facts {
        let mut backup = sender("pg_basebackup", 0);
        backup.state = Some("backup".to_owned());
        let mut logical = sender("sub", END);
        logical.slot_type = Some("logical".to_owned());
        facts.senders.extend([backup, logical]);
    }
    let tree = tree(&sample);
    let roles: Vec<&str> = tree.nodes.iter().map(|node| node.role).collect();
    assert_eq!(roles, ["primary", "replica", "backup", "logical"]);
    let measured = super::measured("main", &tree);
    let lags = measured
        .iter()
        .filter(|one| one.metric == "replica.visible_lag");
    assert_eq!(lags.count(), 1);
}

proptest! {
    #[test]
    fn every_replica_has_a_lag_or_a_reason_and_none_that_is_behind_shows_zero_by_position(
        at in 0..=END,
        listed: bool,
        receives: bool,
        connected: bool,
        column in proptest::option::of(0.0..10.0_f64),
        reply in 0.0..100.0_f64,
    ) {
        let mut own = facts(true, at);
        if !receives {
            own.receiver = None;
        }
        let row = listed.then(|| Sender {
            replay_lag_s: column,
            reply_age_s: Some(reply),
            ..sender("menu", at)
        });
        let tree = tree(&pair(if connected { Ok(own) } else { Err(gone()) }, row));
        if let Known::Value(lag) = menu(&tree).lag {
            let zero = lag.high_s == Some(0.0);
            prop_assert!(!zero || at == END || column == Some(0.0));
            prop_assert!(lag.low_s >= 0.0 && lag.high_s.is_none_or(|high| high >= lag.low_s));
            prop_assert!(reply <= 21.0 || lag.basis != Basis::Column);
            prop_assert!(receives || !connected);
        }
        if let Known::Value(gap) = menu(&tree).gaps.replay {
            prop_assert_eq!(gap.low, END - at);
        }
        // No state is without a row of findings unless it receives.
        let fine = menu(&tree).state.value().is_some_and(|state| state.receives());
        prop_assert!(fine || !tree.findings.is_empty());
    }
}
