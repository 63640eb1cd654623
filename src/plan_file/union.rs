//! Unites plan files: a name declared twice is an error that names both places.

use std::collections::BTreeMap;

use super::diagnose::{Diagnostic, Spot};
use super::document::Document;
use super::position::Path;
use super::{PlanFile, validate};
use crate::ident::QualifiedName;

/// The plan files united so far.
#[derive(Default)]
pub(super) struct Union {
    plan: PlanFile,
    lock_budget: Option<Spot>,
    /// What was declared where, by kind and name.
    declared: BTreeMap<(&'static str, String), Spot>,
}

impl Union {
    /// Adds one file: checks it by itself, then against what is there.
    pub(super) fn add(&mut self, mut document: Document, problems: &mut Vec<Diagnostic>) {
        validate::document(&document, problems);
        let root = Path::default();
        let budget = root.key("lock_budget");
        if document.has(&budget) {
            let spot = document.spot_key(&budget, "given again here");
            match &self.lock_budget {
                Some(first) => problems.push(
                    Diagnostic::error("`lock_budget` is given in two plan files")
                        .spot(spot)
                        .spot(first.relabelled("given here first"))
                        .help("keep one; a partition policy may have a `lock_budget` of its own"),
                ),
                None => {
                    self.lock_budget = Some(spot);
                    self.plan.lock_budget = document.plan.lock_budget;
                }
            }
        }
        for name in document.plan.targets.keys() {
            let spot = document.spot_key(&root.key("targets").key(name), "");
            self.declare("target", name.clone(), spot, problems);
        }
        let paths = document.elements(&root.key("partitions"));
        for (policy, path) in document.plan.partitions.iter().zip(&paths) {
            let spot = document.spot(&path.key("table"), "");
            self.declare(
                "partition policy of",
                policy.table.to_string(),
                spot,
                problems,
            );
        }
        let paths = document.elements(&root.key("indexes"));
        for (index, path) in document.plan.indexes.iter().zip(&paths) {
            if let (Some(name), Some(table)) = (&index.name, &index.table) {
                // An index lives in the schema of its table.
                let name = QualifiedName::new(table.schema.as_str(), name.as_str()).to_string();
                let spot = document.spot(&path.key("name"), "");
                self.declare("index", name, spot, problems);
            }
        }
        let paths = document.elements(&root.key("rules"));
        for (rule, path) in document.plan.rules.iter().zip(&paths) {
            let spot = document.spot(&path.key("id"), "");
            self.declare("rule", rule.id.clone(), spot, problems);
        }
        let plan = std::mem::take(&mut document.plan);
        self.plan.targets.extend(plan.targets);
        self.plan.partitions.extend(plan.partitions);
        self.plan.indexes.extend(plan.indexes);
        self.plan.rules.extend(plan.rules);
    }

    /// Returns the united plan.
    pub(super) fn finish(mut self) -> PlanFile {
        self.plan.version = 1;
        self.plan
    }

    fn declare(
        &mut self,
        kind: &'static str,
        name: String,
        spot: Spot,
        problems: &mut Vec<Diagnostic>,
    ) {
        match self.declared.get(&(kind, name.clone())) {
            Some(first) => problems.push(
                Diagnostic::error(format!("the {kind} `{name}` is declared twice"))
                    .spot(spot.relabelled("declared again here"))
                    .spot(first.relabelled("declared here first"))
                    .help("keep one of the two; a folder is the union of its files"),
            ),
            None => {
                self.declared.insert((kind, name), spot);
            }
        }
    }
}
