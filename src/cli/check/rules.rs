//! The rules that `dbops check` brings: what is wrong on every server, whatever it is for.

use crate::plan_file::rule::{Level, Rule};

/// Id, metric, warn, critical.
const BUILT_IN: [(&str, &str, Option<&str>, Option<&str>); 7] = [
    // The server itself warns 40 million before the end, at 2.1 thousand million.
    ("xid", "xid.age", Some("> 500000000"), Some("> 1500000000")),
    (
        "mxid",
        "mxid.age",
        Some("> 500000000"),
        Some("> 1500000000"),
    ),
    ("invalid-indexes", "index.invalid", Some("> 0"), None),
    ("index-drift", "index.drift", Some("> 0"), None),
    ("runway", "partition.runway", Some("< 30d"), Some("< 3d")),
    ("gaps", "partition.gaps", Some("> 0"), None),
    (
        "detach-pending",
        "partition.detach_pending",
        Some("> 0"),
        None,
    ),
];

/// All of them.
pub(super) fn built_in() -> Vec<Rule> {
    let mut rules = vec![node_up()];
    for (id, metric, warn, critical) in BUILT_IN {
        let mut one = Rule::new(id, metric);
        one.warn = warn.and_then(|text| text.parse().ok());
        one.critical = critical.and_then(|text| text.parse().ok());
        rules.push(one);
    }
    let mut archive = Rule::new("archive", "archive.state");
    archive.expect = vec!["working".to_owned(), "off".to_owned()];
    archive.level = Some(Level::Warn);
    rules.push(archive);
    rules
}

/// A node that cannot be reached is critical: it is the cause of all that is not known of it.
pub(super) fn node_up() -> Rule {
    let mut rule = Rule::new("node.up", "node.up");
    rule.expect = vec!["up".to_owned()];
    rule
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan_file::metric::{Measure, metric};

    #[test]
    fn every_rule_names_a_metric_and_a_threshold_of_its_unit() {
        for rule in built_in() {
            let metric = metric(&rule.metric).unwrap();
            if metric.measure == Measure::State {
                assert!(!rule.expect.is_empty());
            } else {
                assert!(metric.measure.takes(rule.warn.unwrap().unit), "{}", rule.id);
                assert!(
                    rule.critical
                        .is_none_or(|one| metric.measure.takes(one.unit))
                );
            }
        }
    }
}
