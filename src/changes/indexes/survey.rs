//! What `dbops indexes list` shows: every declared, absent and undeclared index of the tables in scope.

use serde::Serialize;

use super::compare::{Part, compare};
use super::context::{Context, Live};
use super::{Declared, IndexInputs, drops, names, tree, units};
use crate::catalog::index_model::{IndexAnswers, LiveConstraint, TableKind};
use crate::changes::changeset::{Action, Step};
use crate::ident::QualifiedName;
use crate::plan_file::Origin;

/// How an index stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As declared.
    Converged,
    /// Declared and not there.
    Missing,
    /// There under its name, and not as declared; `details` says how.
    Differs,
    /// What is declared is there under another name; see `also`.
    OtherName,
    /// Some session is building it; see `pid`.
    Building,
    /// Invalid, and nobody is building it.
    Dead,
    /// Invalid and wanted absent: a drop was interrupted.
    HalfDropped,
    /// As declared as far as could be seen; `details` says what could not be compared.
    Unverified,
    /// Declared, and refused; `details` says why.
    Refused,
    /// Wanted absent, and there.
    Unwanted,
    /// Wanted absent, and not there.
    Gone,
    /// There, and in no plan file: dbops leaves it alone.
    Undeclared,
    /// Left behind by an interrupted run of dbops or REINDEX CONCURRENTLY.
    Leftover,
}

impl State {
    /// The name used in outputs: `other-name`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::OtherName => "other-name",
            Self::Building => "building",
            Self::Dead => "dead",
            Self::HalfDropped => "half-dropped",
            Self::Unverified => "unverified",
            Self::Refused => "refused",
            Self::Unwanted => "unwanted",
            Self::Gone => "gone",
            Self::Undeclared => "undeclared",
            Self::Leftover => "leftover",
        }
    }
}

/// One index and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IndexState {
    /// Its name.
    pub name: QualifiedName,
    /// Its table; of a name wanted absent that is nowhere, `None`.
    pub table: Option<QualifiedName>,
    /// How it stands.
    pub state: State,
    /// Differences, or what else is to be said, in words.
    pub details: Vec<String>,
    /// The live index that is meant, where it has another name.
    pub also: Option<QualifiedName>,
    /// Backend that builds it.
    pub pid: Option<i32>,
    /// Bytes of its main fork; of a partitioned index those of all partitions' indexes.
    pub bytes: Option<i64>,
    /// Scans since the statistics were reset; of a partitioned index those of all partitions' indexes.
    pub scans: Option<i64>,
    /// The constraint it enforces.
    pub constraint: Option<LiveConstraint>,
    /// Where it is declared or wanted absent.
    pub origin: Option<Origin>,
}

/// Returns how every index of the tables in scope stands, sorted by table and name; indexes that are attached to
/// a partitioned one are part of that one's row.
pub fn survey(inputs: IndexInputs<'_>, answers: &IndexAnswers) -> Vec<IndexState> {
    let context = Context::new(inputs, answers);
    let draft = units::planned(&context).into_draft(&context);
    let mut rows: Vec<IndexState> = inputs
        .declared
        .iter()
        .map(|declared| of_declared(&context, declared, &draft))
        .collect();
    rows.extend(inputs.absent.iter().map(|absent| {
        let live = context.live(&absent.name);
        let state = match live {
            None => State::Gone,
            Some(live) if building(&context, live).is_some() => State::Building,
            Some(live) if !live.index.valid => State::HalfDropped,
            Some(_) => State::Unwanted,
        };
        let mut row = row(&context, &absent.name, live, state);
        row.origin = Some(absent.origin.clone());
        row.details = refusals(&draft.refusals, &absent.name);
        row
    }));
    let named: Vec<QualifiedName> = rows
        .iter()
        .flat_map(|row| std::iter::once(row.name.clone()).chain(row.also.clone()))
        .collect();
    for table in &inputs.catalog.tables {
        for live in context.on(table) {
            let index = live.index;
            if index.parent.is_some() || named.contains(&index.name) {
                continue;
            }
            let state = if building(&context, live).is_some() {
                State::Building
            } else if is_leftover(&context, live) {
                State::Leftover
            } else if !index.valid {
                State::Dead
            } else {
                State::Undeclared
            };
            rows.push(row(&context, &index.name, Some(live), state));
        }
    }
    rows.sort_by(|a, b| (&a.table, &a.name, a.state).cmp(&(&b.table, &b.name, b.state)));
    rows
}

fn of_declared(
    context: &Context<'_>,
    declared: &Declared,
    draft: &crate::changes::inputs::Draft,
) -> IndexState {
    let live = context
        .live(&declared.name)
        .filter(|live| live.table.name == declared.spec.table);
    let refused = refusals(&draft.refusals, &declared.name);
    let below: Vec<&QualifiedName> = live
        .filter(|live| live.index.partitioned)
        .map(|live| drops::below(context, live))
        .unwrap_or_default()
        .into_iter()
        .map(|child| &child.index.name)
        .collect();
    let steps: Vec<&Step> = draft
        .steps
        .iter()
        .filter(|step| step.table == declared.spec.table)
        .filter(|step| {
            let changed = step.index.as_ref().map(|change| &change.name);
            concerns(step, declared) || changed.is_some_and(|name| below.contains(&name))
        })
        .collect();
    let note = draft.notes.iter().find(|note| {
        matches!(note.code.as_str(), "unverified" | "adopted")
            && note.table == declared.spec.table
            && note.message.contains(&declared.name.to_string())
    });
    let part = match context.table(&declared.spec.table) {
        Some(table) if table.kind == TableKind::Partitioned => Part::Parent,
        _ => Part::Whole,
    };
    let mut details = live
        .map(|live| compare(context, declared, live, part).words(live))
        .unwrap_or_default();
    if let Some(live) = live.filter(|live| live.index.partitioned) {
        let faults = tree::faults(context, declared, live);
        details.extend(faults.hopeless);
        details.extend(faults.mendable);
    }
    if details.is_empty() {
        details = steps.iter().map(|step| step.summary.clone()).collect();
    }
    let renamed = steps
        .iter()
        .find(|step| step.action == Action::RenameIndex)
        .and_then(|step| step.locks.first())
        .map(|lock| lock.relation.clone());
    let state = match live {
        _ if !refused.is_empty() => State::Refused,
        Some(live) if building(context, live).is_some() => State::Building,
        Some(live) if !live.index.valid && !live.index.partitioned => State::Dead,
        Some(_) if note.is_some_and(|note| note.code == "unverified") && steps.is_empty() => {
            State::Unverified
        }
        Some(_) if steps.is_empty() && details.is_empty() => State::Converged,
        Some(_) => State::Differs,
        None if renamed.is_some() || note.is_some_and(|note| note.code == "adopted") => {
            State::OtherName
        }
        None => State::Missing,
    };
    let mut row = row(context, &declared.name, live, state);
    row.table = Some(declared.spec.table.clone());
    row.also = renamed;
    row.origin = Some(declared.origin.clone());
    row.details = match (state, note) {
        (State::Refused, _) => refused,
        (State::Missing, _) => Vec::new(),
        (_, Some(note)) => vec![note.message.clone()],
        _ => details,
    };
    row
}

/// Whether a step is for this declared index: by name, or by the names that derive from it.
fn concerns(step: &Step, declared: &Declared) -> bool {
    let names = [
        declared.name.clone(),
        names::new_name(&declared.name),
        names::old_name(&declared.name),
    ];
    step.index
        .as_ref()
        .is_some_and(|change| names.contains(&change.name))
        || step.locks.iter().any(|lock| names.contains(&lock.relation))
}

fn row(
    context: &Context<'_>,
    name: &QualifiedName,
    live: Option<&Live<'_>>,
    state: State,
) -> IndexState {
    let (mut bytes, mut scans) = (
        live.map(|live| live.index.bytes),
        live.and_then(|live| live.index.scans),
    );
    if let Some(live) = live.filter(|live| live.index.partitioned) {
        let below = drops::below(context, live);
        bytes = Some(below.iter().map(|child| child.index.bytes).sum());
        scans = below
            .iter()
            .filter_map(|child| child.index.scans)
            .reduce(|a, b| a + b);
    }
    IndexState {
        name: name.clone(),
        table: live.map(|live| live.table.name.clone()),
        state,
        details: Vec::new(),
        also: None,
        pid: live.and_then(|live| building(context, live)),
        bytes,
        scans,
        constraint: live.and_then(|live| live.index.constraint.clone()),
        origin: None,
    }
}

/// The backend that builds this index: it says so, or the index is invalid and some build on its table says not
/// which one it is.
fn building(context: &Context<'_>, live: &Live<'_>) -> Option<i32> {
    context
        .catalog()
        .running
        .iter()
        .find(|running| match &running.index {
            Some(index) => *index == live.index.name,
            None => running.table == live.table.name && !live.index.valid,
        })
        .map(|running| running.pid)
}

fn is_leftover(context: &Context<'_>, live: &Live<'_>) -> bool {
    let name = &live.index.name;
    let debris = names::is_reindex_debris(&name.name) && !live.index.valid;
    debris
        || context
            .inputs
            .declared
            .iter()
            .map(|declared| &declared.name)
            .chain(context.inputs.absent.iter().map(|absent| &absent.name))
            .any(|planned| *name == names::new_name(planned) || *name == names::old_name(planned))
}

fn refusals(refusals: &[crate::changes::changeset::Refusal], name: &QualifiedName) -> Vec<String> {
    refusals
        .iter()
        .filter(|refusal| refusal.relation.as_ref() == Some(name))
        .map(|refusal| refusal.message.clone())
        .collect()
}
