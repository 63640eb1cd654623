//! What to do about a figure that is not known: where the reason alone does not say it, by the metric.

use super::reason::Reason;
use crate::plan_file::metric::{Metric, Over};

/// Returns what to do, in one line.
pub fn fix(metric: &Metric, reason: Reason) -> &'static str {
    match (reason, metric.over()) {
        (Reason::NoSample, Some(Over::Ratio | Over::Growth)) => {
            "let dbops look twice within the window, with traffic between: --state FILE from cron, or --burst 5x2s"
        }
        (Reason::NoSample, Some(Over::P95)) => {
            "let dbops look more often within the window: --state FILE from cron, or --burst 5x1s"
        }
        (Reason::NoSample | Reason::StaleSample, _) if metric.is_foreign() => {
            "hand it in, newly measured: --input FILE"
        }
        (Reason::NotDeclared, _) if metric.name == crate::plan_file::rule::ATTESTATION => {
            "add it to `attestations:` of a plan file: name, date, value, by"
        }
        (Reason::NotDeclared, _) if metric.name == "archive.oldest_unarchived_age" => {
            "set archive_mode and archive_command, or leave the rule out where nothing is archived"
        }
        (Reason::NotLocal, _) if metric.name == "disk.used" => {
            "run dbops on the machine of the server, as a user who may read its data directory, or hand the figure in: --input FILE"
        }
        _ => reason.fix(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan_file::metric::METRICS;

    #[test]
    fn every_metric_has_a_fix_for_every_reason() {
        for metric in METRICS {
            for reason in Reason::ALL {
                let fix = fix(metric, reason);
                assert!(!fix.is_empty() && !fix.ends_with('.'), "{}", metric.name);
            }
        }
    }
}
