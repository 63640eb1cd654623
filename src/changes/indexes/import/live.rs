//! The indexes of a live database as plan entries.

use super::script::left_out;
use super::{Import, Imported, Note, Wanted};
use crate::catalog::index_model::{IndexCatalog, LiveConstraintKind, LiveIndex};
use crate::plan_file::{IndexConstraint, IndexPlan};
use crate::syntax::create_index;

/// Why an index is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    Attached,
    Invalid,
    Extension,
    Exclusion,
    Deferrable,
    Constraint,
    Temporary,
}

impl Why {
    /// What is left out, and the reason.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Attached => (
                "of a partition",
                "partitions get theirs from the partitioned table's index",
            ),
            Self::Invalid => ("not valid", "rebuild or drop such an index first"),
            Self::Extension => ("of an extension", "extensions bring their own"),
            Self::Exclusion => (
                "of an exclusion constraint",
                "only a constraint makes such an index",
            ),
            Self::Deferrable => (
                "of a deferrable constraint",
                "only a constraint makes such an index",
            ),
            Self::Constraint => ("of a constraint", "see --constraints"),
            Self::Temporary => (
                "of a temporary table",
                "temporary tables end with their session",
            ),
        }
    }
}

/// Returns the plan entries that a database's indexes amount to, by table and name.
///
/// A plan of them changes nothing in that database.
pub fn from_catalog(catalog: &IndexCatalog, wanted: Wanted) -> Import {
    let mut import = Import::default();
    let mut skipped = Vec::new();
    for table in &catalog.tables {
        for index in &table.indexes {
            let why = if table.temporary {
                Some(Why::Temporary)
            } else {
                left_out_for(index, wanted)
            };
            match why {
                Some(why) => skipped.push(why),
                None => match imported(index) {
                    Ok(found) => import.indexes.push(found),
                    Err(message) => import.faults.push(Note::general(format!(
                        "the definition of `{}` cannot be read: {message}",
                        index.name
                    ))),
                },
            }
        }
    }
    skipped.sort_unstable();
    for group in skipped.chunk_by(|a, b| a == b) {
        if let Some(why) = group.first() {
            let (what, reason) = why.words();
            import
                .notes
                .push(Note::general(left_out(group.len(), what, reason)));
        }
    }
    import
}

fn left_out_for(index: &LiveIndex, wanted: Wanted) -> Option<Why> {
    if index.of_extension {
        return Some(Why::Extension);
    }
    if index.parent.is_some() {
        return Some(Why::Attached);
    }
    if !index.valid || !index.ready || !index.live {
        return Some(Why::Invalid);
    }
    match &index.constraint {
        None => None,
        Some(constraint) if constraint.kind == LiveConstraintKind::Exclusion => {
            Some(Why::Exclusion)
        }
        Some(_) if !wanted.constraints => Some(Why::Constraint),
        Some(constraint) if constraint.deferrable || !index.immediate => Some(Why::Deferrable),
        Some(_) => None,
    }
}

fn imported(index: &LiveIndex) -> Result<Imported, String> {
    let mut spec = create_index(&index.definition)
        .map_err(|fault| fault.message)?
        .spec;
    spec.tablespace.clone_from(&index.tablespace);
    let mut plan = IndexPlan::of(&spec);
    plan.comment.clone_from(&index.comment);
    plan.set_statistics(&index.statistics);
    plan.constraint = index.constraint.as_ref().and_then(|held| match held.kind {
        LiveConstraintKind::Primary => Some(IndexConstraint::Primary),
        LiveConstraintKind::Unique => Some(IndexConstraint::Unique),
        LiveConstraintKind::Exclusion => None,
    });
    Ok(Imported {
        plan,
        comments: Vec::new(),
    })
}
