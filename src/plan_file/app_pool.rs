//! `app_pools:` of a target: pools inside applications, which no server shows before they are deployed.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnose::Diagnostic;
use super::span::Millis;
use super::suggest;
use super::target::TargetNode;
use super::validate::Entry;

/// The connection pool of an application, once in each of its instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppPool {
    /// Name in reports.
    pub name: String,
    /// Role that it connects as.
    pub db_role: String,
    /// Database that it connects to; omitted: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Pooler that it connects through; omitted: it connects to the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// How many instances run at most.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1))]
    pub instances: u32,
    /// Connections that the pool of each instance keeps.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min: u32,
    /// Connections that the pool of each instance has at most.
    #[schemars(range(min = 1))]
    pub max: u32,
    /// After how long it closes idle connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Millis>,
    /// How long it waits for a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Millis>,
}

const fn one() -> u32 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
fn is_one(value: &u32) -> bool {
    *value == 1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// Checks the application pools of a target.
pub(super) fn app_pools(
    target: &Entry<'_>,
    pools: &[AppPool],
    poolers: &[TargetNode],
    problems: &mut Vec<Diagnostic>,
) {
    let known: Vec<&str> = poolers
        .iter()
        .filter_map(|one| one.name.as_deref())
        .collect();
    let mut names = BTreeSet::new();
    for (pool, at) in pools.iter().zip(target.elements("app_pools")) {
        for (key, value) in [("name", &pool.name), ("db_role", &pool.db_role)] {
            if value.trim().is_empty() {
                problems.push(
                    at.error(key, format!("`{key}` is empty"), "")
                        .help("name the application pool, and the role that it connects as"),
                );
            }
        }
        if !names.insert(pool.name.as_str()) {
            problems.push(
                at.error(
                    "name",
                    format!(
                        "an application pool of this target is already called `{}`",
                        pool.name
                    ),
                    "given again here",
                )
                .help("names of application pools differ within a target"),
            );
        }
        for (key, value) in [("instances", pool.instances), ("max", pool.max)] {
            if value == 0 {
                problems.push(
                    at.error(key, format!("`{key}` is 0"), "expected 1 or more")
                        .help("remove an application pool that is not there"),
                );
            }
        }
        if pool.min > pool.max && pool.max > 0 {
            problems.push(
                at.error(
                    "min",
                    format!(
                        "`min` is {}, more than `max`, which is {}",
                        pool.min, pool.max
                    ),
                    "more than `max`",
                )
                .help("a pool keeps at most as many connections as it may have"),
            );
        }
        if let Some(through) = &pool.through
            && !known.contains(&through.as_str())
        {
            let help = suggest::nearest(through, known.iter().copied()).map_or_else(
                || "name one of the target's `poolers`, or leave it out where it connects to the primary".to_owned(),
                |found| format!("did you mean `{found}`?"),
            );
            problems.push(
                at.error(
                    "through",
                    format!("this target has no pooler `{through}`"),
                    "unknown pooler",
                )
                .help(help),
            );
        }
    }
}
