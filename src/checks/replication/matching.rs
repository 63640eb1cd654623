//! Which row of `pg_stat_replication` is which declared replica.

use std::collections::{BTreeMap, BTreeSet};

use crate::sample::replication::model::{NodeSample, Sample, Sender};

/// A row of a sender and the node that shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed<'a> {
    pub(super) upstream: usize,
    pub(super) sender: &'a Sender,
}

/// Finds the row by which an upstream shows each declared replica. What is told apart by nothing stays open, until the
/// rows of others are known and one is left.
pub(super) fn matched(sample: &Sample, listed: &[Listed<'_>]) -> Vec<Option<usize>> {
    let mut found: Vec<Option<usize>> = vec![None; sample.nodes.len()];
    loop {
        let taken: BTreeSet<usize> = found.iter().copied().flatten().collect();
        let mut wanted: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
        for (at, node) in sample.nodes.iter().enumerate() {
            if found.get(at).copied().flatten().is_none()
                && let Some((score, place)) = best(sample, listed, &taken, at, node)
            {
                wanted.entry(place).or_default().push((score, at));
            }
        }
        let mut settled = false;
        for (place, mut claims) in wanted {
            claims.sort_unstable();
            let at = match claims.as_slice() {
                [(_, at)] => *at,
                [.., (less, _), (most, at)] if less < most => *at,
                _ => continue,
            };
            if let Some(slot) = found.get_mut(at) {
                *slot = Some(place);
                settled = true;
            }
        }
        if !settled {
            return found;
        }
    }
}

/// Finds the row that fits a declared replica best, with how well: by the slot that it uses, then by its name. Where
/// two fit as well, nothing tells which is meant.
fn best(
    sample: &Sample,
    listed: &[Listed<'_>],
    taken: &BTreeSet<usize>,
    at: usize,
    node: &NodeSample,
) -> Option<(usize, usize)> {
    if is_primary(node).unwrap_or(!node.declared.replica) {
        return None;
    }
    let receiver = node
        .facts
        .as_ref()
        .ok()
        .and_then(|facts| facts.receiver.as_ref());
    let names = [
        node.declared.app_name.as_deref(),
        receiver.and_then(|receiver| receiver.application_name.as_deref()),
        Some(node.declared.name.as_str()),
    ];
    let slot = receiver.and_then(|receiver| receiver.slot_name.as_deref());
    let score = |one: &Listed<'_>| {
        let sender = one.sender;
        if one.upstream == at || sender.is_logical() || sender.is_backup() {
            return 0;
        }
        let by_name = sender.application_name.as_deref().and_then(|name| {
            names
                .iter()
                .position(|wanted| *wanted == Some(name))
                .map(|place| 4 - place)
        });
        let by_slot = slot.is_some_and(|slot| sender.slot_name.as_deref() == Some(slot));
        let own = node.declared.upstream.as_deref();
        let there = own.is_some_and(|own| upstream_name(sample, one.upstream) == Some(own));
        match (by_slot, by_name) {
            (false, None) => 0,
            (slot, name) => {
                usize::from(slot) * 8 + name.unwrap_or_default() * 2 + usize::from(there)
            }
        }
    };
    let mut fitting: Vec<(usize, usize)> = (listed.iter().enumerate())
        .filter(|(place, _)| !taken.contains(place))
        .map(|(place, one)| (score(one), place))
        .filter(|(score, _)| *score > 0)
        .collect();
    fitting.sort_unstable();
    match fitting.as_slice() {
        [one] => Some(*one),
        [.., (less, _), one] if *less < one.0 => Some(*one),
        _ => None,
    }
}

/// Whether a node takes writes; `None`: it did not say.
pub(super) fn is_primary(node: &NodeSample) -> Option<bool> {
    let facts = node.facts.as_ref().ok()?;
    Some(!facts.position.in_recovery)
}

/// Returns the name of a node.
pub(super) fn upstream_name(sample: &Sample, at: usize) -> Option<&str> {
    sample.nodes.get(at).map(|node| node.declared.name.as_str())
}
