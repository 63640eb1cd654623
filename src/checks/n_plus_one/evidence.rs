//! What the counts say about one possible child.

use super::anchor::{Field, ONE_EACH};
use super::gate::Candidate;
use super::observation::{Group, Statement};
use super::parent::{ParentEvidence, parent};
use super::regression::{Term, bounded, differences, fano, forward, mean, steady_fano};
use super::schema::Links;
use super::sources::{FAN_LIST, FAN_ONE, Source, Tie, follows, is_batch, sources};

/// The figures of one possible child.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Executions.
    pub calls: f64,
    /// Fano factor of the calls of windows: 1 for single calls, k for bundles of k.
    pub clumping: f64,
    /// The same after what the calls of statements outside loops explain is taken away.
    pub clumping_left: f64,
    /// Fano factor of the usual pair of windows: bursts of one endpoint raise it little, bundles do.
    pub clumping_steady: f64,
    /// Fano factor that statements which are no children of loops reach in the same windows.
    pub bursts: f64,
    /// The best parent.
    pub parent: Option<ParentEvidence>,
    /// Rows and executions of all lists that are tied to it; `None`: there is no such list.
    pub list_rows: Option<(f64, f64)>,
    /// Part of the calls that rows of single objects fetched before do not account for.
    pub excess: f64,
    /// Difference from the closest statement that may cause exactly one call each, 0 to 1; 1: there is none.
    pub one_to_one: f64,
    /// That statement.
    pub one_to_one_with: Option<usize>,
    /// Calls per request; `None`: nothing tells the number of requests.
    pub per_request: Option<f64>,
    /// Calls per request in the window where they are most.
    pub peak_per_request: Option<f64>,
    /// Requests that one more call comes with.
    pub requests_per_call: Option<f64>,
    /// Part of the calls that happen once per request, 0 to 1.
    pub once_share: f64,
}

/// Terms that may explain calls outside loops.
const MOST_TERMS: usize = 4;
/// Lists looked at as parents, those with the most rows.
const MOST_LISTS: usize = 30;

pub(super) fn evidence(
    group: &Group,
    candidate: &Candidate,
    field: &Field,
    links: &Links,
) -> Option<Evidence> {
    let child = group.statements.get(candidate.index)?;
    let calls = child.total_calls();
    let steps = differences(&child.calls);
    let all = sources(group, candidate, links);
    let pool: Vec<Term> = field
        .roots
        .iter()
        .filter_map(|index| group.statements.get(*index))
        .filter(|root| !(is_batch(root) && follows(root, child, links)))
        .map(|root| Term {
            series: differences(&root.calls),
            low: -1.0,
            high: ONE_EACH,
        })
        .collect();
    let most = (steps.len() / 4).min(MOST_TERMS);
    let plain = forward(&steps, &[], &pool, most, 0.25);
    let scale = 2.0 * mean(&child.calls).max(1e-9);
    let start: Vec<Term> = plain
        .chosen
        .iter()
        .filter_map(|(index, _)| pool.get(*index).cloned())
        .collect();
    let lists = lists(group, &all);
    let loops: Vec<Vec<f64>> = field
        .loops
        .iter()
        .filter(|index| **index != candidate.index)
        .filter_map(|index| group.statements.get(*index))
        .map(|statement| differences(&statement.calls))
        .collect();
    let tied: Vec<&Statement> = lists
        .iter()
        .filter(|(source, _)| source.tie != Tie::Counts)
        .map(|(_, list)| *list)
        .collect();
    let mut found = Evidence {
        calls,
        clumping: fano(&child.calls),
        clumping_left: plain.variance / scale,
        clumping_steady: steady_fano(&child.calls).min(fano(&child.calls)),
        bursts: field.bursts,
        parent: parent(child, &steps, &start, plain.variance, &lists, &loops),
        list_rows: (!tied.is_empty()).then(|| {
            (
                tied.iter().map(|list| list.total_rows()).sum(),
                tied.iter().map(|list| list.total_calls()).sum(),
            )
        }),
        one_to_one: 1.0,
        ..Evidence::default()
    };
    ones(&mut found, group, child, &all);
    if let Some(anchor) = field
        .anchor
        .filter(|anchor| *anchor != candidate.index)
        .and_then(|anchor| group.statements.get(anchor))
    {
        found.requests_per_call = field.requests_per_call(group, candidate.index);
        found.per_request = Some(calls / anchor.total_calls().max(1.0));
        found.peak_per_request = child
            .calls
            .iter()
            .zip(&anchor.calls)
            .map(|(c, r)| c / r.max(1.0))
            .max_by(f64::total_cmp);
        found.once_share = once_share(&found, group, child, &steps, anchor);
    }
    Some(found)
}

/// How far single objects fetched before account for the calls.
fn ones(found: &mut Evidence, group: &Group, child: &Statement, all: &[Source]) {
    let mut covered = 0.0;
    for source in all.iter().filter(|source| source.tie == Tie::Linked) {
        let Some(one) = group.statements.get(source.index) else {
            continue;
        };
        if one.fan_out() > FAN_ONE || is_batch(one) {
            continue;
        }
        covered += one.total_rows();
        let (mut apart, mut both) = (0.0, 0.0);
        for (c, r) in child.calls.iter().zip(&one.rows) {
            apart += (c - r).abs();
            both += c + r;
        }
        let difference = apart / f64::max(both, 1.0);
        if difference < found.one_to_one {
            found.one_to_one = difference;
            found.one_to_one_with = Some(source.index);
        }
    }
    found.excess = (1.0 - covered / found.calls.max(1.0)).max(0.0);
}

/// Part of the calls that come with the requests and not with the rows of the parent.
fn once_share(
    found: &Evidence,
    group: &Group,
    child: &Statement,
    steps: &[f64],
    anchor: &Statement,
) -> f64 {
    let mut terms = vec![Term {
        series: differences(&anchor.calls),
        low: 0.0,
        high: 1.0,
    }];
    let list = found
        .parent
        .as_ref()
        .and_then(|parent| group.statements.get(parent.index));
    terms.extend(list.map(|list| Term {
        series: differences(&list.rows),
        low: 0.0,
        high: ONE_EACH,
    }));
    let terms: Vec<&Term> = terms.iter().collect();
    let slope = bounded(steps, &terms).first().copied().unwrap_or(0.0);
    (slope * anchor.total_calls() / child.total_calls().max(1.0)).clamp(0.0, 1.0)
}

/// Lists that may be the parent; those that nothing but the counts ties only where there are no others.
fn lists<'a>(group: &'a Group, all: &'a [Source]) -> Vec<(&'a Source, &'a Statement)> {
    let mut lists: Vec<(&Source, &Statement)> = all
        .iter()
        .filter_map(|source| Some((source, group.statements.get(source.index)?)))
        .filter(|(_, statement)| statement.fan_out() >= FAN_LIST && statement.total_rows() >= 20.0)
        .collect();
    if lists.iter().any(|(source, _)| source.tie == Tie::Linked) {
        lists.retain(|(source, _)| source.tie != Tie::Counts);
    }
    lists.sort_by(|(a, x), (b, y)| {
        y.total_rows()
            .total_cmp(&x.total_rows())
            .then(a.index.cmp(&b.index))
    });
    lists.truncate(MOST_LISTS);
    lists
}
