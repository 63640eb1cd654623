//! Which partitions should exist and do not: the uncovered parts of the managed window, named.

use super::coverage::{Coverage, edge};
use super::inputs::{Inputs, Managed, refusal};
use super::names;
use crate::changes::changeset::Refusal;
use crate::ident::QualifiedName;
use crate::plan_file::policy::parse_start;

/// More partitions than this for one table are a mistake in the plan file or in an old partition's
/// bounds rather than a wish.
const MAX_NEW_PARTITIONS: usize = 1_000;

/// A partition that should exist and does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: QualifiedName,
    pub(super) from: i128,
    pub(super) to: i128,
}

/// Returns the uncovered parts of the managed window, named.
pub(super) fn wanted(
    managed: &Managed<'_>,
    inputs: Inputs<'_>,
) -> Result<Vec<Wanted>, Box<Refusal>> {
    let Managed {
        policy, calendar, ..
    } = managed;
    let (from, to) = window(managed, inputs)?;
    let coverage = Coverage::of(managed.ranges.iter().map(|range| (range.from, range.to)));
    let cutoff = policy
        .retain
        .map(|retain| calendar.minus(inputs.now, retain));
    let mut wanted = Vec::new();
    for slot in calendar.slots(from, to) {
        let (slot_from, slot_to) = (slot.from.max(from), slot.to.min(to));
        for (piece_from, piece_to) in coverage.missing((slot_from, slot_to)) {
            // What prune has just taken, or would take next, is not made again.
            if cutoff.is_some_and(|cutoff| piece_to <= cutoff) {
                continue;
            }
            if wanted.len() == MAX_NEW_PARTITIONS {
                return Err(Box::new(too_many(managed, (from, to))));
            }
            let whole = (piece_from, piece_to) == (slot.from, slot.to);
            let remainder = if whole {
                None
            } else {
                let civil = calendar.axis.civil(piece_from, calendar.zone);
                Some(civil.ok_or_else(|| Box::new(odd_remainder(managed, piece_from, piece_to)))?)
            };
            let template = policy
                .name
                .as_deref()
                .unwrap_or_else(|| names::default_template(policy.every));
            let name =
                names::partition_name(template, &managed.table.name.name, slot.civil, remainder);
            wanted.push(Wanted {
                name: QualifiedName::new(managed.child_schema(), name),
                from: piece_from,
                to: piece_to,
            });
        }
    }
    Ok(wanted)
}

/// The managed window: from `start`, else from the oldest existing partition, never from later than
/// the current period, up to `premake` periods after it.
fn window(managed: &Managed<'_>, inputs: Inputs<'_>) -> Result<(i128, i128), Box<Refusal>> {
    let Managed {
        policy,
        calendar,
        ranges,
        ..
    } = managed;
    let unplaceable = || {
        Box::new(refusal(
            policy,
            "unplaceable-now",
            format!(
                "{} cannot be placed on the key of {}",
                inputs.now, policy.table
            ),
            vec!["check --as-of and the key's encoding".to_owned()],
        ))
    };
    let current = calendar
        .slot_at(calendar.axis.of_instant(inputs.now, calendar.zone))
        .ok_or_else(unplaceable)?;
    let mut last = current;
    for _ in 0..policy.premake {
        last = calendar.next(&last).ok_or_else(unplaceable)?;
    }
    let oldest = match &policy.start {
        Some(start) => {
            let civil = parse_start(start).map_err(|_| {
                Box::new(refusal(
                    policy,
                    "bad-start",
                    format!("`start: {start}` is no date"),
                    vec![],
                ))
            })?;
            Some(calendar.axis.of_civil(civil, calendar.zone))
        }
        // A partition without a lower bound covers all before its upper one, where the window begins.
        None => ranges
            .iter()
            .filter(|range| {
                calendar.axis.is_finite(edge(range.to)) || calendar.axis.is_finite(edge(range.from))
            })
            .map(|range| {
                if calendar.axis.is_finite(edge(range.from)) {
                    edge(range.from)
                } else {
                    edge(range.to)
                }
            })
            .min(),
    };
    Ok((
        oldest
            .filter(|oldest| calendar.axis.is_finite(*oldest))
            .unwrap_or(current.from)
            .min(current.from),
        last.to,
    ))
}

fn too_many(managed: &Managed<'_>, (from, to): (i128, i128)) -> Refusal {
    let axis = managed.calendar.axis;
    refusal(
        managed.policy,
        "too-many-partitions",
        format!(
            "more than {MAX_NEW_PARTITIONS} partitions of one {} are missing between {} and {}",
            managed.policy.every,
            axis.literal(from),
            axis.literal(to)
        ),
        vec![
            "set `start:` to the first instant that should be covered, if the gap in the past is meant".to_owned(),
            "or choose a longer `every:`".to_owned(),
        ],
    )
}

fn odd_remainder(managed: &Managed<'_>, from: i128, to: i128) -> Refusal {
    let axis = managed.calendar.axis;
    refusal(
        managed.policy,
        "odd-remainder",
        format!(
            "the uncovered part from {} to {} of a half-covered {} begins at a value that is no instant",
            axis.literal(from),
            axis.literal(to),
            managed.policy.every
        ),
        vec!["create this part by hand, or correct the neighbouring partition's bound".to_owned()],
    )
}
