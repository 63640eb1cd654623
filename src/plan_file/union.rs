//! Unites plan files: a name declared twice is an error that names both places.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnose::{Diagnostic, Spot};
use super::document::Document;
use super::position::Path;
use super::validate_rule::OpenLabel;
use super::{IndexPlan, PlanFile, ready, validate};
use crate::ident::QualifiedName;

/// What is declared in `ready`.
const READY: &str = "ready group";

/// The plan files united so far.
#[derive(Default)]
pub(super) struct Union {
    plan: PlanFile,
    lock_budget: Option<Spot>,
    defaults: Option<Spot>,
    stages: Option<Spot>,
    /// Where each index of the plan is named.
    indexes: Vec<Spot>,
    /// Labels of rules that some replica must bring.
    labels: Vec<OpenLabel>,
    /// Rules and nodes that `ready` names.
    names: Vec<ready::Open>,
    /// What was declared where, by kind and name.
    declared: BTreeMap<(&'static str, String), Spot>,
}

impl Union {
    /// Adds one file: checks it by itself, then against what is there.
    pub(super) fn add(&mut self, mut document: Document, problems: &mut Vec<Diagnostic>) {
        let open = validate::document(&document, problems);
        self.labels.extend(open.labels);
        self.names.extend(open.names);
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
        let defaults = root.key("defaults");
        if document.has(&defaults) {
            let spot = document.spot_key(&defaults, "given again here");
            match &self.defaults {
                Some(first) => problems.push(
                    Diagnostic::error("`defaults` is given in two plan files")
                        .spot(spot)
                        .spot(first.relabelled("given here first"))
                        .help("keep one: it is for all rules"),
                ),
                None => {
                    self.defaults = Some(spot);
                    self.plan.defaults = document.plan.defaults;
                }
            }
        }
        let stages = root.key("stages");
        if document.has(&stages) {
            let spot = document.spot_key(&stages, "given again here");
            match &self.stages {
                Some(first) => problems.push(
                    Diagnostic::error("`stages` is given in two plan files")
                        .spot(spot)
                        .spot(first.relabelled("given here first"))
                        .help("keep one of the two"),
                ),
                None => {
                    self.stages = Some(spot);
                    self.plan.stages = document.plan.stages.take();
                }
            }
        }
        for name in document.plan.targets.keys() {
            let spot = document.spot_key(&root.key("targets").key(name), "");
            self.declare("target", name.clone(), spot, problems);
        }
        for name in document.plan.ready.keys() {
            let spot = document.spot_key(&root.key("ready").key(name), "");
            self.declare(READY, name.clone(), spot, problems);
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
            self.index(&document, index, path, problems);
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
        self.plan.mutes.extend(plan.mutes);
        self.plan.attestations.extend(plan.attestations);
        self.plan.ready.extend(plan.ready);
    }

    /// Returns the united plan and where each of its indexes is named.
    pub(super) fn finish(mut self, problems: &mut Vec<Diagnostic>) -> (PlanFile, Vec<Spot>) {
        self.plan.version = 1;
        let replicas = self.plan.targets.values().flat_map(|one| &one.replicas);
        let declared = replicas.flat_map(|one| one.labels.keys());
        let declared: BTreeSet<&str> = declared.map(String::as_str).collect();
        let labels = std::mem::take(&mut self.labels);
        problems.extend(labels.into_iter().filter_map(|one| one.problem(&declared)));
        let names = std::mem::take(&mut self.names);
        problems.extend(names.into_iter().filter_map(|one| one.problem(&self.plan)));
        for (kind, name) in self.declared.keys().filter(|(kind, _)| *kind == READY) {
            let taken = self.declared.get(&("target", name.clone()));
            if let (Some(target), Some(group)) = (taken, self.declared.get(&(*kind, name.clone())))
            {
                problems.push(
                    Diagnostic::error(format!("`{name}` is a group of `ready` and a target"))
                        .spot(group.relabelled("the group"))
                        .spot(target.relabelled("the target"))
                        .help("rename the group: /ready/TARGET/NODE asks for a node of a target"),
                );
            }
        }
        (self.plan, self.indexes)
    }

    fn index(
        &mut self,
        document: &Document,
        index: &IndexPlan,
        path: &Path,
        problems: &mut Vec<Diagnostic>,
    ) {
        let named = ["name", "sql", "absent"]
            .into_iter()
            .map(|key| path.key(key))
            .find(|path| document.has(path));
        let spot = document.spot(named.as_ref().unwrap_or(path), "");
        self.indexes.push(spot.clone());
        if let Ok(Some(spec)) = index.spec()
            && let Some(name) = &spec.name
        {
            // An index lives in the schema of its table.
            let name = QualifiedName::new(spec.table.schema.as_str(), name.as_str()).to_string();
            self.contradiction("absent index", &name, &spot, problems);
            self.declare("index", name, spot, problems);
        }
        let elements = document.elements(&path.key("absent"));
        for (name, at) in index.absent.iter().zip(elements) {
            let spot = document.spot(&at, "");
            self.contradiction("index", &name.to_string(), &spot, problems);
            self.declare("absent index", name.to_string(), spot, problems);
        }
    }

    /// Reports an index that should be there by one entry and should not by another.
    fn contradiction(
        &self,
        other: &'static str,
        name: &str,
        spot: &Spot,
        problems: &mut Vec<Diagnostic>,
    ) {
        if let Some(first) = self.declared.get(&(other, name.to_owned())) {
            let (here, there) = if other == "index" {
                ("absent here", "declared here")
            } else {
                ("declared here", "absent here")
            };
            problems.push(
                Diagnostic::error(format!("the index `{name}` is declared and `absent`"))
                    .spot(spot.relabelled(here))
                    .spot(first.relabelled(there))
                    .help("keep one of the two; a folder is the union of its files"),
            );
        }
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
