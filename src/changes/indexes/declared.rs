//! The index plans of a plan file as the planner takes them: defaults filled in, SQL read.

use std::collections::BTreeMap;

use crate::changes::changeset::Hazard;
use crate::ident::QualifiedName;
use crate::plan_file::{BuildSettings, IndexConstraint, LockBudget, Origin};
use crate::syntax::IndexSpec;

/// An index that should be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// Its name; its schema is that of its table.
    pub name: QualifiedName,
    /// What it should be; `spec.name` is the same name.
    pub spec: IndexSpec,
    /// Comment; `None`: whatever is there.
    pub comment: Option<String>,
    /// Statistics targets by key position from 1; a position not listed is left alone.
    pub statistics: BTreeMap<i16, i16>,
    /// The constraint it enforces; `None`: none is added, one that is there stays.
    pub constraint: Option<IndexConstraint>,
    /// Settings of the building session.
    pub build: BuildSettings,
    /// Lock budget.
    pub budget: LockBudget,
    /// Hazards that the plan file allows.
    pub allow: Vec<Hazard>,
    /// Where the entry stands.
    pub origin: Origin,
}

/// An index that should not be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Absent {
    /// Its name.
    pub name: QualifiedName,
    /// Lock budget.
    pub budget: LockBudget,
    /// Hazards that the plan file allows.
    pub allow: Vec<Hazard>,
    /// Where the entry stands.
    pub origin: Origin,
}
