//! The `attestations:` section: what people vouch for, with the day and the figure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnose::Diagnostic;
use super::rule::Quantity;
use super::validate::Entry;
use super::{Day, Origin};

/// Something that somebody did and measured, which no server can tell; of one name the newest counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// What was done, as `attest:` of a rule names it: `restore_drill`.
    pub name: String,
    /// Target that it is about; omitted: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The day it was done, in UTC: `2026-12-31`.
    pub date: Day,
    /// What came out, with its unit: `24m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Quantity>,
    /// Who vouches for it.
    pub by: String,
    /// Where more of it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where the attestation stands.
    #[serde(skip)]
    pub origin: Origin,
}

/// Checks one attestation.
pub(super) fn validate(entry: &Entry<'_>, one: &Attestation, problems: &mut Vec<Diagnostic>) {
    for (key, value, help) in [
        ("name", &one.name, "name what was done: `restore_drill`"),
        ("by", &one.by, "say who vouches for it"),
    ] {
        if value.trim().is_empty() {
            problems.push(
                entry
                    .error(key, format!("`{key}` of an attestation is empty"), "")
                    .help(help),
            );
        }
    }
}
