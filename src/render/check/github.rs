//! The verdict as annotations of a GitHub workflow, each at the rule's file and line.
//!
//! Form: <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>.

use std::fmt::Write as _;

use super::{Report, about, ground, limits, open, reading, sums};
use crate::checks::verdict::Status;

/// Renders one annotation for each finding that is open, and the sums.
pub fn github(report: &Report) -> String {
    let mut out = String::new();
    for one in open(&report.verdict) {
        let kind = match one.status {
            Status::Critical => "error",
            Status::Warning | Status::Unknown => "warning",
            Status::Ok | Status::Skipped | Status::Pending => "notice",
        };
        let mut place = String::new();
        if !one.origin.file.is_empty() {
            let origin = &one.origin;
            let _ = write!(
                place,
                "file={},line={},col={},",
                property(&origin.file),
                origin.line,
                origin.column
            );
        }
        let title = format!("{} {}", one.rule, one.status.name());
        let text = format!(
            "{}: {} ({}), {}",
            about(one),
            reading(one),
            limits(&one.limits),
            ground(one)
        );
        let _ = writeln!(
            out,
            "::{kind} {place}title={}::{}",
            property(&title),
            data(&text)
        );
    }
    let _ = writeln!(out, "{}", sums(&report.verdict.counts));
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
