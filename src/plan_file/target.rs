//! The `targets:` section: clusters by name; secrets only as references.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Origin;
use super::app_pool::AppPool;
use super::span::Millis;

/// A named database cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The primary.
    pub primary: TargetNode,
    /// Its replicas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<TargetNode>,
    /// Its poolers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub poolers: Vec<TargetNode>,
    /// Connection pools inside applications, for `dbops pool budget`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub app_pools: Vec<AppPool>,
    /// Where the target stands.
    #[serde(skip)]
    pub origin: Origin,
}

/// One server or pooler; exactly one of `url_env`, `service`, `url` says how to reach it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetNode {
    /// Name in reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Environment variable that holds the connection URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_env: Option<String>,
    /// Section of `pg_service.conf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Connection URL without a password, or with `${NAME}` references to environment variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What a replica is used for, in reports.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// Node that a replica receives from: `primary` or another replica's name. Omitted: as the servers say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// `application_name` of a replica at its upstream. Omitted: its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_name: Option<String>,
    /// Whether a replica must be there: without it, it is critical instead of a warning. Omitted: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Delay that a replica is meant to keep (`recovery_min_apply_delay`): `5s`, `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply_delay: Option<Millis>,
    /// Labels of a replica that rules can match.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Kind of a pooler: `pgbouncer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Node that a pooler fronts: `primary` or a replica's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fronts: Option<String>,
}

/// Labels that dbops gives to what it measures of nodes; a replica's own cannot have these names.
pub(super) const TAKEN: &[&str] = &[
    "target", "node", "role", "use", "required", "slot", "kind", "db_role", "database", "pooler",
];

impl TargetNode {
    /// Returns the labels of a replica that rules can match: its own, `use`, and `required: no` where it may be missing.
    pub fn rule_labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        let usage = self.usage.clone().map(|usage| ("use".to_owned(), usage));
        let optional = (self.required == Some(false)).then(|| ("required".into(), "no".into()));
        labels.extend(usage.into_iter().chain(optional));
        labels
    }
}
