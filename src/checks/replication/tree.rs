//! The tree: which node receives from which, and what is known of each.

use std::collections::BTreeSet;

use super::findings::findings;
use super::lag::{self, gap, visible};
use super::matching::{Listed, is_primary, matched, upstream_name};
pub use super::node::{Gaps, Node, Positions, SubscriptionView, Tree};
use super::slots::slots;
use super::state::{self, UpstreamAsked, state};
use super::sync_names;
use crate::checks::known::Known;
use crate::checks::reason::Reason;
use crate::sample::replication::lsn::Lsn;
use crate::sample::replication::model::{
    Cut, Facts, Followed, NodeSample, Receiver, Sample, Sender,
};

/// Builds the tree of a sample.
pub fn tree(sample: &Sample) -> Tree {
    let listed: Vec<Listed<'_>> = sample
        .nodes
        .iter()
        .enumerate()
        .filter_map(|(upstream, node)| Some((upstream, node.facts.as_ref().ok()?)))
        .flat_map(|(upstream, facts)| {
            let all = facts.senders.iter();
            all.map(move |sender| Listed { upstream, sender })
        })
        .collect();
    let matched = matched(sample, &listed);
    let taken: BTreeSet<usize> = matched.iter().copied().flatten().collect();
    let builder = Builder {
        sample,
        top: sample
            .nodes
            .iter()
            .position(|node| is_primary(node) == Some(true)),
        listed: &listed,
        matched: &matched,
        reference: Reference::of(sample),
    };
    let mut nodes: Vec<Node> = (0..sample.nodes.len())
        .map(|at| builder.declared(at))
        .collect();
    let mut names: BTreeSet<String> = nodes.iter().map(|node| node.name.clone()).collect();
    for (place, one) in listed.iter().enumerate() {
        if !taken.contains(&place) {
            nodes.push(builder.discovered(*one, &mut names));
        }
    }
    // A path sorts behind that of its upstream.
    nodes.sort_by(|a, b| a.path.cmp(&b.path));
    let findings = findings(sample, &nodes);
    Tree {
        findings,
        cut_bytes: sample.cut.map(|cut| cut.before.behind(cut.after)),
        cut_s: sample.cut.map(|cut| cut.seconds),
        compared_with: (builder.reference.stand_in)
            .and_then(|at| upstream_name(sample, at))
            .map(str::to_owned),
        probed: sample.probe.is_some(),
        passive_because: sample.passive_because.clone(),
        nodes,
    }
}

/// What positions are compared with: the primary's, or where none answered, the furthest end of the WAL that a node
/// has heard of. The primary's is not behind that and may be far ahead, so no time follows from it.
struct Reference {
    cut: Option<Cut>,
    /// The node that stands in for the primary.
    stand_in: Option<usize>,
}

impl Reference {
    fn of(sample: &Sample) -> Self {
        if sample.cut.is_some() {
            return Self {
                cut: sample.cut,
                stand_in: None,
            };
        }
        let heard = |node: &NodeSample| {
            let facts = node.facts.as_ref().ok()?;
            let receiver = facts.receiver.as_ref();
            let end = receiver.and_then(|receiver| receiver.sender_end);
            end.max(facts.position.end())
        };
        let found = (sample.nodes.iter().enumerate())
            .filter_map(|(at, node)| heard(node).map(|end| (at, end)))
            .max_by_key(|(at, end)| (*end, usize::MAX - at));
        Self {
            cut: found.map(|(_, end)| Cut {
                before: end,
                after: end,
                seconds: 0.0,
            }),
            stand_in: found.map(|(at, _)| at),
        }
    }
}

impl Reference {
    /// The primary's own position.
    fn of_primary(&self) -> Option<Cut> {
        self.cut.filter(|_| self.stand_in.is_none())
    }
}

struct Builder<'a> {
    sample: &'a Sample,
    reference: Reference,
    top: Option<usize>,
    listed: &'a [Listed<'a>],
    matched: &'a [Option<usize>],
}

impl<'a> Builder<'a> {
    fn listed_at(&self, at: usize) -> Option<Listed<'a>> {
        let place = self.matched.get(at).copied().flatten()?;
        self.listed.get(place).copied()
    }

    /// The upstream of a node: where it is listed, else what is declared, else the primary.
    fn upstream(&self, at: usize) -> Option<usize> {
        let node = self.sample.nodes.get(at)?;
        if is_primary(node) == Some(true) || !self.is_replica(node) {
            return None;
        }
        let found = self.listed_at(at).map(|one| one.upstream).or_else(|| {
            match node.declared.upstream.as_deref() {
                Some(name) => self
                    .sample
                    .nodes
                    .iter()
                    .position(|other| other.declared.name == name),
                None => self
                    .top
                    .or_else(|| self.sample.nodes.iter().position(|o| !o.declared.replica)),
            }
        });
        found.filter(|found| *found != at)
    }

    /// How far the clock of a node is ahead of that of its upstream, in seconds: who receives its reports tells their age
    /// by a clock of its own.
    fn ahead_of_upstream(&self, at: usize) -> Option<f64> {
        let offset = |at: usize| {
            let facts = self.sample.nodes.get(at)?.facts.as_ref().ok()?;
            facts.clock_offset.map(|(offset, _)| offset)
        };
        Some(offset(at)? - offset(self.upstream(at)?)?)
    }

    fn is_replica(&self, node: &NodeSample) -> bool {
        is_primary(node).map_or(node.declared.replica, |primary| !primary)
    }

    fn path(&self, at: usize) -> Vec<String> {
        let mut path = Vec::new();
        let mut seen = BTreeSet::new();
        let mut next = Some(at);
        // A circle of declared upstreams ends where it began.
        while let Some(place) = next.filter(|place| seen.insert(*place)) {
            if let Some(name) = upstream_name(self.sample, place) {
                path.push(name.to_owned());
            }
            next = self.upstream(place);
        }
        path.reverse();
        path
    }

    fn asked(&self, at: usize) -> Option<UpstreamAsked> {
        let upstream = self.sample.nodes.get(self.upstream(at)?)?;
        let facts = upstream.facts.as_ref().ok()?;
        Some(if !facts.node.reads_all_stats {
            UpstreamAsked::PidsOnly
        } else if self.may_be_unnamed(at) {
            UpstreamAsked::OthersToo
        } else {
            UpstreamAsked::Everything
        })
    }

    /// Whether a receiver that fits no declared name may be this one: the usual name of a receiver is not its node's.
    fn may_be_unnamed(&self, at: usize) -> bool {
        let named =
            (self.sample.nodes.get(at)).is_some_and(|node| node.declared.app_name.is_some());
        let is_open = |(place, one): (usize, &Listed<'_>)| {
            !one.sender.is_logical()
                && !one.sender.is_backup()
                && !self.matched.contains(&Some(place))
        };
        !named && self.listed.iter().enumerate().any(is_open)
    }

    /// Whether the receiver behind a row confirmed the probe; only the primary's rows were watched.
    fn confirmed(&self, one: Listed<'_>) -> Option<bool> {
        if Some(one.upstream) != self.top {
            return None;
        }
        let probe = self.sample.probe.as_ref()?;
        probe.confirmed.get(&one.sender.pid).copied()
    }

    fn declared(&self, at: usize) -> Node {
        let Some(node) = self.sample.nodes.get(at) else {
            return Node::blank();
        };
        let facts = node.facts.as_ref();
        let listed = self.listed_at(at);
        let sender = listed.map(|one| one.sender);
        let name = &node.declared.name;
        let followed = (self.sample.probe.as_ref()).and_then(|probe| probe.replayed.get(name));
        let interval_s = facts.map_or(10.0, |facts| facts.node.status_interval_s as f64);
        let offset_s = self.ahead_of_upstream(at);
        let state = if !self.is_replica(node) && facts.is_err() {
            Known::Unknown(facts.err().map_or(Reason::NotConnected, state::reason))
        } else {
            state(state::Inputs {
                facts,
                sender,
                upstream_asked: self.asked(at),
                confirmed: listed.and_then(|one| self.confirmed(one)),
                replayed_probe: matches!(followed, Some(Followed::Seen { .. })),
                interval_s,
                offset_s,
            })
        };
        let facts = facts.ok();
        let mut out = self.by_upstream(sender, facts, offset_s);
        out.name.clone_from(name);
        out.path = self.path(at);
        out.declared = true;
        out.required = node.declared.required;
        out.role = if self.is_replica(node) {
            "replica"
        } else {
            "primary"
        };
        out.silence = (node.facts.as_ref().err()).cloned();
        out.labels.clone_from(&node.declared.labels);
        let reason = (node.facts.as_ref().err()).map_or(Reason::NoSample, state::reason);
        self.by_itself(&mut out, facts, reason);
        out.state = state;
        if out.role == "primary" {
            self.as_primary(&mut out, facts, reason);
        } else {
            out.lag = visible(lag::Inputs {
                facts,
                sender,
                // What replicas heard of is no measure of how late they are.
                cut: self.reference.of_primary(),
                followed,
                state: &out.state,
                interval_s,
                offset_s,
            });
            let set = facts.map(|facts| facts.node.apply_delay_ms);
            let delay_ms = set.or(node.declared.apply_delay_ms);
            out.apply_delay_s =
                Known::from_option(delay_ms, reason).map(|delay_ms| delay_ms as f64 / 1_000.0);
            let delay_s = out.apply_delay_s.value().copied().unwrap_or_default();
            out.lag_beyond_delay = out.lag.map(|lag| lag.beyond(delay_s));
            out.not_waited_for = followed.and_then(not_waited_for);
            if self.is_foreign(facts) {
                // Positions of another cluster say nothing of this one: what is declared is not what answers.
                let gaps = &mut out.gaps;
                for gap in [
                    &mut gaps.sent,
                    &mut gaps.write,
                    &mut gaps.flush,
                    &mut gaps.replay,
                ] {
                    *gap = Known::Unknown(Reason::NotConnected);
                }
                out.lag = Known::Unknown(Reason::NotConnected);
                out.lag_beyond_delay = out.lag;
            }
        }
        out
    }

    /// Whether a node is of another cluster than the primary.
    fn is_foreign(&self, facts: Option<&Facts>) -> bool {
        let top = self.top.and_then(|at| self.sample.nodes.get(at));
        let top = top.and_then(|top| top.facts.as_ref().ok());
        top.zip(facts)
            .is_some_and(|(top, own)| top.node.system_identifier != own.node.system_identifier)
    }

    fn as_primary(&self, out: &mut Node, facts: Option<&Facts>, reason: Reason) {
        out.lag = Known::Unknown(Reason::NotApplicable);
        out.lag_beyond_delay = out.lag;
        let end = facts.and_then(|facts| facts.position.flushed);
        out.positions.replay = Known::from_option(end, reason);
        for gap in [
            &mut out.gaps.sent,
            &mut out.gaps.write,
            &mut out.gaps.flush,
            &mut out.gaps.replay,
        ] {
            *gap = Known::Unknown(Reason::NotApplicable);
        }
    }

    /// What an upstream shows; where the replica itself answered, its own positions count.
    fn by_upstream(
        &self,
        sender: Option<&Sender>,
        facts: Option<&Facts>,
        offset_s: Option<f64>,
    ) -> Node {
        let mut out = Node::blank();
        let unseen = match sender {
            Some(sender) if sender.state.is_none() => Reason::NoPrivilege,
            Some(_) => Reason::NoSample,
            None => Reason::NotConnected,
        };
        let of = |field: fn(&Sender) -> Option<Lsn>| sender.and_then(field);
        let own = facts.filter(|facts| facts.position.in_recovery);
        let received = own.and_then(|facts| facts.position.received);
        let sent = of(|sender| sender.sent);
        let write = of(|sender| sender.written).max(received);
        let flush = of(|sender| sender.flushed).max(received);
        let replay = match own {
            Some(facts) => facts.position.replayed,
            None => of(|sender| sender.replayed),
        };
        let cut = self.reference.cut;
        out.positions = Positions {
            sent: Known::from_option(sent, unseen),
            write: Known::from_option(write, unseen),
            flush: Known::from_option(flush, unseen),
            replay: Known::from_option(replay, unseen),
        };
        out.gaps = Gaps {
            sent: gap(sent, cut, unseen),
            write: gap(write, cut, unseen),
            flush: gap(flush, cut, unseen),
            replay: gap(replay, cut, unseen),
        };
        out.sync = Known::from_option(sender.and_then(|sender| sender.sync_state.clone()), unseen);
        out.reply_age_s = Known::from_option(sender.and_then(|sender| sender.reply_age_s), unseen)
            .map(|age| (age + offset_s.unwrap_or_default()).max(0.0));
        out.slot = sender.and_then(|sender| sender.slot_name.clone());
        out
    }

    fn by_itself(&self, out: &mut Node, facts: Option<&Facts>, reason: Reason) {
        let receiver = facts.and_then(|facts| facts.receiver.as_ref());
        let standby = facts.filter(|facts| facts.position.in_recovery);
        // What answered and is no standby has nothing of what only standbys have, and the other way round.
        let not_its_own = facts.map_or(reason, |_| Reason::NotApplicable);
        out.version = Known::from_option(facts.map(|facts| facts.node.version.clone()), reason);
        out.timeline = timeline(facts, receiver, reason);
        out.pause = Known::from_option(standby.and_then(pause), not_its_own);
        let hidden = match receiver {
            Some(receiver) if receiver.status.is_none() => Reason::NoPrivilege,
            _ if standby.is_none() => not_its_own,
            _ => reason,
        };
        let status = receiver.and_then(|receiver| receiver.status.clone());
        out.receiver = match (standby, receiver) {
            (Some(_), None) => Known::Value("none".to_owned()),
            _ => Known::from_option(status, hidden),
        };
        let age = receiver.and_then(|receiver| receiver.message_age_s);
        out.message_age_s = Known::from_option(age, hidden);
        let offset = facts.and_then(|facts| facts.clock_offset);
        out.clock_offset_s = Known::from_option(offset.map(|(offset, _)| offset), reason);
        out.clock_error_s = Known::from_option(offset.map(|(_, error)| error), reason);
        if out.slot.is_none() {
            out.slot = receiver.and_then(|receiver| receiver.slot_name.clone());
        }
        out.feedback = Known::from_option(standby.map(|facts| facts.node.feedback), not_its_own);
        out.conflicts =
            Known::from_option(standby.map(|facts| facts.conflicts.clone()), not_its_own);
        out.holders = Known::from_option(facts.map(|facts| facts.holders.clone()), reason);
        out.slots = Known::from_option(
            facts.map(|facts| slots(facts, self.sample.wal_rate)),
            reason,
        );
        out.subscriptions = Known::from_option(facts.map(subscriptions), reason);
        let writes = facts.filter(|facts| !facts.position.in_recovery);
        out.synchronous = Known::from_option(
            writes.map(|facts| sync_names::parse(&facts.node.synchronous_names)),
            not_its_own,
        );
        out.sync_waiting = match writes {
            Some(facts) if !facts.node.reads_all_stats => Known::Unknown(Reason::NoPrivilege),
            writes => Known::from_option(writes.map(|facts| facts.node.sync_waiting), not_its_own),
        };
    }

    /// A receiver that is not declared.
    fn discovered(&self, one: Listed<'_>, names: &mut BTreeSet<String>) -> Node {
        let sender = one.sender;
        let base = sender
            .application_name
            .clone()
            .filter(|name| !name.is_empty())
            .or_else(|| sender.client_address.clone())
            .unwrap_or_else(|| format!("pid {}", sender.pid));
        let name = if names.insert(base.clone()) {
            base
        } else {
            let name = format!("{base} (pid {})", sender.pid);
            names.insert(name.clone());
            name
        };
        let mut out = self.by_upstream(Some(sender), None, None);
        out.path = self.path(one.upstream);
        out.path.push(name.clone());
        out.name = name;
        out.role = if sender.is_backup() {
            "backup"
        } else if sender.is_logical() {
            "logical"
        } else {
            "replica"
        };
        let silence = crate::sample::replication::model::Silence {
            kind: crate::sample::replication::model::SilenceKind::NotConnected,
            message: String::new(),
        };
        out.state = state(state::Inputs {
            facts: Err(&silence),
            sender: Some(sender),
            upstream_asked: None,
            // What only stores WAL (Barman, pg_receivewal) flushes when it likes, and replays nothing.
            confirmed: (self.confirmed(one)).filter(|there| *there || sender.replayed.is_some()),
            replayed_probe: false,
            interval_s: 10.0,
            offset_s: None,
        });
        if out.role == "replica" {
            out.lag = visible(lag::Inputs {
                facts: None,
                sender: Some(sender),
                cut: self.reference.of_primary(),
                followed: None,
                state: &out.state,
                interval_s: 10.0,
                offset_s: None,
            });
            out.lag_beyond_delay = out.lag;
        }
        out
    }
}

fn not_waited_for(followed: &Followed) -> Option<String> {
    match followed {
        Followed::Delayed { delay_s } => Some(format!("it is set to replay {delay_s} s later")),
        Followed::Failed(message) => Some(message.clone()),
        Followed::Seen { .. } | Followed::NotSeen { .. } => None,
    }
}

fn timeline(facts: Option<&Facts>, receiver: Option<&Receiver>, reason: Reason) -> Known<u32> {
    let Some(facts) = facts else {
        return Known::Unknown(reason);
    };
    if !facts.position.in_recovery {
        return Known::from_option(facts.node.timeline, reason);
    }
    match receiver {
        Some(receiver) if receiver.status.is_none() => Known::Unknown(Reason::NoPrivilege),
        receiver => Known::from_option(
            receiver
                .and_then(|receiver| receiver.timeline)
                .and_then(|timeline| u32::try_from(timeline).ok()),
            Reason::NoSample,
        ),
    }
}

/// The words exist from 14; before, a pause that is asked for counts as one.
fn pause(facts: &Facts) -> Option<String> {
    let words = || {
        facts.node.paused.map(|paused| {
            let word = if paused { "paused" } else { "not paused" };
            word.to_owned()
        })
    };
    facts.node.pause_state.clone().or_else(words)
}

fn subscriptions(facts: &Facts) -> Vec<SubscriptionView> {
    // On a standby the catalog is that of the primary, which applies.
    if facts.position.in_recovery {
        return Vec::new();
    }
    (facts.subscriptions.iter())
        .map(|one| SubscriptionView {
            name: one.name.clone(),
            database: one.database.clone(),
            state: match (one.enabled, one.pid, one.apply_errors) {
                (false, _, _) => "disabled",
                // A process that has just been started again after an error has received nothing yet.
                (true, Some(_), Some(1..)) if one.received.is_none() => "apply_failing",
                (true, Some(_), _) => "applying",
                (true, None, Some(1..)) => "apply_failing",
                (true, None, _) => "not_applying",
            },
            received: one.received,
            message_age_s: one.message_age_s,
            apply_errors: Known::from_option(one.apply_errors, Reason::UnsupportedVersion),
            sync_errors: Known::from_option(one.sync_errors, Reason::UnsupportedVersion),
            conflicts: Known::from_option(one.conflicts, Reason::UnsupportedVersion),
        })
        .collect()
}
