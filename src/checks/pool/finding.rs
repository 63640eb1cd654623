//! What is wrong with connections, worst first.

use serde::Serialize;

use crate::checks::judge::Severity;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A word for programs; it never changes.
    pub code: &'static str,
    /// The node: `primary`, a replica's or a pooler's name.
    pub node: String,
    /// What it is about: a role, a database, a pool; empty for the node itself.
    pub subject: String,
    /// What was found.
    pub text: String,
    /// What to do.
    pub fix: String,
}

/// Sorts findings: worst first, then by node, code and subject.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        (b.severity, &a.node, a.code, &a.subject).cmp(&(a.severity, &b.node, b.code, &b.subject))
    });
}
