//! The index plans of a plan file as the planner takes them: defaults filled in, SQL read.

use std::collections::BTreeMap;

use crate::changes::changeset::Hazard;
use crate::ident::QualifiedName;
use crate::plan_file::{BuildSettings, IndexConstraint, LockBudget, Origin, PlanFile};
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

/// Returns what a plan says of indexes, in the plan's order.
///
/// An entry that loading would have refused is left out: a plan that was loaded has none.
pub fn declared(plan: &PlanFile) -> (Vec<Declared>, Vec<Absent>) {
    let mut wanted = Vec::new();
    let mut unwanted = Vec::new();
    for entry in &plan.indexes {
        let budget = entry.lock_budget.unwrap_or(plan.lock_budget);
        unwanted.extend(entry.absent.iter().map(|name| Absent {
            name: name.clone(),
            budget,
            allow: entry.allow.clone(),
            origin: entry.origin.clone(),
        }));
        let Ok(Some(spec)) = entry.spec() else {
            continue;
        };
        let Some(name) = spec.name.as_deref() else {
            continue;
        };
        wanted.push(Declared {
            name: QualifiedName::new(spec.table.schema.as_str(), name),
            comment: entry.comment.clone(),
            statistics: entry.statistics_targets(),
            constraint: entry.constraint,
            build: entry.build.clone(),
            budget,
            allow: entry.allow.clone(),
            origin: entry.origin.clone(),
            spec,
        });
    }
    (wanted, unwanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan_file::{Millis, Source, parse};

    #[test]
    fn both_ways_of_writing_an_index_are_declared_and_absent_names_are_apart() {
        let text = r#"version: 1
lock_budget: { max_block: 50ms }
indexes:
  - name: Idx
    table: app."T"
    columns: [a, { expr: lower(b), statistics: 500 }]
    comment: why
  - sql: CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS idx_b ON ONLY t (b, (c + 1))
    statistics: { 2: 1000 }
    lock_budget: { max_block: 20ms }
  - { sql: CREATE UNIQUE INDEX idx_c ON t (c), constraint: unique }
  - absent: [idx_old, app."Old"]
    allow: [drops-index]
"#;
        let source = Source {
            path: "plan.yaml".into(),
            text: text.to_owned(),
        };
        let plan = parse(&[source]).unwrap().plan;
        let (declared, absent) = declared(&plan);
        let names: Vec<String> = declared
            .iter()
            .map(|index| index.name.to_string())
            .collect();
        assert_eq!(names, ["app.\"Idx\"", "public.idx_b", "public.idx_c"]);
        assert_eq!(declared[0].statistics[&2], 500);
        assert_eq!(declared[0].budget.max_block, Millis(50));
        assert_eq!(declared[0].comment.as_deref(), Some("why"));
        assert_eq!(declared[1].statistics[&2], 1000);
        assert_eq!(declared[2].constraint, Some(IndexConstraint::Unique));
        assert_eq!(declared[1].budget.max_block, Millis(20));
        assert_eq!(declared[1].origin.line, 8);
        let names: Vec<String> = absent.iter().map(|index| index.name.to_string()).collect();
        assert_eq!(names, ["public.idx_old", "app.\"Old\""]);
        assert_eq!(absent[0].allow, [Hazard::DropsIndex]);
    }
}
