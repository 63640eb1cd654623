//! The `ready:` section: which rules must hold for a node before `dbops serve` calls it ready.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnose::Diagnostic;
use super::suggest::nearest;
use super::validate::Entry;
use super::{Origin, PlanFile};

/// A group of nodes that a balancer asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadyGroup {
    /// Ids of the rules that must not be critical; the nodes that they look at are those of the group.
    pub all: Vec<String>,
    /// Nodes that stay ready however bad they are, so that a balancer is never left with none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never_empty: Option<NeverEmpty>,
    /// Looks in a row after which a node is no longer ready. Omitted: as `dbops serve --down-after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub down_after: Option<u32>,
    /// Looks in a row after which a node is ready again. Omitted: as `dbops serve --up-after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub up_after: Option<u32>,
    /// Where the group stands.
    #[serde(skip)]
    pub origin: Origin,
}

/// How many nodes stay, and of which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NeverEmpty {
    /// Role (`replica`, `primary`) or `use` of the nodes: others of the rules are not in the group.
    pub group: String,
    /// Nodes of each target that stay ready as long as they can be connected to (default 1).
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub keep: u32,
}

fn one() -> u32 {
    1
}

/// Roles that a group can be of.
const ROLES: [&str; 2] = ["primary", "replica"];

/// Checks one group; what another file may declare is returned.
pub(super) fn validate(
    section: &Entry<'_>,
    name: &str,
    group: &ReadyGroup,
    problems: &mut Vec<Diagnostic>,
) -> Vec<Open> {
    let entry = section.below(name);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || !name.chars().all(plain) || name.chars().all(|c| c == '.') {
        problems.push(
            section
                .key_error(name, format!("`{name}` cannot be part of a path"), "")
                .help("use letters, digits, `.`, `-` and `_`: it is asked for as /ready/menu"),
        );
    }
    if group.all.is_empty() && !entry.gives_items("all") && !entry.is_broken("all") {
        problems.push(
            entry
                .error("all", "`all` names no rule", "an empty list")
                .help("name the rules that must hold: `all: [repl.streaming, repl.lag]`"),
        );
    }
    for (key, given) in [
        ("down_after", group.down_after),
        ("up_after", group.up_after),
    ] {
        if given == Some(0) {
            problems.push(
                entry
                    .error(key, format!("`{key}` of 0 looks"), "must be 1 or more")
                    .help("1 turns a node at the first look that says so"),
            );
        }
    }
    let mut open: Vec<Open> = (group.all.iter().zip(entry.elements("all")))
        .map(|(rule, at)| Open {
            name: rule.clone(),
            kind: Kind::Rule,
            problem: at.value_error(format!("there is no rule `{rule}`"), "not known here"),
        })
        .collect();
    if let Some(kept) = &group.never_empty {
        let at = entry.below("never_empty");
        if kept.keep == 0 {
            problems.push(
                at.error("keep", "`keep` of 0 keeps none", "must be 1 or more")
                    .help("omit `never_empty` where all may be out"),
            );
        }
        let message = format!("no node has the role or the `use` `{}`", kept.group);
        open.push(Open {
            name: kept.group.clone(),
            kind: Kind::Nodes,
            problem: at.error("group", message, "not known here"),
        });
    }
    open
}

/// A name that some plan file must declare; whether one does is known once all files are read.
pub(super) struct Open {
    name: String,
    kind: Kind,
    problem: Diagnostic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rule,
    Nodes,
}

impl Open {
    /// Returns what is wrong with it in the union of all plan files.
    pub(super) fn problem(self, plan: &PlanFile) -> Option<Diagnostic> {
        let known: BTreeSet<&str> = match self.kind {
            Kind::Rule => plan.rules.iter().map(|rule| rule.id.as_str()).collect(),
            Kind::Nodes => {
                let replicas = plan.targets.values().flat_map(|one| &one.replicas);
                let uses = replicas.filter_map(|one| one.usage.as_deref());
                uses.chain(ROLES).collect()
            }
        };
        if known.contains(self.name.as_str()) {
            return None;
        }
        let all = || known.iter().copied().collect::<Vec<_>>().join(", ");
        let help = match (nearest(&self.name, known.iter().copied()), self.kind) {
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, Kind::Rule) if known.is_empty() => {
                "`ready` is about rules of the plan files, and they give none".to_owned()
            }
            (None, Kind::Rule) => format!("rules: {}", all()),
            (None, Kind::Nodes) => format!("roles and uses: {}", all()),
        };
        Some(self.problem.help(help))
    }
}
