//! From figures to what a reader needs: the parent, the chain above it, what the loop costs and what to do.

use super::fix::fix;
use super::observation::Group;
use super::orm::{self, Orm};
use super::report::{Parent, Suspect};
use super::score::Verdict;
use super::{Judged, Options};

pub(super) fn suspect(
    one: &Judged,
    all: &[Judged],
    group: &Group,
    options: &Options,
) -> Option<Suspect> {
    let child = group.statements.get(one.candidate.index)?;
    let calls = child.total_calls();
    let parent_statement = one
        .evidence
        .parent
        .as_ref()
        .and_then(|parent| group.statements.get(parent.index));
    let looped = calls * (1.0 - one.evidence.once_share);
    let executions = match (&one.evidence.parent, parent_statement) {
        (Some(parent), Some(statement)) if parent.amplification > 1.0 => {
            (looped / parent.amplification).min(statement.total_calls())
        }
        // Without a list, a bundle is what clumps.
        _ => looped / one.evidence.clumping.max(1.0),
    };
    let avoidable_calls = (looped - executions).max(0.0);
    let mean_ms = (child.exec_ms + child.plan_ms) / calls.max(1.0);
    let own = orm::of(&child.text);
    let orm = if own == Orm::Unknown {
        orm::of_group(group)
    } else {
        own
    };
    let table = one
        .candidate
        .keys
        .first()
        .map(|(table, _)| table.as_str())
        .or_else(|| child.shape.tables.first().map(|table| table.name.as_str()))
        .unwrap_or_default();
    Some(Suspect {
        dbid: group.dbid,
        userid: group.userid,
        fingerprint: child.fingerprint.clone(),
        queryids: child.queryids.clone(),
        text: child.text.clone(),
        score: one.score,
        verdict: one.verdict,
        kind: one.candidate.kind,
        batch: one.candidate.batch,
        column: one.candidate.keys.first().cloned(),
        class: one.candidate.class,
        orm,
        parent: parent_statement
            .zip(one.evidence.parent.as_ref())
            .map(|(statement, parent)| Parent {
                fingerprint: statement.fingerprint.clone(),
                text: statement.text.clone(),
                foreign_key: parent.foreign_key.clone(),
                tied: parent.tied,
                amplification: parent.amplification,
                share: parent.share.min(1.0),
            }),
        chain: chain(one, all, group),
        terms: one.terms.clone(),
        held: one.held.clone(),
        evidence: one.evidence.clone(),
        once_share: one.evidence.once_share,
        mean_ms,
        avoidable_calls,
        avoidable_ms: avoidable_calls * (mean_ms + options.round_trip_ms),
        fix: fix(one.candidate.kind, orm, table, one.candidate.batch),
    })
}

/// Texts of the lists above the parent, outermost first: a parent that runs in a loop itself has a parent too.
fn chain(one: &Judged, all: &[Judged], group: &Group) -> Vec<String> {
    let mut above = Vec::new();
    let mut seen = vec![one.candidate.index];
    let mut next = one.evidence.parent.as_ref().map(|parent| parent.index);
    while let Some(index) = next {
        if seen.contains(&index) {
            break;
        }
        seen.push(index);
        next = all
            .iter()
            .find(|other| other.candidate.index == index && other.verdict >= Verdict::Possible)
            .and_then(|other| other.evidence.parent.as_ref())
            .map(|parent| parent.index);
        if let Some(statement) = next.and_then(|index| group.statements.get(index)) {
            above.push(statement.text.clone());
        }
    }
    above.reverse();
    above
}
