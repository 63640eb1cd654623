//! N+1 from counts alone: statements that run once for each row of another, told from honest look-ups by how their
//! calls come in bundles, window by window. Pure: a value in, a value out.

mod anchor;
mod cost;
mod evidence;
mod fix;
pub mod gate;
pub mod observation;
pub mod orm;
mod parent;
pub mod recorded;
mod regression;
pub mod report;
pub mod schema;
pub mod score;
mod sources;

pub use evidence::Evidence;
pub use parent::ParentEvidence;
pub use report::{Parent, QuietStatement, Report, Suspect};

use std::collections::BTreeMap;

use anchor::Field;
use evidence::evidence;
use gate::{Candidate, Quiet, candidate};
use observation::{Group, Observation};
use report::GroupSummary;
use schema::{Links, Schema};
use score::{FEW_WINDOWS, Verdict};

/// How to look.
#[derive(Debug, Clone)]
pub struct Options {
    /// Fewer executions than this say nothing.
    pub min_calls: f64,
    /// Look at keys with a meaning of their own too.
    pub natural_keys: bool,
    /// Look at columns too of which nothing says that they are keys.
    pub any_column: bool,
    /// Part of the text of a statement that runs once per request.
    pub request_anchor: Option<String>,
    /// Milliseconds from the application to the server and back.
    pub round_trip_ms: f64,
    /// Whether entries were evicted while the server was observed: verdicts fall by one level.
    pub evicted: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            min_calls: 20.0,
            natural_keys: false,
            any_column: false,
            request_anchor: None,
            round_trip_ms: 0.5,
            evicted: false,
        }
    }
}

/// Looks at everything that was seen. `schemas` are those of databases by OID; of others only names and joins speak.
pub fn detect(
    observation: &Observation,
    schemas: &BTreeMap<u32, Schema>,
    options: &Options,
) -> Report {
    let unknown = Schema::default();
    let mut report = Report {
        windows: observation.windows,
        ..Report::default()
    };
    for group in &observation.groups {
        let schema = schemas.get(&group.dbid).unwrap_or(&unknown);
        look(group, schema, options, observation.windows, &mut report);
    }
    report.suspects.sort_by(|a, b| {
        b.verdict
            .cmp(&a.verdict)
            .then_with(|| b.avoidable_ms.total_cmp(&a.avoidable_ms))
            .then_with(|| b.score.total_cmp(&a.score))
            .then_with(|| a.fingerprint.cmp(&b.fingerprint))
            .then_with(|| a.text.cmp(&b.text))
    });
    report
}

/// A candidate with what was found of it.
struct Judged {
    candidate: Candidate,
    evidence: Evidence,
    score: f64,
    terms: Vec<score::Term>,
    held: Option<String>,
    verdict: Verdict,
}

fn look(group: &Group, schema: &Schema, options: &Options, windows: usize, report: &mut Report) {
    let links = Links::new(schema, group);
    let gates: Vec<_> = (0..group.statements.len())
        .map(|index| candidate(group, index, &links, options))
        .collect();
    for (statement, gate) in group.statements.iter().zip(&gates) {
        if let Err(reason) = gate {
            report.quiet.push(QuietStatement {
                dbid: group.dbid,
                userid: group.userid,
                fingerprint: statement.fingerprint.clone(),
                text: statement.text.clone(),
                calls: statement.total_calls(),
                reason: *reason,
            });
        }
    }
    let anchor = anchor::find(group, &gates, options.request_anchor.as_deref());
    let (field, mut judged) = judge(group, &gates, &links, anchor);
    // A loop that takes longer than a window is cut into pieces: seen in longer windows it is whole.
    for factor in [2, 4] {
        if windows / factor < LEAST_JOINED {
            break;
        }
        let (longer, joined) = judge(&group.joined(factor), &gates, &links, anchor);
        if longer.bursts > CALM {
            break;
        }
        for (one, other) in judged.iter_mut().zip(joined) {
            if other.score > one.score {
                *one = other;
            }
        }
    }
    hold(&mut judged, group, field.anchor);
    for one in &mut judged {
        one.verdict = verdict(one, windows, options);
    }
    report.groups.push(GroupSummary {
        dbid: group.dbid,
        userid: group.userid,
        statements: group.statements.len(),
        calls: group
            .statements
            .iter()
            .map(observation::Statement::total_calls)
            .sum(),
        anchor: field
            .anchor
            .and_then(|anchor| group.statements.get(anchor))
            .map(|statement| statement.text.clone()),
        bursts: field.bursts,
        ambient: links.ambient.iter().cloned().collect(),
        orm: orm::of_group(group),
    });
    for one in &judged {
        report
            .suspects
            .extend(cost::suspect(one, &judged, group, options));
    }
}

/// Longer windows than those recorded are looked at where so many of them remain.
const LEAST_JOINED: usize = 7;

/// Joined windows count only while the traffic does not come in bursts: Fano factor of statements outside loops.
const CALM: f64 = 2.5;

/// Finds the figures of all candidates and scores them.
fn judge(
    group: &Group,
    gates: &[Result<Candidate, Quiet>],
    links: &Links,
    anchor: Option<usize>,
) -> (Field, Vec<Judged>) {
    let mut field = Field::new(group, gates, anchor);
    let first = judge_by(group, gates, links, &field);
    // A list that several loops share explains each of them once the rows that the others used are taken away.
    field.loops = first
        .iter()
        .filter(|one| one.score >= score::SUSPECT)
        .map(|one| one.candidate.index)
        .take(MOST_LOOPS)
        .collect();
    let judged = match field.loops.as_slice() {
        [] | [_] => first,
        _ => judge_by(group, gates, links, &field),
    };
    (field, judged)
}

/// More loops than this take nothing more away from each other, and cost.
const MOST_LOOPS: usize = 12;

fn judge_by(
    group: &Group,
    gates: &[Result<Candidate, Quiet>],
    links: &Links,
    field: &Field,
) -> Vec<Judged> {
    gates
        .iter()
        .flatten()
        .filter_map(|candidate| {
            let evidence = evidence(group, candidate, field, links)?;
            let (score, terms) = score::score(&evidence, candidate.kind);
            Some(Judged {
                candidate: candidate.clone(),
                evidence,
                score,
                terms,
                held: None,
                verdict: Verdict::None,
            })
        })
        .collect()
}

/// Score above which a statement that follows one object at a time cannot rise, unless that object is fetched in a
/// loop itself.
const CAP_ONE_TO_ONE: f64 = 30.0;
/// Two series that differ by no more than this are the same.
const SAME: f64 = 0.05;

fn hold(judged: &mut [Judged], group: &Group, anchor: Option<usize>) {
    let scores: Vec<(usize, f64)> = judged
        .iter()
        .map(|one| (one.candidate.index, one.score))
        .collect();
    for one in judged {
        if Some(one.candidate.index) == anchor {
            one.score = one.score.min(CAP_ONE_TO_ONE);
            one.held = Some("runs once per request, by the calls of all others".to_owned());
            continue;
        }
        let Some(with) = one
            .evidence
            .one_to_one_with
            .filter(|_| one.evidence.one_to_one <= SAME)
        else {
            continue;
        };
        let looped = scores
            .iter()
            .any(|(index, score)| *index == with && *score >= score::SUSPECT);
        if !looped && one.score > CAP_ONE_TO_ONE {
            one.score = CAP_ONE_TO_ONE;
            let text = group
                .statements
                .get(with)
                .map_or("", |statement| statement.text.as_str());
            one.held = Some(format!(
                "runs exactly as often as one object is fetched by: {text}"
            ));
        }
    }
}

fn verdict(one: &Judged, windows: usize, options: &Options) -> Verdict {
    if windows < FEW_WINDOWS {
        let possible = one.verdict != Verdict::None
            || score::possible(&one.evidence, one.candidate.kind)
            || (windows > 2 && one.score >= score::SUSPECT);
        return if possible {
            Verdict::Possible
        } else {
            Verdict::None
        };
    }
    let mut verdict = score::verdict(one.score);
    if one.candidate.batch.is_some() && verdict == Verdict::Strong {
        verdict = Verdict::Suspect;
    }
    if options.evicted {
        verdict = verdict.lowered();
    }
    verdict
}
